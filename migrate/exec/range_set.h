/* A set of byte ranges of one memory: disjoint, ascending, merged where they touch. Pure. */
#ifndef TBMESH_MIGRATE_EXEC_RANGE_SET_H
#define TBMESH_MIGRATE_EXEC_RANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t begin, end;
}; /* bytes; begin < end */

/* Zero-initialised is empty. */
struct range_set {
	struct span *spans; /* owned */
	size_t count, capacity;
};

/* Adds [begin, end), begin < end. False when out of memory; the set is unchanged then. */
bool range_set_add(struct range_set *s, uint64_t begin, uint64_t end);
/* Takes away what of the set lies in [begin, end). False when out of memory; the set is unchanged then. */
bool range_set_cut(struct range_set *s, uint64_t begin, uint64_t end);
void range_set_clear(struct range_set *s); /* keeps the memory */
void range_set_finish(struct range_set *s);

#endif
