/* What the node of this host is told of the GPU while it works: proto/vitals.h. */
#ifndef TBMESH_MIGRATE_EXEC_VITALS_H
#define TBMESH_MIGRATE_EXEC_VITALS_H

#include <stdint.h>

#include "proto/vitals.h"

struct jobs;

unsigned vitals_bucket(uint64_t latency_ns);
/* Writes the page to fd, now and then while submissions come back, from a thread of its own. 0 or -errno; without a thread nothing is
 * written and all else works. */
int vitals_start(struct jobs *j, int fd);

#endif
