/* VK_LAYER_TBMESH_fault: makes a GPU behave as the kernel says that a removed one will (Documentation/gpu/drm-uapi.rst, "Device
 * Hot-Unplug"): lost, silently doing nothing, hung, or crashing the process. GPUs are told apart by their PCI address; one
 * without a file in TBMESH_FAULT_DIR is passed through. Hot calls read one word of shared memory; a thread acts on a loss by
 * itself, so a process that sits in no driver call is hit too. See fault_page.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/fault/fault_page.h"
#include "tests/fault/layer.h"

#define PHYSICAL_MAX 16
#define WAIT_SLICE_NS 20000000ull /* a wait inside the driver notices a loss after this time */

/* Commands of the next element that we call. */
#define NEXT_COMMANDS(X)                                                                                                    \
	X(DestroyDevice)                                                                                                    \
	X(QueueSubmit)                                                                                                      \
	X(QueueBindSparse) X(QueueWaitIdle) X(DeviceWaitIdle) X(WaitForFences) X(GetFenceStatus) X(GetEventStatus)          \
		X(GetQueryPoolResults) X(AllocateMemory) X(FreeMemory) X(MapMemory) X(UnmapMemory)
#define NEXT_PROMOTED(X) X(QueueSubmit2) X(WaitSemaphores) X(GetSemaphoreCounterValue) X(SignalSemaphore)

struct instance {
	struct layer_node node;
	VkInstance handle;
	PFN_vkGetInstanceProcAddr get;
	PFN_vkDestroyInstance destroy;
	PFN_vkEnumeratePhysicalDevices enumerate;
	PFN_vkEnumeratePhysicalDeviceGroups enumerate_groups;
	PFN_vkGetPhysicalDeviceProperties2 properties2;
	pthread_mutex_t lock;
	uint32_t physical_count; /* under lock, as the two below */
	VkPhysicalDevice physical[PHYSICAL_MAX];
	bool absent[PHYSICAL_MAX]; /* decided once an instance, as drivers do */
};

struct memory {
	VkDeviceMemory handle;
	VkDeviceSize size;
	unsigned char *mapping; /* NULL: not mapped */
	VkDeviceSize mapped_size;
	struct memory *next;
};

struct device {
	struct layer_node node;
	VkDevice handle;
	PFN_vkGetDeviceProcAddr get;
	const volatile struct fault_page *page; /* NULL: passed through */
	uint32_t losses;                        /* of the page at creation */
	struct device *next_watched;            /* under watch_lock */
	pthread_mutex_t lock;
	struct memory *memories; /* under lock */
#define MEMBER(name) PFN_vk##name name;
	NEXT_COMMANDS(MEMBER) NEXT_PROMOTED(MEMBER)
#undef MEMBER
};

static struct layer_registry instances = LAYER_REGISTRY_INIT;
static struct layer_registry devices = LAYER_REGISTRY_INIT;
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *watched; /* under watch_lock */
static pid_t watching_pid;     /* under watch_lock; a forked child needs its own thread */

/* ---- the trigger ---- */

static enum fault_way fault_of(const struct device *device)
{
	if (!device->page || device->page->losses == device->losses)
		return FAULT_NONE;
	return (enum fault_way)device->page->way;
}

static _Noreturn void crash(void)
{
	sigset_t bus;
	sigemptyset(&bus);
	sigaddset(&bus, SIGBUS);
	signal(SIGBUS, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &bus, NULL);
	raise(SIGBUS);
	_exit(128 + SIGBUS);
}

static _Noreturn void block(void)
{
	for (;;)
		pause();
}

static void garble(struct device *device)
{
	static uint64_t state = 0x9E3779B97F4A7C15ull;
	pthread_mutex_lock(&device->lock);
	for (struct memory *m = device->memories; m; m = m->next) {
		if (!m->mapping)
			continue;
		for (VkDeviceSize i = 0; i < m->mapped_size; i++) {
			if (i % 8 == 0)
				state = state * 6364136223846793005ull + 1442695040888963407ull;
			m->mapping[i] = (unsigned char)(state >> (8 * (i % 8)));
		}
	}
	pthread_mutex_unlock(&device->lock);
}

static const char *fault_directory(void)
{
	return getenv("TBMESH_FAULT_DIR");
}

static void *watch(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	while (read(fd, events, sizeof(events)) > 0 || errno == EINTR) {
		pthread_mutex_lock(&watch_lock);
		for (struct device *device = watched; device; device = device->next_watched) {
			enum fault_way way = fault_of(device);
			if (way == FAULT_CRASH)
				crash();
			if (way == FAULT_SILENT)
				garble(device);
		}
		pthread_mutex_unlock(&watch_lock);
	}
	close(fd);
	return NULL;
}

static void watch_add(struct device *device)
{
	pthread_mutex_lock(&watch_lock);
	device->next_watched = watched;
	watched = device;
	if (watching_pid != getpid()) {
		int fd = inotify_init1(IN_CLOEXEC);
		pthread_t thread;
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
		if (fd >= 0 && inotify_add_watch(fd, fault_directory(), IN_MODIFY) >= 0 &&
			!pthread_create(&thread, NULL, watch, (void *)(intptr_t)fd)) {
			pthread_detach(thread);
			watching_pid = getpid();
		} else {
			fprintf(stderr, "VK_LAYER_TBMESH_fault: cannot watch %s: %s\n", fault_directory(), strerror(errno));
			if (fd >= 0)
				close(fd);
		}
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_mutex_unlock(&watch_lock);
}

static void watch_remove(struct device *device)
{
	pthread_mutex_lock(&watch_lock);
	struct device **at = &watched;
	while (*at && *at != device)
		at = &(*at)->next_watched;
	if (*at)
		*at = device->next_watched;
	pthread_mutex_unlock(&watch_lock);
}

/* NULL: no such GPU in the lab. Never unmapped: a GPU has one page and the process is short-lived. */
static const volatile struct fault_page *page_of(struct instance *instance, VkPhysicalDevice device)
{
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT, .pciDomain = UINT32_MAX
	};
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &pci };
	char path[PATH_MAX];
	instance->properties2(device, &properties);
	if (!fault_directory() || pci.pciDomain == UINT32_MAX)
		return NULL;
	snprintf(path, sizeof(path), "%s/%04x:%02x:%02x.%x", fault_directory(), pci.pciDomain, pci.pciBus, pci.pciDevice,
		pci.pciFunction);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	void *page = mmap(NULL, FAULT_PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

/* ---- instances and enumeration ---- */

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
	instance->handle = *ret;
	instance->get = get;
	instance->destroy = (PFN_vkDestroyInstance)get(*ret, "vkDestroyInstance");
	instance->enumerate = (PFN_vkEnumeratePhysicalDevices)get(*ret, "vkEnumeratePhysicalDevices");
	instance->enumerate_groups = (PFN_vkEnumeratePhysicalDeviceGroups)get(*ret, "vkEnumeratePhysicalDeviceGroups");
	instance->properties2 = (PFN_vkGetPhysicalDeviceProperties2)get(*ret, "vkGetPhysicalDeviceProperties2");
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

static VkResult instance_fill(struct instance *instance)
{
	VkResult result = VK_SUCCESS;
	pthread_mutex_lock(&instance->lock);
	if (!instance->physical_count) {
		uint32_t count = PHYSICAL_MAX;
		result = instance->enumerate(instance->handle, &count, instance->physical);
		for (uint32_t i = 0; result >= VK_SUCCESS && i < count; i++) {
			const volatile struct fault_page *page = page_of(instance, instance->physical[i]);
			instance->absent[i] = page && page->absent;
			instance->physical_count = i + 1;
		}
	}
	pthread_mutex_unlock(&instance->lock);
	return result < VK_SUCCESS ? result : VK_SUCCESS;
}

static bool is_absent(const struct instance *instance, VkPhysicalDevice device)
{
	for (uint32_t i = 0; i < instance->physical_count; i++)
		if (instance->physical[i] == device)
			return instance->absent[i];
	return false;
}

static VkResult enumerate_devices(VkInstance handle, uint32_t *count, VkPhysicalDevice *ret)
{
	struct instance *instance = layer_find(&instances, handle);
	VkResult result = instance_fill(instance);
	if (result != VK_SUCCESS)
		return result;
	uint32_t present = 0;
	for (uint32_t i = 0; i < instance->physical_count; i++) {
		if (instance->absent[i])
			continue;
		if (ret && present == *count)
			return VK_INCOMPLETE;
		if (ret)
			ret[present] = instance->physical[i];
		present++;
	}
	*count = present;
	return VK_SUCCESS;
}

static VkResult enumerate_groups(VkInstance handle, uint32_t *count, VkPhysicalDeviceGroupProperties *ret)
{
	struct instance *instance = layer_find(&instances, handle);
	VkPhysicalDeviceGroupProperties *all = calloc(PHYSICAL_MAX, sizeof(*all));
	if (!all)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < PHYSICAL_MAX; i++)
		all[i].sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_GROUP_PROPERTIES;
	uint32_t all_count = PHYSICAL_MAX, present = 0;
	VkResult result = instance_fill(instance);
	if (result == VK_SUCCESS)
		result = instance->enumerate_groups(handle, &all_count, all);
	for (uint32_t i = 0; result >= VK_SUCCESS && i < all_count; i++) {
		if (is_absent(instance, all[i].physicalDevices[0]))
			continue;
		if (ret && present == *count) {
			result = VK_INCOMPLETE;
			break;
		}
		if (ret) {
			void *chain = ret[present].pNext;
			ret[present] = all[i];
			ret[present].pNext = chain;
		}
		present++;
	}
	if (result >= VK_SUCCESS)
		*count = present;
	free(all);
	return result;
}

/* ---- devices ---- */

static VkResult create_device(
	VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator, VkDevice *ret)
{
	struct instance *instance = layer_find(&instances, physical);
	PFN_vkGetDeviceProcAddr get;
	PFN_vkGetInstanceProcAddr get_instance = layer_next_device(info, &get);
	PFN_vkCreateDevice create =
		get_instance ? (PFN_vkCreateDevice)get_instance(instance->handle, "vkCreateDevice") : NULL;
	struct device *device = create ? calloc(1, sizeof(*device)) : NULL;
	if (!device)
		return VK_ERROR_INITIALIZATION_FAILED;
	device->page = page_of(instance, physical);
	device->losses = device->page ? device->page->losses : 0;
	VkResult result = device->page && device->page->absent ? VK_ERROR_INITIALIZATION_FAILED
							       : create(physical, info, allocator, ret);
	if (result != VK_SUCCESS) {
		free(device);
		return result;
	}
	device->handle = *ret;
	device->get = get;
#define LOAD(name) device->name = (PFN_vk##name)get(*ret, "vk" #name);
	NEXT_COMMANDS(LOAD)
#undef LOAD
#define LOAD(name) device->name = (PFN_vk##name)layer_next_promoted(get, *ret, "vk" #name, "vk" #name "KHR");
	NEXT_PROMOTED(LOAD)
#undef LOAD
	pthread_mutex_init(&device->lock, NULL);
	layer_add(&devices, &device->node, *ret);
	if (device->page)
		watch_add(device);
	return VK_SUCCESS;
}

static void destroy_device(VkDevice handle, const VkAllocationCallbacks *allocator)
{
	if (!handle)
		return;
	struct device *device = layer_find(&devices, handle);
	watch_remove(device);
	layer_remove(&devices, &device->node);
	device->DestroyDevice(handle, allocator);
	while (device->memories) {
		struct memory *memory = device->memories;
		device->memories = memory->next;
		free(memory);
	}
	pthread_mutex_destroy(&device->lock);
	free(device);
}

/* ---- memory: only what is mapped can read garbage ---- */

static VkResult allocate_memory(
	VkDevice handle, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *allocator, VkDeviceMemory *ret)
{
	struct device *device = layer_find(&devices, handle);
	struct memory *memory = calloc(1, sizeof(*memory));
	if (!memory)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	VkResult result = device->AllocateMemory(handle, info, allocator, ret);
	if (result != VK_SUCCESS) {
		free(memory);
		return result;
	}
	memory->handle = *ret;
	memory->size = info->allocationSize;
	pthread_mutex_lock(&device->lock);
	memory->next = device->memories;
	device->memories = memory;
	pthread_mutex_unlock(&device->lock);
	return VK_SUCCESS;
}

static void free_memory(VkDevice handle, VkDeviceMemory gone, const VkAllocationCallbacks *allocator)
{
	struct device *device = layer_find(&devices, handle);
	pthread_mutex_lock(&device->lock);
	struct memory **at = &device->memories, *memory = NULL;
	while (*at && (*at)->handle != gone)
		at = &(*at)->next;
	if (*at) {
		memory = *at;
		*at = memory->next;
	}
	pthread_mutex_unlock(&device->lock);
	free(memory);
	device->FreeMemory(handle, gone, allocator);
}

static void set_mapping(struct device *device, VkDeviceMemory handle, void *mapping, VkDeviceSize offset, VkDeviceSize size)
{
	pthread_mutex_lock(&device->lock);
	for (struct memory *m = device->memories; m; m = m->next) {
		if (m->handle != handle)
			continue;
		m->mapping = mapping;
		m->mapped_size = size == VK_WHOLE_SIZE ? m->size - offset : size;
	}
	pthread_mutex_unlock(&device->lock);
}

static VkResult map_memory(
	VkDevice handle, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size, VkMemoryMapFlags flags, void **ret)
{
	struct device *device = layer_find(&devices, handle);
	enum fault_way way = fault_of(device);
	if (way == FAULT_LOST)
		return VK_ERROR_MEMORY_MAP_FAILED;
	if (way == FAULT_CRASH)
		crash();
	VkResult result = device->MapMemory(handle, memory, offset, size, flags, ret);
	if (result != VK_SUCCESS)
		return result;
	set_mapping(device, memory, *ret, offset, size);
	if (way == FAULT_SILENT)
		garble(device);
	return VK_SUCCESS;
}

static void unmap_memory(VkDevice handle, VkDeviceMemory memory)
{
	struct device *device = layer_find(&devices, handle);
	set_mapping(device, memory, NULL, 0, 0);
	device->UnmapMemory(handle, memory);
}

/* ---- submissions ---- */

/* Signals what the batch would have signalled, behind what was submitted before, and runs nothing. */
static VkResult submit_nothing(
	struct device *device, VkQueue queue, uint32_t count, const VkSubmitInfo *batches, VkFence fence)
{
	VkSubmitInfo *empty = calloc(count + 1, sizeof(*empty));
	if (!empty)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		empty[i] = batches[i];
		empty[i].waitSemaphoreCount = 0;
		empty[i].commandBufferCount = 0;
	}
	VkResult result = device->QueueSubmit(queue, count, empty, fence);
	free(empty);
	return result;
}

static VkResult submit_nothing2(
	struct device *device, VkQueue queue, uint32_t count, const VkSubmitInfo2 *batches, VkFence fence)
{
	VkSubmitInfo2 *empty = calloc(count + 1, sizeof(*empty));
	if (!empty)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		empty[i] = batches[i];
		empty[i].waitSemaphoreInfoCount = 0;
		empty[i].commandBufferInfoCount = 0;
	}
	VkResult result = device->QueueSubmit2(queue, count, empty, fence);
	free(empty);
	return result;
}

static VkResult queue_submit(VkQueue queue, uint32_t count, const VkSubmitInfo *batches, VkFence fence)
{
	struct device *device = layer_find(&devices, queue);
	switch (fault_of(device)) {
	case FAULT_NONE:
		break;
	case FAULT_LOST:
		return VK_ERROR_DEVICE_LOST;
	case FAULT_SILENT:
		return submit_nothing(device, queue, count, batches, fence);
	case FAULT_HANG:
		return VK_SUCCESS;
	case FAULT_CRASH:
		crash();
	}
	return device->QueueSubmit(queue, count, batches, fence);
}

static VkResult queue_submit2(VkQueue queue, uint32_t count, const VkSubmitInfo2 *batches, VkFence fence)
{
	struct device *device = layer_find(&devices, queue);
	switch (fault_of(device)) {
	case FAULT_NONE:
		break;
	case FAULT_LOST:
		return VK_ERROR_DEVICE_LOST;
	case FAULT_SILENT:
		return submit_nothing2(device, queue, count, batches, fence);
	case FAULT_HANG:
		return VK_SUCCESS;
	case FAULT_CRASH:
		crash();
	}
	return device->QueueSubmit2(queue, count, batches, fence);
}

static VkResult queue_bind_sparse(VkQueue queue, uint32_t count, const VkBindSparseInfo *batches, VkFence fence)
{
	struct device *device = layer_find(&devices, queue);
	switch (fault_of(device)) {
	case FAULT_NONE:
	case FAULT_SILENT:
		break;
	case FAULT_LOST:
		return VK_ERROR_DEVICE_LOST;
	case FAULT_HANG:
		return VK_SUCCESS;
	case FAULT_CRASH:
		crash();
	}
	return device->QueueBindSparse(queue, count, batches, fence);
}

/* ---- waits and questions ---- */

/* What a call that has come back from the driver may tell: VK_NOT_READY stands for "go on waiting", for ever. */
static VkResult verdict(struct device *device, VkResult real)
{
	switch (fault_of(device)) {
	case FAULT_NONE:
		return real;
	case FAULT_LOST:
		return VK_ERROR_DEVICE_LOST;
	case FAULT_SILENT:
		garble(device);
		return real < VK_SUCCESS ? real : VK_SUCCESS;
	case FAULT_HANG:
		return VK_NOT_READY;
	case FAULT_CRASH:
		crash();
	}
	return real;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	const struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	nanosleep(&t, NULL);
}

struct wait {
	VkDevice handle;
	const VkFence *fences; /* NULL: semaphores */
	uint32_t fence_count;
	VkBool32 all;
	const VkSemaphoreWaitInfo *semaphores;
};

/* Waits in slices, so that a loss is noticed however long the driver would still wait. */
static VkResult sliced_wait(struct device *device, const struct wait *wait, uint64_t timeout_ns)
{
	const uint64_t start = now_ns();
	for (;;) {
		const uint64_t gone = now_ns() - start, left = gone < timeout_ns ? timeout_ns - gone : 0;
		const uint64_t slice = !device->page || left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
		const bool hung = fault_of(device) == FAULT_HANG;
		VkResult result = VK_TIMEOUT;
		if (hung)
			sleep_ns(slice);
		else if (wait->fences)
			result = device->WaitForFences(wait->handle, wait->fence_count, wait->fences, wait->all, slice);
		else
			result = device->WaitSemaphores(wait->handle, wait->semaphores, slice);
		const bool timed_out = result == VK_TIMEOUT;
		result = verdict(device, result);
		if (result != VK_NOT_READY && !(timed_out && result == VK_TIMEOUT))
			return result;
		if (left <= slice)
			return VK_TIMEOUT;
	}
}

static VkResult wait_for_fences(VkDevice handle, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout_ns)
{
	const struct wait wait = { .handle = handle, .fences = fences, .fence_count = count, .all = all };
	return sliced_wait(layer_find(&devices, handle), &wait, timeout_ns);
}

static VkResult wait_semaphores(VkDevice handle, const VkSemaphoreWaitInfo *info, uint64_t timeout_ns)
{
	const struct wait wait = { .handle = handle, .semaphores = info };
	return sliced_wait(layer_find(&devices, handle), &wait, timeout_ns);
}

static VkResult idle_verdict(struct device *device, VkResult real)
{
	VkResult result = verdict(device, real);
	if (result == VK_NOT_READY)
		block();
	return result;
}

static VkResult queue_wait_idle(VkQueue queue)
{
	struct device *device = layer_find(&devices, queue);
	const bool gone = fault_of(device) == FAULT_LOST || fault_of(device) == FAULT_HANG;
	return idle_verdict(device, gone ? VK_SUCCESS : device->QueueWaitIdle(queue));
}

static VkResult device_wait_idle(VkDevice handle)
{
	struct device *device = layer_find(&devices, handle);
	const bool gone = fault_of(device) == FAULT_LOST || fault_of(device) == FAULT_HANG;
	return idle_verdict(device, gone ? VK_SUCCESS : device->DeviceWaitIdle(handle));
}

static VkResult get_fence_status(VkDevice handle, VkFence fence)
{
	struct device *device = layer_find(&devices, handle);
	return verdict(device, device->GetFenceStatus(handle, fence));
}

static VkResult get_event_status(VkDevice handle, VkEvent event)
{
	struct device *device = layer_find(&devices, handle);
	VkResult result = device->GetEventStatus(handle, event);
	return fault_of(device) == FAULT_LOST ? VK_ERROR_DEVICE_LOST : result;
}

static VkResult get_query_results(VkDevice handle, VkQueryPool pool, uint32_t first, uint32_t count, size_t size, void *data,
	VkDeviceSize stride, VkQueryResultFlags flags)
{
	struct device *device = layer_find(&devices, handle);
	const enum fault_way way = fault_of(device);
	if (way == FAULT_HANG && flags & VK_QUERY_RESULT_WAIT_BIT)
		block();
	if (way != FAULT_NONE) /* never computed: waiting for them in the driver would not end */
		flags &= ~(VkQueryResultFlags)VK_QUERY_RESULT_WAIT_BIT;
	return verdict(device, device->GetQueryPoolResults(handle, pool, first, count, size, data, stride, flags));
}

static VkResult get_semaphore_value(VkDevice handle, VkSemaphore semaphore, uint64_t *ret)
{
	struct device *device = layer_find(&devices, handle);
	VkResult result = device->GetSemaphoreCounterValue(handle, semaphore, ret);
	return fault_of(device) == FAULT_LOST ? VK_ERROR_DEVICE_LOST : result;
}

static VkResult signal_semaphore(VkDevice handle, const VkSemaphoreSignalInfo *info)
{
	struct device *device = layer_find(&devices, handle);
	return fault_of(device) == FAULT_LOST ? VK_ERROR_DEVICE_LOST : device->SignalSemaphore(handle, info);
}

/* ---- the loader's door ---- */

static PFN_vkVoidFunction get_instance_function(VkInstance instance, const char *name);
static PFN_vkVoidFunction get_device_function(VkDevice device, const char *name);

static const struct layer_hook instance_hooks[] = {
	LAYER_HOOK("vkGetInstanceProcAddr", get_instance_function),
	LAYER_HOOK("vkCreateInstance", create_instance),
	LAYER_HOOK("vkDestroyInstance", destroy_instance),
	LAYER_HOOK("vkEnumeratePhysicalDevices", enumerate_devices),
	LAYER_HOOK("vkEnumeratePhysicalDeviceGroups", enumerate_groups),
	LAYER_HOOK("vkEnumeratePhysicalDeviceGroupsKHR", enumerate_groups),
	LAYER_HOOK("vkCreateDevice", create_device),
	{ NULL, NULL },
};

static const struct layer_hook device_hooks[] = {
	LAYER_HOOK("vkGetDeviceProcAddr", get_device_function),
	LAYER_HOOK("vkDestroyDevice", destroy_device),
	LAYER_HOOK("vkAllocateMemory", allocate_memory),
	LAYER_HOOK("vkFreeMemory", free_memory),
	LAYER_HOOK("vkMapMemory", map_memory),
	LAYER_HOOK("vkUnmapMemory", unmap_memory),
	LAYER_HOOK("vkQueueSubmit", queue_submit),
	LAYER_HOOK("vkQueueSubmit2", queue_submit2),
	LAYER_HOOK("vkQueueSubmit2KHR", queue_submit2),
	LAYER_HOOK("vkQueueBindSparse", queue_bind_sparse),
	LAYER_HOOK("vkQueueWaitIdle", queue_wait_idle),
	LAYER_HOOK("vkDeviceWaitIdle", device_wait_idle),
	LAYER_HOOK("vkWaitForFences", wait_for_fences),
	LAYER_HOOK("vkGetFenceStatus", get_fence_status),
	LAYER_HOOK("vkGetEventStatus", get_event_status),
	LAYER_HOOK("vkGetQueryPoolResults", get_query_results),
	LAYER_HOOK("vkWaitSemaphores", wait_semaphores),
	LAYER_HOOK("vkWaitSemaphoresKHR", wait_semaphores),
	LAYER_HOOK("vkGetSemaphoreCounterValue", get_semaphore_value),
	LAYER_HOOK("vkGetSemaphoreCounterValueKHR", get_semaphore_value),
	LAYER_HOOK("vkSignalSemaphore", signal_semaphore),
	LAYER_HOOK("vkSignalSemaphoreKHR", signal_semaphore),
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
