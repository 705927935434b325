/* VkPhysicalDevice: the virtual GPU, answered from the description of the real one. */
#include "migrate/icd/icd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* No geometry, no tessellation. */
#define STAGES (VK_SHADER_STAGE_COMPUTE_BIT | VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT)

static uint64_t fnv1a(uint64_t hash, const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3ull;
	return hash;
}

/* The same text gives the same UUID on every host and in every run. */
static void uuid_of(uint8_t ret[VK_UUID_SIZE], const char *kind, const char *a, const char *b)
{
	for (unsigned half = 0; half < 2; half++) {
		uint64_t hash = fnv1a(0xcbf29ce484222325ull + half, kind, strlen(kind) + 1);
		hash = fnv1a(hash, a, strlen(a) + 1);
		hash = fnv1a(hash, b, strlen(b) + 1);
		memcpy(ret + half * 8, &hash, 8);
	}
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void copy_text(const struct description *d, enum description_text tag, char *ret, size_t size)
{
	size_t length = 0;
	const char *text = description_find(d, DESCRIPTION_TEXT, tag, &length);
	snprintf(ret, size, "%.*s", text ? (int)length : 0, text ? text : "");
}

static void init_extensions(struct icd_physical *p, uint32_t real_version)
{
	static const uint16_t promoted[] = {
#define ICD_EXTENSION(name, spec, version) version,
#define ICD_LOCAL_EXTENSION(name, spec) 10,
#include "migrate/icd/extensions.h"
	};
	size_t size = 0;
	const VkExtensionProperties *real = description_find(&p->description, DESCRIPTION_EXTENSIONS, 0, &size);
	unsigned version = VK_API_VERSION_MAJOR(real_version) * 10 + VK_API_VERSION_MINOR(real_version);
	for (unsigned e = 0; e < ICD_EXTENSION_COUNT; e++) {
		p->extensions[e] = promoted[e] && promoted[e] <= version;
		for (size_t i = 0; real && i < size / sizeof(*real) && !p->extensions[e]; i++)
			p->extensions[e] =
				strncmp(real[i].extensionName, icd_extension_name(e), VK_MAX_EXTENSION_NAME_SIZE) == 0;
	}
}

/* All of the program's memory is device memory of the real GPU; the host-visible types also live in the program's process. */
static void init_memory(struct icd_physical *p)
{
	size_t size = 0;
	const VkPhysicalDeviceMemoryProperties *real = description_find(&p->description, DESCRIPTION_MEMORY, 0, &size);
	uint64_t local = 0;
	for (uint32_t i = 0; real && size >= sizeof(*real) && i < real->memoryHeapCount && i < VK_MAX_MEMORY_HEAPS; i++) {
		if ((real->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && real->memoryHeaps[i].size > local)
			local = real->memoryHeaps[i].size;
	}
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
	const VkMemoryPropertyFlags coherent = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	p->memory = (VkPhysicalDeviceMemoryProperties){
		.memoryTypeCount = ICD_MEMORY_TYPE_COUNT,
		.memoryTypes = {
			[MEMORY_DEVICE_LOCAL] = { VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0 },
			[MEMORY_HOST_COHERENT] = { coherent, 1 },
			[MEMORY_HOST_CACHED] = { coherent | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1 },
		},
		.memoryHeapCount = ICD_HEAP_COUNT,
		.memoryHeaps = { { local, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT }, { min64(local, host), 0 } },
	};
}

/* One queue. Its timestamps are the real one's, where every GPU that says the same has them, too. */
static void init_family(struct icd_physical *p, const VkPhysicalDeviceLimits *limits)
{
	size_t size = 0;
	const VkQueueFamilyProperties *real = description_find(&p->description, DESCRIPTION_QUEUE, 0, &size);
	p->family = (VkQueueFamilyProperties){
		.queueFlags = VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT |
			(real && size >= sizeof(*real) ? real->queueFlags & VK_QUEUE_GRAPHICS_BIT : 0),
		.queueCount = 1,
		.timestampValidBits =
			real && size >= sizeof(*real) && limits->timestampComputeAndGraphics ? real->timestampValidBits : 0,
		.minImageTransferGranularity = { 1, 1, 1 },
	};
}

static void init_properties(struct icd_physical *p, const VkPhysicalDeviceProperties *real)
{
	VkPhysicalDeviceProperties *v = &p->properties;
	VkPhysicalDeviceLimits *l = &v->limits;
	*v = *real;
	v->apiVersion = ICD_API_VERSION;
	v->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
	bool portable = description_find(&p->description, DESCRIPTION_TEXT, DESCRIPTION_TEXT_PORTABLE, NULL);
	snprintf(v->deviceName, sizeof(v->deviceName), "tbmesh: %.*s @ %s%s", (int)sizeof(real->deviceName) - 92,
		real->deviceName, p->host, portable ? " (portable)" : "");
	/* Data of one is of use to another where version, driver and GPU are the same. */
	char cache[VK_UUID_SIZE * 2 + 1];
	for (unsigned i = 0; i < VK_UUID_SIZE; i++)
		snprintf(cache + 2 * i, 3, "%02x", real->pipelineCacheUUID[i]);
	uuid_of(v->pipelineCacheUUID, "pipeline cache", TBMESH_VERSION, cache);
	l->maxBoundDescriptorSets = (uint32_t)min64(l->maxBoundDescriptorSets, ICD_MAX_SETS);
	l->maxMemoryAllocationCount = (uint32_t)min64(l->maxMemoryAllocationCount, 65536);
	l->minMemoryMapAlignment = 4096;
	l->bufferImageGranularity = 1; /* images are elsewhere in truth */
	l->sparseAddressSpaceSize = 0;
	l->maxViewports = 1;
	/* The counts that every GPU has. */
	const VkSampleCountFlags samples = VK_SAMPLE_COUNT_1_BIT | VK_SAMPLE_COUNT_4_BIT;
	l->framebufferColorSampleCounts &= samples;
	l->framebufferDepthSampleCounts &= samples;
	l->framebufferStencilSampleCounts &= samples;
	l->framebufferNoAttachmentsSampleCounts &= samples;
	l->sampledImageColorSampleCounts &= samples;
	l->sampledImageIntegerSampleCounts &= samples;
	l->sampledImageDepthSampleCounts &= samples;
	l->sampledImageStencilSampleCounts &= samples;
	l->storageImageSampleCounts = VK_SAMPLE_COUNT_1_BIT;
	l->timestampComputeAndGraphics = p->family.timestampValidBits > 0;
	v->sparseProperties = (VkPhysicalDeviceSparseProperties){ 0 };
}

int icd_physical_init(struct icd_physical *p, struct icd_instance *instance, const void *bytes, size_t size)
{
	memset(p, 0, sizeof(*p));
	set_loader_magic_value(p);
	p->instance = instance;
	int error = description_parse(&p->description, bytes, size);
	if (error)
		return error;
	const VkPhysicalDeviceProperties2 *real =
		description_struct(&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(*real));
	size_t buffer_size = 0;
	const struct description_buffer *buffer = description_find(&p->description, DESCRIPTION_BUFFER, 0, &buffer_size);
	if (!real || !buffer || buffer_size < sizeof(*buffer)) {
		description_finish(&p->description);
		return -EBADMSG;
	}
	p->buffer = *buffer;
	copy_text(&p->description, DESCRIPTION_TEXT_GPU_ID, p->gpu_id, sizeof(p->gpu_id));
	copy_text(&p->description, DESCRIPTION_TEXT_HOST, p->host, sizeof(p->host));
	copy_text(&p->description, DESCRIPTION_TEXT_NODE, p->node, sizeof(p->node));
	/* The GPU's id is its own on its node, a node's id in the world. Names of hosts may be given twice. */
	bool portable = description_find(&p->description, DESCRIPTION_TEXT, DESCRIPTION_TEXT_PORTABLE, NULL);
	uuid_of(p->device_uuid, portable ? "portable device" : "device", p->gpu_id, p->node[0] ? p->node : p->host);
	uuid_of(p->driver_uuid, "driver", TBMESH_VERSION, "");
	init_extensions(p, real->properties.apiVersion);
	if (!icd_features_indexing(p))
		p->extensions[ICD_EXT_descriptor_indexing] = false;
	init_memory(p);
	init_family(p, &real->properties.limits);
	init_properties(p, &real->properties);
	return 0;
}

void icd_physical_finish(struct icd_physical *p)
{
	description_finish(&p->description);
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceFeatures(VkPhysicalDevice physical, VkPhysicalDeviceFeatures *features)
{
	icd_features_fill(ICD_FROM(icd_physical, physical), features, NULL);
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceFeatures2(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features)
{
	icd_features_fill(ICD_FROM(icd_physical, physical), &features->features, features->pNext);
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceProperties(VkPhysicalDevice physical, VkPhysicalDeviceProperties *properties)
{
	*properties = ICD_FROM(icd_physical, physical)->properties;
}

static void driver_texts(
	const struct icd_physical *p, char name[VK_MAX_DRIVER_NAME_SIZE], char info[VK_MAX_DRIVER_INFO_SIZE])
{
	const VkPhysicalDeviceDriverProperties *real =
		description_struct(&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES, sizeof(*real));
	snprintf(name, VK_MAX_DRIVER_NAME_SIZE, "tbmesh");
	snprintf(info, VK_MAX_DRIVER_INFO_SIZE, "tbmesh %s on %.100s %.100s", TBMESH_VERSION,
		real ? real->driverName : "unknown", real ? real->driverInfo : "");
}

/* What the chain holds is the real device's; this puts the virtual one's words in. */
static void correct_property(const struct icd_physical *p, VkBaseOutStructure *s)
{
	switch ((int)s->sType) {
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES: {
		VkPhysicalDeviceIDProperties *v = (void *)s;
		memcpy(v->deviceUUID, p->device_uuid, VK_UUID_SIZE);
		memcpy(v->driverUUID, p->driver_uuid, VK_UUID_SIZE);
		v->deviceLUIDValid = VK_FALSE;
		v->deviceNodeMask = 0;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES: {
		VkPhysicalDeviceVulkan11Properties *v = (void *)s;
		memcpy(v->deviceUUID, p->device_uuid, VK_UUID_SIZE);
		memcpy(v->driverUUID, p->driver_uuid, VK_UUID_SIZE);
		v->deviceLUIDValid = VK_FALSE;
		v->deviceNodeMask = 0;
		v->subgroupSupportedStages &= STAGES;
		v->protectedNoFault = VK_FALSE;
		v->maxMemoryAllocationSize = min64(v->maxMemoryAllocationSize, p->memory.memoryHeaps[0].size);
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES: {
		VkPhysicalDeviceVulkan12Properties *v = (void *)s;
		driver_texts(p, v->driverName, v->driverInfo);
		v->maxTimelineSemaphoreValueDifference = UINT64_MAX / 2;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES: {
		VkPhysicalDeviceDriverProperties *v = (void *)s;
		driver_texts(p, v->driverName, v->driverInfo);
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES:
		((VkPhysicalDeviceSubgroupProperties *)(void *)s)->supportedStages &= STAGES;
		return;
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_PROPERTIES:
		((VkPhysicalDeviceTimelineSemaphoreProperties *)(void *)s)->maxTimelineSemaphoreValueDifference =
			UINT64_MAX / 2;
		return;
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES: {
		VkPhysicalDeviceMaintenance3Properties *v = (void *)s;
		v->maxMemoryAllocationSize = min64(v->maxMemoryAllocationSize, p->memory.memoryHeaps[0].size);
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_PROPERTIES: {
		VkPhysicalDeviceInlineUniformBlockProperties *v = (void *)s;
		v->maxInlineUniformBlockSize = (uint32_t)min64(v->maxInlineUniformBlockSize, ICD_MAX_INLINE_BYTES);
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PUSH_DESCRIPTOR_PROPERTIES_KHR: {
		VkPhysicalDevicePushDescriptorPropertiesKHR *v = (void *)s;
		v->maxPushDescriptors = (uint32_t)min64(v->maxPushDescriptors, ICD_MAX_PUSH_DESCRIPTORS);
		return;
	}
	}
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceProperties2(
	VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *properties)
{
	const struct icd_physical *p = ICD_FROM(icd_physical, physical);
	properties->properties = p->properties;
	if (!properties->pNext)
		return;
	description_fill_chain(&p->description, properties->pNext);
	for (VkBaseOutStructure *s = properties->pNext; s; s = s->pNext)
		correct_property(p, s);
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceSparseImageFormatProperties(VkPhysicalDevice physical, VkFormat format,
	VkImageType type, VkSampleCountFlagBits samples, VkImageUsageFlags usage, VkImageTiling tiling, uint32_t *count,
	VkSparseImageFormatProperties *properties)
{
	(void)physical, (void)format, (void)type, (void)samples, (void)usage, (void)tiling, (void)properties;
	*count = 0;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceSparseImageFormatProperties2(VkPhysicalDevice physical,
	const VkPhysicalDeviceSparseImageFormatInfo2 *info, uint32_t *count, VkSparseImageFormatProperties2 *properties)
{
	(void)physical, (void)info, (void)properties;
	*count = 0;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceQueueFamilyProperties(
	VkPhysicalDevice physical, uint32_t *count, VkQueueFamilyProperties *properties)
{
	if (properties && *count > 0)
		properties[0] = ICD_FROM(icd_physical, physical)->family;
	if (!properties || *count > 1)
		*count = 1;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceQueueFamilyProperties2(
	VkPhysicalDevice physical, uint32_t *count, VkQueueFamilyProperties2 *properties)
{
	if (properties && *count > 0)
		properties[0].queueFamilyProperties = ICD_FROM(icd_physical, physical)->family;
	if (!properties || *count > 1)
		*count = 1;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceMemoryProperties(
	VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties *properties)
{
	*properties = ICD_FROM(icd_physical, physical)->memory;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceMemoryProperties2(
	VkPhysicalDevice physical, VkPhysicalDeviceMemoryProperties2 *properties)
{
	struct icd_physical *p = ICD_FROM(icd_physical, physical);
	properties->memoryProperties = p->memory;
	VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (void *)(uintptr_t)icd_chain_find(
		properties->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
	if (!budget)
		return;
	memset(budget->heapBudget, 0, sizeof(budget->heapBudget));
	memset(budget->heapUsage, 0, sizeof(budget->heapUsage));
	for (unsigned i = 0; i < ICD_HEAP_COUNT; i++) {
		/* Both heaps are carved out of the same real one. */
		uint64_t other = atomic_load(&p->heap_used[1 - i]);
		uint64_t left = p->memory.memoryHeaps[0].size - min64(other, p->memory.memoryHeaps[0].size);
		budget->heapBudget[i] = min64(p->memory.memoryHeaps[i].size, left);
		budget->heapUsage[i] = atomic_load(&p->heap_used[i]);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceExternalBufferProperties(
	VkPhysicalDevice physical, const VkPhysicalDeviceExternalBufferInfo *info, VkExternalBufferProperties *properties)
{
	(void)physical, (void)info;
	properties->externalMemoryProperties = (VkExternalMemoryProperties){ 0 };
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceExternalFenceProperties(
	VkPhysicalDevice physical, const VkPhysicalDeviceExternalFenceInfo *info, VkExternalFenceProperties *properties)
{
	(void)physical, (void)info;
	properties->exportFromImportedHandleTypes = properties->compatibleHandleTypes = 0;
	properties->externalFenceFeatures = 0;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceExternalSemaphoreProperties(VkPhysicalDevice physical,
	const VkPhysicalDeviceExternalSemaphoreInfo *info, VkExternalSemaphoreProperties *properties)
{
	(void)physical, (void)info;
	properties->exportFromImportedHandleTypes = properties->compatibleHandleTypes = 0;
	properties->externalSemaphoreFeatures = 0;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetPhysicalDeviceToolPropertiesEXT(
	VkPhysicalDevice physical, uint32_t *count, VkPhysicalDeviceToolProperties *properties)
{
	(void)physical, (void)properties;
	*count = 0;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumerateDeviceExtensionProperties(
	VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *properties)
{
	static const uint32_t versions[] = {
#define ICD_EXTENSION(name, spec, promoted) VK_##spec##_SPEC_VERSION,
#define ICD_LOCAL_EXTENSION(name, spec) VK_##spec##_SPEC_VERSION,
#include "migrate/icd/extensions.h"
	};
	const struct icd_physical *p = ICD_FROM(icd_physical, physical);
	if (layer)
		return VK_ERROR_LAYER_NOT_PRESENT;
	uint32_t total = 0;
	for (unsigned e = 0; e < ICD_EXTENSION_COUNT; e++) {
		if (!p->extensions[e])
			continue;
		if (properties && total < *count) {
			memset(&properties[total], 0, sizeof(properties[total]));
			snprintf(properties[total].extensionName, VK_MAX_EXTENSION_NAME_SIZE, "%s", icd_extension_name(e));
			properties[total].specVersion = versions[e];
		}
		total++;
	}
	if (properties && *count < total)
		return VK_INCOMPLETE;
	*count = total;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EnumerateDeviceLayerProperties(
	VkPhysicalDevice physical, uint32_t *count, VkLayerProperties *properties)
{
	(void)physical, (void)properties;
	*count = 0;
	return VK_SUCCESS;
}
