#include "migrate/exec/placeholder.h"

#include "migrate/exec/check.h"

static VkResult make_image(struct placeholder *p, const struct device *d)
{
	const VkImageCreateInfo image = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { 1, 1, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT,
	};
	VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkMemoryRequirements needs;
	VkResult result;
	int type;

	result = d->vk.vkCreateImage(d->handle, &image, NULL, &p->image);
	if (result < 0)
		return result;
	d->vk.vkGetImageMemoryRequirements(d->handle, p->image, &needs);
	type = device_memory_type(d, needs.memoryTypeBits, 0, 0, 0);
	if (type < 0)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	allocate.allocationSize = needs.size;
	allocate.memoryTypeIndex = (uint32_t)type;
	result = d->vk.vkAllocateMemory(d->handle, &allocate, NULL, &p->memory);
	return result < 0 ? result : d->vk.vkBindImageMemory(d->handle, p->image, p->memory, 0);
}

static VkResult make(struct placeholder *p, const struct device *d)
{
	const VkSamplerCreateInfo sampler = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO };
	VkImageViewCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
	};
	VkResult result = make_image(p, d);

	view.image = p->image;
	if (result >= 0)
		result = d->vk.vkCreateImageView(d->handle, &view, NULL, &p->view);
	if (result >= 0)
		result = d->vk.vkCreateSampler(d->handle, &sampler, NULL, &p->sampler);
	return result;
}

static void write_binding(
	const struct placeholder *p, const struct device *d, VkDescriptorSet set, const struct shape_binding *b)
{
	const VkDescriptorImageInfo image = { p->sampler, p->view, VK_IMAGE_LAYOUT_GENERAL };
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = set,
		.dstBinding = b->binding,
		.descriptorCount = 1,
		.descriptorType = (VkDescriptorType)b->type,
		.pImageInfo = &image,
	};

	for (; write.dstArrayElement < b->count; write.dstArrayElement++)
		d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
}

VkResult placeholder_write(struct placeholder *p, const struct device *d, const struct object *set)
{
	for (uint32_t i = 0; i < set->shape->count; i++) {
		const struct shape_binding *b = &set->shape->bindings[i];
		VkResult result;

		if (b->immutable ||
			(b->type != VK_DESCRIPTOR_TYPE_SAMPLER && b->type != VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER))
			continue;
		result = p->sampler ? VK_SUCCESS : make(p, d);
		if (result < 0)
			return result;
		write_binding(p, d, (VkDescriptorSet)set->handle, b);
	}
	return VK_SUCCESS;
}
