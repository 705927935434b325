/* Hashes of the blocks that a COMMIT would return: what has the hash that the checkpoint's block has stays where it is. The GPU
 * computes them in front of the COMMIT's windows; they are a window themselves, so the session believes them as it believes bytes.
 * Contract: proto/README.md §1.6. Main thread. */
#ifndef TBMESH_MIGRATE_EXEC_BLOCKS_H
#define TBMESH_MIGRATE_EXEC_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/exec/commit.h"

#define BLOCK_BYTES (64u << 10)

/* Notes that blocks of m have such hashes in the checkpoint; with the seed. False: they lie outside of m, or out of memory. */
bool blocks_know(struct memory *m, uint64_t offset, const uint64_t *hashes, uint64_t count);
/* What is copied to [offset, offset + size) of m does not come back: the checkpoint's blocks there have no known hash from here. */
void blocks_forget(struct memory *m, uint64_t offset, uint64_t size);
/* Is it worth hashing before returning? Asked once each COMMIT; if not, what is returned has no known hash from here. */
bool blocks_wanted(struct commit *c);
/* Records the hashes of all that the program cannot see into the tail of a job, as window 0. False: there is too much of it; nothing
 * was recorded. */
bool blocks_record(struct commit *c, struct job *job, uint64_t nonce);
/* Once the job is done: what has not changed needs not be returned. */
void blocks_drop_unchanged(struct commit *c);

#endif
