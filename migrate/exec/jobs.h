/* What is on its way through the GPU's queue. A job is one vkQueueSubmit with a fence: uploads, the program's command buffers,
 * a nonce, a window to read back; each part may be missing. The main thread makes jobs and submits them; the completion
 * thread waits for their fences in order, reports, and gives them back.
 *
 * Each job ends with a full barrier: what the next one does comes behind all of it.
 *
 * A ticket numbers the jobs from 1. Waiting for a ticket is waiting until its job was reported. */
#ifndef TBMESH_MIGRATE_EXEC_JOBS_H
#define TBMESH_MIGRATE_EXEC_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "migrate/exec/device.h"
#include "proto/vitals.h"

struct link;
struct window;

#define JOB_COUNT 64
#define STAGING_CHUNK_BYTES (1u << 20)
#define STAGING_CHUNK_COUNT 32
#define JOB_SETS 32 /* dispatches of scatter.h in one job */

/* What the GPU writes and the host reads back of each job. */
struct job_words {
	uint64_t nonce;
	uint64_t window_nonce;
	uint32_t window_hash[2]; /* lo, hi */
	uint64_t unused[5];
};

struct staging_chunk {
	struct list link; /* in jobs.free_chunks or job.chunks */
	struct plain_buffer buffer;
	uint32_t used; /* bytes */
};

struct job {
	struct list link;
	/* set at creation */
	VkCommandBuffer upload, tail;
	VkFence fence;
	volatile struct job_words *words;
	VkDeviceSize words_offset;
	/* main thread until submitted, completion thread after */
	uint64_t ticket;
	uint64_t seq;          /* 0: uploads alone */
	bool has_nonce;        /* words->nonce is written */
	bool final;            /* the last job of this seq */
	uint64_t submitted_ns; /* CLOCK_MONOTONIC */
	uint64_t done_ns;      /* its fence was seen */
	bool brings_nothing;   /* that is neither COMMIT nor RETURN */
	struct window *window; /* NULL: none */
	struct list chunks;    /* staging that the uploads read */
	/* main thread */
	VkDescriptorPool sets; /* null: none made yet */
	unsigned set_count;
};

struct jobs {
	/* set at creation */
	const struct device *device;
	struct link *link;
	VkCommandPool pool;
	VkCommandBuffer barrier; /* a full barrier, recorded once */
	struct plain_buffer words;
	struct job all[JOB_COUNT];
	pthread_mutex_t mutex;
	pthread_cond_t submitted, finished;
	/* under mutex */
	struct list idle, pending, free_chunks, free_windows;
	uint64_t done_ticket, done_seq;
	uint64_t working_seq; /* for the heartbeat; 0 idle */
	struct vitals_page vitals;
	uint64_t free_ns;  /* since then the GPU was free for what came next */
	uint64_t began_ns; /* of the submission whose jobs come in, 0 none */
	/* main thread */
	uint64_t last_ticket;
	unsigned chunk_count;
};

/* Everything below ends the executor by link_lost when the device fails. */
void jobs_init(struct jobs *j, const struct device *d, struct link *l);

/* An idle job; waits for one. Its command buffers are not begun. */
struct job *jobs_take(struct jobs *j);
/* Begins and ends one of a job's command buffers. */
void jobs_begin(struct jobs *j, VkCommandBuffer buffer);
void jobs_end(struct jobs *j, VkCommandBuffer buffer);
/* An unused piece of staging memory, or NULL: all of it is in use. wait: sleeps until a submitted job gives one back. */
struct staging_chunk *jobs_take_chunk(struct jobs *j);
struct staging_chunk *jobs_wait_chunk(struct jobs *j);
/* One vkQueueSubmit; the job is the completion thread's from here. */
void jobs_submit(struct jobs *j, struct job *job, const VkCommandBuffer *buffers, uint32_t count);

void jobs_wait_ticket(struct jobs *j, uint64_t ticket);
void jobs_wait_seq(struct jobs *j, uint64_t seq);
/* The workload goes on behind this seq: it and all before count as done. */
void jobs_set_seq(struct jobs *j, uint64_t seq);
uint64_t jobs_working_seq(struct jobs *j);                 /* any thread */
void jobs_vitals(struct jobs *j, struct vitals_page *ret); /* any thread: counters of submissions */

/* Completion thread: the oldest submitted job, waits for one; and its end, when everything about it was reported. */
struct job *jobs_next_pending(struct jobs *j);
void jobs_finish(struct jobs *j, struct job *job);

/* Records a barrier between everything before and everything behind it. */
void device_full_barrier(const struct device *d, VkCommandBuffer cb);

#endif
