#include "node/vitals.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define COUNT_MAX (UINT64_C(1) << 32) /* in one look; more is nonsense */

void vitals_reader_init(struct vitals_reader *r, int fd)
{
	*r = (struct vitals_reader){ .fd = fd };
}

void vitals_reader_finish(struct vitals_reader *r)
{
	close_fd(&r->fd);
	r->fd = -1;
}

/* Counters grow, and no more can have come back than were submitted. */
static bool follows(const struct vitals_page *now, const struct vitals_page *last)
{
	uint64_t sum = 0;
	if (now->magic != VITALS_MAGIC || now->completed < last->completed || now->completed - last->completed > COUNT_MAX ||
		now->submitted < now->completed)
		return false;
	for (unsigned i = 0; i < VITALS_BUCKETS; i++) {
		if (now->latency[i] < last->latency[i] || now->latency[i] - last->latency[i] > COUNT_MAX)
			return false;
		sum += now->latency[i] - last->latency[i];
	}
	return sum == now->completed - last->completed && now->memory_at_ns <= time_monotonic_ns();
}

bool vitals_reader_look(struct vitals_reader *r, struct vitals_latency *sum)
{
	struct vitals_page now;
	if (r->fd < 0 || pread(r->fd, &now, sizeof now, 0) != (ssize_t)sizeof now || !follows(&now, &r->last) ||
		memcmp(&now, &r->last, sizeof now) == 0)
		return false;
	sum->completed += now.completed - r->last.completed;
	for (unsigned i = 0; i < VITALS_BUCKETS; i++)
		sum->latency[i] += now.latency[i] - r->last.latency[i];
	r->last = now;
	return true;
}

uint64_t vitals_waiting(const struct vitals_reader *r)
{
	return r->last.submitted - r->last.completed;
}

uint64_t vitals_latency_us(const struct vitals_latency *l, double share)
{
	uint64_t wanted = (uint64_t)ceil((double)l->completed * share), so_far = 0;
	for (unsigned i = 0; i < VITALS_BUCKETS && l->completed > 0; i++) {
		so_far += l->latency[i];
		if (so_far >= wanted && so_far > 0)
			return (uint64_t)ceil(exp2(i / 4.0));
	}
	return 0;
}
