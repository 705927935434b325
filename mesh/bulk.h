/* The probe's transfers: blocking, for a thread of their own. One connection per path, or `streams`; on each: a hello with
 * the token, then phases. In a phase one side sends blocks until the budget is spent (the bytes, but half of the time at least and
 * all of it at most), the other counts and answers with the rate it saw, and whether it was unsteady: then it is
 * repeated, not for ever. Order of phases, known to both: each path up, then down; with several paths: all up, then all
 * down at the same time; ways that nobody asked for are left out. Up: the asker sends. */
#ifndef TBMESH_MESH_BULK_H
#define TBMESH_MESH_BULK_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/mesh.h"

#define BULK_TOKEN_SIZE 32u
#define BULK_BYTES (16u << 20)
#define BULK_MS 50u
#define BULK_MAX_CONNECTIONS 64u /* paths × streams */
#define BULK_MAX_FDS (BULK_MAX_CONNECTIONS + 2 * MESH_MAX_PEER_LINKS + 1)

struct mesh_bulk_path {
	struct in6_addr local, remote;
	unsigned ifindex;          /* 0: by routing */
	uint64_t up_bps, down_bps; /* result */
};

struct mesh_bulk {
	/* set at creation */
	bool asks; /* connects; the other side accepts */
	uint8_t token[BULK_TOKEN_SIZE];
	struct mesh_bulk_path paths[MESH_MAX_PEER_LINKS];
	size_t path_count;
	unsigned streams; /* on each path */
	enum mesh_bench_ways ways;
	uint16_t port; /* where to connect */
	int listen_fd; /* the accepting side's; owned */
	uint64_t budget_bytes;
	uint32_t budget_ms;
	/* the thread's */
	uint64_t aggregate_up_bps, aggregate_down_bps;
	uint64_t duration_ns;
	bool unsteady; /* a result is not to be relied on for long */
	/* under mutex */
	pthread_mutex_t mutex;
	bool cancelled;
	int fds[BULK_MAX_FDS]; /* shut down by mesh_bulk_cancel */
	size_t fd_count;
};

void mesh_bulk_init(struct mesh_bulk *b);
int mesh_bulk_listen(struct mesh_bulk *b);  /* fills listen_fd and port */
int mesh_bulk_run(struct mesh_bulk *b);     /* 0 or -errno; bounded by a few seconds */
void mesh_bulk_cancel(struct mesh_bulk *b); /* any thread: mesh_bulk_run returns soon */
void mesh_bulk_finish(struct mesh_bulk *b);

#endif
