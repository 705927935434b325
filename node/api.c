#include "node/api.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/arena.h"
#include "node/doctor.h"
#include "node/eject.h"
#include "node/event_watch.h"
#include "node/node.h"
#include "node/peer_list.h"
#include "node/ping.h"
#include "node/placement.h"
#include "node/view.h"
#include "node/workload.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define FOLLOWERS_MAX 64
#define SUBSCRIPTION_MAX_BYTES 256 /* a type of events */
#define FOLLOW_MS 20000            /* an empty answer after that: clients with a time limit of their own stay content */

struct follower { /* waits for an event with a number larger than since */
	struct list link;
	struct api_route route;
	uint64_t request;
	Tbmesh__EventsRequest *wanted; /* owned */
	uint64_t deadline_ns;
};

struct api {
	struct node *node;
	struct zsock *socket;
	struct zsock *publisher;
	struct list followers;
	size_t follower_count;
	struct loop_timer *timer;
};

void api_reply(struct api *c, const struct api_route *to, Tbmesh__Reply *reply)
{
	struct buf packed = { 0 };
	int r = message_pack(&reply->base, &packed);
	if (r < 0) {
		log_warn("reply of kind %d cannot be sent: %s", (int)reply->body_case, strerror(-r));
		Tbmesh__Reply failure = TBMESH__REPLY__INIT;
		failure.id = reply->id;
		failure.code = 1;
		failure.message = (char *)"the node's answer does not fit into a message";
		buf_clear(&packed);
		if (reply->id == 0 || message_pack(&failure.base, &packed) < 0) {
			buf_finish(&packed);
			return;
		}
	}
	const struct zpart parts[] = { { to->bytes, to->size }, { packed.data, packed.size } };
	r = zsock_send(c->socket, parts, ARRAY_SIZE(parts));
	if (r < 0)
		log_debug("a client did not take its reply: %s", strerror(-r));
	buf_finish(&packed);
}

void api_fail(struct api *c, const struct api_route *to, uint64_t request, uint32_t code, const char *format, ...)
{
	char text[MESSAGE_MAX_TEXT];
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	reply.id = request;
	reply.code = code;
	reply.message = text;
	api_reply(c, to, &reply);
}

/* ---- events ---- */

static void send_events(struct api *c, const struct api_route *to, uint64_t request, const Tbmesh__EventsRequest *r)
{
	struct arena a = { 0 };
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	reply.id = request;
	reply.body_case = TBMESH__REPLY__BODY_EVENTS;
	reply.events = view_events(c->node, r, &a);
	if (a.failed)
		api_fail(c, to, request, 1, "out of memory");
	else
		api_reply(c, to, &reply);
	arena_finish(&a);
}

static void follower_free(struct api *c, struct follower *f)
{
	list_remove(&f->link);
	tbmesh__events_request__free_unpacked(f->wanted, NULL);
	free(f);
	c->follower_count--;
}

static void answer_followers(struct api *c, bool all_late)
{
	uint64_t now_ns = time_monotonic_ns(), last = event_log_last(c->node->events);
	list_for_each_safe(f, &c->followers, struct follower, link) {
		if (last <= f->wanted->since && !(all_late && now_ns >= f->deadline_ns))
			continue;
		send_events(c, &f->route, f->request, f->wanted);
		follower_free(c, f);
	}
}

static void follow_late(void *ctx)
{
	answer_followers(ctx, true);
}

/* To local programs and to peers. Who is slow misses events, sees it by their numbers and asks for them. */
static void publish(struct api *c, const struct node_event *e)
{
	struct arena a = { 0 };
	struct buf packed = { 0 };
	Tbmesh__Event *m = view_event(c->node, e, &a);
	Tbmesh__PeerEvent body = TBMESH__PEER_EVENT__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	body.event = m;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EVENT;
	message.event = &body;
	int r = a.failed ? -ENOMEM : mesh_publish(c->node->mesh, e->type, &message);
	if (r < 0)
		log_debug("event %llu is not published: %s", (unsigned long long)e->number, strerror(-r));
	if (!a.failed && message_pack(&m->base, &packed) == 0) {
		const struct zpart parts[] = { { e->type, strlen(e->type) }, { packed.data, packed.size } };
		(void)zsock_send(c->publisher, parts, ARRAY_SIZE(parts));
	}
	buf_finish(&packed);
	arena_finish(&a);
}

void api_event_added(struct api *c, const struct node_event *e)
{
	publish(c, e);
	answer_followers(c, false);
	event_watches_own(c->node->watches);
}

static Tbmesh__EventsRequest *clone(const Tbmesh__EventsRequest *r)
{
	struct buf packed = { 0 };
	Tbmesh__EventsRequest *copy = NULL;
	if (message_pack(&r->base, &packed) == 0)
		copy = tbmesh__events_request__unpack(NULL, packed.size, packed.data);
	buf_finish(&packed);
	return copy;
}

static bool is_own(const struct node *n, const char *host)
{
	return !host[0] || strcmp(host, n->config.name) == 0 || strcmp(host, n->identity.id) == 0;
}

static void handle_events(struct api *c, const struct api_route *from, uint64_t id, const Tbmesh__EventsRequest *r)
{
	if (r->all || !is_own(c->node, r->host)) {
		event_watches_start(c->node->watches, from, id, r);
		return;
	}
	if (!r->follow || event_log_last(c->node->events) != r->since || c->follower_count >= FOLLOWERS_MAX) {
		send_events(c, from, id, r);
		return;
	}
	struct follower *f = calloc(1, sizeof *f);
	Tbmesh__EventsRequest *wanted = clone(r);
	if (!f || !wanted) {
		free(f);
		if (wanted)
			tbmesh__events_request__free_unpacked(wanted, NULL);
		api_fail(c, from, id, 1, "out of memory");
		return;
	}
	*f = (struct follower){
		.route = *from, .request = id, .wanted = wanted, .deadline_ns = time_monotonic_ns() + FOLLOW_MS * 1000000ull
	};
	list_append(&c->followers, &f->link);
	c->follower_count++;
}

/* ---- the rest ---- */

static void handle_describe(struct api *c, const struct api_route *from, uint64_t id, const Tbmesh__DescribeRequest *r)
{
	const struct inventory_gpu *g = inventory_find(c->node->inventory, r->gpu);
	if (!g || !g->described) {
		api_fail(c, from, id, 4, "GPU \"%s\" is not known, or not described yet", r->gpu);
		return;
	}
	Tbmesh__DescribeReply body = TBMESH__DESCRIBE_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	body.description.data = g->description.bytes;
	body.description.len = g->description.size;
	reply.id = id;
	reply.body_case = TBMESH__REPLY__BODY_DESCRIBE;
	reply.describe = &body;
	api_reply(c, from, &reply);
}

static void handle_report(struct api *c, const struct api_route *from, uint64_t id, const Tbmesh__WorkloadReport *r)
{
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	int error = workloads_report(c->node->workloads, from, r);
	if (error < 0) {
		api_fail(c, from, id, 1, "the report was not taken: %s", strerror(-error));
		return;
	}
	reply.id = id;
	api_reply(c, from, &reply);
}

/* What can be answered at once from what the node knows. */
static void handle_view(struct api *c, const struct api_route *from, const Tbmesh__Request *request)
{
	struct arena a = { 0 };
	struct node *n = c->node;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	Tbmesh__WorkloadList workloads = TBMESH__WORKLOAD_LIST__INIT;
	reply.id = request->id;
	void *body = NULL;
	if (request->body_case == TBMESH__REQUEST__BODY_STATUS) {
		reply.body_case = TBMESH__REPLY__BODY_STATUS;
		reply.status = body = view_status(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_PEERS) {
		reply.body_case = TBMESH__REPLY__BODY_PEERS;
		reply.peers = body = view_peers(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_LINKS) {
		reply.body_case = TBMESH__REPLY__BODY_LINKS;
		reply.links = body = view_links(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_TOPOLOGY) {
		reply.body_case = TBMESH__REPLY__BODY_TOPOLOGY;
		reply.topology = body = view_topology(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_GPUS) {
		reply.body_case = TBMESH__REPLY__BODY_GPUS;
		reply.gpus = body = view_gpus(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_THUNDERBOLT) {
		reply.body_case = TBMESH__REPLY__BODY_THUNDERBOLT;
		reply.thunderbolt = body = view_thunderbolt(n, &a);
	} else if (request->body_case == TBMESH__REQUEST__BODY_WORKLOADS) {
		reply.body_case = TBMESH__REPLY__BODY_WORKLOADS;
		workloads.n_workloads = workloads_fill(n->workloads, &workloads.workloads, &a);
		reply.workloads = body = &workloads;
	} else if (request->body_case == TBMESH__REQUEST__BODY_DOCTOR) {
		reply.body_case = TBMESH__REPLY__BODY_DOCTOR;
		reply.doctor = body = doctor_view(n, &a);
	} else {
		reply.body_case = TBMESH__REPLY__BODY_BEST;
		reply.best = body = view_best(n, request->best, &a);
	}
	if (a.failed)
		api_fail(c, from, request->id, 1, "out of memory");
	else if (!body)
		api_fail(c, from, request->id, 2, "unknown criterion; it is one of latency, frames, offload, checkpoint");
	else
		api_reply(c, from, &reply);
	arena_finish(&a);
}

static void handle_list(struct api *c, const struct api_route *from, const Tbmesh__Request *request)
{
	bool thunderbolt = request->body_case == TBMESH__REQUEST__BODY_THUNDERBOLT;
	const char *host = thunderbolt ? request->thunderbolt->host : request->gpus->host;
	if (is_own(c->node, host))
		handle_view(c, from, request);
	else
		peer_lists_start(
			c->node->lists, from, request->id, thunderbolt ? PEER_LIST_THUNDERBOLT : PEER_LIST_GPUS, host);
}

static void received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	struct api *c = ctx;
	struct api_route from;
	Tbmesh__Request *request;
	(void)peer;
	if (count != 2 || parts[0].size > sizeof from.bytes)
		return;
	from.size = parts[0].size;
	memcpy(from.bytes, parts[0].data, parts[0].size);
	int r = message_unpack_request(parts[1].data, parts[1].size, &request);
	if (r < 0) {
		api_fail(c, &from, 0, 1, "this is not a request that the node understands");
		return;
	}
	switch (request->body_case) {
	case TBMESH__REQUEST__BODY_STATUS:
	case TBMESH__REQUEST__BODY_PEERS:
	case TBMESH__REQUEST__BODY_LINKS:
	case TBMESH__REQUEST__BODY_WORKLOADS:
	case TBMESH__REQUEST__BODY_BEST:
	case TBMESH__REQUEST__BODY_TOPOLOGY:
	case TBMESH__REQUEST__BODY_DOCTOR:
		handle_view(c, &from, request);
		break;
	case TBMESH__REQUEST__BODY_GPUS:
	case TBMESH__REQUEST__BODY_THUNDERBOLT:
		handle_list(c, &from, request);
		break;
	case TBMESH__REQUEST__BODY_BENCH:
		bench_start(c->node, &from, request->id, request->bench);
		break;
	case TBMESH__REQUEST__BODY_PING:
		ping_start(c->node, &from, request->id, request->ping);
		break;
	case TBMESH__REQUEST__BODY_EJECT:
		eject_start(c->node->ejects, &from, request->id, request->eject);
		break;
	case TBMESH__REQUEST__BODY_EVENTS:
		handle_events(c, &from, request->id, request->events);
		break;
	case TBMESH__REQUEST__BODY_OFFER:
		placement_offer(c->node->placement, &from, request);
		return; /* it owns the request now */
	case TBMESH__REQUEST__BODY_ACQUIRE:
		placement_acquire(c->node->placement, &from, request);
		return;
	case TBMESH__REQUEST__BODY_REPORT:
		handle_report(c, &from, request->id, request->report);
		break;
	case TBMESH__REQUEST__BODY_DESCRIBE:
		handle_describe(c, &from, request->id, request->describe);
		break;
	case TBMESH__REQUEST__BODY__NOT_SET:
	case _TBMESH__REQUEST__BODY__CASE_IS_INT_SIZE:
		break;
	}
	message_free_request(request);
}

static int give_to_group(const struct node *n, const char *path)
{
	if (!n->config.group[0])
		return 0;
	const struct group *g = getgrnam(n->config.group);
	if (!g) {
		log_error("group \"%s\" of the configuration does not exist", n->config.group);
		return -ENOENT;
	}
	return chown(path, (uid_t)-1, g->gr_gid) < 0 ? -errno : 0;
}

/* For this user and the group of the configuration alone. */
static int bind_local(const struct node *n, struct zsock *s, const char *path, const char *endpoint)
{
	unlink(path); /* of a node that died; the lock says that there is no other */
	mode_t before = umask(0117);
	int r = zsock_bind(s, endpoint, NULL, 0);
	umask(before);
	return r == 0 ? give_to_group(n, path) : r;
}

static void nothing_received(void *ctx, const struct zpart *parts, size_t count, const char *peer)
{
	(void)ctx, (void)parts, (void)count, (void)peer; /* ZeroMQ keeps the subscriptions to itself */
}

int api_create(struct node *n, struct api **ret)
{
	struct api *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->node = n;
	list_init(&c->followers);
	c->timer = loop_timer_create(n->loop, follow_late, c);
	struct zsock_options o = { .max_message_bytes = MESSAGE_MAX_BYTES, .mandatory = true };
	struct zsock_options subscriptions = { .max_message_bytes = SUBSCRIPTION_MAX_BYTES };
	c->publisher = c->timer ? zsock_create(n->zmq, n->loop, ZSOCK_PUB, &subscriptions, nothing_received, c) : NULL;
	c->socket = c->publisher ? zsock_create(n->zmq, n->loop, ZSOCK_ROUTER, &o, received, c) : NULL;
	int r = c->socket ? 0 : -ENOMEM;
	if (r == 0)
		r = bind_local(n, c->publisher, n->paths.events, n->paths.events_endpoint);
	if (r == 0)
		r = bind_local(n, c->socket, n->paths.control, n->paths.control_endpoint);
	if (r < 0) {
		api_destroy(c);
		return r;
	}
	loop_timer_start(c->timer, 1000, 1000);
	*ret = c;
	return 0;
}

void api_destroy(struct api *c)
{
	if (!c)
		return;
	list_for_each_safe(f, &c->followers, struct follower, link)
		follower_free(c, f);
	loop_timer_destroy(c->timer);
	zsock_destroy(c->socket);
	zsock_destroy(c->publisher);
	free(c);
}
