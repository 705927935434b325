/* One run: start, trouble, repair, a pulled cable, peace. */
#include <stdlib.h>

#include "tests/sim/mesh/world.h"

#define STEP (50 * CORE_MS)
#define VIEWS_BOUND (20 * CORE_SECOND)
#define TROUBLE_EVERY (200 * CORE_MS)
#define BIG 64u /* nodes, from where on looking costs more than running */

static bool right_within(struct world *w, uint64_t bound_ns, uint64_t *ret_ns)
{
	uint64_t start = w->now_ns, step = w->node_count > BIG ? 5 * STEP : STEP / 5;
	while (!w->result.failure[0] && w->now_ns - start <= bound_ns) {
		if (world_views_right(w)) {
			*ret_ns = w->now_ns - start;
			return true;
		}
		world_run(w, w->now_ns + step);
		world_check(w);
	}
	return false;
}

static void trouble(struct world *w)
{
	uint64_t end = w->now_ns + w->options.trouble_ns;
	/* As often for each node, however many there are. */
	uint64_t every = TROUBLE_EVERY * 16 / (w->node_count < 16 ? 16 : w->node_count);
	uint64_t next = w->now_ns, check = w->now_ns;
	while (!w->result.failure[0] && w->now_ns < end) {
		if (w->now_ns >= next) {
			world_trouble(w);
			next = w->now_ns + world_random(w) % (2 * every);
		}
		if (w->now_ns >= check) {
			world_check(w);
			check = w->now_ns + (w->node_count > BIG ? 10 * STEP : STEP);
		}
		world_run(w, next < check ? next : check);
	}
}

/* Whether all nodes stay connected without that cable. */
static bool spare(const struct world *w, size_t without)
{
	bool *reached = calloc(w->node_count, sizeof *reached);
	bool more = reached != NULL;
	size_t count = 1;
	if (reached)
		reached[0] = true;
	while (more) {
		more = false;
		for (size_t i = 0; i < w->cable_count; i++) {
			size_t a = w->cables[i].ends[0].node, b = w->cables[i].ends[1].node;
			if (i == without || reached[a] == reached[b])
				continue;
			reached[a] = reached[b] = more = true;
			count++;
		}
	}
	free(reached);
	return count == w->node_count;
}

static void pull_one(struct world *w)
{
	uint64_t start = w->now_ns, step = w->node_count > BIG ? 10 * CORE_MS : CORE_MS;
	size_t which = 0;
	while (which < w->cable_count && !spare(w, which))
		which++;
	if (which == w->cable_count)
		return; /* a line: nobody is left who could tell the others */
	world_pull(w, &w->cables[which]);
	do {
		world_run(w, w->now_ns + step);
		w->result.told_ns = w->now_ns - start;
		if (w->result.failure[0] || world_views_right(w))
			return;
	} while (w->result.told_ns <= VIEWS_BOUND);
	world_fail(w, "a cable was pulled, and %.0f s later not all know", (double)VIEWS_BOUND / 1e9);
}

static void peace(struct world *w)
{
	uint64_t bytes = 0, packets = 0, start = w->now_ns;
	for (size_t i = 0; i < w->node_count; i++) {
		bytes += w->nodes[i].bytes;
		packets += w->nodes[i].packets;
	}
	while (!w->result.failure[0] && w->now_ns - start < w->options.steady_ns) {
		world_run(w, w->now_ns + (w->node_count > BIG ? 10 * STEP : STEP));
		world_check(w);
	}
	for (size_t i = 0; i < w->node_count; i++) {
		w->result.steady_bytes += (double)w->nodes[i].bytes;
		w->result.steady_packets += (double)w->nodes[i].packets;
	}
	double share = (double)w->node_count * (double)(w->now_ns - start) / 1e9;
	w->result.steady_bytes = share > 0 ? (w->result.steady_bytes - (double)bytes) / share : 0;
	w->result.steady_packets = share > 0 ? (w->result.steady_packets - (double)packets) / share : 0;
}

void world_play(const struct world_options *options, struct world_result *ret)
{
	struct world w;
	world_create(&w, options);
	trouble(&w);
	world_say(&w, "all is repaired");
	world_repair(&w);
	if (!w.result.failure[0] && !right_within(&w, VIEWS_BOUND, &w.result.repaired_ns))
		world_fail(&w, "all was repaired, and %.0f s later not every node has the whole graph",
			(double)VIEWS_BOUND / 1e9);
	if (!w.result.failure[0])
		pull_one(&w);
	if (!w.result.failure[0])
		peace(&w);
	*ret = w.result;
	world_destroy(&w);
}
