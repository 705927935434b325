/* The whole graph on every node: each floods what it knows of its own links; who gets something new passes it on to its
 * other peers until they acknowledge it (as IS-IS does, ISO 10589 §7.3.14-17). A node says something new when its links
 * change, not often when only its measurements do, and once a minute; what nobody repeats is forgotten. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "mesh/core_private.h"
#include "mesh/graph.h"

#define LIFETIME (200 * CORE_SECOND)
#define REFRESH (60 * CORE_SECOND)
#define SETTLE (20 * CORE_MS)            /* what changes together is told together */
#define MEASURED_AGAIN (5 * CORE_SECOND) /* in a mesh of up to MEASURED_NODES; in a greater one less often */
#define MEASURED_NODES 64u
#define CHANGE_COST CORE_SECOND
#define CREDIT_MAX (5 * CHANGE_COST)
#define RESEND (100 * CORE_MS)
#define WINDOW 32u /* statements to one peer under way */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t number_of(const uint8_t id8[8])
{
	uint64_t n;
	memcpy(&n, id8, sizeof n);
	return n;
}

static uint64_t shape_of(const struct mesh_statement *s)
{
	uint64_t sum = s->link_count;
	for (size_t i = 0; i < s->link_count; i++)
		sum += mix(number_of(s->links[i].neighbour));
	return mix(number_of(s->public_key) + mix(s->incarnation) + sum);
}

uint64_t mesh_core_statement_shape(const struct mesh_core_statement *s)
{
	return s->shape;
}

size_t mesh_core_graph_size(const struct mesh_core *c)
{
	return c->graph.count;
}

const struct mesh_core_statement *mesh_core_graph_find(const struct mesh_core *c, const uint8_t id8[8])
{
	struct mesh_core_statement *s = c->graph.buckets[mix(number_of(id8)) % GRAPH_BUCKETS];
	while (s && memcmp(s->id8, id8, sizeof s->id8) != 0)
		s = s->next;
	return s;
}

/* ---- who still lacks it ---- */

static bool wants(const struct mesh_core_statement *s, const struct mesh_core_peer *p)
{
	return s->wanted[p->slot / 64] >> p->slot % 64 & 1;
}

static void want(struct mesh_core_statement *s, struct mesh_core_peer *p)
{
	p->flood_count += !wants(s, p);
	s->wanted[p->slot / 64] |= UINT64_C(1) << p->slot % 64;
}

static void unwant(struct mesh_core_statement *s, struct mesh_core_peer *p)
{
	p->flood_count -= wants(s, p);
	s->wanted[p->slot / 64] &= ~(UINT64_C(1) << p->slot % 64);
}

static void remove_statement(struct mesh_core *c, struct mesh_core_statement *s)
{
	struct mesh_core_statement **at = &c->graph.buckets[mix(number_of(s->id8)) % GRAPH_BUCKETS];
	list_for_each(p, &c->peers, struct mesh_core_peer, link)
		unwant(s, p);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	list_remove(&s->link);
	c->graph.count--;
	free(s);
}

static void send_statement(struct mesh_core *c, const struct mesh_core_peer *p, const struct mesh_core_statement *s)
{
	uint8_t packet[PACKET_MAX_SIZE];
	struct mesh_packet_state m = { .incarnation = c->config.incarnation,
		.age_ms = (c->now_ns - s->said_ns) / CORE_MS,
		.statement = s->bytes,
		.statement_size = s->size };
	memcpy(m.sender, c->id8, sizeof m.sender);
	memcpy(m.target, p->id8, sizeof m.target);
	mesh_core_send_to_peer(c, p, packet, mesh_packet_state_encode(&m, p->pair_key, packet));
}

static struct mesh_core_statement *longest_silent(const struct mesh_core *c)
{
	struct mesh_core_statement *last = list_entry(c->graph.all.prev, struct mesh_core_statement, link);
	bool own = memcmp(last->id8, c->id8, sizeof last->id8) == 0;
	return own ? list_entry(last->link.prev, struct mesh_core_statement, link) : last;
}

/* NULL: no memory. The older one of the same origin goes. */
static struct mesh_core_statement *keep(
	struct mesh_core *c, const struct mesh_statement *s, const void *bytes, size_t size, uint64_t said_ns)
{
	struct mesh_core_graph *g = &c->graph;
	struct mesh_core_statement *old = (struct mesh_core_statement *)mesh_core_graph_find(c, s->public_key);
	struct mesh_core_statement *fresh = malloc(sizeof *fresh + size);
	if (!fresh)
		return NULL;
	if (old)
		remove_statement(c, old);
	else if (g->count >= MESH_MAX_GRAPH)
		remove_statement(c, longest_silent(c));
	*fresh = (struct mesh_core_statement){
		.incarnation = s->incarnation, .seq = s->seq, .said_ns = said_ns, .shape = shape_of(s), .size = size
	};
	memcpy(fresh->id8, s->public_key, sizeof fresh->id8);
	memcpy(fresh->name, s->name, sizeof fresh->name);
	memcpy(fresh->bytes, bytes, size);
	struct mesh_core_statement **bucket = &g->buckets[mix(number_of(fresh->id8)) % GRAPH_BUCKETS];
	fresh->next = *bucket;
	*bucket = fresh;
	list_insert(&g->all, &fresh->link);
	g->count++;
	return fresh;
}

/* from: who needs no copy; NULL none. */
static void pass_on(struct mesh_core *c, struct mesh_core_statement *s, const struct mesh_core_peer *from)
{
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p == from || p->state == MESH_PEER_DEAD)
			continue;
		want(s, p);
		if (p->state != MESH_PEER_UP)
			continue;
		send_statement(c, p, s);
		p->flood_under_way++;
		if (p->flood_ns < c->now_ns + RESEND)
			p->flood_ns = c->now_ns + RESEND;
		c->dirty = true;
	}
}

/* ---- what comes in ---- */

static void acknowledge(struct mesh_core *c, const struct mesh_core_peer *p, const struct mesh_statement *s)
{
	struct mesh_packet_note n = { .kind = NOTE_ACK,
		.incarnation = c->config.incarnation,
		.subject_incarnation = s->incarnation,
		.value = s->seq };
	uint8_t packet[PACKET_NOTE_SIZE];
	memcpy(n.sender, c->id8, sizeof n.sender);
	memcpy(n.target, p->id8, sizeof n.target);
	memcpy(n.subject, s->public_key, sizeof n.subject);
	mesh_packet_note_encode(&n, p->pair_key, packet);
	mesh_core_send_to_peer(c, p, packet, sizeof packet);
}

static void got(struct mesh_core *c, struct mesh_core_peer *p, struct mesh_core_statement *s)
{
	if (!wants(s, p))
		return;
	unwant(s, p);
	if (p->flood_under_way && --p->flood_under_way == 0 && p->flood_count) {
		p->flood_ns = c->now_ns;
		c->dirty = true;
	}
}

void mesh_core_graph_acknowledged(struct mesh_core *c, struct mesh_core_peer *p, const struct mesh_packet_note *n)
{
	struct mesh_core_statement *s = (struct mesh_core_statement *)mesh_core_graph_find(c, n->subject);
	if (s && s->incarnation == n->subject_incarnation && s->seq == n->value)
		got(c, p, s);
}

static int version_order(const struct mesh_statement *a, const struct mesh_core_statement *b)
{
	if (a->incarnation != b->incarnation)
		return a->incarnation < b->incarnation ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

void mesh_core_graph_state(struct mesh_core *c, struct mesh_core_peer *p, const struct mesh_packet_state *m)
{
	struct mesh_statement s;
	if (p->state == MESH_PEER_DEAD || mesh_statement_decode(m->statement, m->statement_size, &s) < 0)
		return;
	struct mesh_core_statement *known = (struct mesh_core_statement *)mesh_core_graph_find(c, s.public_key);
	int order = known ? version_order(&s, known) : 1;
	bool own = memcmp(s.public_key, c->id8, sizeof c->id8) == 0;
	if (order < 0) {
		/* It lags behind; what it lacks goes out at its next turn. */
		want(known, p);
		c->dirty = true;
		return;
	}
	if (order == 0) {
		got(c, p, known);
		acknowledge(c, p, &s);
		return;
	}
	/* Own words that this node never said are a twin's (a cloned disk): its beacons tell so. */
	bool useless = own || m->age_ms >= LIFETIME / CORE_MS;
	if (!useless && !mesh_statement_signed(m->statement, m->statement_size))
		return;
	acknowledge(c, p, &s);
	if (useless)
		return;
	uint64_t said_ns = c->now_ns - m->age_ms * CORE_MS;
	known = keep(c, &s, m->statement, m->statement_size, m->age_ms * CORE_MS < c->now_ns ? said_ns : 0);
	if (known)
		pass_on(c, known, p);
}

void mesh_core_graph_peer_up(struct mesh_core *c, struct mesh_core_peer *p)
{
	list_for_each(s, &c->graph.all, struct mesh_core_statement, link)
		want(s, p);
	p->flood_under_way = 0;
	p->flood_ns = c->now_ns;
	c->dirty = true;
}

void mesh_core_graph_peer_gone(struct mesh_core *c, struct mesh_core_peer *p)
{
	list_for_each(s, &c->graph.all, struct mesh_core_statement, link)
		unwant(s, p);
	assert(p->flood_count == 0);
	p->flood_under_way = 0;
}

/* ---- what this node says ---- */

static uint32_t limited(double value)
{
	return value >= UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void own_facts(const struct mesh_core *c, struct mesh_statement *s)
{
	memset(s, 0, sizeof *s);
	memcpy(s->public_key, c->config.identity.public_key, sizeof s->public_key);
	s->incarnation = c->config.incarnation;
	memcpy(s->name, c->config.name, sizeof s->name);
	s->gpus = c->graph.gpus > UINT16_MAX ? UINT16_MAX : (uint16_t)c->graph.gpus;
	s->cpu_load_percent = c->graph.cpu_load_percent > 100 ? 100 : (uint16_t)c->graph.cpu_load_percent;
	s->memory_free_mib = limited((double)(c->graph.memory_free_bytes >> 20));
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->state == MESH_LINK_DOWN || s->link_count == MESH_GRAPH_LINKS)
				continue;
			struct mesh_statement_link *out = &s->links[s->link_count++];
			struct mesh_link_info info;
			mesh_core_link_read(c->now_ns, l, &info);
			memcpy(out->neighbour, p->id8, sizeof out->neighbour);
			snprintf(out->interface, sizeof out->interface, "%.15s",
				l->ifindex                                         ? info.interface
					: mesh_core_routed_is(c, &l->address.ip) ? MESH_ROUTED
									       : "");
			if (out->interface[0] && !mesh_clean_name(out->interface, sizeof out->interface))
				out->interface[0] = '\0';
			out->state = l->state;
			out->p50_100ns = limited(info.rtt.p50_us * 10);
			out->p99_100ns = limited(info.rtt.p99_us * 10);
			out->up_kbps = limited((double)info.up.bps / 1000);
			out->down_kbps = limited((double)info.down.bps / 1000);
			out->up_source = info.up.source;
			out->down_source = info.down.source;
		}
	}
}

static bool moved(double a, double b, double least)
{
	double difference = fabs(a - b);
	return difference > 0.2 * fmax(a, b) && difference > least;
}

enum news { NEWS_NONE, NEWS_MEASURED, NEWS_LINKS };

static enum news compare(const struct mesh_statement *a, const struct mesh_statement *b)
{
	if (a->link_count != b->link_count || strcmp(a->name, b->name) != 0 || a->gpus != b->gpus)
		return NEWS_LINKS;
	enum news news =
		abs(a->cpu_load_percent - b->cpu_load_percent) > 25 || moved(a->memory_free_mib, b->memory_free_mib, 1024)
		? NEWS_MEASURED
		: NEWS_NONE;
	for (size_t i = 0; i < a->link_count; i++) {
		const struct mesh_statement_link *x = &a->links[i], *y = &b->links[i];
		if (memcmp(x->neighbour, y->neighbour, sizeof x->neighbour) != 0 || strcmp(x->interface, y->interface) != 0)
			return NEWS_LINKS;
		if (x->state != y->state || moved(x->p50_100ns, y->p50_100ns, 500) || moved(x->up_kbps, y->up_kbps, 1) ||
			moved(x->down_kbps, y->down_kbps, 1))
			news = NEWS_MEASURED;
	}
	return news;
}

static void tell(struct mesh_core *c, struct mesh_statement *facts)
{
	struct mesh_core_graph *g = &c->graph;
	uint8_t bytes[STATEMENT_MAX_SIZE];
	facts->seq = ++g->seq;
	size_t size = mesh_statement_encode(facts, c->config.identity.secret_key, bytes);
	struct mesh_core_statement *s = keep(c, facts, bytes, size, c->now_ns);
	*g->told = *facts;
	g->told_ns = c->now_ns;
	g->changed_ns = 0;
	if (s)
		pass_on(c, s, NULL);
}

static void earn(struct mesh_core_graph *g, uint64_t now_ns)
{
	g->credit_ns += now_ns - g->credit_at_ns;
	g->credit_at_ns = now_ns;
	if (g->credit_ns > CREDIT_MAX)
		g->credit_ns = CREDIT_MAX;
}

static void look_at_self(struct mesh_core *c)
{
	struct mesh_core_graph *g = &c->graph;
	uint64_t measured_again = MEASURED_AGAIN * (1 + g->count / MEASURED_NODES);
	struct mesh_statement facts;
	own_facts(c, &facts);
	enum news news = compare(&facts, g->told);
	if (!g->told_ns || (news == NEWS_LINKS && g->credit_ns >= CHANGE_COST)) {
		g->credit_ns -= g->told_ns ? CHANGE_COST : 0;
		tell(c, &facts);
	} else if (news == NEWS_LINKS) {
		g->look_ns = c->now_ns + CHANGE_COST - g->credit_ns;
	} else if (c->now_ns - g->told_ns >= REFRESH ||
		(news == NEWS_MEASURED && c->now_ns - g->told_ns >= measured_again)) {
		tell(c, &facts);
	} else {
		g->look_ns = g->told_ns + (news == NEWS_MEASURED && measured_again < REFRESH ? measured_again : REFRESH);
	}
}

void mesh_core_graph_changed(struct mesh_core *c)
{
	if (!c->graph.changed_ns)
		c->graph.changed_ns = c->now_ns;
	c->dirty = true;
}

void mesh_core_describe(
	struct mesh_core *c, uint64_t now_ns, unsigned gpus, unsigned cpu_load_percent, uint64_t memory_free_bytes)
{
	c->now_ns = now_ns;
	c->graph.gpus = gpus;
	c->graph.cpu_load_percent = cpu_load_percent;
	c->graph.memory_free_bytes = memory_free_bytes;
	mesh_core_graph_changed(c);
}

/* ---- time ---- */

static void send_lacking(struct mesh_core *c, struct mesh_core_peer *p)
{
	unsigned sent = 0;
	list_for_each(s, &c->graph.all, struct mesh_core_statement, link) {
		if (!wants(s, p))
			continue;
		send_statement(c, p, s);
		if (++sent == WINDOW)
			break;
	}
	p->flood_under_way = sent;
	p->flood_ns = c->now_ns + RESEND;
}

static void expire(struct mesh_core *c)
{
	list_for_each_safe(s, &c->graph.all, struct mesh_core_statement, link) {
		if (c->now_ns - s->said_ns >= LIFETIME && memcmp(s->id8, c->id8, sizeof s->id8) != 0)
			remove_statement(c, s);
	}
	c->graph.expire_ns = c->now_ns + CORE_SECOND;
}

void mesh_core_graph_tick(struct mesh_core *c)
{
	struct mesh_core_graph *g = &c->graph;
	earn(g, c->now_ns);
	if (c->now_ns >= g->expire_ns)
		expire(c);
	if (g->changed_ns && c->now_ns >= g->changed_ns + SETTLE) {
		g->changed_ns = 0;
		g->look_ns = c->now_ns;
	}
	if (c->now_ns >= g->look_ns) {
		g->look_ns = c->now_ns + REFRESH;
		look_at_self(c);
	}
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state == MESH_PEER_UP && p->flood_count && c->now_ns >= p->flood_ns)
			send_lacking(c, p);
	}
}

uint64_t mesh_core_graph_next(const struct mesh_core *c)
{
	const struct mesh_core_graph *g = &c->graph;
	uint64_t next = g->expire_ns < g->look_ns ? g->expire_ns : g->look_ns;
	if (g->changed_ns && g->changed_ns + SETTLE < next)
		next = g->changed_ns + SETTLE;
	list_for_each(p, &c->peers, struct mesh_core_peer, link) {
		if (p->state == MESH_PEER_UP && p->flood_count && p->flood_ns < next)
			next = p->flood_ns;
	}
	return next;
}

int mesh_core_graph_init(struct mesh_core *c)
{
	struct mesh_core_graph *g = &c->graph;
	list_init(&g->all);
	g->told = calloc(1, sizeof *g->told);
	g->credit_ns = CREDIT_MAX;
	g->credit_at_ns = g->look_ns = g->expire_ns = c->now_ns;
	return g->told ? 0 : -ENOMEM;
}

void mesh_core_graph_finish(struct mesh_core *c)
{
	list_for_each_safe(s, &c->graph.all, struct mesh_core_statement, link)
		free(s);
	free(c->graph.told);
}

/* ---- reading ---- */

const char *mesh_core_graph_name(const struct mesh_core *c, const uint8_t id8[8])
{
	const struct mesh_core_statement *s = mesh_core_graph_find(c, id8);
	return s ? s->name : NULL;
}

bool mesh_core_graph_adjacent(const struct mesh_core *c, const uint8_t id8[8], const uint8_t neighbour[8])
{
	const struct mesh_core_statement *known = mesh_core_graph_find(c, id8);
	struct mesh_statement s;
	if (!known || mesh_statement_decode(known->bytes, known->size, &s) < 0)
		return false;
	for (size_t i = 0; i < s.link_count; i++) {
		if (memcmp(s.links[i].neighbour, neighbour, sizeof s.links[i].neighbour) == 0)
			return true;
	}
	return false;
}

static void read_node(const struct mesh_core_statement *known, struct mesh_graph_node *ret)
{
	struct mesh_statement s;
	*ret = (struct mesh_graph_node){ .hops = MESH_UNREACHABLE };
	if (mesh_statement_decode(known->bytes, known->size, &s) < 0)
		return; /* it was decoded when it came */
	mesh_id_text(s.public_key, ret->id);
	memcpy(ret->name, s.name, sizeof ret->name);
	ret->incarnation = s.incarnation;
	ret->seq = s.seq;
	ret->gpus = s.gpus;
	ret->cpu_load_percent = s.cpu_load_percent;
	ret->memory_free_bytes = (uint64_t)s.memory_free_mib << 20;
	ret->link_count = s.link_count;
	for (size_t i = 0; i < s.link_count; i++) {
		const struct mesh_statement_link *l = &s.links[i];
		struct mesh_graph_link *out = &ret->links[i];
		mesh_id_text(l->neighbour, out->neighbour);
		memcpy(out->interface, l->interface, sizeof out->interface);
		out->state = l->state;
		out->p50_us = l->p50_100ns / 10.0;
		out->p99_us = l->p99_100ns / 10.0;
		out->up_bps = (uint64_t)l->up_kbps * 1000;
		out->down_bps = (uint64_t)l->down_kbps * 1000;
		out->up_source = l->up_source;
		out->down_source = l->down_source;
	}
}

size_t mesh_core_graph(const struct mesh_core *c, uint64_t now_ns, struct mesh_graph_node *ret, size_t max)
{
	size_t count = 0;
	if (max < c->graph.count)
		return c->graph.count;
	list_for_each(s, &c->graph.all, struct mesh_core_statement, link) {
		read_node(s, &ret[count]);
		ret[count].age_ms = (now_ns - s->said_ns) / CORE_MS;
		count++;
	}
	return mesh_graph_solve(ret, count, c->config.identity.id) < 0 ? 0 : count;
}
