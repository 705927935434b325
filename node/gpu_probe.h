/* Asks `tbmesh-exec --probe` which Vulkan devices this host has: a child process, because a driver may hang or crash. */
#ifndef TBMESH_NODE_GPU_PROBE_H
#define TBMESH_NODE_GPU_PROBE_H

#include <stddef.h>

#include "base/loop.h"
#include "node/paths.h"

struct gpu_probe;
struct gpu_probe_bad { /* a Vulkan driver that hangs or crashes when it is asked for its devices */
	char manifest[256], why[256];
};
#define GPU_PROBE_BAD_MAX 16

struct gpu_probe_device {
	uint32_t size, reserved;    /* of the description behind this */
	uint64_t memory_free_bytes; /* 0: its driver does not tell */
};

/* error 0: data holds, for each device, a struct gpu_probe_device and a description (gpu/description.h), not checked. Else
 * negative errno and text says why. */
typedef void gpu_probe_done_fn(void *ctx, int error, const char *text, const unsigned char *data, size_t size);

struct gpu_probe *gpu_probe_create(struct loop *l, const struct node_paths *paths, gpu_probe_done_fn *done, void *ctx);
void gpu_probe_destroy(struct gpu_probe *p); /* kills a running one */
/* Soon (what happens together is asked once); while one runs, another follows it. */
void gpu_probe_request(struct gpu_probe *p, unsigned delay_ms);
/* Of the last probe that ended well; NULL behind the last. */
const struct gpu_probe_bad *gpu_probe_bad_driver(const struct gpu_probe *p, size_t index);
/* The manifests that executors may load, ':' between them; NULL: no driver is bad, all of them. */
const char *gpu_probe_drivers(const struct gpu_probe *p);
int gpu_probe_pending(const struct gpu_probe *p); /* one is wanted or runs */

#endif
