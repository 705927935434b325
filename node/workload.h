/* The workloads of this host's sessions, as they report them. */
#ifndef TBMESH_NODE_WORKLOAD_H
#define TBMESH_NODE_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "node/api.h"

struct arena;
struct node;
struct workloads;
struct Tbmesh__Workload;
struct Tbmesh__WorkloadReport;

#define WORKLOADS_MAX 1024

struct workloads *workloads_create(struct node *n);
void workloads_destroy(struct workloads *w);
/* A session's word, from that route; numbers its events. 0, -ENOSPC. */
int workloads_report(struct workloads *w, const struct api_route *from, const struct Tbmesh__WorkloadReport *r);
void workloads_tick(struct workloads *w); /* each second: finds sessions that died without a word */
void workloads_gpu_gone(struct workloads *w, const char *key, uint64_t at_ns); /* GpuGone to each session that runs there */
/* Tells by an event of each running workload for which the last GPU that could take it has gone, or one has come. */
void workloads_look_for_targets(struct workloads *w);
size_t workloads_count(const struct workloads *w); /* not finished, not lost */
/* Copies of pointers: texts stay the table's; could_take and refusals are judged now. Array in the arena. */
size_t workloads_fill(const struct workloads *w, struct Tbmesh__Workload ***ret, struct arena *a);

#endif
