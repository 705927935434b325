#include "tests/sim/mesh/world.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define PROBE_NS (100 * CORE_MS)

uint64_t world_random(struct world *w)
{
	uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

size_t world_choose(struct world *w, size_t below)
{
	return (size_t)(world_random(w) % below);
}

void world_fail(struct world *w, const char *format, ...)
{
	va_list args;
	if (w->result.failure[0])
		return;
	int size = snprintf(w->result.failure, sizeof w->result.failure, "at %.3f s: ", (double)w->now_ns / 1e9);
	va_start(args, format);
	vsnprintf(w->result.failure + size, sizeof w->result.failure - (size_t)size, format, args);
	va_end(args);
}

void world_say(const struct world *w, const char *format, ...)
{
	va_list args;
	if (!w->options.verbose)
		return;
	printf("%9.3f  ", (double)w->now_ns / 1e9);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

uint64_t world_time(const struct world *w, const struct world_node *n)
{
	return w->now_ns + n->base_ns;
}

/* ---- the heap of what will happen ---- */

static bool before(const struct world_event *a, const struct world_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct world *w, struct world_event e)
{
	if (w->heap_count == w->heap_size) {
		w->heap_size = w->heap_size ? 2 * w->heap_size : 1024;
		w->heap = realloc(w->heap, w->heap_size * sizeof *w->heap);
		assert(w->heap);
	}
	e.order = ++w->next_order;
	size_t at = w->heap_count++;
	while (at && before(&e, &w->heap[(at - 1) / 2])) {
		w->heap[at] = w->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	w->heap[at] = e;
}

static struct world_event pop(struct world *w)
{
	struct world_event first = w->heap[0], last = w->heap[--w->heap_count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= w->heap_count)
			break;
		if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!before(&w->heap[child], &last))
			break;
		w->heap[at] = w->heap[child];
		at = child;
	}
	if (w->heap_count)
		w->heap[at] = last;
	return first;
}

static void schedule_tick(struct world *w, struct world_node *n, uint64_t at_ns)
{
	if (n->tick_order && n->tick_ns <= at_ns)
		return;
	push(w, (struct world_event){ .at_ns = at_ns, .kind = EVENT_TICK, .node = n->index });
	n->tick_order = w->next_order;
	n->tick_ns = at_ns;
}

void world_route_schedule(struct world *w, size_t node, uint64_t at_ns)
{
	push(w, (struct world_event){ .at_ns = at_ns, .kind = EVENT_ROUTE, .node = node });
}

void world_wake(struct world *w, struct world_node *n)
{
	if (n->core && !n->stopped)
		schedule_tick(w, n, w->now_ns);
}

/* ---- what a core does ---- */

static uint64_t on_random(void *ctx)
{
	return world_random(((struct world_node *)ctx)->world);
}

static void on_clock(void *ctx, int64_t *ret_realtime_ns, int64_t *ret_offset_ns)
{
	const struct world_node *n = ctx;
	*ret_realtime_ns = (int64_t)n->world->now_ns + n->realtime_ns;
	*ret_offset_ns = n->realtime_ns - (int64_t)n->base_ns;
}

static struct world_packet *new_packet(
	size_t node, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size)
{
	struct world_packet *p = malloc(sizeof *p + size);
	assert(p);
	*p = (struct world_packet){ .node = node, .ifindex = ifindex, .from = *from, .size = size };
	memcpy(p->data, data, size);
	return p;
}

void world_inject(
	struct world *w, size_t node, unsigned ifindex, const struct mesh_core_address *from, const void *data, size_t size)
{
	struct world_packet *p = new_packet(node, ifindex, from, data, size);
	push(w, (struct world_event){ .at_ns = w->now_ns, .kind = EVENT_PACKET, .node = node, .packet = p });
}

static void record(struct world *w, const struct world_packet *p)
{
	struct world_packet **slot = &w->recorded[w->next_recorded];
	w->next_recorded = (w->next_recorded + 1) % WORLD_RECORDED;
	free(*slot);
	*slot = new_packet(p->node, p->ifindex, &p->from, p->data, p->size);
}

static void count_sent(struct world_node *n, size_t size)
{
	n->packets++;
	n->bytes += size;
	n->second_packets++;
	n->world->result.packets++;
}

static void fly(struct world *w, const struct world_way *way, const struct world_end *from, const struct world_end *to,
	const void *data, size_t size)
{
	uint64_t delay = way->delay_ns + (way->jitter_ns ? world_random(w) % way->jitter_ns : 0);
	struct world_packet *p =
		new_packet(to->node, to->ifindex, &(struct mesh_core_address){ from->ip, 5000 }, data, size);
	if (world_random(w) % 64 == 0)
		record(w, p);
	push(w, (struct world_event){ .at_ns = w->now_ns + delay, .kind = EVENT_PACKET, .node = to->node, .packet = p });
}

static int send_routed(struct world_node *n, const struct in6_addr *local, const struct mesh_core_address *to,
	const void *data, size_t size)
{
	struct world *w = n->world;
	uint64_t delay_ns;
	size_t other = 0;
	while (other < w->node_count) {
		struct in6_addr ip = mesh_core_routed_address(n->core, w->nodes[other].identity.public_key);
		if (memcmp(&ip, &to->ip, sizeof ip) == 0)
			break;
		other++;
	}
	if (other == w->node_count)
		return -ENETUNREACH;
	count_sent(n, size);
	if (!world_route_carry(w, n->index, other, &delay_ns))
		return 0;
	/* Where the node has no wish, the kernel takes the one address that fits. */
	struct mesh_core_address from = {
		IN6_IS_ADDR_UNSPECIFIED(local) ? mesh_core_routed_address(n->core, n->identity.public_key) : *local, 5000
	};
	struct world_packet *p = new_packet(other, 0, &from, data, size);
	if (world_random(w) % 64 == 0)
		record(w, p);
	push(w, (struct world_event){ .at_ns = w->now_ns + delay_ns, .kind = EVENT_PACKET, .node = other, .packet = p });
	return 0;
}

static int on_send(void *ctx, unsigned ifindex, const struct in6_addr *local, const struct mesh_core_address *to,
	const void *data, size_t size)
{
	struct world_node *n = ctx;
	struct world *w = n->world;
	unsigned port = (ifindex - 1) % 64;
	if (!ifindex && w->options.routed)
		return send_routed(n, local, to, data, size);
	if (!ifindex || port >= n->port_count)
		return -ENODEV;
	struct world_cable *c = &w->cables[n->cables[port]];
	unsigned side = c->ends[0].node == n->index && c->ends[0].port == port ? 0 : 1;
	const struct world_end *from = &c->ends[side], *other = &c->ends[!side];
	const struct world_way *way = &c->ways[side];
	if (from->ifindex != ifindex || !c->plugged)
		return -ENODEV;
	count_sent(n, size);
	if (!c->carrier || way->cut || (to && memcmp(&to->ip, &other->ip, sizeof other->ip) != 0) ||
		world_random(w) % 1000000 < way->loss_ppm)
		return 0;
	fly(w, way, from, other, data, size);
	if (world_random(w) % 1000000 < way->twice_ppm)
		fly(w, way, from, other, data, size);
	return 0;
}

static void on_peer(void *ctx, const struct mesh_core_peer *p)
{
	(void)ctx, (void)p;
}

static void on_recheck(void *ctx)
{
	(void)ctx;
}

static size_t index_of(const struct world *w, const char *id)
{
	for (size_t i = 0; i < w->node_count; i++) {
		if (strcmp(w->nodes[i].identity.id, id) == 0)
			return i;
	}
	return SIZE_MAX;
}

static void on_probe(void *ctx, const struct mesh_core_peer *p)
{
	struct world_node *n = ctx;
	struct world *w = n->world;
	push(w,
		(struct world_event){
			.at_ns = w->now_ns + PROBE_NS, .kind = EVENT_PROBE, .node = n->index, .other = index_of(w, p->id) });
}

static void on_pinged(void *ctx, uint64_t token, int64_t rtt_ns)
{
	(void)ctx, (void)token, (void)rtt_ns;
}

static void on_event(void *ctx, const struct mesh_event *e)
{
	struct world_node *n = ctx;
	if (n->world->options.verbose)
		world_say(n->world, "node %zu: %s %s %s", n->index, e->type_name, e->subject,
			e->field_count ? e->fields[0].value : "");
	world_check_event(n->world, n, e);
}

static void on_warning(void *ctx, const char *subject, const char *text)
{
	const struct world_node *n = ctx;
	/* Who replays a node's beacons to itself makes it believe in a twin or a loop: it may say so, no more. */
	world_say(n->world, "node %zu: warning: %s: %s", n->index, subject, text);
}

static const struct mesh_core_ops ops = { on_random, on_clock, on_send, on_peer, on_peer, on_peer, on_peer, on_probe,
	on_recheck, on_pinged, on_event, on_warning };

/* ---- hosts and cables ---- */

void world_judge_cable(struct world *w, struct world_cable *c)
{
	bool whole = c->plugged && c->carrier && !c->ways[0].cut && !c->ways[1].cut, good = whole, clean = whole;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t worst = c->ways[i].delay_ns + c->ways[i].jitter_ns;
		good = good && c->ways[i].loss_ppm <= 50000 && worst <= 50 * CORE_MS;
		clean = clean && c->ways[i].loss_ppm == 0 && worst <= 50 * CORE_MS;
	}
	c->good_ns = !good ? 0 : c->good_ns ? c->good_ns : w->now_ns;
	c->clean_ns = !clean ? 0 : c->clean_ns ? c->clean_ns : w->now_ns;
	c->broken_ns = whole ? 0 : c->broken_ns ? c->broken_ns : w->now_ns;
	world_route_changed(w);
}

static void name_end(struct world_end *e)
{
	e->ifindex = e->port + 1 + 64 * e->plugs;
	e->ip = (struct in6_addr){ { { 0xfe, 0x80 } } };
	memcpy(e->ip.s6_addr + 8, &(uint32_t){ (uint32_t)e->node }, 4);
	memcpy(e->ip.s6_addr + 12, &(uint32_t){ e->ifindex }, 4);
}

static void tell_end(struct world *w, const struct world_cable *c, unsigned side)
{
	const struct world_end *e = &c->ends[side];
	struct world_node *n = &w->nodes[e->node];
	char name[16];
	struct mesh_interface i = { .ifindex = e->ifindex, .name = name, .domain = "0000:00:0d.2", .xdomain = "0-1" };
	if (!n->core)
		return;
	snprintf(name, sizeof name, "tb%u", e->port);
	if (mesh_core_interface_set(n->core, world_time(w, n), &i) < 0)
		world_fail(w, "node %zu takes no interface", n->index);
	mesh_core_interface_running(n->core, world_time(w, n), e->ifindex, c->carrier ? &e->ip : NULL, "no carrier");
	world_wake(w, n);
}

void world_plug(struct world *w, struct world_cable *c)
{
	if (c->plugged)
		return;
	c->plugged = c->carrier = true;
	for (unsigned i = 0; i < 2; i++) {
		c->ends[i].plugs++;
		name_end(&c->ends[i]);
	}
	for (unsigned i = 0; i < 2; i++)
		tell_end(w, c, i);
	world_judge_cable(w, c);
}

void world_pull(struct world *w, struct world_cable *c)
{
	if (!c->plugged)
		return;
	c->plugged = false;
	world_judge_cable(w, c);
	for (unsigned i = 0; i < 2; i++) {
		struct world_node *n = &w->nodes[c->ends[i].node];
		if (!n->core)
			continue;
		mesh_core_interface_remove(n->core, world_time(w, n), c->ends[i].ifindex, "the cable was pulled");
		world_wake(w, n);
	}
}

void world_carrier(struct world *w, struct world_cable *c, bool on)
{
	if (!c->plugged || c->carrier == on)
		return;
	c->carrier = on;
	world_judge_cable(w, c);
	for (unsigned i = 0; i < 2; i++) {
		struct world_node *n = &w->nodes[c->ends[i].node];
		if (!n->core)
			continue;
		mesh_core_interface_running(
			n->core, world_time(w, n), c->ends[i].ifindex, on ? &c->ends[i].ip : NULL, "no carrier");
		world_wake(w, n);
	}
}

void world_start(struct world *w, struct world_node *n)
{
	if (n->core)
		return;
	n->incarnation++;
	struct mesh_core_config config = { .identity = n->identity,
		.key = w->key,
		.incarnation = n->incarnation,
		.control_port = (uint16_t)(3000 + n->incarnation) };
	snprintf(config.name, sizeof config.name, "n%zu", n->index);
	n->core = mesh_core_create(&config, &ops, n, world_time(w, n));
	assert(n->core);
	n->stopped = false;
	n->ran_ns = w->now_ns;
	n->gone_ns = 0;
	for (unsigned p = 0; p < n->port_count; p++) {
		const struct world_cable *c = &w->cables[n->cables[p]];
		if (c->plugged)
			tell_end(w, c, c->ends[0].node == n->index && c->ends[0].port == p ? 0 : 1);
	}
	world_wake(w, n);
	world_route_changed(w);
}

static void drop_inbox(struct world_node *n)
{
	while (n->inbox) {
		struct world_packet *p = n->inbox;
		n->inbox = p->next;
		free(p);
	}
	n->inbox_count = 0;
}

void world_kill(struct world *w, struct world_node *n, bool goodbye)
{
	if (!n->core)
		return;
	if (goodbye && !n->stopped)
		mesh_core_leave(n->core, world_time(w, n));
	mesh_core_destroy(n->core);
	n->core = NULL;
	n->gone_ns = n->gone_ns ? n->gone_ns : w->now_ns;
	n->tick_order = 0;
	drop_inbox(n);
	world_route_changed(w);
}

void world_stop(struct world *w, struct world_node *n)
{
	if (!n->core || n->stopped)
		return;
	n->stopped = true;
	n->gone_ns = w->now_ns;
	n->tick_order = 0;
	world_route_changed(w);
}

void world_continue(struct world *w, struct world_node *n)
{
	if (!n->core || !n->stopped)
		return;
	n->stopped = false;
	n->gone_ns = 0;
	n->ran_ns = w->now_ns;
	while (n->inbox) {
		struct world_packet *p = n->inbox;
		n->inbox = p->next;
		push(w, (struct world_event){ .at_ns = w->now_ns, .kind = EVENT_PACKET, .node = n->index, .packet = p });
	}
	n->inbox_count = 0;
	world_wake(w, n);
	world_route_changed(w);
}

struct mesh_core_peer *world_peer(struct world_node *n, size_t other)
{
	const struct world_node *o = &n->world->nodes[other];
	list_for_each(p, mesh_core_peers(n->core), struct mesh_core_peer, link) {
		if (memcmp(p->public_key, o->identity.public_key, sizeof p->public_key) == 0)
			return p;
	}
	return NULL;
}

/* ---- shape ---- */

static bool connect_nodes(struct world *w, size_t a, size_t b)
{
	struct world_node *nodes[2] = { &w->nodes[a], &w->nodes[b] };
	if (a == b || nodes[0]->port_count == WORLD_MAX_PORTS || nodes[1]->port_count == WORLD_MAX_PORTS)
		return false;
	w->cables = realloc(w->cables, (w->cable_count + 1) * sizeof *w->cables);
	assert(w->cables);
	struct world_cable *c = &w->cables[w->cable_count];
	*c = (struct world_cable){ .rate_bps = { 20000000000, 10000000000 } };
	for (unsigned i = 0; i < 2; i++) {
		struct world_node *n = nodes[i];
		c->ends[i] = (struct world_end){ .node = n->index, .port = n->port_count };
		c->ways[i].delay_ns = 40000;
		c->ways[i].jitter_ns = 20000;
		n->cables[n->port_count++] = w->cable_count;
	}
	w->cable_count++;
	return true;
}

static void connect_all(struct world *w)
{
	size_t count = w->node_count, side = (size_t)ceil(sqrt((double)count));
	for (size_t i = 1; i < count; i++) {
		switch (w->options.topology) {
		case TOPOLOGY_RING:
		case TOPOLOGY_LINE:
			connect_nodes(w, i - 1, i);
			break;
		case TOPOLOGY_GRID:
			if (i % side)
				connect_nodes(w, i - 1, i);
			if (i >= side)
				connect_nodes(w, i - side, i);
			break;
		case TOPOLOGY_RANDOM: {
			size_t other = world_choose(w, i);
			connect_nodes(w, other, i);
			if (world_choose(w, 4) == 0) /* two cables */
				connect_nodes(w, other, i);
			if (world_choose(w, 2) == 0)
				connect_nodes(w, world_choose(w, i), i);
			break;
		}
		case TOPOLOGY_FULL:
			for (size_t j = 0; j < i; j++)
				connect_nodes(w, j, i);
			break;
		}
	}
	if (w->options.topology == TOPOLOGY_RING && count > 2)
		connect_nodes(w, count - 1, 0);
}

static void make_identity(struct world *w, struct mesh_identity *i)
{
	uint8_t seed[crypto_sign_ed25519_SEEDBYTES];
	for (size_t b = 0; b < sizeof seed; b += 8)
		memcpy(seed + b, &(uint64_t){ world_random(w) }, 8);
	crypto_sign_ed25519_seed_keypair(i->public_key, i->secret_key, seed);
	if (mesh_identity_public(i->public_key, i->id, i->curve_public) < 0)
		world_fail(w, "no identity");
}

void world_create(struct world *w, const struct world_options *options)
{
	*w = (struct world){ .options = *options, .random = options->seed * UINT64_C(0xd1342543de82ef95) + 1 };
	w->key.bytes[0] = 7;
	w->node_count = options->nodes;
	w->nodes = calloc(w->node_count, sizeof *w->nodes);
	assert(w->nodes);
	for (size_t i = 0; i < w->node_count; i++) {
		struct world_node *n = &w->nodes[i];
		n->world = w;
		n->index = i;
		n->incarnation = 1000;
		n->base_ns = CORE_SECOND + world_random(w) % (100000 * CORE_SECOND); /* nobody booted at the same time */
		n->realtime_ns = (int64_t)(world_random(w) % (3600 * CORE_SECOND));  /* and nobody's clocks agree */
		make_identity(w, &n->identity);
	}
	connect_all(w);
	world_route_create(w);
	w->now_ns = CORE_SECOND;
	for (size_t i = 0; i < w->cable_count; i++)
		world_plug(w, &w->cables[i]);
	for (size_t i = 0; i < w->node_count; i++)
		world_start(w, &w->nodes[i]);
}

void world_destroy(struct world *w)
{
	for (size_t i = 0; i < w->node_count; i++) {
		mesh_core_destroy(w->nodes[i].core);
		drop_inbox(&w->nodes[i]);
	}
	for (size_t i = 0; i < w->heap_count; i++) {
		if (w->heap[i].kind == EVENT_PACKET)
			free(w->heap[i].packet);
	}
	for (size_t i = 0; i < WORLD_RECORDED; i++)
		free(w->recorded[i]);
	world_route_destroy(w);
	free(w->heap);
	free(w->cables);
	free(w->nodes);
}

/* ---- time ---- */

static void deliver(struct world *w, struct world_packet *p)
{
	struct world_node *n = &w->nodes[p->node];
	bool there = p->ifindex == 0;
	for (unsigned i = 0; i < n->port_count && !there; i++) {
		const struct world_cable *c = &w->cables[n->cables[i]];
		for (unsigned side = 0; side < 2; side++)
			there = there ||
				(c->plugged && c->ends[side].node == p->node && c->ends[side].ifindex == p->ifindex);
	}
	if (!n->core || !there || (n->stopped && n->inbox_count == WORLD_INBOX)) {
		free(p);
		return;
	}
	if (n->stopped) {
		p->next = n->inbox;
		n->inbox = p;
		n->inbox_count++;
		return;
	}
	if (mesh_core_packet(
		    n->core, world_time(w, n), p->ifindex, &p->from, p->data, p->size, (int64_t)w->now_ns + n->realtime_ns))
		world_wake(w, n);
	free(p);
}

static void tick(struct world *w, struct world_node *n)
{
	n->tick_order = 0;
	uint64_t next = mesh_core_tick(n->core, world_time(w, n)) - n->base_ns;
	schedule_tick(w, n, next > w->now_ns ? next : w->now_ns + CORE_MS); /* timers have no finer grain */
}

static void probed(struct world *w, size_t asker, size_t other)
{
	size_t both[2] = { asker, other };
	for (unsigned i = 0; i < 2 && other != SIZE_MAX; i++) {
		struct world_node *n = &w->nodes[both[i]];
		struct mesh_core_peer *p = n->core && !n->stopped ? world_peer(n, both[!i]) : NULL;
		struct mesh_core_probe_rate rates[MESH_MAX_PEER_LINKS];
		size_t count = 0;
		if (!p)
			continue;
		list_for_each(l, &p->links, struct mesh_core_link, link) {
			if (l->state == MESH_LINK_UP && count < MESH_MAX_PEER_LINKS)
				rates[count++] =
					(struct mesh_core_probe_rate){ l->local, l->address.ip, 20000000000, 10000000000 };
		}
		mesh_core_probe_done(n->core, world_time(w, n), p, rates, count, 25000000000, 15000000000, PROBE_NS, false);
		world_wake(w, n);
	}
}

void world_run(struct world *w, uint64_t until_ns)
{
	while (!w->result.failure[0] && w->heap_count && w->heap[0].at_ns <= until_ns) {
		struct world_event e = pop(w);
		struct world_node *n = &w->nodes[e.node];
		w->now_ns = e.at_ns > w->now_ns ? e.at_ns : w->now_ns;
		w->result.events++;
		switch (e.kind) {
		case EVENT_TICK:
			if (n->core && !n->stopped && n->tick_order == e.order)
				tick(w, n);
			break;
		case EVENT_PACKET:
			deliver(w, e.packet);
			break;
		case EVENT_PROBE:
			probed(w, e.node, e.other);
			break;
		case EVENT_ROUTE:
			world_route_converge(w, n);
			break;
		}
		world_check_rate(w, n);
	}
	if (until_ns > w->now_ns)
		w->now_ns = until_ns;
}
