/* Shader modules, pipeline layouts, pipelines, pipeline caches. */
#include "migrate/icd/pipeline.h"
#include "migrate/icd/command.h"
#include "migrate/icd/descriptor.h"
#include "migrate/icd/render.h"
#include "migrate/icd/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <spirv/unified1/spirv.h>

struct shader_module {
	struct icd_object object;
	size_t size; /* bytes */
	uint32_t code[];
};

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateShaderModule(VkDevice device, const VkShaderModuleCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkShaderModule *ret_module)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct spirv_info spirv;
	int error = spirv_reflect(info->pCode, info->codeSize, NULL, NULL, &spirv);
	if (error) /* the only code that the call may return for this */
		return error == -ENOMEM ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_ERROR_UNKNOWN;
	spirv_info_finish(&spirv);
	struct shader_module *m = icd_object_create(sizeof(*m) + info->codeSize);
	if (!m)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	m->object.id = icd_new_id(d);
	m->size = info->codeSize;
	memcpy(m->code, info->pCode, info->codeSize);
	wire_encode_vkCreateShaderModule(icd_record_begin(d), info, m->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, m->object.id, 0);
	if (result != VK_SUCCESS) {
		free(m);
		return result;
	}
	*ret_module = ICD_HANDLE(VkShaderModule, m);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyShaderModule(
	VkDevice device, VkShaderModule module, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct shader_module *m = ICD_FROM(shader_module, module);
	if (!m)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, m->object.id);
	free(m);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreatePipelineLayout(VkDevice device, const VkPipelineLayoutCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkPipelineLayout *ret_layout)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_pipeline_layout *l = icd_object_create(sizeof(*l));
	if (!l)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	l->object.id = icd_new_id(d);
	atomic_store(&l->references, 1);
	l->set_count = info->setLayoutCount;
	if (info->setLayoutCount > ICD_MAX_SETS)
		goto fail;
	for (uint32_t i = 0; i < info->setLayoutCount; i++)
		l->sets[i] = icd_set_layout_ref(ICD_FROM(icd_set_layout, info->pSetLayouts[i]));
	icd_need_limit(d, ICD_LIMIT_BOUND_SETS, info->setLayoutCount);
	for (uint32_t i = 0; i < info->pushConstantRangeCount; i++)
		icd_need_limit(d, ICD_LIMIT_PUSH_CONSTANTS,
			info->pPushConstantRanges[i].offset + info->pPushConstantRanges[i].size);
	icd_layout_tell_needs(d, l);
	wire_encode_vkCreatePipelineLayout(icd_record_begin(d), info, l->object.id);
	if (icd_record_end(d, RECORD_CREATE, l->object.id, 0) != VK_SUCCESS)
		goto fail;
	*ret_layout = ICD_HANDLE(VkPipelineLayout, l);
	return VK_SUCCESS;

fail:
	icd_pipeline_layout_free(l);
	return VK_ERROR_OUT_OF_HOST_MEMORY;
}

void icd_pipeline_layout_unref(struct icd_device *d, struct icd_pipeline_layout *l)
{
	if (atomic_fetch_sub(&l->references, 1) > 1)
		return;
	icd_record_plain(d, RECORD_DESTROY, l->object.id);
	icd_pipeline_layout_free(l);
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyPipelineLayout(
	VkDevice device, VkPipelineLayout layout, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_pipeline_layout *l = ICD_FROM(icd_pipeline_layout, layout);
	if (!l)
		return;
	icd_pipeline_layout_unref(ICD_FROM(icd_device, device), l);
}

/* OpExecutionModeId … LocalSizeId: needs maintenance4, and no capability tells. */
static bool uses_local_size_id(const struct shader_module *m)
{
	size_t words = m->size / 4;
	for (size_t at = 5; at < words;) {
		uint32_t length = m->code[at] >> SpvWordCountShift, op = m->code[at] & SpvOpCodeMask;
		if (length == 0 || length > words - at || op == SpvOpFunction)
			return false;
		if (op == SpvOpExecutionModeId && length > 2 && m->code[at + 2] == SpvExecutionModeLocalSizeId)
			return true;
		at += length;
	}
	return false;
}

static uint32_t device_subgroup_size(const struct icd_device *d)
{
	const VkPhysicalDeviceSubgroupProperties *p = description_struct(
		&d->physical->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*p));
	return p ? p->subgroupSize : 0;
}

#define HINTS                                                                                                               \
	((VkPipelineCreateFlags)(VK_PIPELINE_CREATE_DERIVATIVE_BIT | VK_PIPELINE_CREATE_ALLOW_DERIVATIVES_BIT |             \
		VK_PIPELINE_CREATE_EARLY_RETURN_ON_FAILURE_BIT))

static void tell_subgroup_features(struct icd_device *d)
{
	if (d->subgroups.extended_types)
		ICD_NEED_FEATURE(d, VULKAN_1_2_FEATURES, Vulkan12Features, shaderSubgroupExtendedTypes);
	if (d->subgroups.dynamic_broadcast)
		ICD_NEED_FEATURE(d, VULKAN_1_2_FEATURES, Vulkan12Features, subgroupBroadcastDynamicId);
	if (d->subgroups.uniform_flow)
		ICD_NEED_FEATURE(d, SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_FEATURES_KHR,
			ShaderSubgroupUniformControlFlowFeaturesKHR, shaderSubgroupUniformControlFlow);
}

/* Also what a shader declares but does not use counts: a driver may refuse the module for it. */
static void tell_needs(struct icd_device *d, const VkPipelineShaderStageCreateInfo *stage, const void *pipeline_chain,
	const struct shader_module *m, const struct spirv_info *spirv)
{
	for (size_t i = 0; i < spirv->capability_count; i++)
		icd_need(d, NEED_SPIRV_CAPABILITY, spirv->capabilities[i], 0);
	if (spirv->local_size_known) {
		for (unsigned i = 0; i < 3; i++)
			icd_need_limit(d, ICD_LIMIT_SIZE_X + i, spirv->local_size[i]);
		icd_need_limit(d, ICD_LIMIT_INVOCATIONS,
			(uint64_t)spirv->local_size[0] * spirv->local_size[1] * spirv->local_size[2]);
	}
	icd_need_limit(d, ICD_LIMIT_SHARED_MEMORY, spirv->workgroup_bytes);
	const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *required =
		icd_chain_find(stage->pNext, VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
	if (required) {
		ICD_NEED_FEATURE(d, SUBGROUP_SIZE_CONTROL_FEATURES, SubgroupSizeControlFeatures, subgroupSizeControl);
		icd_need(d, NEED_SUBGROUP_SIZE, required->requiredSubgroupSize, 1);
		if (spirv->local_size_known && required->requiredSubgroupSize)
			icd_need_limit(d, ICD_LIMIT_WORKGROUP_SUBGROUPS,
				((uint64_t)spirv->local_size[0] * spirv->local_size[1] * spirv->local_size[2] +
					required->requiredSubgroupSize - 1) /
					required->requiredSubgroupSize);
	} else if (spirv->uses_subgroups && device_subgroup_size(d)) {
		icd_need(d, NEED_SUBGROUP_SIZE, device_subgroup_size(d), 0);
	}
	if (spirv->uses_subgroups)
		tell_subgroup_features(d);
	if (stage->flags & VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT)
		ICD_NEED_FEATURE(d, SUBGROUP_SIZE_CONTROL_FEATURES, SubgroupSizeControlFeatures, computeFullSubgroups);
	if (uses_local_size_id(m))
		ICD_NEED_FEATURE(d, MAINTENANCE_4_FEATURES, Maintenance4Features, maintenance4);
	if (icd_chain_find(stage->pNext, VK_STRUCTURE_TYPE_PIPELINE_ROBUSTNESS_CREATE_INFO_EXT) ||
		icd_chain_find(pipeline_chain, VK_STRUCTURE_TYPE_PIPELINE_ROBUSTNESS_CREATE_INFO_EXT))
		icd_need_extension(d, ICD_EXT_pipeline_robustness);
}

/* Appends what the stage may touch to uses (struct icd_use[]), and tells its needs. */
static VkResult read_stage(
	struct icd_device *d, const VkPipelineShaderStageCreateInfo *stage, const void *pipeline_chain, struct buf *uses)
{
	const struct shader_module *m = ICD_FROM(shader_module, stage->module);
	struct spirv_info spirv;
	int error = spirv_reflect(m->code, m->size, stage->pName, stage->pSpecializationInfo, &spirv);
	if (error)
		return error == -ENOMEM ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_ERROR_UNKNOWN;
	for (size_t i = 0; i < spirv.variable_count; i++) {
		const struct spirv_variable *v = &spirv.variables[i];
		const struct icd_use use = { v->set, v->binding, !v->non_writable };
		if (v->type != VK_DESCRIPTOR_TYPE_SAMPLER)
			buf_append(uses, &use, sizeof(use));
	}
	tell_needs(d, stage, pipeline_chain, m, &spirv);
	spirv_info_finish(&spirv);
	return uses->failed ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_SUCCESS;
}

/* Takes the uses. NULL when out of memory. */
static struct icd_pipeline *pipeline_create(struct icd_device *d, struct buf *uses)
{
	struct icd_pipeline *p = icd_object_create(sizeof(*p) + uses->size);
	if (p) {
		p->object.id = icd_new_id(d);
		p->use_count = (uint32_t)(uses->size / sizeof(p->uses[0]));
		if (uses->size)
			memcpy(p->uses, uses->data, uses->size);
	}
	buf_finish(uses);
	return p;
}

static VkResult finish_pipeline(struct icd_device *d, struct icd_pipeline *p, VkPipeline *ret_pipeline)
{
	VkResult result = icd_record_end(d, RECORD_CREATE, p->object.id, 0);
	if (result != VK_SUCCESS) {
		free(p);
		return result;
	}
	*ret_pipeline = ICD_HANDLE(VkPipeline, p);
	return VK_SUCCESS;
}

static VkResult create_compute(struct icd_device *d, const void *any, VkPipeline *ret_pipeline)
{
	const VkComputePipelineCreateInfo *info = any;
	struct buf uses = { 0 };
	if (info->flags & VK_PIPELINE_CREATE_FAIL_ON_PIPELINE_COMPILE_REQUIRED_BIT)
		return VK_PIPELINE_COMPILE_REQUIRED; /* no pipeline is ever there already */
	VkResult result = read_stage(d, &info->stage, info->pNext, &uses);
	if (result != VK_SUCCESS) {
		buf_finish(&uses);
		return result;
	}
	struct icd_pipeline *p = pipeline_create(d, &uses);
	if (!p)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	/* Derivatives are a hint; without them pipelines do not depend on each other. */
	VkComputePipelineCreateInfo sent = *info;
	sent.flags &= ~HINTS;
	sent.basePipelineHandle = VK_NULL_HANDLE;
	sent.basePipelineIndex = -1;
	wire_encode_vkCreateComputePipelines(icd_record_begin(d), &sent, p->object.id);
	return finish_pipeline(d, p, ret_pipeline);
}

/* What Vulkan ignores may be garbage, and depends on other members: here it becomes NULL. */
struct graphics {
	VkGraphicsPipelineCreateInfo info;
	VkPipelineViewportStateCreateInfo viewport;
	VkPipelineRenderingCreateInfo rendering;
	VkPipelineRobustnessCreateInfoEXT robustness;
};

static bool is_dynamic(const VkGraphicsPipelineCreateInfo *info, VkDynamicState state)
{
	for (uint32_t i = 0; info->pDynamicState && i < info->pDynamicState->dynamicStateCount; i++)
		if (info->pDynamicState->pDynamicStates[i] == state)
			return true;
	return false;
}

/* What of the chain travels, and the attachments that it tells of. */
static struct icd_subpass take_chain(const VkGraphicsPipelineCreateInfo *info, struct graphics *ret)
{
	const VkPipelineRenderingCreateInfo *rendering =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO);
	const VkPipelineRobustnessCreateInfoEXT *robustness =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PIPELINE_ROBUSTNESS_CREATE_INFO_EXT);
	ret->info = *info;
	ret->info.pNext = NULL;
	if (robustness) {
		ret->robustness = *robustness;
		ret->robustness.pNext = NULL;
		ret->info.pNext = &ret->robustness;
	}
	if (info->renderPass)
		return (struct icd_subpass){ 0 };
	ret->rendering = rendering
		? *rendering
		: (VkPipelineRenderingCreateInfo){ .sType = VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO };
	ret->rendering.pNext = ret->info.pNext;
	ret->info.pNext = &ret->rendering;
	ret->info.subpass = 0;
	return (struct icd_subpass){ .has_color = ret->rendering.colorAttachmentCount,
		.has_depth = ret->rendering.depthAttachmentFormat || ret->rendering.stencilAttachmentFormat };
}

static void clean_graphics(const VkGraphicsPipelineCreateInfo *info, struct graphics *ret)
{
	const struct icd_render_pass *pass = ICD_FROM(icd_render_pass, info->renderPass);
	const struct icd_subpass *subpass =
		pass && info->subpass < pass->subpass_count ? &pass->subpasses[info->subpass] : NULL;
	const struct icd_subpass formats = take_chain(info, ret);
	if (!pass)
		subpass = &formats;
	ret->info.flags &= ~HINTS;
	ret->info.basePipelineIndex = -1;
	if (info->pRasterizationState->rasterizerDiscardEnable &&
		!is_dynamic(info, VK_DYNAMIC_STATE_RASTERIZER_DISCARD_ENABLE)) {
		ret->info.pViewportState = NULL;
		ret->info.pMultisampleState = NULL;
		ret->info.pDepthStencilState = NULL;
		ret->info.pColorBlendState = NULL;
		return;
	}
	if (!subpass || !subpass->has_depth)
		ret->info.pDepthStencilState = NULL;
	if (!subpass || !subpass->has_color)
		ret->info.pColorBlendState = NULL;
	ret->viewport = *info->pViewportState;
	if (is_dynamic(info, VK_DYNAMIC_STATE_VIEWPORT) || is_dynamic(info, VK_DYNAMIC_STATE_VIEWPORT_WITH_COUNT))
		ret->viewport.pViewports = NULL;
	if (is_dynamic(info, VK_DYNAMIC_STATE_SCISSOR) || is_dynamic(info, VK_DYNAMIC_STATE_SCISSOR_WITH_COUNT))
		ret->viewport.pScissors = NULL;
	ret->info.pViewportState = &ret->viewport;
}

/* What is set while recording is used there, too; the pipeline is the first to tell. */
static void tell_dynamic_states(struct icd_device *d, const VkGraphicsPipelineCreateInfo *info)
{
	for (uint32_t i = 0; info->pDynamicState && i < info->pDynamicState->dynamicStateCount; i++) {
		VkDynamicState state = info->pDynamicState->pDynamicStates[i];
		if (state == VK_DYNAMIC_STATE_LOGIC_OP_EXT)
			ICD_NEED_FEATURE(d, EXTENDED_DYNAMIC_STATE_2_FEATURES_EXT, ExtendedDynamicState2FeaturesEXT,
				extendedDynamicState2LogicOp);
		if (state >= VK_DYNAMIC_STATE_CULL_MODE && state <= VK_DYNAMIC_STATE_STENCIL_OP)
			icd_need_extension(d, ICD_EXT_extended_dynamic_state);
		else if (state >= VK_DYNAMIC_STATE_RASTERIZER_DISCARD_ENABLE &&
			state <= VK_DYNAMIC_STATE_PRIMITIVE_RESTART_ENABLE)
			icd_need_extension(d, ICD_EXT_extended_dynamic_state2);
	}
}

static VkResult create_graphics(struct icd_device *d, const void *any, VkPipeline *ret_pipeline)
{
	const VkGraphicsPipelineCreateInfo *info = any;
	struct buf uses = { 0 };
	struct graphics g;
	VkResult result = VK_SUCCESS;
	if (info->flags & VK_PIPELINE_CREATE_FAIL_ON_PIPELINE_COMPILE_REQUIRED_BIT)
		return VK_PIPELINE_COMPILE_REQUIRED;
	for (uint32_t i = 0; i < info->stageCount && result == VK_SUCCESS; i++)
		result = read_stage(d, &info->pStages[i], info->pNext, &uses);
	if (result != VK_SUCCESS) {
		buf_finish(&uses);
		return result;
	}
	struct icd_pipeline *p = pipeline_create(d, &uses);
	if (!p)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	clean_graphics(info, &g);
	if (!info->renderPass) {
		icd_need_rendering(d);
		icd_need_views(d, g.rendering.viewMask);
	}
	tell_dynamic_states(d, info);
	if (g.info.pVertexInputState) {
		icd_need_limit(d, ICD_LIMIT_VERTEX_BINDINGS, g.info.pVertexInputState->vertexBindingDescriptionCount);
		icd_need_limit(d, ICD_LIMIT_VERTEX_ATTRIBUTES, g.info.pVertexInputState->vertexAttributeDescriptionCount);
		for (uint32_t i = 0; i < g.info.pVertexInputState->vertexAttributeDescriptionCount; i++) {
			VkFormat format = g.info.pVertexInputState->pVertexAttributeDescriptions[i].format;
			icd_need(d, NEED_FORMAT, (uint64_t)format, VK_FORMAT_FEATURE_VERTEX_BUFFER_BIT);
		}
	}
	if (g.info.pColorBlendState)
		icd_need_limit(d, ICD_LIMIT_COLOR_ATTACHMENTS, g.info.pColorBlendState->attachmentCount);
	wire_encode_vkCreateGraphicsPipelines(icd_record_begin(d), &g.info, p->object.id);
	return finish_pipeline(d, p, ret_pipeline);
}

static void no_feedback(const void *chain)
{
	const VkPipelineCreationFeedbackCreateInfo *f =
		icd_chain_find(chain, VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO);
	if (!f)
		return;
	*f->pPipelineCreationFeedback = (VkPipelineCreationFeedback){ 0 }; /* not valid: it is made elsewhere, later */
	for (uint32_t i = 0; i < f->pipelineStageCreationFeedbackCount; i++)
		f->pPipelineStageCreationFeedbacks[i] = (VkPipelineCreationFeedback){ 0 };
}

/* Of one pipeline of several. A real error outweighs COMPILE_REQUIRED. */
static void note_result(VkResult *result, bool *stop, VkResult one, VkPipelineCreateFlags flags)
{
	if (one == VK_SUCCESS)
		return;
	if (*result >= 0)
		*result = one;
	*stop = flags & VK_PIPELINE_CREATE_EARLY_RETURN_ON_FAILURE_BIT;
}

/* Executors compile them while the program goes on. */
static void publish(struct icd_device *d)
{
	pthread_mutex_lock(&d->mutex);
	icd_publish(d);
	pthread_mutex_unlock(&d->mutex);
}

/* What the infos of all kinds of pipelines begin with. */
struct pipeline_head {
	VkStructureType sType;
	const void *pNext;
	VkPipelineCreateFlags flags;
};
_Static_assert(offsetof(struct pipeline_head, flags) == offsetof(VkComputePipelineCreateInfo, flags) &&
		offsetof(struct pipeline_head, flags) == offsetof(VkGraphicsPipelineCreateInfo, flags),
	"the infos begin alike");

/* infos: count of them, each of `size` bytes. */
static VkResult create_pipelines(VkDevice device, const void *infos, size_t size, uint32_t count,
	VkResult (*create)(struct icd_device *d, const void *info, VkPipeline *ret_pipeline), VkPipeline *ret_pipelines)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	VkResult result = VK_SUCCESS;
	bool stop = false;
	for (uint32_t i = 0; i < count; i++) {
		const struct pipeline_head *info = (const void *)((const char *)infos + i * size);
		ret_pipelines[i] = VK_NULL_HANDLE;
		no_feedback(info->pNext);
		if (!stop)
			note_result(&result, &stop, create(d, info, &ret_pipelines[i]), info->flags);
	}
	publish(d);
	return result;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
	const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *allocator, VkPipeline *ret_pipelines)
{
	(void)cache, (void)allocator;
	return create_pipelines(device, infos, sizeof(*infos), count, create_compute, ret_pipelines);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateGraphicsPipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
	const VkGraphicsPipelineCreateInfo *infos, const VkAllocationCallbacks *allocator, VkPipeline *ret_pipelines)
{
	(void)cache, (void)allocator;
	return create_pipelines(device, infos, sizeof(*infos), count, create_graphics, ret_pipelines);
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyPipeline(VkDevice device, VkPipeline pipeline, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_pipeline *p = ICD_FROM(icd_pipeline, pipeline);
	if (!p)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, p->object.id);
	free(p);
}

/* The program's caches are empty: executors keep one per GPU. */
VKAPI_ATTR VkResult VKAPI_CALL icd_CreatePipelineCache(VkDevice device, const VkPipelineCacheCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkPipelineCache *ret_cache)
{
	(void)device, (void)info, (void)allocator;
	struct icd_object *cache = icd_object_create(sizeof(*cache));
	if (!cache)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	*ret_cache = ICD_HANDLE(VkPipelineCache, cache);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyPipelineCache(
	VkDevice device, VkPipelineCache cache, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	free(ICD_FROM(icd_object, cache));
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetPipelineCacheData(VkDevice device, VkPipelineCache cache, size_t *size, void *data)
{
	(void)cache;
	const VkPhysicalDeviceProperties *p = &ICD_FROM(icd_device, device)->physical->properties;
	VkPipelineCacheHeaderVersionOne header = {
		.headerSize = sizeof(header),
		.headerVersion = VK_PIPELINE_CACHE_HEADER_VERSION_ONE,
		.vendorID = p->vendorID,
		.deviceID = p->deviceID,
	};
	memcpy(header.pipelineCacheUUID, p->pipelineCacheUUID, VK_UUID_SIZE);
	if (!data) {
		*size = sizeof(header);
		return VK_SUCCESS;
	}
	if (*size < sizeof(header)) {
		*size = 0;
		return VK_INCOMPLETE;
	}
	memcpy(data, &header, sizeof(header));
	*size = sizeof(header);
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_MergePipelineCaches(
	VkDevice device, VkPipelineCache target, uint32_t count, const VkPipelineCache *sources)
{
	(void)device, (void)target, (void)count, (void)sources;
	return VK_SUCCESS;
}
