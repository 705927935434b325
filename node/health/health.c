#include "node/health/health.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define SECOND_NS 1000000000ull
#define WARN_MARGIN_MC 15000 /* it is hot from so far below its critical temperature on */
#define COOL_MARGIN_MC 5000  /* … and stops being hot so far below that */
#define CRITICAL_MC 100000   /* of a card that does not say */
#define SLOPE_SPAN_NS (6 * SECOND_NS)
#define SLOPE_AHEAD_S 30.0 /* the critical temperature is that near */
#define TREND_SPAN_NS (60 * SECOND_NS)
#define TREND_STEP_NS (5 * SECOND_NS)
#define ERROR_HALF_LIFE_S 60.0       /* of corrected errors */
#define FAILURE_HALF_LIFE_S 300.0    /* of the others */
#define SLOW_LINK_NS (5 * SECOND_NS) /* lanes come up one after the other */
#define TROUBLE_LIFE_NS (600 * SECOND_NS)
#define SENSOR_FAILURES 3
#define WAITING_MS 2000 /* a submission that waits for so long hangs, or nearly */
/* Programs come to phases of their own, so this alone never makes a GPU worn; a phase that lasts becomes the usual. */
#define LATENCY_LEARN 10                 /* samples before there is anything usual */
#define LATENCY_SMOOTH_S 6.0             /* half-life of the latest */
#define LATENCY_USUAL_S 300.0            /* … and of the usual */
#define LATENCY_IDLE_NS (30 * SECOND_NS) /* what was before so long a pause says nothing of now */
#define LATENCY_LEAST_US 2000.0          /* below, a busy processor tells more than the GPU */
#define LATENCY_SLOW_TIMES 4.0           /* slow from so many times the usual on … */
#define LATENCY_WELL_TIMES 2.0           /* … until below so many */

struct verdict_line {
	double points;
	char text[HEALTH_REASON_SIZE];
};
struct lines {
	struct verdict_line at[24];
	unsigned count;
};

static void add(struct lines *l, double points, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add(struct lines *l, double points, const char *format, ...)
{
	if (points < 0.5 || l->count == ARRAY_SIZE(l->at))
		return;
	struct verdict_line *line = &l->at[l->count++];
	va_list arguments;
	line->points = points;
	va_start(arguments, format);
	vsnprintf(line->text, sizeof line->text, format, arguments);
	va_end(arguments);
}

void health_init(struct health *h)
{
	*h = (struct health){ .critical_mc = HEALTH_UNKNOWN };
}

/* ---- what is seen ---- */

static void see_temperature(struct health *h, uint64_t now_ns, const struct health_sample *s)
{
	if (s->sensor_failed && h->temperature_count > 0 && h->sensor_failures++ == 0)
		h->sensor_failed_ns = now_ns;
	if (s->critical_mc != HEALTH_UNKNOWN && s->critical_mc >= 50000 && s->critical_mc <= 150000)
		h->critical_mc = s->critical_mc;
	/* A card that sleeps says nothing: what it was before is of no use then. */
	if (s->temperature_mc == HEALTH_UNKNOWN && !s->sensor_failed)
		h->temperature_count = h->sensor_failures = 0;
	if (s->temperature_mc < -40000 || s->temperature_mc > 200000)
		return;
	h->sensor_failures = 0;
	if (h->temperature_count == HEALTH_TEMPERATURES)
		memmove(&h->temperatures[0], &h->temperatures[1], --h->temperature_count * sizeof h->temperatures[0]);
	h->temperatures[h->temperature_count].at_ns = now_ns;
	h->temperatures[h->temperature_count++].mc = s->temperature_mc;
}

static void fade(struct health *h, uint64_t now_ns)
{
	double seconds = h->faded_ns ? (double)(now_ns - h->faded_ns) / 1e9 : 0;
	for (unsigned i = 0; i < 6; i++)
		h->load[i] *= exp2(-seconds / (i % 3 == 0 ? ERROR_HALF_LIFE_S : FAILURE_HALF_LIFE_S));
	h->faded_ns = now_ns;
}

static void see_errors(struct health *h, uint64_t now_ns, const struct health_sample *s)
{
	const uint64_t totals[6] = { s->correctable, s->nonfatal, s->fatal, s->bridge_correctable, s->bridge_nonfatal,
		s->bridge_fatal };
	fade(h, now_ns);
	for (unsigned i = 0; s->has_errors && i < 6; i++) {
		/* The first look tells what was before our time; a smaller total is that of another device. */
		if (h->has_errors && totals[i] > h->last[i])
			h->load[i] += (double)(totals[i] - h->last[i]);
		h->last[i] = totals[i];
	}
	h->has_errors |= s->has_errors;
}

static void see_link(struct health *h, uint64_t now_ns, uint64_t mbps)
{
	h->link_mbps = mbps;
	if (mbps > h->best_mbps)
		h->best_mbps = mbps;
	if (mbps == 0 || mbps >= h->best_mbps)
		h->slow_ns = 0;
	else if (h->slow_ns == 0)
		h->slow_ns = now_ns;
}

/* A mean of logarithms that follows with a half-life. */
static double follow(double mean, double value, double seconds, double half_life_s)
{
	return value + (mean - value) * exp2(-seconds / half_life_s);
}

static void see_latency(struct health *h, uint64_t now_ns, const struct health_sample *s)
{
	if (s->programs != h->programs) {
		h->programs = s->programs;
		h->latency_count = 0;
		h->slow = false;
	}
	if (s->completed == 0 || s->latency_us == 0)
		return;
	double value = log2((double)s->latency_us);
	double seconds = h->latency_count ? (double)(now_ns - h->latency_ns) / 1e9 : 0;
	if (h->latency_count == 0)
		h->latency_now = h->latency_usual = value;
	else if (seconds * 1e9 > LATENCY_IDLE_NS)
		h->latency_now = value;
	else
		h->latency_now = follow(h->latency_now, value, seconds, LATENCY_SMOOTH_S);
	/* While it learns, all samples weigh the same. */
	if (h->latency_count < LATENCY_LEARN)
		h->latency_usual += (value - h->latency_usual) / (h->latency_count + 1);
	else
		h->latency_usual =
			follow(h->latency_usual, value, seconds * 1e9 > LATENCY_IDLE_NS ? 2 : seconds, LATENCY_USUAL_S);
	h->latency_ns = now_ns;
	h->latency_count += h->latency_count <= LATENCY_LEARN;
}

uint64_t health_latency_us(const struct health *h)
{
	return h->latency_count ? (uint64_t)lround(exp2(h->latency_now)) : 0;
}

uint64_t health_usual_latency_us(const struct health *h)
{
	return h->latency_count >= LATENCY_LEARN ? (uint64_t)lround(exp2(h->latency_usual)) : 0;
}

void health_see(struct health *h, uint64_t now_ns, const struct health_sample *s)
{
	see_temperature(h, now_ns, s);
	see_errors(h, now_ns, s);
	see_link(h, now_ns, s->link_mbps);
	see_latency(h, now_ns, s);
	h->waiting_ms = s->waiting_ms;
}

void health_report(struct health *h, uint64_t now_ns, enum health_trouble kind, const char *text)
{
	size_t slot = 0;
	/* The same again starts anew; else the oldest makes way. */
	for (size_t i = 0; i < HEALTH_TROUBLES_MAX; i++) {
		if (h->troubles[i].at_ns != 0 && h->troubles[i].kind == kind && strcmp(h->troubles[i].text, text) == 0) {
			slot = i;
			break;
		}
		if (h->troubles[i].at_ns < h->troubles[slot].at_ns)
			slot = i;
	}
	h->troubles[slot].kind = kind;
	h->troubles[slot].at_ns = now_ns ? now_ns : 1;
	snprintf(h->troubles[slot].text, sizeof h->troubles[slot].text, "%s", text);
}

/* ---- what it amounts to ---- */

/* Degrees a second over the last samples, 0 when they span too little time. */
static double slope(const struct health *h)
{
	unsigned last = h->temperature_count - 1, first = 0;
	while (h->temperatures[last].at_ns - h->temperatures[first].at_ns > 2 * SLOPE_SPAN_NS)
		first++;
	uint64_t span_ns = h->temperatures[last].at_ns - h->temperatures[first].at_ns;
	if (span_ns < SLOPE_SPAN_NS)
		return 0;
	return (h->temperatures[last].mc - h->temperatures[first].mc) / 1000.0 / ((double)span_ns / 1e9);
}

static void judge_temperature(struct health *h, uint64_t now_ns, struct lines *l)
{
	if (h->sensor_failures >= SENSOR_FAILURES)
		add(l, 15, "its sensors have not answered for %.0f s", (double)(now_ns - h->sensor_failed_ns) / 1e9);
	if (h->temperature_count == 0) {
		h->hot = false;
		return;
	}
	int32_t now_mc = h->temperatures[h->temperature_count - 1].mc;
	int32_t critical_mc = h->critical_mc != HEALTH_UNKNOWN ? h->critical_mc : CRITICAL_MC;
	int32_t warn_mc = critical_mc - WARN_MARGIN_MC;
	double rise = slope(h);
	h->hot = now_mc >= (h->hot ? warn_mc - COOL_MARGIN_MC : warn_mc);
	if (now_mc >= critical_mc)
		add(l, 70, "%.0f \u00b0C, critical is %.0f", now_mc / 1000.0, critical_mc / 1000.0);
	else if (h->hot)
		add(l, now_mc < warn_mc ? 10 : 10 + 35.0 * (now_mc - warn_mc) / WARN_MARGIN_MC,
			"%.0f \u00b0C, critical is %.0f", now_mc / 1000.0, critical_mc / 1000.0);
	if (now_mc < critical_mc && rise >= 0.3 && now_mc + rise * 1000 * SLOPE_AHEAD_S >= critical_mc)
		add(l, 20, "heats up by %.1f \u00b0C/s", rise);
}

static void judge_errors(const struct health *h, struct lines *l)
{
	static const struct {
		const char *what;
		double weight;
	} kinds[6] = { { "corrected PCIe errors", 1 }, { "PCIe errors", 1 }, { "fatal PCIe errors", 1 },
		{ "corrected PCIe errors of a bridge above it", 0.5 }, { "PCIe errors of a bridge above it", 0.5 },
		{ "fatal PCIe errors of a bridge above it", 0.5 } };
	for (unsigned i = 0; i < 6; i++) {
		double load = h->load[i], points = 0;
		if (i % 3 == 0)
			points = load >= 100 ? 35 : load >= 10 ? 15 : load >= 1 ? 5 : 0;
		else if (load >= 0.25)
			points = (i % 3 == 1 ? 35 : 70) * (load < 1 ? load : 1);
		add(l, points * kinds[i].weight, "%s: %.0f lately", kinds[i].what, ceil(load));
	}
}

static void judge_link(const struct health *h, uint64_t now_ns, struct lines *l)
{
	if (h->slow_ns == 0 || now_ns - h->slow_ns < SLOW_LINK_NS)
		return;
	add(l, h->link_mbps * 2 <= h->best_mbps ? 35 : 20, "its link runs at %.0f Gb/s, it did at %.0f",
		(double)h->link_mbps / 1000, (double)h->best_mbps / 1000);
}

static void judge_latency(struct health *h, uint64_t now_ns, struct lines *l)
{
	double usual_us = exp2(h->latency_usual), now_us = exp2(h->latency_now), times = now_us / usual_us;
	/* One that was not used lately says nothing of itself. */
	if (h->latency_count < LATENCY_LEARN || now_ns - h->latency_ns > LATENCY_IDLE_NS) {
		h->slow = false;
		return;
	}
	h->slow = now_us >= LATENCY_LEAST_US && times >= (h->slow ? LATENCY_WELL_TIMES : LATENCY_SLOW_TIMES);
	/* One that hangs is told of as waiting; that is not two causes. */
	if (h->slow && h->waiting_ms < WAITING_MS)
		add(l, times >= LATENCY_SLOW_TIMES * LATENCY_SLOW_TIMES ? 20 : 10,
			"submissions take %.1f ms, %.0f times as long as usual", now_us / 1000, times);
}

static void judge_troubles(const struct health *h, uint64_t now_ns, struct lines *l)
{
	static const double points[HEALTH_TROUBLES] = {
		[HEALTH_LOST] = 100, [HEALTH_HANG] = 50, [HEALTH_RESET] = 35, [HEALTH_ERROR] = 25
	};
	for (size_t i = 0; i < HEALTH_TROUBLES_MAX; i++) {
		uint64_t age_ns = now_ns - h->troubles[i].at_ns;
		if (h->troubles[i].at_ns == 0 || age_ns >= TROUBLE_LIFE_NS)
			continue;
		double left = 1 - (double)age_ns / (double)TROUBLE_LIFE_NS;
		/* What is lost does not come back by waiting; a new device starts anew. */
		add(l, points[h->troubles[i].kind] * (h->troubles[i].kind == HEALTH_LOST ? 1 : left), "%s",
			h->troubles[i].text);
	}
}

static int worst_first(const void *a, const void *b)
{
	const struct verdict_line *x = a, *y = b;
	return x->points > y->points ? -1 : x->points < y->points;
}

static enum health_level next_level(enum health_level now, unsigned score)
{
	if (score < HEALTH_BAD_BELOW || (now == HEALTH_BAD && score < HEALTH_BAD_UNTIL))
		return HEALTH_BAD;
	if (score < HEALTH_WORN_BELOW || (now != HEALTH_GOOD && score < HEALTH_WORN_UNTIL))
		return HEALTH_WORN;
	return HEALTH_GOOD;
}

/* Points a minute since about a minute ago. */
static int trend(struct health *h, uint64_t now_ns, unsigned score)
{
	while (h->score_count > 0 && now_ns - h->scores[0].at_ns > TREND_SPAN_NS)
		memmove(&h->scores[0], &h->scores[1], --h->score_count * sizeof h->scores[0]);
	if (h->score_count == 0 ||
		(h->score_count < HEALTH_SCORES && now_ns - h->scores[h->score_count - 1].at_ns >= TREND_STEP_NS)) {
		h->scores[h->score_count].at_ns = now_ns;
		h->scores[h->score_count++].score = score;
	}
	double minutes = (double)(now_ns - h->scores[0].at_ns) / 60e9;
	return minutes < TREND_STEP_NS / 60e9 ? 0 : (int)lround(((double)score - h->scores[0].score) / minutes);
}

void health_judge(struct health *h, uint64_t now_ns, struct health_verdict *ret)
{
	struct lines l = { .count = 0 };
	double points = 0;
	*ret = (struct health_verdict){ .before = h->level };
	judge_temperature(h, now_ns, &l);
	judge_errors(h, &l);
	judge_link(h, now_ns, &l);
	judge_troubles(h, now_ns, &l);
	judge_latency(h, now_ns, &l);
	if (h->waiting_ms >= WAITING_MS)
		add(&l, h->waiting_ms >= 10000 ? 25 : 10, "a submission has waited for %.0f s",
			(double)h->waiting_ms / 1000);
	qsort(l.at, l.count, sizeof l.at[0], worst_first);
	for (unsigned i = 0; i < l.count; i++) {
		points += l.at[i].points;
		if (ret->reason_count < HEALTH_REASONS_MAX)
			memcpy(ret->reasons[ret->reason_count++], l.at[i].text, HEALTH_REASON_SIZE);
	}
	ret->score = points >= 100 ? 0 : (unsigned)lround(100 - points);
	ret->trend = trend(h, now_ns, ret->score);
	ret->level = h->level = next_level(h->level, ret->score);
}

const char *health_level_name(enum health_level level)
{
	static const char *const names[] = { [HEALTH_GOOD] = "good", [HEALTH_WORN] = "worn", [HEALTH_BAD] = "bad" };
	return names[level];
}
