#include "node/event_track.h"

void event_track_init(struct event_track *t, uint64_t since)
{
	*t = (struct event_track){ .have = since, .known = since, .stale = true };
}

/* False: it is of a node that is no more. */
static bool see(struct event_track *t, uint64_t incarnation)
{
	if (incarnation < t->incarnation)
		return false;
	if (incarnation > t->incarnation) {
		if (t->incarnation) {
			t->stale = true;
			t->known = t->have; /* its numbers may have begun anew */
		}
		t->incarnation = incarnation;
	}
	return true;
}

static void raise(struct event_track *t, uint64_t number)
{
	if (number > t->known)
		t->known = number;
}

bool event_track_published(struct event_track *t, uint64_t incarnation, uint64_t number, bool room)
{
	if (!see(t, incarnation))
		return false;
	raise(t, number);
	if (t->asking || t->stale || !room || number != t->have + 1)
		return false;
	t->have = number;
	return true;
}

void event_track_told(struct event_track *t, uint64_t incarnation, uint64_t last)
{
	if (see(t, incarnation))
		raise(t, last);
}

void event_track_connected(struct event_track *t)
{
	t->stale = true;
}

bool event_track_must_ask(const struct event_track *t)
{
	return !t->asking && (t->stale || t->known > t->have);
}

void event_track_asked(struct event_track *t)
{
	t->asking = true;
	t->stale = false;
}

void event_track_answered(struct event_track *t, uint64_t incarnation, uint64_t last, uint64_t newest)
{
	t->asking = false;
	(void)see(t, incarnation);
	if (last < t->have) /* what was known was of the numbers before */
		t->known = newest;
	t->have = last;
	raise(t, newest);
}

void event_track_failed(struct event_track *t)
{
	t->asking = false;
	t->stale = true;
}

bool event_track_settled(const struct event_track *t)
{
	return !t->asking && !event_track_must_ask(t);
}
