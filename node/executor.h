/* Executors on this host: started for a session here or for a peer's, found again after a restart of the node, killed
 * without waiting when their GPU is gone. They outlive tbmeshd and end by themselves with their session. */
#ifndef TBMESH_NODE_EXECUTOR_H
#define TBMESH_NODE_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "node/paths.h"
#include "node/vitals.h"

#define EXECUTOR_SECRET_BYTES 32
#define EXECUTOR_READY_MS 20000 /* a cold driver start */

struct executors;

struct executor_request {
	const char *drivers; /* manifests of the Vulkan drivers that it may load, ':' between them; NULL all */
	const char *gpu;     /* id on this host */
	const char *workload;
	const char *peer;            /* id of the node that asks; "": a session of this host */
	uint32_t uid;                /* of the session of this host: the socket becomes its own */
	const unsigned char *secret; /* EXECUTOR_SECRET_BYTES, for a peer; else NULL */
};
struct executor_ready {
	int error; /* 0, or negative errno and text says why */
	const char *text;
	const char *socket; /* for a session of this host */
	uint16_t port;      /* for a peer */
	pid_t pid;
};
/* Called once for each start that returned a ticket, unless it was cancelled. */
typedef void executor_ready_fn(void *ctx, const struct executor_ready *r);

/* changed: the load of some GPU is another. Adopts what runs already. NULL when out of memory. */
struct executors *executors_create(
	struct loop *l, const struct node_paths *paths, uint32_t limit, void (*changed)(void *ctx), void *ctx);
void executors_destroy(struct executors *x); /* they run on */
/* 0, -EDQUOT (too many for that GPU or peer) or what starting a process gives. */
int executors_start(
	struct executors *x, const struct executor_request *r, executor_ready_fn *ready, void *ctx, uint64_t *ret_ticket);
void executors_cancel(struct executors *x, uint64_t ticket);   /* kills one that is not ready yet; ready is not called */
void executors_kill_gpu(struct executors *x, const char *gpu); /* SIGKILL; returns at once; starts that wait get -ENODEV */
/* SIGKILL to those of a session of this host that are left of a workload which is over: they hang, or nobody came to them. */
void executors_kill_workload(struct executors *x, const char *workload);
void executors_tick(struct executors *x); /* each second or so: those stopped for long are killed */
uint32_t executors_load(const struct executors *x, const char *gpu);
/* Is there an executor on that GPU for a session of this peer? */
bool executors_of_peer(const struct executors *x, const char *gpu, const char *peer);
size_t executors_count(const struct executors *x);

struct executors_pace {
	struct vitals_latency recent; /* submissions that came back since the last call */
	uint64_t waiting;             /* on the GPU now */
	uint64_t programs;            /* another number when other executors run */
};
/* Adds what the executors on that GPU tell of its pace. */
void executors_pace(struct executors *x, const char *gpu, struct executors_pace *sum);
/* The newest word of executors about the GPU's free memory, as long as they run. */
bool executors_memory(const struct executors *x, const char *gpu, uint64_t *ret_free_bytes, uint64_t *ret_at_ns);

#endif
