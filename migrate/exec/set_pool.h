/* Descriptor pools of our own: the program's pool sizes were made for another driver and its fragmentation is not ours, so sets
 * come from pools that grow. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_SET_POOL_H
#define TBMESH_MIGRATE_EXEC_SET_POOL_H

#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/list.h"
#include "migrate/exec/device.h"

#define INLINE_MAX_BYTES 65536u /* of one inline uniform block; more is not offered */
#define SET_CORE_TYPES 11       /* VK_DESCRIPTOR_TYPE_SAMPLER … INPUT_ATTACHMENT */

/* What one set of a layout takes. */
struct set_need {
	uint32_t counts[SET_CORE_TYPES];
	uint32_t inline_bytes, inline_blocks;
	bool late; /* updated after they are bound: of pools of their own */
};

struct set_pool {
	struct list link;
	VkDescriptorPool handle;
	bool late;
	uint32_t sets; /* alive in it */
};

struct set_pools {
	const struct device *device; /* set at creation */
	struct list pools;           /* the newest first; owned */
};

void set_pools_init(struct set_pools *p, const struct device *d);
/* Counts what a layout needs. A negative VkResult for a descriptor type that we do not know. */
VkResult set_need_of_layout(const VkDescriptorSetLayoutCreateInfo *info, struct set_need *ret_need);
/* info's pool is replaced. 0 or a negative VkResult. */
VkResult set_pools_allocate(struct set_pools *p, const struct set_need *need, VkDescriptorSetAllocateInfo *info,
	VkDescriptorSet *ret_set, struct set_pool **ret_pool);
void set_pools_free(struct set_pools *p, struct set_pool *pool, VkDescriptorSet set);

#endif
