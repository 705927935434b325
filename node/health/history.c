#include "node/health/history.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void next_step(struct health_history *h)
{
	if (h->step_count == HISTORY_STEPS)
		memmove(&h->steps[0], &h->steps[1], --h->step_count);
	h->steps[h->step_count++] = HISTORY_UNSEEN;
}

static void add_to_steps(struct health_history *h, uint64_t now_ns, unsigned score)
{
	if (h->step_count == 0) {
		h->step_ns = now_ns;
		next_step(h);
	}
	/* After a long sleep of the host all that was is out of sight. */
	for (unsigned i = 0; now_ns - h->step_ns >= HISTORY_STEP_NS; i++) {
		if (i < HISTORY_STEPS)
			next_step(h);
		h->step_ns += HISTORY_STEP_NS;
	}
	uint8_t *last = &h->steps[h->step_count - 1];
	if (*last == HISTORY_UNSEEN || score < *last)
		*last = (uint8_t)score;
}

/* Another word in front means another cause; numbers in it move all the time. */
static bool same_cause(const char *a, const char *b)
{
	while (*a && *b) {
		if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
			a += strspn(a, "0123456789.");
			b += strspn(b, "0123456789.");
		} else if (*a++ != *b++) {
			return false;
		}
	}
	return *a == *b;
}

static bool is_change(const struct health_history *h, const struct health_verdict *v, const char *reason)
{
	const struct history_change *last = h->change_count ? &h->changes[h->change_count - 1] : NULL;
	if (!last || v->level != last->level || abs((int)v->score - (int)last->score) >= HISTORY_POINTS)
		return true;
	return v->score != last->score && !same_cause(reason, last->reason);
}

void history_add(struct health_history *h, uint64_t now_ns, const struct health_verdict *v)
{
	const char *reason = v->reason_count ? v->reasons[0] : "";
	add_to_steps(h, now_ns, v->score);
	if (!is_change(h, v, reason))
		return;
	if (h->change_count == HISTORY_CHANGES)
		memmove(&h->changes[0], &h->changes[1], --h->change_count * sizeof h->changes[0]);
	struct history_change *c = &h->changes[h->change_count++];
	*c = (struct history_change){ .at_ns = now_ns, .score = v->score, .level = v->level };
	snprintf(c->reason, sizeof c->reason, "%s", reason);
}
