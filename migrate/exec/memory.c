#include "migrate/exec/memory.h"

#include <stdlib.h>

/* The program's buffers may come with any of these; whatever their memory must fit, this one's must. */
#define ALL_BUFFER_USAGES                                                                                                   \
	(VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |   \
		VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |                             \
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT)

/* Drivers round sizes of buffers up. The driver that the program asked may have rounded less than this one does. */
#define ROUNDING_SLACK 4096u

#define TEXEL_BYTES 16u
#define REACH_BYTES (64u << 20)
#define REACH_ALIGN (64u << 10) /* Vulkan's least maxTexelBufferElements is 16 times as much */

/* A heap may be full while another one is not. Host memory serves only where the device has no other. */
static VkResult allocate_size(const struct device *d, struct memory *m, VkDeviceSize size, uint32_t type_bits)
{
	const VkMemoryPropertyFlags disliked = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
		VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT;
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = size };
	VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	bool local = device_memory_type(d, type_bits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, 0) >= 0;
	int type;

	while ((type = device_memory_type(d, type_bits, local ? VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT : 0, 0, disliked)) >=
		0) {
		info.memoryTypeIndex = (uint32_t)type;
		result = d->vk.vkAllocateMemory(d->handle, &info, NULL, &m->handle);
		if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY) {
			m->type = (uint32_t)type;
			m->real_size = size;
			break;
		}
		type_bits &= ~(1u << type);
	}
	return result;
}

static VkResult allocate(const struct device *d, struct memory *m, const VkMemoryRequirements *needs)
{
	VkDeviceSize size = needs->size > m->size ? needs->size : m->size;
	VkDeviceSize slack = needs->alignment > ROUNDING_SLACK ? needs->alignment : ROUNDING_SLACK;
	VkResult result = allocate_size(d, m, size + slack, needs->memoryTypeBits);

	/* As much as the driver gives at a time: most buffers fit without. */
	return result == VK_ERROR_OUT_OF_DEVICE_MEMORY ? allocate_size(d, m, size, needs->memoryTypeBits) : result;
}

VkResult memory_create(const struct device *d, uint64_t id, VkDeviceSize size, struct memory **ret_memory)
{
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = ALL_BUFFER_USAGES,
		.sharingMode = VK_SHARING_MODE_EXCLUSIVE,
	};
	VkMemoryRequirements needs;
	VkResult result;
	struct memory *m;

	if (size == 0 || size % MEMORY_ALIGN || size > VK_WHOLE_SIZE / 2)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	m = calloc(1, sizeof(*m));
	if (!m)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	m->id = id;
	m->size = size;
	list_init(&m->dirty_link);
	list_init(&m->images);
	result = d->vk.vkCreateBuffer(d->handle, &info, NULL, &m->whole);
	if (!result) {
		d->vk.vkGetBufferMemoryRequirements(d->handle, m->whole, &needs);
		result = allocate(d, m, &needs);
	}
	if (!result)
		result = d->vk.vkBindBufferMemory(d->handle, m->whole, m->handle, 0);
	if (result) {
		memory_destroy(m, d);
		return result;
	}
	*ret_memory = m;
	return VK_SUCCESS;
}

uint64_t memory_reach(const struct device *d)
{
	uint64_t bytes = (uint64_t)d->properties.limits.maxTexelBufferElements * TEXEL_BYTES;

	return bytes < REACH_BYTES ? bytes - bytes % REACH_ALIGN : REACH_BYTES;
}

static uint64_t reach_count(const struct memory *m, const struct device *d)
{
	return (m->size + memory_reach(d) - 1) / memory_reach(d);
}

VkResult memory_texels(struct memory *m, const struct device *d, uint64_t reach, VkBufferView *ret_view)
{
	const uint64_t bytes = memory_reach(d), base = reach * bytes;
	const VkBufferViewCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = m->whole,
		.format = VK_FORMAT_R32G32B32A32_UINT,
		.offset = base,
		.range = m->size - base < bytes ? m->size - base : bytes,
	};
	VkResult result = VK_SUCCESS;

	if (!m->texels)
		m->texels = calloc(reach_count(m, d), sizeof(VkBufferView));
	if (!m->texels)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	if (!m->texels[reach])
		result = d->vk.vkCreateBufferView(d->handle, &info, NULL, &m->texels[reach]);
	*ret_view = m->texels[reach];
	return result;
}

void memory_destroy(struct memory *m, const struct device *d)
{
	if (!m)
		return;
	for (uint64_t i = 0; m->texels && i < reach_count(m, d); i++)
		d->vk.vkDestroyBufferView(d->handle, m->texels[i], NULL);
	free(m->texels);
	list_remove(&m->dirty_link);
	range_set_finish(&m->received);
	range_set_finish(&m->dirty);
	free(m->hashes);
	d->vk.vkDestroyBuffer(d->handle, m->whole, NULL);
	d->vk.vkFreeMemory(d->handle, m->handle, NULL);
	free(m);
}
