/* Features that leave no trace in SPIR-V capabilities, pipelines or commands: what a program enables counts as used. */
#include "migrate/icd/stream.h"

#include <string.h>

struct enabled {
	VkStructureType type; /* of the struct that enables it */
	uint32_t offset;
	VkStructureType need; /* where descriptions tell of it */
	uint32_t need_offset;
};

#define TYPE(stype) VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##stype
#define AT(s, member) offsetof(VkPhysicalDevice##s, member)
#define FEATURE(stype, s, member)                                                                                           \
	{                                                                                                                   \
		TYPE(stype), AT(s, member), TYPE(stype), AT(s, member)                                                      \
	}
#define IN_VULKAN_1_2(stype, s, member)                                                                                     \
	{                                                                                                                   \
		TYPE(stype), AT(s, member), TYPE(VULKAN_1_2_FEATURES), AT(Vulkan12Features, member)                         \
	}
#define CORE(member) FEATURE(FEATURES_2, Features2, features.member)

static const struct enabled known[] = {
	CORE(robustBufferAccess),
	CORE(fullDrawIndexUint32),
	CORE(independentBlend),
	CORE(sampleRateShading),
	CORE(dualSrcBlend),
	CORE(logicOp),
	CORE(multiDrawIndirect),
	CORE(drawIndirectFirstInstance),
	CORE(depthClamp),
	CORE(depthBiasClamp),
	CORE(fillModeNonSolid),
	CORE(depthBounds),
	CORE(wideLines),
	CORE(largePoints),
	CORE(alphaToOne),
	CORE(occlusionQueryPrecise),
	CORE(vertexPipelineStoresAndAtomics),
	CORE(fragmentStoresAndAtomics),
	FEATURE(VULKAN_1_2_FEATURES, Vulkan12Features, scalarBlockLayout),
	IN_VULKAN_1_2(SCALAR_BLOCK_LAYOUT_FEATURES, ScalarBlockLayoutFeatures, scalarBlockLayout),
	FEATURE(VULKAN_1_2_FEATURES, Vulkan12Features, uniformBufferStandardLayout),
	IN_VULKAN_1_2(
		UNIFORM_BUFFER_STANDARD_LAYOUT_FEATURES, UniformBufferStandardLayoutFeatures, uniformBufferStandardLayout),
	FEATURE(ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES, ZeroInitializeWorkgroupMemoryFeatures,
		shaderZeroInitializeWorkgroupMemory),
	FEATURE(ROBUSTNESS_2_FEATURES_EXT, Robustness2FeaturesEXT, robustBufferAccess2),
	FEATURE(ROBUSTNESS_2_FEATURES_EXT, Robustness2FeaturesEXT, robustImageAccess2),
	FEATURE(ROBUSTNESS_2_FEATURES_EXT, Robustness2FeaturesEXT, nullDescriptor),
	FEATURE(IMAGE_ROBUSTNESS_FEATURES, ImageRobustnessFeatures, robustImageAccess),
	FEATURE(TEXEL_BUFFER_ALIGNMENT_FEATURES_EXT, TexelBufferAlignmentFeaturesEXT, texelBufferAlignment),
	FEATURE(DEPTH_CLIP_ENABLE_FEATURES_EXT, DepthClipEnableFeaturesEXT, depthClipEnable),
	FEATURE(DEPTH_CLIP_CONTROL_FEATURES_EXT, DepthClipControlFeaturesEXT, depthClipControl),
	FEATURE(PROVOKING_VERTEX_FEATURES_EXT, ProvokingVertexFeaturesEXT, provokingVertexLast),
	FEATURE(VERTEX_ATTRIBUTE_DIVISOR_FEATURES_EXT, VertexAttributeDivisorFeaturesEXT,
		vertexAttributeInstanceRateDivisor),
	FEATURE(VERTEX_ATTRIBUTE_DIVISOR_FEATURES_EXT, VertexAttributeDivisorFeaturesEXT,
		vertexAttributeInstanceRateZeroDivisor),
	FEATURE(COLOR_WRITE_ENABLE_FEATURES_EXT, ColorWriteEnableFeaturesEXT, colorWriteEnable),
	FEATURE(PRIMITIVE_TOPOLOGY_LIST_RESTART_FEATURES_EXT, PrimitiveTopologyListRestartFeaturesEXT,
		primitiveTopologyListRestart),
	FEATURE(BORDER_COLOR_SWIZZLE_FEATURES_EXT, BorderColorSwizzleFeaturesEXT, borderColorSwizzle),
	FEATURE(BORDER_COLOR_SWIZZLE_FEATURES_EXT, BorderColorSwizzleFeaturesEXT, borderColorSwizzleFromImage),
	FEATURE(NON_SEAMLESS_CUBE_MAP_FEATURES_EXT, NonSeamlessCubeMapFeaturesEXT, nonSeamlessCubeMap),
	FEATURE(SHADER_TERMINATE_INVOCATION_FEATURES, ShaderTerminateInvocationFeatures, shaderTerminateInvocation),
};

static bool is_enabled(const VkDeviceCreateInfo *info, const struct enabled *e)
{
	const char *from = icd_chain_find(info->pNext, e->type);
	VkBool32 ret = VK_FALSE;
	if (from)
		memcpy(&ret, from + e->offset, sizeof(ret));
	else if (e->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 && info->pEnabledFeatures)
		memcpy(&ret, (const char *)info->pEnabledFeatures + e->offset - AT(Features2, features), sizeof(ret));
	return ret;
}

/* What shaders with subgroup operations use, once there is one. */
static void keep_subgroup_features(struct icd_device *d, const VkDeviceCreateInfo *info)
{
	const VkPhysicalDeviceVulkan12Features *v12 = icd_chain_find(info->pNext, TYPE(VULKAN_1_2_FEATURES));
	const VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures *types =
		icd_chain_find(info->pNext, TYPE(SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES));
	const VkPhysicalDeviceShaderSubgroupUniformControlFlowFeaturesKHR *flow =
		icd_chain_find(info->pNext, TYPE(SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_FEATURES_KHR));
	d->subgroups.extended_types =
		(v12 && v12->shaderSubgroupExtendedTypes) || (types && types->shaderSubgroupExtendedTypes);
	d->subgroups.dynamic_broadcast = v12 && v12->subgroupBroadcastDynamicId;
	d->subgroups.uniform_flow = flow && flow->shaderSubgroupUniformControlFlow;
}

void icd_tell_enabled(struct icd_device *d, const VkDeviceCreateInfo *info)
{
	/* Extensions that neither a feature nor a capability tells of. */
	static const enum icd_extension unseen[] = { ICD_GOOGLE_decorate_string, ICD_GOOGLE_hlsl_functionality1,
		ICD_GOOGLE_user_type, ICD_EXT_depth_range_unrestricted, ICD_EXT_load_store_op_none };
	for (uint32_t i = 0; i < ARRAY_SIZE(unseen); i++) {
		if (d->extensions[unseen[i]])
			icd_need_extension(d, unseen[i]);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (is_enabled(info, &known[i]))
			icd_need_feature(d, known[i].need, known[i].need_offset);
	}
	keep_subgroup_features(d, info);
}
