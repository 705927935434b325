/* VkDevice: one workload. */
#include "migrate/icd/queue.h"
#include "migrate/icd/stream.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool enable_extensions(struct icd_device *d, const VkDeviceCreateInfo *info)
{
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		unsigned e = 0;
		while (e < ICD_EXTENSION_COUNT && strcmp(icd_extension_name(e), info->ppEnabledExtensionNames[i]) != 0)
			e++;
		if (e == ICD_EXTENSION_COUNT || !d->physical->extensions[e])
			return false;
		d->extensions[e] = true;
	}
	return true;
}

/* Of draws: pipelines and commands that use them need not say so. */
static void tell_graphics(struct icd_device *d, const VkPhysicalDeviceFeatures *features)
{
#define F(member) offsetof(VkPhysicalDeviceFeatures, member)
	static const uint32_t offsets[] = {
		F(fullDrawIndexUint32),
		F(independentBlend),
		F(sampleRateShading),
		F(dualSrcBlend),
		F(logicOp),
		F(multiDrawIndirect),
		F(drawIndirectFirstInstance),
		F(depthClamp),
		F(depthBiasClamp),
		F(fillModeNonSolid),
		F(depthBounds),
		F(wideLines),
		F(largePoints),
		F(alphaToOne),
		F(occlusionQueryPrecise),
		F(vertexPipelineStoresAndAtomics),
		F(fragmentStoresAndAtomics),
	};
#undef F
	for (uint32_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		VkBool32 used;
		memcpy(&used, (const char *)features + offsets[i], sizeof(used));
		if (used)
			icd_need(d, NEED_FEATURE, 64 + i, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
				offsetof(VkPhysicalDeviceFeatures2, features) + offsets[i]);
	}
}

/* Features that leave no trace in SPIR-V capabilities: what is enabled counts as used. */
static void tell_features(struct icd_device *d, const VkDeviceCreateInfo *info)
{
	const VkPhysicalDeviceFeatures2 *core = icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
	const VkPhysicalDeviceFeatures *features = core ? &core->features : info->pEnabledFeatures;
	const VkPhysicalDeviceVulkan12Features *v12 =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
	const VkPhysicalDeviceScalarBlockLayoutFeatures *scalar =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SCALAR_BLOCK_LAYOUT_FEATURES);
	const VkPhysicalDeviceUniformBufferStandardLayoutFeatures *uniform =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_UNIFORM_BUFFER_STANDARD_LAYOUT_FEATURES);
	const VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures *types =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES);
	const VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures *zero =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES);
	const VkPhysicalDeviceRobustness2FeaturesEXT *robust2 =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT);
	const VkPhysicalDeviceImageRobustnessFeatures *images =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_ROBUSTNESS_FEATURES);
	const VkPhysicalDeviceTexelBufferAlignmentFeaturesEXT *texels =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TEXEL_BUFFER_ALIGNMENT_FEATURES_EXT);
	const struct {
		bool used;
		VkStructureType type;
		uint64_t offset;
	} needs[] = {
		{ features && features->robustBufferAccess, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
			offsetof(VkPhysicalDeviceFeatures2, features.robustBufferAccess) },
		{ (v12 && v12->scalarBlockLayout) || (scalar && scalar->scalarBlockLayout),
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
			offsetof(VkPhysicalDeviceVulkan12Features, scalarBlockLayout) },
		{ (v12 && v12->uniformBufferStandardLayout) || (uniform && uniform->uniformBufferStandardLayout),
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
			offsetof(VkPhysicalDeviceVulkan12Features, uniformBufferStandardLayout) },
		{ zero && zero->shaderZeroInitializeWorkgroupMemory,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ZERO_INITIALIZE_WORKGROUP_MEMORY_FEATURES,
			offsetof(VkPhysicalDeviceZeroInitializeWorkgroupMemoryFeatures,
				shaderZeroInitializeWorkgroupMemory) },
		{ robust2 && robust2->robustBufferAccess2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
			offsetof(VkPhysicalDeviceRobustness2FeaturesEXT, robustBufferAccess2) },
		{ robust2 && robust2->robustImageAccess2, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
			offsetof(VkPhysicalDeviceRobustness2FeaturesEXT, robustImageAccess2) },
		{ robust2 && robust2->nullDescriptor, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
			offsetof(VkPhysicalDeviceRobustness2FeaturesEXT, nullDescriptor) },
		{ images && images->robustImageAccess, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_ROBUSTNESS_FEATURES,
			offsetof(VkPhysicalDeviceImageRobustnessFeatures, robustImageAccess) },
		{ texels && texels->texelBufferAlignment,
			VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TEXEL_BUFFER_ALIGNMENT_FEATURES_EXT,
			offsetof(VkPhysicalDeviceTexelBufferAlignmentFeaturesEXT, texelBufferAlignment) },
	};
	const VkPhysicalDeviceShaderTerminateInvocationFeatures *terminate =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_TERMINATE_INVOCATION_FEATURES);
	if (terminate && terminate->shaderTerminateInvocation)
		icd_need(d, NEED_FEATURE, 48, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_TERMINATE_INVOCATION_FEATURES,
			offsetof(VkPhysicalDeviceShaderTerminateInvocationFeatures, shaderTerminateInvocation));
	/* Extensions of SPIR-V that no capability tells of. */
	static const enum icd_extension unseen[] = { ICD_GOOGLE_decorate_string, ICD_GOOGLE_hlsl_functionality1,
		ICD_GOOGLE_user_type };
	for (uint32_t i = 0; i < ARRAY_SIZE(unseen); i++) {
		if (d->extensions[unseen[i]])
			icd_need_extension(d, unseen[i]);
	}
	const VkPhysicalDeviceShaderSubgroupUniformControlFlowFeaturesKHR *flow = icd_chain_find(
		info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_UNIFORM_CONTROL_FLOW_FEATURES_KHR);
	d->subgroups.extended_types =
		(v12 && v12->shaderSubgroupExtendedTypes) || (types && types->shaderSubgroupExtendedTypes);
	d->subgroups.dynamic_broadcast = v12 && v12->subgroupBroadcastDynamicId;
	d->subgroups.uniform_flow = flow && flow->shaderSubgroupUniformControlFlow;
	for (uint32_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (needs[i].used)
			icd_need(d, NEED_FEATURE, i, (uint64_t)needs[i].type, needs[i].offset);
	}
	if (features)
		tell_graphics(d, features);
}

static void device_free(struct icd_device *d)
{
	list_for_each_safe(s, &d->pending, struct icd_submission, link)
		free(s);
	icd_memory_free_all(d);
	icd_scratch_destroy(d->scratch);
	icd_needs_destroy(d->needs);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

static struct icd_device *device_create(struct icd_physical *physical)
{
	struct icd_device *d = icd_object_create(sizeof(*d));
	if (!d)
		return NULL;
	pthread_condattr_t attributes;
	d->physical = physical;
	set_loader_magic_value(&d->queue);
	d->queue.device = d;
	list_init(&d->memories);
	list_init(&d->pending);
	pthread_mutex_init(&d->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&d->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	d->needs = icd_needs_create();
	d->scratch = icd_scratch_create();
	if (!d->needs || !d->scratch) {
		device_free(d);
		return NULL;
	}
	return d;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateDevice(VkPhysicalDevice handle, const VkDeviceCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDevice *ret_device)
{
	(void)allocator;
	struct icd_physical *physical = ICD_FROM(icd_physical, handle);
	if (!icd_features_offered(physical, info->pEnabledFeatures, info->pNext))
		return VK_ERROR_FEATURE_NOT_PRESENT;
	for (uint32_t i = 0; i < info->queueCreateInfoCount; i++) {
		if (info->pQueueCreateInfos[i].queueFamilyIndex != 0 || info->pQueueCreateInfos[i].queueCount != 1 ||
			info->pQueueCreateInfos[i].flags)
			return VK_ERROR_INITIALIZATION_FAILED;
	}
	struct icd_device *d = device_create(physical);
	if (!d)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	VkResult result = VK_ERROR_EXTENSION_NOT_PRESENT;
	if (!enable_extensions(d, info))
		goto fail;
	result = VK_ERROR_INITIALIZATION_FAILED;
	if (icd_stream_make(d) < 0)
		goto fail;
	/* In the log before the session asks for the first executor. */
	tell_features(d, info);
	icd_publish(d);
	if (icd_stream_open(d) < 0) {
		icd_stream_close(d);
		goto fail;
	}
	*ret_device = ICD_HANDLE(VkDevice, d);
	return VK_SUCCESS;

fail:
	device_free(d);
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyDevice(VkDevice device, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	if (!d)
		return;
	icd_stream_close(d);
	device_free(d);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceQueue(VkDevice device, uint32_t family, uint32_t index, VkQueue *ret_queue)
{
	*ret_queue = family == 0 && index == 0 ? ICD_HANDLE(VkQueue, &ICD_FROM(icd_device, device)->queue) : NULL;
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceQueue2(VkDevice device, const VkDeviceQueueInfo2 *info, VkQueue *ret_queue)
{
	icd_GetDeviceQueue(device, info->flags ? UINT32_MAX : info->queueFamilyIndex, info->queueIndex, ret_queue);
}

VKAPI_ATTR void VKAPI_CALL icd_GetDeviceGroupPeerMemoryFeatures(
	VkDevice device, uint32_t heap, uint32_t local, uint32_t remote, VkPeerMemoryFeatureFlags *ret_features)
{
	(void)device, (void)heap, (void)local, (void)remote;
	*ret_features = 0; /* a group of one has no peers */
}
