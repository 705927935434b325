/* The driver's door: the loader's three symbols and the tables of functions by name. */
#include "migrate/icd/icd.h"

#include <string.h>

#define ICD_EXPORT __attribute__((visibility("default")))

struct global_entry {
	const char *name;
	PFN_vkVoidFunction function;
};

static const struct global_entry global_entries[] = {
#define ICD_GLOBAL(n) { "vk" #n, (PFN_vkVoidFunction)icd_##n },
#include "migrate/icd/entrypoints.h"
};

static const struct global_entry instance_entries[] = {
#define ICD_INSTANCE(n) { "vk" #n, (PFN_vkVoidFunction)icd_##n },
#include "migrate/icd/entrypoints.h"
	{ "vkEnumeratePhysicalDeviceGroupsKHR", (PFN_vkVoidFunction)icd_EnumeratePhysicalDeviceGroups },
};

static const struct global_entry physical_entries[] = {
#define ICD_PHYSICAL(n) { "vk" #n, (PFN_vkVoidFunction)icd_##n },
#define ICD_PHYSICAL_ALIAS(n, target) { "vk" #n, (PFN_vkVoidFunction)icd_##target },
#include "migrate/icd/entrypoints.h"
};

#define CORE (-1)
static const struct {
	const char *name;
	PFN_vkVoidFunction function;
	int extension; /* enum icd_extension or CORE */
} device_entries[] = {
#define ICD_DEVICE(n) { "vk" #n, (PFN_vkVoidFunction)icd_##n, CORE },
#define ICD_DEVICE_EXTENSION(n, e) { "vk" #n, (PFN_vkVoidFunction)icd_##n, ICD_##e },
#define ICD_DEVICE_ALIAS(n, target, e) { "vk" #n, (PFN_vkVoidFunction)icd_##target, ICD_##e },
#include "migrate/icd/entrypoints.h"
};

static PFN_vkVoidFunction find(const struct global_entry *entries, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(entries[i].name, name) == 0)
			return entries[i].function;
	}
	return NULL;
}

static PFN_vkVoidFunction find_device(const struct icd_device *d, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_entries); i++) {
		if (strcmp(device_entries[i].name, name) == 0) {
			int extension = device_entries[i].extension;
			return extension == CORE || !d || d->extensions[extension] ? device_entries[i].function : NULL;
		}
	}
	return NULL;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL icd_GetInstanceProcAddr(VkInstance instance, const char *name)
{
	if (!name)
		return NULL;
	if (strcmp(name, "vk_icdNegotiateLoaderICDInterfaceVersion") == 0)
		return (PFN_vkVoidFunction)vk_icdNegotiateLoaderICDInterfaceVersion;
	if (strcmp(name, "vk_icdGetPhysicalDeviceProcAddr") == 0)
		return (PFN_vkVoidFunction)vk_icdGetPhysicalDeviceProcAddr;
	if (strcmp(name, "vkGetInstanceProcAddr") == 0)
		return (PFN_vkVoidFunction)icd_GetInstanceProcAddr;
	if (!instance)
		return find(global_entries, ARRAY_SIZE(global_entries), name);
	PFN_vkVoidFunction function = find(instance_entries, ARRAY_SIZE(instance_entries), name);
	if (!function)
		function = find(physical_entries, ARRAY_SIZE(physical_entries), name);
	return function ? function : find_device(NULL, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL icd_GetDeviceProcAddr(VkDevice device, const char *name)
{
	return name ? find_device(ICD_FROM(icd_device, device), name) : NULL;
}

ICD_EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetInstanceProcAddr(VkInstance instance, const char *name)
{
	return icd_GetInstanceProcAddr(instance, name);
}

ICD_EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vk_icdGetPhysicalDeviceProcAddr(VkInstance instance, const char *name)
{
	(void)instance;
	return find(physical_entries, ARRAY_SIZE(physical_entries), name);
}

/* 5: the loader checks the program's apiVersion; 7: no more symbols than these need be exported. */
ICD_EXPORT VKAPI_ATTR VkResult VKAPI_CALL vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version)
{
	if (*version < 5)
		return VK_ERROR_INCOMPATIBLE_DRIVER;
	if (*version > 7)
		*version = 7;
	return VK_SUCCESS;
}
