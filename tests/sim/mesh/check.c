/* What must hold, whatever happens. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mesh/world.h"

#define SUSPECT_BOUND (700 * CORE_MS) /* 0.6 s, and the way there and back of what was sent before */
#define DEAD_BOUND (2000 * CORE_MS)
#define VOUCHED_BOUND (CORE_VOUCHED_MAX + DEAD_BOUND)
#define GOOD_BOUND (2 * CORE_SECOND)   /* so long after a way got good it counts as one */
#define FOUND_BOUND (10 * CORE_SECOND) /* flap damping included */
#define ROUTED_SLACK (700 * CORE_MS)   /* what was sent before comes over many cables, each of which may be slow */
#define SILENT_RESTART (20 * CORE_SECOND)

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct pair {
	uint64_t good_ns, clean_ns, broken_ns; /* the best cable; 0: none */
	bool all_broken;
};

/* The cables between two nodes. */
static struct pair look(struct world *w, const struct world_node *a, const struct world_node *b)
{
	struct pair p = { .all_broken = true };
	for (unsigned i = 0; i < a->port_count; i++) {
		const struct world_cable *c = &w->cables[a->cables[i]];
		if (c->ends[0].node != b->index && c->ends[1].node != b->index)
			continue;
		if (c->good_ns && (!p.good_ns || c->good_ns < p.good_ns))
			p.good_ns = c->good_ns;
		if (c->clean_ns && (!p.clean_ns || c->clean_ns < p.clean_ns))
			p.clean_ns = c->clean_ns;
		p.all_broken = p.all_broken && c->broken_ns;
		p.broken_ns = later(p.broken_ns, c->broken_ns);
	}
	uint64_t both_run = later(a->ran_ns, b->ran_ns);
	if (w->options.routed) { /* a good way over others counts only where there is no cable */
		const struct world_route *r = world_route(w, a->index, b->index);
		p.all_broken = p.all_broken && r->broken_ns;
		p.broken_ns = later(p.broken_ns, r->broken_ns);
		p.good_ns = p.good_ns ? p.good_ns : r->good_ns;
		p.clean_ns = p.clean_ns ? p.clean_ns : r->good_ns;
	}
	p.good_ns = p.good_ns ? later(p.good_ns, both_run) : 0;
	p.clean_ns = p.clean_ns ? later(p.clean_ns, both_run) : 0;
	return p;
}

static void check_pair(struct world *w, struct world_node *a, const struct world_node *b)
{
	const struct mesh_core_peer *p = world_peer(a, b->index);
	struct pair pair = look(w, a, b);
	enum mesh_peer_state state = p ? p->state : MESH_PEER_DEAD;
	uint64_t slack_ns = w->options.routed ? ROUTED_SLACK : 0;
	if (p && p->link_count > MESH_MAX_PEER_LINKS)
		world_fail(w, "node %zu keeps %zu links to node %zu", a->index, p->link_count, b->index);
	if (b->gone_ns) {
		uint64_t since = w->now_ns - later(b->gone_ns, a->ran_ns);
		if (since > SUSPECT_BOUND + slack_ns && state == MESH_PEER_UP)
			world_fail(w, "node %zu believes node %zu up, which does not run since %.3f s", a->index, b->index,
				(double)since / 1e9);
		if (since > DEAD_BOUND + slack_ns && state != MESH_PEER_DEAD)
			world_fail(w, "node %zu believes node %zu %s, which does not run since %.3f s", a->index, b->index,
				mesh_peer_state_name(state), (double)since / 1e9);
		return;
	}
	if (pair.all_broken) {
		uint64_t since = w->now_ns -
			later(pair.broken_ns,
				later(a->ran_ns, b->ran_ns)); /* what waited in a stopped process is answered, too */
		if (since > SUSPECT_BOUND + slack_ns && state == MESH_PEER_UP)
			world_fail(w, "node %zu believes node %zu up, no way to it since %.3f s", a->index, b->index,
				(double)since / 1e9);
		if (since > VOUCHED_BOUND + slack_ns && state != MESH_PEER_DEAD)
			world_fail(w, "node %zu believes node %zu %s, no way to it since %.3f s", a->index, b->index,
				mesh_peer_state_name(state), (double)since / 1e9);
	}
	if (pair.good_ns && w->now_ns - pair.good_ns > FOUND_BOUND &&
		(state == MESH_PEER_DEAD || p->incarnation != b->incarnation))
		world_fail(w, "node %zu does not know node %zu, a good way is there since %.3f s", a->index, b->index,
			(double)(w->now_ns - pair.good_ns) / 1e9);
}

void world_check_event(struct world *w, struct world_node *n, const struct mesh_event *e)
{
	if (e->type != MESH_EVENT_PEER_DOWN && e->type != MESH_EVENT_PEER_SUSPECT)
		return;
	for (size_t i = 0; i < w->node_count; i++) {
		const struct world_node *o = &w->nodes[i];
		if (strcmp(o->identity.id, e->peer_id) != 0)
			continue;
		struct pair pair = look(w, n, o);
		const char *why = e->field_count ? e->fields[0].value : "";
		bool excused = strcmp(why, "restarted") == 0 || strcmp(why, "goodbye") == 0 || o->gone_ns || n->stopped;
		uint64_t way_ns = e->type == MESH_EVENT_PEER_DOWN ? pair.good_ns : pair.clean_ns;
		if (!excused && way_ns && w->now_ns - way_ns > GOOD_BOUND)
			world_fail(w, "node %zu says %s of node %zu (%s), which runs, over a good way since %.3f s",
				n->index, e->type_name, i, why, (double)(w->now_ns - way_ns) / 1e9);
		if (strcmp(why, "restarted") == 0 && w->now_ns - o->ran_ns > SILENT_RESTART && pair.good_ns &&
			w->now_ns - pair.good_ns > SILENT_RESTART)
			world_fail(w, "node %zu says that node %zu restarted, which did not", n->index, i);
	}
}

/* Heartbeats, bursts and what is flooded have bounds; what is asked with has its answer. */
void world_check_rate(struct world *w, struct world_node *n)
{
	if (w->now_ns - n->second_ns < CORE_SECOND)
		return;
	size_t ways = w->options.routed ? w->node_count + n->port_count : n->port_count;
	uint64_t most = ways * (400 + 8 * w->node_count) + 200;
	if (n->second_packets > most)
		world_fail(w, "node %zu sent %llu datagrams in a second, %llu are its bound", n->index,
			(unsigned long long)n->second_packets, (unsigned long long)most);
	n->second_ns = w->now_ns;
	n->second_packets = 0;
}

void world_check(struct world *w)
{
	for (size_t i = 0; i < w->node_count && !w->result.failure[0]; i++) {
		struct world_node *n = &w->nodes[i];
		size_t peers = 0;
		if (!n->core || n->stopped)
			continue;
		for (unsigned p = 0; p < n->port_count && !w->options.routed; p++) {
			const struct world_cable *c = &w->cables[n->cables[p]];
			check_pair(w, n, &w->nodes[c->ends[c->ends[0].node == n->index ? 1 : 0].node]);
		}
		for (size_t o = 0; o < w->node_count && w->options.routed; o++) {
			if (o != i)
				check_pair(w, n, &w->nodes[o]);
		}
		list_for_each(p, mesh_core_peers(n->core), struct mesh_core_peer, link)
			peers++;
		if (peers > w->node_count - 1 || mesh_core_graph_size(n->core) > w->node_count)
			world_fail(w, "node %zu keeps %zu peers and %zu statements of %zu nodes", n->index, peers,
				mesh_core_graph_size(n->core), w->node_count);
	}
}

/* What a node says of itself is what its cables are. */
static bool own_view_right(struct world *w, struct world_node *n)
{
	struct mesh_graph_node *all = calloc(w->node_count + 1, sizeof *all);
	size_t count = all ? mesh_core_graph(n->core, world_time(w, n), all, w->node_count) : 0, right = 0, cables = 0,
	       told = 0;
	bool good = count == w->node_count;
	for (unsigned p = 0; p < n->port_count; p++)
		cables += w->cables[n->cables[p]].plugged;
	for (size_t i = 0; i < count && good; i++) {
		good = all[i].hops != MESH_UNREACHABLE && (all[i].hops == 0) == (strcmp(all[i].id, n->identity.id) == 0);
		if (all[i].hops != 0)
			continue;
		for (size_t l = 0; l < all[i].link_count; l++) {
			if (strcmp(all[i].links[l].interface, MESH_ROUTED) == 0)
				continue;
			told++;
			right += all[i].links[l].confirmed;
		}
		good = good && right == told && (right == cables || all[i].link_count == MESH_GRAPH_LINKS);
	}
	free(all);
	return good;
}

/* Each knows each other one, by its cable or over others. */
static bool all_know_all(struct world *w)
{
	for (size_t i = 0; i < w->node_count; i++) {
		for (size_t j = 0; j < w->node_count; j++) {
			const struct mesh_core_peer *p = i == j ? NULL : world_peer(&w->nodes[i], j);
			if (i != j && (!p || p->state != MESH_PEER_UP))
				return false;
		}
	}
	return true;
}

bool world_views_right(struct world *w)
{
	if (w->options.routed && !all_know_all(w))
		return false;
	for (size_t i = 0; i < w->node_count; i++) {
		struct world_node *n = &w->nodes[i];
		/* All others have what it says now … */
		const struct mesh_core_statement *own = mesh_core_graph_find(n->core, n->identity.public_key);
		for (size_t j = 0; j < w->node_count; j++) {
			const struct mesh_core_statement *seen =
				mesh_core_graph_find(w->nodes[j].core, n->identity.public_key);
			if (!own || !seen || mesh_core_statement_shape(own) != mesh_core_statement_shape(seen))
				return false;
		}
	}
	/* … and that is true; of many nodes a few solve the graph. */
	for (size_t i = 0; i < w->node_count; i += 1 + w->node_count / 64) {
		if (!own_view_right(w, &w->nodes[i]))
			return false;
	}
	return true;
}
