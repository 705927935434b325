/* Draws whose state is set while recording, passes of several views, framebuffers without images, formats that came later, pipeline
 * statistics. What is drawn adds to each colour of a small picture of two layers, whose sums are told. */
#include "conformance.h"

#include <string.h>

#include "states.frag.h"
#include "states.vert.h"
#include "views.frag.h"

#define SIDE 8u
#define LAYERS 2u
#define BOTH 3u /* the mask of both views */
#define VERTEX_BYTES 8u

static const VkFormat colour_format = VK_FORMAT_R8G8B8A8_UNORM, depth_format = VK_FORMAT_D16_UNORM;
static VkImage images[2]; /* colour, depth */
static VkDeviceMemory memories[2];
static VkImageView views[2];
static struct buffer vertices, back;
static VkPipelineLayout layout;

/* What else the next pipeline is made with. */
static struct {
	const void *raster, *viewport, *input, *blend; /* their chains */
	float depth;                                   /* of all vertices; 0: as usual */
	bool points;                                   /* one an instance */
} extra;

static const VkImageUsageFlags usages[] = { VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
		VK_IMAGE_USAGE_TRANSFER_DST_BIT,
	VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT };

static VkImageSubresourceRange whole(unsigned i)
{
	return (VkImageSubresourceRange){ i ? VK_IMAGE_ASPECT_DEPTH_BIT : VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, LAYERS };
}

static VkImage make_image(VkFormat format, VkImageUsageFlags usage, VkDeviceMemory *ret_memory)
{
	const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = format,
		.extent = { SIDE, SIDE, 1 },
		.mipLevels = 1,
		.arrayLayers = LAYERS,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = usage };
	VkMemoryRequirements needs;
	VkImage image;
	OK(VK(CreateImage)(w.device, &info, NULL, &image));
	VK(GetImageMemoryRequirements)(w.device, image, &needs);
	const VkMemoryAllocateInfo allocate = { VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, NULL, needs.size,
		memory_type(needs.memoryTypeBits, 0) };
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, ret_memory));
	OK(VK(BindImageMemory)(w.device, image, *ret_memory, 0));
	return image;
}

static void to_general(VkCommandBuffer c, VkImage image, VkImageSubresourceRange range)
{
	const VkImageMemoryBarrier first = { VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER, NULL, 0, VK_ACCESS_TRANSFER_WRITE_BIT,
		VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_GENERAL, VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, image,
		range };
	VK(CmdPipelineBarrier)
	(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &first);
}

/* Black, and far away. */
static void clear(VkCommandBuffer c)
{
	const VkImageSubresourceRange ranges[] = { whole(0), whole(1) };
	const VkClearColorValue black = { .float32 = { 0 } };
	const VkClearDepthStencilValue far = { 1, 0 };
	for (unsigned i = 0; i < 2; i++)
		to_general(c, images[i], ranges[i]);
	VK(CmdClearColorImage)(c, images[0], VK_IMAGE_LAYOUT_GENERAL, &black, 1, &ranges[0]);
	VK(CmdClearDepthStencilImage)(c, images[1], VK_IMAGE_LAYOUT_GENERAL, &far, 1, &ranges[1]);
	full_barrier(c);
}

static void read_picture(VkCommandBuffer c, const char *what)
{
	const VkBufferImageCopy out = { .imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, LAYERS },
		.imageExtent = { SIDE, SIDE, 1 } };
	full_barrier(c);
	VK(CmdCopyImageToBuffer)(c, images[0], VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &out);
	full_barrier(c);
	run(c);
	say("%s: %08x %08x, corners %08x %08x", what, sum(back.map, SIDE * SIDE), sum(back.map + SIDE * SIDE, SIDE * SIDE),
		back.map[0], back.map[SIDE * SIDE - 1]);
}

static VkRenderPass make_pass(uint32_t view_mask)
{
	const VkAttachmentReference colour = { 0, VK_IMAGE_LAYOUT_GENERAL }, depth = { 1, VK_IMAGE_LAYOUT_GENERAL };
	const VkSubpassDescription subpass = {
		.colorAttachmentCount = 1, .pColorAttachments = &colour, .pDepthStencilAttachment = &depth
	};
	VkAttachmentDescription attachments[2];
	for (unsigned i = 0; i < 2; i++)
		attachments[i] = (VkAttachmentDescription){ 0, i ? depth_format : colour_format, VK_SAMPLE_COUNT_1_BIT,
			VK_ATTACHMENT_LOAD_OP_LOAD, VK_ATTACHMENT_STORE_OP_STORE, VK_ATTACHMENT_LOAD_OP_DONT_CARE,
			VK_ATTACHMENT_STORE_OP_DONT_CARE, VK_IMAGE_LAYOUT_GENERAL, VK_IMAGE_LAYOUT_GENERAL };
	const VkRenderPassMultiviewCreateInfo multiview = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_MULTIVIEW_CREATE_INFO,
		.subpassCount = 1,
		.pViewMasks = &view_mask,
		.correlationMaskCount = 1,
		.pCorrelationMasks = &view_mask };
	const VkRenderPassCreateInfo info = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.pNext = view_mask ? &multiview : NULL,
		.attachmentCount = 2,
		.pAttachments = attachments,
		.subpassCount = 1,
		.pSubpasses = &subpass };
	VkRenderPass ret;
	OK(VK(CreateRenderPass)(w.device, &info, NULL, &ret));
	return ret;
}

/* Without images where they are named at the beginning of the pass. */
static VkFramebuffer make_frame(VkRenderPass pass, bool imageless)
{
	VkFramebufferAttachmentImageInfo infos[2];
	for (unsigned i = 0; i < 2; i++)
		infos[i] = (VkFramebufferAttachmentImageInfo){ VK_STRUCTURE_TYPE_FRAMEBUFFER_ATTACHMENT_IMAGE_INFO, NULL, 0,
			usages[i], SIDE, SIDE, LAYERS, 1, i ? &depth_format : &colour_format };
	const VkFramebufferAttachmentsCreateInfo attachments = { VK_STRUCTURE_TYPE_FRAMEBUFFER_ATTACHMENTS_CREATE_INFO, NULL,
		2, infos };
	const VkFramebufferCreateInfo info = { VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO, imageless ? &attachments : NULL,
		imageless ? VK_FRAMEBUFFER_CREATE_IMAGELESS_BIT : 0, pass, 2,
		imageless ? (const VkImageView *)(uintptr_t)1 : views, SIDE, SIDE, 1 };
	VkFramebuffer ret;
	OK(VK(CreateFramebuffer)(w.device, &info, NULL, &ret));
	return ret;
}

static VkShaderModule module(const uint32_t *code, size_t size)
{
	const VkShaderModuleCreateInfo info = { VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, NULL, 0, size, code };
	VkShaderModule ret;
	OK(VK(CreateShaderModule)(w.device, &info, NULL, &ret));
	return ret;
}

/* pass: or NULL, for passes without objects. states: what is set while recording; with none of them the usual. */
static VkPipeline make_pipeline(
	VkRenderPass pass, bool many_views, const VkDynamicState *states, uint32_t state_count, bool counts_dynamic)
{
	VkPipelineShaderStageCreateInfo stages[2] = {
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_VERTEX_BIT,
			.pName = "main" },
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_FRAGMENT_BIT,
			.pName = "main" },
	};
	stages[0].module = module(states_vert, sizeof(states_vert));
	stages[1].module = many_views ? module(views_frag, sizeof(views_frag)) : module(states_frag, sizeof(states_frag));
	const VkSpecializationMapEntry entry = { 0, 0, sizeof(extra.depth) };
	const VkSpecializationInfo depth_info = { 1, &entry, sizeof(extra.depth), &extra.depth };
	if (extra.depth != 0)
		stages[0].pSpecializationInfo = &depth_info;
	const VkVertexInputBindingDescription binding = { 0, VERTEX_BYTES,
		extra.points ? VK_VERTEX_INPUT_RATE_INSTANCE : VK_VERTEX_INPUT_RATE_VERTEX };
	const VkVertexInputAttributeDescription attribute = { 0, 0, VK_FORMAT_R32G32_SFLOAT, 0 };
	const VkPipelineVertexInputStateCreateInfo input = { VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
		extra.input, 0, 1, &binding, 1, &attribute };
	const VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = extra.points ? VK_PRIMITIVE_TOPOLOGY_POINT_LIST : VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST
	};
	const VkViewport area = { 0, 0, SIDE, SIDE, 0, 1 };
	const VkRect2D scissor = { { 0, 0 }, { SIDE, SIDE } };
	const VkPipelineViewportStateCreateInfo viewport = { VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
		extra.viewport, 0, !counts_dynamic, &area, !counts_dynamic, &scissor };
	const VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO, .pNext = extra.raster, .lineWidth = 1
	};
	const VkPipelineMultisampleStateCreateInfo samples = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = VK_SAMPLE_COUNT_1_BIT
	};
	const VkPipelineDepthStencilStateCreateInfo depth = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO, .maxDepthBounds = 1
	};
	const VkPipelineColorBlendAttachmentState add = { VK_TRUE, VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_ONE, VK_BLEND_OP_ADD,
		VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_ONE, VK_BLEND_OP_ADD, 15 };
	const VkPipelineColorBlendStateCreateInfo blend = { .sType =
								    VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.pNext = extra.blend,
		.attachmentCount = 1,
		.pAttachments = &add };
	const VkPipelineDynamicStateCreateInfo dynamic = { VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO, NULL, 0,
		state_count, states };
	const VkPipelineRenderingCreateInfo rendering = { .sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO,
		.viewMask = many_views ? BOTH : 0,
		.colorAttachmentCount = 1,
		.pColorAttachmentFormats = &colour_format,
		.depthAttachmentFormat = depth_format };
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
		.renderPass = pass };
	VkPipeline ret;
	OK(VK(CreateGraphicsPipelines)(w.device, VK_NULL_HANDLE, 1, &info, NULL, &ret));
	for (unsigned i = 0; i < 2; i++)
		VK(DestroyShaderModule)(w.device, stages[i].module, NULL);
	return ret;
}

#define POINTS_AT 128u
/* A square of two triangles in a list, from byte 64 on the same as a strip whose vertices lie apart, and two points. */
static void fill_vertices(void)
{
	static const float list[] = { -1, -1, 1, -1, -1, 1, -1, 1, 1, -1, 1, 1 };
	static const float points[] = { -0.4f, -0.4f, 0.4f, 0.4f };
	static const float strip[] = { -1, -1, 0, 0, 1, -1, 0, 0, -1, 1, 0, 0, 1, 1, 0, 0 };
	memcpy(vertices.map, list, sizeof(list));
	memcpy((char *)vertices.map + 64, strip, sizeof(strip));
	memcpy((char *)vertices.map + POINTS_AT, points, sizeof(points));
}

static void set_all(VkCommandBuffer c)
{
	const VkViewport area = { 0, 0, SIDE, SIDE, 0, 1 };
	const VkRect2D scissor = { { 0, 0 }, { SIDE, SIDE } };
	const VkDeviceSize zero = 0, stride = VERTEX_BYTES;
	VK(CmdSetCullModeEXT)(c, VK_CULL_MODE_NONE);
	VK(CmdSetFrontFaceEXT)(c, VK_FRONT_FACE_COUNTER_CLOCKWISE);
	VK(CmdSetPrimitiveTopologyEXT)(c, VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST);
	VK(CmdSetViewportWithCountEXT)(c, 1, &area);
	VK(CmdSetScissorWithCountEXT)(c, 1, &scissor);
	VK(CmdBindVertexBuffers2EXT)(c, 0, 1, &vertices.buffer, &zero, NULL, &stride);
	VK(CmdSetDepthTestEnableEXT)(c, VK_TRUE);
	VK(CmdSetDepthWriteEnableEXT)(c, VK_FALSE);
	VK(CmdSetDepthCompareOpEXT)(c, VK_COMPARE_OP_LESS);
	VK(CmdSetDepthBoundsTestEnableEXT)(c, VK_FALSE);
	VK(CmdSetStencilTestEnableEXT)(c, VK_FALSE);
	VK(CmdSetStencilOpEXT)
	(c, VK_STENCIL_FACE_FRONT_AND_BACK, VK_STENCIL_OP_KEEP, VK_STENCIL_OP_KEEP, VK_STENCIL_OP_KEEP,
		VK_COMPARE_OP_ALWAYS);
	if (!HAS(CmdSetRasterizerDiscardEnableEXT))
		return;
	VK(CmdSetRasterizerDiscardEnableEXT)(c, VK_FALSE);
	VK(CmdSetDepthBiasEnableEXT)(c, VK_FALSE);
	VK(CmdSetPrimitiveRestartEnableEXT)(c, VK_FALSE);
	if (w.dynamic_logic)
		VK(CmdSetLogicOpEXT)(c, VK_LOGIC_OP_COPY);
	else
		mark(ENTRY_CmdSetLogicOpEXT); /* of a feature that is not there */
}

/* Each draw adds one, where its state lets it. */
static void draw_with_states(VkCommandBuffer c)
{
	const VkViewport left = { 0, 0, SIDE / 2, SIDE, 0, 1 };
	const VkRect2D top = { { 0, 0 }, { SIDE, SIDE / 2 } };
	const VkDeviceSize offset = 64, size = 64, stride = 16;
	set_all(c);
	VK(CmdDraw)(c, 6, 1, 0, 0);
	VK(CmdSetCullModeEXT)(c, VK_CULL_MODE_BACK_BIT);
	VK(CmdDraw)(c, 6, 2, 0, 0);
	VK(CmdSetFrontFaceEXT)(c, VK_FRONT_FACE_CLOCKWISE);
	VK(CmdDraw)(c, 6, 4, 0, 0);
	VK(CmdSetCullModeEXT)(c, VK_CULL_MODE_NONE);
	VK(CmdSetDepthCompareOpEXT)(c, VK_COMPARE_OP_GREATER);
	VK(CmdDraw)(c, 6, 8, 0, 0); /* nothing is that far */
	VK(CmdSetDepthTestEnableEXT)(c, VK_FALSE);
	VK(CmdDraw)(c, 3, 8, 0, 0);
	VK(CmdSetPrimitiveTopologyEXT)(c, VK_PRIMITIVE_TOPOLOGY_TRIANGLE_STRIP);
	VK(CmdBindVertexBuffers2EXT)(c, 0, 1, &vertices.buffer, &offset, &size, &stride);
	VK(CmdSetViewportWithCountEXT)(c, 1, &left);
	VK(CmdSetScissorWithCountEXT)(c, 1, &top);
	VK(CmdDraw)(c, 4, 16, 0, 0);
	set_all(c);
	VK(CmdSetDepthWriteEnableEXT)(c, VK_TRUE);
	VK(CmdDraw)(c, 3, 1, 0, 0);
	VK(CmdDraw)(c, 6, 32, 0, 0); /* only where the first triangle was not */
	if (!HAS(CmdSetRasterizerDiscardEnableEXT))
		return;
	VK(CmdSetDepthTestEnableEXT)(c, VK_FALSE);
	VK(CmdSetRasterizerDiscardEnableEXT)(c, VK_TRUE);
	VK(CmdDraw)(c, 6, 64, 0, 0);
}

static void case_dynamic_states(void)
{
	static const VkDynamicState states[] = { VK_DYNAMIC_STATE_CULL_MODE, VK_DYNAMIC_STATE_FRONT_FACE,
		VK_DYNAMIC_STATE_PRIMITIVE_TOPOLOGY, VK_DYNAMIC_STATE_VIEWPORT_WITH_COUNT,
		VK_DYNAMIC_STATE_SCISSOR_WITH_COUNT, VK_DYNAMIC_STATE_VERTEX_INPUT_BINDING_STRIDE,
		VK_DYNAMIC_STATE_DEPTH_TEST_ENABLE, VK_DYNAMIC_STATE_DEPTH_WRITE_ENABLE, VK_DYNAMIC_STATE_DEPTH_COMPARE_OP,
		VK_DYNAMIC_STATE_DEPTH_BOUNDS_TEST_ENABLE, VK_DYNAMIC_STATE_STENCIL_TEST_ENABLE, VK_DYNAMIC_STATE_STENCIL_OP,
		VK_DYNAMIC_STATE_RASTERIZER_DISCARD_ENABLE, VK_DYNAMIC_STATE_DEPTH_BIAS_ENABLE,
		VK_DYNAMIC_STATE_PRIMITIVE_RESTART_ENABLE, VK_DYNAMIC_STATE_LOGIC_OP_EXT };
	if (!HAS(CmdSetCullModeEXT)) {
		say("dynamic states: none");
		return;
	}
	VkRenderPass pass = make_pass(0);
	VkFramebuffer frame = make_frame(pass, false);
	VkPipeline pipeline = make_pipeline(pass, false, states,
		!HAS(CmdSetRasterizerDiscardEnableEXT) ? 12
			: w.dynamic_logic              ? 16
						       : 15,
		true);
	const VkRenderPassBeginInfo info = { VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, NULL, pass, frame,
		{ { 0, 0 }, { SIDE, SIDE } }, 0, NULL };
	VkCommandBuffer c = begin();
	clear(c);
	VK(CmdBeginRenderPass)(c, &info, VK_SUBPASS_CONTENTS_INLINE);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	draw_with_states(c);
	VK(CmdEndRenderPass)(c);
	read_picture(c, "dynamic states");
	VK(DestroyPipeline)(w.device, pipeline, NULL);
	VK(DestroyFramebuffer)(w.device, frame, NULL);
	VK(DestroyRenderPass)(w.device, pass, NULL);
}

/* One draw with the states in `extra`, which are as usual behind it. */
static void draw_extra(VkRenderPass pass, VkFramebuffer frame, const char *what, uint32_t vertices_drawn, uint32_t instances)
{
	static const VkDynamicState writes[] = { VK_DYNAMIC_STATE_COLOR_WRITE_ENABLE_EXT };
	const bool set_writes = extra.blend != NULL;
	const VkDeviceSize from = extra.points ? POINTS_AT : 0;
	const VkRenderPassBeginInfo info = { VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, NULL, pass, frame,
		{ { 0, 0 }, { SIDE, SIDE } }, 0, NULL };
	VkPipeline pipeline = make_pipeline(pass, false, writes, set_writes, false);
	VkCommandBuffer c = begin();
	clear(c);
	VK(CmdBeginRenderPass)(c, &info, VK_SUBPASS_CONTENTS_INLINE);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	VK(CmdBindVertexBuffers)(c, 0, 1, &vertices.buffer, &from);
	for (VkBool32 on = VK_FALSE; on <= VK_TRUE && set_writes; on++) {
		VK(CmdSetColorWriteEnableEXT)(c, 1, &on);
		VK(CmdDraw)(c, vertices_drawn, on ? 1 : 16, 0, 0);
	}
	if (!set_writes)
		VK(CmdDraw)(c, vertices_drawn, instances, 0, 0);
	VK(CmdEndRenderPass)(c);
	read_picture(c, what);
	VK(DestroyPipeline)(w.device, pipeline, NULL);
	memset(&extra, 0, sizeof(extra));
}

static void case_raster_states(void)
{
	const VkPipelineRasterizationDepthClipStateCreateInfoEXT no_clip = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_DEPTH_CLIP_STATE_CREATE_INFO_EXT,
		.depthClipEnable = VK_FALSE
	};
	const VkPipelineViewportDepthClipControlCreateInfoEXT around_zero = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_DEPTH_CLIP_CONTROL_CREATE_INFO_EXT, .negativeOneToOne = VK_TRUE
	};
	const VkPipelineRasterizationProvokingVertexStateCreateInfoEXT last = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_PROVOKING_VERTEX_STATE_CREATE_INFO_EXT,
		.provokingVertexMode = VK_PROVOKING_VERTEX_MODE_LAST_VERTEX_EXT
	};
	const VkVertexInputBindingDivisorDescriptionEXT three = { 0, 3 };
	const VkPipelineVertexInputDivisorStateCreateInfoEXT divisors = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_DIVISOR_STATE_CREATE_INFO_EXT,
		.vertexBindingDivisorCount = 1,
		.pVertexBindingDivisors = &three
	};
	const VkBool32 on = VK_TRUE;
	const VkPipelineColorWriteCreateInfoEXT writes = { .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_WRITE_CREATE_INFO_EXT,
		.attachmentCount = 1,
		.pColorWriteEnables = &on };
	VkRenderPass pass = make_pass(0);
	VkFramebuffer frame = make_frame(pass, false);
	extra.depth = 1.5f;
	draw_extra(pass, frame, "beyond the depth range", 6, 1);
	extra.depth = 1.5f;
	extra.raster = &no_clip;
	if (w.draws.depth_clip)
		draw_extra(pass, frame, "beyond the depth range, not clipped", 6, 1);
	extra.depth = -0.5f;
	extra.raster = NULL;
	extra.viewport = &around_zero;
	if (w.draws.depth_clip_control)
		draw_extra(pass, frame, "depth from -1 to 1", 6, 1);
	memset(&extra, 0, sizeof(extra));
	extra.raster = &last;
	if (w.draws.provoking)
		draw_extra(pass, frame, "the last vertex provokes", 6, 1);
	memset(&extra, 0, sizeof(extra));
	extra.input = &divisors;
	extra.points = true;
	if (w.draws.divisor)
		draw_extra(pass, frame, "a vertex for three instances", 1, 6);
	memset(&extra, 0, sizeof(extra));
	extra.blend = &writes;
	if (w.draws.writes)
		draw_extra(pass, frame, "colours written and not", 6, 1);
	memset(&extra, 0, sizeof(extra));
	VK(DestroyFramebuffer)(w.device, frame, NULL);
	VK(DestroyRenderPass)(w.device, pass, NULL);
}

/* Into both layers at once, through a framebuffer that has no images, and without objects. */
static void case_views(void)
{
	const VkDeviceSize zero = 0;
	if (!w.views) {
		say("views: one");
		return;
	}
	VkRenderPass pass = make_pass(BOTH);
	VkFramebuffer frame = make_frame(pass, true);
	VkPipeline pipeline = make_pipeline(pass, true, NULL, 0, false), without = VK_NULL_HANDLE;
	const VkQueryPoolCreateInfo query_info = { VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, NULL, 0,
		VK_QUERY_TYPE_OCCLUSION, LAYERS, 0 };
	VkQueryPool queries;
	uint64_t seen[LAYERS] = { 0 };
	OK(VK(CreateQueryPool)(w.device, &query_info, NULL, &queries));
	const VkRenderPassAttachmentBeginInfo named = { VK_STRUCTURE_TYPE_RENDER_PASS_ATTACHMENT_BEGIN_INFO, NULL, 2,
		views };
	const VkRenderPassBeginInfo info = { VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, &named, pass, frame,
		{ { 0, 0 }, { SIDE, SIDE } }, 0, NULL };
	VkCommandBuffer c = begin();
	clear(c);
	VK(CmdResetQueryPool)(c, queries, 0, LAYERS);
	VK(CmdBeginRenderPass)(c, &info, VK_SUBPASS_CONTENTS_INLINE);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	VK(CmdBindVertexBuffers)(c, 0, 1, &vertices.buffer, &zero);
	VK(CmdBeginQuery)(c, queries, 0, 0);
	VK(CmdDraw)(c, 6, 3, 0, 0);
	VK(CmdEndQuery)(c, queries, 0);
	VK(CmdEndRenderPass)(c);
	full_barrier(c);
	if (w.rendering) {
		VkRenderingAttachmentInfo colour = { .sType = VK_STRUCTURE_TYPE_RENDERING_ATTACHMENT_INFO,
			.imageView = views[0],
			.imageLayout = VK_IMAGE_LAYOUT_GENERAL,
			.loadOp = VK_ATTACHMENT_LOAD_OP_LOAD,
			.storeOp = VK_ATTACHMENT_STORE_OP_STORE },
					  depth = colour;
		depth.imageView = views[1];
		const VkRenderingInfo rendering = { .sType = VK_STRUCTURE_TYPE_RENDERING_INFO,
			.renderArea = { { 0, 0 }, { SIDE, SIDE } },
			.layerCount = 1,
			.viewMask = BOTH,
			.colorAttachmentCount = 1,
			.pColorAttachments = &colour,
			.pDepthAttachment = &depth };
		without = make_pipeline(VK_NULL_HANDLE, true, NULL, 0, false);
		VK(CmdBeginRenderingKHR)(c, &rendering);
		VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_GRAPHICS, without);
		VK(CmdBindVertexBuffers)(c, 0, 1, &vertices.buffer, &zero);
		VK(CmdDraw)(c, 3, 5, 0, 0);
		VK(CmdEndRenderingKHR)(c);
	}
	read_picture(c, "views");
	VK(GetQueryPoolResults)
	(w.device, queries, 0, LAYERS, sizeof(seen), seen, sizeof(seen[0]),
		VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_PARTIAL_BIT);
	say("views: fragments seen %d", seen[0] + seen[1] > 0);
	VK(DestroyQueryPool)(w.device, queries, NULL);
	VK(DestroyPipeline)(w.device, without, NULL);
	VK(DestroyPipeline)(w.device, pipeline, NULL);
	VK(DestroyFramebuffer)(w.device, frame, NULL);
	VK(DestroyRenderPass)(w.device, pass, NULL);
}

void case_states(void)
{
	const VkPipelineLayoutCreateInfo layout_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO };
	OK(VK(CreatePipelineLayout)(w.device, &layout_info, NULL, &layout));
	vertices = make_buffer(256, true, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT);
	back = make_buffer(LAYERS * SIDE * SIDE * 4, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	fill_vertices();
	for (unsigned i = 0; i < 2; i++) {
		images[i] = make_image(i ? depth_format : colour_format, usages[i], &memories[i]);
		const VkImageViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
			.image = images[i],
			.viewType = VK_IMAGE_VIEW_TYPE_2D_ARRAY,
			.format = i ? depth_format : colour_format,
			.subresourceRange = whole(i) };
		OK(VK(CreateImageView)(w.device, &view, NULL, &views[i]));
	}
	case_dynamic_states();
	case_raster_states();
	case_views();
	for (unsigned i = 0; i < 2; i++) {
		VK(DestroyImageView)(w.device, views[i], NULL);
		VK(DestroyImage)(w.device, images[i], NULL);
		VK(FreeMemory)(w.device, memories[i], NULL);
	}
	VK(DestroyPipelineLayout)(w.device, layout, NULL);
	drop_buffer(&vertices);
	drop_buffer(&back);
}

/* Of each of these that there is: cleared, and its words told. */
void case_later_formats(void)
{
	static const VkFormat formats[] = { VK_FORMAT_A4R4G4B4_UNORM_PACK16, VK_FORMAT_A4B4G4R4_UNORM_PACK16 };
	const VkImageUsageFlags usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	const VkClearColorValue value = { .float32 = { 1.0f, 2.0f / 15.0f, 3.0f / 15.0f, 4.0f / 15.0f } };
	const VkImageSubresourceRange range = whole(0);
	const VkBufferImageCopy out = { .imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, LAYERS },
		.imageExtent = { SIDE, SIDE, 1 } };
	for (unsigned i = 0; i < 2; i++) {
		VkFormatProperties has;
		VkDeviceMemory memory;
		VK(GetPhysicalDeviceFormatProperties)(w.physical, formats[i], &has);
		if (!offered(VK_EXT_4444_FORMATS_EXTENSION_NAME) ||
			!(has.optimalTilingFeatures & VK_FORMAT_FEATURE_TRANSFER_DST_BIT)) {
			say("format %d: none", formats[i]);
			continue;
		}
		back = make_buffer(LAYERS * SIDE * SIDE * 2, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
		VkImage image = make_image(formats[i], usage, &memory);
		VkCommandBuffer c = begin();
		to_general(c, image, range);
		VK(CmdClearColorImage)(c, image, VK_IMAGE_LAYOUT_GENERAL, &value, 1, &range);
		full_barrier(c);
		VK(CmdCopyImageToBuffer)(c, image, VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &out);
		full_barrier(c);
		run(c);
		say("format %d: %08x, sampled %d, drawn into %d", formats[i], back.map[0],
			(has.optimalTilingFeatures & VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT) != 0,
			(has.optimalTilingFeatures & VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BIT) != 0);
		VK(DestroyImage)(w.device, image, NULL);
		VK(FreeMemory)(w.device, memory, NULL);
		drop_buffer(&back);
	}
}

/* The colour formats that every device must have images of, and the bytes of a texel. */
static const struct {
	VkFormat format;
	uint32_t bytes;
} must_have[] = {
	{ VK_FORMAT_B4G4R4A4_UNORM_PACK16, 2 },
	{ VK_FORMAT_R5G6B5_UNORM_PACK16, 2 },
	{ VK_FORMAT_A1R5G5B5_UNORM_PACK16, 2 },
	{ VK_FORMAT_R8_UNORM, 1 },
	{ VK_FORMAT_R8_SNORM, 1 },
	{ VK_FORMAT_R8_UINT, 1 },
	{ VK_FORMAT_R8_SINT, 1 },
	{ VK_FORMAT_R8G8_UNORM, 2 },
	{ VK_FORMAT_R8G8_SNORM, 2 },
	{ VK_FORMAT_R8G8_UINT, 2 },
	{ VK_FORMAT_R8G8_SINT, 2 },
	{ VK_FORMAT_R8G8B8A8_UNORM, 4 },
	{ VK_FORMAT_R8G8B8A8_SNORM, 4 },
	{ VK_FORMAT_R8G8B8A8_UINT, 4 },
	{ VK_FORMAT_R8G8B8A8_SINT, 4 },
	{ VK_FORMAT_R8G8B8A8_SRGB, 4 },
	{ VK_FORMAT_B8G8R8A8_UNORM, 4 },
	{ VK_FORMAT_B8G8R8A8_SRGB, 4 },
	{ VK_FORMAT_A8B8G8R8_UNORM_PACK32, 4 },
	{ VK_FORMAT_A8B8G8R8_SNORM_PACK32, 4 },
	{ VK_FORMAT_A8B8G8R8_UINT_PACK32, 4 },
	{ VK_FORMAT_A8B8G8R8_SINT_PACK32, 4 },
	{ VK_FORMAT_A8B8G8R8_SRGB_PACK32, 4 },
	{ VK_FORMAT_A2B10G10R10_UNORM_PACK32, 4 },
	{ VK_FORMAT_A2B10G10R10_UINT_PACK32, 4 },
	{ VK_FORMAT_R16_UINT, 2 },
	{ VK_FORMAT_R16_SINT, 2 },
	{ VK_FORMAT_R16_SFLOAT, 2 },
	{ VK_FORMAT_R16G16_UINT, 4 },
	{ VK_FORMAT_R16G16_SINT, 4 },
	{ VK_FORMAT_R16G16_SFLOAT, 4 },
	{ VK_FORMAT_R16G16B16A16_UINT, 8 },
	{ VK_FORMAT_R16G16B16A16_SINT, 8 },
	{ VK_FORMAT_R16G16B16A16_SFLOAT, 8 },
	{ VK_FORMAT_R32_UINT, 4 },
	{ VK_FORMAT_R32_SINT, 4 },
	{ VK_FORMAT_R32_SFLOAT, 4 },
	{ VK_FORMAT_R32G32_UINT, 8 },
	{ VK_FORMAT_R32G32_SINT, 8 },
	{ VK_FORMAT_R32G32_SFLOAT, 8 },
	{ VK_FORMAT_R32G32B32A32_UINT, 16 },
	{ VK_FORMAT_R32G32B32A32_SINT, 16 },
	{ VK_FORMAT_R32G32B32A32_SFLOAT, 16 },
	{ VK_FORMAT_B10G11R11_UFLOAT_PACK32, 4 },
	{ VK_FORMAT_E5B9G9R9_UFLOAT_PACK32, 4 },
};
#define MUST_HAVE (sizeof(must_have) / sizeof(must_have[0]))

/* Bits of all kinds go into an image of each and come out as they were. */
void case_formats(void)
{
	enum { MOST = LAYERS * SIDE * SIDE * 16 };
	const VkImageUsageFlags usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	struct buffer in = make_buffer(MOST, true, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	VkImage made[MUST_HAVE];
	VkDeviceMemory behind[MUST_HAVE];
	uint32_t features = 0, same = 0;
	back = make_buffer(MOST * MUST_HAVE, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (uint32_t i = 0; i < MOST / 4; i++)
		in.map[i] = (i + 1) * 2654435761u;
	VkCommandBuffer c = begin();
	for (uint32_t i = 0; i < MUST_HAVE; i++) {
		const VkBufferImageCopy copy = { .imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, LAYERS },
			.imageExtent = { SIDE, SIDE, 1 } };
		VkBufferImageCopy out = copy;
		VkFormatProperties has;
		VK(GetPhysicalDeviceFormatProperties)(w.physical, must_have[i].format, &has);
		features = features * 31 + has.optimalTilingFeatures;
		made[i] = make_image(must_have[i].format, usage, &behind[i]);
		out.bufferOffset = i * MOST;
		to_general(c, made[i], whole(0));
		VK(CmdCopyBufferToImage)(c, in.buffer, made[i], VK_IMAGE_LAYOUT_GENERAL, 1, &copy);
		full_barrier(c);
		VK(CmdCopyImageToBuffer)(c, made[i], VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &out);
	}
	full_barrier(c);
	run(c);
	for (uint32_t i = 0; i < MUST_HAVE; i++) {
		same += memcmp(in.map, (char *)back.map + i * MOST, (size_t)LAYERS * SIDE * SIDE * must_have[i].bytes) == 0;
		VK(DestroyImage)(w.device, made[i], NULL);
		VK(FreeMemory)(w.device, behind[i], NULL);
	}
	say("formats: images %08x, byte by byte %u of %u", features, same, (unsigned)MUST_HAVE);
	drop_buffer(&in);
	drop_buffer(&back);
}

/* How often shaders ran, as values of both widths, at the host and in a buffer. */
void case_statistics(void)
{
	const VkQueryPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_PIPELINE_STATISTICS,
		.queryCount = 2,
		.pipelineStatistics = VK_QUERY_PIPELINE_STATISTIC_VERTEX_SHADER_INVOCATIONS_BIT |
			VK_QUERY_PIPELINE_STATISTIC_COMPUTE_SHADER_INVOCATIONS_BIT };
	const VkQueryResultFlags flags = VK_QUERY_RESULT_WAIT_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
	uint64_t wide[6] = { 0 };
	uint32_t narrow[6] = { 0 };
	VkQueryPool pool;
	if (!w.statistics) {
		say("statistics: none");
		return;
	}
	OK(VK(CreateQueryPool)(w.device, &info, NULL, &pool));
	VkCommandBuffer c = begin();
	VK(CmdResetQueryPool)(c, pool, 0, 2);
	bind_usual(c, 1);
	VK(CmdBeginQuery)(c, pool, 0, 0);
	VK(CmdDispatch)(c, COUNT / GROUP, 1, 1);
	VK(CmdEndQuery)(c, pool, 0);
	full_barrier(c);
	VK(CmdBeginQuery)(c, pool, 1, 0);
	VK(CmdDispatch)(c, 2, 1, 1);
	VK(CmdEndQuery)(c, pool, 1);
	full_barrier(c);
	VK(CmdCopyQueryPoolResults)(c, pool, 0, 2, w.back.buffer, 0, 24, flags | VK_QUERY_RESULT_64_BIT);
	VK(CmdCopyQueryPoolResults)(c, pool, 0, 2, w.back.buffer, 48, 12, flags);
	full_barrier(c);
	run(c);
	say("statistics: in a buffer %08x %08x", sum(w.back.map, 12), sum(w.back.map + 12, 6));
	OK(VK(GetQueryPoolResults)(w.device, pool, 0, 2, sizeof(wide), wide, 24, flags | VK_QUERY_RESULT_64_BIT));
	OK(VK(GetQueryPoolResults)(w.device, pool, 0, 2, sizeof(narrow), narrow, 12, flags));
	say("statistics: %u %u %u, %u %u %u", (unsigned)wide[0], (unsigned)wide[1], (unsigned)wide[2], narrow[3], narrow[4],
		narrow[5]);
	VK(DestroyQueryPool)(w.device, pool, NULL);
}
