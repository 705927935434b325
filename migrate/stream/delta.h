/* Byte-exact differences of memory ranges: capture (host → device) as runs, delivery (device → host) as spans with masks.
 * Pure: no allocation beyond the builder's buffer, no shared memory knowledge. Contract: proto/README.md §1.4. */
#ifndef TBMESH_MIGRATE_STREAM_DELTA_H
#define TBMESH_MIGRATE_STREAM_DELTA_H

#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

/* Called for each maximal run of bytes in which now[] differs from before[]; offset counts from the start of the arrays.
 * Non-zero stops the walk and is returned. */
typedef int delta_run_fn(void *ctx, uint64_t offset, uint64_t size);

/* Finds the runs of differing bytes. Adjacent differing bytes make one run; an equal byte ends it (never merged across
 * equal bytes: the byte between may belong to the other side). Fast over equal memory (word/vector compare). */
int delta_walk(const void *before, const void *now, uint64_t size, delta_run_fn *run, void *ctx);

/* Checks a WRITE/DELTA payload of size bytes against a memory of memory_size bytes: counts, order, bounds, sums.
 * 0 or -EBADMSG. The pointers returned lie in payload. */
struct delta_view {
	const struct record_run *runs;
	uint32_t run_count;
	const unsigned char *bytes;
	uint64_t byte_count;
};
int delta_parse(const void *payload, uint64_t size, uint64_t memory_size, struct delta_view *ret_view);
/* Copies the runs into memory. The view was parsed against that memory's size. */
void delta_apply(const struct delta_view *view, void *memory);

/* Numbers that a device changed differ in some of their bytes: runs would be of a byte or three. A span is made of blocks, each with a mask: bit
 * k says that byte k of the block differs. The last block of a span may be shorter; bits beyond its end are 0. */
#define DELTA_BLOCK_BYTES 64u
static inline uint64_t delta_blocks(uint64_t size)
{
	return (size + DELTA_BLOCK_BYTES - 1) / DELTA_BLOCK_BYTES;
}
/* ret_masks: delta_blocks(size) words. */
void delta_masks(const void *before, const void *now, uint64_t size, uint64_t *ret_masks);

/* A DELTA's payload of size bytes: struct record_write, the spans (struct record_run), all their masks, all their bytes.
 * Checked as delta_parse does, and the masks' ends. 0 or -EBADMSG. The pointers returned lie in payload. */
struct delta_spans {
	const struct record_run *spans;
	uint32_t span_count;
	const uint64_t *masks;
	const unsigned char *bytes;
};
int delta_parse_spans(const void *payload, uint64_t size, uint64_t memory_size, struct delta_spans *ret_spans);
/* One block: writes those of the bytes that the mask names, and touches no others. */
void delta_apply_block(uint64_t mask, const unsigned char *bytes, unsigned char *to);

#endif
