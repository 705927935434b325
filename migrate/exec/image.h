/* The workload's images on this GPU: real images, optimally tiled, each with real memory of its own, in GENERAL layout for good.
 * The state of an image is the range of the workload's memory that it is bound to, in the canonical form of gpu/image.h; the real
 * one is loaded from there when it is bound or seeded, and stored there in front of a COMMIT that returns the range. Main thread. */
#ifndef TBMESH_MIGRATE_EXEC_IMAGE_H
#define TBMESH_MIGRATE_EXEC_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/list.h"
#include "gpu/image.h"
#include "migrate/exec/device.h"
#include "migrate/exec/memory.h"

struct object;

struct image {
	VkImage handle;
	VkDeviceMemory real; /* null until it is bound */
	struct gpu_image layout;
	struct object *object; /* its owner */
	struct memory *memory; /* NULL: not bound, or the memory is gone */
	uint64_t offset;
	struct list link;       /* memory.images */
	struct list dirty_link; /* executor.dirty_images: written since it was last stored */
	uint64_t last_ticket;   /* of our own copies */
	/* A multisampled one that a seed made: what it held on another GPU could not be carried, and nothing wrote it since. */
	bool hollow;
};

/* The usage of the real image of one that the program uses so. */
VkImageUsageFlags image_real_usage(VkImageUsageFlags usage);
/* Negative VkResult, nothing left behind then; VK_ERROR_FORMAT_NOT_SUPPORTED: not one that we carry. */
VkResult image_create(const struct device *d, const VkImageCreateInfo *info, struct image **ret_image);
/* The range was checked. Negative VkResult. */
VkResult image_bind(struct image *i, const struct device *d, struct memory *memory, uint64_t offset);
/* The memory goes; the real image stays until it is destroyed. */
void image_unbind(struct image *i);
/* When no job uses it: its memory and its range go, VkImage and this struct stay. */
void image_empty(struct image *i, const struct device *d);
/* When no job uses it. NULL is fine. */
void image_destroy(struct image *i, const struct device *d);
/* Copies from and to its range. Barriers against what is around are the caller's. */
void image_record_load(struct image *i, const struct device *d, VkCommandBuffer cb);
void image_record_store(struct image *i, const struct device *d, VkCommandBuffer cb);

static inline bool image_overlaps(const struct image *i, uint64_t offset, uint64_t size)
{
	return i->offset < offset + size && offset < i->offset + gpu_image_size(&i->layout);
}

#endif
