/* Is each peer reached by the best way to it that was ever measured? Two ways count: the one with the shortest round trip, which
 * control takes, and the one with the most goodput, which data takes. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "mesh/core_private.h"

#define UNMEASURED (5 * CORE_SECOND)   /* so long a fresh link may still turn out to be as good */
#define FORGOTTEN (3600 * CORE_SECOND) /* a cable that is gone for so long is no longer missed */
#define FASTER 1.2
#define NEARER 0.8 /* as for choosing links: by 20 % … */
#define NEARER_US 50.0

static bool nearer(double a_us, double b_us)
{
	return a_us <= b_us * NEARER && a_us + NEARER_US <= b_us;
}

static uint64_t rate_of(const struct mesh_core_link *l)
{
	return l->up.bps;
}

static void remember(struct mesh_core_top *t, const struct mesh_core_link *l, uint64_t now_ns)
{
	snprintf(t->link, sizeof t->link, "%s", l->id);
	t->p50_us = l->p50_us > 0 ? l->p50_us : t->p50_us;
	t->bps = rate_of(l) ? rate_of(l) : t->bps;
	t->seen_ns = now_ns;
}

static void learn(struct mesh_core *c, struct mesh_core_peer *p)
{
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_DOWN)
			continue;
		bool was_nearest = strcmp(p->nearest.link, l->id) == 0, was_fastest = strcmp(p->fastest.link, l->id) == 0;
		if (was_nearest || (l->p50_us > 0 && (!p->nearest.link[0] || nearer(l->p50_us, p->nearest.p50_us))))
			remember(&p->nearest, l, c->now_ns);
		if (was_fastest ||
			(rate_of(l) && (!p->fastest.link[0] || (double)rate_of(l) > (double)p->fastest.bps * FASTER)))
			remember(&p->fastest, l, c->now_ns);
	}
	if (p->nearest.link[0] && c->now_ns - p->nearest.seen_ns > FORGOTTEN)
		p->nearest = (struct mesh_core_top){ 0 };
	if (p->fastest.link[0] && c->now_ns - p->fastest.seen_ns > FORGOTTEN)
		p->fastest = (struct mesh_core_top){ 0 };
}

enum verdict { AS_GOOD, WORSE, NOT_KNOWN_YET };

/* by_rate: goodput counts, else the round trip. */
static enum verdict judge(
	const struct mesh_core *c, const struct mesh_core_peer *p, const struct mesh_core_top *t, bool by_rate)
{
	enum verdict verdict = t->link[0] ? WORSE : AS_GOOD;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		if (l->state == MESH_LINK_DOWN || verdict == AS_GOOD)
			continue;
		bool known = by_rate ? rate_of(l) > 0 : l->p50_us > 0;
		if (strcmp(l->id, t->link) == 0)
			verdict = AS_GOOD;
		else if (!known)
			verdict = c->now_ns - l->up_ns < UNMEASURED ? NOT_KNOWN_YET : verdict;
		else if (by_rate ? (double)rate_of(l) * FASTER >= (double)t->bps : !nearer(t->p50_us, l->p50_us))
			verdict = AS_GOOD;
	}
	return verdict;
}

static void describe(char *to, size_t size, double p50_us, uint64_t bps)
{
	char rtt[32] = "not measured", rate[32] = "";
	if (p50_us > 0)
		snprintf(rtt, sizeof rtt, p50_us < 1000 ? "%.0f us" : "%.3g ms", p50_us < 1000 ? p50_us : p50_us / 1000);
	if (bps)
		snprintf(rate, sizeof rate, ", %.3g Gb/s", (double)bps / 1e9);
	snprintf(to, size, "%s%s", rtt, rate);
}

static void tell(struct mesh_core *c, struct mesh_core_peer *p, const struct mesh_core_top *missed)
{
	struct mesh_field fields[4] = { { .name = "used" }, { .name = "used_is" }, { .name = "best" },
		{ .name = "best_is" } };
	const struct mesh_core_link *l = p->best;
	snprintf(fields[0].value, sizeof fields[0].value, "%s", l->id);
	describe(fields[1].value, sizeof fields[1].value, l->p50_us, rate_of(l));
	snprintf(fields[2].value, sizeof fields[2].value, "%s", missed->link);
	describe(fields[3].value, sizeof fields[3].value, missed->p50_us, missed->bps);
	snprintf(p->path_note, sizeof p->path_note, "%s is reached by %.90s (%.60s): its best way, %.90s (%.60s), is down",
		p->name, fields[0].value, fields[1].value, fields[2].value, fields[3].value);
	mesh_core_event(c, MESH_EVENT_PATH_DEGRADED, p, p->name, fields, ARRAY_SIZE(fields));
}

void mesh_core_path_check(struct mesh_core *c, struct mesh_core_peer *p)
{
	if (p->state == MESH_PEER_DEAD || !p->best) {
		p->path_note[0] = p->path_missed[0] = '\0'; /* no way at all: that is told by itself */
		return;
	}
	learn(c, p);
	enum verdict near = judge(c, p, &p->nearest, false), fast = judge(c, p, &p->fastest, true);
	const struct mesh_core_top *missed = fast == WORSE ? &p->fastest : near == WORSE ? &p->nearest : NULL;
	if (!missed && (near == NOT_KNOWN_YET || fast == NOT_KNOWN_YET))
		return;
	if (missed && strcmp(p->path_missed, missed->link) != 0) {
		snprintf(p->path_missed, sizeof p->path_missed, "%s", missed->link);
		tell(c, p, missed);
	} else if (!missed && p->path_missed[0]) {
		struct mesh_field field = { .name = "used" };
		p->path_note[0] = p->path_missed[0] = '\0';
		snprintf(field.value, sizeof field.value, "%s", p->best->id);
		mesh_core_event(c, MESH_EVENT_PATH_RESTORED, p, p->name, &field, 1);
	}
}
