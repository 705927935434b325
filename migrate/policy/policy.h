/* Placement: which GPU of the mesh serves a workload. Pure: the caller says what there is, nothing is asked or
 * remembered. */
#ifndef TBMESH_MIGRATE_POLICY_POLICY_H
#define TBMESH_MIGRATE_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/description.h"

#define POLICY_KEY_SIZE 160
#define POLICY_WHY_SIZE 200

struct policy_gpu {
	const char *key; /* "NODE/ID" */
	const char *name;
	const char *type; /* discrete | integrated | virtual | cpu | other */
	bool active;
	bool ejected;        /* by its user */
	unsigned illness;    /* 100 less its health; 0 well, or not known */
	bool local;          /* on the program's host */
	uint32_t load;       /* executors on it */
	uint32_t load_limit; /* 0: none */
	uint64_t memory_bytes;
	uint64_t goodput_bps;                  /* to its host, 0 unknown; local: not looked at */
	double rtt_us;                         /* to its host, 0 unknown; local: not looked at */
	const struct description *description; /* NULL: not known yet */
};

/* description_covers; a parameter so that the ranking is testable by itself. */
typedef int policy_covers_fn(
	const struct description *d, const struct gpu_need *needs, size_t count, char *why, size_t why_size);

struct policy_request {
	const struct gpu_need *needs;
	size_t need_count;
	const char *const *exclude; /* keys that failed just now */
	size_t exclude_count;
	const char *prefer;  /* "" none; GPU id, "NODE/ID" or (part of) a name */
	bool only_preferred; /* others are refused */
	bool cpu_fallback;   /* a CPU driver may serve when no GPU can */
	policy_covers_fn *covers;
};

struct policy_verdict {
	size_t gpu; /* index */
	bool fits;
	double score;              /* of those that fit: more is better */
	char why[POLICY_WHY_SIZE]; /* of those that don't: the reason, in words */
};

/* Judges every GPU: verdicts has room for count, best first, those that don't fit at the end. Returns the number that
 * fits. A real GPU always comes before a CPU driver; what the user prefers before others; a local GPU before a peer's
 * unless that is much better: load, memory, and the way to it. */
size_t policy_rank(
	const struct policy_request *r, const struct policy_gpu *gpus, size_t count, struct policy_verdict *verdicts);

/* Does the user mean this GPU? key, "ID" on any host, or part of the name without regard to case. */
bool policy_gpu_matches(const struct policy_gpu *g, const char *text);

#endif
