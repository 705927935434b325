/* What became of a GPU's health: its last changes, each with the reason, and its score over the last hours, coarsely. Pure; bounded:
 * some 5 KiB a GPU. */
#ifndef TBMESH_NODE_HEALTH_HISTORY_H
#define TBMESH_NODE_HEALTH_HISTORY_H

#include <stdint.h>

#include "node/health/health.h"

#define HISTORY_CHANGES 32
#define HISTORY_STEPS 120
#define HISTORY_STEP_NS 120000000000ull /* a step is two minutes: four hours in all */
#define HISTORY_UNSEEN 255              /* score of a step in which nobody looked */
#define HISTORY_POINTS 10               /* a smaller difference is no change */

struct history_change {
	uint64_t at_ns;
	unsigned score;
	enum health_level level;
	char reason[HEALTH_REASON_SIZE]; /* the worst then, "" all is well (again) */
};

struct health_history {
	struct history_change changes[HISTORY_CHANGES]; /* the oldest first */
	unsigned change_count;
	uint8_t steps[HISTORY_STEPS]; /* the lowest score of each; the oldest first, the last is the one that runs */
	unsigned step_count;
	uint64_t step_ns; /* begin of the last */
};

/* Zero-initialised it is empty. A verdict of now; now_ns never goes back. */
void history_add(struct health_history *h, uint64_t now_ns, const struct health_verdict *v);

#endif
