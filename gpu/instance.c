#include "gpu/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_DRIVER "tbmesh"           /* driverName of vulkan_tbmesh */
#define ID_BASE_MAX (GPU_ID_MAX - 12) /* leaves room for "#" and a number */

static int error_of(VkResult result)
{
	switch ((int)result) {
	case VK_ERROR_OUT_OF_HOST_MEMORY:
		return -ENOMEM;
	case VK_ERROR_INCOMPATIBLE_DRIVER:
		return -ENODEV;
	default:
		return -EIO;
	}
}

int gpu_extensions(VkPhysicalDevice device, VkExtensionProperties **ret_extensions, uint32_t *ret_count)
{
	uint32_t count = 0;
	if (vkEnumerateDeviceExtensionProperties(device, NULL, &count, NULL) != VK_SUCCESS)
		return -EIO;
	VkExtensionProperties *extensions = calloc(count + 1u, sizeof(*extensions));
	if (extensions == NULL)
		return -ENOMEM;
	VkResult result = vkEnumerateDeviceExtensionProperties(device, NULL, &count, extensions);
	if (result < 0) {
		free(extensions);
		return error_of(result);
	}
	*ret_extensions = extensions;
	*ret_count = count;
	return 0;
}

static bool has_extension(VkPhysicalDevice device, const char *name)
{
	VkExtensionProperties *extensions;
	uint32_t count;
	bool found = false;
	if (gpu_extensions(device, &extensions, &count) < 0)
		return false;
	for (uint32_t i = 0; i < count && !found; i++)
		found = strcmp(extensions[i].extensionName, name) == 0;
	free(extensions);
	return found;
}

bool gpu_tells_memory(VkPhysicalDevice device)
{
	return has_extension(device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
}

uint64_t gpu_memory_free(VkPhysicalDevice device)
{
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
	};
	VkPhysicalDeviceMemoryProperties2 memory = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
		.pNext = &budget };
	uint32_t largest = VK_MAX_MEMORY_HEAPS;

	vkGetPhysicalDeviceMemoryProperties2(device, &memory);
	for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount && i < VK_MAX_MEMORY_HEAPS; i++) {
		const VkMemoryHeap *heaps = memory.memoryProperties.memoryHeaps;

		if ((heaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
			(largest == VK_MAX_MEMORY_HEAPS || heaps[i].size > heaps[largest].size))
			largest = i;
	}
	if (largest == VK_MAX_MEMORY_HEAPS)
		return 0;
	return budget.heapBudget[largest] > budget.heapUsage[largest]
		? budget.heapBudget[largest] - budget.heapUsage[largest]
		: 1;
}

int gpu_queue_family(VkPhysicalDevice device, uint32_t *ret_family)
{
	VkQueueFamilyProperties families[32];
	uint32_t count = 32, best = UINT32_MAX;
	vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || families[i].queueCount == 0)
			continue;
		if (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) { /* it can blit and resolve too */
			best = i;
			break;
		}
		if (best == UINT32_MAX)
			best = i;
	}
	if (best == UINT32_MAX)
		return -ENODEV;
	*ret_family = best;
	return 0;
}

/* "Mesa X.Org (R600)" becomes "mesa-x.org-r600". */
static void append_clean(char *out, size_t size, const char *name)
{
	size_t used = strlen(out);
	bool gap = false;
	for (const char *s = name; *s != '\0' && used + 1 < size; s++) {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.') {
			if (gap && used + 2 < size)
				out[used++] = '-';
			gap = false;
			out[used++] = c;
		} else {
			gap = used > 4; /* behind "cpu-" a gap would double the hyphen */
		}
	}
	out[used] = '\0';
}

struct told { /* what a device says of itself, before all of them have an id */
	VkPhysicalDevice device;
	char base[ID_BASE_MAX]; /* its id if no other device has the same */
	char driver[ID_BASE_MAX];
	uint32_t driver_id, queue_family;
};

/* False: a device that is not for us. */
static bool describe(VkPhysicalDevice device, struct told *t)
{
	VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT
	};
	VkPhysicalDeviceDrmPropertiesEXT drm = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT };
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 };
	vkGetPhysicalDeviceProperties(device, &properties.properties);
	if (properties.properties.apiVersion < VK_API_VERSION_1_1 || gpu_queue_family(device, &t->queue_family) < 0)
		return false; /* has not what we ask with, or nothing that computes */
	bool has_pci = has_extension(device, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
	if (has_pci) {
		properties.pNext = &pci;
	} else if (has_extension(device, VK_EXT_PHYSICAL_DEVICE_DRM_EXTENSION_NAME)) {
		properties.pNext = &drm;
	}
	if (properties.properties.apiVersion >= VK_API_VERSION_1_2 ||
		has_extension(device, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) {
		driver.pNext = properties.pNext;
		properties.pNext = &driver;
	}
	vkGetPhysicalDeviceProperties2(device, &properties);
	if (strcmp(driver.driverName, OWN_DRIVER) == 0)
		return false;
	t->device = device;
	t->driver_id = (uint32_t)driver.driverID;
	t->driver[0] = '\0';
	append_clean(t->driver, sizeof t->driver,
		driver.driverName[0] != '\0' ? driver.driverName : properties.properties.deviceName);
	if (has_pci)
		snprintf(t->base, sizeof t->base, "pci-%04x:%02x:%02x.%x", pci.pciDomain, pci.pciBus, pci.pciDevice,
			pci.pciFunction);
	else if (drm.hasRender)
		snprintf(t->base, sizeof t->base, "drm-renderD%lld", (long long)drm.renderMinor);
	else if (drm.hasPrimary)
		snprintf(t->base, sizeof t->base, "drm-card%lld", (long long)drm.primaryMinor);
	else
		snprintf(t->base, sizeof t->base, "cpu-%.40s", t->driver);
	return true;
}

/* Of several drivers of one card the first by VkDriverId has the plain id, so that it does not depend on the order in which the
 * loader finds them; the others name their driver. */
static bool has_plain_id(const struct told *all, size_t count, size_t index)
{
	for (size_t i = 0; i < count; i++)
		if (i != index && strcmp(all[i].base, all[index].base) == 0 &&
			(all[i].driver_id < all[index].driver_id || (all[i].driver_id == all[index].driver_id && i < index)))
			return false;
	return true;
}

static void give_ids(struct gpu_instance *g, const struct told *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct gpu *gpu = &g->gpus[i];
		char name[ID_BASE_MAX];
		unsigned repeats = 1;
		gpu->device = all[i].device;
		gpu->queue_family = all[i].queue_family;
		bool plain = has_plain_id(all, count, i) || strncmp(all[i].base, "cpu-", 4) == 0;
		if (plain)
			snprintf(name, sizeof name, "%s", all[i].base);
		else
			snprintf(name, sizeof name, "%.24s#%.24s", all[i].base, all[i].driver);
		snprintf(gpu->id, sizeof gpu->id, "%s", name);
		while (gpu_find(g, gpu->id) != NULL)
			snprintf(gpu->id, sizeof gpu->id, "%s#%u", name, ++repeats);
		g->gpu_count++;
	}
}

static int enumerate(struct gpu_instance *g)
{
	uint32_t count = 0;
	VkResult result = vkEnumeratePhysicalDevices(g->instance, &count, NULL);
	if (result != VK_SUCCESS)
		/* the loader says so when drivers are there and none of them has a device */
		return result == VK_ERROR_INITIALIZATION_FAILED ? 0 : error_of(result);
	VkPhysicalDevice *devices = calloc(count + 1u, sizeof(VkPhysicalDevice));
	struct told *told = calloc(count + 1u, sizeof(*told));
	g->gpus = calloc(count + 1u, sizeof(*g->gpus));
	int rc = devices != NULL && told != NULL && g->gpus != NULL ? 0 : -ENOMEM;
	if (rc == 0) {
		result =
			vkEnumeratePhysicalDevices(g->instance, &count, devices); /* VK_INCOMPLETE: one more has just come */
		if (result < 0)
			rc = error_of(result);
	}
	size_t kept = 0;
	for (uint32_t i = 0; rc == 0 && i < count; i++)
		kept += describe(devices[i], &told[kept]);
	if (rc == 0)
		give_ids(g, told, kept);
	free(told);
	free(devices);
	return rc;
}

int gpu_instance_init(struct gpu_instance *g, const char *application)
{
	/* Mesa's device selection layer, which is always on, crashes where no device is left. */
	setenv("NODEVICE_SELECT", "1", 0);
	uint32_t version = VK_API_VERSION_1_0;
	PFN_vkEnumerateInstanceVersion enumerate_version =
		(PFN_vkEnumerateInstanceVersion)vkGetInstanceProcAddr(NULL, "vkEnumerateInstanceVersion");
	if (enumerate_version != NULL)
		enumerate_version(&version);
	if (version < VK_API_VERSION_1_1)
		return -EIO;
	VkApplicationInfo about = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = application,
		.pEngineName = "tbmesh",
		.apiVersion = version < VK_API_VERSION_1_3 ? version : VK_API_VERSION_1_3,
	};
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &about };
	*g = (struct gpu_instance){ 0 };
	VkResult result = vkCreateInstance(&info, NULL, &g->instance);
	if (result != VK_SUCCESS) {
		g->instance = VK_NULL_HANDLE;
		return error_of(result);
	}
	int rc = enumerate(g);
	if (rc < 0)
		gpu_instance_finish(g);
	return rc;
}

void gpu_instance_finish(struct gpu_instance *g)
{
	if (g->instance != VK_NULL_HANDLE)
		vkDestroyInstance(g->instance, NULL);
	free(g->gpus);
	*g = (struct gpu_instance){ 0 };
}

const struct gpu *gpu_find(const struct gpu_instance *g, const char *id)
{
	for (size_t i = 0; i < g->gpu_count; i++)
		if (strcmp(g->gpus[i].id, id) == 0)
			return &g->gpus[i];
	return NULL;
}
