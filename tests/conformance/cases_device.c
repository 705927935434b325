/* Instance, physical device, device, memory, private data, and the codes of what is not there. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void case_instance(void)
{
	uint32_t version = 0, count = 0;
	OK(VK(EnumerateInstanceVersion)(&version));
	say("instance: at least 1.2: %d", version >= VK_API_VERSION_1_2);
	OK(VK(EnumerateInstanceExtensionProperties)(NULL, &count, NULL));
	VkExtensionProperties *extensions = calloc(count + 1, sizeof(*extensions));
	OK(VK(EnumerateInstanceExtensionProperties)(NULL, &count, extensions));
	bool utils = false, properties2 = false, external = false, groups = false;
	for (uint32_t i = 0; i < count; i++) {
		utils |= strcmp(extensions[i].extensionName, VK_EXT_DEBUG_UTILS_EXTENSION_NAME) == 0;
		properties2 |=
			strcmp(extensions[i].extensionName, VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_EXTENSION_NAME) == 0;
		external |= strcmp(extensions[i].extensionName, VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_EXTENSION_NAME) == 0;
		groups |= strcmp(extensions[i].extensionName, VK_KHR_DEVICE_GROUP_CREATION_EXTENSION_NAME) == 0;
	}
	free(extensions);
	say("instance: debug utils %d, properties2 %d, device groups %d", utils, properties2, groups);
	OK(VK(EnumerateInstanceLayerProperties)(&count, NULL));

	const char *enabled[8];
	uint32_t enabled_count = 0;
	if (utils)
		enabled[enabled_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
	if (properties2)
		enabled[enabled_count++] = VK_KHR_GET_PHYSICAL_DEVICE_PROPERTIES_2_EXTENSION_NAME;
	if (groups)
		enabled[enabled_count++] = VK_KHR_DEVICE_GROUP_CREATION_EXTENSION_NAME;
	if (external) {
		enabled[enabled_count++] = VK_KHR_EXTERNAL_MEMORY_CAPABILITIES_EXTENSION_NAME;
		enabled[enabled_count++] = VK_KHR_EXTERNAL_SEMAPHORE_CAPABILITIES_EXTENSION_NAME;
		enabled[enabled_count++] = VK_KHR_EXTERNAL_FENCE_CAPABILITIES_EXTENSION_NAME;
	}
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "conformance",
		.apiVersion = VK_API_VERSION_1_2 };
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &app,
		.enabledExtensionCount = enabled_count,
		.ppEnabledExtensionNames = enabled };
	OK(VK(CreateInstance)(&info, NULL, &w.instance));
	if (w.valid_only)
		return;
	const char *unknown = "VK_TBMESH_unknown";
	VkInstance none;
	info.enabledExtensionCount = 1;
	info.ppEnabledExtensionNames = &unknown;
	say("instance: an unknown extension: %d", VK(CreateInstance)(&info, NULL, &none));
}

static void list_extensions(void)
{
	static VkExtensionProperties all[512];
	static const char *const made[] = {
#define ICD_EXTENSION(name, spec, promoted) VK_##spec##_EXTENSION_NAME,
#define ICD_LOCAL_EXTENSION(name, spec) VK_##spec##_EXTENSION_NAME,
#include "migrate/icd/extensions.h"
	};
	uint32_t count = 0, one = 1;
	OK(VK(EnumerateDeviceExtensionProperties)(w.physical, NULL, &count, NULL));
	say("extensions: the first of several: %d", VK(EnumerateDeviceExtensionProperties)(w.physical, NULL, &one, all));
	count = 512;
	OK(VK(EnumerateDeviceExtensionProperties)(w.physical, NULL, &count, all));
	for (size_t m = 0; m < sizeof(made) / sizeof(made[0]); m++)
		for (uint32_t i = 0; i < count; i++)
			if (strcmp(all[i].extensionName, made[m]) == 0)
				w.offered[w.offered_count++] = made[m];
	remark("%u of the %zu extensions that tbmesh knows are here", w.offered_count, sizeof(made) / sizeof(made[0]));
	uint32_t layers = 7;
	OK(VK(EnumerateDeviceLayerProperties)(w.physical, &layers, NULL));
}

/* The 64-bit flags repeat the old ones and say for each tiling what the features of the device say for all formats. */
static void compare_format_flags(
	VkFormat f, const VkFormatProperties *old, const VkFormatProperties3 *all, const VkPhysicalDeviceFeatures *features)
{
	const VkFormatFeatureFlags olds[] = { old->linearTilingFeatures, old->optimalTilingFeatures };
	const VkFormatFeatureFlags2 news[] = { all->linearTilingFeatures, all->optimalTilingFeatures };
	const bool is_depth = (f >= VK_FORMAT_D16_UNORM && f <= VK_FORMAT_D32_SFLOAT) ||
		(f >= VK_FORMAT_D16_UNORM_S8_UINT && f <= VK_FORMAT_D32_SFLOAT_S8_UINT);
	for (int i = 0; i < 2; i++) {
		const bool storage = olds[i] & VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT;
		VkFormatFeatureFlags2 least = olds[i];
		if (storage && features->shaderStorageImageReadWithoutFormat)
			least |= VK_FORMAT_FEATURE_2_STORAGE_READ_WITHOUT_FORMAT_BIT;
		if (storage && features->shaderStorageImageWriteWithoutFormat)
			least |= VK_FORMAT_FEATURE_2_STORAGE_WRITE_WITHOUT_FORMAT_BIT;
		if (is_depth && (olds[i] & VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT))
			least |= VK_FORMAT_FEATURE_2_SAMPLED_IMAGE_DEPTH_COMPARISON_BIT;
		if ((news[i] & least) != least)
			say("format %d, %s: its 64-bit flags lack 0x%llx", f, i ? "optimal" : "linear",
				(unsigned long long)(least & ~news[i]));
	}
}

static void compare_old_and_new(void)
{
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceProperties2 properties2 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 };
	VkPhysicalDeviceFeatures features;
	VkPhysicalDeviceFeatures2 features2 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
	VkPhysicalDeviceMemoryProperties2 memory2 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2 };
	VkFormatProperties format;
	VkFormatProperties3 format3 = { .sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_3 };
	VkFormatProperties2 format2 = { .sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_2, .pNext = &format3 };
	VK(GetPhysicalDeviceProperties)(w.physical, &properties);
	VK(GetPhysicalDeviceProperties2)(w.physical, &properties2);
	say("properties: same name and limits: %d",
		strcmp(properties.deviceName, properties2.properties.deviceName) == 0 &&
			properties.limits.maxStorageBufferRange == properties2.properties.limits.maxStorageBufferRange);
	VK(GetPhysicalDeviceFeatures)(w.physical, &features);
	VK(GetPhysicalDeviceFeatures2)(w.physical, &features2);
	say("features: the same: %d, int64 %d, float64 %d, int16 %d, robust %d",
		memcmp(&features, &features2.features, sizeof(features)) == 0, features.shaderInt64, features.shaderFloat64,
		features.shaderInt16, features.robustBufferAccess);
	VK(GetPhysicalDeviceMemoryProperties)(w.physical, &w.memory);
	VK(GetPhysicalDeviceMemoryProperties2)(w.physical, &memory2);
	say("memory: the same: %d",
		memory2.memoryProperties.memoryTypeCount == w.memory.memoryTypeCount &&
			memory2.memoryProperties.memoryHeapCount == w.memory.memoryHeapCount);
	const VkFormatFeatureFlags texels = VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT |
		VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT | VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_ATOMIC_BIT;
	uint32_t texel_formats = 0;
	for (VkFormat f = VK_FORMAT_UNDEFINED + 1; f <= VK_FORMAT_ASTC_12x12_SRGB_BLOCK; f++) {
		VK(GetPhysicalDeviceFormatProperties)(w.physical, f, &format);
		VK(GetPhysicalDeviceFormatProperties2)(w.physical, f, &format2);
		if (memcmp(&format, &format2.formatProperties, sizeof(format)) != 0)
			say("format %d: not the same", f);
		if (offered(VK_KHR_FORMAT_FEATURE_FLAGS_2_EXTENSION_NAME))
			compare_format_flags(f, &format, &format3, &features);
		texel_formats = texel_formats * 31 + (format.bufferFeatures & texels);
	}
	say("formats: texel buffers %08x", texel_formats);
	if (HAS(GetPhysicalDeviceFeatures2KHR))
		VK(GetPhysicalDeviceFeatures2KHR)(w.physical, &features2);
	if (HAS(GetPhysicalDeviceProperties2KHR))
		VK(GetPhysicalDeviceProperties2KHR)(w.physical, &properties2);
	if (HAS(GetPhysicalDeviceMemoryProperties2KHR))
		VK(GetPhysicalDeviceMemoryProperties2KHR)(w.physical, &memory2);
	if (HAS(GetPhysicalDeviceFormatProperties2KHR))
		VK(GetPhysicalDeviceFormatProperties2KHR)(w.physical, VK_FORMAT_R32_UINT, &format2);
}

/* What Vulkan 1.1 and 1.2 tell in structs of their own, too. */
static void ask_for_parts(void)
{
	VkPhysicalDeviceVulkan11Properties v11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES };
	VkPhysicalDeviceVulkan12Properties v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES,
		.pNext = &v11 };
	VkPhysicalDeviceDepthStencilResolveProperties resolve = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEPTH_STENCIL_RESOLVE_PROPERTIES, .pNext = &v12
	};
	VkPhysicalDevicePointClippingProperties clipping = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_POINT_CLIPPING_PROPERTIES,
		.pNext = &resolve,
		.pointClippingBehavior = -1
	};
	VkPhysicalDeviceMultiviewProperties views = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_PROPERTIES,
		.pNext = &clipping };
	VkPhysicalDeviceSubgroupProperties subgroup = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
		.pNext = &views };
	VkPhysicalDeviceMaintenance3Properties limits = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &subgroup
	};
	VkPhysicalDeviceFloatControlsProperties floats = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FLOAT_CONTROLS_PROPERTIES, .pNext = &limits
	};
	VkPhysicalDeviceSamplerFilterMinmaxProperties minmax = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SAMPLER_FILTER_MINMAX_PROPERTIES, .pNext = &floats
	};
	VkPhysicalDeviceProperties2 all = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &minmax };
	VK(GetPhysicalDeviceProperties2)(w.physical, &all);
	say("properties: resolve modes %x %x, independent %d, clipping %d, views %u, instances %u",
		v12.supportedDepthResolveModes, v12.supportedStencilResolveModes, v12.independentResolve,
		v11.pointClippingBehavior, v11.maxMultiviewViewCount, v11.maxMultiviewInstanceIndex);
	say("properties: told alike: %d %d %d %d %d %d %d",
		resolve.supportedDepthResolveModes == v12.supportedDepthResolveModes &&
			resolve.supportedStencilResolveModes == v12.supportedStencilResolveModes,
		clipping.pointClippingBehavior == v11.pointClippingBehavior,
		views.maxMultiviewViewCount == v11.maxMultiviewViewCount,
		subgroup.subgroupSize == v11.subgroupSize &&
			subgroup.supportedOperations == v11.subgroupSupportedOperations &&
			subgroup.supportedStages == v11.subgroupSupportedStages,
		limits.maxMemoryAllocationSize == v11.maxMemoryAllocationSize &&
			limits.maxPerSetDescriptors == v11.maxPerSetDescriptors,
		floats.denormBehaviorIndependence == v12.denormBehaviorIndependence,
		minmax.filterMinmaxSingleComponentFormats == v12.filterMinmaxSingleComponentFormats);
}

/* What every device of Vulkan 1.2 must have (chapter "Features"). */
static void ask_for_required(void)
{
	VkPhysicalDeviceVulkan11Features v11 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES };
	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = &v11 };
	VkPhysicalDeviceFeatures2 all = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12 };
	VK(GetPhysicalDeviceFeatures2)(w.physical, &all);
	say("features: what 1.2 asks for: %d%d%d%d%d%d%d%d%d", all.features.robustBufferAccess, v11.multiview,
		v12.imagelessFramebuffer, v12.uniformBufferStandardLayout, v12.shaderSubgroupExtendedTypes,
		v12.separateDepthStencilLayouts, v12.hostQueryReset, v12.timelineSemaphore, v12.subgroupBroadcastDynamicId);
}

/* Of a format that no driver here has, and of none that is sparse. */
static void ask_for_images(void)
{
	const VkFormat format = VK_FORMAT_ASTC_8x8_SRGB_BLOCK;
	const VkPhysicalDeviceImageFormatInfo2 info = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_FORMAT_INFO_2,
		.format = format,
		.type = VK_IMAGE_TYPE_2D,
		.usage = VK_IMAGE_USAGE_STORAGE_BIT };
	const VkPhysicalDeviceSparseImageFormatInfo2 sparse = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SPARSE_IMAGE_FORMAT_INFO_2,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.type = VK_IMAGE_TYPE_2D,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT
	};
	VkImageFormatProperties properties;
	VkImageFormatProperties2 properties2 = { .sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_PROPERTIES_2 };
	uint32_t count = 5;
	say("image format: %d %d",
		VK(GetPhysicalDeviceImageFormatProperties)(w.physical, format, VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL,
			VK_IMAGE_USAGE_STORAGE_BIT, 0, &properties),
		VK(GetPhysicalDeviceImageFormatProperties2)(w.physical, &info, &properties2));
	if (HAS(GetPhysicalDeviceImageFormatProperties2KHR))
		VK(GetPhysicalDeviceImageFormatProperties2KHR)(w.physical, &info, &properties2);
	VK(GetPhysicalDeviceSparseImageFormatProperties)
	(w.physical, sparse.format, sparse.type, sparse.samples, sparse.usage, sparse.tiling, &count, NULL);
	say("sparse formats: %u", count);
	VK(GetPhysicalDeviceSparseImageFormatProperties2)(w.physical, &sparse, &count, NULL);
	if (HAS(GetPhysicalDeviceSparseImageFormatProperties2KHR))
		VK(GetPhysicalDeviceSparseImageFormatProperties2KHR)(w.physical, &sparse, &count, NULL);
	say("sparse formats: %u", count);
}

static void ask_for_external(void)
{
	const VkPhysicalDeviceExternalBufferInfo buffer = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT };
	const VkPhysicalDeviceExternalFenceInfo fence = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_FENCE_INFO,
		.handleType = VK_EXTERNAL_FENCE_HANDLE_TYPE_SYNC_FD_BIT };
	const VkPhysicalDeviceExternalSemaphoreInfo semaphore = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
		.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT
	};
	VkExternalBufferProperties buffers = { .sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES };
	VkExternalFenceProperties fences = { .sType = VK_STRUCTURE_TYPE_EXTERNAL_FENCE_PROPERTIES };
	VkExternalSemaphoreProperties semaphores = { .sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES };
	VK(GetPhysicalDeviceExternalBufferProperties)(w.physical, &buffer, &buffers);
	VK(GetPhysicalDeviceExternalFenceProperties)(w.physical, &fence, &fences);
	VK(GetPhysicalDeviceExternalSemaphoreProperties)(w.physical, &semaphore, &semaphores);
	remark("external buffers 0x%x, fences 0x%x, semaphores 0x%x",
		buffers.externalMemoryProperties.externalMemoryFeatures, fences.externalFenceFeatures,
		semaphores.externalSemaphoreFeatures);
	if (HAS(GetPhysicalDeviceExternalBufferPropertiesKHR))
		VK(GetPhysicalDeviceExternalBufferPropertiesKHR)(w.physical, &buffer, &buffers);
	if (HAS(GetPhysicalDeviceExternalFencePropertiesKHR))
		VK(GetPhysicalDeviceExternalFencePropertiesKHR)(w.physical, &fence, &fences);
	if (HAS(GetPhysicalDeviceExternalSemaphorePropertiesKHR))
		VK(GetPhysicalDeviceExternalSemaphorePropertiesKHR)(w.physical, &semaphore, &semaphores);
}

void case_physical(void)
{
	VkPhysicalDevice all[16];
	VkPhysicalDeviceGroupProperties groups[16];
	uint32_t count = 16, group_count = 16;
	for (uint32_t i = 0; i < 16; i++)
		groups[i] = (VkPhysicalDeviceGroupProperties){ .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GROUP_PROPERTIES };
	OK(VK(EnumeratePhysicalDevices)(w.instance, &count, all));
	OK(VK(EnumeratePhysicalDeviceGroups)(w.instance, &group_count, groups));
	if (count == 0) {
		fprintf(stderr, "no Vulkan device\n");
		exit(1);
	}
	w.physical = all[0];
	for (uint32_t i = 0; i < group_count; i++)
		if (groups[i].physicalDevices[0] == w.physical)
			say("its group: %u, memory apart %d", groups[i].physicalDeviceCount, groups[i].subsetAllocation);
	VK(GetInstanceProcAddr)(w.instance, "vkCreateDevice");
	say("no such instance function: %d", !VK(GetInstanceProcAddr)(w.instance, "vkNoSuchFunction"));
	VkPhysicalDeviceProperties properties;
	VK(GetPhysicalDeviceProperties)(w.physical, &properties);
	w.tbmesh = strncmp(properties.deviceName, "tbmesh:", 7) == 0;
	list_extensions();
	compare_old_and_new();
	ask_for_parts();
	ask_for_required();
	ask_for_images();
	ask_for_external();

	VkQueueFamilyProperties families[16];
	VkQueueFamilyProperties2 families2[16];
	for (uint32_t i = 0; i < 16; i++)
		families2[i] = (VkQueueFamilyProperties2){ .sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2 };
	count = 16;
	VK(GetPhysicalDeviceQueueFamilyProperties)(w.physical, &count, families);
	while (w.family < count && !(families[w.family].queueFlags & VK_QUEUE_COMPUTE_BIT))
		w.family++;
	VK(GetPhysicalDeviceQueueFamilyProperties2)(w.physical, &count, families2);
	if (HAS(GetPhysicalDeviceQueueFamilyProperties2KHR))
		VK(GetPhysicalDeviceQueueFamilyProperties2KHR)(w.physical, &count, families2);
	say("queue family: computes %d, the same %d, bits of a timestamp %u", w.family < count,
		families2[w.family].queueFamilyProperties.queueFlags == families[w.family].queueFlags,
		families[w.family].timestampValidBits);
	uint32_t tools = 0;
	if (HAS(GetPhysicalDeviceToolPropertiesEXT))
		remark("tools: %d", VK(GetPhysicalDeviceToolPropertiesEXT)(w.physical, &tools, NULL));
}

/* The structs of features that came as extensions, in front of what is asked for; they are those of devices that have the extensions. */
static void add_draw_features(VkPhysicalDeviceFeatures2 *all)
{
	static VkPhysicalDeviceDepthClipEnableFeaturesEXT clip;
	static VkPhysicalDeviceDepthClipControlFeaturesEXT control;
	static VkPhysicalDeviceProvokingVertexFeaturesEXT provoking;
	static VkPhysicalDeviceVertexAttributeDivisorFeaturesEXT divisor;
	static VkPhysicalDeviceColorWriteEnableFeaturesEXT writes;
	static VkPhysicalDevicePrimitiveTopologyListRestartFeaturesEXT restart;
	static VkPhysicalDeviceBorderColorSwizzleFeaturesEXT swizzle;
	static VkPhysicalDeviceNonSeamlessCubeMapFeaturesEXT seams;
	static const struct {
		const char *extension;
		void *features;
		VkStructureType type;
	} known[] = {
		{ VK_EXT_DEPTH_CLIP_ENABLE_EXTENSION_NAME, &clip,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEPTH_CLIP_ENABLE_FEATURES_EXT },
		{ VK_EXT_DEPTH_CLIP_CONTROL_EXTENSION_NAME, &control,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DEPTH_CLIP_CONTROL_FEATURES_EXT },
		{ VK_EXT_PROVOKING_VERTEX_EXTENSION_NAME, &provoking,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROVOKING_VERTEX_FEATURES_EXT },
		{ VK_EXT_VERTEX_ATTRIBUTE_DIVISOR_EXTENSION_NAME, &divisor,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VERTEX_ATTRIBUTE_DIVISOR_FEATURES_EXT },
		{ VK_EXT_COLOR_WRITE_ENABLE_EXTENSION_NAME, &writes,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COLOR_WRITE_ENABLE_FEATURES_EXT },
		{ VK_EXT_PRIMITIVE_TOPOLOGY_LIST_RESTART_EXTENSION_NAME, &restart,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PRIMITIVE_TOPOLOGY_LIST_RESTART_FEATURES_EXT },
		{ VK_EXT_BORDER_COLOR_SWIZZLE_EXTENSION_NAME, &swizzle,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BORDER_COLOR_SWIZZLE_FEATURES_EXT },
		{ VK_EXT_NON_SEAMLESS_CUBE_MAP_EXTENSION_NAME, &seams,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_NON_SEAMLESS_CUBE_MAP_FEATURES_EXT },
	};
	VkPhysicalDeviceFeatures2 asked = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
	VkBaseOutStructure *last = NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		VkBaseOutStructure *s = known[i].features;
		if (!offered(known[i].extension))
			continue;
		*s = (VkBaseOutStructure){ known[i].type, asked.pNext };
		asked.pNext = s;
		last = last ? last : s;
	}
	VK(GetPhysicalDeviceFeatures2)(w.physical, &asked);
	provoking.transformFeedbackPreservesProvokingVertex = restart.primitiveTopologyPatchListRestart = VK_FALSE;
	w.draws.depth_clip = clip.depthClipEnable;
	w.draws.depth_clip_control = control.depthClipControl;
	w.draws.provoking = provoking.provokingVertexLast;
	w.draws.divisor = divisor.vertexAttributeInstanceRateDivisor;
	w.draws.writes = writes.colorWriteEnable;
	say("features: clip %d %d, provoking %d, divisors %d %d, writes %d, restart %d, swizzle %d %d, seams %d",
		clip.depthClipEnable, control.depthClipControl, provoking.provokingVertexLast,
		divisor.vertexAttributeInstanceRateDivisor, divisor.vertexAttributeInstanceRateZeroDivisor,
		writes.colorWriteEnable, restart.primitiveTopologyListRestart, swizzle.borderColorSwizzle,
		swizzle.borderColorSwizzleFromImage, seams.nonSeamlessCubeMap);
	if (!last)
		return;
	last->pNext = all->pNext;
	all->pNext = asked.pNext;
}

static void refused_devices(VkDeviceCreateInfo info)
{
	const char *unknown = "VK_TBMESH_unknown";
	VkDevice none;
	VkPhysicalDeviceFeatures features = { .shaderResourceResidency = VK_TRUE };
	info.pNext = NULL;
	info.enabledExtensionCount = 1;
	info.ppEnabledExtensionNames = &unknown;
	say("device: an unknown extension: %d", VK(CreateDevice)(w.physical, &info, NULL, &none));
	info.enabledExtensionCount = 0;
	info.pEnabledFeatures = &features;
	say("device: a feature that is not there: %d", VK(CreateDevice)(w.physical, &info, NULL, &none));
}

void case_device(void)
{
	const float priority = 1.0f;
	const VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = w.family,
		.queueCount = 1,
		.pQueuePriorities = &priority };
	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES };
	VkPhysicalDeviceSynchronization2Features sync2 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES, .pNext = &v12
	};
	VkPhysicalDeviceMaintenance4Features maintenance4 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES, .pNext = &sync2
	};
	VkPhysicalDevicePrivateDataFeatures private_data = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PRIVATE_DATA_FEATURES, .pNext = &maintenance4
	};
	VkPhysicalDeviceInlineUniformBlockFeatures blocks = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES, .pNext = &private_data
	};
	VkPhysicalDeviceIndexTypeUint8FeaturesEXT index = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INDEX_TYPE_UINT8_FEATURES_EXT, .pNext = &blocks
	};
	VkPhysicalDeviceShaderTerminateInvocationFeatures terminate = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_TERMINATE_INVOCATION_FEATURES, .pNext = &index
	};
	VkPhysicalDeviceShaderDemoteToHelperInvocationFeatures demote = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_DEMOTE_TO_HELPER_INVOCATION_FEATURES, .pNext = &terminate
	};
	VkPhysicalDeviceShaderDrawParametersFeatures draw = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_DRAW_PARAMETERS_FEATURES, .pNext = &demote
	};
	VkPhysicalDeviceDynamicRenderingFeatures rendering = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DYNAMIC_RENDERING_FEATURES, .pNext = &draw
	};
	VkPhysicalDeviceMultiviewFeatures views = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES,
		.pNext = &rendering };
	VkPhysicalDeviceExtendedDynamicStateFeaturesEXT states = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTENDED_DYNAMIC_STATE_FEATURES_EXT, .pNext = &views
	};
	VkPhysicalDeviceExtendedDynamicState2FeaturesEXT states2 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTENDED_DYNAMIC_STATE_2_FEATURES_EXT, .pNext = &states
	};
	VkPhysicalDevice4444FormatsFeaturesEXT formats = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_4444_FORMATS_FEATURES_EXT, .pNext = &states2
	};
	VkPhysicalDeviceFeatures2 all = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &formats };
	VK(GetPhysicalDeviceFeatures2)(w.physical, &all);
	say("features: timeline %d, query reset %d, sync2 %d, maintenance4 %d, private data %d", v12.timelineSemaphore,
		v12.hostQueryReset, sync2.synchronization2, maintenance4.maintenance4, private_data.privateData);
	VkPhysicalDeviceVulkan12Properties properties12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES
	};
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &properties12 };
	VK(GetPhysicalDeviceProperties2)(w.physical, &properties);
	w.late = v12.descriptorIndexing && properties12.robustBufferAccessUpdateAfterBind;
	remark("descriptors updated after they are bound: %d", w.late);
	/* Some extensions must not be enabled without their feature. */
	say("features: 8-bit indices %d, terminate %d, demote %d, draw parameters %d, separate layouts %d",
		index.indexTypeUint8, terminate.shaderTerminateInvocation, demote.shaderDemoteToHelperInvocation,
		draw.shaderDrawParameters, v12.separateDepthStencilLayouts);
	w.rendering = rendering.dynamicRendering && offered(VK_KHR_DYNAMIC_RENDERING_EXTENSION_NAME);
	say("features: views %d, framebuffers without images %d, dynamic states %d %d, statistics %d", views.multiview,
		v12.imagelessFramebuffer, states.extendedDynamicState, states2.extendedDynamicState2,
		all.features.pipelineStatisticsQuery);
	views.multiviewGeometryShader = views.multiviewTessellationShader = VK_FALSE;
	w.views = views.multiview && v12.imagelessFramebuffer;
	w.dynamic_logic = states2.extendedDynamicState2LogicOp;
	states2.extendedDynamicState2PatchControlPoints = VK_FALSE;
	w.statistics = all.features.pipelineStatisticsQuery;
	w.bytes_index = index.indexTypeUint8 && offered(VK_EXT_INDEX_TYPE_UINT8_EXTENSION_NAME);
	v12 = (VkPhysicalDeviceVulkan12Features){ .sType = v12.sType,
		.drawIndirectCount = v12.drawIndirectCount,
		.separateDepthStencilLayouts = v12.separateDepthStencilLayouts,
		.imagelessFramebuffer = v12.imagelessFramebuffer,
		.timelineSemaphore = VK_TRUE,
		.hostQueryReset = VK_TRUE,
		.shaderInt8 = v12.shaderInt8,
		.samplerMirrorClampToEdge = v12.samplerMirrorClampToEdge,
		.samplerFilterMinmax = v12.samplerFilterMinmax,
		.descriptorIndexing = w.late,
		.shaderUniformTexelBufferArrayDynamicIndexing = w.late,
		.shaderStorageTexelBufferArrayDynamicIndexing = w.late,
		.shaderStorageBufferArrayNonUniformIndexing = w.late,
		.shaderUniformTexelBufferArrayNonUniformIndexing = w.late,
		.shaderSampledImageArrayNonUniformIndexing = w.late,
		.descriptorBindingSampledImageUpdateAfterBind = w.late,
		.descriptorBindingStorageImageUpdateAfterBind = w.late,
		.descriptorBindingUniformTexelBufferUpdateAfterBind = w.late,
		.descriptorBindingStorageTexelBufferUpdateAfterBind = w.late,
		.descriptorBindingStorageBufferUpdateAfterBind = w.late,
		.descriptorBindingUpdateUnusedWhilePending = w.late,
		.descriptorBindingPartiallyBound = w.late,
		.descriptorBindingVariableDescriptorCount = w.late,
		.runtimeDescriptorArray = w.late };
	all.features = (VkPhysicalDeviceFeatures){ .robustBufferAccess = VK_TRUE,
		.pipelineStatisticsQuery = w.statistics,
		.shaderStorageBufferArrayDynamicIndexing = all.features.shaderStorageBufferArrayDynamicIndexing };
	add_draw_features(&all);
	const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &all,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledExtensionCount = w.offered_count,
		.ppEnabledExtensionNames = w.offered };
	if (!w.valid_only)
		refused_devices(info);
	OK(VK(CreateDevice)(w.physical, &info, NULL, &w.device));
}

void case_memory(void)
{
	VkQueue again;
	const VkDeviceQueueInfo2 queue_info = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2,
		.queueFamilyIndex = w.family };
	VK(GetDeviceQueue)(w.device, w.family, 0, &w.queue);
	VK(GetDeviceQueue2)(w.device, &queue_info, &again);
	say("queue: the same %d; no such device function: %d", again == w.queue,
		!VK(GetDeviceProcAddr)(w.device, "vkCmdNoSuchFunction"));
	const VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = w.family };
	OK(VK(CreateCommandPool)(w.device, &pool, NULL, &w.pool));

	/* A group of one device: neither peers nor, without lazily allocated memory, a commitment that may be asked for. */
	VkPeerMemoryFeatureFlags peers = 0;
	if (!w.valid_only) {
		VK(GetDeviceGroupPeerMemoryFeatures)(w.device, 0, 0, 0, &peers);
		if (HAS(GetDeviceGroupPeerMemoryFeaturesKHR))
			VK(GetDeviceGroupPeerMemoryFeaturesKHR)(w.device, 0, 0, 0, &peers);
	}

	const VkBufferUsageFlags usage =
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	w.source = make_buffer(BYTES, true, usage);
	w.target = make_buffer(BYTES, false, usage);
	w.back = make_buffer(BYTES, true, usage);
	w.texels = make_buffer(BYTES, true, VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	w.block = make_buffer(256, true, VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT);
	for (uint32_t i = 0; i < COUNT; i++) {
		w.source.map[i] = i * 2654435761u;
		w.texels.map[i] = i * i;
	}
	for (uint32_t i = 0; i < 4; i++)
		w.block.map[i] = 1000 * i;
	const VkMappedMemoryRange range = {
		.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE, .memory = w.source.memory, .size = VK_WHOLE_SIZE
	};
	OK(VK(FlushMappedMemoryRanges)(w.device, 1, &range));
	OK(VK(InvalidateMappedMemoryRanges)(w.device, 1, &range));
	VK(UnmapMemory)(w.device, w.source.memory);
	OK(VK(MapMemory)(w.device, w.source.memory, 0, VK_WHOLE_SIZE, 0, (void **)&w.source.map));
	say("memory: mapped again %08x", sum(w.source.map, COUNT));
	void *part = NULL;
	VK(UnmapMemory)(w.device, w.back.memory);
	OK(VK(MapMemory)(w.device, w.back.memory, 256, 256, 0, &part));
	memset(part, 0x5a, 256);
	VK(UnmapMemory)(w.device, w.back.memory);
	OK(VK(MapMemory)(w.device, w.back.memory, 0, VK_WHOLE_SIZE, 0, (void **)&w.back.map));
	say("memory: mapped in part %08x %08x", w.back.map[63], w.back.map[64]);
	const VkBufferViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = w.texels.buffer,
		.format = VK_FORMAT_R32_UINT,
		.range = VK_WHOLE_SIZE };
	OK(VK(CreateBufferView)(w.device, &view, NULL, &w.texel_view));

	if (w.valid_only)
		return;
	VkDeviceSize committed = 0;
	VK(GetDeviceMemoryCommitment)(w.device, w.target.memory, &committed);
	const VkDeviceMemoryOpaqueCaptureAddressInfo capture = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_MEMORY_OPAQUE_CAPTURE_ADDRESS_INFO, .memory = w.target.memory
	};
	const VkBufferDeviceAddressInfo address = { .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
		.buffer = w.target.buffer };
	VK(GetDeviceMemoryOpaqueCaptureAddress)(w.device, &capture);
	VK(GetBufferOpaqueCaptureAddress)(w.device, &address);
	VK(GetBufferDeviceAddress)(w.device, &address);
	const VkMemoryAllocateInfo too_much = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = 1ull << 50 };
	VkDeviceMemory none;
	say("memory: far too much: %d", VK(AllocateMemory)(w.device, &too_much, NULL, &none));
}

void case_private_data(void)
{
	if (HAS(CreatePrivateDataSlotEXT)) {
		const VkPrivateDataSlotCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PRIVATE_DATA_SLOT_CREATE_INFO };
		const uint64_t object = (uint64_t)w.target.buffer;
		VkPrivateDataSlot slots[2];
		uint64_t data[3] = { 1, 1, 1 };
		for (uint32_t i = 0; i < 2; i++)
			OK(VK(CreatePrivateDataSlotEXT)(w.device, &info, NULL, &slots[i]));
		OK(VK(SetPrivateDataEXT)(w.device, VK_OBJECT_TYPE_BUFFER, object, slots[0], 41));
		OK(VK(SetPrivateDataEXT)(w.device, VK_OBJECT_TYPE_BUFFER, object, slots[0], 42));
		VK(GetPrivateDataEXT)(w.device, VK_OBJECT_TYPE_BUFFER, object, slots[0], &data[0]);
		VK(GetPrivateDataEXT)(w.device, VK_OBJECT_TYPE_BUFFER, object, slots[1], &data[1]);
		VK(GetPrivateDataEXT)
		(w.device, VK_OBJECT_TYPE_DEVICE_MEMORY, (uint64_t)w.target.memory, slots[0], &data[2]);
		say("private data: %d %d %d", (int)data[0], (int)data[1], (int)data[2]);
		for (uint32_t i = 0; i < 2; i++)
			VK(DestroyPrivateDataSlotEXT)(w.device, slots[i], NULL);
	}
	/* Names are the loader's or a layer's affair; they must not disturb. */
	PFN_vkSetDebugUtilsObjectNameEXT name =
		(PFN_vkSetDebugUtilsObjectNameEXT)vkGetInstanceProcAddr(w.instance, "vkSetDebugUtilsObjectNameEXT");
	if (!name)
		return;
	const VkDebugUtilsObjectNameInfoEXT names[] = {
		{ .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
			.objectType = VK_OBJECT_TYPE_BUFFER,
			.objectHandle = (uint64_t)w.target.buffer,
			.pObjectName = "target" },
		{ .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
			.objectType = VK_OBJECT_TYPE_QUEUE,
			.objectHandle = (uint64_t)(uintptr_t)w.queue,
			.pObjectName = "the queue" },
	};
	say("names: %d %d", name(w.device, &names[0]), name(w.device, &names[1]));
}

/* What the driver does not offer, or not all of: a code that the call may return, or what asks for it is not there. Other drivers
 * have some of it. */
void case_absent(void)
{
	VK(DestroyRenderPass)(w.device, VK_NULL_HANDLE, NULL);
	VK(DestroyFramebuffer)(w.device, VK_NULL_HANDLE, NULL);
	VK(DestroySamplerYcbcrConversion)(w.device, VK_NULL_HANDLE, NULL);
	if (w.valid_only || !w.tbmesh)
		return;
	const VkSamplerYcbcrConversionCreateInfo ycbcr_info = {
		.sType = VK_STRUCTURE_TYPE_SAMPLER_YCBCR_CONVERSION_CREATE_INFO
	};
	VkSamplerYcbcrConversion ycbcr;
	expect(VK(CreateSamplerYcbcrConversion)(w.device, &ycbcr_info, NULL, &ycbcr) == VK_ERROR_OUT_OF_DEVICE_MEMORY,
		"conversions are refused");
}
