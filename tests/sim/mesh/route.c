/* Routing between the hosts, as babeld or FRR does it beside the nodes: who shares no cable is reached over the hosts between. It
 * notices what happens to a cable some time later; until then packets go the way that they went. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mesh/world.h"

#define NOTICED_MIN (100 * CORE_MS)
#define NOTICED_MAX (4 * CORE_SECOND)
#define NO_HOP UINT32_MAX
#define TOO_LONG_NS (50 * CORE_MS) /* a way on which an answer may come too late */

static uint32_t *hop(const struct world *w, size_t from, size_t to)
{
	return &w->hops[from * w->node_count + to];
}

struct world_route *world_route(const struct world *w, size_t a, size_t b)
{
	return &w->routes[(a < b ? a : b) * w->node_count + (a < b ? b : a)];
}

void world_route_create(struct world *w)
{
	if (!w->options.routed)
		return;
	w->hops = malloc(w->node_count * w->node_count * sizeof *w->hops);
	w->routes = calloc(w->node_count * w->node_count, sizeof *w->routes);
	assert(w->hops && w->routes);
	memset(w->hops, 0xff, w->node_count * w->node_count * sizeof *w->hops);
}

void world_route_destroy(struct world *w)
{
	free(w->hops);
	free(w->routes);
}

/* What a routing daemon takes for a neighbour: both ways carry something. */
static bool carries(const struct world_cable *c)
{
	return c->plugged && c->carrier && !c->ways[0].cut && !c->ways[1].cut;
}

/* Where a packet gets from one host to another, hop by hop; false: nowhere. */
static bool walk(const struct world *w, size_t from, size_t to, const struct world_cable **ret_cables, size_t *ret_count)
{
	size_t count = 0;
	for (size_t at = from; at != to; count++) {
		uint32_t next = *hop(w, at, to);
		if (next == NO_HOP || count == WORLD_MAX_HOPS)
			return false;
		const struct world_cable *c = &w->cables[next];
		ret_cables[count] = c;
		at = c->ends[c->ends[0].node == at ? 1 : 0].node;
	}
	*ret_count = count;
	return true;
}

bool world_route_carry(struct world *w, size_t from, size_t to, uint64_t *ret_delay_ns)
{
	const struct world_cable *cables[WORLD_MAX_HOPS];
	size_t count, at = from;
	*ret_delay_ns = 0;
	if (!walk(w, from, to, cables, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		unsigned side = cables[i]->ends[0].node == at ? 0 : 1;
		const struct world_way *way = &cables[i]->ways[side];
		if (!cables[i]->plugged || !cables[i]->carrier || way->cut || world_random(w) % 1000000 < way->loss_ppm)
			return false;
		*ret_delay_ns += way->delay_ns + (way->jitter_ns ? world_random(w) % way->jitter_ns : 0);
		at = cables[i]->ends[!side].node;
	}
	return true;
}

static bool cabled(const struct world *w, size_t a, size_t b)
{
	const struct world_node *n = &w->nodes[a];
	for (unsigned i = 0; i < n->port_count; i++) {
		const struct world_cable *c = &w->cables[n->cables[i]];
		if (c->plugged && (c->ends[0].node == b || c->ends[1].node == b))
			return true;
	}
	return false;
}

/* Good: no cable is there, and all between carry nearly all, soon, and all hosts between run a node: it hands on who there is. */
static void judge(struct world *w, size_t a, size_t b)
{
	struct world_route *r = world_route(w, a, b);
	bool whole = true, good = !cabled(w, a, b);
	for (unsigned way = 0; way < 2; way++) {
		const struct world_cable *cables[WORLD_MAX_HOPS];
		size_t count = 0, at = way ? b : a;
		uint64_t worst_ns = 0;
		whole = whole && walk(w, at, way ? a : b, cables, &count);
		for (size_t i = 0; i < count && whole; i++) {
			const struct world_cable *c = cables[i];
			unsigned side = c->ends[0].node == at ? 0 : 1;
			const struct world_node *n = &w->nodes[at];
			whole = c->plugged && c->carrier && !c->ways[side].cut;
			good = good && c->clean_ns && n->core && !n->stopped;
			worst_ns += c->ways[side].delay_ns + c->ways[side].jitter_ns;
			at = c->ends[!side].node;
		}
		good = good && whole && worst_ns <= TOO_LONG_NS;
	}
	r->good_ns = !good ? 0 : r->good_ns ? r->good_ns : w->now_ns;
	r->broken_ns = whole ? 0 : r->broken_ns ? r->broken_ns : w->now_ns;
}

static void judge_all(struct world *w)
{
	for (size_t a = 0; a < w->node_count; a++) {
		for (size_t b = a + 1; b < w->node_count; b++)
			judge(w, a, b);
	}
}

void world_route_changed(struct world *w)
{
	if (!w->options.routed)
		return;
	judge_all(w);
	for (size_t i = 0; i < w->node_count; i++) {
		if (w->nodes[i].route_due)
			continue;
		w->nodes[i].route_due = true;
		world_route_schedule(w, i, w->now_ns + NOTICED_MIN + world_random(w) % (NOTICED_MAX - NOTICED_MIN));
	}
}

/* Each host at its own time: meanwhile one way may be there before the other, and packets may go in circles. */
void world_route_converge(struct world *w, struct world_node *n)
{
	size_t head = 0, tail = 0, *queue = malloc(w->node_count * sizeof *queue);
	assert(queue);
	n->route_due = false;
	for (size_t to = 0; to < w->node_count; to++)
		*hop(w, n->index, to) = NO_HOP;
	queue[tail++] = n->index;
	while (head < tail) {
		const struct world_node *at = &w->nodes[queue[head++]];
		for (unsigned i = 0; i < at->port_count; i++) {
			const struct world_cable *c = &w->cables[at->cables[i]];
			size_t other = c->ends[c->ends[0].node == at->index ? 1 : 0].node;
			if (!carries(c) || other == n->index || *hop(w, n->index, other) != NO_HOP)
				continue;
			*hop(w, n->index, other) = at == n ? (uint32_t)at->cables[i] : *hop(w, n->index, at->index);
			queue[tail++] = other;
		}
	}
	free(queue);
	judge_all(w);
	world_say(w, "routing of host %zu has noticed", n->index);
}
