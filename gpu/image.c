#include "gpu/image.h"

#include <string.h>

#include "base/util.h"
#include "gpu/description_tables.h"

const struct gpu_format *gpu_format_find(VkFormat format)
{
	if ((uint32_t)format < gpu_format_count)
		return gpu_formats[format].block_bytes ? &gpu_formats[format] : NULL;
	for (size_t i = 0; i < gpu_later_format_count; i++)
		if (gpu_later_formats[i].format == format)
			return &gpu_later_formats[i].blocks;
	return NULL;
}

VkFormat gpu_format_later(size_t index)
{
	return index < gpu_later_format_count ? gpu_later_formats[index].format : VK_FORMAT_UNDEFINED;
}

static uint32_t at_mip(uint32_t size, uint32_t mip)
{
	return size >> mip ? size >> mip : 1;
}

static uint32_t blocks(uint32_t texels, uint32_t block)
{
	return (texels + block - 1) / block;
}

VkExtent3D gpu_image_extent(const struct gpu_image *i, uint32_t mip)
{
	return (VkExtent3D){ at_mip(i->extent.width, mip), at_mip(i->extent.height, mip), at_mip(i->extent.depth, mip) };
}

static bool valid(const VkImageCreateInfo *info)
{
	const VkExtent3D *e = &info->extent;
	uint32_t largest = e->width > e->height ? e->width : e->height;
	if (e->depth > largest)
		largest = e->depth;
	if (e->width == 0 || e->height == 0 || e->depth == 0 || largest > GPU_IMAGE_MAX_EXTENT)
		return false;
	if (info->imageType == VK_IMAGE_TYPE_1D ? e->height != 1 || e->depth != 1
						: info->imageType == VK_IMAGE_TYPE_2D && e->depth != 1)
		return false;
	if (info->arrayLayers == 0 || info->arrayLayers > GPU_IMAGE_MAX_EXTENT ||
		(info->imageType == VK_IMAGE_TYPE_3D && info->arrayLayers != 1))
		return false;
	if (info->samples != VK_SAMPLE_COUNT_1_BIT &&
		(info->samples != VK_SAMPLE_COUNT_4_BIT || info->imageType != VK_IMAGE_TYPE_2D || info->mipLevels != 1))
		return false;
	return info->mipLevels != 0 && info->mipLevels <= GPU_IMAGE_MAX_MIPS && largest >> (info->mipLevels - 1) != 0;
}

static uint64_t slice_size(const struct gpu_image *i, const VkExtent3D *e)
{
	return (uint64_t)blocks(e->width, i->format.block_width) * blocks(e->height, i->format.block_height) *
		i->format.block_bytes;
}

static bool has_both(const struct gpu_format *f)
{
	return f->aspects == (VK_IMAGE_ASPECT_DEPTH_BIT | VK_IMAGE_ASPECT_STENCIL_BIT);
}

static uint64_t align(uint64_t offset)
{
	return (offset + GPU_IMAGE_ALIGN - 1) & ~(uint64_t)(GPU_IMAGE_ALIGN - 1);
}

bool gpu_image_init(struct gpu_image *i, const VkImageCreateInfo *info)
{
	const struct gpu_format *f = gpu_format_find(info->format);
	if (f == NULL || !valid(info))
		return false;
	*i = (struct gpu_image){ .format = *f,
		.extent = info->extent,
		.mips = info->mipLevels,
		.layers = info->arrayLayers,
		.samples = info->samples };
	for (uint32_t mip = 0; mip < i->mips; mip++) {
		const VkExtent3D e = gpu_image_extent(i, mip);
		uint64_t end = i->mip_offset[mip] + slice_size(i, &e) * e.depth * i->layers * i->samples;
		if (has_both(f))
			end = align(end) + (uint64_t)e.width * e.height * e.depth * i->layers * i->samples;
		i->mip_offset[mip + 1] = align(end);
	}
	return true;
}

uint64_t gpu_image_size(const struct gpu_image *i)
{
	return i->mip_offset[i->mips];
}

VkSubresourceLayout gpu_image_layout(const struct gpu_image *i, uint32_t mip, uint32_t layer)
{
	const VkExtent3D e = gpu_image_extent(i, mip);
	VkSubresourceLayout l = { 0 };
	l.rowPitch = (uint64_t)blocks(e.width, i->format.block_width) * i->format.block_bytes;
	l.depthPitch = slice_size(i, &e);
	l.arrayPitch = l.size = l.depthPitch * e.depth;
	l.offset = i->mip_offset[mip] + layer * l.arrayPitch;
	return l;
}

uint64_t gpu_format_copy_size(const struct gpu_format *f, const VkBufferImageCopy *region)
{
	uint32_t width = blocks(region->imageExtent.width, f->block_width);
	uint32_t height = blocks(region->imageExtent.height, f->block_height);
	uint64_t row = region->bufferRowLength ? blocks(region->bufferRowLength, f->block_width) : width;
	uint64_t slice = row * (region->bufferImageHeight ? blocks(region->bufferImageHeight, f->block_height) : height);
	uint64_t slices = (uint64_t)region->imageSubresource.layerCount * region->imageExtent.depth;
	if (width == 0 || height == 0 || slices == 0)
		return 0;
	bool stencil = has_both(f) && region->imageSubresource.aspectMask == VK_IMAGE_ASPECT_STENCIL_BIT;
	return ((slices - 1) * slice + (height - 1) * row + width) * (stencil ? 1 : f->block_bytes);
}

uint32_t gpu_image_copies(const struct gpu_image *i, uint64_t offset, VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES])
{
	uint32_t count = 0;
	for (uint32_t mip = 0; mip < i->mips && i->samples == 1; mip++) {
		const VkExtent3D e = gpu_image_extent(i, mip);
		VkBufferImageCopy c = {
			.bufferOffset = offset + i->mip_offset[mip],
			.imageSubresource = { i->format.aspects, mip, 0, i->layers },
			.imageExtent = e,
		};
		if (has_both(&i->format)) {
			c.imageSubresource.aspectMask = VK_IMAGE_ASPECT_DEPTH_BIT;
			regions[count++] = c;
			c.bufferOffset = offset + align(i->mip_offset[mip] + slice_size(i, &e) * e.depth * i->layers);
			c.imageSubresource.aspectMask = VK_IMAGE_ASPECT_STENCIL_BIT;
		}
		regions[count++] = c;
	}
	return count;
}
