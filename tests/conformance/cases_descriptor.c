/* Descriptors beyond the usual: inline uniform blocks, with the usual shader; arrays of any length that are updated after they are bound. */
#include "conformance.h"

#include "conformance_array.comp.h"

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

/* --- after they are bound --- */

#define MANY 64u /* at most, of which a set has SOME */
#define SOME 9u

struct late {
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkDescriptorPool pool;
	VkDescriptorSet set;
	VkPipeline pipeline;
	struct buffer buffers[4]; /* the first two at the host */
};

static void make_late_layout(struct late *l)
{
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, MANY,
		VK_SHADER_STAGE_COMPUTE_BIT, NULL };
	const VkDescriptorBindingFlags flags = VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT |
		VK_DESCRIPTOR_BINDING_UPDATE_UNUSED_WHILE_PENDING_BIT | VK_DESCRIPTOR_BINDING_PARTIALLY_BOUND_BIT |
		VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT;
	const VkDescriptorSetLayoutBindingFlagsCreateInfo flags_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO,
		.bindingCount = 1,
		.pBindingFlags = &flags
	};
	const VkDescriptorSetLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.pNext = &flags_info,
		.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT,
		.bindingCount = 1,
		.pBindings = &binding };
	VkDescriptorSetVariableDescriptorCountLayoutSupport count = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_LAYOUT_SUPPORT
	};
	VkDescriptorSetLayoutSupport support = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_SUPPORT, .pNext = &count };
	VK(GetDescriptorSetLayoutSupport)(w.device, &info, &support);
	say("late: supported %d, enough %d", support.supported, count.maxVariableDescriptorCount >= MANY);
	OK(VK(CreateDescriptorSetLayout)(w.device, &info, NULL, &l->set_layout));
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 8 };
	const VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &l->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	OK(VK(CreatePipelineLayout)(w.device, &layout, NULL, &l->layout));
}

static void make_late_set(struct late *l)
{
	const uint32_t some = SOME;
	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SOME };
	const VkDescriptorPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.flags = VK_DESCRIPTOR_POOL_CREATE_UPDATE_AFTER_BIND_BIT,
		.maxSets = 1,
		.poolSizeCount = 1,
		.pPoolSizes = &size };
	const VkDescriptorSetVariableDescriptorCountAllocateInfo count = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_ALLOCATE_INFO,
		.descriptorSetCount = 1,
		.pDescriptorCounts = &some
	};
	const VkDescriptorSetAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.pNext = &count,
		.descriptorPool = VK_NULL_HANDLE,
		.descriptorSetCount = 1,
		.pSetLayouts = &l->set_layout };
	VkDescriptorSetAllocateInfo allocate = info;
	OK(VK(CreateDescriptorPool)(w.device, &pool, NULL, &l->pool));
	allocate.descriptorPool = l->pool;
	OK(VK(AllocateDescriptorSets)(w.device, &allocate, &l->set));
}

static void make_late_pipeline(struct late *l)
{
	const VkShaderModuleCreateInfo module_info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(conformance_array_comp),
		.pCode = conformance_array_comp };
	VkShaderModule module;
	OK(VK(CreateShaderModule)(w.device, &module_info, NULL, &module));
	const VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main" },
		.layout = l->layout };
	OK(VK(CreateComputePipelines)(w.device, VK_NULL_HANDLE, 1, &info, NULL, &l->pipeline));
	VK(DestroyShaderModule)(w.device, module, NULL);
}

static void point(const struct late *l, uint32_t element, uint32_t buffer)
{
	const VkDescriptorBufferInfo info = { l->buffers[buffer].buffer, 0, VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = l->set,
		.dstArrayElement = element,
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &info };
	VK(UpdateDescriptorSets)(w.device, 1, &write, 0, NULL);
}

static VkCommandBuffer record_late(const struct late *l, uint32_t from, uint32_t to)
{
	const uint32_t words[] = { from, to };
	VkCommandBuffer c = begin();
	full_barrier(c);
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, l->pipeline);
	VK(CmdBindDescriptorSets)(c, VK_PIPELINE_BIND_POINT_COMPUTE, l->layout, 0, 1, &l->set, 0, NULL);
	VK(CmdPushConstants)(c, l->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 8, words);
	VK(CmdDispatch)(c, COUNT / 64, 1, 1);
	full_barrier(c);
	OK(VK(EndCommandBuffer)(c));
	return c;
}

static void submit(VkCommandBuffer c)
{
	const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c };
	OK(VK(QueueSubmit)(w.queue, 1, &info, VK_NULL_HANDLE));
}

/* The same recordings, each time between other buffers; what the host sees of one of them. */
static void submit_late(const struct late *l)
{
	const VkBufferCopy all = { 0, 0, BYTES };
	VkCommandBuffer recorded[2] = { record_late(l, 1, 2), record_late(l, 7, 8) };
	for (uint32_t i = 0; i < COUNT; i++)
		l->buffers[0].map[i] = i * 7;
	/* Not one had been written when it was bound. */
	point(l, 1, 0);
	point(l, 2, 2);
	submit(recorded[0]);
	point(l, 7, 2); /* not used by what is on its way */
	point(l, 8, 3);
	submit(recorded[1]);
	OK(VK(QueueWaitIdle)(w.queue));
	point(l, 1, 3);
	point(l, 2, 1); /* at the host */
	submit(recorded[0]);
	OK(VK(QueueWaitIdle)(w.queue));
	say("late: at the host %08x", sum(l->buffers[1].map, COUNT));
	l->buffers[0].map[5] = 12345;
	point(l, 7, 0);
	point(l, 8, 3);
	submit(recorded[1]);
	OK(VK(QueueWaitIdle)(w.queue));
	VkCommandBuffer c = begin();
	VK(CmdCopyBuffer)(c, l->buffers[3].buffer, l->buffers[1].buffer, 1, &all);
	full_barrier(c);
	run(c);
	say("late: on the device %08x", sum(l->buffers[1].map, COUNT));
	VK(FreeCommandBuffers)(w.device, w.pool, 2, recorded);
}

void case_late_descriptors(void)
{
	struct late l = { 0 };
	if (!w.late) {
		remark("late: not offered");
		return;
	}
	make_late_layout(&l);
	make_late_set(&l);
	make_late_pipeline(&l);
	for (uint32_t i = 0; i < 4; i++)
		l.buffers[i] = make_buffer(BYTES, i < 2,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	submit_late(&l);
	for (uint32_t i = 0; i < 4; i++)
		drop_buffer(&l.buffers[i]);
	VK(DestroyPipeline)(w.device, l.pipeline, NULL);
	VK(DestroyDescriptorPool)(w.device, l.pool, NULL);
	VK(DestroyPipelineLayout)(w.device, l.layout, NULL);
	VK(DestroyDescriptorSetLayout)(w.device, l.set_layout, NULL);
}
