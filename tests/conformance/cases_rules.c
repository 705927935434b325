/* What calls answer when there is less room, no such thing, or something in the chain that nobody knows. */
#include "conformance.h"

#include <string.h>

/* In front of whatever is asked for. */
static VkBaseOutStructure unknown = { .sType = (VkStructureType)0x7ffffff0 };

static void *behind_unknown(void *next)
{
	unknown.pNext = next;
	return &unknown;
}

/* Less room than there are: as many as fit, and VK_INCOMPLETE. */
static void little_room(void)
{
	VkExtensionProperties few[2];
	VkPhysicalDevice device;
	VkPhysicalDeviceGroupProperties group = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GROUP_PROPERTIES };
	VkQueueFamilyProperties family;
	uint32_t count = 0;
	VkResult result = VK(EnumeratePhysicalDevices)(w.instance, &count, &device);
	say("rules: no room for a device: %d %u", result, count);
	count = 0;
	result = VK(EnumeratePhysicalDeviceGroups)(w.instance, &count, &group);
	say("rules: no room for a group: %d %u", result, count);
	count = 2;
	result = VK(EnumerateDeviceExtensionProperties)(w.physical, NULL, &count, few);
	say("rules: room for two extensions: %d %u", result, count);
	count = 0;
	result = VK(EnumerateDeviceExtensionProperties)(w.physical, NULL, &count, few);
	say("rules: room for none: %d %u", result, count);
	count = 0;
	result = VK(EnumerateInstanceExtensionProperties)(NULL, &count, few);
	say("rules: room for no extension of the instance: %d %u", result, count);
	if (!w.tbmesh) /* lavapipe of 2025 crashes */
		return;
	count = 0;
	VK(GetPhysicalDeviceQueueFamilyProperties)(w.physical, &count, &family);
	expect(count == 0, "no room for a family");
}

static void unknown_names(void)
{
	uint32_t count = 0;
	say("rules: extensions of an unknown layer: %d",
		VK(EnumerateInstanceExtensionProperties)("VK_LAYER_TBMESH_unknown", &count, NULL));
	say("rules: global functions: %d %d %d", vkGetInstanceProcAddr(NULL, "vkCreateInstance") != NULL,
		vkGetInstanceProcAddr(NULL, "vkDestroyInstance") != NULL,
		vkGetInstanceProcAddr(NULL, "vkNoSuchFunction") != NULL);
}

/* Structs that nobody knows are skipped. */
static void unknown_structs(void)
{
	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES };
	VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = behind_unknown(&v12) };
	VK(GetPhysicalDeviceFeatures2)(w.physical, &features);
	expect(features.features.robustBufferAccess && v12.timelineSemaphore, "features behind an unknown struct");
	VkPhysicalDeviceSubgroupProperties subgroup = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES };
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = behind_unknown(&subgroup) };
	VK(GetPhysicalDeviceProperties2)(w.physical, &properties);
	expect(subgroup.subgroupSize != 0, "properties behind an unknown struct");
	VkFormatProperties2 format = { .sType = VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_2, .pNext = behind_unknown(NULL) };
	VK(GetPhysicalDeviceFormatProperties2)(w.physical, VK_FORMAT_R32_UINT, &format);
	expect(format.formatProperties.optimalTilingFeatures != 0, "a format in front of an unknown struct");
}

static VkResult image_format(const void *chain, VkFormat format, VkImageType type, VkImageTiling tiling,
	VkImageUsageFlags usage, VkImageCreateFlags flags)
{
	const VkPhysicalDeviceImageFormatInfo2 info = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_IMAGE_FORMAT_INFO_2, chain, format,
		type, tiling, usage, flags };
	VkImageFormatProperties2 properties = { .sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_PROPERTIES_2 };
	VkResult result = VK(GetPhysicalDeviceImageFormatProperties2)(w.physical, &info, &properties);
	/* Nothing is there of what is not supported. */
	if (result != VK_SUCCESS && properties.imageFormatProperties.maxExtent.width)
		say("rules: an image format that is not supported has an extent");
	return result;
}

static void image_formats(void)
{
	const VkImageUsageFlags sampled = VK_IMAGE_USAGE_SAMPLED_BIT, depth = VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT;
	const VkFormat formats[] = { VK_FORMAT_R32_UINT, VK_FORMAT_D16_UNORM };
	const VkImageFormatListCreateInfo list = { VK_STRUCTURE_TYPE_IMAGE_FORMAT_LIST_CREATE_INFO, NULL, 1, formats };
	/* A kind of handle that no driver has. */
	const VkPhysicalDeviceExternalImageFormatInfo external = {
		VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO, NULL,
		VK_EXTERNAL_MEMORY_HANDLE_TYPE_D3D11_TEXTURE_BIT
	};
	say("rules: image formats: %d %d %d %d %d",
		image_format(NULL, formats[0], VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, sampled, 0),
		image_format(&list, formats[0], VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, sampled,
			VK_IMAGE_CREATE_MUTABLE_FORMAT_BIT),
		image_format(NULL, formats[0], VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, depth, 0),
		image_format(NULL, formats[1], VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, VK_IMAGE_USAGE_STORAGE_BIT, 0),
		image_format(NULL, VK_FORMAT_BC7_UNORM_BLOCK, VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL,
			VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT, 0));
	if (!w.tbmesh) /* lavapipe of 2022 crashes */
		return;
	VkResult result = image_format(&external, formats[0], VK_IMAGE_TYPE_2D, VK_IMAGE_TILING_OPTIMAL, sampled, 0);
	expect(result == VK_ERROR_FORMAT_NOT_SUPPORTED, "no image of another API");
}

/* Without its extension a function is not there. */
static void bare_device(void)
{
	static const char *const extended[] = { "vkCmdPushDescriptorSetKHR", "vkCmdSetCullModeEXT", "vkQueueSubmit2KHR",
		"vkCmdBeginRenderingKHR", "vkResetQueryPoolEXT", "vkCreatePrivateDataSlotEXT" };
	static const char *const core[] = { "vkCmdDispatch", "vkResetQueryPool", "vkCmdDispatchBase",
		"vkCreateRenderPass2" };
	const float priority = 1.0f;
	const VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = w.family,
		.queueCount = 1,
		.pQueuePriorities = &priority };
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue
	};
	VkDevice device;
	unsigned has = 0, lacks = 0;
	OK(VK(CreateDevice)(w.physical, &info, NULL, &device));
	for (size_t i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
		lacks += VK(GetDeviceProcAddr)(device, extended[i]) == NULL;
	for (size_t i = 0; i < sizeof(core) / sizeof(core[0]); i++)
		has += VK(GetDeviceProcAddr)(device, core[i]) != NULL;
	expect(lacks == sizeof(extended) / sizeof(extended[0]),
		"functions of extensions that are not enabled are not there");
	expect(has == sizeof(core) / sizeof(core[0]), "functions of the core are there");
	expect(!VK(GetDeviceProcAddr)(device, "vkCreateInstance") &&
			!VK(GetDeviceProcAddr)(device, "vkEnumeratePhysicalDevices"),
		"functions of the instance are no device's");
	PFN_vkDestroyDevice destroy = (PFN_vkDestroyDevice)VK(GetDeviceProcAddr)(device, "vkDestroyDevice");
	destroy(device, NULL);
}

void case_rules(void)
{
	little_room();
	unknown_names();
	image_formats();
	bare_device();
	if (!w.valid_only)
		unknown_structs();
}
