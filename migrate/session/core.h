/* The session's core: what happens to one workload between its log, its executors and its program. Contract: proto/README.md §1.
 * Events and time come in, effects go out through a vtable; no socket, clock, random or thread inside.
 *
 * A workload goes through executors one after the other. Each is an epoch: acquired, attached (until it has a device), seeded
 * (until it has applied the checkpoint), running. Its loss leads back to acquiring; nothing that it did since the checkpoint
 * counts then. The end is LOST (no executor to be had, or a log that makes no sense) or ENDED (the program is gone).
 *
 * It may also be told to leave its GPU: it asks for another executor while the old one works on; when there is one, the old one stops
 * at a position of the log and returns what it has written, which is a checkpoint like any other; the new one goes on from there, so nothing runs
 * twice (proto/README.md §1.11).
 *
 * Threads: none of its own; the caller holds one lock around all calls. Effects are called inside and must not call back, except
 * for session_core_needs. */
#ifndef TBMESH_MIGRATE_SESSION_CORE_H
#define TBMESH_MIGRATE_SESSION_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/session/delivery.h"
#include "migrate/session/graph.h"
#include "migrate/session/state.h"
#include "proto/frame.h"
#include "proto/record.h"

#define SESSION_TEXT 200
#define SESSION_MAX_EXCLUDED 32

enum session_phase {
	SESSION_IDLE,    /* not started */
	SESSION_ACQUIRE, /* no executor; one was asked for, or will be again soon */
	SESSION_ATTACH,  /* an executor is being reached and makes its device */
	SESSION_SEED,    /* it has a device and applies the checkpoint */
	SESSION_RUN,     /* it runs the log */
	SESSION_LOST,    /* over: the program was told that its device is lost */
	SESSION_ENDED,   /* over: the program is gone */
};
#define SESSION_PHASES 7

enum session_loss {
	SESSION_LOSS_NONE,
	SESSION_LOSS_CHANNEL,  /* the channel ended: the executor or its host died */
	SESSION_LOSS_ATTACH,   /* could not be reached, or made no device in time */
	SESSION_LOSS_PROTOCOL, /* said what cannot be */
	SESSION_LOSS_DEVICE,   /* its driver reports an error */
	SESSION_LOSS_GARBAGE,  /* a nonce or hash is wrong: the GPU is gone, whatever its fences say */
	SESSION_LOSS_SILENT,   /* no heartbeat */
	SESSION_LOSS_STUCK,    /* no progress within submit_timeout */
	SESSION_LOSS_GPU,      /* the node says that the GPU is gone */
	SESSION_LOSS_UNFIT,    /* cannot hold what the program already has */
	SESSION_LOSS_WORKLOAD, /* says that no executor can do what the program asks; believed after a few */
};

enum session_event {
	SESSION_EVENT_MOVE_STARTED,   /* an executor was lost */
	SESSION_EVENT_MOVE_COMPLETED, /* the program goes on, on another one */
	SESSION_EVENT_MOVE_FAILED,    /* no executor within migration_timeout: the workload is lost */
	SESSION_EVENT_CHECKPOINT,
	SESSION_EVENT_READY,         /* the first executor has its device */
	SESSION_EVENT_LEAVE_STARTED, /* an executor elsewhere is there; the old one was told to stop */
	SESSION_EVENT_LEAVE_FAILED,  /* it stays where it is: nobody else takes it (status.refusal) */
	SESSION_EVENT_DIVERGED, /* a replay returned something else than the program was told (relaxed mode); once an epoch */
};

struct session_config {
	uint64_t heartbeat_ms;         /* silence that ends an epoch */
	uint64_t submit_timeout_ms;    /* the same for work without progress; compilations take minutes */
	uint64_t migration_timeout_ms; /* from the loss until an executor has a device */
	uint64_t attach_timeout_ms;    /* the same for one executor */
	uint64_t retry_ms;             /* between two questions for an executor */
	unsigned max_losses;           /* in a row without any progress: then the workload itself kills its executors */
};
#define SESSION_CONFIG_DEFAULT                                                                                              \
	{                                                                                                                   \
		1500, 300000, 30000, 10000, 250, 8                                                                          \
	}

/* When what happened; CLOCK_MONOTONIC ns as the caller counts, 0: not yet. */
struct session_timeline {
	uint64_t noticed_ns;
	uint64_t acquired_ns;
	uint64_t ready_ns;
	uint64_t started_ns;
	uint64_t resumed_ns;
	uint64_t streamed_bytes; /* state that the executor received, as it says */
};

struct session_status {
	enum session_phase phase;
	uint64_t epoch;
	char gpu[SESSION_TEXT]; /* key of the executor's GPU, "" none */
	uint64_t completed_seq; /* told to the program */
	uint64_t committed_seq;
	uint64_t submitted_seq; /* highest in the log as far as it was read */
	uint64_t state_bytes;
	uint64_t position;      /* of the checkpoint in the log */
	uint64_t scanned;       /* the log was read up to here */
	uint64_t diverged;      /* submissions whose replay returned something else than the program was told */
	uint64_t diverged_seq;  /* the last one, 0 none */
	unsigned moves;         /* completed */
	unsigned losses;        /* in all */
	uint64_t waiting_ns;    /* submitted work has made no progress for so long, 0 idle */
	bool leaving;           /* told to leave its GPU, and still there */
	bool graceful;          /* the last move was one that the executor took part in */
	uint64_t replayed;      /* submissions that the last move ran again */
	enum session_loss loss; /* the last one */
	char loss_text[SESSION_TEXT];
	char loss_gpu[SESSION_TEXT];      /* where it happened */
	char refusal[SESSION_TEXT];       /* why the node last had no executor */
	struct session_timeline timeline; /* of the last move */
};

struct session_acquire {
	uint64_t request;           /* to be repeated in the answer */
	const char *const *exclude; /* GPU keys */
	size_t exclude_count;
	const char *prefer; /* GPU key or "" */
};

struct session_core_ops {
	/* The log. at: its bytes from a position up to the head are contiguous there; another process may still write them.
	 * head: up to where it is written. Never below what was said before, never more than the ring's size beyond the checkpoint. */
	const unsigned char *(*log_at)(void *ctx, uint64_t position);
	uint64_t (*log_head)(void *ctx);

	void (*acquire)(void *ctx, const struct session_acquire *request); /* → session_core_acquired or _refused */
	/* Reach the executor of this epoch and send it NEEDs, graph, memory (session_core_seed_…), then session_core_seeding_done,
	 * then START. Until that call graph and memory do not change, so they may be read without the lock. The walks of earlier
	 * epochs must be out of them before this returns. */
	void (*seed)(void *ctx, uint64_t epoch);
	void (*close)(void *ctx, uint64_t epoch);                 /* end its channel, let go of it */
	void (*leave)(void *ctx, uint64_t epoch, uint64_t nonce); /* send it LEAVE, behind all LOG frames so far */

	/* To the program, in this order. What the delta points at is valid during the call. */
	void (*deliver_delta)(void *ctx, const struct delivery_delta *delta);
	void (*deliver_complete)(void *ctx, uint64_t seq, bool brings_nothing); /* brings_nothing: no bytes, no checkpoint */
	void (*deliver_allocated)(void *ctx, uint64_t memory, int32_t result);
	void (*deliver_lost)(void *ctx);
	void (*trim)(void *ctx, uint64_t position); /* the log before this is not needed any more */

	void (*report)(void *ctx, enum session_event event);
	void (*moved)(
		void *ctx, enum session_phase from, enum session_phase to); /* each move of the state machine, for the log */
};

struct session_core;

/* ops and ctx outlive the core. prefer: GPU key or "". NULL when out of memory. */
struct session_core *session_core_create(
	const struct session_config *config, const char *prefer, const struct session_core_ops *ops, void *ctx);
void session_core_destroy(struct session_core *c); /* NULL is fine */

void session_core_start(struct session_core *c, uint64_t now_ns); /* asks for the first executor */
/* Answers to ops->acquire. acquired: true and the new epoch if it is still wanted; then ops->seed was called. */
bool session_core_acquired(struct session_core *c, uint64_t now_ns, uint64_t request, const char *gpu, uint64_t *ret_epoch);
void session_core_refused(struct session_core *c, uint64_t now_ns, uint64_t request, const char *why);
/* All but START has been sent. False: the epoch is over, send nothing. *ret_position, *ret_seq: for START. */
bool session_core_seeding_done(struct session_core *c, uint64_t epoch, uint64_t *ret_position, uint64_t *ret_seq);
/* A frame that came through the channel of `epoch`; payload: header->size private bytes. */
void session_core_frame(
	struct session_core *c, uint64_t now_ns, uint64_t epoch, const struct frame_header *header, const void *payload);
/* Where the payload of a frame that is coming through the channel of `epoch` may be put, which session_core_frame takes next on the
 * same thread; NULL: nowhere in particular. The header may be anything. */
void *session_core_place(struct session_core *c, uint64_t epoch, const struct frame_header *header);
/* The receiver of `epoch` has handled all it had and waits for the next frame: silence counts from here. */
void session_core_waiting(struct session_core *c, uint64_t now_ns, uint64_t epoch);
void session_core_lost(struct session_core *c, uint64_t now_ns, uint64_t epoch, enum session_loss loss, const char *text);
void session_core_gpu_gone(
	struct session_core *c, uint64_t now_ns, const char *gpu, uint64_t at_ns); /* at_ns: first sign, 0 now */
/* Please go to another GPU; nonce: random. 0, -ENOENT: it is not there (any more), -EALREADY: it is about to. What comes of it is reported. */
int session_core_leave(struct session_core *c, uint64_t now_ns, const char *gpu, uint64_t nonce);
void session_core_tick(struct session_core *c, uint64_t now_ns); /* each 50-300 ms */
void session_core_end(struct session_core *c, uint64_t now_ns);  /* the program is gone */

void session_core_status(const struct session_core *c, struct session_status *ret_status);
/* The NEED records known so far. Under the lock; may be called inside ops->acquire and ops->seed. */
int session_core_needs(const struct session_core *c, graph_record_fn *fn, void *ctx);
/* See ops->seed. */
int session_core_seed_records(const struct session_core *c, graph_record_fn *fn, void *ctx);
int session_core_seed_memory(const struct session_core *c, uint64_t max_block, state_block_fn *fn, void *ctx);
int session_core_seed_hashes(const struct session_core *c, uint64_t max_bytes, state_block_fn *fn, void *ctx);

const char *session_phase_name(enum session_phase phase);
const char *session_loss_name(enum session_loss loss); /* in words */

#endif
