/* VkBuffer and VkBufferView. */
#include "gpu/image.h"
#include "migrate/icd/memory.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>

struct icd_buffer *icd_buffer_ref(struct icd_buffer *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
	return b;
}

void icd_buffer_unref(struct icd_buffer *b)
{
	if (b && atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) == 1)
		free(b);
}

struct icd_buffer_view *icd_buffer_view_ref(struct icd_buffer_view *v)
{
	if (v)
		atomic_fetch_add_explicit(&v->references, 1, memory_order_relaxed);
	return v;
}

void icd_buffer_view_unref(struct icd_buffer_view *v)
{
	if (v && atomic_fetch_sub_explicit(&v->references, 1, memory_order_acq_rel) == 1) {
		icd_buffer_unref(v->buffer);
		free(v);
	}
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateBuffer(
	VkDevice device, const VkBufferCreateInfo *info, const VkAllocationCallbacks *allocator, VkBuffer *ret_buffer)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	if (info->size == 0 || info->size > UINT64_MAX / 4)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	struct icd_buffer *b = icd_object_create(sizeof(*b));
	if (!b)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	b->object.id = icd_new_id(d);
	b->references = 1;
	b->size = info->size;
	b->usage = info->usage;
	icd_need_limit(d, ICD_LIMIT_BUFFER_SIZE, info->size);
	/* One queue family: sharing means nothing, and the real device numbers its families otherwise. */
	VkBufferCreateInfo sent = *info;
	sent.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
	sent.queueFamilyIndexCount = 0;
	sent.pQueueFamilyIndices = NULL;
	wire_encode_vkCreateBuffer(icd_record_begin(d), &sent, b->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, b->object.id, 0);
	if (result != VK_SUCCESS) {
		free(b);
		return result;
	}
	*ret_buffer = ICD_HANDLE(VkBuffer, b);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyBuffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_buffer *b = ICD_FROM(icd_buffer, buffer);
	if (!b)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, b->object.id);
	icd_buffer_unref(b);
}

static VkResult bind_buffer(struct icd_device *d, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset)
{
	struct icd_buffer *b = ICD_FROM(icd_buffer, buffer);
	const struct icd_memory *m = ICD_FROM(icd_memory, memory);
	icd_need_limit(d, ICD_LIMIT_BIND_ALIGN, offset);
	wire_encode_vkBindBufferMemory(icd_record_begin(d), buffer, memory, offset);
	VkResult result = icd_record_end(d, RECORD_UPDATE, b->object.id, 0);
	if (result != VK_SUCCESS)
		return result;
	b->memory = m->object.id;
	b->offset = offset;
	b->host_visible = m->map != NULL;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_BindBufferMemory(
	VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset)
{
	return bind_buffer(ICD_FROM(icd_device, device), buffer, memory, offset);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_BindBufferMemory2(VkDevice device, uint32_t count, const VkBindBufferMemoryInfo *infos)
{
	for (uint32_t i = 0; i < count; i++) {
		VkResult result =
			bind_buffer(ICD_FROM(icd_device, device), infos[i].buffer, infos[i].memory, infos[i].memoryOffset);
		if (result != VK_SUCCESS)
			return result;
	}
	return VK_SUCCESS;
}

/* The same on every GPU, so that no program sees where its buffers end up. */
static VkMemoryRequirements requirements(const struct icd_device *d, VkDeviceSize size)
{
	uint64_t alignment = d->physical->buffer.alignment;
	if (alignment < ICD_ALIGNMENT)
		alignment = ICD_ALIGNMENT;
	return (VkMemoryRequirements){
		.size = (size + ICD_ALIGNMENT - 1) & ~(uint64_t)(ICD_ALIGNMENT - 1),
		.alignment = alignment,
		.memoryTypeBits = (1u << ICD_MEMORY_TYPE_COUNT) - 1,
	};
}

static void fill_requirements(const struct icd_device *d, VkDeviceSize size, VkMemoryRequirements2 *ret)
{
	ret->memoryRequirements = requirements(d, size);
	VkMemoryDedicatedRequirements *dedicated =
		(void *)(uintptr_t)icd_chain_find(ret->pNext, VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS);
	if (dedicated)
		dedicated->prefersDedicatedAllocation = dedicated->requiresDedicatedAllocation = VK_FALSE;
}

VKAPI_ATTR void VKAPI_CALL icd_GetBufferMemoryRequirements(VkDevice device, VkBuffer buffer, VkMemoryRequirements *ret)
{
	*ret = requirements(ICD_FROM(icd_device, device), ICD_FROM(icd_buffer, buffer)->size);
}

VKAPI_ATTR void VKAPI_CALL icd_GetBufferMemoryRequirements2(
	VkDevice device, const VkBufferMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *ret)
{
	fill_requirements(ICD_FROM(icd_device, device), ICD_FROM(icd_buffer, info->buffer)->size, ret);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceBufferMemoryRequirementsKHR(
	VkDevice device, const VkDeviceBufferMemoryRequirements *info, VkMemoryRequirements2 *ret)
{
	fill_requirements(ICD_FROM(icd_device, device), info->pCreateInfo->size, ret);
}

/* bufferDeviceAddress is not offered; 0 is no address. */
VKAPI_ATTR VkDeviceAddress VKAPI_CALL icd_GetBufferDeviceAddress(VkDevice device, const VkBufferDeviceAddressInfo *info)
{
	(void)device, (void)info;
	return 0;
}

VKAPI_ATTR uint64_t VKAPI_CALL icd_GetBufferOpaqueCaptureAddress(VkDevice device, const VkBufferDeviceAddressInfo *info)
{
	(void)device, (void)info;
	return 0;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateBufferView(
	VkDevice device, const VkBufferViewCreateInfo *info, const VkAllocationCallbacks *allocator, VkBufferView *ret_view)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_buffer *b = ICD_FROM(icd_buffer, info->buffer);
	struct icd_buffer_view *v = icd_object_create(sizeof(*v));
	if (!v)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	v->object.id = icd_new_id(d);
	v->references = 1;
	v->offset = info->offset;
	v->range = info->range == VK_WHOLE_SIZE ? b->size - info->offset : info->range;
	const struct gpu_format *texel = gpu_format_find(info->format);
	VkFormatProperties format;
	icd_GetPhysicalDeviceFormatProperties(ICD_HANDLE(VkPhysicalDevice, d->physical), info->format, &format);
	VkFormatFeatureFlags used = 0;
	if (b->usage & VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT)
		used |= format.bufferFeatures & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT;
	if (b->usage & VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT)
		used |= format.bufferFeatures &
			(VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT | VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_ATOMIC_BIT);
	icd_need(d, NEED_FORMAT, (uint64_t)info->format, used);
	icd_need_limit(d, ICD_LIMIT_TEXEL_ALIGN, info->offset);
	icd_need_limit(d, ICD_LIMIT_TEXEL_ELEMENTS, v->range / (texel ? texel->block_bytes : 1));
	wire_encode_vkCreateBufferView(icd_record_begin(d), info, v->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, v->object.id, 0);
	if (result != VK_SUCCESS) {
		free(v);
		return result;
	}
	v->buffer = icd_buffer_ref(b);
	*ret_view = ICD_HANDLE(VkBufferView, v);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyBufferView(VkDevice device, VkBufferView view, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_buffer_view *v = ICD_FROM(icd_buffer_view, view);
	if (!v)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, v->object.id);
	icd_buffer_view_unref(v);
}
