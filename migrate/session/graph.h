/* The objects of a workload and the records that make them, as of a position in its log (proto/README.md §1.2, §1.6). Knows
 * nothing of Vulkan: a CREATE keeps what it names (strong), an UPDATE falls with what it names (weak), an UPDATE replaces an
 * earlier one of the same subject and key. Records are applied when the checkpoint passes them, so what a program destroyed
 * behind the checkpoint is still here.
 *
 * Not thread-safe. graph_walk changes nothing: several may run at a time as long as nothing is applied. */
#ifndef TBMESH_MIGRATE_SESSION_GRAPH_H
#define TBMESH_MIGRATE_SESSION_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "migrate/session/map.h"
#include "proto/record.h"

struct graph {
	struct map objects; /* (id, 0) → struct graph_object, owned */
	struct map updates; /* (subject, key) → struct graph_record of kind UPDATE, owned by the subject */
	size_t record_count;
	uint64_t record_bytes;
};

void graph_finish(struct graph *g);

/* Applies a CREATE, UPDATE, DESTROY, ALLOCATE or FREE. record: header->size private bytes, checked by the caller (size covers
 * header and deps); a copy is kept where needed. Records that name what does not exist have no effect. 0 or -ENOMEM. */
int graph_apply(struct graph *g, uint64_t position, const struct record_header *record);

/* Gives out the records that make everything again: in the order of the log, but never an UPDATE before the latest records of
 * what it names (a recording must see the set that it binds as it is now). Non-zero from fn stops and is returned. 0, -ENOMEM. */
typedef int graph_record_fn(void *ctx, const struct record_header *record);
int graph_walk(const struct graph *g, graph_record_fn *fn, void *ctx);

#endif
