/* The real device that this executor drives: one VkDevice with everything compute that the driver has, one queue.
 * Vulkan calls that need external synchronisation of the queue or of pools are made by the main thread alone. */
#ifndef TBMESH_MIGRATE_EXEC_DEVICE_H
#define TBMESH_MIGRATE_EXEC_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "gpu/description.h"
#include "proto/vk/wire_gen.h"

struct device {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice handle;
	VkQueue queue;
	uint32_t family;
	struct wire_table vk;
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceMemoryProperties memory;
	bool inline_uniform_blocks;
	bool null_descriptors;      /* nothing may be named where a vertex buffer or a descriptor is due */
	struct description enabled; /* what the VkDevice was made with; owned */
};

/* A buffer with its own memory, used for staging and reading back. */
struct plain_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	void *map; /* host-visible and coherent ones only */
};
enum plain_kind {
	PLAIN_DEVICE,   /* device-local */
	PLAIN_STAGING,  /* host-visible, coherent; the host writes */
	PLAIN_READBACK, /* the same, cached if there is such memory; the host reads */
};

/* Finds the GPU by its id and makes the device. On failure a negative VkResult, and why in words. */
VkResult device_init(struct device *d, const char *gpu_id, char *why, size_t why_size);
/* A type among `bits` that has all of `wanted` and, where possible, `liked` and not `disliked`. -1: none. */
int device_memory_type(const struct device *d, uint32_t bits, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags liked,
	VkMemoryPropertyFlags disliked);
/* Zero-filled where the host can see it. Nothing is left behind on failure. */
VkResult plain_buffer_init(struct plain_buffer *b, const struct device *d, VkDeviceSize size, enum plain_kind kind);
void plain_buffer_finish(struct plain_buffer *b, const struct device *d);

/* A compute pipeline of ours: set 0 with `texels` uniform texel buffers and then storage buffers, `bindings` in all; one range of push
 * constants. */
VkResult device_buffer_pipeline(const struct device *d, const uint32_t *code, size_t code_size, uint32_t texels,
	uint32_t bindings, const VkPushConstantRange *push, VkDescriptorSetLayout *ret_set_layout,
	VkPipelineLayout *ret_layout, VkPipeline *ret_pipeline);

#endif
