/* COMMIT: everything that may have been written since the last one goes back to the host, in windows. A window is gathered from
 * the memories into one buffer on the device, or is one large piece of a memory where it lies; it is hashed there and copied out; nonce
 * and hash are written behind the copy.
 * Contract: proto/README.md §1.6, §1.7. Main thread; the completion thread reads a window between its job's fence and its end. */
#ifndef TBMESH_MIGRATE_EXEC_COMMIT_H
#define TBMESH_MIGRATE_EXEC_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "migrate/exec/jobs.h"
#include "migrate/exec/memory.h"

#define WINDOW_BYTES (4u << 20) /* while one is hashed another one is sent; and it is still in a cache then */
#define WINDOW_COUNT 6
#define WINDOW_PIECES 4096

struct window_piece {
	uint64_t memory; /* id */
	uint64_t offset;
	uint32_t size; /* bytes, multiple of 4 */
	bool hashes;   /* not bytes of the memory but hashes of its blocks from there on */
};

struct window {
	struct list link; /* in jobs.free_windows */
	/* set at creation */
	struct plain_buffer gathered; /* on the device */
	VkBufferView texels;          /* of gathered */
	struct plain_buffer sums;     /* on the device: the hash, lo and hi */
	struct plain_buffer out;      /* at the host */
	VkDescriptorSet set;          /* texels and sums */
	VkDescriptorSet direct_set;   /* texels of a memory, and sums */
	/* main thread until the job is submitted, completion thread after */
	uint32_t index; /* within the commit */
	uint32_t size;  /* bytes */
	VkBuffer
		from; /* gathered, or the memory itself: its bytes begin at from_offset, which is texel first_quad of from_set */
	VkDeviceSize from_offset;
	VkDescriptorSet from_set;
	uint32_t first_quad;
	uint32_t piece_count;
	struct window_piece pieces[WINDOW_PIECES];
	struct memory *memories[WINDOW_PIECES]; /* of hashes: whose */
};

struct commit {
	struct jobs *jobs;
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkPipeline pipeline; /* made for the first window */
	VkDescriptorPool pool;
	unsigned window_count; /* made so far */
	/* blocks.c */
	VkDescriptorSetLayout blocks_set_layout;
	VkPipelineLayout blocks_layout;
	VkPipeline blocks_pipeline; /* made for the first hashes */
	VkDescriptorPool blocks_pool;
	struct window *hashed;         /* window of the last hashes */
	uint64_t total, known, same;   /* blocks in it: all, with a hash in the checkpoint, with the same one */
	unsigned skip, backoff;        /* COMMITs to go without hashing; how many it were last */
	struct list dirty, dirty_host; /* memories with something to return: what the program cannot see, what it can */
};

void commit_init(struct commit *c, struct jobs *j);
/* [begin, end) of m may be written; checked against its size. */
void commit_note_write(struct commit *c, struct memory *m, uint64_t begin, uint64_t end);
/* The memory is freed: nothing of it is returned. */
void commit_forget(struct commit *c, struct memory *m);
/* For blocks.c: a window that nobody reads any more; the hash and nonce of one that is filled, behind its filling. */
struct window *commit_take_window(struct commit *c);
void commit_give_window(struct commit *c, struct window *w); /* unused */
void commit_record_hash(struct commit *c, struct job *job, const struct window *w, uint64_t nonce);
/* Bindings 0 and 1 of a set whose shader hashes. */
void commit_fill_set(struct commit *c, VkDescriptorSet set, VkBufferView texels, const VkDescriptorBufferInfo *sums);
/* host_visible: of what the program can see alone (RETURN).
 * Records the next window of what is noted into the tail of a job, behind everything before. False: nothing is left. */
bool commit_record_window(struct commit *c, struct job *job, uint64_t nonce, uint32_t index, bool host_visible);
bool commit_is_empty(const struct commit *c, bool host_visible);

#endif
