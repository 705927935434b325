#include "migrate/exec/range_set.h"

#include <stdlib.h>
#include <string.h>

/* Index of the first span that ends at or behind `position`: the first that [position, …) may touch. */
static size_t first_touching(const struct range_set *s, uint64_t position)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->spans[middle].end < position)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool range_set_add(struct range_set *s, uint64_t begin, uint64_t end)
{
	size_t first = first_touching(s, begin);
	size_t past = first;

	while (past < s->count && s->spans[past].begin <= end)
		past++;
	if (past == first) {
		if (s->count == s->capacity) {
			size_t capacity = s->capacity ? 2 * s->capacity : 8;
			struct span *spans = reallocarray(s->spans, capacity, sizeof(*spans));

			if (!spans)
				return false;
			s->spans = spans;
			s->capacity = capacity;
		}
		memmove(s->spans + first + 1, s->spans + first, (s->count - first) * sizeof(*s->spans));
		s->spans[first] = (struct span){ begin, end };
		s->count++;
		return true;
	}
	if (begin < s->spans[first].begin)
		s->spans[first].begin = begin;
	if (end < s->spans[past - 1].end)
		end = s->spans[past - 1].end;
	s->spans[first].end = end;
	memmove(s->spans + first + 1, s->spans + past, (s->count - past) * sizeof(*s->spans));
	s->count -= past - first - 1;
	return true;
}

bool range_set_cut(struct range_set *s, uint64_t begin, uint64_t end)
{
	size_t first = first_touching(s, begin), past;

	if (first < s->count && s->spans[first].end == begin)
		first++;
	if (first < s->count && s->spans[first].begin < begin && s->spans[first].end > end) {
		uint64_t rest = s->spans[first].end;

		s->spans[first].end = begin;
		if (range_set_add(s, end, rest))
			return true;
		s->spans[first].end = rest;
		return false;
	}
	if (first < s->count && s->spans[first].begin < begin)
		s->spans[first++].end = begin;
	past = first;
	while (past < s->count && s->spans[past].end <= end)
		past++;
	if (past < s->count && s->spans[past].begin < end)
		s->spans[past].begin = end;
	memmove(s->spans + first, s->spans + past, (s->count - past) * sizeof(*s->spans));
	s->count -= past - first;
	return true;
}

void range_set_clear(struct range_set *s)
{
	s->count = 0;
}

void range_set_finish(struct range_set *s)
{
	free(s->spans);
	*s = (struct range_set){ 0 };
}
