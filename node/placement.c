#include "node/placement.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "node/arena.h"
#include "node/node.h"
#include "proto/limits.h"
#include "proto/messages.h"
#include "proto/validate.h"

#define REFUSALS_MAX 64
#define PEER_START_MS (EXECUTOR_READY_MS + 5000)
#define PATIENCE_MS 3000 /* how long a CPU driver waits for a real GPU that may turn up, and a portable offer for all */
#define START_NS 2000000000ull /* a node that young has not heard all its peers */
#define KNOWLEDGE_MS 15000     /* how long a request waits for the probe and for descriptions that are under way */

enum job_state {
	JOB_WAITING, /* for GPUs that are not known yet */
	JOB_LOCAL,   /* an executor of this host starts */
	JOB_PEER,    /* a peer was asked for one */
};

struct job {
	struct list link;
	struct placement *owner;
	struct api_route from;
	Tbmesh__Request *request; /* owned; an offer or an acquire */
	enum job_state state;
	uint64_t number; /* of an ExecutorRequest */
	uint64_t ticket; /* of an executor */
	char key[POLICY_KEY_SIZE], gpu_name[256], peer[64], host[64];
	unsigned char secret[EXECUTOR_SECRET_BYTES];
	struct loop_timer *timer;
	uint64_t deadline_ns; /* of waiting for knowledge */
	uint64_t patience_ns; /* of waiting with a CPU driver at hand */
	struct {
		char gpu[POLICY_KEY_SIZE];
		char why[POLICY_WHY_SIZE];
	} refusals[REFUSALS_MAX]; /* of GPUs that were tried */
	size_t refusal_count;
};

struct placement {
	struct node *node;
	struct list jobs;
	uint64_t next_number;
};

static void step(struct job *j);

struct placement *placement_create(struct node *n)
{
	struct placement *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->node = n;
	p->next_number = 1;
	list_init(&p->jobs);
	return p;
}

static void job_free(struct job *j)
{
	explicit_bzero(j->secret, sizeof j->secret);
	loop_timer_destroy(j->timer);
	message_free_request(j->request);
	list_remove(&j->link);
	free(j);
}

void placement_destroy(struct placement *p)
{
	if (!p)
		return;
	list_for_each_safe(j, &p->jobs, struct job, link) {
		if (j->state == JOB_LOCAL)
			executors_cancel(p->node->executors, j->ticket);
		job_free(j);
	}
	free(p);
}

/* ---- what there is ---- */

static struct mesh_peer_info *get_peers(struct node *n, size_t *ret_count)
{
	size_t max = mesh_peers(n->mesh, NULL, 0);
	struct mesh_peer_info *peers = calloc(max + 1, sizeof *peers);
	size_t count = peers ? mesh_peers(n->mesh, peers, max) : 0;
	*ret_count = count > max ? max : count;
	return peers;
}

static void describe_path(const struct mesh_peer_info *peers, size_t count, const char *peer, struct policy_gpu *g)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(peers[i].id, peer) == 0) {
			g->active = g->active && peers[i].state == MESH_PEER_UP;
			g->goodput_bps = peers[i].aggregate_up.bps;
			g->rtt_us = peers[i].rtt.samples > 0 ? peers[i].rtt.p50_us : 0;
			return;
		}
	g->active = false;
}

size_t placement_gpus(struct node *n, struct policy_gpu **ret)
{
	size_t count = 0, peer_count;
	while (inventory_at(n->inventory, count))
		count++;
	struct policy_gpu *gpus = calloc(count + 1, sizeof *gpus);
	struct mesh_peer_info *peers = get_peers(n, &peer_count);
	for (size_t i = 0; gpus && peers && i < count; i++) {
		const struct inventory_gpu *g = inventory_at(n->inventory, i);
		gpus[i] = (struct policy_gpu){ .key = g->key,
			.name = g->name,
			.type = g->type,
			.active = g->state == GPU_ACTIVE,
			.ejected = g->ejected,
			.illness = g->health.known && g->health.score < 100 ? 100 - g->health.score : 0,
			.local = !g->peer[0],
			.load_limit = n->config.max_executors,
			.memory_bytes = g->memory_bytes,
			.load = g->peer[0] ? g->load : executors_load(n->executors, g->id),
			.description = g->described ? &g->description : NULL };
		if (g->peer[0])
			describe_path(peers, peer_count, g->peer, &gpus[i]);
	}
	free(peers);
	*ret = gpus;
	return gpus ? count : 0;
}

struct gpu_need *placement_needs(Tbmesh__Need *const *needs, size_t count)
{
	struct gpu_need *list = count > 0 ? calloc(count, sizeof *list) : NULL;
	for (size_t i = 0; list && i < count; i++)
		list[i] = (struct gpu_need){
			.kind = needs[i]->kind, .a = needs[i]->a, .b = needs[i]->b, .c = needs[i]->c, .text = needs[i]->text
		};
	return list;
}

/* More may be known soon: a probe runs, descriptions are on their way, or peers. */
static bool may_know_more(const struct node *n)
{
	return gpu_probe_pending(n->probe) || inventory_incomplete(n->inventory) ||
		time_monotonic_ns() - n->started_ns < START_NS;
}

static bool wait_for_knowledge(struct job *j, uint64_t until_ns)
{
	uint64_t now_ns = time_monotonic_ns();
	if (now_ns >= until_ns || !may_know_more(j->owner->node))
		return false;
	j->state = JOB_WAITING;
	loop_timer_start(j->timer, (until_ns - now_ns) / 1000000 + 1, 0);
	return true;
}

/* A CPU driver never serves before a GPU: not even one that is not quite known yet. Unless the user wants it. */
static bool wait_for_gpu(struct job *j, const struct policy_gpu *best, const char *wish)
{
	return strcmp(best->type, "cpu") == 0 && !(wish[0] && policy_gpu_matches(best, wish)) &&
		wait_for_knowledge(j, j->patience_ns);
}

/* ---- offers ---- */

static void list_gpus(const struct policy_gpu *gpus, size_t count, char *text, size_t size)
{
	size_t length = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "", gpus[i].key);
}

static bool may_serve(const struct node *n, const struct policy_gpu *g)
{
	return g->active && !g->ejected && g->description && (n->config.prefer_cpu_fallback || strcmp(g->type, "cpu") != 0);
}

/* What all GPUs share that could serve, in the name of the first. Returns how many, 0 when out of memory. */
static size_t describe_common(
	const struct node *n, const struct policy_gpu *gpus, size_t count, size_t first, struct buf *ret)
{
	__attribute__((cleanup(free_pointer))) const struct description **all = calloc(count + 1, sizeof *all);
	size_t found = 0;
	if (!all)
		return 0;
	all[found++] = gpus[first].description;
	for (size_t i = 0; i < count; i++)
		if (i != first && may_serve(n, &gpus[i]))
			all[found++] = gpus[i].description;
	return description_in_common(ret, all, found) < 0 ? 0 : found;
}

static void send_offer(struct job *j, const struct policy_gpu *gpus, size_t count, size_t best)
{
	struct node *n = j->owner->node;
	const struct inventory_gpu *g = inventory_find(n->inventory, gpus[best].key);
	Tbmesh__OfferReply body = TBMESH__OFFER_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	struct buf common = { 0 };
	body.gpu = (char *)g->key;
	body.host = (char *)g->host;
	body.node_id = g->peer[0] ? (char *)g->peer : n->identity.id;
	body.description.data = g->description.bytes;
	body.description.len = g->description.size;
	if (j->request->offer->portable) {
		body.stands_for = (uint32_t)describe_common(n, gpus, count, best, &common);
		body.description.data = common.data;
		body.description.len = common.size;
	}
	reply.id = j->request->id;
	reply.body_case = TBMESH__REPLY__BODY_OFFER;
	reply.offer = &body;
	if (j->request->offer->portable && body.stands_for == 0)
		api_fail(n->api, &j->from, j->request->id, 1, "what the GPUs share cannot be told: out of memory");
	else
		api_reply(n->api, &j->from, &reply);
	buf_finish(&common);
	job_free(j);
}

static void offer(struct job *j)
{
	struct node *n = j->owner->node;
	const char *wish = j->request->offer->gpu;
	__attribute__((cleanup(free_pointer))) struct policy_gpu *gpus = NULL;
	size_t count = placement_gpus(n, &gpus);
	__attribute__((cleanup(free_pointer))) struct policy_verdict *verdicts = calloc(count + 1, sizeof *verdicts);
	struct policy_request r = { .prefer = wish,
		.only_preferred = wish[0],
		.cpu_fallback = n->config.prefer_cpu_fallback,
		.covers = description_covers };
	if (!gpus || !verdicts) {
		api_fail(n->api, &j->from, j->request->id, 1, "out of memory");
		job_free(j);
		return;
	}
	if (policy_rank(&r, gpus, count, verdicts) > 0) {
		if (wait_for_gpu(j, &gpus[verdicts[0].gpu], wish))
			return;
		if (!j->request->offer->portable || !wait_for_knowledge(j, j->patience_ns))
			send_offer(j, gpus, count, verdicts[0].gpu);
		return;
	}
	if (wait_for_knowledge(j, j->deadline_ns))
		return;
	char text[2048];
	list_gpus(gpus, count, text, sizeof text);
	bool known = false;
	for (size_t i = 0; i < count; i++)
		if (wish[0] && policy_gpu_matches(&gpus[verdicts[i].gpu], wish)) {
			api_fail(n->api, &j->from, j->request->id, 4, "GPU %s can't be used: %s", gpus[verdicts[i].gpu].key,
				verdicts[i].why);
			known = true;
			break;
		}
	if (!known && count == 0)
		api_fail(n->api, &j->from, j->request->id, 4,
			"there is no GPU on this host or its peers%s%s; `tbmesh gpus` shows what is known",
			n->probe_error[0] ? ": " : "", n->probe_error);
	else if (!known && wish[0])
		api_fail(n->api, &j->from, j->request->id, 4, "no GPU is called \"%s\"; there are: %s", wish, text);
	else if (!known)
		api_fail(n->api, &j->from, j->request->id, 4, "no GPU can be used: %s: %s", gpus[verdicts[0].gpu].key,
			verdicts[0].why);
	job_free(j);
}

/* ---- executors ---- */

static void refuse(struct job *j, const char *why)
{
	log_info("workload %s: %s: %s", j->request->acquire->workload, j->key, why);
	if (j->refusal_count == REFUSALS_MAX)
		return;
	snprintf(j->refusals[j->refusal_count].gpu, sizeof j->refusals[0].gpu, "%s", j->key);
	snprintf(j->refusals[j->refusal_count].why, sizeof j->refusals[0].why, "%.*s", POLICY_WHY_SIZE - 1, why);
	j->refusal_count++;
}

static void fill_refusals(const struct job *j, const struct policy_gpu *gpus, const struct policy_verdict *verdicts,
	size_t count, Tbmesh__AcquireReply *body, struct arena *a)
{
	size_t max = j->refusal_count + count;
	Tbmesh__Refusal *out = arena_alloc(a, (max + 1) * sizeof *out);
	body->refusals = arena_alloc(a, (max + 1) * sizeof *body->refusals);
	if (!out || !body->refusals)
		return;
	for (size_t i = 0; i < max && body->n_refusals < MESSAGE_MAX_ITEMS; i++) {
		Tbmesh__Refusal *m = &out[body->n_refusals];
		tbmesh__refusal__init(m);
		if (i < j->refusal_count) {
			m->gpu = (char *)j->refusals[i].gpu;
			m->why = (char *)j->refusals[i].why;
		} else {
			const struct policy_verdict *v = &verdicts[i - j->refusal_count];
			bool tried = false;
			for (size_t t = 0; t < j->refusal_count; t++)
				tried |= strcmp(j->refusals[t].gpu, gpus[v->gpu].key) == 0;
			if (v->fits || tried)
				continue;
			m->gpu = (char *)gpus[v->gpu].key;
			m->why = (char *)v->why;
		}
		body->refusals[body->n_refusals++] = m;
	}
}

static void give(struct job *j, const char *socket, uint16_t port, uint32_t pid)
{
	struct node *n = j->owner->node;
	struct arena a = { 0 };
	Tbmesh__AcquireReply body = TBMESH__ACQUIRE_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	struct mesh_endpoint endpoints[MESH_MAX_PEER_LINKS];
	Tbmesh__Endpoint messages[MESH_MAX_PEER_LINKS], *list[MESH_MAX_PEER_LINKS];
	body.gpu = j->key;
	body.host = j->host;
	body.gpu_name = j->gpu_name;
	body.pid = pid;
	if (socket)
		body.socket = (char *)socket;
	if (port != 0) {
		size_t count = mesh_endpoints(n->mesh, j->peer, endpoints, MESH_MAX_PEER_LINKS);
		for (size_t i = 0; i < count && i < MESH_MAX_PEER_LINKS; i++) {
			tbmesh__endpoint__init(&messages[i]);
			messages[i].address = endpoints[i].address;
			messages[i].port = port;
			messages[i].scope_id = endpoints[i].scope_id;
			messages[i].link = endpoints[i].link;
			messages[i].goodput_bps = endpoints[i].goodput_bps;
			list[body.n_endpoints++] = &messages[i];
		}
		body.endpoints = list;
		body.secret.data = j->secret;
		body.secret.len = sizeof j->secret;
	}
	fill_refusals(j, NULL, NULL, 0, &body, &a);
	reply.id = j->request->id;
	reply.body_case = TBMESH__REPLY__BODY_ACQUIRE;
	reply.acquire = &body;
	log_info("workload %s runs on %s", j->request->acquire->workload, j->key);
	api_reply(n->api, &j->from, &reply);
	arena_finish(&a);
	job_free(j);
}

static void local_ready(void *ctx, const struct executor_ready *r)
{
	struct job *j = ctx;
	if (r->error == 0) {
		give(j, r->socket, 0, (uint32_t)r->pid);
		return;
	}
	refuse(j, r->text);
	step(j);
}

static int start_local(struct job *j, const char *id)
{
	struct executor_request r = { .drivers = gpu_probe_drivers(j->owner->node->probe),
		.gpu = id,
		.workload = j->request->acquire->workload,
		.peer = "",
		.uid = j->request->acquire->uid };
	j->state = JOB_LOCAL;
	return executors_start(j->owner->node->executors, &r, local_ready, j, &j->ticket);
}

static int ask_peer(struct job *j, const char *id)
{
	Tbmesh__ExecutorRequest body = TBMESH__EXECUTOR_REQUEST__INIT;
	Tbmesh__PeerMessage message = TBMESH__PEER_MESSAGE__INIT;
	int r = random_bytes(j->secret, sizeof j->secret);
	if (r < 0)
		return r;
	j->state = JOB_PEER;
	j->number = j->owner->next_number++;
	body.request = j->number;
	body.workload = j->request->acquire->workload;
	body.gpu = (char *)id;
	body.secret.data = j->secret;
	body.secret.len = sizeof j->secret;
	message.body_case = TBMESH__PEER_MESSAGE__BODY_EXECUTOR_REQUEST;
	message.executor_request = &body;
	r = mesh_send(j->owner->node->mesh, j->peer, &message);
	if (r == 0)
		loop_timer_start(j->timer, PEER_START_MS, 0);
	return r;
}

static void fail_acquire(struct job *j, const struct policy_gpu *gpus, const struct policy_verdict *verdicts, size_t count)
{
	struct arena a = { 0 };
	Tbmesh__AcquireReply body = TBMESH__ACQUIRE_REPLY__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	fill_refusals(j, gpus, verdicts, count, &body, &a);
	reply.id = j->request->id;
	reply.code = 4;
	reply.message = count == 0 ? (char *)"no GPU is left in the mesh" : (char *)"no GPU can take this workload now";
	reply.body_case = TBMESH__REPLY__BODY_ACQUIRE;
	reply.acquire = &body;
	api_reply(j->owner->node->api, &j->from, &reply);
	arena_finish(&a);
	job_free(j);
}

static void acquire(struct job *j)
{
	struct node *n = j->owner->node;
	const Tbmesh__AcquireRequest *request = j->request->acquire;
	__attribute__((cleanup(free_pointer))) struct policy_gpu *gpus = NULL;
	size_t count = placement_gpus(n, &gpus);
	__attribute__((cleanup(free_pointer))) struct policy_verdict *verdicts = calloc(count + 1, sizeof *verdicts);
	__attribute__((cleanup(free_pointer))) struct gpu_need *needs = placement_needs(request->needs, request->n_needs);
	size_t excluded = request->n_exclude + j->refusal_count;
	__attribute__((cleanup(free_pointer))) const char **exclude = calloc(excluded + 1, sizeof *exclude);
	if (!gpus || !verdicts || !exclude || (request->n_needs > 0 && !needs)) {
		api_fail(n->api, &j->from, j->request->id, 1, "out of memory");
		job_free(j);
		return;
	}
	for (size_t i = 0; i < excluded; i++)
		exclude[i] = i < request->n_exclude ? request->exclude[i] : j->refusals[i - request->n_exclude].gpu;
	struct policy_request r = { .needs = needs,
		.need_count = request->n_needs,
		.exclude = exclude,
		.exclude_count = excluded,
		.prefer = request->prefer,
		.cpu_fallback = n->config.prefer_cpu_fallback,
		.covers = description_covers };
	if (policy_rank(&r, gpus, count, verdicts) == 0) {
		if (!wait_for_knowledge(j, j->deadline_ns))
			fail_acquire(j, gpus, verdicts, count);
		return;
	}
	if (wait_for_gpu(j, &gpus[verdicts[0].gpu], request->prefer))
		return;
	const struct inventory_gpu *g = inventory_find(n->inventory, gpus[verdicts[0].gpu].key);
	snprintf(j->key, sizeof j->key, "%s", g->key);
	snprintf(j->gpu_name, sizeof j->gpu_name, "%s", g->name);
	snprintf(j->host, sizeof j->host, "%s", g->host);
	snprintf(j->peer, sizeof j->peer, "%s", g->peer);
	int error = g->peer[0] ? ask_peer(j, g->id) : start_local(j, g->id);
	if (error < 0) {
		refuse(j, strerror(-error));
		step(j);
	}
}

/* Each step either answers, waits, or tries one more GPU: the list of refusals grows, so it ends. */
static void step(struct job *j)
{
	loop_timer_stop(j->timer);
	if (j->refusal_count == REFUSALS_MAX) {
		fail_acquire(j, NULL, NULL, 0);
		return;
	}
	if (j->request->body_case == TBMESH__REQUEST__BODY_OFFER)
		offer(j);
	else
		acquire(j);
}

static void timed_out(void *ctx)
{
	struct job *j = ctx;
	if (j->state == JOB_PEER)
		refuse(j, "its host did not answer in time");
	step(j);
}

static void begin(struct placement *p, const struct api_route *from, Tbmesh__Request *request)
{
	struct job *j = calloc(1, sizeof *j);
	if (j) {
		list_init(&j->link);
		j->timer = loop_timer_create(p->node->loop, timed_out, j);
	}
	if (!j || !j->timer) {
		free(j);
		api_fail(p->node->api, from, request->id, 1, "out of memory");
		message_free_request(request);
		return;
	}
	j->owner = p;
	j->from = *from;
	j->request = request;
	j->deadline_ns = time_monotonic_ns() + KNOWLEDGE_MS * 1000000ull;
	j->patience_ns = time_monotonic_ns() + PATIENCE_MS * 1000000ull;
	list_append(&p->jobs, &j->link);
	step(j);
}

void placement_offer(struct placement *p, const struct api_route *from, Tbmesh__Request *request)
{
	begin(p, from, request);
}

void placement_acquire(struct placement *p, const struct api_route *from, Tbmesh__Request *request)
{
	begin(p, from, request);
}

static struct job *find_job(struct placement *p, enum job_state state, const char *peer, uint64_t number)
{
	list_for_each(j, &p->jobs, struct job, link)
		if (j->state == state && (!peer || strcmp(j->peer, peer) == 0) && (number == 0 || j->number == number))
			return j;
	return NULL;
}

void placement_inventory_changed(struct placement *p)
{
	/* A step may end the job, or put it back to wait at its place: each is looked at once. */
	list_for_each_safe(j, &p->jobs, struct job, link)
		if (j->state == JOB_WAITING)
			step(j);
}

void placement_peer_reply(struct placement *p, const char *peer, const Tbmesh__ExecutorReply *r)
{
	struct job *j = r->request != 0 ? find_job(p, JOB_PEER, peer, r->request) : NULL;
	if (!j)
		return;
	if (r->code == 0 && r->port > 0 && r->port <= 65535) {
		give(j, NULL, (uint16_t)r->port, r->pid);
		return;
	}
	refuse(j, r->message[0] ? r->message : "its host refused");
	step(j);
}

void placement_peer_down(struct placement *p, const char *peer)
{
	for (struct job *j; (j = find_job(p, JOB_PEER, peer, 0)) != NULL;) {
		refuse(j, "its host went away");
		step(j);
	}
}
