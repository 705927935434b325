/* Set layouts, pools, sets, templates, samplers, shader modules, pipelines, pipeline caches. */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

#include "conformance.comp.h"

#define BINDINGS 4u

static const VkDescriptorSetLayoutBinding bindings[BINDINGS] = {
	{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 2, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	{ 3, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
};

void case_layouts(void)
{
	VkDescriptorSetLayoutBinding pushed[BINDINGS];
	VkDescriptorSetLayoutCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BINDINGS, .pBindings = bindings
	};
	VkDescriptorSetLayoutSupport support = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_SUPPORT };
	VK(GetDescriptorSetLayoutSupport)(w.device, &info, &support);
	say("set layout: supported %d", support.supported);
	if (HAS(GetDescriptorSetLayoutSupportKHR))
		VK(GetDescriptorSetLayoutSupportKHR)(w.device, &info, &support);
	OK(VK(CreateDescriptorSetLayout)(w.device, &info, NULL, &w.set_layout));
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 };
	VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &w.set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	OK(VK(CreatePipelineLayout)(w.device, &layout, NULL, &w.layout));
	if (!HAS(CmdPushDescriptorSetKHR))
		return;
	memcpy(pushed, bindings, sizeof(bindings));
	pushed[1].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
	info.pBindings = pushed;
	info.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
	OK(VK(CreateDescriptorSetLayout)(w.device, &info, NULL, &w.push_layout));
	layout.pSetLayouts = &w.push_layout;
	OK(VK(CreatePipelineLayout)(w.device, &layout, NULL, &w.layout_pushed));
}

static VkDescriptorPool make_pool(uint32_t sets, VkDescriptorPoolCreateFlags flags)
{
	const VkDescriptorPoolSize sizes[] = { { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, sets }, { VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, sets },
		{ VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, sets } };
	const VkDescriptorPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.flags = flags,
		.maxSets = sets,
		.poolSizeCount = 4,
		.pPoolSizes = sizes };
	VkDescriptorPool pool;
	OK(VK(CreateDescriptorPool)(w.device, &info, NULL, &pool));
	return pool;
}

static VkResult allocate(VkDescriptorPool pool, uint32_t count, VkDescriptorSet *sets)
{
	const VkDescriptorSetLayout layouts[] = { w.set_layout, w.set_layout, w.set_layout };
	const VkDescriptorSetAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = pool,
		.descriptorSetCount = count,
		.pSetLayouts = layouts };
	return VK(AllocateDescriptorSets)(w.device, &info, sets);
}

static void pools_run_out(void)
{
	VkDescriptorSet sets[3];
	VkDescriptorPool pool = make_pool(2, VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT);
	/* A driver may give more than was asked for: ours does not. */
	if (!w.valid_only && w.tbmesh) {
		expect(allocate(pool, 3, sets) == VK_ERROR_OUT_OF_POOL_MEMORY, "a pool of two has no three sets");
		expect(!sets[0] && !sets[1] && !sets[2], "nothing is left of a failed allocation");
	}
	OK(allocate(pool, 2, sets));
	if (!w.valid_only && w.tbmesh)
		expect(allocate(pool, 1, &sets[2]) == VK_ERROR_OUT_OF_POOL_MEMORY, "a pool runs out");
	OK(VK(FreeDescriptorSets)(w.device, pool, 1, &sets[1]));
	OK(allocate(pool, 1, &sets[1]));
	OK(VK(ResetDescriptorPool)(w.device, pool, 0));
	OK(allocate(pool, 2, sets));
	VK(DestroyDescriptorPool)(w.device, pool, NULL);
}

/* What a template reads. */
struct template_data {
	VkDescriptorBufferInfo buffers[3];
	VkBufferView view;
};

static struct template_data usual_data(void)
{
	return (struct template_data){ { { w.source.buffer, 0, BYTES }, { w.target.buffer, 0, BYTES / 4 },
					       { w.block.buffer, 0, VK_WHOLE_SIZE } },
		w.texel_view };
}

static const VkDescriptorUpdateTemplateEntry entries[BINDINGS] = {
	{ 0, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, offsetof(struct template_data, buffers[0]), 0 },
	{ 1, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, offsetof(struct template_data, buffers[1]), 0 },
	{ 2, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, offsetof(struct template_data, view), 0 },
	{ 3, 0, 1, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, offsetof(struct template_data, buffers[2]), 0 },
};

/* The usual set by plain writes, one by a template, one by copies: each in a dispatch. */
void case_descriptors(void)
{
	pools_run_out();
	VkDescriptorSet more[2];
	const struct template_data data = usual_data();
	w.sets = make_pool(3, 0);
	OK(allocate(w.sets, 1, &w.set));
	OK(allocate(w.sets, 2, more));
	VkWriteDescriptorSet writes[BINDINGS];
	for (uint32_t i = 0; i < BINDINGS; i++)
		writes[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = w.set,
			.dstBinding = i,
			.descriptorCount = 1,
			.descriptorType = bindings[i].descriptorType,
			.pBufferInfo = &data.buffers[i == 3 ? 2 : i],
			.pTexelBufferView = &data.view };
	VK(UpdateDescriptorSets)(w.device, BINDINGS, writes, 0, NULL);

	const VkDescriptorUpdateTemplateCreateInfo info = { .sType =
								    VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO,
		.descriptorUpdateEntryCount = BINDINGS,
		.pDescriptorUpdateEntries = entries,
		.templateType = VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_DESCRIPTOR_SET,
		.descriptorSetLayout = w.set_layout };
	VkDescriptorUpdateTemplate template;
	OK(VK(CreateDescriptorUpdateTemplate)(w.device, &info, NULL, &template));
	VK(UpdateDescriptorSetWithTemplate)(w.device, more[0], template, &data);
	VK(DestroyDescriptorUpdateTemplate)(w.device, template, NULL);
	if (HAS(CreateDescriptorUpdateTemplateKHR)) {
		OK(VK(CreateDescriptorUpdateTemplateKHR)(w.device, &info, NULL, &template));
		VK(UpdateDescriptorSetWithTemplateKHR)(w.device, more[0], template, &data);
		VK(DestroyDescriptorUpdateTemplateKHR)(w.device, template, NULL);
	}
	VkCopyDescriptorSet copies[BINDINGS];
	for (uint32_t i = 0; i < BINDINGS; i++)
		copies[i] = (VkCopyDescriptorSet){ .sType = VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET,
			.srcSet = more[0],
			.srcBinding = i,
			.dstSet = more[1],
			.dstBinding = i,
			.descriptorCount = 1 };
	VK(UpdateDescriptorSets)(w.device, 0, NULL, BINDINGS, copies);

	/* Without an image nothing reads it: it can be made and destroyed. */
	const VkSamplerCreateInfo sampler_info = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO };
	VkSampler sampler;
	OK(VK(CreateSampler)(w.device, &sampler_info, NULL, &sampler));
	VK(DestroySampler)(w.device, sampler, NULL);
}

static VkPipeline make_pipeline(VkPipelineLayout layout, VkShaderModule module, VkPipelineCache cache, const void *next)
{
	const uint32_t constants[] = { GROUP, FACTOR };
	const VkSpecializationMapEntry map[] = { { 0, 0, 4 }, { 1, 4, 4 } };
	const VkSpecializationInfo specialization = { 2, map, sizeof(constants), constants };
	const VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.pNext = next,
		.flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main",
			.pSpecializationInfo = &specialization },
		.layout = layout };
	VkPipeline pipeline;
	OK(VK(CreateComputePipelines)(w.device, cache, 1, &info, NULL, &pipeline));
	return pipeline;
}

static VkShaderModule usual_module(void)
{
	const VkShaderModuleCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(conformance_comp),
		.pCode = conformance_comp };
	VkShaderModule module;
	OK(VK(CreateShaderModule)(w.device, &info, NULL, &module));
	return module;
}

VkPipeline usual_pipeline(VkPipelineLayout layout)
{
	const VkShaderModule module = usual_module();
	const VkPipeline pipeline = make_pipeline(layout, module, VK_NULL_HANDLE, NULL);
	VK(DestroyShaderModule)(w.device, module, NULL);
	return pipeline;
}

/* Some compilers write conversions of a value to its own type. SPIR-V forbids it, drivers take it. */
static void own_conversion(void)
{
	static const uint32_t code[] = {
		0x07230203, 0x10000, 0, 9, 0,       /* ids below 9 */
		0x20011, 1,                         /* OpCapability Shader */
		0x3000e, 0, 1,                      /* OpMemoryModel Logical GLSL450 */
		0x5000f, 5, 4, 0x6e69616d, 0,       /* OpEntryPoint GLCompute %4 "main" */
		0x60010, 4, 17, 1, 1, 1,            /* OpExecutionMode %4 LocalSize 1 1 1 */
		0x20013, 1, 0x30021, 2, 1,          /* %1 = void, %2 = void function */
		0x30016, 3, 32,                     /* %3 = float */
		0x4002b, 3, 6, 0x3f800000,          /* %6 = 1.0 */
		0x50036, 1, 4, 0, 2, 0x200f8, 5,    /* %4 = OpFunction, %5 = OpLabel */
		0x40073, 3, 7, 6, 0x100fd, 0x10038, /* %7 = OpFConvert %3 %6, OpReturn, OpFunctionEnd */
	};
	const VkShaderModuleCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof(code), .pCode = code
	};
	VkShaderModule module;
	OK(VK(CreateShaderModule)(w.device, &info, NULL, &module));
	const VkPipeline pipeline = make_pipeline(w.layout, module, VK_NULL_HANDLE, NULL);
	VK(DestroyShaderModule)(w.device, module, NULL);
	VkCommandBuffer c = begin();
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	VK(CmdDispatch)(c, 1, 1, 1);
	run(c);
	VK(DestroyPipeline)(w.device, pipeline, NULL);
	say("a conversion to its own type is taken");
}

void case_pipelines(void)
{
	const VkShaderModule module = usual_module();
	VkPipelineCacheCreateInfo cache_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
	VkPipelineCache caches[2];
	OK(VK(CreatePipelineCache)(w.device, &cache_info, NULL, &caches[0]));

	VkPipelineCreationFeedback feedback[2] = { { .flags = 77 }, { .flags = 77 } };
	const VkPipelineCreationFeedbackCreateInfo feedback_info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO,
		.pPipelineCreationFeedback = &feedback[0],
		.pipelineStageCreationFeedbackCount = 1,
		.pPipelineStageCreationFeedbacks = &feedback[1]
	};
	bool told = offered(VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
	w.pipeline = make_pipeline(w.layout, module, caches[0], told ? &feedback_info : NULL);
	if (told)
		remark("feedback: flags %x", feedback[0].flags);
	if (w.layout_pushed)
		w.pipeline_pushed = make_pipeline(w.layout_pushed, module, caches[0], NULL);
	VK(DestroyShaderModule)(w.device, module, NULL);

	/* The header of a cache is the same for all; its rest is the driver's affair. */
	size_t size = 0;
	OK(VK(GetPipelineCacheData)(w.device, caches[0], &size, NULL));
	unsigned char *data = calloc(1, size + 1);
	OK(VK(GetPipelineCacheData)(w.device, caches[0], &size, data));
	VkPhysicalDeviceProperties properties;
	VK(GetPhysicalDeviceProperties)(w.physical, &properties);
	say("cache: its header is right: %d",
		size >= 32 && memcmp(data + 8, &properties.vendorID, 4) == 0 &&
			memcmp(data + 16, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0);
	size_t too_small = 4;
	unsigned char few[4];
	say("cache: too little room: %d", VK(GetPipelineCacheData)(w.device, caches[0], &too_small, few));
	cache_info.initialDataSize = size;
	cache_info.pInitialData = data;
	OK(VK(CreatePipelineCache)(w.device, &cache_info, NULL, &caches[1]));
	OK(VK(MergePipelineCaches)(w.device, caches[0], 1, &caches[1]));
	VK(DestroyPipelineCache)(w.device, caches[0], NULL);
	VK(DestroyPipelineCache)(w.device, caches[1], NULL);
	free(data);
	if (!w.valid_only)
		own_conversion();
}

/* Everything that is still there. */
void case_ends(void)
{
	OK(VK(DeviceWaitIdle)(w.device));
	VK(DestroyPipeline)(w.device, w.pipeline, NULL);
	VK(DestroyPipeline)(w.device, w.pipeline_pushed, NULL);
	VK(DestroyPipelineLayout)(w.device, w.layout, NULL);
	VK(DestroyPipelineLayout)(w.device, w.layout_pushed, NULL);
	VK(DestroyDescriptorSetLayout)(w.device, w.set_layout, NULL);
	VK(DestroyDescriptorSetLayout)(w.device, w.push_layout, NULL);
	w.layout_pushed = VK_NULL_HANDLE;
	w.pipeline_pushed = VK_NULL_HANDLE;
	w.push_layout = VK_NULL_HANDLE;
	VK(DestroyDescriptorPool)(w.device, w.sets, NULL);
	VK(DestroyBufferView)(w.device, w.texel_view, NULL);
	drop_buffer(&w.source);
	drop_buffer(&w.target);
	drop_buffer(&w.back);
	drop_buffer(&w.texels);
	drop_buffer(&w.block);
	VK(DestroyCommandPool)(w.device, w.pool, NULL);
	VK(DestroyDevice)(w.device, NULL);
}
