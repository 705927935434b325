/* Inside of the core, for its three files: core.c (phases), scan.c (the log), commit.c (results and checkpoints). */
#ifndef TBMESH_MIGRATE_SESSION_CORE_PRIVATE_H
#define TBMESH_MIGRATE_SESSION_CORE_PRIVATE_H

#include "base/buf.h"
#include "gpu/hash.h"
#include "migrate/session/core.h"

/* A SUBMIT of the log that no checkpoint covers yet. */
struct submission {
	uint64_t nonce;
	uint64_t end; /* position behind its record */
	bool commit;
	bool returns;  /* and no commit: what the program can see comes back with it */
	uint64_t hash; /* of what came back with it, once the program was told */
	uint32_t range_count;
	struct record_range *ranges; /* owned */
	struct record_range *copied; /* owned; what the COPY in front of it writes */
	size_t copied_count;
};

struct submissions { /* seqs first_seq, first_seq + 1 … in a ring of `capacity` */
	struct submission *at;
	size_t capacity, start, count;
	uint64_t first_seq;
};

struct window { /* the one that is coming in */
	uint32_t index;
	uint32_t words;
	struct window_hash hash;
};

struct session_core {
	/* set at creation */
	struct session_config config;
	const struct session_core_ops *ops;
	void *ctx;

	enum session_phase phase;

	/* the log as read so far */
	uint64_t scanned;
	struct submissions submissions;
	struct buf copied;        /* struct record_range[]: of a COPY whose SUBMIT comes next */
	struct map needs;         /* (key, 0) → record, owned */
	unsigned pending_answers; /* ALLOCATEs without an answer */

	/* the checkpoint */
	uint64_t position;
	uint64_t committed_seq;
	struct graph graph;
	struct state state;
	uint64_t completed_seq; /* told */

	/* relaxed mode (proto/README.md §1.9) */
	bool relaxed;           /* a submission with RETURN was seen */
	uint64_t view_position; /* the views hold the log's WRITEs up to here */
	uint64_t told_position; /* what the program was told in earlier epochs holds them up to here */
	bool telling;           /* the program was told something else than the views, or may have been */
	uint64_t return_hash;   /* of the RETURN that is coming in: two sums of 32 bits */
	uint64_t diverged;      /* RETURNs that came back otherwise than the program was told */
	uint64_t diverged_seq;  /* the last one */
	uint64_t diverged_epoch;

	/* this epoch */
	uint64_t epoch;
	char gpu[SESSION_TEXT];
	uint64_t done_seq;
	bool begun; /* done_seq + 1 is dirty, and state_begin was called if it is a commit */
	struct window window;
	bool seeded;          /* all but START was sent */
	uint64_t phase_ns;    /* since when in this phase */
	uint64_t progress_ns; /* last sign that work goes on */
	uint64_t silent_ns;   /* silence counted so far, in ticks that really took place */
	uint64_t tick_ns;     /* last tick */

	/* repair */
	uint64_t request; /* last one asked */
	bool asked;       /* and not answered */
	uint64_t retry_ns;
	uint64_t repair_ns; /* migration_timeout counts from here */
	char refusal[SESSION_TEXT];
	unsigned losses, losses_in_row, moves;
	enum session_loss loss;
	char loss_text[SESSION_TEXT], loss_gpu[SESSION_TEXT], prefer[SESSION_TEXT];
	bool first_ready; /* an executor was ready once */
	bool repairing;   /* from a loss until work goes on */
	struct session_timeline timeline;
	struct {
		char gpu[SESSION_TEXT];
		bool unfit;
	} excluded[SESSION_MAX_EXCLUDED];
	size_t excluded_count;

	/* leaving a GPU */
	enum { LEAVE_NO, LEAVE_WANTED, LEAVE_ASKED, LEAVE_SENT, LEAVE_RETURNS } leave;
	uint64_t leave_nonce;
	char leave_target[SESSION_TEXT];    /* GPU of the executor that waits; from LEAVE_SENT on */
	struct submission leave_submission; /* what the executor returns behind LEAVING; from LEAVE_RETURNS on */
	uint64_t leave_ns;                  /* since when the program waits for it */
	bool graceful;                      /* the move under way, or the last one */
	uint64_t replayed; /* DONEs that an executor said and that did not become a checkpoint, in the last move */

	struct buf scratch;                /* private copy of one record */
	struct delivery_scratch *delivery; /* allocated at creation */
};

/* Of one DELTA: keeps it under DELIVERY_MAX_BYTES. */
#define SPANS_MAX 16384u
#define SPAN_BYTES_MAX (1u << 20)
/* Compared at a time. */
#define COMPARE_BYTES (64u << 10)

struct delivery_scratch {
	struct record_run spans[SPANS_MAX];
	uint64_t masks[SPAN_BYTES_MAX / DELTA_BLOCK_BYTES + SPANS_MAX];
	uint64_t compared[COMPARE_BYTES / DELTA_BLOCK_BYTES];
};

/* scan.c. Both: 0, -EBADMSG (the log makes no sense) or -ENOMEM; both end the workload. */
int core_scan(struct session_core *c);                /* reads the log up to its head */
int core_apply(struct session_core *c, uint64_t end); /* records from the checkpoint up to end become part of it */
/* May the log go on at `end` with the submission behind done_seq? True: `end` is the end of a record, and no SUBMIT lies between. */
bool core_between_submissions(const struct session_core *c, uint64_t end);
int core_view(struct session_core *c, uint64_t end);                      /* WRITEs up to end become part of the views */
struct submission *core_submission(struct session_core *c, uint64_t seq); /* uncommitted and scanned, else NULL */
void core_drop_submissions(struct session_core *c, uint64_t up_to_seq);
void core_scan_finish(struct session_core *c);

/* core.c */
void core_give_up(struct session_core *c, uint64_t now_ns, const char *why);
void core_lose(struct session_core *c, uint64_t now_ns, enum session_loss loss, const char *text);
/* seq is done in this epoch. brings_nothing: it is neither COMMIT nor RETURN. */
void core_progress(struct session_core *c, uint64_t now_ns, uint64_t seq, bool brings_nothing);

/* core.c: the checkpoint that an executor leaves behind is there. */
void core_left(struct session_core *c, uint64_t now_ns);

/* commit.c: frames about submissions, in RUN. */
void core_leaving(struct session_core *c, uint64_t now_ns, const struct frame_header *h);
void *core_place(
	struct session_core *c, const struct frame_header *h); /* for a result's bytes; NULL: nowhere in particular */
void core_result(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload);
void core_hashes(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload);
void core_window(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload);
void core_done(struct session_core *c, uint64_t now_ns, const struct frame_header *h);

#endif
