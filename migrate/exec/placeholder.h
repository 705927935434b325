/* What stands in a seeded set's descriptors with samplers until they are written. The program may have written them with what is destroyed
 * by now, so that no seed can: they are undefined then, and good as long as no shader uses them; but lavapipe 22 looks into a bound
 * sampler in any case. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_PLACEHOLDER_H
#define TBMESH_MIGRATE_EXEC_PLACEHOLDER_H

#include <vulkan/vulkan.h>

#include "migrate/exec/device.h"
#include "migrate/exec/objects.h"

/* Made when first needed; ends with the executor. */
struct placeholder {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view;
	VkSampler sampler;
};

/* Into a new set. 0 or a negative VkResult. */
VkResult placeholder_write(struct placeholder *p, const struct device *d, const struct object *set);

#endif
