#include "migrate/exec/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "gpu/instance.h"

/* Extensions that compute programs use where the driver has them. An extension that this version of Vulkan has in its core is
 * left out when the device's version has it. */
static const struct {
	const char *name;
	uint32_t core; /* version that includes it, 0 none */
} wanted_extensions[] = {
	{ VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME, 0 },
	{ VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_COPY_COMMANDS_2_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_MAINTENANCE_4_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_SHADER_NON_SEMANTIC_INFO_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_SHADER_TERMINATE_INVOCATION_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_SHADER_DEMOTE_TO_HELPER_INVOCATION_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_DYNAMIC_RENDERING_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_INDEX_TYPE_UINT8_EXTENSION_NAME, 0 },
	{ VK_EXT_EXTENDED_DYNAMIC_STATE_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_EXTENDED_DYNAMIC_STATE_2_EXTENSION_NAME, 0 }, /* not all of it is in the core */
	{ VK_EXT_BORDER_COLOR_SWIZZLE_EXTENSION_NAME, 0 },
	{ VK_EXT_COLOR_WRITE_ENABLE_EXTENSION_NAME, 0 },
	{ VK_EXT_DEPTH_CLIP_CONTROL_EXTENSION_NAME, 0 },
	{ VK_EXT_DEPTH_CLIP_ENABLE_EXTENSION_NAME, 0 },
	{ VK_EXT_DEPTH_RANGE_UNRESTRICTED_EXTENSION_NAME, 0 },
	{ VK_EXT_LOAD_STORE_OP_NONE_EXTENSION_NAME, 0 },
	{ VK_EXT_NON_SEAMLESS_CUBE_MAP_EXTENSION_NAME, 0 },
	{ VK_EXT_POST_DEPTH_COVERAGE_EXTENSION_NAME, 0 },
	{ VK_EXT_PRIMITIVE_TOPOLOGY_LIST_RESTART_EXTENSION_NAME, 0 },
	{ VK_EXT_PROVOKING_VERTEX_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_STENCIL_EXPORT_EXTENSION_NAME, 0 },
	{ VK_EXT_VERTEX_ATTRIBUTE_DIVISOR_EXTENSION_NAME, 0 },
	{ VK_EXT_4444_FORMATS_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_IMAGE_ATOMIC_INT64_EXTENSION_NAME, 0 },
	{ VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME, 0 },
	{ VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME, 0 },
	{ VK_EXT_TEXTURE_COMPRESSION_ASTC_HDR_EXTENSION_NAME, 0 },
	{ VK_KHR_ZERO_INITIALIZE_WORKGROUP_MEMORY_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_INLINE_UNIFORM_BLOCK_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_IMAGE_ROBUSTNESS_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_EXT_ROBUSTNESS_2_EXTENSION_NAME, 0 },
	{ VK_EXT_CUSTOM_BORDER_COLOR_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_SUBGROUP_BALLOT_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_SUBGROUP_VOTE_EXTENSION_NAME, 0 },
	{ VK_GOOGLE_DECORATE_STRING_EXTENSION_NAME, 0 },
	{ VK_GOOGLE_HLSL_FUNCTIONALITY_1_EXTENSION_NAME, 0 },
	{ VK_GOOGLE_USER_TYPE_EXTENSION_NAME, 0 },
	{ VK_EXT_TEXEL_BUFFER_ALIGNMENT_EXTENSION_NAME, VK_API_VERSION_1_3 },
	{ VK_KHR_SHADER_CLOCK_EXTENSION_NAME, 0 },
	{ VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME, 0 },
	{ VK_KHR_SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME, 0 },
	{ VK_EXT_SHADER_ATOMIC_FLOAT_2_EXTENSION_NAME, 0 },
	{ VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME, 0 },
	{ VK_EXT_SCALAR_BLOCK_LAYOUT_EXTENSION_NAME, VK_API_VERSION_1_2 },
};

/* Every features struct that may be chained, by what brings it. */
struct features {
	VkPhysicalDeviceFeatures2 core;
	VkPhysicalDeviceVulkan11Features vulkan11;
	VkPhysicalDeviceVulkan12Features vulkan12;
	VkPhysicalDeviceVulkan13Features vulkan13;
	VkPhysicalDeviceSynchronization2Features synchronization2;
	VkPhysicalDeviceMaintenance4Features maintenance4;
	VkPhysicalDeviceShaderIntegerDotProductFeatures dot_product;
	VkPhysicalDeviceShaderTerminateInvocationFeatures terminate;
	VkPhysicalDeviceShaderDemoteToHelperInvocationFeatures demote;
	VkPhysicalDeviceDynamicRenderingFeatures rendering;
	VkPhysicalDeviceIndexTypeUint8FeaturesEXT index_uint8;
	VkPhysicalDeviceExtendedDynamicStateFeaturesEXT dynamic_state;
	VkPhysicalDeviceExtendedDynamicState2FeaturesEXT dynamic_state2;
	VkPhysicalDevice4444FormatsFeaturesEXT formats_4444;
	VkPhysicalDeviceDepthClipEnableFeaturesEXT depth_clip_enable;
	VkPhysicalDeviceDepthClipControlFeaturesEXT depth_clip_control;
	VkPhysicalDeviceProvokingVertexFeaturesEXT provoking_vertex;
	VkPhysicalDeviceVertexAttributeDivisorFeaturesEXT vertex_attribute_divisor;
	VkPhysicalDeviceColorWriteEnableFeaturesEXT color_write_enable;
	VkPhysicalDevicePrimitiveTopologyListRestartFeaturesEXT primitive_topology_list_restart;
	VkPhysicalDeviceBorderColorSwizzleFeaturesEXT border_color_swizzle;
	VkPhysicalDeviceNonSeamlessCubeMapFeaturesEXT non_seamless_cube_map;
	VkPhysicalDeviceTextureCompressionASTCHDRFeatures astc_hdr;
	VkPhysicalDeviceShaderImageAtomicInt64FeaturesEXT image_int64;
	VkPhysicalDeviceShaderSMBuiltinsFeaturesNV sm_builtins;
	VkPhysicalDeviceShaderCoreBuiltinsFeaturesARM core_builtins;
	VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures zero_workgroup;
	VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
	VkPhysicalDeviceInlineUniformBlockFeatures inline_uniform;
	VkPhysicalDeviceTexelBufferAlignmentFeaturesEXT texel_alignment;
	VkPhysicalDeviceImageRobustnessFeatures image_robustness;
	VkPhysicalDeviceRobustness2FeaturesEXT robustness2;
	VkPhysicalDeviceCustomBorderColorFeaturesEXT border_color;
	VkPhysicalDeviceShaderClockFeaturesKHR clock;
	VkPhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR explicit_layout;
	VkPhysicalDeviceShaderSubgroupUniformControlFlowFeaturesKHR uniform_flow;
	VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomic_float;
	VkPhysicalDeviceShaderAtomicFloat2FeaturesEXT atomic_float2;
	VkPhysicalDevicePipelineRobustnessFeaturesEXT pipeline_robustness;
};

struct extension_set {
	const char *names[ARRAY_SIZE(wanted_extensions)];
	uint32_t count;
};

static bool has_extension(const struct extension_set *set, const char *name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (!strcmp(set->names[i], name))
			return true;
	}
	return false;
}

static VkResult choose_extensions(const struct device *d, struct extension_set *set)
{
	VkExtensionProperties offered[512];
	uint32_t count = ARRAY_SIZE(offered);
	VkResult result = vkEnumerateDeviceExtensionProperties(d->physical, NULL, &count, offered);

	if (result < 0)
		return result;
	for (size_t w = 0; w < ARRAY_SIZE(wanted_extensions); w++) {
		uint32_t core = wanted_extensions[w].core;

		for (uint32_t i = 0; i < count; i++) {
			if (strcmp(offered[i].extensionName, wanted_extensions[w].name))
				continue;
			if (!core || d->properties.apiVersion < core)
				set->names[set->count++] = wanted_extensions[w].name;
			break;
		}
	}
	return VK_SUCCESS;
}

static void chain(struct features *f, void *structure, VkStructureType type)
{
	VkBaseOutStructure *s = structure;

	s->sType = type;
	s->pNext = f->core.pNext;
	f->core.pNext = s;
}

/* A struct is chained only where version or extension allow it. */
static void chain_features(struct features *f, const struct device *d, const struct extension_set *set)
{
	const struct {
		const char *extension;
		void *structure;
		VkStructureType type;
	} optional[] = {
		{ VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME, &f->synchronization2,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES },
		{ VK_KHR_MAINTENANCE_4_EXTENSION_NAME, &f->maintenance4,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES },
		{ VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, &f->dot_product,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES },
		{ VK_KHR_SHADER_TERMINATE_INVOCATION_EXTENSION_NAME, &f->terminate,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_TERMINATE_INVOCATION_FEATURES },
		{ VK_EXT_SHADER_DEMOTE_TO_HELPER_INVOCATION_EXTENSION_NAME, &f->demote,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_DEMOTE_TO_HELPER_INVOCATION_FEATURES },
		{ VK_KHR_DYNAMIC_RENDERING_EXTENSION_NAME, &f->rendering,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DYNAMIC_RENDERING_FEATURES },
		{ VK_EXT_INDEX_TYPE_UINT8_EXTENSION_NAME, &f->index_uint8,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INDEX_TYPE_UINT8_FEATURES_EXT },
		{ VK_EXT_EXTENDED_DYNAMIC_STATE_EXTENSION_NAME, &f->dynamic_state,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTENDED_DYNAMIC_STATE_FEATURES_EXT },
		{ VK_EXT_EXTENDED_DYNAMIC_STATE_2_EXTENSION_NAME, &f->dynamic_state2,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTENDED_DYNAMIC_STATE_2_FEATURES_EXT },
		{ VK_EXT_TEXTURE_COMPRESSION_ASTC_HDR_EXTENSION_NAME, &f->astc_hdr,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TEXTURE_COMPRESSION_ASTC_HDR_FEATURES },
		{ VK_EXT_SHADER_IMAGE_ATOMIC_INT64_EXTENSION_NAME, &f->image_int64,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_IMAGE_ATOMIC_INT64_FEATURES_EXT },
		{ VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME, &f->sm_builtins,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_FEATURES_NV },
		{ VK_ARM_SHADER_CORE_BUILTINS_EXTENSION_NAME, &f->core_builtins,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_BUILTINS_FEATURES_ARM },
		{ VK_EXT_DEPTH_CLIP_ENABLE_EXTENSION_NAME, &f->depth_clip_enable,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEPTH_CLIP_ENABLE_FEATURES_EXT },
		{ VK_EXT_DEPTH_CLIP_CONTROL_EXTENSION_NAME, &f->depth_clip_control,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEPTH_CLIP_CONTROL_FEATURES_EXT },
		{ VK_EXT_PROVOKING_VERTEX_EXTENSION_NAME, &f->provoking_vertex,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROVOKING_VERTEX_FEATURES_EXT },
		{ VK_EXT_VERTEX_ATTRIBUTE_DIVISOR_EXTENSION_NAME, &f->vertex_attribute_divisor,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VERTEX_ATTRIBUTE_DIVISOR_FEATURES_EXT },
		{ VK_EXT_COLOR_WRITE_ENABLE_EXTENSION_NAME, &f->color_write_enable,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COLOR_WRITE_ENABLE_FEATURES_EXT },
		{ VK_EXT_PRIMITIVE_TOPOLOGY_LIST_RESTART_EXTENSION_NAME, &f->primitive_topology_list_restart,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PRIMITIVE_TOPOLOGY_LIST_RESTART_FEATURES_EXT },
		{ VK_EXT_BORDER_COLOR_SWIZZLE_EXTENSION_NAME, &f->border_color_swizzle,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BORDER_COLOR_SWIZZLE_FEATURES_EXT },
		{ VK_EXT_NON_SEAMLESS_CUBE_MAP_EXTENSION_NAME, &f->non_seamless_cube_map,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_NON_SEAMLESS_CUBE_MAP_FEATURES_EXT },
		{ VK_EXT_4444_FORMATS_EXTENSION_NAME, &f->formats_4444,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_4444_FORMATS_FEATURES_EXT },
		{ VK_KHR_ZERO_INITIALIZE_WORKGROUP_MEMORY_EXTENSION_NAME, &f->zero_workgroup,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES },
		{ VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &f->subgroup_size,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES },
		{ VK_EXT_INLINE_UNIFORM_BLOCK_EXTENSION_NAME, &f->inline_uniform,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES },
		{ VK_EXT_TEXEL_BUFFER_ALIGNMENT_EXTENSION_NAME, &f->texel_alignment,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TEXEL_BUFFER_ALIGNMENT_FEATURES_EXT },
		{ VK_EXT_IMAGE_ROBUSTNESS_EXTENSION_NAME, &f->image_robustness,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_ROBUSTNESS_FEATURES },
		{ VK_EXT_ROBUSTNESS_2_EXTENSION_NAME, &f->robustness2,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT },
		{ VK_EXT_CUSTOM_BORDER_COLOR_EXTENSION_NAME, &f->border_color,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_CUSTOM_BORDER_COLOR_FEATURES_EXT },
		{ VK_KHR_SHADER_CLOCK_EXTENSION_NAME, &f->clock,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CLOCK_FEATURES_KHR },
		{ VK_KHR_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_EXTENSION_NAME, &f->explicit_layout,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_WORKGROUP_MEMORY_EXPLICIT_LAYOUT_FEATURES_KHR },
		{ VK_KHR_SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_EXTENSION_NAME, &f->uniform_flow,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_FEATURES_KHR },
		{ VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME, &f->atomic_float,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT },
		{ VK_EXT_SHADER_ATOMIC_FLOAT_2_EXTENSION_NAME, &f->atomic_float2,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_2_FEATURES_EXT },
		{ VK_EXT_PIPELINE_ROBUSTNESS_EXTENSION_NAME, &f->pipeline_robustness,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_ROBUSTNESS_FEATURES_EXT },
	};

	f->core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
	chain(f, &f->vulkan11, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
	chain(f, &f->vulkan12, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
	if (d->properties.apiVersion >= VK_API_VERSION_1_3)
		chain(f, &f->vulkan13, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(optional); i++) {
		if (has_extension(set, optional[i].extension))
			chain(f, optional[i].structure, optional[i].type);
	}
}

/* What no workload is offered, and what costs or forbids something when it is on. */
static void drop_features(struct features *f, bool robust_late)
{
	VkPhysicalDeviceFeatures *core = &f->core.features;

	core->sparseBinding = VK_FALSE;
	core->sparseResidencyBuffer = VK_FALSE;
	core->sparseResidencyImage2D = VK_FALSE;
	core->sparseResidencyImage3D = VK_FALSE;
	core->sparseResidency2Samples = VK_FALSE;
	core->sparseResidency4Samples = VK_FALSE;
	core->sparseResidency8Samples = VK_FALSE;
	core->sparseResidency16Samples = VK_FALSE;
	core->sparseResidencyAliased = VK_FALSE;
	/* Workloads are offered the one, and no updates after bind that forbid it. */
	if (!robust_late) {
		f->vulkan12.descriptorBindingUniformBufferUpdateAfterBind = VK_FALSE;
		f->vulkan12.descriptorBindingStorageBufferUpdateAfterBind = VK_FALSE;
		f->vulkan12.descriptorBindingUniformTexelBufferUpdateAfterBind = VK_FALSE;
		f->vulkan12.descriptorBindingStorageTexelBufferUpdateAfterBind = VK_FALSE;
		f->vulkan13.descriptorBindingInlineUniformBlockUpdateAfterBind = VK_FALSE;
		f->inline_uniform.descriptorBindingInlineUniformBlockUpdateAfterBind = VK_FALSE;
		f->vulkan12.descriptorIndexing = VK_FALSE;
	}
	f->vulkan11.protectedMemory = VK_FALSE;
	f->vulkan12.bufferDeviceAddress = VK_FALSE;
	f->vulkan12.bufferDeviceAddressCaptureReplay = VK_FALSE;
	f->vulkan12.bufferDeviceAddressMultiDevice = VK_FALSE;
}

static VkResult keep_enabled(struct device *d, const struct features *features, const struct extension_set *extensions)
{
	struct buf bytes = { 0 };
	int error = description_make_enabled(&bytes, d->physical, &features->core, extensions->names, extensions->count);

	if (!error)
		error = description_parse(&d->enabled, bytes.data, bytes.size);
	buf_finish(&bytes);
	return error ? VK_ERROR_INITIALIZATION_FAILED : VK_SUCCESS;
}

static VkResult make_device(struct device *d, char *why, size_t why_size)
{
	const float priority = 1.0f;
	VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = d->family,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	struct extension_set extensions = { 0 };
	struct features features = { 0 };
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features.core,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	VkPhysicalDeviceVulkan12Properties properties12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &properties12,
	};
	VkResult result = choose_extensions(d, &extensions);

	if (result >= 0) {
		chain_features(&features, d, &extensions);
		vkGetPhysicalDeviceFeatures2(d->physical, &features.core);
		vkGetPhysicalDeviceProperties2(d->physical, &properties);
		drop_features(&features, properties12.robustBufferAccessUpdateAfterBind);
		info.enabledExtensionCount = extensions.count;
		info.ppEnabledExtensionNames = extensions.names;
		result = vkCreateDevice(d->physical, &info, NULL, &d->handle);
	}
	if (result >= 0)
		result = keep_enabled(d, &features, &extensions);
	if (result < 0) {
		snprintf(why, why_size, "%s: the driver cannot make a device", d->properties.deviceName);
		return result;
	}
	d->null_descriptors = features.robustness2.nullDescriptor;
	d->inline_uniform_blocks = features.vulkan13.inlineUniformBlock || features.inline_uniform.inlineUniformBlock;
	wire_table_load(&d->vk, d->handle, vkGetDeviceProcAddr);
	vkGetDeviceQueue(d->handle, d->family, 0, &d->queue);
	return VK_SUCCESS;
}

VkResult device_init(struct device *d, const char *gpu_id, char *why, size_t why_size)
{
	struct gpu_instance instance;
	const struct gpu *gpu;
	int error;

	*d = (struct device){ 0 };
	error = gpu_instance_init(&instance, "tbmesh-exec");
	if (error) {
		snprintf(why, why_size, "no Vulkan on this host: %s", strerror(-error));
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	gpu = gpu_find(&instance, gpu_id);
	if (!gpu) {
		snprintf(why, why_size, "this host has no GPU %s", gpu_id);
		gpu_instance_finish(&instance);
		return VK_ERROR_DEVICE_LOST;
	}
	/* The instance lives as long as the process; there is no way back from here but to leave. */
	d->instance = instance.instance;
	d->physical = gpu->device;
	d->family = gpu->queue_family;
	vkGetPhysicalDeviceProperties(d->physical, &d->properties);
	vkGetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
	if (d->properties.apiVersion < VK_API_VERSION_1_2) {
		snprintf(why, why_size, "%s: the driver has Vulkan %u.%u, 1.2 is needed", d->properties.deviceName,
			VK_API_VERSION_MAJOR(d->properties.apiVersion), VK_API_VERSION_MINOR(d->properties.apiVersion));
		return VK_ERROR_INCOMPATIBLE_DRIVER;
	}
	return make_device(d, why, why_size);
}

int device_memory_type(const struct device *d, uint32_t bits, VkMemoryPropertyFlags wanted, VkMemoryPropertyFlags liked,
	VkMemoryPropertyFlags disliked)
{
	int best = -1, best_score = -1;

	for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = d->memory.memoryTypes[i].propertyFlags;
		int score = ((flags & liked) == liked ? 2 : 0) + (flags & disliked ? 0 : 1);

		if (!(bits & 1u << i) || (flags & wanted) != wanted || score <= best_score)
			continue;
		best = (int)i;
		best_score = score;
	}
	return best;
}

static int plain_type(const struct device *d, uint32_t bits, enum plain_kind kind)
{
	const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	int type = -1;

	switch (kind) {
	case PLAIN_DEVICE:
		type = device_memory_type(
			d, bits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
		return type >= 0 ? type : device_memory_type(d, bits, 0, 0, 0);
	case PLAIN_STAGING:
		return device_memory_type(d, bits, host, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	case PLAIN_READBACK:
		return device_memory_type(
			d, bits, host, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	}
	return type;
}

VkResult plain_buffer_init(struct plain_buffer *b, const struct device *d, VkDeviceSize size, enum plain_kind kind)
{
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
			(kind == PLAIN_DEVICE ? VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT : 0),
	};
	VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkMemoryRequirements needs;
	VkResult result;
	int type;

	*b = (struct plain_buffer){ 0 };
	result = d->vk.vkCreateBuffer(d->handle, &info, NULL, &b->buffer);
	if (result < 0)
		return result;
	d->vk.vkGetBufferMemoryRequirements(d->handle, b->buffer, &needs);
	type = plain_type(d, needs.memoryTypeBits, kind);
	allocate.allocationSize = needs.size;
	allocate.memoryTypeIndex = (uint32_t)type;
	result = type < 0 ? VK_ERROR_FEATURE_NOT_PRESENT : d->vk.vkAllocateMemory(d->handle, &allocate, NULL, &b->memory);
	if (result >= 0)
		result = d->vk.vkBindBufferMemory(d->handle, b->buffer, b->memory, 0);
	if (result >= 0 && kind != PLAIN_DEVICE) {
		result = d->vk.vkMapMemory(d->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &b->map);
		if (result >= 0)
			memset(b->map, 0, size);
	}
	if (result < 0)
		plain_buffer_finish(b, d);
	return result;
}

void plain_buffer_finish(struct plain_buffer *b, const struct device *d)
{
	d->vk.vkDestroyBuffer(d->handle, b->buffer, NULL);
	d->vk.vkFreeMemory(d->handle, b->memory, NULL);
	*b = (struct plain_buffer){ 0 };
}
