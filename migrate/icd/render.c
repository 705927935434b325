/* Render passes, framebuffers, and the recording of passes. Executors keep images in GENERAL layout: attachments, too. */
#include "migrate/icd/render.h"
#include "migrate/icd/command.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

#define LAYOUT VK_IMAGE_LAYOUT_GENERAL

/* Copies that live until a render pass is encoded. */
struct scratch {
	void *blocks[64];
	size_t count;
	bool failed;
};

static void *take(struct scratch *s, size_t count, size_t size)
{
	void *block = s->count < ARRAY_SIZE(s->blocks) && count ? calloc(count, size) : NULL;
	if (!block)
		s->failed = s->failed || count != 0;
	else
		s->blocks[s->count++] = block;
	return block;
}

static void scratch_finish(struct scratch *s)
{
	while (s->count)
		free(s->blocks[--s->count]);
}

static const VkAttachmentReference2 *clean_references(struct scratch *s, const VkAttachmentReference2 *from, uint32_t count)
{
	VkAttachmentReference2 *to = from ? take(s, count, sizeof(*to)) : NULL;
	for (uint32_t i = 0; to && i < count; i++)
		to[i] = (VkAttachmentReference2){ VK_STRUCTURE_TYPE_ATTACHMENT_REFERENCE_2, NULL, from[i].attachment, LAYOUT,
			from[i].aspectMask };
	return to;
}

/* What of the chain travels. */
static const void *clean_resolve(struct scratch *s, const void *chain)
{
	const VkSubpassDescriptionDepthStencilResolve *from =
		icd_chain_find(chain, VK_STRUCTURE_TYPE_SUBPASS_DESCRIPTION_DEPTH_STENCIL_RESOLVE);
	VkSubpassDescriptionDepthStencilResolve *to = from ? take(s, 1, sizeof(*to)) : NULL;
	if (!to)
		return NULL;
	*to = *from;
	to->pNext = NULL;
	to->pDepthStencilResolveAttachment = clean_references(s, from->pDepthStencilResolveAttachment, 1);
	return to;
}

/* The lower halves of the 64-bit masks are the old masks; what is only in the upper ones becomes all that a pass may have. */
static void old_masks(const VkMemoryBarrier2 *newer, VkSubpassDependency2 *ret)
{
	const VkAccessFlags access = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
	const VkPipelineStageFlags inside = VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT, outside = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	ret->srcStageMask = (VkPipelineStageFlags)newer->srcStageMask;
	ret->dstStageMask = (VkPipelineStageFlags)newer->dstStageMask;
	if (newer->srcStageMask >> 32)
		ret->srcStageMask = ret->srcSubpass == VK_SUBPASS_EXTERNAL ? outside : inside;
	if (newer->dstStageMask >> 32)
		ret->dstStageMask = ret->dstSubpass == VK_SUBPASS_EXTERNAL ? outside : inside;
	ret->srcStageMask = ret->srcStageMask ? ret->srcStageMask : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT;
	ret->dstStageMask = ret->dstStageMask ? ret->dstStageMask : VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT;
	ret->srcAccessMask = newer->srcAccessMask >> 32 ? access : (VkAccessFlags)newer->srcAccessMask;
	ret->dstAccessMask = newer->dstAccessMask >> 32 ? access : (VkAccessFlags)newer->dstAccessMask;
}

static VkRenderPassCreateInfo2 clean(struct scratch *s, const VkRenderPassCreateInfo2 *info)
{
	VkRenderPassCreateInfo2 ret = *info;
	VkAttachmentDescription2 *attachments = take(s, info->attachmentCount, sizeof(*attachments));
	VkSubpassDescription2 *subpasses = take(s, info->subpassCount, sizeof(*subpasses));
	VkSubpassDependency2 *dependencies = take(s, info->dependencyCount, sizeof(*dependencies));
	for (uint32_t i = 0; dependencies && i < info->dependencyCount; i++) {
		const VkMemoryBarrier2 *newer =
			icd_chain_find(info->pDependencies[i].pNext, VK_STRUCTURE_TYPE_MEMORY_BARRIER_2);
		dependencies[i] = info->pDependencies[i];
		if (newer) /* in place of the masks that are there */
			old_masks(newer, &dependencies[i]);
	}
	for (uint32_t i = 0; attachments && i < info->attachmentCount; i++) {
		attachments[i] = info->pAttachments[i];
		attachments[i].initialLayout = attachments[i].finalLayout = LAYOUT;
	}
	for (uint32_t i = 0; subpasses && i < info->subpassCount; i++) {
		VkSubpassDescription2 *p = &subpasses[i];
		*p = info->pSubpasses[i];
		p->pNext = clean_resolve(s, p->pNext);
		p->pInputAttachments = clean_references(s, p->pInputAttachments, p->inputAttachmentCount);
		p->pColorAttachments = clean_references(s, p->pColorAttachments, p->colorAttachmentCount);
		p->pResolveAttachments = clean_references(s, p->pResolveAttachments, p->colorAttachmentCount);
		p->pDepthStencilAttachment = clean_references(s, p->pDepthStencilAttachment, 1);
	}
	ret.pAttachments = attachments;
	ret.pSubpasses = subpasses;
	ret.pDependencies = dependencies;
	return ret;
}

static bool has_any(const VkAttachmentReference2 *references, uint32_t count)
{
	for (uint32_t i = 0; references && i < count; i++)
		if (references[i].attachment != VK_ATTACHMENT_UNUSED)
			return true;
	return false;
}

void icd_need_views(struct icd_device *d, uint32_t view_mask)
{
	if (!view_mask)
		return;
	ICD_NEED_FEATURE(d, VULKAN_1_1_FEATURES, Vulkan11Features, multiview);
	icd_need_limit(d, ICD_LIMIT_VIEWS, 32u - (unsigned)__builtin_clz(view_mask));
}

/* What the attachment holds is there in the pass, or behind it. */
static bool keeps(VkAttachmentLoadOp op)
{
	return op == VK_ATTACHMENT_LOAD_OP_LOAD || op == VK_ATTACHMENT_LOAD_OP_NONE_EXT;
}

static struct icd_render_pass *pass_create(const VkRenderPassCreateInfo2 *info)
{
	struct icd_render_pass *p = icd_object_create(sizeof(*p) + info->subpassCount * sizeof(p->subpasses[0]));
	if (!p)
		return NULL;
	p->attachment_count = info->attachmentCount;
	p->subpass_count = info->subpassCount;
	p->loads = calloc(info->attachmentCount + 1, sizeof(*p->loads));
	if (!p->loads) {
		free(p);
		return NULL;
	}
	for (uint32_t i = 0; i < info->attachmentCount; i++) {
		const VkAttachmentDescription2 *a = &info->pAttachments[i];
		const struct gpu_format *f = gpu_format_find(a->format);
		bool stencil = f && f->aspects & VK_IMAGE_ASPECT_STENCIL_BIT;
		bool other = !f || f->aspects & ~VK_IMAGE_ASPECT_STENCIL_BIT;
		p->loads[i] = (other && keeps(a->loadOp)) || (stencil && keeps(a->stencilLoadOp));
	}
	for (uint32_t i = 0; i < info->subpassCount; i++) {
		const VkSubpassDescription2 *s = &info->pSubpasses[i];
		p->subpasses[i] = (struct icd_subpass){ has_any(s->pColorAttachments, s->colorAttachmentCount),
			has_any(s->pDepthStencilAttachment, 1), s->viewMask };
	}
	return p;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateRenderPass2(
	VkDevice device, const VkRenderPassCreateInfo2 *info, const VkAllocationCallbacks *allocator, VkRenderPass *ret_pass)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_render_pass *p = pass_create(info);
	struct scratch s = { 0 };
	VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;
	*ret_pass = VK_NULL_HANDLE;
	const VkRenderPassCreateInfo2 sent = clean(&s, info);
	if (p && !s.failed) {
		p->object.id = icd_new_id(d);
		for (uint32_t i = 0; i < p->subpass_count; i++)
			icd_need_views(d, p->subpasses[i].view_mask);
		wire_encode_vkCreateRenderPass2(icd_record_begin(d), &sent, p->object.id);
		result = icd_record_end(d, RECORD_CREATE, p->object.id, 0);
	}
	scratch_finish(&s);
	if (result != VK_SUCCESS) {
		if (p)
			free(p->loads);
		free(p);
		return result;
	}
	*ret_pass = ICD_HANDLE(VkRenderPass, p);
	return VK_SUCCESS;
}

static VkImageAspectFlags aspects_of(const VkRenderPassCreateInfo *info, uint32_t subpass, uint32_t input)
{
	const VkRenderPassInputAttachmentAspectCreateInfo *said =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_RENDER_PASS_INPUT_ATTACHMENT_ASPECT_CREATE_INFO);
	for (uint32_t i = 0; said && i < said->aspectReferenceCount; i++) {
		const VkInputAttachmentAspectReference *r = &said->pAspectReferences[i];
		if (r->subpass == subpass && r->inputAttachmentIndex == input)
			return r->aspectMask;
	}
	uint32_t attachment = info->pSubpasses[subpass].pInputAttachments[input].attachment;
	const struct gpu_format *f =
		attachment < info->attachmentCount ? gpu_format_find(info->pAttachments[attachment].format) : NULL;
	return f ? f->aspects : 0;
}

static VkAttachmentReference2 *new_references(struct scratch *s, const VkAttachmentReference *from, uint32_t count)
{
	VkAttachmentReference2 *to = from ? take(s, count, sizeof(*to)) : NULL;
	for (uint32_t i = 0; to && i < count; i++)
		to[i] = (VkAttachmentReference2){ VK_STRUCTURE_TYPE_ATTACHMENT_REFERENCE_2, NULL, from[i].attachment, LAYOUT,
			0 };
	return to;
}

static void new_subpass(struct scratch *s, const VkRenderPassCreateInfo *info, uint32_t index, VkSubpassDescription2 *ret)
{
	const VkSubpassDescription *from = &info->pSubpasses[index];
	VkAttachmentReference2 *inputs = new_references(s, from->pInputAttachments, from->inputAttachmentCount);
	for (uint32_t i = 0; inputs && i < from->inputAttachmentCount; i++)
		inputs[i].aspectMask = aspects_of(info, index, i);
	*ret = (VkSubpassDescription2){
		.sType = VK_STRUCTURE_TYPE_SUBPASS_DESCRIPTION_2,
		.flags = from->flags,
		.pipelineBindPoint = from->pipelineBindPoint,
		.inputAttachmentCount = from->inputAttachmentCount,
		.pInputAttachments = inputs,
		.colorAttachmentCount = from->colorAttachmentCount,
		.pColorAttachments = new_references(s, from->pColorAttachments, from->colorAttachmentCount),
		.pResolveAttachments = new_references(s, from->pResolveAttachments, from->colorAttachmentCount),
		.pDepthStencilAttachment = new_references(s, from->pDepthStencilAttachment, 1),
		.preserveAttachmentCount = from->preserveAttachmentCount,
		.pPreserveAttachments = from->pPreserveAttachments,
	};
}

/* The view masks of the newer form, for the older one's chain. */
static void new_views(const VkRenderPassCreateInfo *info, VkSubpassDescription2 *subpasses,
	VkSubpassDependency2 *dependencies, VkRenderPassCreateInfo2 *ret)
{
	const VkRenderPassMultiviewCreateInfo *views =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_RENDER_PASS_MULTIVIEW_CREATE_INFO);
	for (uint32_t i = 0; views && i < views->subpassCount && i < info->subpassCount; i++)
		subpasses[i].viewMask = views->pViewMasks[i];
	for (uint32_t i = 0; views && i < views->dependencyCount && i < info->dependencyCount; i++)
		dependencies[i].viewOffset = views->pViewOffsets[i];
	ret->correlatedViewMaskCount = views ? views->correlationMaskCount : 0;
	ret->pCorrelatedViewMasks = views ? views->pCorrelationMasks : NULL;
}

/* Travels as the newer form. */
VKAPI_ATTR VkResult VKAPI_CALL icd_CreateRenderPass(
	VkDevice device, const VkRenderPassCreateInfo *info, const VkAllocationCallbacks *allocator, VkRenderPass *ret_pass)
{
	struct scratch s = { 0 };
	VkAttachmentDescription2 *attachments = take(&s, info->attachmentCount, sizeof(*attachments));
	VkSubpassDescription2 *subpasses = take(&s, info->subpassCount, sizeof(*subpasses));
	VkSubpassDependency2 *dependencies = take(&s, info->dependencyCount, sizeof(*dependencies));
	VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;
	*ret_pass = VK_NULL_HANDLE;
	for (uint32_t i = 0; attachments && i < info->attachmentCount; i++) {
		const VkAttachmentDescription *a = &info->pAttachments[i];
		attachments[i] = (VkAttachmentDescription2){ VK_STRUCTURE_TYPE_ATTACHMENT_DESCRIPTION_2, NULL, a->flags,
			a->format, a->samples, a->loadOp, a->storeOp, a->stencilLoadOp, a->stencilStoreOp, LAYOUT, LAYOUT };
	}
	for (uint32_t i = 0; subpasses && i < info->subpassCount; i++)
		new_subpass(&s, info, i, &subpasses[i]);
	for (uint32_t i = 0; dependencies && i < info->dependencyCount; i++) {
		const VkSubpassDependency *p = &info->pDependencies[i];
		dependencies[i] = (VkSubpassDependency2){ VK_STRUCTURE_TYPE_SUBPASS_DEPENDENCY_2, NULL, p->srcSubpass,
			p->dstSubpass, p->srcStageMask, p->dstStageMask, p->srcAccessMask, p->dstAccessMask,
			p->dependencyFlags, 0 };
	}
	VkRenderPassCreateInfo2 newer = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO_2,
		.flags = info->flags,
		.attachmentCount = info->attachmentCount,
		.pAttachments = attachments,
		.subpassCount = info->subpassCount,
		.pSubpasses = subpasses,
		.dependencyCount = info->dependencyCount,
		.pDependencies = dependencies,
	};
	if (!s.failed) {
		new_views(info, subpasses, dependencies, &newer);
		result = icd_CreateRenderPass2(device, &newer, allocator, ret_pass);
	}
	scratch_finish(&s);
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyRenderPass(VkDevice device, VkRenderPass pass, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_render_pass *p = ICD_FROM(icd_render_pass, pass);
	if (!p)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, p->object.id);
	free(p->loads);
	free(p);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateFramebuffer(VkDevice device, const VkFramebufferCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkFramebuffer *ret_framebuffer)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	*ret_framebuffer = VK_NULL_HANDLE;
	const bool imageless = info->flags & VK_FRAMEBUFFER_CREATE_IMAGELESS_BIT;
	const uint32_t view_count = imageless ? 0 : info->attachmentCount;
	struct icd_framebuffer *f = icd_object_create(sizeof(*f) + view_count * sizeof(f->views[0]));
	if (!f)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	f->object.id = icd_new_id(d);
	f->extent = (VkExtent2D){ info->width, info->height };
	f->layers = info->layers;
	icd_need_limit(d, ICD_LIMIT_FRAMEBUFFER_WIDTH, info->width);
	icd_need_limit(d, ICD_LIMIT_FRAMEBUFFER_HEIGHT, info->height);
	icd_need_limit(d, ICD_LIMIT_FRAMEBUFFER_LAYERS, info->layers);
	if (imageless)
		ICD_NEED_FEATURE(d, VULKAN_1_2_FEATURES, Vulkan12Features, imagelessFramebuffer);
	wire_encode_vkCreateFramebuffer(icd_record_begin(d), info, f->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, f->object.id, 0);
	if (result != VK_SUCCESS) {
		free(f);
		return result;
	}
	for (; f->view_count < view_count; f->view_count++) {
		f->views[f->view_count] = ICD_FROM(icd_image_view, info->pAttachments[f->view_count]);
		icd_image_view_ref(f->views[f->view_count]);
	}
	*ret_framebuffer = ICD_HANDLE(VkFramebuffer, f);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyFramebuffer(
	VkDevice device, VkFramebuffer framebuffer, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_framebuffer *f = ICD_FROM(icd_framebuffer, framebuffer);
	if (!f)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, f->object.id);
	for (uint32_t i = 0; i < f->view_count; i++)
		icd_image_view_unref(f->views[i]);
	free(f);
}

VKAPI_ATTR void VKAPI_CALL icd_GetRenderAreaGranularity(VkDevice device, VkRenderPass pass, VkExtent2D *ret)
{
	(void)device, (void)pass;
	*ret = (VkExtent2D){ 1, 1 };
}

/* Does the pass cover all of the image? */
static bool covers(const VkRenderPassBeginInfo *info, const struct icd_framebuffer *f, const struct icd_image_view *v)
{
	const struct gpu_image *l = &v->image->layout;
	return info->renderArea.offset.x == 0 && info->renderArea.offset.y == 0 &&
		info->renderArea.extent.width == l->extent.width && info->renderArea.extent.height == l->extent.height &&
		v->layer == 0 && f->layers >= l->layers;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBeginRenderPass(
	VkCommandBuffer handle, const VkRenderPassBeginInfo *info, VkSubpassContents contents)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	const struct icd_render_pass *p = ICD_FROM(icd_render_pass, info->renderPass);
	const struct icd_framebuffer *f = ICD_FROM(icd_framebuffer, info->framebuffer);
	const VkRenderPassAttachmentBeginInfo *named =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_RENDER_PASS_ATTACHMENT_BEGIN_INFO);
	const uint32_t named_count = named ? named->attachmentCount : 0;
	/* All count as written: what is not stored is undefined behind the pass. */
	for (uint32_t i = 0; i < p->attachment_count; i++) {
		const struct icd_image_view *v = i < f->view_count ? f->views[i]
			: i < named_count                          ? ICD_FROM(icd_image_view, named->pAttachments[i])
								   : NULL;
		if (!v)
			continue;
		if (p->loads[i] || !covers(info, f, v))
			icd_analyse_image_read(cb, v->image);
		icd_analyse_image_write(cb, v->image, v->mip, v->mips, v->layer, v->layers);
	}
	cb->in_pass = true;
	cb->pass = p;
	cb->subpass = 0;
	cb->view_mask = p->subpasses[0].view_mask;
	cb->pass_start = cb->commands.size;
	wire_encode_vkCmdBeginRenderPass(&cb->writer, info, contents);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdNextSubpass(VkCommandBuffer handle, VkSubpassContents contents)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	if (++cb->subpass < cb->pass->subpass_count)
		cb->view_mask = cb->pass->subpasses[cb->subpass].view_mask;
	wire_encode_vkCmdNextSubpass(&cb->writer, contents);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdEndRenderPass(VkCommandBuffer handle)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	cb->in_pass = false;
	cb->view_mask = 0;
	wire_encode_vkCmdEndRenderPass(&cb->writer);
}

/* The newer forms of these calls say nothing more. */

VKAPI_ATTR void VKAPI_CALL icd_CmdBeginRenderPass2(
	VkCommandBuffer handle, const VkRenderPassBeginInfo *info, const VkSubpassBeginInfo *subpass)
{
	icd_CmdBeginRenderPass(handle, info, subpass->contents);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdNextSubpass2(
	VkCommandBuffer handle, const VkSubpassBeginInfo *begin, const VkSubpassEndInfo *end)
{
	(void)end;
	icd_CmdNextSubpass(handle, begin->contents);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdEndRenderPass2(VkCommandBuffer handle, const VkSubpassEndInfo *end)
{
	(void)end;
	icd_CmdEndRenderPass(handle);
}
