/* The workloads of this host's sessions, as they report them. */
#ifndef TBMESH_NODE_WORKLOAD_H
#define TBMESH_NODE_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/api.h"

struct arena;
struct inventory;
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
/* Of those that run on a GPU (key): the first that nothing else could take now, if there is one; why is filled then. False: each has a
 * place to go to, as far as is known. */
bool workloads_stuck_on(const struct workloads *w, const char *key, char *why, size_t why_size);
/* Tells those that run on a GPU to leave it, once for each order number. Returns how many are still there; those of them that said that they
 * can't go are counted in *ret_refused, and why is what the first of them said. */
size_t workloads_leave(
	struct workloads *w, const char *key, uint64_t order, size_t *ret_refused, char *why, size_t why_size);
/* How long the oldest submission of a program of this host has been on that PCI function, 0 none. */
uint64_t workloads_waiting_ms(const struct workloads *w, const struct inventory *i, const char *pci_address);
size_t workloads_count(const struct workloads *w); /* not finished, not lost */
/* Copies of pointers: texts stay the table's; could_take and refusals are judged now. Array in the arena. */
size_t workloads_fill(const struct workloads *w, struct Tbmesh__Workload ***ret, struct arena *a);

#endif
