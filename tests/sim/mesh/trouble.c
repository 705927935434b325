/* What goes wrong. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/mesh/world.h"

static struct world_cable *any_cable(struct world *w)
{
	return &w->cables[world_choose(w, w->cable_count)];
}

static struct world_node *any_node(struct world *w)
{
	return &w->nodes[world_choose(w, w->node_count)];
}

static void cut(struct world *w)
{
	struct world_cable *c = any_cable(w);
	size_t how = world_choose(w, 3); /* one way, the other, both */
	bool on = world_choose(w, 3) == 0;
	for (size_t i = 0; i < 2; i++) {
		if (how == 2 || how == i)
			c->ways[i].cut = !on;
	}
	world_say(w, "cable %zu (%zu-%zu): %s %s", (size_t)(c - w->cables), c->ends[0].node, c->ends[1].node,
		on ? "carries again" : "silently cut", how == 2 ? "both ways" : "one way");
	world_judge_cable(w, c);
}

static void spoil(struct world *w)
{
	static const uint32_t losses[] = { 0, 0, 10000, 50000, 300000, 600000 };
	static const uint64_t delays[] = { 40000, 200000, CORE_MS, 5 * CORE_MS, 15 * CORE_MS };
	struct world_cable *c = any_cable(w);
	for (unsigned i = 0; i < 2; i++) {
		c->ways[i].loss_ppm = losses[world_choose(w, 6)];
		c->ways[i].twice_ppm = world_choose(w, 2) ? 0 : 100000;
		c->ways[i].delay_ns = delays[world_choose(w, 5)];
		c->ways[i].jitter_ns = world_choose(w, 2) ? 20000 : 2 * c->ways[i].delay_ns;
	}
	world_say(w, "cable %zu (%zu-%zu): loses %u and %u ppm, takes up to %.3f ms", (size_t)(c - w->cables),
		c->ends[0].node, c->ends[1].node, c->ways[0].loss_ppm, c->ways[1].loss_ppm,
		(double)(c->ways[0].delay_ns + c->ways[0].jitter_ns) / 1e6);
	world_judge_cable(w, c);
}

static void unplug(struct world *w)
{
	struct world_cable *c = any_cable(w);
	world_say(w, "cable %zu (%zu-%zu): %s", (size_t)(c - w->cables), c->ends[0].node, c->ends[1].node,
		c->plugged ? "pulled" : "plugged in");
	if (c->plugged)
		world_pull(w, c);
	else
		world_plug(w, c);
}

static void carrier(struct world *w)
{
	struct world_cable *c = any_cable(w);
	world_say(w, "cable %zu (%zu-%zu): carrier %s", (size_t)(c - w->cables), c->ends[0].node, c->ends[1].node,
		c->carrier ? "lost" : "back");
	world_carrier(w, c, !c->carrier);
}

static void process(struct world *w)
{
	struct world_node *n = any_node(w);
	if (!n->core) {
		world_say(w, "node %zu: started", n->index);
		world_start(w, n);
	} else if (n->stopped) {
		world_say(w, "node %zu: goes on", n->index);
		world_continue(w, n);
	} else {
		size_t how = world_choose(w, 4);
		world_say(w, "node %zu: %s", n->index,
			how == 0           ? "killed"
				: how == 1 ? "ended"
				: how == 2 ? "restarted"
					   : "stopped");
		if (how == 3)
			world_stop(w, n);
		else
			world_kill(w, n, how == 1);
		if (how == 2)
			world_start(w, n);
	}
}

static void set_clock(struct world *w)
{
	struct world_node *n = any_node(w);
	n->realtime_ns += (int64_t)(world_random(w) % (7200 * CORE_SECOND)) - 3600 * (int64_t)CORE_SECOND;
	world_say(w, "node %zu: clock set", n->index);
}

static void partition(struct world *w)
{
	uint64_t pattern = world_random(w);
	world_say(w, "partition %016llx", (unsigned long long)pattern);
	for (size_t i = 0; i < w->cable_count; i++) {
		struct world_cable *c = &w->cables[i];
		bool across = (pattern >> c->ends[0].node % 64 & 1) != (pattern >> c->ends[1].node % 64 & 1);
		c->ways[0].cut = c->ways[1].cut = across;
		world_judge_cable(w, c);
	}
}

static void traffic(struct world *w)
{
	struct world_cable *c = any_cable(w);
	uint64_t rate = world_random(w) % 20000000000;
	for (unsigned i = 0; i < 2; i++) {
		struct world_node *n = &w->nodes[c->ends[i].node];
		if (n->core && !n->stopped)
			mesh_core_traffic(n->core, world_time(w, n), c->ends[i].ifindex, i ? 0 : rate, i ? rate : 0);
	}
}

/* Somebody on the wire: junk that looks like ours, what was said before, and that changed a little. */
static void malice(struct world *w)
{
	size_t count = 1 + world_choose(w, 12);
	for (size_t i = 0; i < count; i++) {
		const struct world_packet *old = w->recorded[world_choose(w, WORLD_RECORDED)];
		uint8_t data[PACKET_MAX_SIZE + 64];
		struct world_node *n = any_node(w);
		if (!old || !n->port_count)
			continue;
		struct world_cable *c = &w->cables[n->cables[world_choose(w, n->port_count)]];
		const struct world_end *e = c->ends[0].node == n->index ? &c->ends[0] : &c->ends[1];
		size_t size = old->size, how = world_choose(w, 4);
		struct mesh_core_address from = old->from;
		size_t to = old->node;
		unsigned ifindex = old->ifindex;
		memcpy(data, old->data, size);
		if (how == 0) { /* to somebody else */
			to = n->index;
			ifindex = e->ifindex;
		} else if (how == 1) { /* changed */
			for (size_t f = 0; f < 1 + world_choose(w, 8); f++)
				data[world_choose(w, size)] ^= (uint8_t)(1u << world_choose(w, 8));
		} else if (how == 2) { /* shorter or longer */
			size_t longer = world_choose(w, sizeof data);
			memset(data + size, 0x55, longer > size ? longer - size : 0);
			size = longer;
		} else { /* like a header of ours, and junk */
			size = 8 + world_choose(w, sizeof data - 8);
			for (size_t b = 8; b < size; b++)
				data[b] = (uint8_t)world_random(w);
		}
		world_inject(w, to, ifindex, &from, data, size);
	}
}

void world_trouble(struct world *w)
{
	static void (*const kinds[])(struct world * w) = { cut, cut, spoil, spoil, unplug, carrier, process, process,
		set_clock, traffic, malice, malice, malice };
	if (world_choose(w, 40) == 0)
		partition(w);
	else
		kinds[world_choose(w, sizeof kinds / sizeof kinds[0])](w);
}

void world_repair(struct world *w)
{
	for (size_t i = 0; i < w->cable_count; i++) {
		struct world_cable *c = &w->cables[i];
		for (unsigned side = 0; side < 2; side++)
			c->ways[side] = (struct world_way){ .delay_ns = 40000, .jitter_ns = 20000 };
		world_plug(w, c);
		world_carrier(w, c, true);
		world_judge_cable(w, c);
	}
	for (size_t i = 0; i < w->node_count; i++) {
		world_continue(w, &w->nodes[i]);
		world_start(w, &w->nodes[i]);
	}
}
