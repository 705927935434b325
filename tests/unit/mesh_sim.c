#include "tests/unit/mesh_sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

static uint64_t next_random(struct sim *s)
{
	/* splitmix64 */
	uint64_t z = s->seed += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t on_random(void *ctx)
{
	return next_random(((struct sim_node *)ctx)->sim);
}

static void on_clock(void *ctx, int64_t *ret_realtime_ns, int64_t *ret_offset_ns)
{
	const struct sim_node *n = ctx;
	*ret_realtime_ns = (int64_t)n->sim->now_ns + n->realtime_ns;
	*ret_offset_ns = n->realtime_ns;
}

/* Over hosts between, as long as s->routed says so. */
static int send_routed(struct sim_node *n, const struct mesh_core_address *to, const void *data, size_t size)
{
	struct sim *s = n->sim;
	for (size_t i = 0; i < s->node_count; i++) {
		struct sim_node *other = &s->nodes[i];
		struct in6_addr ip = mesh_core_routed_address(n->core, other->identity.public_key);
		if (memcmp(&ip, &to->ip, sizeof ip) != 0 || !s->routed[n->index][i])
			continue;
		assert(s->flying_count < SIM_MAX_FLYING);
		struct sim_packet *p = &s->flying[s->flying_count++];
		*p = (struct sim_packet){ .at_ns = s->now_ns + 100000, .to = { .node = other }, .size = size };
		p->from = (struct mesh_core_address){ mesh_core_routed_address(n->core, n->identity.public_key), 5000 };
		memcpy(p->data, data, size);
		return 0;
	}
	return -EHOSTUNREACH;
}

static int on_send(void *ctx, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to,
	const void *data, size_t size)
{
	struct sim_node *n = ctx;
	struct sim *s = n->sim;
	(void)local;
	if (!ifindex)
		return send_routed(n, to, data, size);
	n->packets_sent++;
	for (size_t c = 0; c < s->cable_count; c++) {
		struct sim_cable *cable = &s->cables[c];
		for (unsigned e = 0; e < 2; e++) {
			const struct sim_end *from = &cable->ends[e], *other = &cable->ends[!e];
			if (from->node != n || from->ifindex != ifindex)
				continue;
			s->packets++;
			if (cable->cut || (cable->lose_every && s->packets % cable->lose_every == 0) ||
				(to && memcmp(&to->ip, &other->ip, sizeof other->ip) != 0))
				return 0;
			assert(s->flying_count < SIM_MAX_FLYING);
			struct sim_packet *p = &s->flying[s->flying_count++];
			*p = (struct sim_packet){
				.at_ns = s->now_ns + cable->delay_ns, .to = *other, .from = { from->ip, 5000 }, .size = size
			};
			memcpy(p->data, data, size);
			return 0;
		}
	}
	return -ENODEV;
}

static void on_admit(void *ctx, const struct mesh_core_peer *p)
{
	(void)p;
	((struct sim_node *)ctx)->admitted++;
}

static void on_expel(void *ctx, const struct mesh_core_peer *p)
{
	(void)p;
	((struct sim_node *)ctx)->expelled++;
}

static void on_restarted(void *ctx, const struct mesh_core_peer *p)
{
	(void)p;
	((struct sim_node *)ctx)->restarted++;
}

static void on_route(void *ctx, const struct mesh_core_peer *p)
{
	(void)p;
	((struct sim_node *)ctx)->routes++;
}

static void on_probe(void *ctx, const struct mesh_core_peer *p)
{
	struct sim_node *n = ctx;
	n->probing = (struct mesh_core_peer *)p;
	n->probes++;
}

static void on_recheck(void *ctx)
{
	(void)ctx;
}

static void on_pinged(void *ctx, uint64_t token, int64_t rtt_ns)
{
	(void)ctx, (void)token, (void)rtt_ns;
}

static void on_event(void *ctx, const struct mesh_event *e)
{
	struct sim_node *n = ctx;
	assert(n->event_count < SIM_MAX_EVENTS);
	struct sim_event *to = &n->events[n->event_count++];
	*to = (struct sim_event){ .at_ns = e->monotonic_ns, .type = e->type };
	snprintf(to->subject, sizeof to->subject, "%s", e->subject);
	for (size_t f = 0; f < e->field_count; f++) {
		if (strcmp(e->fields[f].name, "reason") == 0)
			snprintf(to->reason, sizeof to->reason, "%s", e->fields[f].value);
	}
}

static void on_warning(void *ctx, const char *subject, const char *text)
{
	(void)subject, (void)text;
	((struct sim_node *)ctx)->warnings++;
}

static const struct mesh_core_ops ops = { on_random, on_clock, on_send, on_admit, on_expel, on_restarted, on_route, on_probe,
	on_recheck, on_pinged, on_event, on_warning };

void sim_init(struct sim *s, uint64_t seed)
{
	assert(sodium_init() >= 0);
	memset(s, 0, sizeof *s);
	s->seed = seed;
	s->now_ns = 1000 * CORE_SECOND;
	s->residence_ns = 20000;
}

void sim_finish(struct sim *s)
{
	for (size_t i = 0; i < s->node_count; i++)
		mesh_core_destroy(s->nodes[i].core);
}

static void start(struct sim *s, struct sim_node *n, const struct mesh_core_config *config)
{
	n->core = mesh_core_create(config, &ops, n, s->now_ns);
	assert(n->core);
	n->next_ns = s->now_ns;
}

struct sim_node *sim_node(struct sim *s, const char *name, const struct mesh_key *key)
{
	struct sim_node *n = &s->nodes[s->node_count];
	struct mesh_core_config config = { .key = *key, .incarnation = 1000, .control_port = 4000 };
	n->sim = s;
	n->index = (unsigned)s->node_count++;
	assert(mesh_identity_create(&n->identity) == 0);
	config.identity = n->identity;
	snprintf(config.name, sizeof config.name, "%s", name);
	n->realtime_ns = (int64_t)(next_random(s) % (3600 * CORE_SECOND)); /* nobody's clocks agree */
	start(s, n, &config);
	return n;
}

static void plug_end(struct sim *s, struct sim_end *e)
{
	char name[16];
	struct mesh_interface i = { .ifindex = e->ifindex, .name = name, .domain = "0000:00:0d.2", .xdomain = "0-1" };
	snprintf(name, sizeof name, "tb%u", e->ifindex % 100);
	assert(mesh_core_interface_set(e->node->core, s->now_ns, &i) == 0);
	mesh_core_interface_running(e->node->core, s->now_ns, e->ifindex, &e->ip, "");
	e->node->next_ns = s->now_ns;
}

void sim_plug(struct sim *s, struct sim_cable *c)
{
	for (unsigned e = 0; e < 2; e++)
		plug_end(s, &c->ends[e]);
}

struct sim_cable *sim_cable(struct sim *s, struct sim_node *a, struct sim_node *b)
{
	struct sim_cable *c = &s->cables[s->cable_count++];
	struct sim_node *nodes[2] = { a, b };
	c->delay_ns = 50000;
	for (unsigned e = 0; e < 2; e++) {
		c->ends[e] = (struct sim_end){ .node = nodes[e], .ifindex = (unsigned)s->cable_count };
		c->ends[e].ip = (struct in6_addr){
			{ { 0xfe, 0x80, [14] = (uint8_t)s->cable_count, [15] = (uint8_t)(nodes[e]->index + 1) } }
		};
	}
	sim_plug(s, c);
	return c;
}

void sim_carrier(struct sim *s, struct sim_cable *c, bool on)
{
	c->cut = !on;
	for (unsigned e = 0; e < 2; e++) {
		mesh_core_interface_running(
			c->ends[e].node->core, s->now_ns, c->ends[e].ifindex, on ? &c->ends[e].ip : NULL, "no carrier");
		c->ends[e].node->next_ns = s->now_ns;
	}
}

void sim_pull(struct sim *s, struct sim_cable *c)
{
	for (unsigned e = 0; e < 2; e++) {
		mesh_core_interface_remove(c->ends[e].node->core, s->now_ns, c->ends[e].ifindex, "the cable was pulled");
		c->ends[e].node->next_ns = s->now_ns;
		c->ends[e].ifindex += 100; /* the kernel never gives an index twice */
	}
}

void sim_restart(struct sim *s, struct sim_node *n, uint64_t incarnation)
{
	struct mesh_core_config config = { .identity = n->identity, .incarnation = incarnation, .control_port = 4001 };
	struct mesh_key key = { { 7 } };
	config.key = key;
	snprintf(config.name, sizeof config.name, "n%u", n->index);
	mesh_core_destroy(n->core);
	start(s, n, &config);
	for (size_t c = 0; c < s->cable_count; c++) {
		for (unsigned e = 0; e < 2; e++) {
			if (s->cables[c].ends[e].node == n)
				plug_end(s, &s->cables[c].ends[e]);
		}
	}
}

/* The earliest packet whose receiver runs; SIZE_MAX none. */
static size_t earliest(const struct sim *s)
{
	size_t best = SIZE_MAX;
	for (size_t i = 0; i < s->flying_count; i++) {
		if (!s->flying[i].to.node->stopped && (best == SIZE_MAX || s->flying[i].at_ns < s->flying[best].at_ns))
			best = i;
	}
	return best;
}

static void deliver(struct sim *s, size_t i)
{
	struct sim_packet p = s->flying[i];
	struct sim_node *n = p.to.node;
	s->flying[i] = s->flying[--s->flying_count];
	uint64_t arrived = p.at_ns > s->now_ns ? p.at_ns : s->now_ns;
	s->now_ns = arrived + s->residence_ns;
	if (mesh_core_packet(n->core, s->now_ns, p.to.ifindex, &p.from, p.data, p.size, (int64_t)p.at_ns + n->realtime_ns))
		n->next_ns = s->now_ns;
}

void sim_run(struct sim *s, uint64_t duration_ns)
{
	uint64_t end = s->now_ns + duration_ns;
	for (;;) {
		struct sim_node *next = NULL;
		size_t packet = earliest(s);
		for (size_t i = 0; i < s->node_count; i++) {
			if (!s->nodes[i].stopped && (!next || s->nodes[i].next_ns < next->next_ns))
				next = &s->nodes[i];
		}
		uint64_t packet_ns = packet == SIZE_MAX ? UINT64_MAX : s->flying[packet].at_ns,
			 tick_ns = next ? next->next_ns : UINT64_MAX;
		if ((packet_ns < tick_ns ? packet_ns : tick_ns) >= end)
			break;
		if (packet_ns <= tick_ns) {
			deliver(s, packet);
			continue;
		}
		if (tick_ns > s->now_ns)
			s->now_ns = tick_ns;
		next->next_ns = mesh_core_tick(next->core, s->now_ns);
		if (next->next_ns <= s->now_ns)
			next->next_ns = s->now_ns + CORE_MS; /* timers have no finer grain */
	}
	if (end > s->now_ns)
		s->now_ns = end;
}

const struct sim_event *sim_event(const struct sim_node *n, enum mesh_event_type type, uint64_t since_ns)
{
	for (size_t i = 0; i < n->event_count; i++) {
		if (n->events[i].type == type && n->events[i].at_ns >= since_ns)
			return &n->events[i];
	}
	return NULL;
}

struct mesh_core_peer *sim_peer(struct sim_node *n, const struct sim_node *other)
{
	return mesh_core_peer_find(n->core, other->identity.id);
}
