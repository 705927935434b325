#include "migrate/exec/holds.h"

#include <stdlib.h>

#include "migrate/exec/executor.h"

#define PLACES 2 /* of a descriptor: sampler; view or buffer */

static void destroy_handle(struct executor *x, const struct object *object)
{
	const struct wire_table *vk = &x->device.vk;
	VkDevice device = x->device.handle;
	uint64_t handle = object->handle;
	VkCommandBuffer buffer;

	if (!handle)
		return;
	switch ((int)object->type) {
	case VK_OBJECT_TYPE_BUFFER:
		vk->vkDestroyBuffer(device, (VkBuffer)handle, NULL);
		break;
	case VK_OBJECT_TYPE_BUFFER_VIEW:
		vk->vkDestroyBufferView(device, (VkBufferView)handle, NULL);
		break;
	case VK_OBJECT_TYPE_IMAGE:
		image_destroy(object->image, &x->device);
		break;
	case VK_OBJECT_TYPE_IMAGE_VIEW:
		vk->vkDestroyImageView(device, (VkImageView)handle, NULL);
		break;
	case VK_OBJECT_TYPE_SHADER_MODULE:
		vk->vkDestroyShaderModule(device, (VkShaderModule)handle, NULL);
		break;
	case VK_OBJECT_TYPE_SAMPLER:
		vk->vkDestroySampler(device, (VkSampler)handle, NULL);
		break;
	case VK_OBJECT_TYPE_QUERY_POOL:
		vk->vkDestroyQueryPool(device, (VkQueryPool)handle, NULL);
		break;
	case VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT:
		vk->vkDestroyDescriptorSetLayout(device, (VkDescriptorSetLayout)handle, NULL);
		break;
	case VK_OBJECT_TYPE_PIPELINE_LAYOUT:
		vk->vkDestroyPipelineLayout(device, (VkPipelineLayout)handle, NULL);
		break;
	case VK_OBJECT_TYPE_PIPELINE:
		vk->vkDestroyPipeline(device, (VkPipeline)handle, NULL);
		break;
	case VK_OBJECT_TYPE_RENDER_PASS:
		vk->vkDestroyRenderPass(device, (VkRenderPass)handle, NULL);
		break;
	case VK_OBJECT_TYPE_FRAMEBUFFER:
		vk->vkDestroyFramebuffer(device, (VkFramebuffer)handle, NULL);
		break;
	case VK_OBJECT_TYPE_DESCRIPTOR_SET:
		set_pools_free(&x->sets, object->pool, (VkDescriptorSet)handle);
		break;
	case VK_OBJECT_TYPE_COMMAND_BUFFER:
		buffer = (VkCommandBuffer)(uintptr_t)handle;
		vk->vkFreeCommandBuffers(device, x->pool, 1, &buffer);
		break;
	}
}

static void finish(struct executor *x, struct object *object)
{
	destroy_handle(x, object);
	set_shape_unref(object->shape);
	layout_shape_destroy(object->layout);
	object_free(object);
}

static struct object *hold(struct object *object)
{
	if (object)
		object->holds++;
	return object;
}

static void release(struct executor *x, struct object *object)
{
	struct object *under;

	/* A view, then what it shows. */
	for (; object && --object->holds == 0 && object->gone; object = under) {
		under = object->under;
		finish(x, object);
	}
}

void holds_destroy(struct executor *x, struct object *object)
{
	struct object *under = object->under;

	for (size_t i = 0; i < object->named_count; i++)
		release(x, object->named[i]);
	object->named_count = 0;
	if (object->holds) {
		object->gone = true;
		return;
	}
	finish(x, object);
	release(x, under);
}

static struct object *named_at(const struct buf *named, size_t index)
{
	return index < named->size / sizeof(struct object *) ? ((struct object *const *)(const void *)named->data)[index]
							     : NULL;
}

void holds_view(struct object *view, const struct buf *named)
{
	view->under = hold(named_at(named, 0));
}

bool holds_set(struct object *set)
{
	set->named = calloc(set->shape->descriptors ? set->shape->descriptors : 1, PLACES * sizeof(struct object *));
	if (!set->named)
		return false;
	set->named_count = set->shape->descriptors * PLACES;
	return true;
}

/* The first descriptor that a write is about, counted through the bindings. */
static size_t first_descriptor(const struct set_shape *shape, const VkWriteDescriptorSet *write)
{
	size_t first = write->dstArrayElement;

	for (uint32_t i = 0; i < shape->count && shape->bindings[i].binding < write->dstBinding; i++)
		first += shape_descriptors(shape->bindings[i].type, shape->bindings[i].count);
	return first;
}

void holds_write(struct executor *x, struct object *set, const VkWriteDescriptorSet *write, const struct buf *named)
{
	size_t place = first_descriptor(set->shape, write) * PLACES;
	size_t at = 0;

	if (write->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
		return;
	/* The set itself is named, too. */
	while (named_at(named, at) && named_at(named, at)->type == VK_OBJECT_TYPE_DESCRIPTOR_SET)
		at++;
	for (uint32_t i = 0; i < write->descriptorCount && place + PLACES <= set->named_count; i++, place += PLACES) {
		bool takes[PLACES] = {
			write->pImageInfo && write->pImageInfo[i].sampler,
			(write->pImageInfo && write->pImageInfo[i].imageView) ||
				(write->pBufferInfo && write->pBufferInfo[i].buffer) ||
				(write->pTexelBufferView && write->pTexelBufferView[i]),
		};

		for (size_t p = 0; p < PLACES; p++) {
			struct object *old = set->named[place + p];

			set->named[place + p] = takes[p] ? hold(named_at(named, at++)) : NULL;
			release(x, old);
		}
	}
}
