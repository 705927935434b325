/* Images off the GPU: tiled layouts differ between drivers, so an image's state is its canonical linear form. Mip levels lie one
 * behind the other, each at a multiple of GPU_IMAGE_ALIGN; within a level its array layers (of a 3D image: its slices) are tightly
 * packed, rows and texel blocks too: what one VkBufferImageCopy a level moves. Only formats that any driver copies byte by byte
 * are carried: no padding bits, no planes, blocks of 2^n bytes. Depth and stencil lie as copies of their aspects have them: of each level
 * first all depth (2 or 4 bytes a texel), then all stencil (one byte). The samples of a multisampled image can't be copied: it has no such
 * form, only a size. */
#ifndef TBMESH_GPU_IMAGE_H
#define TBMESH_GPU_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#define GPU_IMAGE_ALIGN 64u /* a multiple of the largest block */
#define GPU_IMAGE_MAX_MIPS 17u
#define GPU_IMAGE_MAX_EXTENT 65536u

struct gpu_format {
	uint8_t block_bytes; /* 0: not carried; of depth with stencil: the depth's */
	uint8_t block_width, block_height;
	uint8_t aspects; /* VkImageAspectFlags */
};

struct gpu_image {
	struct gpu_format format;
	VkExtent3D extent;
	uint32_t mips, layers, samples;
	uint64_t mip_offset[GPU_IMAGE_MAX_MIPS + 1]; /* [mips] is the size of all */
};

/* NULL: not carried. */
const struct gpu_format *gpu_format_find(VkFormat format);
/* The formats that came later than Vulkan 1.0 and are carried; VK_FORMAT_UNDEFINED behind the last one. */
VkFormat gpu_format_later(size_t index);
/* The layout of such an image. False: one that is not carried. */
bool gpu_image_init(struct gpu_image *i, const VkImageCreateInfo *info);
uint64_t gpu_image_size(const struct gpu_image *i);
VkExtent3D gpu_image_extent(const struct gpu_image *i, uint32_t mip);
/* Where a subresource lies (its depth, if it has depth and stencil); subresources of a level follow each other. */
VkSubresourceLayout gpu_image_layout(const struct gpu_image *i, uint32_t mip, uint32_t layer);
/* Bytes from the first to behind the last one that a copy between a buffer and an image of this format touches in the buffer. */
uint64_t gpu_format_copy_size(const struct gpu_format *f, const VkBufferImageCopy *region);
#define GPU_IMAGE_MAX_COPIES (2 * GPU_IMAGE_MAX_MIPS)
/* Writes the copies of all of an image that lies at `offset` of a buffer; returns how many: one a level and aspect, 0 of a
 * multisampled image. */
uint32_t gpu_image_copies(const struct gpu_image *i, uint64_t offset, VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES]);

#endif
