#include "migrate/session/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ranges_finish(struct ranges *r)
{
	free(r->at);
	*r = (struct ranges){ 0 };
}

void ranges_clear(struct ranges *r)
{
	r->count = 0;
}

static int reserve_one(struct ranges *r)
{
	size_t capacity = r->capacity ? r->capacity * 2 : 4;
	struct range *at;

	if (r->count < r->capacity)
		return 0;
	at = realloc(r->at, capacity * sizeof(*at));
	if (!at)
		return -ENOMEM;
	r->at = at;
	r->capacity = capacity;
	return 0;
}

/* Index of the first range whose end is not before position (touching counts). */
static size_t lower(const struct ranges *r, uint64_t position)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->at[middle].end < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
	size_t first = lower(r, start), last = first;
	int error;

	while (last < r->count && r->at[last].start <= end) {
		start = r->at[last].start < start ? r->at[last].start : start;
		end = r->at[last].end > end ? r->at[last].end : end;
		last++;
	}
	if (first == last) {
		error = reserve_one(r);
		if (error < 0)
			return error;
		memmove(&r->at[first + 1], &r->at[first], (r->count - first) * sizeof(*r->at));
		r->count++;
	} else if (last - first > 1) {
		memmove(&r->at[first + 1], &r->at[last], (r->count - last) * sizeof(*r->at));
		r->count -= last - first - 1;
	}
	r->at[first] = (struct range){ start, end };
	return 0;
}

int ranges_add_all(struct ranges *r, const struct ranges *other)
{
	for (size_t i = 0; i < other->count; i++) {
		int error = ranges_add(r, other->at[i].start, other->at[i].end);

		if (error < 0)
			return error;
	}
	return 0;
}

bool ranges_contain(const struct ranges *r, uint64_t start, uint64_t end)
{
	size_t i = lower(r, start);

	if (i < r->count && r->at[i].end == start)
		i++; /* lower() counts touching as meeting */
	return i < r->count && start < end && r->at[i].start <= start && end <= r->at[i].end;
}

int ranges_take(struct ranges *r, uint64_t start, uint64_t end)
{
	size_t i = lower(r, start);
	struct range *at;
	int error;

	if (!ranges_contain(r, start, end))
		return -ENOENT;
	if (r->at[i].end == start)
		i++;
	at = &r->at[i];
	if (at->start == start && at->end == end) {
		memmove(at, at + 1, (r->count - i - 1) * sizeof(*at));
		r->count--;
	} else if (at->start == start) {
		at->start = end;
	} else if (at->end == end) {
		at->end = start;
	} else {
		error = reserve_one(r);
		if (error < 0)
			return error;
		at = &r->at[i];
		memmove(at + 1, at, (r->count - i) * sizeof(*at));
		r->count++;
		at[0].end = start;
		at[1].start = end;
	}
	return 0;
}

int ranges_cut(struct ranges *r, uint64_t start, uint64_t end, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;

	for (size_t i = lower(r, start); i < r->count && r->at[i].start < end;) {
		uint64_t from = r->at[i].start > start ? r->at[i].start : start,
			 to = r->at[i].end < end ? r->at[i].end : end;
		int error;

		if (from >= to) { /* touches */
			i++;
			continue;
		}
		error = ranges_take(r, from, to);
		if (error < 0)
			return error;
		bytes += to - from;
	}
	*ret_bytes = bytes;
	return 0;
}
