/* A Vulkan instance for our own processes (probe, executor, tests), and the GPUs in it by their ids. Layers of the environment
 * apply, none of ours are added. */
#ifndef TBMESH_GPU_INSTANCE_H
#define TBMESH_GPU_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#define GPU_ID_MAX 64

struct gpu {
	VkPhysicalDevice device;
	/* pci-DDDD:BB:DD.F, else drm-renderD128, else cpu-DRIVERNAME. A second driver of a card: #DRIVERNAME behind it; what is still
	 * the same: #2, #3 … */
	char id[GPU_ID_MAX];
	uint32_t queue_family; /* one with COMPUTE (and so TRANSFER) */
};

struct gpu_instance {
	VkInstance instance;
	struct gpu *gpus; /* owned; without devices of tbmesh's own driver and those without compute */
	size_t gpu_count;
};

/* Sets NODEVICE_SELECT in the environment (Mesa's layer crashes without a device). 0, -ENODEV (no Vulkan driver at all), -ENOMEM or -EIO (the loader failed or is
 * older than Vulkan 1.1). No GPU in it is not an error. */
int gpu_instance_init(struct gpu_instance *g, const char *application);
void gpu_instance_finish(struct gpu_instance *g);
const struct gpu *gpu_find(const struct gpu_instance *g, const char *id); /* NULL: no such GPU */

/* The family that executors use: with COMPUTE, and GRAPHICS where one has both. -ENODEV: no family computes. */
int gpu_queue_family(VkPhysicalDevice device, uint32_t *ret_family);
/* What can be allocated of the largest DEVICE_LOCAL heap now, by VK_EXT_memory_budget, which the device must have (gpu_tells_memory). Asks
 * the driver, which may wake the GPU. 0: it has no such heap; a full one has one byte. Any thread. */
uint64_t gpu_memory_free(VkPhysicalDevice device);
bool gpu_tells_memory(VkPhysicalDevice device);
int gpu_extensions(VkPhysicalDevice device, VkExtensionProperties **ret_extensions, uint32_t *ret_count); /* caller frees */

#endif
