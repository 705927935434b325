/* A set of byte ranges: ascending, apart from each other. Zero-initialised is empty. Not thread-safe. */
#ifndef TBMESH_MIGRATE_SESSION_RANGES_H
#define TBMESH_MIGRATE_SESSION_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end; /* start < end */
};

struct ranges {
	struct range *at; /* owned */
	size_t count, capacity;
};

void ranges_finish(struct ranges *r);
void ranges_clear(struct ranges *r);                            /* keeps the memory */
int ranges_add(struct ranges *r, uint64_t start, uint64_t end); /* 0 or -ENOMEM */
int ranges_add_all(struct ranges *r, const struct ranges *other);
/* Takes away what of the set lies in [start, end), and says how much it was. 0 or -ENOMEM. */
int ranges_cut(struct ranges *r, uint64_t start, uint64_t end, uint64_t *ret_bytes);
bool ranges_contain(const struct ranges *r, uint64_t start, uint64_t end); /* wholly, in one range of the set */
/* Takes away a part that must lie wholly in one range of the set. 0, -ENOENT if it does not, -ENOMEM. */
int ranges_take(struct ranges *r, uint64_t start, uint64_t end);

#endif
