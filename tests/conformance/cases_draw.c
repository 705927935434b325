/* Render passes and draws, each entry point once. Every draw adds one to each colour of a small picture, whose sum is told. */
#include "conformance.h"

#include <string.h>

#include "conformance.frag.h"
#include "conformance.vert.h"

#define SIDE 8u

static VkImage images[4]; /* colour, depth, with four samples, and another colour */
static VkDeviceMemory memories[4];
static VkImageView views[4];
static const VkFormat formats[4] = { VK_FORMAT_R8G8B8A8_UNORM, VK_FORMAT_D16_UNORM, VK_FORMAT_R8G8B8A8_UNORM,
	VK_FORMAT_R8G8B8A8_UNORM };

static uint32_t device_type(uint32_t bits)
{
	for (uint32_t i = 0; i < w.memory.memoryTypeCount; i++)
		if (bits & 1u << i)
			return i;
	return 0;
}

static VkImageAspectFlags aspect(unsigned i)
{
	return i == 1 ? VK_IMAGE_ASPECT_DEPTH_BIT : VK_IMAGE_ASPECT_COLOR_BIT;
}

static void make_target(unsigned i)
{
	const VkImageUsageFlags use =
		i == 1 ? VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT : VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
	const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = formats[i],
		.extent = { SIDE, SIDE, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = i == 2 ? VK_SAMPLE_COUNT_4_BIT : VK_SAMPLE_COUNT_1_BIT,
		.usage = use | VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT };
	VkMemoryRequirements needs;
	OK(VK(CreateImage)(w.device, &info, NULL, &images[i]));
	VK(GetImageMemoryRequirements)(w.device, images[i], &needs);
	const VkMemoryAllocateInfo allocate = { VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, NULL, needs.size,
		device_type(needs.memoryTypeBits) };
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, &memories[i]));
	OK(VK(BindImageMemory)(w.device, images[i], memories[i], 0));
	const VkImageViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = images[i],
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = formats[i],
		.subresourceRange = { aspect(i), 0, 1, 0, 1 } };
	OK(VK(CreateImageView)(w.device, &view, NULL, &views[i]));
}

static VkAttachmentDescription2 attachment(unsigned i)
{
	return (VkAttachmentDescription2){ VK_STRUCTURE_TYPE_ATTACHMENT_DESCRIPTION_2, NULL, 0, formats[i],
		VK_SAMPLE_COUNT_1_BIT, VK_ATTACHMENT_LOAD_OP_LOAD, VK_ATTACHMENT_STORE_OP_STORE,
		VK_ATTACHMENT_LOAD_OP_DONT_CARE, VK_ATTACHMENT_STORE_OP_DONT_CARE, VK_IMAGE_LAYOUT_GENERAL,
		VK_IMAGE_LAYOUT_GENERAL };
}

/* Two subpasses, both into the same two attachments; one pass by each call. */
static void make_passes(VkRenderPass ret[2])
{
	const VkAttachmentReference2 colour = { VK_STRUCTURE_TYPE_ATTACHMENT_REFERENCE_2, NULL, 0, VK_IMAGE_LAYOUT_GENERAL,
		VK_IMAGE_ASPECT_COLOR_BIT },
				     depth = { VK_STRUCTURE_TYPE_ATTACHMENT_REFERENCE_2, NULL, 1, VK_IMAGE_LAYOUT_GENERAL,
					     VK_IMAGE_ASPECT_DEPTH_BIT };
	const VkSubpassDescription2 subpass = { .sType = VK_STRUCTURE_TYPE_SUBPASS_DESCRIPTION_2,
		.colorAttachmentCount = 1,
		.pColorAttachments = &colour,
		.pDepthStencilAttachment = &depth },
				    subpasses[] = { subpass, subpass };
	const VkAttachmentDescription2 attachments[] = { attachment(0), attachment(1) };
	const VkAccessFlags access = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
	const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_ALL_GRAPHICS_BIT;
	const VkSubpassDependency2 dependency = { VK_STRUCTURE_TYPE_SUBPASS_DEPENDENCY_2, NULL, 0, 1, stages, stages, access,
		access, 0, 0 };
	const VkRenderPassCreateInfo2 info2 = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO_2,
		.attachmentCount = 2,
		.pAttachments = attachments,
		.subpassCount = 2,
		.pSubpasses = subpasses,
		.dependencyCount = 1,
		.pDependencies = &dependency };
	OK(VK(CreateRenderPass2)(w.device, &info2, NULL, &ret[0]));
	if (HAS(CreateRenderPass2KHR)) {
		VK(DestroyRenderPass)(w.device, ret[0], NULL);
		OK(VK(CreateRenderPass2KHR)(w.device, &info2, NULL, &ret[0]));
	}
	const VkAttachmentReference old_colour = { 0, VK_IMAGE_LAYOUT_GENERAL }, old_depth = { 1, VK_IMAGE_LAYOUT_GENERAL };
	const VkSubpassDescription old = { .colorAttachmentCount = 1,
		.pColorAttachments = &old_colour,
		.pDepthStencilAttachment = &old_depth },
				   olds[] = { old, old };
	VkAttachmentDescription old_attachments[2];
	for (unsigned i = 0; i < 2; i++)
		old_attachments[i] = (VkAttachmentDescription){ 0, formats[i], VK_SAMPLE_COUNT_1_BIT,
			VK_ATTACHMENT_LOAD_OP_LOAD, VK_ATTACHMENT_STORE_OP_STORE, VK_ATTACHMENT_LOAD_OP_DONT_CARE,
			VK_ATTACHMENT_STORE_OP_DONT_CARE, VK_IMAGE_LAYOUT_GENERAL, VK_IMAGE_LAYOUT_GENERAL };
	const VkSubpassDependency old_dependency = { 0, 1, stages, stages, access, access, 0 };
	const VkRenderPassCreateInfo info = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.attachmentCount = 2,
		.pAttachments = old_attachments,
		.subpassCount = 2,
		.pSubpasses = olds,
		.dependencyCount = 1,
		.pDependencies = &old_dependency };
	OK(VK(CreateRenderPass)(w.device, &info, NULL, &ret[1]));
}

static VkShaderModule module(const uint32_t *code, size_t size)
{
	const VkShaderModuleCreateInfo info = { VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, NULL, 0, size, code };
	VkShaderModule ret;
	OK(VK(CreateShaderModule)(w.device, &info, NULL, &ret));
	return ret;
}

static VkPipeline make_pipeline(VkRenderPass pass, uint32_t subpass, VkPipelineLayout layout)
{
	VkPipelineShaderStageCreateInfo stages[2] = {
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_VERTEX_BIT,
			.pName = "main" },
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_FRAGMENT_BIT,
			.pName = "main" },
	};
	stages[0].module = module(conformance_vert, sizeof(conformance_vert));
	stages[1].module = module(conformance_frag, sizeof(conformance_frag));
	const VkPipelineVertexInputStateCreateInfo input = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO
	};
	const VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST
	};
	const VkPipelineViewportStateCreateInfo viewport = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO, .viewportCount = 1, .scissorCount = 1
	};
	const VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO
	};
	const VkPipelineMultisampleStateCreateInfo samples = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT
	};
	const VkPipelineDepthStencilStateCreateInfo depth = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
		.depthTestEnable = VK_TRUE,
		.depthCompareOp = VK_COMPARE_OP_LESS
	};
	const VkPipelineColorBlendAttachmentState add = { VK_TRUE, VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_ONE, VK_BLEND_OP_ADD,
		VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_ONE, VK_BLEND_OP_ADD, 15 };
	const VkPipelineColorBlendStateCreateInfo blend = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO, .attachmentCount = 1, .pAttachments = &add
	};
	static const VkDynamicState states[] = { VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR,
		VK_DYNAMIC_STATE_LINE_WIDTH, VK_DYNAMIC_STATE_DEPTH_BIAS, VK_DYNAMIC_STATE_BLEND_CONSTANTS,
		VK_DYNAMIC_STATE_DEPTH_BOUNDS, VK_DYNAMIC_STATE_STENCIL_COMPARE_MASK, VK_DYNAMIC_STATE_STENCIL_WRITE_MASK,
		VK_DYNAMIC_STATE_STENCIL_REFERENCE };
	const VkPipelineDynamicStateCreateInfo dynamic = { VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO, NULL, 0,
		sizeof(states) / sizeof(states[0]), states };
	const VkPipelineRenderingCreateInfo rendering = { .sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO,
		.colorAttachmentCount = 1,
		.pColorAttachmentFormats = &formats[0],
		.depthAttachmentFormat = formats[1] };
	const VkGraphicsPipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.pNext = pass ? NULL : &rendering,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &input,
		.pInputAssemblyState = &assembly,
		.pViewportState = &viewport,
		.pRasterizationState = &raster,
		.pMultisampleState = &samples,
		.pDepthStencilState = &depth,
		.pColorBlendState = &blend,
		.pDynamicState = &dynamic,
		.layout = layout,
		.renderPass = pass,
		.subpass = subpass };
	VkPipeline ret;
	OK(VK(CreateGraphicsPipelines)(w.device, VK_NULL_HANDLE, 1, &info, NULL, &ret));
	for (unsigned i = 0; i < 2; i++)
		VK(DestroyShaderModule)(w.device, stages[i].module, NULL);
	return ret;
}

static void set_states(VkCommandBuffer c)
{
	const VkViewport viewport = { 0, 0, SIDE, SIDE, 0, 1 };
	const VkRect2D scissor = { { 0, 0 }, { SIDE, SIDE } };
	const float constants[] = { 1, 1, 1, 1 };
	VK(CmdSetViewport)(c, 0, 1, &viewport);
	VK(CmdSetScissor)(c, 0, 1, &scissor);
	VK(CmdSetLineWidth)(c, 1);
	VK(CmdSetDepthBias)(c, 0, 0, 0);
	VK(CmdSetBlendConstants)(c, constants);
	VK(CmdSetDepthBounds)(c, 0, 1);
	VK(CmdSetStencilCompareMask)(c, VK_STENCIL_FACE_FRONT_AND_BACK, 1);
	VK(CmdSetStencilWriteMask)(c, VK_STENCIL_FACE_FRONT_AND_BACK, 1);
	VK(CmdSetStencilReference)(c, VK_STENCIL_FACE_FRONT_AND_BACK, 1);
}

/* commands: a VkDrawIndexedIndirectCommand, a VkDrawIndirectCommand, a count, three indices of 16 bits, three of 8 */
static void record_draws(VkCommandBuffer c, const struct buffer *commands)
{
	const VkDeviceSize zero = 0;
	VK(CmdBindVertexBuffers)(c, 0, 1, &commands->buffer, &zero);
	VK(CmdBindIndexBuffer)(c, commands->buffer, 40, VK_INDEX_TYPE_UINT16);
	VK(CmdDraw)(c, 3, 2, 0, 0);
	VK(CmdDrawIndexed)(c, 3, 1, 0, 0, 0);
	VK(CmdDrawIndirect)(c, commands->buffer, 20, 1, 0);
	VK(CmdDrawIndexedIndirect)(c, commands->buffer, 0, 1, 0);
	if (!w.bytes_index)
		return;
	VK(CmdBindIndexBuffer)(c, commands->buffer, 48, VK_INDEX_TYPE_UINT8_EXT);
	VK(CmdDrawIndexed)(c, 3, 1, 0, 0, 0);
}

/* The names that these had in their extensions. */
static void record_again(
	VkCommandBuffer c, const VkRenderPassBeginInfo *info, VkPipeline pipeline, const struct buffer *commands)
{
	const VkSubpassBeginInfo inner = { VK_STRUCTURE_TYPE_SUBPASS_BEGIN_INFO, NULL, VK_SUBPASS_CONTENTS_INLINE };
	const VkSubpassEndInfo end = { VK_STRUCTURE_TYPE_SUBPASS_END_INFO, NULL };
	if (!HAS(CmdBeginRenderPass2KHR))
		return;
	VK(CmdBeginRenderPass2KHR)(c, info, &inner);
	VK(CmdNextSubpass2KHR)(c, &inner, &end);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	set_states(c);
	if (HAS(CmdDrawIndirectCountKHR)) {
		VK(CmdDrawIndirectCountKHR)(c, commands->buffer, 20, commands->buffer, 36, 1, 16);
		VK(CmdBindIndexBuffer)(c, commands->buffer, 40, VK_INDEX_TYPE_UINT16);
		VK(CmdDrawIndexedIndirectCountKHR)(c, commands->buffer, 0, commands->buffer, 36, 1, 20);
	}
	VK(CmdEndRenderPass2KHR)(c, &end);
	full_barrier(c);
}

static void record_passes(VkCommandBuffer c, const VkRenderPass passes[2], VkFramebuffer frame,
	const VkPipeline pipelines[2], const struct buffer *commands, VkQueryPool queries)
{
	const VkRenderPassBeginInfo info = { VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, NULL, passes[0], frame,
		{ { 0, 0 }, { SIDE, SIDE } }, 0, NULL };
	const VkSubpassBeginInfo inner = { VK_STRUCTURE_TYPE_SUBPASS_BEGIN_INFO, NULL, VK_SUBPASS_CONTENTS_INLINE };
	const VkSubpassEndInfo end = { VK_STRUCTURE_TYPE_SUBPASS_END_INFO, NULL };
	VK(CmdResetQueryPool)(c, queries, 0, 1);
	VK(CmdBeginRenderPass)(c, &info, VK_SUBPASS_CONTENTS_INLINE);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipelines[0]);
	set_states(c);
	VK(CmdBeginQuery)(c, queries, 0, 0);
	record_draws(c, commands);
	VK(CmdEndQuery)(c, queries, 0);
	VK(CmdNextSubpass)(c, VK_SUBPASS_CONTENTS_INLINE);
	const VkClearAttachment clear = { VK_IMAGE_ASPECT_COLOR_BIT, 0, { .color = { .float32 = { 0, 0, 0, 0 } } } };
	const VkClearRect rect = { { { 0, 0 }, { 2, 2 } }, 0, 1 };
	VK(CmdClearAttachments)(c, 1, &clear, 1, &rect);
	VK(CmdEndRenderPass)(c);
	full_barrier(c);
	VK(CmdBeginRenderPass2)(c, &info, &inner);
	VK(CmdNextSubpass2)(c, &inner, &end);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipelines[1]);
	set_states(c);
	VK(CmdBeginQuery)(c, queries, 1, 0); /* another recording has reset it */
	VK(CmdDraw)(c, 3, 1, 0, 0);
	VK(CmdEndQuery)(c, queries, 1);
	if (!w.valid_only || HAS(CmdDrawIndirectCountKHR)) { /* else of a feature that was not enabled */
		VK(CmdDrawIndirectCount)(c, commands->buffer, 20, commands->buffer, 36, 1, 16);
		VK(CmdBindIndexBuffer)(c, commands->buffer, 40, VK_INDEX_TYPE_UINT16);
		VK(CmdDrawIndexedIndirectCount)(c, commands->buffer, 0, commands->buffer, 36, 1, 20);
	} else {
		VK(CmdDraw)(c, 3, 2, 0, 0);
	}
	VK(CmdEndRenderPass2)(c, &end);
	full_barrier(c);
	record_again(c, &info, pipelines[1], commands);
}

/* A pass without objects, in two parts, the second in a secondary command buffer. */
static VkCommandBuffer record_rendering(VkCommandBuffer c, VkPipeline pipeline, VkQueryPool queries)
{
	const VkRenderingAttachmentInfo colour = { .sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO,
		.imageView = views[0],
		.imageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.loadOp = VK_ATTACHMENT_LOAD_OP_LOAD,
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE };
	VkRenderingAttachmentInfo depth = colour;
	depth.imageView = views[1];
	VkRenderingInfo info = { .sType = VK_STRUCTURE_TYPE_RENDERING_INFO,
		.flags = VK_RENDERING_SUSPENDING_BIT,
		.renderArea = { { 0, 0 }, { SIDE, SIDE } },
		.layerCount = 1,
		.colorAttachmentCount = 1,
		.pColorAttachments = &colour,
		.pDepthAttachment = &depth };
	VK(CmdBeginRenderingKHR)(c, &info);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	set_states(c);
	VK(CmdDraw)(c, 3, 1, 0, 0);
	VK(CmdEndRenderingKHR)(c);
	info.flags = VK_RENDERING_RESUMING_BIT;
	VK(CmdBeginRenderingKHR)(c, &info);
	VK(CmdDraw)(c, 3, 2, 0, 0);
	VK(CmdEndRenderingKHR)(c);
	full_barrier(c);

	const VkCommandBufferAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = w.pool,
		.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
		.commandBufferCount = 1 };
	const VkCommandBufferInheritanceRenderingInfo rendering = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_RENDERING_INFO,
		.colorAttachmentCount = 1,
		.pColorAttachmentFormats = &formats[0],
		.depthAttachmentFormat = formats[1],
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT
	};
	const VkCommandBufferInheritanceInfo inheritance = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO,
		.pNext = &rendering };
	const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT,
		.pInheritanceInfo = &inheritance };
	VkCommandBuffer secondary;
	OK(VK(AllocateCommandBuffers)(w.device, &allocate, &secondary));
	OK(VK(BeginCommandBuffer)(secondary, &begin_info));
	VK(CmdBindPipeline)(secondary, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	set_states(secondary);
	VK(CmdBeginQuery)(secondary, queries, 2, 0);
	VK(CmdDraw)(secondary, 3, 3, 0, 0);
	VK(CmdEndQuery)(secondary, queries, 2);
	OK(VK(EndCommandBuffer)(secondary));
	info.flags = VK_RENDERING_CONTENTS_SECONDARY_COMMAND_BUFFERS_BIT;
	VK(CmdBeginRenderingKHR)(c, &info);
	VK(CmdExecuteCommands)(c, 1, &secondary);
	VK(CmdEndRenderingKHR)(c);
	full_barrier(c);
	return secondary;
}

static void record_copies(VkCommandBuffer c, const struct buffer *back)
{
	const VkImageLayout layout = VK_IMAGE_LAYOUT_GENERAL;
	const VkImageSubresourceLayers part = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 };
	const VkOffset3D all[2] = { { 0, 0, 0 }, { SIDE, SIDE, 1 } }, half[2] = { { 0, 0, 0 }, { SIDE / 2, SIDE, 1 } };
	const VkImageBlit blit = { part, { all[0], all[1] }, part, { half[0], half[1] } };
	const VkImageBlit2 blit2 = { VK_STRUCTURE_TYPE_IMAGE_BLIT_2, NULL, part, { all[0], all[1] }, part,
		{ half[0], half[1] } };
	const VkBlitImageInfo2 blits2 = { VK_STRUCTURE_TYPE_BLIT_IMAGE_INFO_2, NULL, images[3], layout, images[0], layout, 1,
		&blit2, VK_FILTER_NEAREST };
	const VkImageResolve resolve = { part, { 0, 0, 0 }, part, { 0, 0, 0 }, { SIDE, SIDE / 2, 1 } };
	const VkImageResolve2 resolve2 = { VK_STRUCTURE_TYPE_IMAGE_RESOLVE_2, NULL, part, { 0, 0, 0 }, part,
		{ 0, SIDE / 2, 0 }, { SIDE, SIDE / 2, 1 } };
	const VkResolveImageInfo2 resolves2 = { VK_STRUCTURE_TYPE_RESOLVE_IMAGE_INFO_2, NULL, images[2], layout, images[3],
		layout, 1, &resolve2 };
	const VkBufferImageCopy out[] = { { .imageSubresource = part, .imageExtent = { SIDE, SIDE, 1 } },
		{ .bufferOffset = SIDE * SIDE * 4, .imageSubresource = part, .imageExtent = { SIDE, SIDE, 1 } } };
	VK(CmdCopyImageToBuffer)(c, images[0], layout, back->buffer, 1, &out[0]);
	VK(CmdResolveImage)(c, images[2], layout, images[3], layout, 1, &resolve);
	if (HAS(CmdResolveImage2KHR))
		VK(CmdResolveImage2KHR)(c, &resolves2);
	full_barrier(c);
	VK(CmdBlitImage)(c, images[3], layout, images[0], layout, 1, &blit, VK_FILTER_NEAREST);
	full_barrier(c);
	if (HAS(CmdBlitImage2KHR))
		VK(CmdBlitImage2KHR)(c, &blits2);
	full_barrier(c);
	VK(CmdCopyImageToBuffer)(c, images[0], layout, back->buffer, 1, &out[1]);
	full_barrier(c);
}

static void prepare(VkCommandBuffer c)
{
	for (unsigned i = 0; i < 4; i++) {
		const VkImageSubresourceRange whole = { aspect(i), 0, 1, 0, 1 };
		const VkImageMemoryBarrier first = { VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER, NULL, 0,
			VK_ACCESS_TRANSFER_WRITE_BIT, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_GENERAL,
			VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, images[i], whole };
		const VkClearColorValue colour = { .float32 = { i == 2, 0, 0, 0 } };
		const VkClearDepthStencilValue far = { 1, 0 };
		VK(CmdPipelineBarrier)
		(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &first);
		if (i == 1)
			VK(CmdClearDepthStencilImage)(c, images[i], VK_IMAGE_LAYOUT_GENERAL, &far, 1, &whole);
		else
			VK(CmdClearColorImage)(c, images[i], VK_IMAGE_LAYOUT_GENERAL, &colour, 1, &whole);
	}
	full_barrier(c);
}

void case_draws(void)
{
	static const uint32_t words[] = { 3, 1, 0, 0, 0, 3, 1, 0, 0, 1, 0x10000, 2, 0x20100 };
	const VkPipelineLayoutCreateInfo layout_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO };
	const VkQueryPoolCreateInfo query_info = { VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, NULL, 0,
		VK_QUERY_TYPE_OCCLUSION, 3, 0 };
	struct buffer commands = make_buffer(64, true,
		VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_INDEX_BUFFER_BIT | VK_BUFFER_USAGE_VERTEX_BUFFER_BIT);
	struct buffer back = make_buffer(2 * SIDE * SIDE * 4, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkRenderPass passes[2];
	VkFramebuffer frame;
	VkPipelineLayout layout;
	VkPipeline pipelines[2], without_pass = VK_NULL_HANDLE;
	VkCommandBuffer secondary = VK_NULL_HANDLE;
	VkQueryPool queries;
	VkExtent2D granularity;
	uint64_t seen[3] = { 0 };
	memcpy(commands.map, words, sizeof(words));
	for (unsigned i = 0; i < 4; i++)
		make_target(i);
	make_passes(passes);
	VK(GetRenderAreaGranularity)(w.device, passes[0], &granularity);
	const VkFramebufferCreateInfo frame_info = { VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO, NULL, 0, passes[1], 2, views,
		SIDE, SIDE, 1 };
	OK(VK(CreateFramebuffer)(w.device, &frame_info, NULL, &frame));
	OK(VK(CreatePipelineLayout)(w.device, &layout_info, NULL, &layout));
	for (uint32_t i = 0; i < 2; i++)
		pipelines[i] = make_pipeline(passes[i], i, layout);
	OK(VK(CreateQueryPool)(w.device, &query_info, NULL, &queries));
	VkCommandBuffer c = begin();
	VK(CmdResetQueryPool)(c, queries, 1, 2);
	run(c);
	c = begin();
	prepare(c);
	record_passes(c, passes, frame, pipelines, &commands, queries);
	if (w.rendering) {
		without_pass = make_pipeline(VK_NULL_HANDLE, 0, layout);
		secondary = record_rendering(c, without_pass, queries);
	}
	record_copies(c, &back);
	run(c);
	OK(VK(GetQueryPoolResults)(w.device, queries, 0, w.rendering ? 3 : 2, sizeof(seen), seen, sizeof(seen[0]),
		VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
	say("draws: %08x, copied %08x, fragments seen: %d %d %d", sum(back.map, SIDE * SIDE),
		sum(back.map + SIDE * SIDE, SIDE * SIDE), seen[0] > 0, seen[1] > 0, seen[2] > 0);
	VK(DestroyQueryPool)(w.device, queries, NULL);
	VK(DestroyPipeline)(w.device, without_pass, NULL);
	if (secondary)
		VK(FreeCommandBuffers)(w.device, w.pool, 1, &secondary);
	for (uint32_t i = 0; i < 2; i++) {
		VK(DestroyPipeline)(w.device, pipelines[i], NULL);
		VK(DestroyRenderPass)(w.device, passes[i], NULL);
	}
	VK(DestroyPipelineLayout)(w.device, layout, NULL);
	VK(DestroyFramebuffer)(w.device, frame, NULL);
	for (unsigned i = 0; i < 4; i++) {
		VK(DestroyImageView)(w.device, views[i], NULL);
		VK(DestroyImage)(w.device, images[i], NULL);
		VK(FreeMemory)(w.device, memories[i], NULL);
	}
	drop_buffer(&commands);
	drop_buffer(&back);
}
