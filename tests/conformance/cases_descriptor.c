/* Descriptors beyond the usual: inline uniform blocks. Each with the usual shader, in sets of another layout. */
#include "conformance.h"

#include <stddef.h>

/* As the usual layout, and the block's bytes in the set; a second block behind it, into which writes run over. */
#define BINDINGS 5u
#define BLOCK 3u
static const VkDescriptorSetLayoutBinding bindings[BINDINGS] = {
	{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 2, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ BLOCK, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, 16, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ BLOCK + 1, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, 32, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
};

static void write_buffers(VkDescriptorSet set)
{
	const VkDescriptorBufferInfo buffers[] = { { w.source.buffer, 0, BYTES }, { w.target.buffer, 0, BYTES } };
	VkWriteDescriptorSet writes[3];
	for (uint32_t i = 0; i < 3; i++)
		writes[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set,
			.dstBinding = i,
			.descriptorCount = 1,
			.descriptorType = bindings[i].descriptorType,
			.pBufferInfo = &buffers[i & 1],
			.pTexelBufferView = &w.texel_view };
	VK(UpdateDescriptorSets)(w.device, 3, writes, 0, NULL);
}

static void write_block(VkDescriptorSet set, uint32_t binding, uint32_t at, uint32_t size, const uint32_t *data)
{
	const VkWriteDescriptorSetInlineUniformBlock block = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK, .dataSize = size, .pData = data
	};
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.pNext = &block,
		.dstSet = set,
		.dstBinding = binding,
		.dstArrayElement = at,
		.descriptorCount = size,
		.descriptorType = VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK };
	VK(UpdateDescriptorSets)(w.device, 1, &write, 0, NULL);
}

/* Bytes of `from`'s second block into `to`'s first. */
static void copy_block(VkDescriptorSet from, VkDescriptorSet to, uint32_t at, uint32_t size)
{
	const VkCopyDescriptorSet copy = { .sType = VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET,
		.srcSet = from,
		.srcBinding = BLOCK + 1,
		.srcArrayElement = at,
		.dstSet = to,
		.dstBinding = BLOCK,
		.descriptorCount = size };
	VK(UpdateDescriptorSets)(w.device, 0, NULL, 1, &copy);
}

static void template_block(VkDescriptorSetLayout layout, VkDescriptorSet set, const uint32_t *data)
{
	const VkDescriptorUpdateTemplateEntry entry = { BLOCK, 4, 12, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, 4, 0 };
	const VkDescriptorUpdateTemplateCreateInfo info = { .sType =
								    VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO,
		.descriptorUpdateEntryCount = 1,
		.pDescriptorUpdateEntries = &entry,
		.templateType = VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_DESCRIPTOR_SET,
		.descriptorSetLayout = layout };
	VkDescriptorUpdateTemplate template;
	OK(VK(CreateDescriptorUpdateTemplate)(w.device, &info, NULL, &template));
	VK(UpdateDescriptorSetWithTemplate)(w.device, set, template, data);
	VK(DestroyDescriptorUpdateTemplate)(w.device, template, NULL);
}

static void dispatch(VkPipeline pipeline, VkPipelineLayout layout, VkDescriptorSet set, const char *what)
{
	const uint32_t add = 5;
	VkCommandBuffer c = begin();
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	VK(CmdBindDescriptorSets)(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
	VK(CmdPushConstants)(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add);
	VK(CmdDispatch)(c, COUNT / GROUP, 1, 1);
	run(c);
	say_target(what);
}

void case_inline_blocks(void)
{
	static const uint32_t words[] = { 11, 22, 33, 44, 55, 66, 77, 88, 99, 110, 121, 132 };
	if (!offered(VK_EXT_INLINE_UNIFORM_BLOCK_EXTENSION_NAME)) {
		say("inline blocks: not offered");
		return;
	}
	const VkDescriptorSetLayoutCreateInfo layout_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BINDINGS, .pBindings = bindings
	};
	VkDescriptorSetLayoutSupport support = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_SUPPORT };
	VkDescriptorSetLayout set_layout;
	VkDescriptorSetLayout same[3];
	VkPipelineLayout layout;
	VkDescriptorPool pool;
	VkDescriptorSet sets[3];
	VK(GetDescriptorSetLayoutSupport)(w.device, &layout_info, &support);
	OK(VK(CreateDescriptorSetLayout)(w.device, &layout_info, NULL, &set_layout));
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 };
	const VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	OK(VK(CreatePipelineLayout)(w.device, &info, NULL, &layout));
	const VkDescriptorPoolInlineUniformBlockCreateInfo blocks = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO,
		.maxInlineUniformBlockBindings = 6
	};
	const VkDescriptorPoolSize sizes[] = { { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 6 },
		{ VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 3 }, { VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK, 3 * 48 } };
	const VkDescriptorPoolCreateInfo pool_info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.pNext = &blocks,
		.maxSets = 3,
		.poolSizeCount = 3,
		.pPoolSizes = sizes };
	OK(VK(CreateDescriptorPool)(w.device, &pool_info, NULL, &pool));
	for (uint32_t i = 0; i < 3; i++)
		same[i] = set_layout;
	const VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = pool,
		.descriptorSetCount = 3,
		.pSetLayouts = same };
	OK(VK(AllocateDescriptorSets)(w.device, &allocate, sets));
	for (uint32_t i = 0; i < 3; i++) {
		write_buffers(sets[i]);
		/* lavapipe 22 reads all blocks that there are, and knows nothing of writes that run over. */
		if (!w.tbmesh)
			write_block(sets[i], BLOCK + 1, 0, 32, words + 4);
	}
	write_block(sets[0], BLOCK, 0, w.tbmesh ? 48 : 16, words);
	write_block(sets[0], BLOCK, 4, 8, words + 8);
	write_block(sets[1], BLOCK, 0, 16, words + 1);
	copy_block(sets[0], sets[1], 8, 12);
	write_block(sets[2], BLOCK, 0, 16, words + 2);
	template_block(set_layout, sets[2], words);
	const VkPipeline pipeline = usual_pipeline(layout);
	say("inline blocks: supported %d", support.supported);
	dispatch(pipeline, layout, sets[0], "inline blocks, written");
	dispatch(pipeline, layout, sets[1], "inline blocks, copied");
	dispatch(pipeline, layout, sets[2], "inline blocks, by a template");
	VK(DestroyPipeline)(w.device, pipeline, NULL);
	VK(DestroyPipelineLayout)(w.device, layout, NULL);
	VK(DestroyDescriptorPool)(w.device, pool, NULL);
	VK(DestroyDescriptorSetLayout)(w.device, set_layout, NULL);
}
