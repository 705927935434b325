#include "migrate/policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Points. The tiers are further apart than anything within them. */
#define TIER_PREFERRED 10000.0
#define TIER_GPU 1000.0
#define POINTS_LOCAL 30.0 /* as much as two workloads beside it */
#define POINTS_LOAD 15.0  /* off, for each executor */
#define POINTS_LOAD_MAX 120.0
#define POINTS_DISCRETE 10.0
#define POINTS_MEMORY 2.0 /* for each doubling over 1 GiB */
#define POINTS_MEMORY_MAX 16.0
#define POINTS_GOODPUT 10.0 /* at 40 Gb/s */
#define POINTS_WORN 60.0    /* off, below WORN of health: others on the host come first, and peers that are not much worse */
#define POINTS_BAD 500.0    /* off, below BAD: any other GPU comes first, a CPU driver does not */
#define HEALTH_WORN 70      /* node/health/health.h */
#define HEALTH_BAD 40
#define POINTS_RTT 10.0 /* off, at 2 ms */

static bool is_cpu(const struct policy_gpu *g)
{
	return strcmp(g->type, "cpu") == 0;
}

bool policy_gpu_matches(const struct policy_gpu *g, const char *text)
{
	const char *id = strchr(g->key, '/');
	return strcmp(g->key, text) == 0 || (id && strcmp(id + 1, text) == 0) || strcasestr(g->name, text);
}

static double path_points(const struct policy_gpu *g)
{
	if (g->local)
		return POINTS_LOCAL;
	double goodput = (double)g->goodput_bps / 40e9;
	double delay = g->rtt_us / 2000;
	return POINTS_GOODPUT * (goodput > 1 ? 1 : goodput) - POINTS_RTT * (delay > 1 ? 1 : delay);
}

static double health_points(const struct policy_gpu *g)
{
	return g->illness > 100 - HEALTH_BAD ? -POINTS_BAD : g->illness > 100 - HEALTH_WORN ? -POINTS_WORN : 0;
}

static double score(const struct policy_gpu *g, bool preferred)
{
	double load = POINTS_LOAD * g->load, memory = 0;
	for (uint64_t size = g->memory_bytes >> 30; size > 1 && memory < POINTS_MEMORY_MAX; size >>= 1)
		memory += POINTS_MEMORY;
	return (preferred ? TIER_PREFERRED : 0) + (is_cpu(g) ? 0 : TIER_GPU) + path_points(g) + health_points(g) + memory +
		(strcmp(g->type, "discrete") == 0 ? POINTS_DISCRETE : 0) - (load > POINTS_LOAD_MAX ? POINTS_LOAD_MAX : load);
}

static bool excluded(const struct policy_request *r, const char *key)
{
	for (size_t i = 0; i < r->exclude_count; i++)
		if (strcmp(r->exclude[i], key) == 0)
			return true;
	return false;
}

static bool judge(const struct policy_request *r, const struct policy_gpu *g, bool preferred, char *why)
{
	why[0] = '\0';
	if (!g->active)
		snprintf(why, POLICY_WHY_SIZE, "it is gone");
	else if (g->ejected)
		snprintf(why, POLICY_WHY_SIZE, "it was ejected; `tbmesh plug` on its host brings it back");
	else if (excluded(r, g->key))
		snprintf(why, POLICY_WHY_SIZE, "it failed this workload just now");
	else if (r->only_preferred && !preferred)
		snprintf(why, POLICY_WHY_SIZE, "another GPU was asked for");
	else if (is_cpu(g) && !preferred && !r->cpu_fallback)
		snprintf(why, POLICY_WHY_SIZE, "it is a CPU driver and prefer_cpu_fallback is off");
	else if (!g->description)
		snprintf(why, POLICY_WHY_SIZE, "its description has not arrived yet");
	else if (g->load_limit != 0 && g->load >= g->load_limit)
		snprintf(why, POLICY_WHY_SIZE, "it serves %u workloads already", g->load);
	else
		return r->covers(g->description, r->needs, r->need_count, why, POLICY_WHY_SIZE) == 1;
	return false;
}

static int compare(const void *a, const void *b)
{
	const struct policy_verdict *x = a, *y = b;
	if (x->fits != y->fits)
		return x->fits ? -1 : 1;
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->gpu < y->gpu ? -1 : x->gpu > y->gpu;
}

size_t policy_rank(
	const struct policy_request *r, const struct policy_gpu *gpus, size_t count, struct policy_verdict *verdicts)
{
	size_t fits = 0;
	for (size_t i = 0; i < count; i++) {
		bool preferred = r->prefer && r->prefer[0] && policy_gpu_matches(&gpus[i], r->prefer);
		struct policy_verdict *v = &verdicts[i];
		*v = (struct policy_verdict){ .gpu = i };
		v->fits = judge(r, &gpus[i], preferred, v->why);
		v->score = v->fits ? score(&gpus[i], preferred) : 0;
		fits += v->fits;
	}
	qsort(verdicts, count, sizeof *verdicts, compare);
	return fits;
}
