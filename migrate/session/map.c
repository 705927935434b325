#include "migrate/session/map.h"

#include <errno.h>
#include <stdlib.h>

static size_t hash(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9E3779B97F4A7C15u ^ (b + 0x632BE59BD9B4E019u) * 0xD6E8FEB86659FD93u;

	x ^= x >> 32;
	x *= 0xD6E8FEB86659FD93u;
	x ^= x >> 29;
	return (size_t)x;
}

void map_finish(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}

/* The slot that holds the pair, or the free one where it belongs. */
static struct map_slot *probe(const struct map *m, uint64_t a, uint64_t b)
{
	size_t mask = m->capacity - 1;
	size_t i = hash(a, b) & mask;

	while (m->slots[i].value && (m->slots[i].a != a || m->slots[i].b != b))
		i = (i + 1) & mask;
	return &m->slots[i];
}

void *map_get(const struct map *m, uint64_t a, uint64_t b)
{
	return m->capacity ? probe(m, a, b)->value : NULL;
}

static int grow(struct map *m)
{
	struct map bigger = { .capacity = m->capacity ? m->capacity * 2 : 64, .count = m->count };

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	map_for_each(m, slot)
		*probe(&bigger, slot->a, slot->b) = *slot;
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_put(struct map *m, uint64_t a, uint64_t b, void *value)
{
	struct map_slot *slot;
	int r;

	if (m->count * 4 >= m->capacity * 3) {
		r = grow(m);
		if (r < 0)
			return r;
	}
	slot = probe(m, a, b);
	if (!slot->value)
		m->count++;
	*slot = (struct map_slot){ a, b, value };
	return 0;
}

void *map_take(struct map *m, uint64_t a, uint64_t b)
{
	struct map_slot *slot;
	size_t mask = m->capacity - 1, hole, i;
	void *value;

	if (!m->capacity)
		return NULL;
	slot = probe(m, a, b);
	value = slot->value;
	if (!value)
		return NULL;
	/* Close the gap: later slots of the same run move back when their home is not behind the hole. */
	hole = i = (size_t)(slot - m->slots);
	for (;;) {
		size_t home;

		i = (i + 1) & mask;
		if (!m->slots[i].value)
			break;
		home = hash(m->slots[i].a, m->slots[i].b) & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_slot){ 0 };
	m->count--;
	return value;
}
