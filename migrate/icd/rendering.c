/* Render passes without objects: VK_KHR_dynamic_rendering. */
#include "migrate/icd/command.h"
#include "migrate/icd/render.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>

#define LAYOUT VK_IMAGE_LAYOUT_GENERAL

void icd_need_rendering(struct icd_device *d)
{
	ICD_NEED_FEATURE(d, DYNAMIC_RENDERING_FEATURES, DynamicRenderingFeatures, dynamicRendering);
}

static bool covers(const VkRenderingInfo *info, const struct icd_image_view *v)
{
	const struct gpu_image *l = &v->image->layout;
	return info->renderArea.offset.x == 0 && info->renderArea.offset.y == 0 &&
		info->renderArea.extent.width == l->extent.width && info->renderArea.extent.height == l->extent.height &&
		v->layer == 0 && info->layerCount >= l->layers;
}

static void write_view(
	struct icd_command_buffer *cb, const VkRenderingInfo *info, const struct icd_image_view *v, bool is_used)
{
	if (!v)
		return;
	if (is_used || !covers(info, v))
		icd_analyse_image_read(cb, v->image);
	icd_analyse_image_write(cb, v->image, v->mip, v->mips, v->layer, v->layers);
}

/* Executors have every image in one layout. Between two parts of a pass that goes on in another command buffer they have commands of
 * their own: so each part is a pass, which stores what the next one loads. */
static VkRenderingAttachmentInfo take_attachment(
	struct icd_command_buffer *cb, const VkRenderingInfo *info, const VkRenderingAttachmentInfo *from)
{
	VkRenderingAttachmentInfo to = *from;
	to.pNext = NULL;
	to.imageLayout = to.resolveImageLayout = LAYOUT;
	if (to.resolveMode == VK_RESOLVE_MODE_NONE || info->flags & VK_RENDERING_SUSPENDING_BIT) {
		to.resolveMode = VK_RESOLVE_MODE_NONE;
		to.resolveImageView = VK_NULL_HANDLE;
	}
	if (info->flags & VK_RENDERING_SUSPENDING_BIT)
		to.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
	if (info->flags & VK_RENDERING_RESUMING_BIT)
		to.loadOp = VK_ATTACHMENT_LOAD_OP_LOAD;
	/* All count as written: what is not stored is undefined behind the pass. */
	if (to.imageView)
		write_view(cb, info, ICD_FROM(icd_image_view, to.imageView),
			to.loadOp == VK_ATTACHMENT_LOAD_OP_LOAD || to.loadOp == VK_ATTACHMENT_LOAD_OP_NONE_EXT);
	else
		to.resolveImageView = VK_NULL_HANDLE;
	write_view(cb, info, ICD_FROM(icd_image_view, to.resolveImageView), false);
	return to;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBeginRenderingKHR(VkCommandBuffer handle, const VkRenderingInfo *info)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	VkRenderingAttachmentInfo *colours = calloc(info->colorAttachmentCount + 1u, sizeof(*colours)), depth, stencil;
	VkRenderingInfo sent = *info;
	if (!colours) {
		cb->failed = true;
		return;
	}
	sent.pNext = NULL;
	sent.flags &= VK_RENDERING_CONTENTS_SECONDARY_COMMAND_BUFFERS_BIT;
	for (uint32_t i = 0; i < info->colorAttachmentCount; i++)
		colours[i] = take_attachment(cb, info, &info->pColorAttachments[i]);
	sent.pColorAttachments = colours;
	if (info->pDepthAttachment) {
		depth = take_attachment(cb, info, info->pDepthAttachment);
		sent.pDepthAttachment = &depth;
	}
	if (info->pStencilAttachment) {
		stencil = take_attachment(cb, info, info->pStencilAttachment);
		sent.pStencilAttachment = &stencil;
	}
	icd_need_rendering(cb->device);
	icd_need_limit(cb->device, ICD_LIMIT_COLOR_ATTACHMENTS, info->colorAttachmentCount);
	icd_need_views(cb->device, info->viewMask);
	cb->in_pass = true;
	cb->view_mask = info->viewMask;
	cb->pass_start = cb->commands.size;
	wire_encode_vkCmdBeginRendering(&cb->writer, &sent);
	free(colours);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdEndRenderingKHR(VkCommandBuffer handle)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	cb->in_pass = false;
	cb->view_mask = 0;
	wire_encode_vkCmdEndRendering(&cb->writer);
}

void icd_take_inheritance(const VkCommandBufferInheritanceInfo *info, VkCommandBufferInheritanceInfo *ret,
	VkCommandBufferInheritanceRenderingInfo *ret_rendering)
{
	const VkCommandBufferInheritanceRenderingInfo *rendering =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_RENDERING_INFO);
	*ret = *info;
	ret->pNext = NULL;
	if (info->renderPass || !rendering)
		return;
	*ret_rendering = *rendering;
	ret_rendering->pNext = NULL;
	ret_rendering->flags = 0; /* as the pass has none of those that must be the same */
	ret->pNext = ret_rendering;
	ret->subpass = 0;
	ret->framebuffer = VK_NULL_HANDLE;
}

uint32_t icd_inherited_views(const VkCommandBufferInheritanceInfo *taken)
{
	const struct icd_render_pass *p = ICD_FROM(icd_render_pass, taken->renderPass);
	const VkCommandBufferInheritanceRenderingInfo *rendering = taken->pNext;
	if (p)
		return taken->subpass < p->subpass_count ? p->subpasses[taken->subpass].view_mask : 0;
	return rendering ? rendering->viewMask : 0;
}
