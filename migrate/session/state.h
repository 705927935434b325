/* Checkpoint memory: the bytes of every allocation as of the committed position, and beside them the results of a commit that is
 * under way, which nobody sees before it is whole (proto/README.md §1.6).
 *
 * Not thread-safe. What the program allocated is kept sparse: memory that nobody wrote costs address space only. */
#ifndef TBMESH_MIGRATE_SESSION_STATE_H
#define TBMESH_MIGRATE_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/session/map.h"
#include "migrate/session/ranges.h"
#include "migrate/stream/delta.h"
#include "proto/record.h"

#define STATE_BLOCK (64u << 10) /* unit in which written memory is known and sent */

enum state_answer { STATE_PENDING, STATE_MADE, STATE_FAILED };

struct state_memory {
	uint64_t id;
	uint64_t size;
	bool host_visible;
	bool committed;           /* its ALLOCATE is behind the checkpoint */
	enum state_answer answer; /* to the ALLOCATE; told to the program once */
	uint64_t allocated_at;    /* position of the ALLOCATE */
	uint64_t captured_at;     /* position of the last WRITE in the log read so far */
	uint64_t freed_at;        /* position of the FREE in the log read so far, UINT64_MAX */
	unsigned char *bytes;     /* owned; NULL: all zero */
	uint64_t *written;        /* a bit for each block that was ever written; NULL with bytes */
	unsigned char *staging;   /* owned; bytes of the commit under way at their offsets */
	unsigned idle_commits;    /* COMMITs in a row that brought nothing of it */
	struct ranges dirty;      /* may have been written since it was last returned, by submissions this epoch has done */
	struct ranges returned;   /* this commit's ranges: what it must bring back … */
	struct ranges missing;    /* … and what of it has not come yet */
	uint64_t *hashes; /* owned; of each block of the checkpoint, as its executor said; 0 not known; NULL: none known */
	uint64_t *fresh;  /* owned; the same of the commit under way */
	/* relaxed mode, host-visible memory only (proto/README.md §1.9) */
	unsigned char *view; /* owned; the device's bytes at the last RETURN or COMMIT; NULL: those of the checkpoint */
	uint64_t *differs;   /* a bit for each block in which the view may differ from the checkpoint; NULL without a view */
	unsigned char *told; /* owned; what the program was told in an earlier epoch; NULL: the view */
};

struct state {
	struct map memories; /* (id, 0) → struct state_memory, owned */
	uint64_t size_bytes; /* of committed memories */
	uint64_t missing_bytes;
	bool staged;  /* bytes of this commit have come */
	uint64_t end; /* of the submission whose commit is under way */
};

void state_finish(struct state *s);
struct state_memory *state_find(const struct state *s, uint64_t id); /* NULL if there is none */
/* From the log read ahead: not committed yet. 0, -EEXIST, -ENOMEM. */
int state_allocate(struct state *s, uint64_t id, uint64_t size, uint64_t position, bool host_visible);
void state_commit_allocate(struct state *s, struct state_memory *m);
void state_free(struct state *s, struct state_memory *m); /* m is gone; NULL is fine */

/* Applies a WRITE to the checkpoint. payload: the record's payload; its counts and runs are private, the bytes may lie anywhere. */
int state_write(struct state_memory *m, const struct delta_view *view);
/* Does a copy between two memories, or a fill with a word, on the checkpoint. The ranges lie inside. 0 or -ENOMEM. */
int state_copy(
	struct state_memory *m, uint64_t offset, const struct state_memory *source, uint64_t source_offset, uint64_t size);
int state_fill(struct state_memory *m, uint64_t offset, uint64_t size, uint32_t word);

/* The blocks there have no known hash from here: their bytes change otherwise than by what is returned. */
void state_forget_hashes(struct state_memory *m, uint64_t offset, uint64_t size);

/* Widens [offset, offset + size) to 4 bytes and adds it to what may have been written. 0 or -ENOMEM. */
int state_dirty(struct state_memory *m, uint64_t offset, uint64_t size);
/* Begins the commit of the submission whose record ends at `end`: all that is dirty and still alive there must come;
 * host_visible: only what of it the program can see. */
int state_begin(struct state *s, uint64_t end, bool host_visible);
/* Where bytes of a result may be put before they are staged, so that state_stage copies nothing; NULL: nowhere. Stays until the next call
 * of another function than state_find. */
void *state_place(struct state *s, uint64_t id, uint64_t offset, uint64_t size);
/* Bytes of a result. 0, -EBADMSG (not asked for, twice, not of whole words), -ENOMEM. */
int state_stage(struct state *s, uint64_t id, uint64_t offset, const void *bytes, uint64_t size);
/* Hashes of `count` blocks of device-local memory, before any bytes: those with the checkpoint's hash are as in the checkpoint, and
 * nothing of them comes. 0, -EBADMSG (no such blocks, too late, or twice), -ENOMEM. */
int state_hash(struct state *s, uint64_t id, uint64_t offset, const uint64_t *hashes, uint64_t count);
/* After the WRITEs up to here: what has come becomes the checkpoint. changed is called before that for each range of
 * host-visible memory: `before` and `now` are size bytes; non-zero stops (the checkpoint is torn then: the caller must end). */
typedef int state_changed_fn(void *ctx, const struct state_memory *m, uint64_t offset, const unsigned char *before,
	const unsigned char *now, uint64_t size, bool gently);
int state_commit(struct state *s, state_changed_fn *changed, void *ctx);
/* The epoch is over: forgets what was staged, what is dirty, and the views; these are kept as what the program was told. */
void state_abandon(struct state *s);

/* Relaxed mode. A WRITE to the view; told: also to what the program was told. 0 or -ENOMEM. */
int state_view_write(struct state_memory *m, const struct delta_view *view, bool told);
/* After the WRITEs up to here: what has come becomes the view. changed (NULL: nobody is told) is called for each range: before the
 * view changes, and then, `gently`, for what the program was told otherwise in an earlier epoch; that waits for a later call while
 * WRITEs of later submissions are on their way.
 * state_commit does the same first. */
int state_return(struct state *s, state_changed_fn *changed, void *ctx);
/* Forgets what the program was told where that is the view. True: nothing else is left. */
bool state_settle(struct state *s);

/* The blocks of committed memory that were ever written; the rest is zero. Neighbouring ones come together, up to
 * max_block (≥ STATE_BLOCK) bytes. Changes nothing. Non-zero from fn is returned. */
typedef int state_block_fn(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size);
int state_walk(const struct state *s, uint64_t max_block, state_block_fn *fn, void *ctx);
/* The known hashes of committed memory, as bytes; offset is that of the first block. */
int state_walk_hashes(const struct state *s, uint64_t max_bytes, state_block_fn *fn, void *ctx);

#endif
