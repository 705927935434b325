#include "mesh/score.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_NS UINT64_C(3000000000)
#define STALE_NS UINT64_C(60000000000)
#define BETTER 1.2             /* 20 % … */
#define BETTER_US 50.0         /* … and in time at least so much */
#define COPY_BYTES_PER_MS 20e6 /* memory copies at 20 GB/s: one out of and one into a frame buffer */
#define COPIES 2
#define GIB 1073741824.0

static const double gbps = 1e9;

static double clamp(double v)
{
	return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 1 at or below `good`, 0 at or above `bad`, by orders of magnitude between. */
static double logarithmic(double v, double good, double bad)
{
	return v <= 0 ? 0 : clamp((log(v) - log(bad)) / (log(good) - log(bad)));
}

/* quality: 0 … 1 */
static void add_term(
	struct mesh_candidate *c, const char *name, double value, const char *unit, double weight, double quality)
{
	assert(c->term_count < MESH_MAX_TERMS);
	struct mesh_term t = { .name = name, .value = value, .unit = unit, .weight = weight, .points = weight * quality };
	c->terms[c->term_count++] = t;
	c->score += t.points;
}

static void refuse(struct mesh_candidate *c, const char *why)
{
	if (c->viable)
		snprintf(c->reason, sizeof c->reason, "%s", why);
	c->viable = false;
}

static void add_rtt(struct mesh_candidate *c, const struct mesh_rtt *r, double p50, double p99, double jitter, double loss)
{
	bool known = r->samples;
	if (p50 > 0)
		add_term(c, "rtt_p50", r->p50_us, "us", p50, known ? logarithmic(r->p50_us, 10, 10000) : 0);
	if (p99 > 0)
		add_term(c, "rtt_p99", r->p99_us, "us", p99, known ? logarithmic(r->p99_us, 20, 20000) : 0);
	if (jitter > 0)
		add_term(c, "jitter", r->jitter_us, "us", jitter, known ? logarithmic(r->jitter_us + 1, 1, 5000) : 0);
	if (loss > 0)
		add_term(c, "loss", r->loss * 100, "%", loss, clamp(1 - r->loss * 10));
}

static double rate_quality(uint64_t bps)
{
	return logarithmic((double)bps / gbps, 40, 0.1);
}

static void score_latency(const struct mesh_score_input *in, struct mesh_candidate *c)
{
	add_rtt(c, &in->peer.rtt, 60, 20, 10, 10);
	if (!in->peer.rtt.samples)
		refuse(c, "round trips not measured yet");
}

static double frame_bytes(const struct mesh_query *q, uint32_t bits_per_pixel)
{
	return (double)(q->width ? q->width : 3840) * (q->height ? q->height : 2160) * bits_per_pixel / 8;
}

static double serialise_ms(double bytes, double rate_bps)
{
	return rate_bps > 0 ? bytes * 8000 / rate_bps : 0;
}

static double copies_ms(double bytes)
{
	return COPIES * bytes / COPY_BYTES_PER_MS;
}

/* Names the formats that would fit where the one asked for does not. */
static void formats_that_fit(
	const struct mesh_query *q, double rate_bps, double late_ms, double budget_ms, char *out, size_t size)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} formats[] = { { "p010", 24 }, { "nv12", 12 } };
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		double bytes = frame_bytes(q, formats[i].bits);
		bool smaller = formats[i].bits < (q->bits_per_pixel ? q->bits_per_pixel : 32);
		if (smaller && serialise_ms(bytes, rate_bps) + late_ms + copies_ms(bytes) < budget_ms && at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "; would fit: ", formats[i].name);
	}
	if (!at)
		snprintf(out, size, "; nv12 would not fit either");
}

static void score_frames(const struct mesh_query *q, const struct mesh_score_input *in, struct mesh_candidate *c)
{
	double fps = q->fps ? q->fps : 60, budget_ms = 1000 / fps, rate = (double)in->peer.aggregate_up.bps;
	double bytes = frame_bytes(q, q->bits_per_pixel ? q->bits_per_pixel : 32);
	double serial_ms = serialise_ms(bytes, rate), copy_ms = copies_ms(bytes), late_ms = in->peer.rtt.p99_us / 1000;
	double used_ms = serial_ms + late_ms + copy_ms;
	add_term(c, "budget", budget_ms, "ms", 0, 0);
	add_term(c, "serialise", serial_ms, "ms", 40, rate > 0 ? clamp(1 - serial_ms / budget_ms) : 0);
	add_term(c, "rtt_p99", late_ms, "ms", 15, in->peer.rtt.samples ? clamp(1 - late_ms / budget_ms) : 0);
	add_term(c, "copies", copy_ms, "ms", 5, clamp(1 - copy_ms / budget_ms));
	add_term(c, "spare", budget_ms - used_ms, "ms", 30, rate > 0 ? clamp((budget_ms - used_ms) / budget_ms) : 0);
	add_term(c, "loss", in->peer.rtt.loss * 100, "%", 10, clamp(1 - in->peer.rtt.loss * 10));
	char why[sizeof c->reason], fit[48];
	if (rate <= 0) {
		refuse(c, "bandwidth not measured yet");
	} else if (!in->peer.rtt.samples) {
		refuse(c, "round trips not measured yet");
	} else if (used_ms >= budget_ms) {
		formats_that_fit(q, rate, late_ms, budget_ms, fit, sizeof fit);
		snprintf(why, sizeof why, "a frame takes %.1f ms, %.0f a second leave %.1f ms%s", used_ms, fps, budget_ms,
			fit);
		refuse(c, why);
	} else if (c->viable) {
		snprintf(c->reason, sizeof c->reason, "%.1f of %.1f ms to spare (%.0f %%)", budget_ms - used_ms, budget_ms,
			(budget_ms - used_ms) * 100 / budget_ms);
	}
}

static void score_offload(const struct mesh_score_input *in, struct mesh_candidate *c)
{
	const struct mesh_facts *f = &in->facts;
	bool gpu = in->has_facts && f->gpus;
	add_term(c, "gpus", gpu ? f->gpus : 0, "", 0, 0);
	double fit = !gpu ? 0 : f->gpu_fit >= 0 ? clamp(f->gpu_fit) : 0.5; /* unknown: neither good nor bad */
	add_term(c, "gpu_fit", fit * 100, "%", 40, fit);
	add_term(c, "gpu_load", gpu ? f->gpu_load : 0, "executors", 15, gpu ? 1.0 / (1 + f->gpu_load) : 0);
	add_term(c, "cpu_load", in->has_facts ? f->cpu_load_percent : 0, "%", 5,
		in->has_facts ? clamp(1 - f->cpu_load_percent / 100.0) : 0);
	uint64_t up = in->peer.aggregate_up.bps, down = in->peer.aggregate_down.bps, slower = up < down ? up : down;
	add_term(c, "goodput", (double)slower / gbps, "Gb/s", 25, rate_quality(slower));
	add_rtt(c, &in->peer.rtt, 10, 0, 0, 5);
	if (!in->has_facts)
		refuse(c, "it has not told its state yet");
	else if (!f->gpus)
		refuse(c, "it has no GPU");
}

static void score_checkpoint(const struct mesh_query *q, const struct mesh_score_input *in, struct mesh_candidate *c)
{
	double memory = in->has_facts ? (double)in->facts.memory_free_bytes : 0;
	uint64_t up = in->peer.aggregate_up.bps;
	add_term(c, "goodput", (double)up / gbps, "Gb/s", 60, rate_quality(up));
	add_term(c, "memory_free", memory / GIB, "GiB", 25, logarithmic(memory / GIB, 64, 0.25));
	add_rtt(c, &in->peer.rtt, 10, 0, 0, 5);
	if (!up)
		refuse(c, "bandwidth not measured yet");
	else if (q->checkpoint_bytes && memory > 0 && memory < (double)q->checkpoint_bytes)
		refuse(c, "not enough free memory for the checkpoint");
}

static void score_one(const struct mesh_query *q, const struct mesh_score_input *in, struct mesh_candidate *c)
{
	*c = (struct mesh_candidate){ .viable = true };
	memcpy(c->peer_id, in->peer.id, sizeof c->peer_id);
	memcpy(c->peer, in->peer.name, sizeof c->peer);
	if (in->peer.state != MESH_PEER_UP)
		refuse(c, in->peer.state == MESH_PEER_DEAD ? "it is dead" : "it does not answer");
	switch (q->criterion) {
	case MESH_FOR_LATENCY:
		score_latency(in, c);
		break;
	case MESH_FOR_FRAMES:
		score_frames(q, in, c);
		break;
	case MESH_FOR_OFFLOAD:
		score_offload(in, c);
		break;
	case MESH_FOR_CHECKPOINT:
		score_checkpoint(q, in, c);
		break;
	}
}

static int by_score(const void *a, const void *b)
{
	const struct mesh_candidate *x = a, *y = b;
	if (x->viable != y->viable)
		return y->viable - x->viable;
	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return strcmp(x->peer_id, y->peer_id);
}

static double term_value(const struct mesh_candidate *c, const char *name)
{
	for (size_t i = 0; i < c->term_count; i++) {
		if (strcmp(c->terms[i].name, name) == 0)
			return c->terms[i].value;
	}
	return 0;
}

static bool clearly_better(enum mesh_criterion criterion, const struct mesh_candidate *a, const struct mesh_candidate *b)
{
	double x, y;
	switch (criterion) {
	case MESH_FOR_LATENCY:
		x = term_value(a, "rtt_p50");
		y = term_value(b, "rtt_p50");
		return x * BETTER <= y && y - x >= BETTER_US;
	case MESH_FOR_FRAMES:
		x = term_value(a, "serialise") + term_value(a, "rtt_p99");
		y = term_value(b, "serialise") + term_value(b, "rtt_p99");
		return x * BETTER <= y && y - x >= BETTER_US / 1000;
	case MESH_FOR_CHECKPOINT:
		return term_value(a, "goodput") >= term_value(b, "goodput") * BETTER || a->score >= b->score * BETTER;
	case MESH_FOR_OFFLOAD:
		return a->score >= b->score * BETTER;
	}
	return false;
}

static void hysteresis(
	enum mesh_criterion criterion, struct mesh_candidate *c, size_t count, struct mesh_score_memory *m, uint64_t now_ns)
{
	size_t standing = count;
	if (now_ns - m->asked_ns > STALE_NS)
		*m = (struct mesh_score_memory){ 0 };
	m->asked_ns = now_ns;
	for (size_t i = 0; i < count; i++) {
		if (c[i].viable && strcmp(c[i].peer_id, m->best) == 0)
			standing = i;
	}
	if (!count || !c[0].viable)
		return;
	if (standing == 0 || standing == count) {
		memcpy(m->best, c[0].peer_id, sizeof m->best);
		m->challenger[0] = '\0';
		return;
	}
	bool clear = clearly_better(criterion, &c[0], &c[standing]);
	if (!clear) {
		m->challenger[0] = '\0';
	} else if (strcmp(m->challenger, c[0].peer_id) != 0) {
		memcpy(m->challenger, c[0].peer_id, sizeof m->challenger);
		m->since_ns = now_ns;
	} else if (now_ns - m->since_ns >= HOLD_NS) {
		memcpy(m->best, c[0].peer_id, sizeof m->best);
		m->challenger[0] = '\0';
		return;
	}
	struct mesh_candidate kept = c[standing];
	memmove(c + 1, c, standing * sizeof *c);
	c[0] = kept;
	snprintf(c[0].reason, sizeof c[0].reason,
		clear ? "keeps its place: %.40s is better, but not for long enough yet"
		      : "keeps its place: %.40s is not clearly better",
		c[1].peer);
}

void mesh_score_rank(const struct mesh_query *q, const struct mesh_score_input *inputs, size_t count,
	struct mesh_score_memory *memory, uint64_t now_ns, struct mesh_candidate *ret)
{
	for (size_t i = 0; i < count; i++)
		score_one(q, &inputs[i], &ret[i]);
	qsort(ret, count, sizeof *ret, by_score);
	hysteresis(q->criterion, ret, count, memory, now_ns);
	if (count && ret[0].viable && !*ret[0].reason)
		snprintf(ret[0].reason, sizeof ret[0].reason, "highest score");
}
