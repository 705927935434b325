/* Reads what an executor tells of its GPU (proto/vitals.h), with mistrust. */
#ifndef TBMESH_NODE_VITALS_H
#define TBMESH_NODE_VITALS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/vitals.h"

struct vitals_reader {
	int fd; /* of the file, owned; -1 none */
	struct vitals_page last;
};

/* Submissions of some time: how many came back, and how long the GPU was at each; sums of several executors add up. */
struct vitals_latency {
	uint64_t completed, latency[VITALS_BUCKETS];
};

void vitals_reader_init(struct vitals_reader *r, int fd); /* takes fd */
void vitals_reader_finish(struct vitals_reader *r);
/* Looks again, adds what came back since the last look. False: there is nothing new, or it makes no sense. */
bool vitals_reader_look(struct vitals_reader *r, struct vitals_latency *sum);
uint64_t vitals_waiting(const struct vitals_reader *r); /* submissions on the GPU at that look */
/* The longest that the fastest `share` (0 … 1) of them took; 0: there are none. */
uint64_t vitals_latency_us(const struct vitals_latency *l, double share);

#endif
