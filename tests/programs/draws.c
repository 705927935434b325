/* Draws into images over and over, with depth and stencil that live from round to round; a pass with four samples a texel is resolved
 * and blended on by a blit; fragments count themselves in a buffer that the host reads. Prints hashes of what came out. */
#include "minivk.h"

#include <stdio.h>
#include <string.h>

#include "draws.frag.h"
#include "draws.vert.h"

#define SIZE 64
#define PIXELS (SIZE * SIZE)

enum { COLOUR, DEPTH, SAMPLES, RESOLVED, IMAGES };

static struct minivk v;
static struct {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view;
} images[IMAGES];
static VkFormat depth_format;
static VkRenderPass keeping, sampled;
static VkFramebuffer keeping_frame, sampled_frame;
static VkPipelineLayout layout;
static VkDescriptorSetLayout set_layout;
static VkDescriptorPool pool;
static VkDescriptorSet set;
static VkPipeline once, fourfold;
static struct minivk_buffer vertices, indices, commands, counts, back;

static uint32_t device_type(uint32_t bits)
{
	for (uint32_t i = 0; i < v.memory.memoryTypeCount; i++)
		if (bits & 1u << i && v.memory.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)
			return i;
	return 0;
}

static void make_image(unsigned i, VkFormat format, VkSampleCountFlagBits samples, VkImageUsageFlags usage)
{
	const VkImageAspectFlags aspects =
		i == DEPTH ? VK_IMAGE_ASPECT_DEPTH_BIT | VK_IMAGE_ASPECT_STENCIL_BIT : VK_IMAGE_ASPECT_COLOR_BIT;
	const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = format,
		.extent = { SIZE, SIZE, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = samples,
		.usage = usage };
	VK(vkCreateImage(v.device, &info, NULL, &images[i].image));
	VkMemoryRequirements needs;
	vkGetImageMemoryRequirements(v.device, images[i].image, &needs);
	const VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = needs.size,
		.memoryTypeIndex = device_type(needs.memoryTypeBits) };
	VK(vkAllocateMemory(v.device, &allocate, NULL, &images[i].memory));
	VK(vkBindImageMemory(v.device, images[i].image, images[i].memory, 0));
	const VkImageViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = images[i].image,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = format,
		.subresourceRange = { aspects, 0, 1, 0, 1 } };
	VK(vkCreateImageView(v.device, &view, NULL, &images[i].view));
}

static void make_images(void)
{
	static const VkFormat formats[] = { VK_FORMAT_D32_SFLOAT_S8_UINT, VK_FORMAT_D24_UNORM_S8_UINT };
	for (unsigned i = 0; i < 2 && !depth_format; i++) {
		VkFormatProperties p;
		vkGetPhysicalDeviceFormatProperties(v.physical, formats[i], &p);
		if (p.optimalTilingFeatures & VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT)
			depth_format = formats[i];
	}
	const VkImageUsageFlags copied = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	make_image(COLOUR, VK_FORMAT_R8G8B8A8_UNORM, 1, VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | copied);
	make_image(DEPTH, depth_format, 1, VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT | copied);
	make_image(SAMPLES, VK_FORMAT_R8G8B8A8_UNORM, 4, VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT);
	make_image(RESOLVED, VK_FORMAT_R8G8B8A8_UNORM, 1, VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | copied);
}

/* Attachments stay in GENERAL between passes, so that the program needs few barriers. */
static VkAttachmentDescription attachment(VkFormat format, VkSampleCountFlagBits samples, VkAttachmentLoadOp load)
{
	const VkImageLayout before =
		load == VK_ATTACHMENT_LOAD_OP_LOAD ? VK_IMAGE_LAYOUT_GENERAL : VK_IMAGE_LAYOUT_UNDEFINED;
	return (VkAttachmentDescription){ 0, format, samples, load, VK_ATTACHMENT_STORE_OP_STORE, load,
		VK_ATTACHMENT_STORE_OP_STORE, before, VK_IMAGE_LAYOUT_GENERAL };
}

static void make_passes(void)
{
	const VkAttachmentReference first = { 0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL },
				    depth = { 1, VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL },
				    resolved = { 1, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL };
	const VkAttachmentDescription kept[] = {
		attachment(VK_FORMAT_R8G8B8A8_UNORM, 1, VK_ATTACHMENT_LOAD_OP_LOAD),
		attachment(depth_format, 1, VK_ATTACHMENT_LOAD_OP_LOAD),
	}, four[] = {
		attachment(VK_FORMAT_R8G8B8A8_UNORM, 4, VK_ATTACHMENT_LOAD_OP_CLEAR),
		attachment(VK_FORMAT_R8G8B8A8_UNORM, 1, VK_ATTACHMENT_LOAD_OP_DONT_CARE),
	};
	const VkSubpassDescription subpasses[] = {
		{ .colorAttachmentCount = 1, .pColorAttachments = &first, .pDepthStencilAttachment = &depth },
		{ .colorAttachmentCount = 1, .pColorAttachments = &first, .pResolveAttachments = &resolved },
	};
	VkRenderPassCreateInfo info = { .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.attachmentCount = 2,
		.pAttachments = kept,
		.subpassCount = 1,
		.pSubpasses = &subpasses[0] };
	VK(vkCreateRenderPass(v.device, &info, NULL, &keeping));
	info.pAttachments = four;
	info.pSubpasses = &subpasses[1];
	VK(vkCreateRenderPass(v.device, &info, NULL, &sampled));
	const VkImageView kept_views[] = { images[COLOUR].view, images[DEPTH].view },
			  four_views[] = { images[SAMPLES].view, images[RESOLVED].view };
	VkFramebufferCreateInfo frame = { VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO, NULL, 0, keeping, 2, kept_views, SIZE,
		SIZE, 1 };
	VK(vkCreateFramebuffer(v.device, &frame, NULL, &keeping_frame));
	frame.renderPass = sampled;
	frame.pAttachments = four_views;
	VK(vkCreateFramebuffer(v.device, &frame, NULL, &sampled_frame));
}

static VkShaderModule module(const uint32_t *code, size_t size)
{
	const VkShaderModuleCreateInfo info = { VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, NULL, 0, size, code };
	VkShaderModule ret;
	VK(vkCreateShaderModule(v.device, &info, NULL, &ret));
	return ret;
}

static VkPipeline make_pipeline(
	VkRenderPass pass, VkSampleCountFlagBits samples, const VkPipelineShaderStageCreateInfo *stages)
{
	const VkVertexInputBindingDescription binding = { 0, 24, VK_VERTEX_INPUT_RATE_VERTEX };
	const VkVertexInputAttributeDescription attributes[] = { { 0, 0, VK_FORMAT_R32G32_SFLOAT, 0 },
		{ 1, 0, VK_FORMAT_R32G32B32A32_SFLOAT, 8 } };
	const VkPipelineVertexInputStateCreateInfo input = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
		.vertexBindingDescriptionCount = 1,
		.pVertexBindingDescriptions = &binding,
		.vertexAttributeDescriptionCount = 2,
		.pVertexAttributeDescriptions = attributes
	};
	const VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST
	};
	const VkPipelineViewportStateCreateInfo viewport = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO, .viewportCount = 1, .scissorCount = 1
	};
	const VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO, .lineWidth = 1
	};
	const VkPipelineMultisampleStateCreateInfo multisample = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO, .rasterizationSamples = samples
	};
	const VkStencilOpState face = { VK_STENCIL_OP_KEEP, VK_STENCIL_OP_INCREMENT_AND_WRAP, VK_STENCIL_OP_KEEP,
		VK_COMPARE_OP_ALWAYS, 0xff, 0xff, 1 };
	const VkPipelineDepthStencilStateCreateInfo depth = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
		.depthTestEnable = VK_TRUE,
		.depthWriteEnable = VK_TRUE,
		.depthCompareOp = VK_COMPARE_OP_LESS_OR_EQUAL,
		.stencilTestEnable = VK_TRUE,
		.front = face,
		.back = face,
	};
	const VkPipelineColorBlendAttachmentState mix = { VK_TRUE, VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_CONSTANT_COLOR,
		VK_BLEND_OP_ADD, VK_BLEND_FACTOR_ONE, VK_BLEND_FACTOR_ZERO, VK_BLEND_OP_ADD, 15 };
	const VkPipelineColorBlendStateCreateInfo blend = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO, .attachmentCount = 1, .pAttachments = &mix
	};
	const VkDynamicState states[] = { VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR,
		VK_DYNAMIC_STATE_BLEND_CONSTANTS };
	const VkPipelineDynamicStateCreateInfo dynamic = { .sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
		.dynamicStateCount = 3,
		.pDynamicStates = states };
	const VkGraphicsPipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &input,
		.pInputAssemblyState = &assembly,
		.pViewportState = &viewport,
		.pRasterizationState = &raster,
		.pMultisampleState = &multisample,
		.pDepthStencilState = samples == 1 ? &depth : NULL,
		.pColorBlendState = &blend,
		.pDynamicState = &dynamic,
		.layout = layout,
		.renderPass = pass };
	VkPipeline ret;
	VK(vkCreateGraphicsPipelines(v.device, VK_NULL_HANDLE, 1, &info, NULL, &ret));
	return ret;
}

static void make_pipelines(void)
{
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_FRAGMENT_BIT,
		NULL };
	const VkDescriptorSetLayoutCreateInfo sets = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding
	};
	VK(vkCreateDescriptorSetLayout(v.device, &sets, NULL, &set_layout));
	const VkPushConstantRange range = { VK_SHADER_STAGE_VERTEX_BIT, 0, 4 };
	const VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	VK(vkCreatePipelineLayout(v.device, &info, NULL, &layout));
	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1 };
	const VkDescriptorPoolCreateInfo pools = { VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, NULL, 0, 1, 1, &size };
	VK(vkCreateDescriptorPool(v.device, &pools, NULL, &pool));
	const VkDescriptorSetAllocateInfo allocate = { VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO, NULL, pool, 1,
		&set_layout };
	VK(vkAllocateDescriptorSets(v.device, &allocate, &set));
	const VkDescriptorBufferInfo buffer = { counts.buffer, 0, VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = set,
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &buffer };
	vkUpdateDescriptorSets(v.device, 1, &write, 0, NULL);
	VkPipelineShaderStageCreateInfo stages[2] = { { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		.stage = VK_SHADER_STAGE_VERTEX_BIT,
		.module = module(draws_vert, sizeof(draws_vert)),
		.pName = "main" } };
	stages[1] = stages[0];
	stages[1].stage = VK_SHADER_STAGE_FRAGMENT_BIT;
	stages[1].module = module(draws_frag, sizeof(draws_frag));
	once = make_pipeline(keeping, 1, stages);
	fourfold = make_pipeline(sampled, 4, stages);
	vkDestroyShaderModule(v.device, stages[0].module, NULL);
	vkDestroyShaderModule(v.device, stages[1].module, NULL);
}

static void make_buffers(void)
{
	static const float corners[] = { -0.9f, -0.8f, 0.9f, 0.1f, 0.2f, 1, 0.8f, -0.7f, 0.1f, 0.8f, 0.3f, 1, 0.7f, 0.9f,
		0.2f, 0.3f, 0.7f, 1, -0.6f, 0.8f, 0.5f, 0.5f, 0.1f, 1 };
	static const uint16_t order[] = { 0, 1, 2, 2, 3, 0 };
	minivk_buffer(&v, &vertices, sizeof(corners), true, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT);
	minivk_buffer(&v, &indices, sizeof(order), true, VK_BUFFER_USAGE_INDEX_BUFFER_BIT);
	minivk_buffer(&v, &commands, 64, true, VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT);
	minivk_buffer(&v, &counts, SIZE / 8 * 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &back, PIXELS * 13, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	memcpy(vertices.mapped, corners, sizeof(corners));
	memcpy(indices.mapped, order, sizeof(order));
	memset(counts.mapped, 0, SIZE / 8 * 4);
}

static void prepare(void)
{
	VkCommandBuffer c = minivk_begin(&v);
	for (unsigned i = COLOUR; i <= DEPTH; i++) {
		const VkImageSubresourceRange all = { i == DEPTH ? VK_IMAGE_ASPECT_DEPTH_BIT | VK_IMAGE_ASPECT_STENCIL_BIT
								 : VK_IMAGE_ASPECT_COLOR_BIT,
			0, 1, 0, 1 };
		const VkImageMemoryBarrier barrier = { VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER, NULL, 0,
			VK_ACCESS_TRANSFER_WRITE_BIT, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_GENERAL,
			VK_QUEUE_FAMILY_IGNORED, VK_QUEUE_FAMILY_IGNORED, images[i].image, all };
		vkCmdPipelineBarrier(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0,
			NULL, 1, &barrier);
		const VkClearColorValue grey = { .float32 = { 0.2f, 0.4f, 0.6f, 1 } };
		const VkClearDepthStencilValue far = { 1, 3 };
		if (i == DEPTH)
			vkCmdClearDepthStencilImage(c, images[i].image, VK_IMAGE_LAYOUT_GENERAL, &far, 1, &all);
		else
			vkCmdClearColorImage(c, images[i].image, VK_IMAGE_LAYOUT_GENERAL, &grey, 1, &all);
	}
	minivk_barrier(c);
	minivk_run(&v, c);
}

static void begin(VkCommandBuffer c, VkRenderPass pass, VkFramebuffer frame, VkPipeline pipeline, uint32_t round)
{
	const VkClearValue clear = { .color = { .float32 = { 0, 0, (float)(round % 8) / 8, 1 } } };
	const VkRenderPassBeginInfo info = { VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, NULL, pass, frame,
		{ { 0, 0 }, { SIZE, SIZE } }, 1, &clear };
	const VkViewport viewport = { 0, 0, SIZE, SIZE, 0, 1 };
	const VkRect2D scissor = { { 2, 3 }, { SIZE - 4, SIZE - 5 } };
	const float constants[] = { 0.5f, 0.25f, 0.5f, 1 };
	const VkDeviceSize zero = 0;
	vkCmdBeginRenderPass(c, &info, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_GRAPHICS, pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_GRAPHICS, layout, 0, 1, &set, 0, NULL);
	vkCmdPushConstants(c, layout, VK_SHADER_STAGE_VERTEX_BIT, 0, 4, &round);
	vkCmdSetViewport(c, 0, 1, &viewport);
	vkCmdSetScissor(c, 0, 1, &scissor);
	vkCmdSetBlendConstants(c, constants);
	vkCmdBindVertexBuffers(c, 0, 1, &vertices.buffer, &zero);
	vkCmdBindIndexBuffer(c, indices.buffer, 0, VK_INDEX_TYPE_UINT16);
}

static void record_round(VkCommandBuffer c, uint32_t round)
{
	begin(c, keeping, keeping_frame, once, round);
	vkCmdDrawIndexed(c, 6, 2, 0, 0, 0);
	if (round % 6 == 5) { /* a strip starts anew */
		const VkClearAttachment clear[] = { { VK_IMAGE_ASPECT_DEPTH_BIT, 0, { .depthStencil = { 1, 0 } } },
			{ VK_IMAGE_ASPECT_COLOR_BIT, 0, { .color = { .float32 = { 1, 0, 0, 1 } } } } };
		const VkClearRect rect = { { { (int32_t)(round % 48), 0 }, { 12, SIZE } }, 0, 1 };
		vkCmdClearAttachments(c, 2, clear, 1, &rect);
	}
	vkCmdDraw(c, 3, 1, 1, 0);
	vkCmdEndRenderPass(c);
	minivk_barrier(c);
	begin(c, sampled, sampled_frame, fourfold, round);
	vkCmdDrawIndexedIndirect(c, commands.buffer, 0, 1, 0);
	vkCmdEndRenderPass(c);
	minivk_barrier(c);
	const VkImageSubresourceLayers part = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 };
	const VkImageBlit blit = { part, { { 0, 0, 0 }, { SIZE, SIZE, 1 } }, part,
		{ { (int32_t)(round % 4) * 16, 48, 0 }, { (int32_t)(round % 4) * 16 + 16, 64, 1 } } };
	vkCmdBlitImage(c, images[RESOLVED].image, VK_IMAGE_LAYOUT_GENERAL, images[COLOUR].image, VK_IMAGE_LAYOUT_GENERAL, 1,
		&blit, VK_FILTER_NEAREST);
	minivk_barrier(c);
}

static uint64_t read_back(void)
{
	VkCommandBuffer c = minivk_begin(&v);
	VkBufferImageCopy region = { .imageExtent = { SIZE, SIZE, 1 } };
	const struct {
		unsigned image;
		VkImageAspectFlags aspect;
	} parts[] = { { COLOUR, VK_IMAGE_ASPECT_COLOR_BIT }, { RESOLVED, VK_IMAGE_ASPECT_COLOR_BIT },
		{ DEPTH, VK_IMAGE_ASPECT_DEPTH_BIT }, { DEPTH, VK_IMAGE_ASPECT_STENCIL_BIT } };
	for (unsigned i = 0; i < 4; i++) {
		region.bufferOffset = (VkDeviceSize)i * PIXELS * 4;
		region.imageSubresource = (VkImageSubresourceLayers){ parts[i].aspect, 0, 0, 1 };
		vkCmdCopyImageToBuffer(c, images[parts[i].image].image, VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &region);
	}
	minivk_barrier(c);
	minivk_run(&v, c);
	uint32_t *depths = (uint32_t *)back.mapped + 2 * PIXELS; /* the upper bits of 24 are undefined */
	for (uint32_t i = 0; depth_format == VK_FORMAT_D24_UNORM_S8_UINT && i < PIXELS; i++)
		depths[i] &= 0xffffff;
	return minivk_fnv(back.mapped, PIXELS * 13) ^ minivk_fnv(counts.mapped, SIZE / 8 * 4);
}

int main(int argc, char **argv)
{
	const uint32_t rounds = minivk_option(argc, argv, "--rounds", 40), every = minivk_option(argc, argv, "--every", 5);
	const VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.features = { .fragmentStoresAndAtomics = VK_TRUE } };
	minivk_init(&v, "draws", &features);
	make_images();
	make_buffers();
	make_passes();
	make_pipelines();
	prepare();
	for (uint32_t round = 0; round < rounds; round++) {
		const VkDrawIndexedIndirectCommand command = { 6, 1 + round % 3, 0, 0, round % 5 };
		memcpy(commands.mapped, &command, sizeof(command));
		VkCommandBuffer c = minivk_begin(&v);
		record_round(c, round);
		minivk_run(&v, c);
		if (every && (round + 1) % every == 0)
			printf("round %u: %016llx\n", round + 1, (unsigned long long)read_back());
		fflush(stdout);
	}
	printf("draws: %016llx\n", (unsigned long long)read_back());

	vkDestroyPipeline(v.device, once, NULL);
	vkDestroyPipeline(v.device, fourfold, NULL);
	vkDestroyFramebuffer(v.device, keeping_frame, NULL);
	vkDestroyFramebuffer(v.device, sampled_frame, NULL);
	vkDestroyRenderPass(v.device, keeping, NULL);
	vkDestroyRenderPass(v.device, sampled, NULL);
	for (unsigned i = 0; i < IMAGES; i++) {
		vkDestroyImageView(v.device, images[i].view, NULL);
		vkDestroyImage(v.device, images[i].image, NULL);
		vkFreeMemory(v.device, images[i].memory, NULL);
	}
	vkDestroyDescriptorPool(v.device, pool, NULL);
	vkDestroyPipelineLayout(v.device, layout, NULL);
	vkDestroyDescriptorSetLayout(v.device, set_layout, NULL);
	minivk_buffer_finish(&v, &vertices);
	minivk_buffer_finish(&v, &indices);
	minivk_buffer_finish(&v, &commands);
	minivk_buffer_finish(&v, &counts);
	minivk_buffer_finish(&v, &back);
	minivk_finish(&v);
	return 0;
}
