/* Submissions, fences, semaphores, events. All of it is a function of completed submissions and of what the host calls. */
#ifndef TBMESH_MIGRATE_ICD_QUEUE_H
#define TBMESH_MIGRATE_ICD_QUEUE_H

#include "migrate/icd/command.h"
#include "migrate/icd/stream.h"

struct icd_fence {
	struct icd_object object;
	_Atomic uint64_t seq; /* signalled once it is complete; 0: signalled, ICD_NEVER: not submitted yet */
};

/* A state that takes effect when a submission is complete. */
struct icd_point {
	uint64_t seq, value;
};

struct icd_semaphore {
	struct icd_object object;
	bool timeline; /* a binary one needs no state: on one queue its signal is always ahead of its wait */
	/* under the device's mutex */
	uint64_t value;    /* reached */
	uint64_t future;   /* will be reached by what is in the log */
	struct buf points; /* struct icd_point[], ascending: signals on their way */
};

struct icd_event {
	struct icd_object object;
	/* under the device's mutex */
	bool set;          /* as the host sees it */
	bool future;       /* behind all that is in the log */
	bool trial;        /* scratch of looking ahead */
	struct buf points; /* struct icd_point[]: what submissions on their way leave it at */
};

struct icd_wait {
	struct icd_semaphore *semaphore;
	uint64_t value;
};

/* One batch of a vkQueueSubmit. In icd_device.pending from the call until it is runnable; mostly that is at once. */
struct icd_submission {
	struct list link;
	struct icd_fence *fence; /* or NULL */
	uint32_t wait_count, signal_count, buffer_count;
	struct icd_wait *waits, *signals; /* timeline semaphores only */
	struct icd_command_buffer **buffers;
};

struct icd_scratch *icd_scratch_create(void);
void icd_scratch_destroy(struct icd_scratch *s);

/* Under the mutex. submit.c: puts what is runnable into the log; semaphores and events call it when the host signalled. */
void icd_flush_pending(struct icd_device *d);
/* sync.c: takes the points up to what is complete. */
void icd_semaphore_advance(struct icd_device *d, struct icd_semaphore *s);
void icd_event_advance(struct icd_device *d, struct icd_event *e);

#endif
