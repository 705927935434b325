/* Recording what copies and clears images. */
#include "migrate/icd/command.h"

#include <stddef.h>

/* Executors have every image in this layout. */
#define LAYOUT VK_IMAGE_LAYOUT_GENERAL

static struct icd_command_buffer *buffer_of(VkCommandBuffer handle)
{
	return ICD_FROM(icd_command_buffer, handle);
}

static void write_layers(struct icd_command_buffer *cb, VkImage image, const VkImageSubresourceLayers *s)
{
	icd_analyse_image_write(cb, ICD_FROM(icd_image, image), s->mipLevel, 1, s->baseArrayLayer, s->layerCount);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyImage(VkCommandBuffer handle, VkImage source, VkImageLayout source_layout,
	VkImage target, VkImageLayout target_layout, uint32_t count, const VkImageCopy *regions)
{
	(void)source_layout, (void)target_layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_image_read(cb, ICD_FROM(icd_image, source));
	icd_analyse_image_read(cb, ICD_FROM(icd_image, target)); /* of which parts stay */
	for (uint32_t i = 0; i < count; i++)
		write_layers(cb, target, &regions[i].dstSubresource);
	wire_encode_vkCmdCopyImage(&cb->writer, source, LAYOUT, target, LAYOUT, count, regions);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyBufferToImage(VkCommandBuffer handle, VkBuffer source, VkImage target,
	VkImageLayout layout, uint32_t count, const VkBufferImageCopy *regions)
{
	(void)layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	for (uint32_t i = 0; i < count; i++) {
		icd_analyse_read(cb, ICD_FROM(icd_buffer, source), regions[i].bufferOffset,
			gpu_format_copy_size(&ICD_FROM(icd_image, target)->layout.format, &regions[i]));
		write_layers(cb, target, &regions[i].imageSubresource);
	}
	wire_encode_vkCmdCopyBufferToImage(&cb->writer, source, target, LAYOUT, count, regions);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyImageToBuffer(VkCommandBuffer handle, VkImage source, VkImageLayout layout,
	VkBuffer target, uint32_t count, const VkBufferImageCopy *regions)
{
	(void)layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_image_read(cb, ICD_FROM(icd_image, source));
	for (uint32_t i = 0; i < count; i++)
		icd_analyse_write(cb, ICD_FROM(icd_buffer, target), regions[i].bufferOffset,
			gpu_format_copy_size(&ICD_FROM(icd_image, source)->layout.format, &regions[i]));
	wire_encode_vkCmdCopyImageToBuffer(&cb->writer, source, LAYOUT, target, count, regions);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdClearColorImage(VkCommandBuffer handle, VkImage image, VkImageLayout layout,
	const VkClearColorValue *color, uint32_t count, const VkImageSubresourceRange *ranges)
{
	(void)layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	for (uint32_t i = 0; i < count; i++)
		icd_analyse_image_write(cb, ICD_FROM(icd_image, image), ranges[i].baseMipLevel, ranges[i].levelCount,
			ranges[i].baseArrayLayer, ranges[i].layerCount);
	wire_encode_vkCmdClearColorImage(&cb->writer, image, LAYOUT, color, count, ranges);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdClearDepthStencilImage(VkCommandBuffer handle, VkImage image, VkImageLayout layout,
	const VkClearDepthStencilValue *value, uint32_t count, const VkImageSubresourceRange *ranges)
{
	(void)layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	for (uint32_t i = 0; i < count; i++)
		icd_analyse_image_write(cb, ICD_FROM(icd_image, image), ranges[i].baseMipLevel, ranges[i].levelCount,
			ranges[i].baseArrayLayer, ranges[i].layerCount);
	wire_encode_vkCmdClearDepthStencilImage(&cb->writer, image, LAYOUT, value, count, ranges);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBlitImage(VkCommandBuffer handle, VkImage source, VkImageLayout source_layout,
	VkImage target, VkImageLayout target_layout, uint32_t count, const VkImageBlit *regions, VkFilter filter)
{
	(void)source_layout, (void)target_layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_image_read(cb, ICD_FROM(icd_image, source));
	for (uint32_t i = 0; i < count; i++)
		write_layers(cb, target, &regions[i].dstSubresource);
	wire_encode_vkCmdBlitImage(&cb->writer, source, LAYOUT, target, LAYOUT, count, regions, filter);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdResolveImage(VkCommandBuffer handle, VkImage source, VkImageLayout source_layout,
	VkImage target, VkImageLayout target_layout, uint32_t count, const VkImageResolve *regions)
{
	(void)source_layout, (void)target_layout;
	struct icd_command_buffer *cb = buffer_of(handle);
	icd_analyse_image_read(cb, ICD_FROM(icd_image, source));
	for (uint32_t i = 0; i < count; i++)
		write_layers(cb, target, &regions[i].dstSubresource);
	wire_encode_vkCmdResolveImage(&cb->writer, source, LAYOUT, target, LAYOUT, count, regions);
}

/* The newer forms of these calls say nothing more. */

VKAPI_ATTR void VKAPI_CALL icd_CmdBlitImage2KHR(VkCommandBuffer handle, const VkBlitImageInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkImageBlit2 *r = &info->pRegions[i];
		const VkImageBlit region = { r->srcSubresource, { r->srcOffsets[0], r->srcOffsets[1] }, r->dstSubresource,
			{ r->dstOffsets[0], r->dstOffsets[1] } };
		icd_CmdBlitImage(handle, info->srcImage, info->srcImageLayout, info->dstImage, info->dstImageLayout, 1,
			&region, info->filter);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdResolveImage2KHR(VkCommandBuffer handle, const VkResolveImageInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkImageResolve2 *r = &info->pRegions[i];
		const VkImageResolve region = { r->srcSubresource, r->srcOffset, r->dstSubresource, r->dstOffset,
			r->extent };
		icd_CmdResolveImage(
			handle, info->srcImage, info->srcImageLayout, info->dstImage, info->dstImageLayout, 1, &region);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyImage2KHR(VkCommandBuffer handle, const VkCopyImageInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkImageCopy2 *r = &info->pRegions[i];
		const VkImageCopy region = { r->srcSubresource, r->srcOffset, r->dstSubresource, r->dstOffset, r->extent };
		icd_CmdCopyImage(
			handle, info->srcImage, info->srcImageLayout, info->dstImage, info->dstImageLayout, 1, &region);
	}
}

static VkBufferImageCopy old_region(const VkBufferImageCopy2 *r)
{
	return (VkBufferImageCopy){ r->bufferOffset, r->bufferRowLength, r->bufferImageHeight, r->imageSubresource,
		r->imageOffset, r->imageExtent };
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyBufferToImage2KHR(VkCommandBuffer handle, const VkCopyBufferToImageInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkBufferImageCopy region = old_region(&info->pRegions[i]);
		icd_CmdCopyBufferToImage(handle, info->srcBuffer, info->dstImage, info->dstImageLayout, 1, &region);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyImageToBuffer2KHR(VkCommandBuffer handle, const VkCopyImageToBufferInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkBufferImageCopy region = old_region(&info->pRegions[i]);
		icd_CmdCopyImageToBuffer(handle, info->srcImage, info->srcImageLayout, info->dstBuffer, 1, &region);
	}
}
