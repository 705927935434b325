/* A Vulkan driver that hangs or crashes as soon as it is asked for an instance: what a driver does whose card has died. Built twice
 * (HANGS 0, 1), for tests of the probe alone. */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vk_icd.h>
#include <vulkan/vulkan.h>

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(
	const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *ret)
{
	(void)info;
	(void)allocator;
	(void)ret;
	while (HANGS)
		pause();
	raise(SIGSEGV);
	return VK_ERROR_INITIALIZATION_FAILED;
}

static VKAPI_ATTR VkResult VKAPI_CALL no_extensions(const char *layer, uint32_t *count, VkExtensionProperties *ret)
{
	(void)layer;
	(void)ret;
	*count = 0;
	return VK_SUCCESS;
}

__attribute__((visibility("default"))) VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(
	VkInstance instance, const char *name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance instance, const char *name)
{
	(void)instance;
	if (strcmp(name, "vkCreateInstance") == 0)
		return (PFN_vkVoidFunction)create_instance;
	if (strcmp(name, "vkEnumerateInstanceExtensionProperties") == 0)
		return (PFN_vkVoidFunction)no_extensions;
	return NULL;
}

__attribute__((visibility("default"))) VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(
	uint32_t *version);
VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version)
{
	*version = *version < 5 ? *version : 5;
	return VK_SUCCESS;
}
