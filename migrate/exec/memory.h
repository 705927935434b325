/* The workload's memory on this GPU: real VkDeviceMemory, device-local, with one buffer over all of it for uploads and
 * readbacks. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_MEMORY_H
#define TBMESH_MIGRATE_EXEC_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/list.h"
#include "migrate/exec/device.h"
#include "migrate/exec/range_set.h"

#define MEMORY_ALIGN 256u /* sizes in ALLOCATE are multiples of it */

struct memory {
	uint64_t id;
	VkDeviceSize size;      /* as the log says */
	VkDeviceSize real_size; /* with room for the driver's rounding of buffer sizes */
	uint32_t type;
	bool host_visible; /* to the program */
	VkDeviceMemory handle;
	VkBuffer whole;            /* size bytes from offset 0 */
	struct range_set received; /* with the seed; empty after it */
	struct range_set dirty;    /* may have been written since the last COMMIT */
	struct list images;        /* struct image that are bound to it */
	bool aliased;              /* an image shares bytes with something else */
	struct list dirty_link;    /* in the list of memories whose dirty is not empty */
	uint64_t *hashes;          /* owned; of each block in the checkpoint, 0 not known; NULL: none known. See blocks.h */
	VkBufferView *texels;      /* owned; memory_texels; NULL: none made yet */
	uint64_t last_ticket;      /* the last job that touches `whole` */
	uint64_t write_stamp;      /* see upload.h */
};

/* Not filled yet. On failure a negative VkResult and nothing left behind. */
VkResult memory_create(const struct device *d, uint64_t id, VkDeviceSize size, struct memory **ret_memory);
/* As a texel buffer of four words each that our shaders read: what lies from reach × memory_reach(d) bytes on. Negative VkResult. */
uint64_t memory_reach(const struct device *d);
VkResult memory_texels(struct memory *m, const struct device *d, uint64_t reach, VkBufferView *ret_view);
/* When no job uses it. NULL is fine. */
void memory_destroy(struct memory *m, const struct device *d);

#endif
