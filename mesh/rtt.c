#include "mesh/rtt.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RTT_NS INT64_C(10000000000)

void mesh_rtt_burst_start(struct mesh_rtt_burst *b)
{
	*b = (struct mesh_rtt_burst){ 0 };
}

static bool moved(int64_t a, int64_t b)
{
	return a > b ? a - b > RTT_CLOCK_STEP_NS : b - a > RTT_CLOCK_STEP_NS;
}

void mesh_rtt_burst_add(struct mesh_rtt_burst *b, int64_t rtt_ns, int64_t own_offset_ns, int64_t peer_offset_ns)
{
	if (b->seen++ == 0) {
		b->own_offset_ns = own_offset_ns;
		b->peer_offset_ns = peer_offset_ns;
	}
	if (rtt_ns <= 0 || rtt_ns >= MAX_RTT_NS || moved(own_offset_ns, b->own_offset_ns) ||
		moved(peer_offset_ns, b->peer_offset_ns))
		b->spoilt = true;
	if (b->spoilt || b->seen <= RTT_BURST_WARMUP || b->count == RTT_BURST_MAX)
		return;
	b->samples_ns[b->count++] = rtt_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt_ns;
}

void mesh_rtt_burst_commit(struct mesh_rtt_burst *b, struct mesh_rtt_window *w, uint64_t now_ns)
{
	if (b->spoilt)
		w->dropped_bursts++;
	for (size_t i = 0; i < b->count && !b->spoilt; i++) {
		double difference = i ? (double)b->samples_ns[i] - b->samples_ns[i - 1] : -1;
		w->samples_ns[w->next] = b->samples_ns[i];
		w->step_us[w->next] = i ? (difference < 0 ? -difference : difference) / 1000 : -1;
		w->next = (w->next + 1) % RTT_WINDOW;
		if (w->count < RTT_WINDOW)
			w->count++;
		w->updated_ns = now_ns;
	}
	mesh_rtt_burst_start(b);
}

void mesh_rtt_echo_done(struct mesh_rtt_window *w, bool answered)
{
	w->answered[w->next_echo] = answered;
	w->next_echo = (w->next_echo + 1) % RTT_WINDOW;
	if (w->echoes < RTT_WINDOW)
		w->echoes++;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Nearest rank. */
static double percentile_us(const uint32_t *sorted, size_t count, unsigned percent)
{
	size_t rank = (count * percent + 99) / 100;
	return sorted[rank ? rank - 1 : 0] / 1000.0;
}

void mesh_rtt_read(const struct mesh_rtt_window *w, uint64_t now_ns, struct mesh_rtt *ret)
{
	struct mesh_rtt r = { 0 };
	size_t lost = 0;
	for (size_t i = 0; i < w->echoes; i++)
		lost += !w->answered[i];
	if (w->echoes)
		r.loss = (double)lost / (double)w->echoes;
	if (w->count) {
		uint32_t sorted[RTT_WINDOW];
		double sum = 0;
		size_t differences = 0;
		memcpy(sorted, w->samples_ns, w->count * sizeof sorted[0]);
		qsort(sorted, w->count, sizeof sorted[0], compare);
		for (size_t i = 0; i < w->count; i++) {
			if (w->step_us[i] >= 0) {
				sum += w->step_us[i];
				differences++;
			}
		}
		r.min_us = sorted[0] / 1000.0;
		r.p50_us = percentile_us(sorted, w->count, 50);
		r.p99_us = percentile_us(sorted, w->count, 99);
		r.jitter_us = differences ? sum / (double)differences : 0;
		r.samples = w->count;
		r.age_ms = (now_ns - w->updated_ns) / 1000000;
	}
	*ret = r;
}
