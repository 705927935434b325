#include "migrate/exec/device.h"

#define MAX_BINDINGS 4u

static VkResult make_layouts(const struct device *d, uint32_t texels, uint32_t count, const VkPushConstantRange *push,
	VkDescriptorSetLayout *ret_set_layout, VkPipelineLayout *ret_layout)
{
	VkDescriptorSetLayoutBinding bindings[MAX_BINDINGS];
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = count,
		.pBindings = bindings,
	};
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = ret_set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = push,
	};
	VkResult result;

	for (uint32_t i = 0; i < count; i++) {
		bindings[i] = (VkDescriptorSetLayoutBinding){
			i,
			i < texels ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			1,
			VK_SHADER_STAGE_COMPUTE_BIT,
			NULL,
		};
	}
	result = d->vk.vkCreateDescriptorSetLayout(d->handle, &set, NULL, ret_set_layout);
	return result < 0 ? result : d->vk.vkCreatePipelineLayout(d->handle, &layout, NULL, ret_layout);
}

VkResult device_buffer_pipeline(const struct device *d, const uint32_t *code, size_t code_size, uint32_t texels,
	uint32_t bindings, const VkPushConstantRange *push, VkDescriptorSetLayout *ret_set_layout,
	VkPipelineLayout *ret_layout, VkPipeline *ret_pipeline)
{
	const VkShaderModuleCreateInfo module = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = code_size,
		.pCode = code,
	};
	VkComputePipelineCreateInfo pipeline = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {
			.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.pName = "main",
		},
	};
	VkResult result = make_layouts(d, texels, bindings, push, ret_set_layout, ret_layout);

	if (result >= 0)
		result = d->vk.vkCreateShaderModule(d->handle, &module, NULL, &pipeline.stage.module);
	if (result < 0)
		return result;
	pipeline.layout = *ret_layout;
	result = d->vk.vkCreateComputePipelines(d->handle, VK_NULL_HANDLE, 1, &pipeline, NULL, ret_pipeline);
	d->vk.vkDestroyShaderModule(d->handle, pipeline.stage.module, NULL);
	return result;
}
