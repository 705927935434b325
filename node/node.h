/* The node: what its parts share. Everything runs on one loop, on one thread; no part waits for anything. */
#ifndef TBMESH_NODE_NODE_H
#define TBMESH_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/zsock.h"
#include "mesh/mesh.h"
#include "node/config.h"
#include "node/device/device.h"
#include "node/event.h"
#include "node/executor.h"
#include "node/inventory.h"
#include "node/paths.h"
#include "node/gpu_probe.h"

struct api;
struct ejected;
struct ejects;
struct event_watches;
struct health_watch;
struct interfaces;
struct peer_lists;
struct peers;
struct pings;
struct placement;
struct workloads;

#define NODE_WARNINGS 32

struct node {
	/* Set before the loop runs. */
	struct node_config config;
	struct node_paths paths;
	struct mesh_identity identity;
	uint64_t incarnation;
	uint64_t started_ns;
	int lock_fd;
	struct loop *loop;
	struct zctx *zmq;
	/* Parts, owned. */
	struct mesh *mesh;
	struct event_log *events;
	struct inventory *inventory;
	struct executors *executors;
	struct gpu_probe *probe;
	struct device_watch devices;
	struct interfaces *interfaces; /* Thunderbolt network devices */
	struct peers *peers;
	struct event_watches *watches; /* who follows those of peers */
	struct peer_lists *lists;      /* who asks for those of peers */
	struct pings *pings;           /* who waits for an echo */
	struct workloads *workloads;
	struct placement *placement;
	struct health_watch *health;
	struct ejects *ejects;   /* GPUs that are being taken out */
	struct ejected *ejected; /* those that are, over restarts */
	struct api *api;
	struct loop_timer *tick; /* each second */
	/* State of node.c's own. */
	unsigned probe_retries;
	uint64_t state_version; /* of NodeState */
	bool state_dirty;       /* NodeState differs from what was sent */
	struct loop_timer *state_timer;
	uint64_t state_sent_ns, cleaned_ns;
	uint64_t cpu_busy, cpu_total; /* of /proc/stat, at the last look */
	uint32_t cpu_load_percent;
	uint64_t memory_free_bytes;
	char probe_error[256]; /* "" or why the last probe failed */
	char warnings[NODE_WARNINGS][256];
	size_t warning_count;
};

/* 0, or negative errno after a message to the user has been logged. */
int node_init(struct node *n, const char *root, const char *name, const char *config_file);
int node_run(struct node *n); /* until SIGINT or SIGTERM */
void node_finish(struct node *n);

void node_warn(struct node *n, const char *subject, const char *text); /* shown by `tbmesh status`; logged once */
void node_state_changed(struct node *n);                               /* tell the peers soon */
uint64_t node_event(struct node *n, const struct node_event *e);

#endif
