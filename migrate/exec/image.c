#include "migrate/exec/image.h"

#include <stdlib.h>

VkImageUsageFlags image_real_usage(VkImageUsageFlags usage)
{
	/* Its memory is not lazy, and it is copied. */
	return (usage & ~(VkImageUsageFlags)VK_IMAGE_USAGE_TRANSIENT_ATTACHMENT_BIT) | VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
		VK_IMAGE_USAGE_TRANSFER_DST_BIT;
}

VkResult image_create(const struct device *d, const VkImageCreateInfo *info, struct image **ret_image)
{
	VkImageCreateInfo real = *info;
	struct gpu_image layout;
	struct image *i;
	VkResult result;

	if (!gpu_image_init(&layout, info))
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	i = calloc(1, sizeof(*i));
	if (!i)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	i->layout = layout;
	list_init(&i->link);
	list_init(&i->dirty_link);
	real.tiling = VK_IMAGE_TILING_OPTIMAL;
	real.usage = image_real_usage(info->usage);
	real.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED;
	/* The program's queue families are not this device's. */
	real.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
	real.queueFamilyIndexCount = 0;
	result = d->vk.vkCreateImage(d->handle, &real, NULL, &i->handle);
	if (result < 0) {
		free(i);
		return result;
	}
	*ret_image = i;
	return VK_SUCCESS;
}

VkResult image_bind(struct image *i, const struct device *d, struct memory *memory, uint64_t offset)
{
	const VkMemoryPropertyFlags disliked = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
		VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT;
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	VkMemoryRequirements needs;
	int type;

	d->vk.vkGetImageMemoryRequirements(d->handle, i->handle, &needs);
	type = device_memory_type(d, needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, disliked);
	if (type < 0)
		type = device_memory_type(d, needs.memoryTypeBits, 0, 0, disliked);
	if (type >= 0) {
		info.allocationSize = needs.size;
		info.memoryTypeIndex = (uint32_t)type;
		result = d->vk.vkAllocateMemory(d->handle, &info, NULL, &i->real);
	}
	if (result >= 0)
		result = d->vk.vkBindImageMemory(d->handle, i->handle, i->real, 0);
	if (result < 0)
		return result;
	i->memory = memory;
	i->offset = offset;
	list_append(&memory->images, &i->link);
	return VK_SUCCESS;
}

void image_unbind(struct image *i)
{
	list_remove(&i->link);
	list_remove(&i->dirty_link);
	i->memory = NULL;
}

void image_empty(struct image *i, const struct device *d)
{
	image_unbind(i);
	d->vk.vkFreeMemory(d->handle, i->real, NULL);
	i->real = VK_NULL_HANDLE;
}

void image_destroy(struct image *i, const struct device *d)
{
	if (!i)
		return;
	image_unbind(i);
	d->vk.vkDestroyImage(d->handle, i->handle, NULL);
	d->vk.vkFreeMemory(d->handle, i->real, NULL);
	free(i);
}

void image_record_load(struct image *i, const struct device *d, VkCommandBuffer cb)
{
	const VkImageMemoryBarrier first = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.oldLayout = VK_IMAGE_LAYOUT_UNDEFINED,
		.newLayout = VK_IMAGE_LAYOUT_GENERAL,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = i->handle,
		.subresourceRange = { i->layout.format.aspects, 0, i->layout.mips, 0, i->layout.layers },
	};
	VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES];
	uint32_t count = gpu_image_copies(&i->layout, i->offset, regions);

	d->vk.vkCmdPipelineBarrier(
		cb, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &first);
	if (count)
		d->vk.vkCmdCopyBufferToImage(cb, i->memory->whole, i->handle, VK_IMAGE_LAYOUT_GENERAL, count, regions);
}

void image_record_store(struct image *i, const struct device *d, VkCommandBuffer cb)
{
	VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES];
	uint32_t count = gpu_image_copies(&i->layout, i->offset, regions);

	if (count)
		d->vk.vkCmdCopyImageToBuffer(cb, i->handle, VK_IMAGE_LAYOUT_GENERAL, i->memory->whole, count, regions);
}
