#include "mesh/mesh.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "base/log.h"
#include "base/util.h"
#include "mesh/mesh_private.h"
#include "proto/messages.h"

#define MAX_EVENTS 1024u /* waiting to be handed out */

uint64_t mesh_incarnation_next(const char *path)
{
	char *old = NULL, text[32];
	uint64_t next = time_realtime_us();
	if (file_read(path, 64, &old, NULL) == 0) {
		uint64_t last = strtoull(old, NULL, 10);
		if (last >= next && last < UINT64_MAX)
			next = last + 1;
		free(old);
	}
	int size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)next);
	return file_write_atomic(path, text, (size_t)size, 0600) == 0 ? next : 0;
}

/* ---- events: handed out when the core is through, so that their receivers may call anything ---- */

static void queue_event(struct mesh *m, struct pending_event *e)
{
	bool first = list_empty(&m->events);
	list_append(&m->events, &e->link);
	if (first)
		loop_timer_start(m->notify, 0, 0);
}

static void on_event(void *ctx, const struct mesh_event *event)
{
	struct mesh *m = ctx;
	struct pending_event *e = calloc(1, sizeof *e);
	if (!e)
		return;
	e->event = *event;
	snprintf(e->peer_id, sizeof e->peer_id, "%s", event->peer_id);
	snprintf(e->subject, sizeof e->subject, "%s", event->subject);
	e->event.peer_id = e->peer_id;
	e->event.subject = e->subject;
	queue_event(m, e);
}

static void on_warning(void *ctx, const char *subject, const char *text)
{
	struct mesh *m = ctx;
	struct pending_event *e = calloc(1, sizeof *e);
	if (!e)
		return;
	e->is_warning = true;
	snprintf(e->subject, sizeof e->subject, "%s", subject);
	snprintf(e->text, sizeof e->text, "%s", text);
	queue_event(m, e);
}

void mesh_warn(struct mesh *m, const char *subject, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	on_warning(m, subject, text);
}

static void notify(void *ctx)
{
	struct mesh *m = ctx;
	for (unsigned i = 0; i < MAX_EVENTS && !list_empty(&m->events); i++) {
		struct pending_event *e = list_entry(m->events.next, struct pending_event, link);
		list_remove(&e->link);
		if (e->is_warning && m->callbacks.warning)
			m->callbacks.warning(m->ctx, e->subject, e->text);
		else if (!e->is_warning && m->callbacks.event)
			m->callbacks.event(m->ctx, &e->event);
		free(e);
	}
	if (!list_empty(&m->events))
		loop_timer_start(m->notify, 0, 0);
}

/* ---- the core's effects ---- */

static uint64_t on_random(void *ctx)
{
	uint64_t v;
	(void)ctx;
	randombytes_buf(&v, sizeof v);
	return v;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_clock(void *ctx, int64_t *ret_realtime_ns, int64_t *ret_offset_ns)
{
	(void)ctx;
	int64_t raw = clock_ns(CLOCK_MONOTONIC_RAW);
	*ret_realtime_ns = clock_ns(CLOCK_REALTIME);
	*ret_offset_ns = *ret_realtime_ns - raw;
}

static int on_send(void *ctx, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to,
	const void *data, size_t size)
{
	struct mesh *m = ctx;
	struct mesh_port *i = ifindex ? mesh_port_find(m, ifindex) : NULL;
	if (ifindex && (!i || !i->port))
		return -ENODEV;
	/* To a peer without a cable only where routing leads over cables: never out by a default route. */
	if (to && !ifindex && mesh_core_routed_is(m->core, &to->ip) && !mesh_port_find(m, mesh_netlink_route(&to->ip)))
		return -EHOSTUNREACH;
	return mesh_net_send(m->net, i ? i->port : NULL, local, to, data, size);
}

static void on_admit(void *ctx, const struct mesh_core_peer *p)
{
	struct mesh *m = ctx;
	int r = mesh_control_admit(m->control, p);
	if (r < 0)
		mesh_warn(m, p->name, "cannot admit peer %s: %s", p->name, strerror(-r));
}

static void on_expel(void *ctx, const struct mesh_core_peer *p)
{
	struct mesh *m = ctx;
	mesh_feed_unsubscribe(m->feed, p->id);
	mesh_control_expel(m->control, p);
}

static void on_restarted(void *ctx, const struct mesh_core_peer *p)
{
	mesh_control_restarted(((struct mesh *)ctx)->control, p);
}

static void on_route(void *ctx, const struct mesh_core_peer *p)
{
	struct mesh *m = ctx;
	mesh_control_route(m->control, p);
	mesh_feed_route(m->feed, p);
}

static void on_probe(void *ctx, const struct mesh_core_peer *p)
{
	struct mesh *m = ctx;
	mesh_probe_ask(m->probe, p, strcmp(m->bench_peer, p->id) == 0 ? &m->bench_options : NULL);
}

static void on_pinged(void *ctx, uint64_t token, int64_t rtt_ns)
{
	struct mesh *m = ctx;
	if (m->callbacks.pinged)
		m->callbacks.pinged(m->ctx, token, rtt_ns < 0 ? -1 : (double)rtt_ns / 1000);
}

/* The routers on the way to a peer that routing leads to; 0: a cable leads there, or not known yet. */
static size_t trace(struct mesh *m, const struct mesh_core_peer *p, struct in6_addr ret[TRACE_HOPS])
{
	if (!p->best || p->best->ifindex || !mesh_core_routed_is(m->core, &p->best->address.ip))
		return 0;
	if (!m->trace && mesh_trace_create(m->loop, &m->routed_self, m->beacon_port, &m->trace) < 0)
		return 0;
	return mesh_trace_read(m->trace, &p->best->address.ip, ret);
}

static void on_recheck(void *ctx)
{
	struct mesh *m = ctx;
	struct in6_addr routers[TRACE_HOPS];
	mesh_port_recheck(m);
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link)
		trace(m, p, routers); /* so that an answer is there when somebody asks */
}

static const struct mesh_core_ops mesh_core_ops = {
	.random = on_random,
	.clock = on_clock,
	.send = on_send,
	.admit = on_admit,
	.expel = on_expel,
	.restarted = on_restarted,
	.route = on_route,
	.probe = on_probe,
	.recheck = on_recheck,
	.pinged = on_pinged,
	.event = on_event,
	.warning = on_warning,
};

static void tick(void *ctx)
{
	struct mesh *m = ctx;
	uint64_t now = time_monotonic_ns(), next = mesh_core_tick(m->core, now);
	now = time_monotonic_ns();
	loop_timer_start(m->timer, next > now ? (next - now + CORE_MS - 1) / CORE_MS : 0, 0);
}

void mesh_rearm(struct mesh *m)
{
	loop_timer_start(m->timer, 0, 0);
}

static void on_packet(void *ctx, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size,
	int64_t received_ns)
{
	struct mesh *m = ctx;
	if (mesh_core_packet(m->core, time_monotonic_ns(), ifindex, from, data, size, received_ns))
		mesh_rearm(m);
}

/* ---- control messages ---- */

static bool on_accept(void *ctx, const char *peer_id, uint64_t incarnation)
{
	struct mesh *m = ctx;
	struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	bool good = p && mesh_core_peer_incarnation(m->core, time_monotonic_ns(), p, incarnation);
	mesh_rearm(m);
	return good;
}

static void on_message(void *ctx, const char *peer_id, const Tbmesh__PeerMessage *message)
{
	struct mesh *m = ctx;
	struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	if (!p)
		return;
	switch (message->body_case) {
	case TBMESH__PEER_MESSAGE__BODY_PROBE_REQUEST:
	case TBMESH__PEER_MESSAGE__BODY_PROBE_REPLY:
	case TBMESH__PEER_MESSAGE__BODY_PROBE_RESULT:
		mesh_probe_message(m->probe, p, message);
		mesh_rearm(m);
		return;
	case TBMESH__PEER_MESSAGE__BODY_GOODBYE:
		mesh_core_goodbye(m->core, time_monotonic_ns(), p, message->goodbye->reason);
		mesh_rearm(m);
		return;
	default: /* protobuf-c's enum, not ours */
		if (m->callbacks.message)
			m->callbacks.message(m->ctx, peer_id, message);
	}
}

static const struct mesh_control_callbacks mesh_control_callbacks = { .accept = on_accept, .message = on_message };

int mesh_send(struct mesh *m, const char *peer_id, Tbmesh__PeerMessage *message)
{
	if (peer_id) {
		const struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
		if (!p || !p->introduced)
			return -ENOENT;
		return p->state == MESH_PEER_DEAD ? -EHOSTUNREACH : mesh_control_send(m->control, peer_id, message);
	}
	int result = 0;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		int r = p->state == MESH_PEER_UP ? mesh_control_send(m->control, p->id, message) : 0;
		result = r < 0 ? r : result;
	}
	return result;
}

/* ---- what is published ---- */

static void on_published(void *ctx, const char *peer_id, const Tbmesh__PeerMessage *message)
{
	struct mesh *m = ctx;
	if (m->callbacks.published)
		m->callbacks.published(m->ctx, peer_id, message);
}

static void on_subscribed(void *ctx, const char *peer_id)
{
	struct mesh *m = ctx;
	if (m->callbacks.subscribed)
		m->callbacks.subscribed(m->ctx, peer_id);
}

static const struct mesh_feed_callbacks mesh_feed_callbacks = { .published = on_published, .subscribed = on_subscribed };

int mesh_publish(struct mesh *m, const char *topic, Tbmesh__PeerMessage *message)
{
	return mesh_feed_publish(m->feed, topic, message);
}

uint16_t mesh_publish_port(const struct mesh *m)
{
	return mesh_feed_port(m->feed);
}

int mesh_subscribe(struct mesh *m, const char *peer_id, uint16_t port)
{
	const struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	return p ? mesh_feed_subscribe(m->feed, p, port) : -ENOENT;
}

void mesh_unsubscribe(struct mesh *m, const char *peer_id)
{
	mesh_feed_unsubscribe(m->feed, peer_id);
}

/* ---- bandwidth ---- */

static int probe_send(void *ctx, const char *peer_id, Tbmesh__PeerMessage *message)
{
	return mesh_control_send(((struct mesh *)ctx)->control, peer_id, message);
}

static bool probe_accept(void *ctx, const char *peer_id)
{
	struct mesh *m = ctx;
	struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	return p && mesh_core_probe_accept(m->core, time_monotonic_ns(), p);
}

static void fill_bench(
	const struct mesh_core_peer *p, const struct mesh_core_probe_rate *rates, size_t count, struct mesh_bench *b)
{
	for (size_t i = 0; i < count; i++) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (memcmp(&l->address.ip, &rates[i].remote, sizeof rates[i].remote) != 0 ||
				b->count == MESH_MAX_PEER_LINKS ||
				(l->ifindex && memcmp(&l->local, &rates[i].local, sizeof rates[i].local) != 0))
				continue;
			memcpy(b->links[b->count].link, l->id, sizeof l->id);
			b->links[b->count].up_bps = rates[i].up_bps;
			b->links[b->count].down_bps = rates[i].down_bps;
			b->count++;
		}
	}
}

static void benched(struct mesh *m, const char *peer_id, const struct mesh_bench *b)
{
	if (strcmp(m->bench_peer, peer_id) != 0)
		return;
	m->bench_peer[0] = '\0';
	if (m->callbacks.benched)
		m->callbacks.benched(m->ctx, m->bench_token, b);
}

static void probe_done(void *ctx, const char *peer_id, const struct mesh_core_probe_rate *rates, size_t count,
	uint64_t aggregate_up_bps, uint64_t aggregate_down_bps, uint64_t duration_ns, bool unsteady)
{
	struct mesh *m = ctx;
	struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	if (p)
		mesh_core_probe_done(m->core, time_monotonic_ns(), p, rates, count, aggregate_up_bps, aggregate_down_bps,
			duration_ns, unsteady);
	mesh_rearm(m);
	if (p && m->bench_peer[0]) {
		struct mesh_bench b = {
			.aggregate_up_bps = aggregate_up_bps, .aggregate_down_bps = aggregate_down_bps, .unsteady = unsteady
		};
		fill_bench(p, rates, count, &b);
		benched(m, peer_id, &b);
	} else {
		benched(m, peer_id, NULL); /* the peer is forgotten meanwhile */
	}
}

static void probe_failed(void *ctx, const char *peer_id, const char *why)
{
	struct mesh *m = ctx;
	struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	log_debug("mesh: no bandwidth probe with %s: %s", peer_id, why);
	if (p)
		mesh_core_probe_failed(m->core, time_monotonic_ns(), p);
	mesh_rearm(m);
	benched(m, peer_id, NULL);
}

static const struct mesh_probe_callbacks mesh_probe_callbacks = {
	.send = probe_send, .accept = probe_accept, .done = probe_done, .failed = probe_failed
};

/* ---- life ---- */

/* The name that peers see must be what their packet check lets in. */
static void clean_name(char to[MESH_NAME_SIZE], const char *from)
{
	size_t n = 0;
	for (; from && *from && n < MESH_NAME_SIZE - 1; from++)
		to[n++] = *from > ' ' && *from <= '~' && *from != '/' && *from != ':' ? *from : '-';
	if (!n)
		to[n++] = '-';
	to[n] = '\0';
}

int mesh_create(struct loop *l, struct zctx *z, const struct mesh_config *config, const struct mesh_callbacks *callbacks,
	void *ctx, struct mesh **ret)
{
	if (!config->incarnation)
		return -EINVAL;
	if (sodium_init() < 0)
		return -EIO;
	struct mesh *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->loop = l;
	m->ctx = ctx;
	m->manage_links = config->manage_links;
	m->identity = *config->identity;
	m->beacon_port = config->beacon_port ? config->beacon_port : MESH_DEFAULT_PORT;
	if (callbacks)
		m->callbacks = *callbacks;
	list_init(&m->interfaces);
	list_init(&m->events);
	m->timer = loop_timer_create(l, tick, m);
	m->notify = loop_timer_create(l, notify, m);
	int r = m->timer && m->notify ? 0 : -ENOMEM;
	if (r == 0)
		r = mesh_control_create(l, z, config->identity, config->incarnation, config->control_port,
			&mesh_control_callbacks, m, &m->control);
	if (r == 0)
		r = mesh_feed_create(
			l, z, &m->identity, config->incarnation, config->events_port, &mesh_feed_callbacks, m, &m->feed);
	if (r == 0) {
		struct mesh_core_config c = { .identity = *config->identity,
			.key = *config->key,
			.incarnation = config->incarnation,
			.control_port = mesh_control_port(m->control),
			.beacon_port = m->beacon_port,
			.no_probes = config->no_probes };
		clean_name(c.name, config->name);
		m->core = mesh_core_create(&c, &mesh_core_ops, m, time_monotonic_ns());
		sodium_memzero(&c, sizeof c);
		r = m->core ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = mesh_probe_create(l, &mesh_probe_callbacks, m, &m->probe);
	if (r == 0)
		r = mesh_net_create(l, m->beacon_port, on_packet, m, &m->net);
	if (r == 0)
		r = mesh_netlink_create(l, &mesh_port_callbacks, m, &m->netlink);
	if (r < 0) {
		mesh_destroy(m);
		return r;
	}
	m->routed_self = mesh_core_routed_address(m->core, m->identity.public_key);
	if (m->manage_links)
		mesh_netlink_add_address(m->netlink, if_nametoindex("lo"), &m->routed_self);
	mesh_rearm(m);
	*ret = m;
	return 0;
}

void mesh_destroy(struct mesh *m)
{
	if (!m)
		return;
	if (m->core && m->net)
		mesh_core_leave(m->core, time_monotonic_ns());
	mesh_probe_destroy(m->probe);
	mesh_trace_destroy(m->trace);
	list_for_each_safe(i, &m->interfaces, struct mesh_port, link) {
		mesh_net_port_destroy(i->port);
		free(i);
	}
	mesh_netlink_destroy(m->netlink);
	mesh_net_destroy(m->net);
	mesh_feed_destroy(m->feed);
	mesh_control_destroy(m->control);
	mesh_core_destroy(m->core);
	list_for_each_safe(e, &m->events, struct pending_event, link)
		free(e);
	loop_timer_destroy(m->timer);
	loop_timer_destroy(m->notify);
	mesh_identity_wipe(&m->identity);
	free(m);
}

int mesh_interface_add(struct mesh *m, const struct mesh_interface *i)
{
	return mesh_port_set(m, i);
}

void mesh_interface_remove(struct mesh *m, unsigned ifindex)
{
	struct mesh_port *i = mesh_port_find(m, ifindex);
	if (i)
		mesh_port_remove(i, "the cable was pulled");
}

int mesh_static_peer_add(struct mesh *m, const char *text)
{
	struct mesh_core_address a = { .port = m->beacon_port };
	char copy[MESH_ADDRESS_SIZE + 10];
	struct in_addr v4;
	if (strlen(text) >= sizeof copy)
		return -EINVAL;
	strcpy(copy, text);
	char *host = copy, *port = NULL;
	if (*host == '[') {
		char *end = strchr(++host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if (strchr(host, ':') == strrchr(host, ':') && strchr(host, ':')) {
		port = strchr(host, ':');
		*port++ = '\0';
	}
	if (port) {
		char *end;
		unsigned long number = strtoul(port, &end, 10);
		if (!*port || *end || !number || number > UINT16_MAX)
			return -EINVAL;
		a.port = (uint16_t)number;
	}
	if (inet_pton(AF_INET, host, &v4) == 1) {
		a.ip.s6_addr[10] = a.ip.s6_addr[11] = 0xff;
		memcpy(a.ip.s6_addr + 12, &v4, sizeof v4);
	} else if (inet_pton(AF_INET6, host, &a.ip) != 1 || IN6_IS_ADDR_LINKLOCAL(&a.ip)) {
		return -EINVAL;
	}
	int r = mesh_core_static_add(m->core, time_monotonic_ns(), &a);
	mesh_rearm(m);
	return r;
}

int mesh_static_peer(const struct mesh *m, size_t i, char ret_address[MESH_ADDRESS_SIZE], bool *ret_up)
{
	struct mesh_core_address a;
	int r = mesh_core_static_read(m->core, i, &a, ret_up);
	if (r == 0)
		mesh_address_text(&a.ip, ret_address);
	return r;
}

int mesh_bench(struct mesh *m, const char *peer, const struct mesh_bench_options *options, uint64_t token)
{
	struct mesh_peer_info info;
	int r = mesh_peer(m, peer, &info);
	struct mesh_core_peer *p = r == 0 ? mesh_core_peer_find(m->core, info.id) : NULL;
	if (!p)
		return -ENOENT;
	if (options->streams > MESH_BENCH_STREAMS)
		return -EINVAL;
	if (m->bench_peer[0])
		return -EBUSY;
	m->bench_options = *options;
	memcpy(m->bench_peer, p->id, sizeof m->bench_peer);
	m->bench_token = token;
	r = mesh_core_bench(m->core, time_monotonic_ns(), p);
	if (r < 0)
		m->bench_peer[0] = '\0';
	mesh_rearm(m);
	return r;
}

int mesh_ping(struct mesh *m, const char *peer, const char *link_id, uint64_t token, struct mesh_link_info *ret)
{
	struct mesh_peer_info info;
	const struct mesh_core_link *l;
	int r = mesh_peer(m, peer, &info);
	struct mesh_core_peer *p = r == 0 ? mesh_core_peer_find(m->core, info.id) : NULL;
	if (!p)
		return -ENOENT;
	r = mesh_core_ping(m->core, time_monotonic_ns(), p, link_id, token, &l);
	if (r == 0)
		mesh_core_link_read(time_monotonic_ns(), l, ret);
	return r;
}

/* ---- reading ---- */

static int by_name(const void *a, const void *b)
{
	const struct mesh_peer_info *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->id, y->id);
}

static int by_link_id(const void *a, const void *b)
{
	return strcmp(((const struct mesh_link_info *)a)->id, ((const struct mesh_link_info *)b)->id);
}

static void name_of(const struct mesh *m, const struct in6_addr *ip, char ret[MESH_NAME_SIZE])
{
	const char *name = mesh_core_routed_is(m->core, ip) ? mesh_core_graph_name(m->core, ip->s6_addr + 8) : NULL;
	if (name)
		snprintf(ret, MESH_NAME_SIZE, "%s", name);
	else
		mesh_address_text(ip, ret);
}

static void read_peer(const struct mesh *m, const struct mesh_core_peer *p, struct mesh_peer_info *ret)
{
	struct in6_addr routers[TRACE_HOPS];
	mesh_core_peer_read(time_monotonic_ns(), p, ret);
	ret->route_count = trace((struct mesh *)m, p, routers);
	for (size_t i = 0; i < ret->route_count; i++)
		name_of(m, &routers[i], ret->route[i]);
}

size_t mesh_peers(const struct mesh *m, struct mesh_peer_info *ret, size_t max)
{
	size_t count = 0;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		if (!p->introduced)
			continue;
		if (count < max)
			read_peer(m, p, &ret[count]);
		count++;
	}
	if (count && max)
		qsort(ret, count < max ? count : max, sizeof *ret, by_name);
	return count;
}

size_t mesh_links(const struct mesh *m, struct mesh_link_info *ret, size_t max)
{
	size_t count = 0;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (!l->ever_up)
				continue;
			if (count < max)
				mesh_core_link_read(time_monotonic_ns(), l, &ret[count]);
			count++;
		}
	}
	if (count && max)
		qsort(ret, count < max ? count : max, sizeof *ret, by_link_id);
	return count;
}

int mesh_peer(const struct mesh *m, const char *id_or_name, struct mesh_peer_info *ret)
{
	const struct mesh_core_peer *found = NULL;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		if (!p->introduced || (strcmp(p->id, id_or_name) != 0 && strcmp(p->name, id_or_name) != 0))
			continue;
		/* Names may repeat, e.g. after a reinstallation: the one that lives is meant. */
		if (!found || found->state == MESH_PEER_DEAD || strcmp(p->id, id_or_name) == 0)
			found = p;
	}
	if (!found)
		return -ENOENT;
	mesh_core_peer_read(time_monotonic_ns(), found, ret);
	return 0;
}

struct ranked {
	const struct mesh_core_link *link;
	struct mesh_link_info info;
};

/* Faster first; among equals (within 20 %) the shorter way. */
static int by_goodput(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	double fast = (double)x->info.up.bps, other = (double)y->info.up.bps;
	if (fast * 1.2 < other || other * 1.2 < fast)
		return fast < other ? 1 : -1;
	return x->info.rtt.p50_us < y->info.rtt.p50_us ? -1 : x->info.rtt.p50_us > y->info.rtt.p50_us;
}

size_t mesh_endpoints(const struct mesh *m, const char *peer_id, struct mesh_endpoint *ret, size_t max)
{
	struct ranked ranked[MESH_MAX_PEER_LINKS];
	size_t count = 0;
	const struct mesh_core_peer *p = mesh_core_peer_find(m->core, peer_id);
	if (!p)
		return 0;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state != MESH_LINK_UP || count == ARRAY_SIZE(ranked))
			continue;
		ranked[count].link = l;
		mesh_core_link_read(time_monotonic_ns(), l, &ranked[count].info);
		count++;
	}
	qsort(ranked, count, sizeof ranked[0], by_goodput);
	for (size_t i = 0; i < count && i < max; i++) {
		ret[i] = (struct mesh_endpoint){ .goodput_bps = ranked[i].info.up.bps };
		memcpy(ret[i].address, ranked[i].info.peer_address, sizeof ret[i].address);
		memcpy(ret[i].link, ranked[i].info.id, sizeof ret[i].link);
		if (IN6_IS_ADDR_LINKLOCAL(&ranked[i].link->address.ip))
			ret[i].scope_id = ranked[i].link->ifindex;
	}
	return count;
}

size_t mesh_graph(const struct mesh *m, struct mesh_graph_node *ret, size_t max)
{
	return mesh_core_graph(m->core, time_monotonic_ns(), ret, max);
}

static unsigned peers_on(const struct mesh *m, unsigned ifindex)
{
	unsigned count = 0;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		bool there = false;
		list_for_each(l, &p->links, struct mesh_core_link, link)
			there = there || (l->ifindex == ifindex && l->state == MESH_LINK_UP);
		count += there;
	}
	return count;
}

size_t mesh_ports(const struct mesh *m, struct mesh_port_info *ret, size_t max)
{
	size_t count = 0;
	list_for_each(i, &m->interfaces, struct mesh_port, link) {
		bool late = i->running && time_monotonic_ns() - i->running_ns > PORT_ANSWERS_NS;
		if (count < max) {
			ret[count] = (struct mesh_port_info){ .thunderbolt = i->domain[0] || i->xdomain[0],
				.present = i->present,
				.up = i->up,
				.carrier = i->carrier,
				.has_address = mesh_port_has_address(i),
				.running = late,
				.mtu = i->mtu,
				.peers = peers_on(m, i->ifindex) };
			memcpy(ret[count].name, i->name, sizeof ret[count].name);
		}
		count++;
	}
	return count;
}

size_t mesh_rings(const struct mesh *m, struct mesh_ring *ret, size_t max)
{
	return mesh_core_rings(m->core, time_monotonic_ns(), ret, max);
}

void mesh_describe(struct mesh *m, unsigned gpus, unsigned cpu_load_percent, uint64_t memory_free_bytes)
{
	mesh_core_describe(m->core, time_monotonic_ns(), gpus, cpu_load_percent, memory_free_bytes);
}

void mesh_totals(const struct mesh *m, struct mesh_totals *ret)
{
	struct mesh_totals t = { .refused = mesh_control_refused(m->control) };
	double best = 0;
	list_for_each(p, mesh_core_peers(m->core), struct mesh_core_peer, link) {
		struct mesh_peer_info info;
		mesh_core_peer_read(time_monotonic_ns(), p, &info);
		if (p->state != MESH_PEER_UP)
			continue;
		t.peers_up++;
		t.links_up += info.links_up;
		/* What routing leads on takes the cables of the others: it adds nothing. */
		if (!p->best || p->best->ifindex || !mesh_core_routed_is(m->core, &p->best->address.ip)) {
			t.up_bps += info.aggregate_up.bps;
			t.down_bps += info.aggregate_down.bps;
		}
		if (info.rtt.samples && (!*t.best_peer || info.rtt.p50_us < best)) {
			best = info.rtt.p50_us;
			memcpy(t.best_peer, info.name, sizeof t.best_peer);
		}
	}
	*ret = t;
}

size_t mesh_best(struct mesh *m, const struct mesh_query *q, struct mesh_candidate *ret, size_t max)
{
	size_t count = mesh_peers(m, NULL, 0), filled = 0;
	struct mesh_peer_info *peers = calloc(count + 1, sizeof *peers);
	struct mesh_score_input *inputs = calloc(count + 1, sizeof *inputs);
	struct mesh_candidate *ranked = calloc(count + 1, sizeof *ranked);
	if (peers && inputs && ranked) {
		mesh_peers(m, peers, count);
		for (size_t i = 0; i < count; i++) {
			inputs[i].peer = peers[i];
			inputs[i].has_facts = q->facts && q->facts(q->facts_ctx, peers[i].id, &inputs[i].facts);
		}
		mesh_score_rank(q, inputs, count, &m->memory[q->criterion], time_monotonic_ns(), ranked);
		filled = count < max ? count : max;
		memcpy(ret, ranked, filled * sizeof *ranked);
	}
	free(peers);
	free(inputs);
	free(ranked);
	return filled ? count : 0;
}
