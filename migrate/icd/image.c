/* VkImage and VkImageView. */
#include "migrate/icd/image.h"
#include "migrate/icd/memory.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>

void icd_image_ref(struct icd_image *i)
{
	if (i)
		atomic_fetch_add_explicit(&i->references, 1, memory_order_relaxed);
}

void icd_image_unref(struct icd_image *i)
{
	if (i && atomic_fetch_sub_explicit(&i->references, 1, memory_order_acq_rel) == 1)
		free(i);
}

void icd_image_view_ref(struct icd_image_view *v)
{
	if (v)
		atomic_fetch_add_explicit(&v->references, 1, memory_order_relaxed);
}

void icd_image_view_unref(struct icd_image_view *v)
{
	if (v && atomic_fetch_sub_explicit(&v->references, 1, memory_order_acq_rel) == 1) {
		icd_image_unref(v->image);
		free(v);
	}
}

static VkResult offered(const struct icd_physical *p, const VkImageCreateInfo *info)
{
	VkImageFormatProperties most;
	VkResult result = icd_GetPhysicalDeviceImageFormatProperties(ICD_HANDLE(VkPhysicalDevice, p), info->format,
		info->imageType, info->tiling, info->usage, info->flags, &most);
	bool fits = result == VK_SUCCESS && info->extent.width <= most.maxExtent.width &&
		info->extent.height <= most.maxExtent.height && info->extent.depth <= most.maxExtent.depth &&
		info->mipLevels <= most.maxMipLevels && info->arrayLayers <= most.maxArrayLayers &&
		(info->samples & most.sampleCounts);
	return fits ? VK_SUCCESS : VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void tell_needs(struct icd_device *d, const VkImageCreateInfo *info)
{
	const VkExtent3D *e = &info->extent;
	icd_need_image_format(d, info->format, info->flags & VK_IMAGE_CREATE_EXTENDED_USAGE_BIT ? 0 : info->usage);
	switch (info->imageType) {
	case VK_IMAGE_TYPE_1D:
		icd_need_limit(d, ICD_LIMIT_IMAGE_1D, e->width);
		break;
	case VK_IMAGE_TYPE_3D:
		icd_need_limit(d, ICD_LIMIT_IMAGE_3D, e->width);
		icd_need_limit(d, ICD_LIMIT_IMAGE_3D, e->height);
		icd_need_limit(d, ICD_LIMIT_IMAGE_3D, e->depth);
		break;
	default:
		icd_need_limit(d, ICD_LIMIT_IMAGE_2D, e->width);
		icd_need_limit(d, ICD_LIMIT_IMAGE_2D, e->height);
		if (info->flags & VK_IMAGE_CREATE_CUBE_COMPATIBLE_BIT)
			icd_need_limit(d, ICD_LIMIT_IMAGE_CUBE, e->width);
	}
	icd_need_limit(d, ICD_LIMIT_IMAGE_LAYERS, info->arrayLayers);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateImage(
	VkDevice device, const VkImageCreateInfo *info, const VkAllocationCallbacks *allocator, VkImage *ret_image)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct gpu_image layout;
	*ret_image = VK_NULL_HANDLE;
	VkResult result = offered(d->physical, info);
	if (result != VK_SUCCESS || !gpu_image_init(&layout, info))
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	struct icd_image *i = icd_object_create(sizeof(*i));
	if (!i)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	i->object.id = icd_new_id(d);
	i->references = 1;
	i->layout = layout;
	i->usage = info->usage;
	i->linear = info->tiling == VK_IMAGE_TILING_LINEAR;
	tell_needs(d, info);
	/* As with buffers: one queue family. */
	VkImageCreateInfo sent = *info;
	sent.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
	sent.queueFamilyIndexCount = 0;
	sent.pQueueFamilyIndices = NULL;
	sent.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED;
	sent.tiling = VK_IMAGE_TILING_OPTIMAL; /* that of its range is the program's affair alone */
	wire_encode_vkCreateImage(icd_record_begin(d), &sent, i->object.id);
	result = icd_record_end(d, RECORD_CREATE, i->object.id, 0);
	if (result != VK_SUCCESS) {
		free(i);
		return result;
	}
	*ret_image = ICD_HANDLE(VkImage, i);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyImage(VkDevice device, VkImage image, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_image *i = ICD_FROM(icd_image, image);
	if (!i)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, i->object.id);
	icd_image_unref(i);
}

static VkResult bind_image(struct icd_device *d, VkImage image, VkDeviceMemory memory, VkDeviceSize offset)
{
	struct icd_image *i = ICD_FROM(icd_image, image);
	wire_encode_vkBindImageMemory(icd_record_begin(d), image, memory, offset);
	VkResult result = icd_record_end(d, RECORD_UPDATE, i->object.id, 0);
	if (result != VK_SUCCESS)
		return result;
	i->memory = ICD_FROM(icd_memory, memory)->object.id;
	i->offset = offset;
	i->host_visible = i->linear && ICD_FROM(icd_memory, memory)->map;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_BindImageMemory(
	VkDevice device, VkImage image, VkDeviceMemory memory, VkDeviceSize offset)
{
	return bind_image(ICD_FROM(icd_device, device), image, memory, offset);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_BindImageMemory2(VkDevice device, uint32_t count, const VkBindImageMemoryInfo *infos)
{
	for (uint32_t i = 0; i < count; i++) {
		VkResult result =
			bind_image(ICD_FROM(icd_device, device), infos[i].image, infos[i].memory, infos[i].memoryOffset);
		if (result != VK_SUCCESS)
			return result;
	}
	return VK_SUCCESS;
}

/* The canonical form's size, on every GPU; no host sees an optimally tiled image's bytes. */
static VkMemoryRequirements requirements(const struct icd_device *d, uint64_t size, bool linear)
{
	uint64_t alignment = d->physical->buffer.alignment;
	return (VkMemoryRequirements){
		.size = (size + ICD_ALIGNMENT - 1) & ~(uint64_t)(ICD_ALIGNMENT - 1),
		.alignment = alignment < ICD_ALIGNMENT ? ICD_ALIGNMENT : alignment,
		.memoryTypeBits = linear ? (1u << ICD_MEMORY_TYPE_COUNT) - 1 : 1u << MEMORY_DEVICE_LOCAL,
	};
}

static void fill_requirements(const struct icd_device *d, uint64_t size, bool linear, VkMemoryRequirements2 *ret)
{
	ret->memoryRequirements = requirements(d, size, linear);
	VkMemoryDedicatedRequirements *dedicated =
		(void *)(uintptr_t)icd_chain_find(ret->pNext, VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS);
	if (dedicated)
		dedicated->prefersDedicatedAllocation = dedicated->requiresDedicatedAllocation = VK_FALSE;
}

VKAPI_ATTR void VKAPI_CALL icd_GetImageMemoryRequirements(VkDevice device, VkImage image, VkMemoryRequirements *ret)
{
	const struct icd_image *i = ICD_FROM(icd_image, image);
	*ret = requirements(ICD_FROM(icd_device, device), gpu_image_size(&i->layout), i->linear);
}

VKAPI_ATTR void VKAPI_CALL icd_GetImageMemoryRequirements2(
	VkDevice device, const VkImageMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *ret)
{
	const struct icd_image *i = ICD_FROM(icd_image, info->image);
	fill_requirements(ICD_FROM(icd_device, device), gpu_image_size(&i->layout), i->linear, ret);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceImageMemoryRequirementsKHR(
	VkDevice device, const VkDeviceImageMemoryRequirements *info, VkMemoryRequirements2 *ret)
{
	struct gpu_image layout;
	fill_requirements(ICD_FROM(icd_device, device),
		gpu_image_init(&layout, info->pCreateInfo) ? gpu_image_size(&layout) : 0,
		info->pCreateInfo->tiling == VK_IMAGE_TILING_LINEAR, ret);
}

VKAPI_ATTR void VKAPI_CALL icd_GetImageSparseMemoryRequirements(
	VkDevice device, VkImage image, uint32_t *count, VkSparseImageMemoryRequirements *ret)
{
	(void)device, (void)image, (void)ret;
	*count = 0;
}

VKAPI_ATTR void VKAPI_CALL icd_GetImageSparseMemoryRequirements2(VkDevice device,
	const VkImageSparseMemoryRequirementsInfo2 *info, uint32_t *count, VkSparseImageMemoryRequirements2 *ret)
{
	(void)device, (void)info, (void)ret;
	*count = 0;
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceImageSparseMemoryRequirementsKHR(VkDevice device,
	const VkDeviceImageMemoryRequirements *info, uint32_t *count, VkSparseImageMemoryRequirements2 *requirements2)
{
	(void)device, (void)info, (void)requirements2;
	*count = 0;
}

/* Only linear images may be asked for: theirs is the canonical form. */
VKAPI_ATTR void VKAPI_CALL icd_GetImageSubresourceLayout(
	VkDevice device, VkImage image, const VkImageSubresource *subresource, VkSubresourceLayout *ret)
{
	(void)device;
	*ret = gpu_image_layout(&ICD_FROM(icd_image, image)->layout, subresource->mipLevel, subresource->arrayLayer);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateImageView(
	VkDevice device, const VkImageViewCreateInfo *info, const VkAllocationCallbacks *allocator, VkImageView *ret_view)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_image *i = ICD_FROM(icd_image, info->image);
	struct icd_image_view *v = icd_object_create(sizeof(*v));
	if (!v)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	v->object.id = icd_new_id(d);
	v->references = 1;
	v->mip = info->subresourceRange.baseMipLevel;
	v->mips = info->subresourceRange.levelCount;
	v->layer = info->subresourceRange.baseArrayLayer;
	v->layers = info->subresourceRange.layerCount;
	const VkImageViewUsageCreateInfo *usage =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_IMAGE_VIEW_USAGE_CREATE_INFO);
	icd_need_image_format(d, info->format, usage ? usage->usage : i->usage);
	wire_encode_vkCreateImageView(icd_record_begin(d), info, v->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, v->object.id, 0);
	if (result != VK_SUCCESS) {
		free(v);
		return result;
	}
	icd_image_ref(i);
	v->image = i;
	*ret_view = ICD_HANDLE(VkImageView, v);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyImageView(VkDevice device, VkImageView view, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_image_view *v = ICD_FROM(icd_image_view, view);
	if (!v)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, v->object.id);
	icd_image_view_unref(v);
}

void icd_image_ranges(
	struct icd_ranges *r, const struct icd_image *i, uint32_t mip, uint32_t mips, uint32_t layer, uint32_t layers)
{
	const struct gpu_image *l = &i->layout;
	uint32_t mip_end = mips < l->mips - mip ? mip + mips : l->mips;
	/* Of a 3D image a view's layers are slices: all of them count. */
	if (layer >= l->layers)
		layer = 0;
	if (layers > l->layers - layer)
		layers = l->layers - layer;
	if (!i->memory || mip >= l->mips)
		return;
	if (layers == l->layers || l->format.aspects != VK_IMAGE_ASPECT_COLOR_BIT) { /* the levels touch */
		icd_ranges_add(r, i->memory, i->offset + l->mip_offset[mip], l->mip_offset[mip_end] - l->mip_offset[mip]);
		return;
	}
	for (; mip < mip_end; mip++) {
		const VkSubresourceLayout s = gpu_image_layout(l, mip, layer);
		icd_ranges_add(r, i->memory, i->offset + s.offset, s.size * layers);
	}
}

void icd_image_uses_overwrite(struct buf *uses, uint64_t memory, uint64_t offset, uint64_t size)
{
	struct icd_image_use *all = (struct icd_image_use *)(void *)uses->data;
	size_t count = uses->size / sizeof(*all), kept = 0;
	for (size_t n = 0; n < count; n++) {
		if (all[n].memory != memory || all[n].begin >= offset + size || offset >= all[n].end)
			all[kept++] = all[n];
	}
	uses->size = kept * sizeof(*all);
}

/* What a multisampled image holds has no bytes that others could write; its entries stay in order. */
static void add_multisampled(struct buf *uses, const struct icd_image *i, bool needed)
{
	const struct icd_image_use *all = (const struct icd_image_use *)(const void *)uses->data;
	const struct icd_image_use use = { .id = i->object.id | (needed ? SUBMIT_IMAGE_NEEDED : 0) };
	for (size_t n = uses->size / sizeof(use); n > 0; n--)
		if ((all[n - 1].id & ~SUBMIT_IMAGE_NEEDED) == i->object.id && (needed || all[n - 1].id == use.id))
			return;
	buf_append(uses, &use, sizeof(use));
}

void icd_image_needed(struct buf *uses, const struct icd_image *i)
{
	add_multisampled(uses, i, true);
}

void icd_image_used(struct buf *uses, const struct icd_image *i)
{
	if (i->layout.samples != 1) {
		add_multisampled(uses, i, false);
		return;
	}
	const struct icd_image_use use = { i->object.id, i->memory, i->offset, i->offset + gpu_image_size(&i->layout) };
	const struct icd_image_use *all = (const struct icd_image_use *)(const void *)uses->data;
	size_t count = uses->size / sizeof(*all);
	if (!i->memory || (count && all[count - 1].id == use.id))
		return;
	icd_image_uses_overwrite(uses, use.memory, use.begin, use.end - use.begin); /* its own earlier place, too */
	buf_append(uses, &use, sizeof(use));
}

void icd_image_uses_add(struct buf *uses, const struct buf *later, const struct icd_ranges *writes)
{
	for (size_t n = 0; uses->size && n < writes->count; n++)
		icd_image_uses_overwrite(uses, writes->items[n].memory, writes->items[n].offset, writes->items[n].size);
	buf_append(uses, later->data, later->size);
}
