/* A hash map from a pair of 64-bit numbers to a pointer: objects by (id, 0), records by (subject, key). Open addressing; the
 * values stay the caller's. Zero-initialised is empty. Not thread-safe. */
#ifndef TBMESH_MIGRATE_SESSION_MAP_H
#define TBMESH_MIGRATE_SESSION_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t a, b;
	void *value; /* NULL: free */
};

struct map {
	struct map_slot *slots; /* owned */
	size_t capacity;        /* 0 or a power of two */
	size_t count;
};

void map_finish(struct map *m);
void *map_get(const struct map *m, uint64_t a, uint64_t b); /* NULL when not there */
/* Adds or replaces; value is not NULL. 0 or -ENOMEM. */
int map_put(struct map *m, uint64_t a, uint64_t b, void *value);
void *map_take(struct map *m, uint64_t a, uint64_t b); /* removes; NULL when it was not there */

/* Walks all values; the map must not change meanwhile. */
#define map_for_each(m, slot)                                                                                               \
	for (struct map_slot *slot = (m)->slots; slot && slot != (m)->slots + (m)->capacity; slot++)                        \
		if (slot->value)

#endif
