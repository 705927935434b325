/* The few lines of Vulkan that the programs here share: one device, one compute queue, buffers, one-buffer-set pipelines.
 * Plain Vulkan 1.1 on whatever device the loader offers first (GPUs before CPUs); links libvulkan alone.
 * Every failure prints the call and its VkResult and exits with 1. */
#ifndef MINIVK_H
#define MINIVK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#define MINIVK_MAX_BINDINGS 4

struct minivk {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	VkQueue queue;
	uint32_t family;
	VkCommandPool pool;
	VkPhysicalDeviceMemoryProperties memory;
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
};

struct minivk_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	VkDeviceSize size;
	void *mapped; /* host-visible ones stay mapped */
};

struct minivk_pipeline {
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkPipeline pipeline;
	VkDescriptorPool pool;
	uint32_t binding_count, push_size;
};

void minivk_check(VkResult result, const char *what);
#define VK(call) minivk_check((call), #call)

/* features12: chained into vkCreateDevice, may be NULL. Prints "device: NAME" on stderr. */
void minivk_init(struct minivk *v, const char *program, const void *device_next);
/* The same with device extensions; without one of them the device is made without any and without device_next: false. */
bool minivk_init_extended(struct minivk *v, const char *program, const void *device_next, const char *const *extensions,
	uint32_t extension_count);
void minivk_finish(struct minivk *v);

/* host: HOST_VISIBLE|HOST_COHERENT and mapped for good; else DEVICE_LOCAL (not mappable on a discrete card). */
void minivk_buffer(struct minivk *v, struct minivk_buffer *b, VkDeviceSize size, bool host, VkBufferUsageFlags usage);
void minivk_buffer_finish(struct minivk *v, struct minivk_buffer *b);

/* A compute pipeline whose set 0 has binding_count storage buffers. Room for max_sets sets. */
void minivk_pipeline(struct minivk *v, struct minivk_pipeline *p, const uint32_t *code, size_t code_size,
	uint32_t binding_count, uint32_t push_size, uint32_t max_sets);
VkDescriptorSet minivk_set(struct minivk *v, struct minivk_pipeline *p, const struct minivk_buffer *const *buffers);
void minivk_pipeline_finish(struct minivk *v, struct minivk_pipeline *p);

VkCommandBuffer minivk_begin(struct minivk *v);
void minivk_barrier(VkCommandBuffer c); /* everything before, everything after, host included */
void minivk_submit(struct minivk *v, VkCommandBuffer c, VkFence fence);
void minivk_run(struct minivk *v, VkCommandBuffer c); /* end, submit, wait, free */
VkFence minivk_fence(struct minivk *v);
void minivk_wait(struct minivk *v, VkFence fence); /* and reset */

/* "--rounds 100" → value; the default otherwise. Exits with 2 on anything that is not a number. */
uint32_t minivk_option(int argc, char **argv, const char *name, uint32_t otherwise);
uint64_t minivk_fnv(const void *data, size_t size);

#endif
