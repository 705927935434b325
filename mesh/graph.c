#include "mesh/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_RTT_US 1000.0 /* a link counts so much until it is measured */
#define NOBODY SIZE_MAX

/* Links by the index of their neighbour, so that ids are compared once only. */
struct solver {
	struct mesh_graph_node *nodes;
	size_t count;
	size_t *ends; /* [node × MESH_GRAPH_LINKS + link]: neighbour's index, NOBODY */
	bool *done;
};

static int by_id(const void *a, const void *b)
{
	const struct mesh_graph_node *const *x = a, *const *y = b;
	return strcmp((*x)->id, (*y)->id);
}

static int by_distance(const void *a, const void *b)
{
	const struct mesh_graph_node *x = a, *y = b;
	if (x->hops != y->hops)
		return x->hops < y->hops ? -1 : 1;
	int order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->id, y->id);
}

static size_t find(
	const struct mesh_graph_node *const *sorted, size_t count, const struct mesh_graph_node *nodes, const char *id)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(sorted[middle]->id, id);
		if (order == 0)
			return (size_t)(sorted[middle] - nodes);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NOBODY;
}

static bool lists(const struct solver *s, size_t node, size_t neighbour)
{
	for (size_t l = 0; l < s->nodes[node].link_count; l++) {
		if (s->ends[node * MESH_GRAPH_LINKS + l] == neighbour)
			return true;
	}
	return false;
}

static void walk(struct solver *s, size_t start)
{
	s->nodes[start].hops = 0;
	s->nodes[start].path_us = 0;
	for (;;) {
		size_t best = NOBODY;
		for (size_t i = 0; i < s->count; i++) {
			if (!s->done[i] && s->nodes[i].hops != MESH_UNREACHABLE &&
				(best == NOBODY || s->nodes[i].path_us < s->nodes[best].path_us))
				best = i;
		}
		if (best == NOBODY)
			return;
		s->done[best] = true;
		const struct mesh_graph_node *n = &s->nodes[best];
		for (size_t l = 0; l < n->link_count; l++) {
			size_t end = s->ends[best * MESH_GRAPH_LINKS + l];
			/* What is routed goes over these very cables: it is no way of its own. */
			if (!n->links[l].confirmed || s->done[end] || strcmp(n->links[l].interface, MESH_ROUTED) == 0)
				continue;
			double rtt = n->links[l].p50_us > 0 ? n->links[l].p50_us : UNKNOWN_RTT_US;
			struct mesh_graph_node *other = &s->nodes[end];
			if (other->hops != MESH_UNREACHABLE && other->path_us <= n->path_us + rtt)
				continue;
			other->hops = n->hops + 1;
			other->path_us = n->path_us + rtt;
			memcpy(other->via, n->id, sizeof other->via);
		}
	}
}

int mesh_graph_solve(struct mesh_graph_node *nodes, size_t count, const char *from_id)
{
	const struct mesh_graph_node **sorted = calloc(count + 1, sizeof *sorted);
	struct solver s = { .nodes = nodes, .count = count };
	s.ends = calloc(count * MESH_GRAPH_LINKS + 1, sizeof *s.ends);
	s.done = calloc(count + 1, sizeof *s.done);
	int r = sorted && s.ends && s.done ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++) {
		sorted[i] = &nodes[i];
		nodes[i].hops = MESH_UNREACHABLE;
		nodes[i].path_us = 0;
		nodes[i].via[0] = '\0';
	}
	if (r == 0) {
		qsort(sorted, count, sizeof *sorted, by_id);
		for (size_t i = 0; i < count; i++) {
			for (size_t l = 0; l < nodes[i].link_count; l++)
				s.ends[i * MESH_GRAPH_LINKS + l] = find(sorted, count, nodes, nodes[i].links[l].neighbour);
		}
		for (size_t i = 0; i < count; i++) {
			for (size_t l = 0; l < nodes[i].link_count; l++) {
				size_t end = s.ends[i * MESH_GRAPH_LINKS + l];
				nodes[i].links[l].confirmed = end != NOBODY && lists(&s, end, i);
			}
		}
		size_t start = find(sorted, count, nodes, from_id);
		if (start != NOBODY)
			walk(&s, start);
		qsort(nodes, count, sizeof *nodes, by_distance);
	}
	free(sorted);
	free(s.ends);
	free(s.done);
	return r;
}
