/* Features: what the real device has, less what this driver does not offer. A feature that is not in these tables is false. */
#include "migrate/icd/icd.h"

#include <stddef.h>
#include <string.h>

#define ANY (-1)

struct feature_field {
	uint32_t offset; /* of the VkBool32 */
	bool always;     /* made by the driver; else as the real device says */
};

struct feature_struct {
	VkStructureType type;
	int extension; /* enum icd_extension that must be offered, or ANY */
	uint32_t size;
	uint32_t last; /* offset of the last VkBool32; what follows is padding */
	const struct feature_field *fields;
	size_t field_count;
};

#define REAL(s, m)                                                                                                          \
	{                                                                                                                   \
		offsetof(s, m), false                                                                                       \
	}
#define ALWAYS(s, m)                                                                                                        \
	{                                                                                                                   \
		offsetof(s, m), true                                                                                        \
	}

#define S VkPhysicalDeviceFeatures
static const struct feature_field core_fields[] = {
	REAL(S, robustBufferAccess),
	REAL(S, fullDrawIndexUint32),
	REAL(S, imageCubeArray),
	REAL(S, independentBlend),
	REAL(S, sampleRateShading),
	REAL(S, dualSrcBlend),
	REAL(S, logicOp),
	REAL(S, multiDrawIndirect),
	REAL(S, drawIndirectFirstInstance),
	REAL(S, depthClamp),
	REAL(S, depthBiasClamp),
	REAL(S, fillModeNonSolid),
	REAL(S, depthBounds),
	REAL(S, wideLines),
	REAL(S, largePoints),
	REAL(S, alphaToOne),
	REAL(S, occlusionQueryPrecise),
	REAL(S, pipelineStatisticsQuery),
	REAL(S, vertexPipelineStoresAndAtomics),
	REAL(S, fragmentStoresAndAtomics),
	REAL(S, shaderClipDistance),
	REAL(S, shaderCullDistance),
	REAL(S, samplerAnisotropy),
	REAL(S, textureCompressionETC2),
	REAL(S, textureCompressionASTC_LDR),
	REAL(S, textureCompressionBC),
	REAL(S, shaderImageGatherExtended),
	REAL(S, shaderSampledImageArrayDynamicIndexing),
	REAL(S, shaderStorageImageArrayDynamicIndexing),
	REAL(S, shaderResourceMinLod),
	REAL(S, shaderFloat64),
	REAL(S, shaderInt64),
	REAL(S, shaderInt16),
	REAL(S, shaderUniformBufferArrayDynamicIndexing),
	REAL(S, shaderStorageBufferArrayDynamicIndexing),
	REAL(S, shaderStorageImageExtendedFormats),
	REAL(S, shaderStorageImageReadWithoutFormat),
	REAL(S, shaderStorageImageWriteWithoutFormat),
};
#undef S
#define S VkPhysicalDeviceVulkan11Features
static const struct feature_field vulkan11_fields[] = {
	REAL(S, storageBuffer16BitAccess),
	REAL(S, uniformAndStorageBuffer16BitAccess),
	REAL(S, storagePushConstant16),
	REAL(S, multiview),
	REAL(S, variablePointersStorageBuffer),
	REAL(S, variablePointers),
	REAL(S, shaderDrawParameters),
};
#undef S
#define S VkPhysicalDeviceVulkan12Features
static const struct feature_field vulkan12_fields[] = {
	REAL(S, samplerMirrorClampToEdge),
	REAL(S, descriptorIndexing),
	REAL(S, drawIndirectCount),
	REAL(S, samplerFilterMinmax),
	REAL(S, shaderSampledImageArrayNonUniformIndexing),
	REAL(S, shaderStorageImageArrayNonUniformIndexing),
	REAL(S, storageBuffer8BitAccess),
	REAL(S, uniformAndStorageBuffer8BitAccess),
	REAL(S, storagePushConstant8),
	REAL(S, shaderBufferInt64Atomics),
	REAL(S, shaderSharedInt64Atomics),
	REAL(S, shaderFloat16),
	REAL(S, shaderInt8),
	REAL(S, shaderUniformTexelBufferArrayDynamicIndexing),
	REAL(S, shaderStorageTexelBufferArrayDynamicIndexing),
	REAL(S, shaderUniformBufferArrayNonUniformIndexing),
	REAL(S, shaderStorageBufferArrayNonUniformIndexing),
	REAL(S, shaderUniformTexelBufferArrayNonUniformIndexing),
	REAL(S, shaderStorageTexelBufferArrayNonUniformIndexing),
	REAL(S, shaderInputAttachmentArrayDynamicIndexing),
	REAL(S, shaderInputAttachmentArrayNonUniformIndexing),
	REAL(S, descriptorBindingSampledImageUpdateAfterBind),
	REAL(S, descriptorBindingStorageImageUpdateAfterBind),
	REAL(S, descriptorBindingUniformBufferUpdateAfterBind),
	REAL(S, descriptorBindingStorageBufferUpdateAfterBind),
	REAL(S, descriptorBindingUniformTexelBufferUpdateAfterBind),
	REAL(S, descriptorBindingStorageTexelBufferUpdateAfterBind),
	REAL(S, descriptorBindingUpdateUnusedWhilePending),
	REAL(S, descriptorBindingVariableDescriptorCount),
	REAL(S, descriptorBindingPartiallyBound),
	REAL(S, runtimeDescriptorArray),
	REAL(S, scalarBlockLayout),
	REAL(S, imagelessFramebuffer),
	REAL(S, uniformBufferStandardLayout),
	REAL(S, shaderSubgroupExtendedTypes),
	ALWAYS(S, separateDepthStencilLayouts), /* executors have one layout for all */
	ALWAYS(S, hostQueryReset),
	ALWAYS(S, timelineSemaphore),
	REAL(S, vulkanMemoryModel),
	REAL(S, vulkanMemoryModelDeviceScope),
	REAL(S, vulkanMemoryModelAvailabilityVisibilityChains),
	REAL(S, subgroupBroadcastDynamicId),
};
#undef S
#define S VkPhysicalDevice16BitStorageFeatures
static const struct feature_field storage16_fields[] = {
	REAL(S, storageBuffer16BitAccess),
	REAL(S, uniformAndStorageBuffer16BitAccess),
	REAL(S, storagePushConstant16),
};
#undef S
#define S VkPhysicalDevice8BitStorageFeatures
static const struct feature_field storage8_fields[] = {
	REAL(S, storageBuffer8BitAccess),
	REAL(S, uniformAndStorageBuffer8BitAccess),
	REAL(S, storagePushConstant8),
};
#undef S
#define S VkPhysicalDeviceVariablePointersFeatures
static const struct feature_field variable_pointers_fields[] = { REAL(S, variablePointersStorageBuffer),
	REAL(S, variablePointers) };
#undef S
#define S VkPhysicalDeviceShaderAtomicInt64Features
static const struct feature_field atomic_int64_fields[] = { REAL(S, shaderBufferInt64Atomics),
	REAL(S, shaderSharedInt64Atomics) };
#undef S
#define S VkPhysicalDeviceShaderFloat16Int8Features
static const struct feature_field float16_int8_fields[] = { REAL(S, shaderFloat16), REAL(S, shaderInt8) };
#undef S
#define S VkPhysicalDeviceScalarBlockLayoutFeatures
static const struct feature_field scalar_fields[] = { REAL(S, scalarBlockLayout) };
#undef S
#define S VkPhysicalDeviceUniformBufferStandardLayoutFeatures
static const struct feature_field uniform_layout_fields[] = { REAL(S, uniformBufferStandardLayout) };
#undef S
#define S VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures
static const struct feature_field subgroup_types_fields[] = { REAL(S, shaderSubgroupExtendedTypes) };
#undef S
#define S VkPhysicalDeviceTimelineSemaphoreFeatures
static const struct feature_field timeline_fields[] = { ALWAYS(S, timelineSemaphore) };
#undef S
#define S VkPhysicalDeviceHostQueryResetFeatures
static const struct feature_field query_reset_fields[] = { ALWAYS(S, hostQueryReset) };
#undef S
#define S VkPhysicalDeviceVulkanMemoryModelFeatures
static const struct feature_field memory_model_fields[] = {
	REAL(S, vulkanMemoryModel),
	REAL(S, vulkanMemoryModelDeviceScope),
	REAL(S, vulkanMemoryModelAvailabilityVisibilityChains),
};
#undef S
#define S VkPhysicalDeviceSubgroupSizeControlFeatures
static const struct feature_field subgroup_size_fields[] = { REAL(S, subgroupSizeControl), REAL(S, computeFullSubgroups) };
#undef S
#define S VkPhysicalDeviceMaintenance4Features
static const struct feature_field maintenance4_fields[] = { REAL(S, maintenance4) };
#undef S
#define S VkPhysicalDeviceSynchronization2Features
static const struct feature_field synchronization2_fields[] = { ALWAYS(S, synchronization2) };
#undef S
#define S VkPhysicalDeviceShaderIntegerDotProductFeatures
static const struct feature_field dot_product_fields[] = { REAL(S, shaderIntegerDotProduct) };
#undef S
#define S VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures
static const struct feature_field zero_workgroup_fields[] = { REAL(S, shaderZeroInitializeWorkgroupMemory) };
#undef S
#define S VkPhysicalDevicePrivateDataFeatures
static const struct feature_field private_data_fields[] = { ALWAYS(S, privateData) };
#undef S
#define S VkPhysicalDevicePipelineCreationCacheControlFeatures
static const struct feature_field cache_control_fields[] = { ALWAYS(S, pipelineCreationCacheControl) };
#undef S
#define S VkPhysicalDeviceShaderSubgroupUniformControlFlowFeaturesKHR
static const struct feature_field uniform_flow_fields[] = { REAL(S, shaderSubgroupUniformControlFlow) };
#undef S
#define S VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR
static const struct feature_field workgroup_layout_fields[] = {
	REAL(S, workgroupMemoryExplicitLayout),
	REAL(S, workgroupMemoryExplicitLayoutScalarBlockLayout),
	REAL(S, workgroupMemoryExplicitLayout8BitAccess),
	REAL(S, workgroupMemoryExplicitLayout16BitAccess),
};
#undef S
#define S VkPhysicalDevicePipelineRobustnessFeaturesEXT
static const struct feature_field pipeline_robustness_fields[] = { REAL(S, pipelineRobustness) };
#undef S
#define S VkPhysicalDeviceShaderAtomicFloatFeaturesEXT
static const struct feature_field atomic_float_fields[] = {
	REAL(S, shaderBufferFloat32Atomics),
	REAL(S, shaderBufferFloat32AtomicAdd),
	REAL(S, shaderBufferFloat64Atomics),
	REAL(S, shaderBufferFloat64AtomicAdd),
	REAL(S, shaderSharedFloat32Atomics),
	REAL(S, shaderSharedFloat32AtomicAdd),
	REAL(S, shaderSharedFloat64Atomics),
	REAL(S, shaderSharedFloat64AtomicAdd),
	REAL(S, shaderImageFloat32Atomics),
	REAL(S, shaderImageFloat32AtomicAdd),
};
#undef S
#define S VkPhysicalDeviceShaderAtomicFloat2FeaturesEXT
static const struct feature_field atomic_float2_fields[] = {
	REAL(S, shaderBufferFloat16Atomics),
	REAL(S, shaderBufferFloat16AtomicAdd),
	REAL(S, shaderBufferFloat16AtomicMinMax),
	REAL(S, shaderBufferFloat32AtomicMinMax),
	REAL(S, shaderBufferFloat64AtomicMinMax),
	REAL(S, shaderSharedFloat16Atomics),
	REAL(S, shaderSharedFloat16AtomicAdd),
	REAL(S, shaderSharedFloat16AtomicMinMax),
	REAL(S, shaderSharedFloat32AtomicMinMax),
	REAL(S, shaderSharedFloat64AtomicMinMax),
	REAL(S, shaderImageFloat32AtomicMinMax),
};
#undef S
#define S VkPhysicalDeviceDescriptorIndexingFeatures
static const struct feature_field indexing_fields[] = {
	REAL(S, shaderUniformTexelBufferArrayDynamicIndexing),
	REAL(S, shaderStorageTexelBufferArrayDynamicIndexing),
	REAL(S, shaderUniformBufferArrayNonUniformIndexing),
	REAL(S, shaderSampledImageArrayNonUniformIndexing),
	REAL(S, shaderStorageBufferArrayNonUniformIndexing),
	REAL(S, shaderStorageImageArrayNonUniformIndexing),
	REAL(S, shaderUniformTexelBufferArrayNonUniformIndexing),
	REAL(S, shaderStorageTexelBufferArrayNonUniformIndexing),
	REAL(S, shaderInputAttachmentArrayDynamicIndexing),
	REAL(S, shaderInputAttachmentArrayNonUniformIndexing),
	REAL(S, descriptorBindingSampledImageUpdateAfterBind),
	REAL(S, descriptorBindingStorageImageUpdateAfterBind),
	REAL(S, descriptorBindingUniformBufferUpdateAfterBind),
	REAL(S, descriptorBindingStorageBufferUpdateAfterBind),
	REAL(S, descriptorBindingUniformTexelBufferUpdateAfterBind),
	REAL(S, descriptorBindingStorageTexelBufferUpdateAfterBind),
	REAL(S, descriptorBindingUpdateUnusedWhilePending),
	REAL(S, descriptorBindingVariableDescriptorCount),
	REAL(S, descriptorBindingPartiallyBound),
	REAL(S, runtimeDescriptorArray),
};
#undef S
#define S VkPhysicalDeviceShaderClockFeaturesKHR
static const struct feature_field clock_fields[] = {
	REAL(S, shaderSubgroupClock),
	REAL(S, shaderDeviceClock),
};
#undef S
#define S VkPhysicalDeviceImageRobustnessFeatures
static const struct feature_field image_robustness_fields[] = {
	REAL(S, robustImageAccess),
};
#undef S
#define S VkPhysicalDeviceRobustness2FeaturesEXT
static const struct feature_field robustness2_fields[] = {
	REAL(S, robustBufferAccess2),
	REAL(S, robustImageAccess2),
	REAL(S, nullDescriptor),
};
#undef S
#define S VkPhysicalDeviceTexelBufferAlignmentFeaturesEXT
static const struct feature_field texel_alignment_fields[] = {
	REAL(S, texelBufferAlignment),
};
#undef S
#define S VkPhysicalDeviceCustomBorderColorFeaturesEXT
static const struct feature_field border_color_fields[] = {
	REAL(S, customBorderColors),
	REAL(S, customBorderColorWithoutFormat),
};
#undef S
#define S VkPhysicalDeviceMemoryPriorityFeaturesEXT
static const struct feature_field memory_priority_fields[] = {
	ALWAYS(S, memoryPriority),
};
#undef S
#define S VkPhysicalDeviceShaderDrawParametersFeatures
static const struct feature_field draw_parameters_fields[] = { REAL(S, shaderDrawParameters) };
#undef S
#define S VkPhysicalDeviceSeparateDepthStencilLayoutsFeatures
static const struct feature_field separate_layouts_fields[] = { ALWAYS(S, separateDepthStencilLayouts) };
#undef S
#define S VkPhysicalDeviceShaderTerminateInvocationFeatures
static const struct feature_field terminate_fields[] = { REAL(S, shaderTerminateInvocation) };
#undef S
#define S VkPhysicalDeviceShaderDemoteToHelperInvocationFeatures
static const struct feature_field demote_fields[] = { REAL(S, shaderDemoteToHelperInvocation) };
#undef S
#define S VkPhysicalDeviceIndexTypeUint8FeaturesEXT
static const struct feature_field index_fields[] = { REAL(S, indexTypeUint8) };
#undef S
#define S VkPhysicalDeviceDynamicRenderingFeatures
static const struct feature_field rendering_fields[] = { REAL(S, dynamicRendering) };
#undef S
#define S VkPhysicalDeviceInlineUniformBlockFeatures
static const struct feature_field inline_block_fields[] = {
	REAL(S, inlineUniformBlock),
	REAL(S, descriptorBindingInlineUniformBlockUpdateAfterBind),
};
#undef S
#define S VkPhysicalDeviceMultiviewFeatures
static const struct feature_field multiview_fields[] = { REAL(S, multiview) };
#undef S
#define S VkPhysicalDeviceImagelessFramebufferFeatures
static const struct feature_field imageless_fields[] = { REAL(S, imagelessFramebuffer) };
#undef S
#define S VkPhysicalDeviceExtendedDynamicStateFeaturesEXT
static const struct feature_field dynamic_state_fields[] = { ALWAYS(S, extendedDynamicState) }; /* where the extension is */
#undef S
#define S VkPhysicalDeviceExtendedDynamicState2FeaturesEXT
static const struct feature_field dynamic_state2_fields[] = { ALWAYS(S, extendedDynamicState2),
	REAL(S, extendedDynamicState2LogicOp) };
#undef S
#define S VkPhysicalDevice4444FormatsFeaturesEXT
static const struct feature_field formats_4444_fields[] = { REAL(S, formatA4R4G4B4), REAL(S, formatA4B4G4R4) };
#undef S
#define S VkPhysicalDeviceTextureCompressionASTCHDRFeatures
static const struct feature_field astc_hdr_fields[] = { REAL(S, textureCompressionASTC_HDR) };
#undef S
#define S VkPhysicalDeviceShaderImageAtomicInt64FeaturesEXT
static const struct feature_field image_int64_fields[] = { REAL(S, shaderImageInt64Atomics) };
#undef S
#define S VkPhysicalDeviceShaderSMBuiltinsFeaturesNV
static const struct feature_field sm_fields[] = { REAL(S, shaderSMBuiltins) };
#undef S
#define S VkPhysicalDeviceShaderCoreBuiltinsFeaturesARM
static const struct feature_field core_builtins_fields[] = { REAL(S, shaderCoreBuiltins) };
#undef S
#define S VkPhysicalDeviceDepthClipEnableFeaturesEXT
static const struct feature_field depth_clip_enable_fields[] = { REAL(S, depthClipEnable) };
#undef S
#define S VkPhysicalDeviceDepthClipControlFeaturesEXT
static const struct feature_field depth_clip_control_fields[] = { REAL(S, depthClipControl) };
#undef S
#define S VkPhysicalDeviceProvokingVertexFeaturesEXT
static const struct feature_field provoking_vertex_fields[] = { REAL(S, provokingVertexLast) };
#undef S
#define S VkPhysicalDeviceVertexAttributeDivisorFeaturesEXT
static const struct feature_field vertex_attribute_divisor_fields[] = { REAL(S, vertexAttributeInstanceRateDivisor),
	REAL(S, vertexAttributeInstanceRateZeroDivisor) };
#undef S
#define S VkPhysicalDeviceColorWriteEnableFeaturesEXT
static const struct feature_field color_write_enable_fields[] = { REAL(S, colorWriteEnable) };
#undef S
#define S VkPhysicalDevicePrimitiveTopologyListRestartFeaturesEXT
static const struct feature_field primitive_topology_list_restart_fields[] = { REAL(S, primitiveTopologyListRestart) };
#undef S
#define S VkPhysicalDeviceBorderColorSwizzleFeaturesEXT
static const struct feature_field border_color_swizzle_fields[] = { REAL(S, borderColorSwizzle),
	REAL(S, borderColorSwizzleFromImage) };
#undef S
#define S VkPhysicalDeviceNonSeamlessCubeMapFeaturesEXT
static const struct feature_field non_seamless_cube_map_fields[] = { REAL(S, nonSeamlessCubeMap) };
#undef S
/* Known, and nothing of them offered: a program that asks reads false. */
static const struct feature_field no_fields[1];

#define ENTRY(type, ext, s, last_member, table)                                                                             \
	{                                                                                                                   \
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##type, ext, sizeof(VkPhysicalDevice##s),                                 \
			offsetof(VkPhysicalDevice##s, last_member), table, ARRAY_SIZE(table)                                \
	}
#define NOTHING(type, s, last_member)                                                                                       \
	{                                                                                                                   \
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##type, ANY, sizeof(VkPhysicalDevice##s),                                 \
			offsetof(VkPhysicalDevice##s, last_member), no_fields, 0                                            \
	}
static const struct feature_struct structs[] = {
	ENTRY(VULKAN_1_1_FEATURES, ANY, Vulkan11Features, shaderDrawParameters, vulkan11_fields),
	ENTRY(VULKAN_1_2_FEATURES, ANY, Vulkan12Features, subgroupBroadcastDynamicId, vulkan12_fields),
	ENTRY(16BIT_STORAGE_FEATURES, ANY, 16BitStorageFeatures, storageInputOutput16, storage16_fields),
	ENTRY(8BIT_STORAGE_FEATURES, ANY, 8BitStorageFeatures, storagePushConstant8, storage8_fields),
	ENTRY(VARIABLE_POINTERS_FEATURES, ANY, VariablePointersFeatures, variablePointers, variable_pointers_fields),
	ENTRY(SHADER_ATOMIC_INT64_FEATURES, ANY, ShaderAtomicInt64Features, shaderSharedInt64Atomics, atomic_int64_fields),
	ENTRY(SHADER_FLOAT16_INT8_FEATURES, ANY, ShaderFloat16Int8Features, shaderInt8, float16_int8_fields),
	ENTRY(SCALAR_BLOCK_LAYOUT_FEATURES, ANY, ScalarBlockLayoutFeatures, scalarBlockLayout, scalar_fields),
	ENTRY(UNIFORM_BUFFER_STANDARD_LAYOUT_FEATURES, ANY, UniformBufferStandardLayoutFeatures, uniformBufferStandardLayout,
		uniform_layout_fields),
	ENTRY(SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES, ANY, ShaderSubgroupExtendedTypesFeatures, shaderSubgroupExtendedTypes,
		subgroup_types_fields),
	ENTRY(TIMELINE_SEMAPHORE_FEATURES, ANY, TimelineSemaphoreFeatures, timelineSemaphore, timeline_fields),
	ENTRY(VULKAN_MEMORY_MODEL_FEATURES, ANY, VulkanMemoryModelFeatures, vulkanMemoryModelAvailabilityVisibilityChains,
		memory_model_fields),
	ENTRY(SUBGROUP_SIZE_CONTROL_FEATURES, ICD_EXT_subgroup_size_control, SubgroupSizeControlFeatures,
		computeFullSubgroups, subgroup_size_fields),
	ENTRY(MAINTENANCE_4_FEATURES, ICD_KHR_maintenance4, Maintenance4Features, maintenance4, maintenance4_fields),
	ENTRY(SYNCHRONIZATION_2_FEATURES, ANY, Synchronization2Features, synchronization2, synchronization2_fields),
	ENTRY(SHADER_INTEGER_DOT_PRODUCT_FEATURES, ICD_KHR_shader_integer_dot_product, ShaderIntegerDotProductFeatures,
		shaderIntegerDotProduct, dot_product_fields),
	ENTRY(ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES, ICD_KHR_zero_initialize_workgroup_memory,
		ZeroInitializeWorkgroupMemoryFeatures, shaderZeroInitializeWorkgroupMemory, zero_workgroup_fields),
	ENTRY(PRIVATE_DATA_FEATURES, ANY, PrivateDataFeatures, privateData, private_data_fields),
	ENTRY(PIPELINE_CREATION_CACHE_CONTROL_FEATURES, ANY, PipelineCreationCacheControlFeatures,
		pipelineCreationCacheControl, cache_control_fields),
	ENTRY(SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_FEATURES_KHR, ICD_KHR_shader_subgroup_uniform_control_flow,
		ShaderSubgroupUniformControlFlowFeaturesKHR, shaderSubgroupUniformControlFlow, uniform_flow_fields),
	ENTRY(WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR, ICD_KHR_workgroup_memory_explicit_layout,
		WorkgroupMemoryExplicitLayoutFeaturesKHR, workgroupMemoryExplicitLayout16BitAccess, workgroup_layout_fields),
	ENTRY(PIPELINE_ROBUSTNESS_FEATURES_EXT, ICD_EXT_pipeline_robustness, PipelineRobustnessFeaturesEXT,
		pipelineRobustness, pipeline_robustness_fields),
	ENTRY(SHADER_ATOMIC_FLOAT_FEATURES_EXT, ICD_EXT_shader_atomic_float, ShaderAtomicFloatFeaturesEXT,
		sparseImageFloat32AtomicAdd, atomic_float_fields),
	ENTRY(SHADER_ATOMIC_FLOAT_2_FEATURES_EXT, ICD_EXT_shader_atomic_float2, ShaderAtomicFloat2FeaturesEXT,
		sparseImageFloat32AtomicMinMax, atomic_float2_fields),
	ENTRY(DESCRIPTOR_INDEXING_FEATURES, ANY, DescriptorIndexingFeatures, runtimeDescriptorArray, indexing_fields),
	ENTRY(SHADER_CLOCK_FEATURES_KHR, ICD_KHR_shader_clock, ShaderClockFeaturesKHR, shaderDeviceClock, clock_fields),
	ENTRY(IMAGE_ROBUSTNESS_FEATURES, ICD_EXT_image_robustness, ImageRobustnessFeatures, robustImageAccess,
		image_robustness_fields),
	ENTRY(ROBUSTNESS_2_FEATURES_EXT, ICD_EXT_robustness2, Robustness2FeaturesEXT, nullDescriptor, robustness2_fields),
	ENTRY(TEXEL_BUFFER_ALIGNMENT_FEATURES_EXT, ICD_EXT_texel_buffer_alignment, TexelBufferAlignmentFeaturesEXT,
		texelBufferAlignment, texel_alignment_fields),
	ENTRY(CUSTOM_BORDER_COLOR_FEATURES_EXT, ICD_EXT_custom_border_color, CustomBorderColorFeaturesEXT,
		customBorderColorWithoutFormat, border_color_fields),
	ENTRY(MEMORY_PRIORITY_FEATURES_EXT, ANY, MemoryPriorityFeaturesEXT, memoryPriority, memory_priority_fields),
	ENTRY(MULTIVIEW_FEATURES, ANY, MultiviewFeatures, multiviewTessellationShader, multiview_fields),
	NOTHING(PROTECTED_MEMORY_FEATURES, ProtectedMemoryFeatures, protectedMemory),
	NOTHING(SAMPLER_YCBCR_CONVERSION_FEATURES, SamplerYcbcrConversionFeatures, samplerYcbcrConversion),
	ENTRY(SHADER_DRAW_PARAMETERS_FEATURES, ANY, ShaderDrawParametersFeatures, shaderDrawParameters,
		draw_parameters_fields),
	ENTRY(IMAGELESS_FRAMEBUFFER_FEATURES, ANY, ImagelessFramebufferFeatures, imagelessFramebuffer, imageless_fields),
	ENTRY(EXTENDED_DYNAMIC_STATE_FEATURES_EXT, ICD_EXT_extended_dynamic_state, ExtendedDynamicStateFeaturesEXT,
		extendedDynamicState, dynamic_state_fields),
	ENTRY(EXTENDED_DYNAMIC_STATE_2_FEATURES_EXT, ICD_EXT_extended_dynamic_state2, ExtendedDynamicState2FeaturesEXT,
		extendedDynamicState2PatchControlPoints, dynamic_state2_fields),
	ENTRY(SHADER_IMAGE_ATOMIC_INT64_FEATURES_EXT, ICD_EXT_shader_image_atomic_int64, ShaderImageAtomicInt64FeaturesEXT,
		sparseImageInt64Atomics, image_int64_fields),
	ENTRY(SHADER_SM_BUILTINS_FEATURES_NV, ICD_NV_shader_sm_builtins, ShaderSMBuiltinsFeaturesNV, shaderSMBuiltins,
		sm_fields),
	ENTRY(SHADER_CORE_BUILTINS_FEATURES_ARM, ICD_ARM_shader_core_builtins, ShaderCoreBuiltinsFeaturesARM,
		shaderCoreBuiltins, core_builtins_fields),
	ENTRY(DEPTH_CLIP_ENABLE_FEATURES_EXT, ICD_EXT_depth_clip_enable, DepthClipEnableFeaturesEXT, depthClipEnable,
		depth_clip_enable_fields),
	ENTRY(DEPTH_CLIP_CONTROL_FEATURES_EXT, ICD_EXT_depth_clip_control, DepthClipControlFeaturesEXT, depthClipControl,
		depth_clip_control_fields),
	ENTRY(PROVOKING_VERTEX_FEATURES_EXT, ICD_EXT_provoking_vertex, ProvokingVertexFeaturesEXT,
		transformFeedbackPreservesProvokingVertex, provoking_vertex_fields),
	ENTRY(VERTEX_ATTRIBUTE_DIVISOR_FEATURES_EXT, ICD_EXT_vertex_attribute_divisor, VertexAttributeDivisorFeaturesEXT,
		vertexAttributeInstanceRateZeroDivisor, vertex_attribute_divisor_fields),
	ENTRY(COLOR_WRITE_ENABLE_FEATURES_EXT, ICD_EXT_color_write_enable, ColorWriteEnableFeaturesEXT, colorWriteEnable,
		color_write_enable_fields),
	ENTRY(PRIMITIVE_TOPOLOGY_LIST_RESTART_FEATURES_EXT, ICD_EXT_primitive_topology_list_restart,
		PrimitiveTopologyListRestartFeaturesEXT, primitiveTopologyPatchListRestart,
		primitive_topology_list_restart_fields),
	ENTRY(BORDER_COLOR_SWIZZLE_FEATURES_EXT, ICD_EXT_border_color_swizzle, BorderColorSwizzleFeaturesEXT,
		borderColorSwizzleFromImage, border_color_swizzle_fields),
	ENTRY(NON_SEAMLESS_CUBE_MAP_FEATURES_EXT, ICD_EXT_non_seamless_cube_map, NonSeamlessCubeMapFeaturesEXT,
		nonSeamlessCubeMap, non_seamless_cube_map_fields),
	ENTRY(TEXTURE_COMPRESSION_ASTC_HDR_FEATURES, ICD_EXT_texture_compression_astc_hdr, TextureCompressionASTCHDRFeatures,
		textureCompressionASTC_HDR, astc_hdr_fields),
	ENTRY(4444_FORMATS_FEATURES_EXT, ICD_EXT_4444_formats, 4444FormatsFeaturesEXT, formatA4B4G4R4, formats_4444_fields),
	ENTRY(SEPARATE_DEPTH_STENCIL_LAYOUTS_FEATURES, ANY, SeparateDepthStencilLayoutsFeatures, separateDepthStencilLayouts,
		separate_layouts_fields),
	ENTRY(SHADER_TERMINATE_INVOCATION_FEATURES, ICD_KHR_shader_terminate_invocation, ShaderTerminateInvocationFeatures,
		shaderTerminateInvocation, terminate_fields),
	ENTRY(SHADER_DEMOTE_TO_HELPER_INVOCATION_FEATURES, ICD_EXT_shader_demote_to_helper_invocation,
		ShaderDemoteToHelperInvocationFeatures, shaderDemoteToHelperInvocation, demote_fields),
	ENTRY(DYNAMIC_RENDERING_FEATURES, ICD_KHR_dynamic_rendering, DynamicRenderingFeatures, dynamicRendering,
		rendering_fields),
	ENTRY(INDEX_TYPE_UINT8_FEATURES_EXT, ICD_EXT_index_type_uint8, IndexTypeUint8FeaturesEXT, indexTypeUint8,
		index_fields),
	ENTRY(HOST_QUERY_RESET_FEATURES, ANY, HostQueryResetFeatures, hostQueryReset, query_reset_fields),
	NOTHING(BUFFER_DEVICE_ADDRESS_FEATURES, BufferDeviceAddressFeatures, bufferDeviceAddressMultiDevice),
	NOTHING(BUFFER_DEVICE_ADDRESS_FEATURES_EXT, BufferDeviceAddressFeaturesEXT, bufferDeviceAddressMultiDevice),
	ENTRY(INLINE_UNIFORM_BLOCK_FEATURES, ICD_EXT_inline_uniform_block, InlineUniformBlockFeatures,
		descriptorBindingInlineUniformBlockUpdateAfterBind, inline_block_fields),
};

static VkBool32 *field_at(void *s, uint32_t offset)
{
	return (VkBool32 *)(void *)((char *)s + offset);
}

static const struct feature_struct *find_struct(VkStructureType type)
{
	for (size_t i = 0; i < ARRAY_SIZE(structs); i++) {
		if (structs[i].type == type)
			return &structs[i];
	}
	return NULL;
}

static void fill(void *target, const void *real, const struct feature_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fields[i].always)
			*field_at(target, fields[i].offset) = VK_TRUE;
		else if (real)
			memcpy((char *)target + fields[i].offset, (const char *)real + fields[i].offset, sizeof(VkBool32));
	}
}

static void fill_core(const struct icd_physical *p, VkPhysicalDeviceFeatures *core)
{
	const VkPhysicalDeviceFeatures2 *real =
		description_struct(&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(*real));
	memset(core, 0, sizeof(*core));
	fill(core, real ? &real->features : NULL, core_fields, ARRAY_SIZE(core_fields));
}

/* Robust accesses are always offered: updates after bind only where they go with them. */
bool icd_features_indexing(const struct icd_physical *p)
{
	const VkPhysicalDeviceVulkan12Properties *v =
		description_struct(&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, sizeof(*v));
	return v && v->robustBufferAccessUpdateAfterBind;
}

static void drop_late(VkBaseOutStructure *s)
{
	switch ((int)s->sType) {
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: {
		VkPhysicalDeviceVulkan12Features *v = (void *)s;
		v->descriptorIndexing = VK_FALSE;
		v->descriptorBindingUniformBufferUpdateAfterBind = v->descriptorBindingStorageBufferUpdateAfterBind =
			v->descriptorBindingUniformTexelBufferUpdateAfterBind =
				v->descriptorBindingStorageTexelBufferUpdateAfterBind = VK_FALSE;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DESCRIPTOR_INDEXING_FEATURES: {
		VkPhysicalDeviceDescriptorIndexingFeatures *v = (void *)s;
		v->descriptorBindingUniformBufferUpdateAfterBind = v->descriptorBindingStorageBufferUpdateAfterBind =
			v->descriptorBindingUniformTexelBufferUpdateAfterBind =
				v->descriptorBindingStorageTexelBufferUpdateAfterBind = VK_FALSE;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES:
		((VkPhysicalDeviceInlineUniformBlockFeatures *)(void *)s)
			->descriptorBindingInlineUniformBlockUpdateAfterBind = VK_FALSE;
		return;
	}
}

/* s: a struct of that type; all of its features are written, its head stays. */
static void fill_struct(const struct icd_physical *p, const struct feature_struct *f, void *s)
{
	memset((char *)s + sizeof(VkBaseOutStructure), 0, f->last + sizeof(VkBool32) - sizeof(VkBaseOutStructure));
	if (f->extension == ANY || p->extensions[f->extension])
		fill(s, description_struct(&p->description, f->type, f->size), f->fields, f->field_count);
	if (!icd_features_indexing(p))
		drop_late(s);
}

void icd_features_fill(const struct icd_physical *p, VkPhysicalDeviceFeatures *core, void *chain)
{
	if (core)
		fill_core(p, core);
	for (VkBaseOutStructure *s = chain; s; s = s->pNext) {
		const struct feature_struct *f = find_struct(s->sType);
		if (f)
			fill_struct(p, f, s);
	}
}

static bool covers(const void *offered, const void *asked, uint32_t first, uint32_t last)
{
	for (uint32_t at = first; at <= last; at += sizeof(VkBool32)) {
		VkBool32 has, wants;
		memcpy(&has, (const char *)offered + at, sizeof(has));
		memcpy(&wants, (const char *)asked + at, sizeof(wants));
		if (wants && !has)
			return false;
	}
	return true;
}

bool icd_features_offered(const struct icd_physical *p, const VkPhysicalDeviceFeatures *core, const void *chain)
{
	VkPhysicalDeviceFeatures offered_core;
	fill_core(p, &offered_core);
	const VkPhysicalDeviceFeatures2 *all = icd_chain_find(chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
	if (core && !covers(&offered_core, core, 0, sizeof(offered_core) - sizeof(VkBool32)))
		return false;
	if (all && !covers(&offered_core, &all->features, 0, sizeof(offered_core) - sizeof(VkBool32)))
		return false;
	for (const VkBaseInStructure *s = chain; s; s = s->pNext) {
		const struct feature_struct *f = find_struct(s->sType);
		union {
			VkPhysicalDeviceVulkan12Features largest;
			char bytes[512];
		} offered_struct;
		if (!f)
			continue;
		((VkBaseOutStructure *)(void *)&offered_struct)->sType = f->type;
		fill_struct(p, f, &offered_struct);
		if (!covers(&offered_struct, s, sizeof(VkBaseOutStructure), f->last))
			return false;
	}
	return true;
}
