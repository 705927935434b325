/* VK_LAYER_TBMESH_card: makes a CPU driver's devices look like recorded graphics cards: name, type, ids, PCI address,
 * heaps, and the three memory types of a discrete card, of which the DEVICE_LOCAL one cannot be mapped. The driver below
 * does all the work; software above that forgets to stage, or maps video memory, fails here as it would on the card.
 *
 * TBMESH_CARDS names a file of `key value` lines; a line `card` begins the next card. Each card is put on the first physical
 * device that has none yet; with the key `real`, on the first whose driver says that of itself ("NAME INFO"). Devices without
 * a card stay as they are. Keys: name, type (discrete, integrated), vendor, device, pci (DDDD:BB:DD.F), memory, host-memory
 * (bytes), driver-id (VkDriverId), driver-name, driver-info, real. What a card leaves out is the driver's own: a card must not
 * promise what the driver below cannot do, and to some programs a vendor is a promise. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/layer.h"

#define CARD_MAX 16

enum card_memory_type { CARD_LOCAL, CARD_COHERENT, CARD_CACHED, CARD_TYPE_COUNT };
enum card_heap { CARD_HEAP_LOCAL, CARD_HEAP_HOST, CARD_HEAP_COUNT };

static const struct {
	VkMemoryPropertyFlags flags;
	enum card_heap heap;
} card_types[CARD_TYPE_COUNT] = {
	[CARD_LOCAL] = { VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, CARD_HEAP_LOCAL },
	[CARD_COHERENT] = { VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, CARD_HEAP_HOST },
	[CARD_CACHED] = { VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
			VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
		CARD_HEAP_HOST },
};
static const uint32_t card_all_types = (1u << CARD_TYPE_COUNT) - 1;
static const uint32_t card_host_types = 1u << CARD_COHERENT | 1u << CARD_CACHED;

struct card {
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
	VkPhysicalDeviceType type;
	uint32_t vendor, device;
	bool has_pci;
	uint32_t pci_domain, pci_bus, pci_device, pci_function;
	VkDeviceSize heap[CARD_HEAP_COUNT];
	uint32_t driver_id; /* 0: the real one */
	char driver_name[VK_MAX_DRIVER_NAME_SIZE], driver_info[VK_MAX_DRIVER_INFO_SIZE];
	char real[VK_MAX_DRIVER_NAME_SIZE + VK_MAX_DRIVER_INFO_SIZE]; /* "" any */
};

struct instance {
	struct layer_node node;
	VkInstance handle;
	PFN_vkGetInstanceProcAddr get;
	PFN_vkDestroyInstance destroy;
	PFN_vkEnumeratePhysicalDevices enumerate;
	PFN_vkGetPhysicalDeviceProperties properties;
	PFN_vkGetPhysicalDeviceProperties2 properties2;
	PFN_vkGetPhysicalDeviceMemoryProperties memory;
	PFN_vkGetPhysicalDeviceMemoryProperties2 memory2;
	PFN_vkEnumerateDeviceExtensionProperties extensions;
	pthread_mutex_t lock;
	uint32_t seen_count;             /* under lock; physical devices in the order in which the driver first told them */
	VkPhysicalDevice seen[CARD_MAX]; /* under lock */
	const struct card *worn[CARD_MAX]; /* under lock; by the devices of seen, NULL none */
};

struct memory {
	VkDeviceMemory handle;
	uint32_t type;
	VkDeviceSize size;
	struct memory *next;
};

struct device {
	struct layer_node node;
	VkDevice handle;
	const struct card *card; /* NULL: a device without a card, passed through */
	PFN_vkGetDeviceProcAddr get;
	PFN_vkDestroyDevice destroy;
	PFN_vkAllocateMemory allocate;
	PFN_vkFreeMemory free;
	PFN_vkMapMemory map;
	PFN_vkGetBufferMemoryRequirements buffer_requirements;
	PFN_vkGetImageMemoryRequirements image_requirements;
	PFN_vkGetBufferMemoryRequirements2 buffer_requirements2;
	PFN_vkGetImageMemoryRequirements2 image_requirements2;
	PFN_vkGetDeviceBufferMemoryRequirements device_buffer_requirements;
	PFN_vkGetDeviceImageMemoryRequirements device_image_requirements;
	PFN_vkGetMemoryHostPointerPropertiesEXT host_pointer;
	pthread_mutex_t lock;
	struct memory *memories;                 /* under lock */
	VkDeviceSize heap_used[CARD_HEAP_COUNT]; /* under lock */
};

static struct layer_registry instances = LAYER_REGISTRY_INIT;
static struct layer_registry devices = LAYER_REGISTRY_INIT;
static struct card cards[CARD_MAX]; /* written once, by cards_once */
static uint32_t card_count;
static pthread_once_t cards_once = PTHREAD_ONCE_INIT;

static void card_set(struct card *card, const char *key, const char *value)
{
	if (!strcmp(key, "name"))
		snprintf(card->name, sizeof(card->name), "%s", value);
	else if (!strcmp(key, "type"))
		card->type = strcmp(value, "integrated") ? VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
							 : VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
	else if (!strcmp(key, "vendor"))
		card->vendor = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(key, "device"))
		card->device = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(key, "pci"))
		card->has_pci = sscanf(value, "%x:%x:%x.%x", &card->pci_domain, &card->pci_bus, &card->pci_device,
					&card->pci_function) == 4;
	else if (!strcmp(key, "memory"))
		card->heap[CARD_HEAP_LOCAL] = strtoull(value, NULL, 0);
	else if (!strcmp(key, "host-memory"))
		card->heap[CARD_HEAP_HOST] = strtoull(value, NULL, 0);
	else if (!strcmp(key, "driver-id"))
		card->driver_id = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(key, "driver-name"))
		snprintf(card->driver_name, sizeof(card->driver_name), "%s", value);
	else if (!strcmp(key, "driver-info"))
		snprintf(card->driver_info, sizeof(card->driver_info), "%s", value);
	else if (!strcmp(key, "real"))
		snprintf(card->real, sizeof(card->real), "%s", value);
	else
		fprintf(stderr, "VK_LAYER_TBMESH_card: unknown key '%s'\n", key);
}

static void cards_read(void)
{
	const char *path = getenv("TBMESH_CARDS");
	if (!path)
		return;
	FILE *file = fopen(path, "re");
	if (!file) {
		fprintf(stderr, "VK_LAYER_TBMESH_card: %s: %s\n", path, strerror(errno));
		return;
	}
	char line[512];
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		char *value = strchr(line, ' ');
		if (!line[0] || line[0] == '#')
			continue;
		if (!strcmp(line, "card")) {
			if (card_count == CARD_MAX)
				break;
			cards[card_count++] = (struct card){ .name = "card",
				.type = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU,
				.heap = { 8ull << 30, 8ull << 30 } };
		} else if (value && card_count) {
			*value++ = '\0';
			card_set(&cards[card_count - 1], line, value + strspn(value, " "));
		} else {
			fprintf(stderr, "VK_LAYER_TBMESH_card: %s: bad line '%s'\n", path, line);
		}
	}
	fclose(file);
}

static bool is_meant(struct instance *instance, const struct card *card, VkPhysicalDevice device)
{
	VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &driver };
	if (!card->real[0])
		return true;
	instance->properties2(device, &properties);
	size_t length = strlen(driver.driverName);
	return !strncmp(card->real, driver.driverName, length) &&
		!strcmp(card->real + length + (card->real[length] == ' '), driver.driverInfo);
}

static void put_on(struct instance *instance, const struct card *card)
{
	for (uint32_t i = 0; i < instance->seen_count; i++) {
		if (instance->worn[i] || !is_meant(instance, card, instance->seen[i]))
			continue;
		instance->worn[i] = card;
		return;
	}
}

static const struct card *card_of(struct instance *instance, VkPhysicalDevice device)
{
	const struct card *card = NULL;
	pthread_mutex_lock(&instance->lock);
	if (!instance->seen_count) {
		instance->seen_count = CARD_MAX;
		VkResult result = instance->enumerate(instance->handle, &instance->seen_count, instance->seen);
		if (result != VK_SUCCESS && result != VK_INCOMPLETE)
			instance->seen_count = 0;
		for (uint32_t i = 0; i < card_count; i++)
			put_on(instance, &cards[i]);
	}
	for (uint32_t i = 0; i < instance->seen_count; i++)
		if (instance->seen[i] == device)
			card = instance->worn[i];
	pthread_mutex_unlock(&instance->lock);
	return card;
}

static VkResult create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *ret)
{
	PFN_vkGetInstanceProcAddr get = layer_next_instance(info);
	PFN_vkCreateInstance create = get ? (PFN_vkCreateInstance)get(NULL, "vkCreateInstance") : NULL;
	struct instance *instance = create ? calloc(1, sizeof(*instance)) : NULL;
	if (!instance)
		return VK_ERROR_INITIALIZATION_FAILED;
	VkResult result = create(info, allocator, ret);
	if (result != VK_SUCCESS) {
		free(instance);
		return result;
	}
	pthread_once(&cards_once, cards_read);
	/* All next pointers now: later the loader's own lookup leads to the head of the chain, that is, to us. */
	instance->handle = *ret;
	instance->get = get;
	instance->destroy = (PFN_vkDestroyInstance)get(*ret, "vkDestroyInstance");
	instance->enumerate = (PFN_vkEnumeratePhysicalDevices)get(*ret, "vkEnumeratePhysicalDevices");
	instance->properties = (PFN_vkGetPhysicalDeviceProperties)get(*ret, "vkGetPhysicalDeviceProperties");
	instance->properties2 = (PFN_vkGetPhysicalDeviceProperties2)get(*ret, "vkGetPhysicalDeviceProperties2");
	instance->memory = (PFN_vkGetPhysicalDeviceMemoryProperties)get(*ret, "vkGetPhysicalDeviceMemoryProperties");
	instance->memory2 = (PFN_vkGetPhysicalDeviceMemoryProperties2)get(*ret, "vkGetPhysicalDeviceMemoryProperties2");
	instance->extensions = (PFN_vkEnumerateDeviceExtensionProperties)get(*ret, "vkEnumerateDeviceExtensionProperties");
	pthread_mutex_init(&instance->lock, NULL);
	layer_add(&instances, &instance->node, *ret);
	return VK_SUCCESS;
}

static void destroy_instance(VkInstance handle, const VkAllocationCallbacks *allocator)
{
	if (!handle)
		return;
	struct instance *instance = layer_find(&instances, handle);
	layer_remove(&instances, &instance->node);
	instance->destroy(handle, allocator);
	pthread_mutex_destroy(&instance->lock);
	free(instance);
}

static void card_fill_properties(const struct card *card, VkPhysicalDeviceProperties *properties)
{
	memcpy(properties->deviceName, card->name, sizeof(card->name));
	properties->deviceType = card->type;
	if (card->vendor)
		properties->vendorID = card->vendor;
	if (card->device)
		properties->deviceID = card->device;
}

/* Two cards on one driver must not share a UUID. */
static void card_fill_uuid(const struct card *card, uint8_t uuid[VK_UUID_SIZE])
{
	const uint32_t words[VK_UUID_SIZE / 4] = { card->vendor, card->device, card->pci_domain,
		card->pci_bus << 8 | card->pci_device << 3 | card->pci_function };
	memcpy(uuid, words, VK_UUID_SIZE);
}

static void card_fill_driver(const struct card *card, VkDriverId *id, char *name, char *info)
{
	if (!card->driver_id)
		return;
	*id = (VkDriverId)card->driver_id;
	memcpy(name, card->driver_name, VK_MAX_DRIVER_NAME_SIZE);
	memcpy(info, card->driver_info, VK_MAX_DRIVER_INFO_SIZE);
}

static void get_properties(VkPhysicalDevice device, VkPhysicalDeviceProperties *ret)
{
	struct instance *instance = layer_find(&instances, device);
	const struct card *card = card_of(instance, device);
	instance->properties(device, ret);
	if (card)
		card_fill_properties(card, ret);
}

static void get_properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *ret)
{
	struct instance *instance = layer_find(&instances, device);
	const struct card *card = card_of(instance, device);
	instance->properties2(device, ret);
	if (!card)
		return;
	card_fill_properties(card, &ret->properties);
	VkPhysicalDeviceIDProperties *id = layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES);
	if (id)
		card_fill_uuid(card, id->deviceUUID);
	VkPhysicalDeviceVulkan11Properties *v11 =
		layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
	if (v11)
		card_fill_uuid(card, v11->deviceUUID);
	VkPhysicalDeviceDriverProperties *driver =
		layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES);
	if (driver)
		card_fill_driver(card, &driver->driverID, driver->driverName, driver->driverInfo);
	VkPhysicalDeviceVulkan12Properties *v12 =
		layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
	if (v12)
		card_fill_driver(card, &v12->driverID, v12->driverName, v12->driverInfo);
	VkPhysicalDevicePCIBusInfoPropertiesEXT *pci =
		layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT);
	if (pci && card->has_pci) {
		pci->pciDomain = card->pci_domain;
		pci->pciBus = card->pci_bus;
		pci->pciDevice = card->pci_device;
		pci->pciFunction = card->pci_function;
	}
}

static void card_fill_memory(const struct card *card, VkPhysicalDeviceMemoryProperties *memory)
{
	memory->memoryTypeCount = CARD_TYPE_COUNT;
	for (uint32_t i = 0; i < CARD_TYPE_COUNT; i++)
		memory->memoryTypes[i] = (VkMemoryType){ card_types[i].flags, card_types[i].heap };
	memory->memoryHeapCount = CARD_HEAP_COUNT;
	memory->memoryHeaps[CARD_HEAP_LOCAL] =
		(VkMemoryHeap){ card->heap[CARD_HEAP_LOCAL], VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
	memory->memoryHeaps[CARD_HEAP_HOST] = (VkMemoryHeap){ card->heap[CARD_HEAP_HOST], 0 };
}

static void get_memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *ret)
{
	struct instance *instance = layer_find(&instances, device);
	const struct card *card = card_of(instance, device);
	if (card)
		card_fill_memory(card, ret);
	else
		instance->memory(device, ret);
}

/* What this process has on the card. */
static void card_fill_budget(const struct card *card, VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget)
{
	for (uint32_t i = 0; i < VK_MAX_MEMORY_HEAPS; i++) {
		budget->heapBudget[i] = i < CARD_HEAP_COUNT ? card->heap[i] : 0;
		budget->heapUsage[i] = 0;
	}
	pthread_rwlock_rdlock(&devices.lock);
	for (struct layer_node *n = devices.first; n; n = n->next) {
		struct device *device = (struct device *)n;
		if (device->card != card)
			continue;
		pthread_mutex_lock(&device->lock);
		for (uint32_t i = 0; i < CARD_HEAP_COUNT; i++)
			budget->heapUsage[i] += device->heap_used[i];
		pthread_mutex_unlock(&device->lock);
	}
	pthread_rwlock_unlock(&devices.lock);
}

static void get_memory2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *ret)
{
	struct instance *instance = layer_find(&instances, device);
	const struct card *card = card_of(instance, device);
	instance->memory2(device, ret);
	if (!card)
		return;
	card_fill_memory(card, &ret->memoryProperties);
	VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget =
		layer_chain_find(ret->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
	if (budget)
		card_fill_budget(card, budget);
}

static VkResult enumerate_extensions(VkPhysicalDevice device, const char *layer, uint32_t *count, VkExtensionProperties *ret)
{
	struct instance *instance = layer_find(&instances, device);
	const struct card *card = card_of(instance, device);
	if (!card || !card->has_pci || layer)
		return instance->extensions(device, layer, count, ret);
	uint32_t real = 0;
	VkResult result = instance->extensions(device, NULL, &real, NULL);
	if (result != VK_SUCCESS)
		return result;
	VkExtensionProperties *all = calloc(real + 2, sizeof(*all));
	if (!all)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	result = instance->extensions(device, NULL, &real, all);
	static const VkExtensionProperties own[] = {
		{ VK_EXT_PCI_BUS_INFO_EXTENSION_NAME, VK_EXT_PCI_BUS_INFO_SPEC_VERSION },
		{ VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, VK_EXT_MEMORY_BUDGET_SPEC_VERSION },
	};
	for (size_t n = 0; n < sizeof(own) / sizeof(own[0]); n++) {
		bool there = false;
		for (uint32_t i = 0; i < real; i++)
			there |= !strcmp(all[i].extensionName, own[n].extensionName);
		if (!there)
			all[real++] = own[n];
	}
	if (result == VK_SUCCESS && ret) {
		uint32_t fits = *count < real ? *count : real;
		memcpy(ret, all, fits * sizeof(*all));
		result = fits < real ? VK_INCOMPLETE : VK_SUCCESS;
		real = fits;
	}
	*count = real;
	free(all);
	return result;
}

static VkResult create_device(
	VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *ret)
{
	struct instance *instance = layer_find(&instances, physical);
	PFN_vkGetDeviceProcAddr get;
	PFN_vkGetInstanceProcAddr get_instance = layer_next_device(info, &get);
	PFN_vkCreateDevice create =
		get_instance ? (PFN_vkCreateDevice)get_instance(instance->handle, "vkCreateDevice") : NULL;
	struct device *device = create ? calloc(1, sizeof(*device)) : NULL;
	const char **names = create ? calloc(info->enabledExtensionCount + 1, sizeof(*names)) : NULL;
	if (!device || !names) {
		free(device);
		free(names);
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	VkDeviceCreateInfo below = *info;
	device->card = card_of(instance, physical);
	if (device->card) { /* the driver below does not know the extension that we add */
		below.enabledExtensionCount = 0;
		for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
			if (strcmp(info->ppEnabledExtensionNames[i], VK_EXT_PCI_BUS_INFO_EXTENSION_NAME))
				names[below.enabledExtensionCount++] = info->ppEnabledExtensionNames[i];
		below.ppEnabledExtensionNames = names;
	}
	VkResult result = create(physical, &below, allocator, ret);
	free(names);
	if (result != VK_SUCCESS) {
		free(device);
		return result;
	}
	device->handle = *ret;
	device->get = get;
	device->destroy = (PFN_vkDestroyDevice)get(*ret, "vkDestroyDevice");
	device->allocate = (PFN_vkAllocateMemory)get(*ret, "vkAllocateMemory");
	device->free = (PFN_vkFreeMemory)get(*ret, "vkFreeMemory");
	device->map = (PFN_vkMapMemory)get(*ret, "vkMapMemory");
	device->buffer_requirements = (PFN_vkGetBufferMemoryRequirements)get(*ret, "vkGetBufferMemoryRequirements");
	device->image_requirements = (PFN_vkGetImageMemoryRequirements)get(*ret, "vkGetImageMemoryRequirements");
	device->buffer_requirements2 = (PFN_vkGetBufferMemoryRequirements2)layer_next_promoted(
		get, *ret, "vkGetBufferMemoryRequirements2", "vkGetBufferMemoryRequirements2KHR");
	device->image_requirements2 = (PFN_vkGetImageMemoryRequirements2)layer_next_promoted(
		get, *ret, "vkGetImageMemoryRequirements2", "vkGetImageMemoryRequirements2KHR");
	device->device_buffer_requirements = (PFN_vkGetDeviceBufferMemoryRequirements)layer_next_promoted(
		get, *ret, "vkGetDeviceBufferMemoryRequirements", "vkGetDeviceBufferMemoryRequirementsKHR");
	device->device_image_requirements = (PFN_vkGetDeviceImageMemoryRequirements)layer_next_promoted(
		get, *ret, "vkGetDeviceImageMemoryRequirements", "vkGetDeviceImageMemoryRequirementsKHR");
	device->host_pointer = (PFN_vkGetMemoryHostPointerPropertiesEXT)get(*ret, "vkGetMemoryHostPointerPropertiesEXT");
	pthread_mutex_init(&device->lock, NULL);
	layer_add(&devices, &device->node, *ret);
	return VK_SUCCESS;
}

static void destroy_device(VkDevice handle, const VkAllocationCallbacks *allocator)
{
	if (!handle)
		return;
	struct device *device = layer_find(&devices, handle);
	layer_remove(&devices, &device->node);
	device->destroy(handle, allocator);
	while (device->memories) {
		struct memory *memory = device->memories;
		device->memories = memory->next;
		free(memory);
	}
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static VkResult allocate_memory(
	VkDevice handle, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *allocator, VkDeviceMemory *ret)
{
	struct device *device = layer_find(&devices, handle);
	if (!device->card)
		return device->allocate(handle, info, allocator, ret);
	if (info->memoryTypeIndex >= CARD_TYPE_COUNT)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	enum card_heap heap = card_types[info->memoryTypeIndex].heap;
	struct memory *memory = malloc(sizeof(*memory));
	if (!memory)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	pthread_mutex_lock(&device->lock);
	bool fits = info->allocationSize <= device->card->heap[heap] - device->heap_used[heap];
	if (fits)
		device->heap_used[heap] += info->allocationSize;
	pthread_mutex_unlock(&device->lock);
	VkMemoryAllocateInfo below = *info;
	below.memoryTypeIndex = 0; /* a CPU driver has one type */
	VkResult result = fits ? device->allocate(handle, &below, allocator, ret) : VK_ERROR_OUT_OF_DEVICE_MEMORY;
	pthread_mutex_lock(&device->lock);
	if (result == VK_SUCCESS) {
		*memory = (struct memory){ *ret, info->memoryTypeIndex, info->allocationSize, device->memories };
		device->memories = memory;
	} else if (fits) {
		device->heap_used[heap] -= info->allocationSize;
	}
	pthread_mutex_unlock(&device->lock);
	if (result != VK_SUCCESS)
		free(memory);
	return result;
}

static void free_memory(VkDevice handle, VkDeviceMemory memory, const VkAllocationCallbacks *allocator)
{
	struct device *device = layer_find(&devices, handle);
	pthread_mutex_lock(&device->lock);
	struct memory **at = &device->memories, *gone = NULL;
	while (*at && (*at)->handle != memory)
		at = &(*at)->next;
	if (*at) {
		gone = *at;
		*at = gone->next;
		device->heap_used[card_types[gone->type].heap] -= gone->size;
	}
	pthread_mutex_unlock(&device->lock);
	free(gone);
	device->free(handle, memory, allocator);
}

static VkResult map_memory(
	VkDevice handle, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size, VkMemoryMapFlags flags, void **ret)
{
	struct device *device = layer_find(&devices, handle);
	pthread_mutex_lock(&device->lock);
	struct memory *m = device->memories;
	while (m && m->handle != memory)
		m = m->next;
	bool local = m && m->type == CARD_LOCAL;
	pthread_mutex_unlock(&device->lock);
	return local ? VK_ERROR_MEMORY_MAP_FAILED : device->map(handle, memory, offset, size, flags, ret);
}

static void set_types(const struct device *device, uint32_t *type_bits)
{
	if (device->card)
		*type_bits = card_all_types;
}

static void get_buffer_requirements(VkDevice handle, VkBuffer buffer, VkMemoryRequirements *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->buffer_requirements(handle, buffer, ret);
	set_types(device, &ret->memoryTypeBits);
}

static void get_image_requirements(VkDevice handle, VkImage image, VkMemoryRequirements *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->image_requirements(handle, image, ret);
	set_types(device, &ret->memoryTypeBits);
}

static void get_buffer_requirements2(
	VkDevice handle, const VkBufferMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->buffer_requirements2(handle, info, ret);
	set_types(device, &ret->memoryRequirements.memoryTypeBits);
}

static void get_image_requirements2(VkDevice handle, const VkImageMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->image_requirements2(handle, info, ret);
	set_types(device, &ret->memoryRequirements.memoryTypeBits);
}

static void get_device_buffer_requirements(
	VkDevice handle, const VkDeviceBufferMemoryRequirements *info, VkMemoryRequirements2 *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->device_buffer_requirements(handle, info, ret);
	set_types(device, &ret->memoryRequirements.memoryTypeBits);
}

static void get_device_image_requirements(
	VkDevice handle, const VkDeviceImageMemoryRequirements *info, VkMemoryRequirements2 *ret)
{
	struct device *device = layer_find(&devices, handle);
	device->device_image_requirements(handle, info, ret);
	set_types(device, &ret->memoryRequirements.memoryTypeBits);
}

static VkResult get_host_pointer(
	VkDevice handle, VkExternalMemoryHandleTypeFlagBits type, const void *pointer, VkMemoryHostPointerPropertiesEXT *ret)
{
	struct device *device = layer_find(&devices, handle);
	VkResult result = device->host_pointer(handle, type, pointer, ret);
	if (result == VK_SUCCESS && device->card)
		ret->memoryTypeBits = card_host_types;
	return result;
}

static PFN_vkVoidFunction get_instance_function(VkInstance instance, const char *name);
static PFN_vkVoidFunction get_device_function(VkDevice device, const char *name);

static const struct layer_hook instance_hooks[] = {
	LAYER_HOOK("vkGetInstanceProcAddr", get_instance_function),
	LAYER_HOOK("vkCreateInstance", create_instance),
	LAYER_HOOK("vkDestroyInstance", destroy_instance),
	LAYER_HOOK("vkCreateDevice", create_device),
	LAYER_HOOK("vkGetPhysicalDeviceProperties", get_properties),
	LAYER_HOOK("vkGetPhysicalDeviceProperties2", get_properties2),
	LAYER_HOOK("vkGetPhysicalDeviceProperties2KHR", get_properties2),
	LAYER_HOOK("vkGetPhysicalDeviceMemoryProperties", get_memory),
	LAYER_HOOK("vkGetPhysicalDeviceMemoryProperties2", get_memory2),
	LAYER_HOOK("vkGetPhysicalDeviceMemoryProperties2KHR", get_memory2),
	LAYER_HOOK("vkEnumerateDeviceExtensionProperties", enumerate_extensions),
	{ NULL, NULL },
};

static const struct layer_hook device_hooks[] = {
	LAYER_HOOK("vkGetDeviceProcAddr", get_device_function),
	LAYER_HOOK("vkDestroyDevice", destroy_device),
	LAYER_HOOK("vkAllocateMemory", allocate_memory),
	LAYER_HOOK("vkFreeMemory", free_memory),
	LAYER_HOOK("vkMapMemory", map_memory),
	LAYER_HOOK("vkGetBufferMemoryRequirements", get_buffer_requirements),
	LAYER_HOOK("vkGetImageMemoryRequirements", get_image_requirements),
	LAYER_HOOK("vkGetBufferMemoryRequirements2", get_buffer_requirements2),
	LAYER_HOOK("vkGetBufferMemoryRequirements2KHR", get_buffer_requirements2),
	LAYER_HOOK("vkGetImageMemoryRequirements2", get_image_requirements2),
	LAYER_HOOK("vkGetImageMemoryRequirements2KHR", get_image_requirements2),
	LAYER_HOOK("vkGetDeviceBufferMemoryRequirements", get_device_buffer_requirements),
	LAYER_HOOK("vkGetDeviceBufferMemoryRequirementsKHR", get_device_buffer_requirements),
	LAYER_HOOK("vkGetDeviceImageMemoryRequirements", get_device_image_requirements),
	LAYER_HOOK("vkGetDeviceImageMemoryRequirementsKHR", get_device_image_requirements),
	LAYER_HOOK("vkGetMemoryHostPointerPropertiesEXT", get_host_pointer),
	{ NULL, NULL },
};

static PFN_vkVoidFunction get_device_function(VkDevice handle, const char *name)
{
	struct device *device = layer_find(&devices, handle);
	PFN_vkVoidFunction below = device->get(handle, name);
	PFN_vkVoidFunction hook = layer_hook_find(device_hooks, name);
	return hook && below ? hook : below;
}

static PFN_vkVoidFunction get_instance_function(VkInstance handle, const char *name)
{
	PFN_vkVoidFunction hook = layer_hook_find(instance_hooks, name);
	if (!hook)
		hook = layer_hook_find(device_hooks, name);
	if (hook || !handle)
		return hook;
	struct instance *instance = layer_find(&instances, handle);
	return instance ? instance->get(handle, name) : NULL;
}

LAYER_EXPORT VkResult vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *negotiate)
{
	negotiate->loaderLayerInterfaceVersion = 2;
	negotiate->pfnGetInstanceProcAddr = get_instance_function;
	negotiate->pfnGetDeviceProcAddr = get_device_function;
	negotiate->pfnGetPhysicalDeviceProcAddr = NULL;
	return VK_SUCCESS;
}
