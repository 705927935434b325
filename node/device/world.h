/* Recorded machines: device trees in umockdev's text form (P, E, L, A, H, N, S lines; blocks apart by empty lines), kept as a pretended
 * sysfs that the model is fed from. Behind the `scripted` backend, and under tests. */
#ifndef TBMESH_NODE_DEVICE_WORLD_H
#define TBMESH_NODE_DEVICE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "node/device/device.h"

#define WORLD_TREE_MAX_BYTES (4u << 20)

struct world_attribute {
	struct list link;
	char *name, *value;
};

struct world_device {
	struct list link;
	char *path; /* "/sys/devices/…" */
	const char *name;
	char *subsystem, *devtype, *driver, *node; /* NULL: none */
	struct list attributes;
	bool present; /* false: it has been removed; a late uevent may still speak of it */
};

struct world {
	struct list devices; /* in order of their first appearance */
};

void world_init(struct world *w);
void world_finish(struct world *w);

/* Reads a tree: all its devices are present from then on, with the attributes that it gives. added (may be NULL) is told of each.
 * 0, -ENOMEM, or -EBADMSG with what is wrong in `error`. */
int world_add_text(struct world *w, const char *text, void (*added)(void *ctx, struct world_device *d), void *ctx,
	char *error, size_t error_size);
int world_add_file(struct world *w, const char *path, void (*added)(void *ctx, struct world_device *d), void *ctx,
	char *error, size_t error_size);
struct world_device *world_find(const struct world *w, const char *path); /* present or not; NULL */
void world_remove(struct world *w, const char *path);                     /* with what is below it */
int world_set(struct world *w, const char *path, const char *attribute,
	const char *value); /* value NULL: unreadable. 0, -ENOENT, -ENOMEM */
const char *world_get(const struct world *w, const char *path, const char *attribute); /* NULL: unreadable */

/* An "add" (arrival) or "change" uevent of that device, whose attributes are read now, as they are by now. */
void world_tell(const struct world *w, const struct world_device *d, struct device_model *m, bool arrival, uint64_t now_ns);
/* All that is present, as after lost events; by subsystem as the linux backend does. */
void world_sweep(const struct world *w, struct device_model *m, uint64_t now_ns);

#endif
