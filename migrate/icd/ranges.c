#include "migrate/icd/ranges.h"

#include <stdlib.h>

#define TIDY_SLACK 64

static int compare(const void *a, const void *b)
{
	const struct record_range *x = a, *y = b;
	if (x->memory != y->memory)
		return x->memory < y->memory ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void unite(struct icd_ranges *r, uint64_t gap)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct record_range *x = &r->items[i];
		struct record_range *last = kept ? &r->items[kept - 1] : NULL;
		uint64_t end = last ? last->offset + last->size : 0;
		if (!last || last->memory != x->memory || (x->offset > end && x->offset - end > gap))
			r->items[kept++] = *x;
		else if (x->offset + x->size > end)
			last->size = x->offset + x->size - last->offset;
	}
	r->count = r->tidy = kept;
}

void icd_ranges_tidy(struct icd_ranges *r)
{
	if (r->count > 1)
		qsort(r->items, r->count, sizeof(r->items[0]), compare);
	unite(r, 0);
}

void icd_ranges_coarsen(struct icd_ranges *r)
{
	icd_ranges_tidy(r);
	unite(r, UINT64_MAX);
}

void icd_ranges_add(struct icd_ranges *r, uint64_t memory, uint64_t offset, uint64_t size)
{
	struct record_range *last = r->count ? &r->items[r->count - 1] : NULL;
	if (size == 0)
		return;
	if (last && last->memory == memory && last->offset <= offset && offset + size <= last->offset + last->size)
		return;
	if (r->count >= 2 * r->tidy + TIDY_SLACK)
		icd_ranges_tidy(r);
	if (r->count == r->capacity) {
		size_t capacity = r->capacity ? 2 * r->capacity : 16;
		struct record_range *items = realloc(r->items, capacity * sizeof(*items));
		if (!items) {
			r->failed = true;
			return;
		}
		r->items = items;
		r->capacity = capacity;
	}
	r->items[r->count++] = (struct record_range){ memory, offset, size };
}

void icd_ranges_add_all(struct icd_ranges *r, const struct icd_ranges *other)
{
	for (size_t i = 0; i < other->count; i++)
		icd_ranges_add(r, other->items[i].memory, other->items[i].offset, other->items[i].size);
	r->failed |= other->failed;
}

void icd_ranges_clear(struct icd_ranges *r)
{
	r->count = r->tidy = 0;
	r->failed = false;
}

void icd_ranges_finish(struct icd_ranges *r)
{
	free(r->items);
	*r = (struct icd_ranges){ 0 };
}
