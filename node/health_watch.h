/* Feeds the health of this host's GPUs (node/health/) with what can be had without touching them: sensors of those that are awake, counters
 * that the kernel keeps, its log where this user may read it, and how long submissions have been at it. Tells by HealthChanged events,
 * and the inventory. On the loop's thread. */
#ifndef TBMESH_NODE_HEALTH_WATCH_H
#define TBMESH_NODE_HEALTH_WATCH_H

#include <stdbool.h>

struct Tbmesh__GpuHealth;
struct arena;
struct device_gpu;
struct doctor;
struct health_watch;
struct node;

struct health_watch *health_watch_create(struct node *n);
void health_watch_destroy(struct health_watch *w);
void health_watch_tick(struct health_watch *w);                                /* each second */
void health_watch_arrived(struct health_watch *w, const struct device_gpu *g); /* a new one: nothing is held against it */
void health_watch_gone(struct health_watch *w, const struct device_gpu *g);
void health_watch_wedged(struct health_watch *w, const struct device_gpu *g, const char *how); /* a WEDGED uevent */
/* Adds history and changes of that GPU; texts go into the arena. */
void health_watch_fill(
	const struct health_watch *w, const char *pci_address, struct Tbmesh__GpuHealth *out, struct arena *a);
void health_watch_doctor(struct node *n, struct doctor *d); /* checks: gpu.health, kernel.log */

#endif
