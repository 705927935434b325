/* Both layers on two devices of the CPU driver: the first wears a card, the second stays plain. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <vulkan/vulkan.h>

#include "tests/fault/fault_page.h"

#define DRIVER "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"
#define WORDS 1024u
#define MEMORY (1ull << 30)

static char directory[] = "/tmp/tbmesh-layers-XXXXXX";
static const char *layers;
static uint32_t losses;

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", directory, name);
}

static void write_text(const char *name, const char *text)
{
	char path[128];
	path_of(path, sizeof(path), name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void tell(enum fault_way way, bool absent)
{
	char path[128];
	path_of(path, sizeof(path), "faults/0000:04:00.0");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FAULT_PAGE_SIZE), 0);
	if (way != FAULT_NONE)
		losses++;
	const struct fault_page page = { .way = (uint8_t)way, .absent = absent, .losses = losses };
	assert_int_equal(pwrite(fd, &page, sizeof(page), 0), sizeof(page));
	close(fd);
}

static void sleep_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&t, NULL);
}

static int group_setup(void **state)
{
	(void)state;
	char path[128], drivers[256];
	assert_non_null(mkdtemp(directory));
	path_of(path, sizeof(path), "faults");
	assert_int_equal(mkdir(path, 0755), 0);
	setenv("TBMESH_FAULT_DIR", path, 1);
	for (int i = 0; i < 2; i++) {
		path_of(path, sizeof(path), i ? "one.json" : "zero.json");
		assert_int_equal(symlink(DRIVER, path), 0);
	}
	snprintf(drivers, sizeof(drivers), "%s/zero.json:%s/one.json", directory, directory);
	setenv("VK_DRIVER_FILES", drivers, 1);
	write_text("cards",
		"# a card\ncard\nname NVIDIA GeForce RTX 5090\ntype discrete\nvendor 0x10de\ndevice 0x2b85\n"
		"pci 0000:04:00.0\nmemory 1073741824\nhost-memory 1073741824\ndriver-id 4\ndriver-name NVIDIA\n"
		"driver-info 580.95.05\n");
	path_of(path, sizeof(path), "cards");
	setenv("TBMESH_CARDS", path, 1);
	char layer_path[512]; /* loaders before 1.3.254 stack layers in the order in which they find the manifests */
	snprintf(layer_path, sizeof(layer_path), "%s/fault:%s/card", layers, layers);
	setenv("VK_LAYER_PATH", layer_path, 1);
	setenv("VK_INSTANCE_LAYERS", "VK_LAYER_TBMESH_fault:VK_LAYER_TBMESH_card", 1);
	setenv("NODEVICE_SELECT", "1", 1);
	tell(FAULT_NONE, false);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	static const char *const names[] = { "faults/0000:04:00.0", "faults", "zero.json", "one.json", "cards", "" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];
		path_of(path, sizeof(path), names[i]);
		remove(path);
	}
	return 0;
}

static VkInstance make_instance(void)
{
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2 };
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
	VkInstance instance;
	assert_int_equal(vkCreateInstance(&info, NULL, &instance), VK_SUCCESS);
	return instance;
}

static uint32_t list_devices(VkInstance instance, VkPhysicalDevice ret[4])
{
	uint32_t count = 4;
	assert_int_equal(vkEnumeratePhysicalDevices(instance, &count, ret), VK_SUCCESS);
	return count;
}

/* A device of the card with a buffer in video memory, one to read back from, and the commands that fill the second by way
 * of the first. */
struct bench {
	VkInstance instance;
	VkDevice device;
	VkQueue queue;
	VkBuffer local, host;
	VkDeviceMemory local_memory, host_memory;
	uint32_t *words;
	VkCommandPool pool;
	VkCommandBuffer commands;
	VkFence fence;
};

static VkBuffer make_buffer(VkDevice device, uint32_t type, VkDeviceMemory *ret_memory)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = WORDS * 4,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	VkBuffer buffer;
	assert_int_equal(vkCreateBuffer(device, &info, NULL, &buffer), VK_SUCCESS);
	VkMemoryRequirements need;
	vkGetBufferMemoryRequirements(device, buffer, &need);
	assert_int_equal(need.memoryTypeBits, 7);
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size, .memoryTypeIndex = type
	};
	assert_int_equal(vkAllocateMemory(device, &allocate, NULL, ret_memory), VK_SUCCESS);
	assert_int_equal(vkBindBufferMemory(device, buffer, *ret_memory, 0), VK_SUCCESS);
	return buffer;
}

static void bench_open(struct bench *b)
{
	VkPhysicalDevice physical[4];
	*b = (struct bench){ .instance = make_instance() };
	assert_int_equal(list_devices(b->instance, physical), 2);
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority
	};
	const char *const extensions[] = { VK_EXT_PCI_BUS_INFO_EXTENSION_NAME };
	const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledExtensionCount = 1,
		.ppEnabledExtensionNames = extensions };
	assert_int_equal(vkCreateDevice(physical[0], &info, NULL, &b->device), VK_SUCCESS);
	vkGetDeviceQueue(b->device, 0, 0, &b->queue);
	b->local = make_buffer(b->device, 0, &b->local_memory);
	b->host = make_buffer(b->device, 2, &b->host_memory);
	void *data;
	assert_int_equal(vkMapMemory(b->device, b->local_memory, 0, VK_WHOLE_SIZE, 0, &data), VK_ERROR_MEMORY_MAP_FAILED);
	assert_int_equal(vkMapMemory(b->device, b->host_memory, 0, VK_WHOLE_SIZE, 0, &data), VK_SUCCESS);
	b->words = data;
	const VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT };
	assert_int_equal(vkCreateCommandPool(b->device, &pool, NULL, &b->pool), VK_SUCCESS);
	const VkCommandBufferAllocateInfo buffers = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = b->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1 };
	assert_int_equal(vkAllocateCommandBuffers(b->device, &buffers, &b->commands), VK_SUCCESS);
	const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	assert_int_equal(vkCreateFence(b->device, &fence, NULL, &b->fence), VK_SUCCESS);
}

static VkResult bench_submit(struct bench *b, uint32_t value)
{
	const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	const VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT };
	const VkBufferCopy all = { .size = WORDS * 4 };
	vkBeginCommandBuffer(b->commands, &begin);
	vkCmdFillBuffer(b->commands, b->local, 0, VK_WHOLE_SIZE, value);
	vkCmdPipelineBarrier(b->commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0,
		NULL, 0, NULL);
	vkCmdCopyBuffer(b->commands, b->local, b->host, 1, &all);
	vkEndCommandBuffer(b->commands);
	vkResetFences(b->device, 1, &b->fence);
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &b->commands
	};
	return vkQueueSubmit(b->queue, 1, &submit, b->fence);
}

static VkResult bench_wait(struct bench *b, uint64_t timeout_ns)
{
	return vkWaitForFences(b->device, 1, &b->fence, VK_TRUE, timeout_ns);
}

static void bench_close(struct bench *b)
{
	vkDestroyFence(b->device, b->fence, NULL);
	vkDestroyCommandPool(b->device, b->pool, NULL);
	vkDestroyBuffer(b->device, b->local, NULL);
	vkDestroyBuffer(b->device, b->host, NULL);
	vkFreeMemory(b->device, b->local_memory, NULL);
	vkFreeMemory(b->device, b->host_memory, NULL);
	vkDestroyDevice(b->device, NULL);
	vkDestroyInstance(b->instance, NULL);
}

static void bench_run(struct bench *b, uint32_t value)
{
	assert_int_equal(bench_submit(b, value), VK_SUCCESS);
	assert_int_equal(bench_wait(b, UINT64_MAX), VK_SUCCESS);
	for (uint32_t i = 0; i < WORDS; i++)
		assert_int_equal(b->words[i], value);
}

static void test_looks(void **state)
{
	(void)state;
	VkInstance instance = make_instance();
	VkPhysicalDevice physical[4];
	assert_int_equal(list_devices(instance, physical), 2);
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT
	};
	VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
		.pNext = &pci };
	VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver };
	vkGetPhysicalDeviceProperties2(physical[0], &p);
	assert_string_equal(p.properties.deviceName, "NVIDIA GeForce RTX 5090");
	assert_int_equal(p.properties.deviceType, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU);
	assert_int_equal(p.properties.vendorID, 0x10de);
	assert_string_equal(driver.driverName, "NVIDIA");
	assert_int_equal(pci.pciBus, 4);
	VkPhysicalDeviceMemoryProperties memory;
	vkGetPhysicalDeviceMemoryProperties(physical[0], &memory);
	assert_int_equal(memory.memoryTypeCount, 3);
	assert_int_equal(memory.memoryTypes[0].propertyFlags, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	assert_int_equal(memory.memoryHeaps[0].size, MEMORY);
	uint32_t count = 0;
	assert_int_equal(vkEnumerateDeviceExtensionProperties(physical[0], NULL, &count, NULL), VK_SUCCESS);
	VkExtensionProperties *extensions = calloc(count, sizeof(*extensions));
	assert_int_equal(vkEnumerateDeviceExtensionProperties(physical[0], NULL, &count, extensions), VK_SUCCESS);
	int found = 0;
	for (uint32_t i = 0; i < count; i++)
		found += !strcmp(extensions[i].extensionName, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
	free(extensions);
	assert_int_equal(found, 1);

	vkGetPhysicalDeviceProperties2(physical[1], &p);
	assert_int_equal(p.properties.deviceType, VK_PHYSICAL_DEVICE_TYPE_CPU);
	vkGetPhysicalDeviceMemoryProperties(physical[1], &memory);
	assert_int_equal(memory.memoryTypeCount, 1);
	vkDestroyInstance(instance, NULL);
}

static void test_heap_is_finite(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	const VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = MEMORY };
	VkDeviceMemory memory;
	assert_int_equal(vkAllocateMemory(b.device, &info, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	bench_run(&b, 7);
	bench_close(&b);
}

static void test_lost(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	bench_run(&b, 1);
	tell(FAULT_LOST, false);
	assert_int_equal(bench_submit(&b, 2), VK_ERROR_DEVICE_LOST);
	assert_int_equal(bench_wait(&b, UINT64_MAX), VK_ERROR_DEVICE_LOST);
	assert_int_equal(vkGetFenceStatus(b.device, b.fence), VK_ERROR_DEVICE_LOST);
	assert_int_equal(vkDeviceWaitIdle(b.device), VK_ERROR_DEVICE_LOST);
	bench_close(&b);
	bench_open(&b); /* lost devices stay lost, a new one works */
	bench_run(&b, 3);
	bench_close(&b);
}

static void test_silent(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	bench_run(&b, 1);
	tell(FAULT_SILENT, false);
	sleep_ms(50);
	assert_int_not_equal(b.words[5], 1); /* without any call of ours */
	assert_int_equal(bench_submit(&b, 2), VK_SUCCESS);
	assert_int_equal(bench_wait(&b, UINT64_MAX), VK_SUCCESS);
	assert_int_equal(vkGetFenceStatus(b.device, b.fence), VK_SUCCESS);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_not_equal(b.words[i], 2);
	bench_close(&b);
}

static void test_hang(void **state)
{
	(void)state;
	struct bench b;
	bench_open(&b);
	bench_run(&b, 1);
	tell(FAULT_HANG, false);
	assert_int_equal(bench_submit(&b, 2), VK_SUCCESS);
	assert_int_equal(vkGetFenceStatus(b.device, b.fence), VK_NOT_READY);
	assert_int_equal(bench_wait(&b, 60000000), VK_TIMEOUT);
	assert_int_equal(b.words[0], 1);
	bench_close(&b);
}

static void test_crash(void **state)
{
	(void)state;
	pid_t child = fork();
	if (!child) {
		struct bench b;
		bench_open(&b);
		bench_run(&b, 1);
		tell(FAULT_CRASH, false);
		sleep_ms(2000); /* in no call at all */
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	losses++; /* the child's */
}

static void test_absent(void **state)
{
	(void)state;
	tell(FAULT_LOST, true);
	VkInstance instance = make_instance();
	VkPhysicalDevice physical[4];
	VkPhysicalDeviceProperties p;
	assert_int_equal(list_devices(instance, physical), 1);
	vkGetPhysicalDeviceProperties(physical[0], &p);
	assert_int_equal(p.deviceType, VK_PHYSICAL_DEVICE_TYPE_CPU);
	vkDestroyInstance(instance, NULL);
	tell(FAULT_NONE, false);
	struct bench b;
	bench_open(&b);
	bench_run(&b, 9);
	bench_close(&b);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: fault_layers LAYER_DIR\n");
		return 2;
	}
	if (access(DRIVER, R_OK)) {
		printf("SKIP: no CPU Vulkan driver (%s)\n", DRIVER);
		return 77;
	}
	layers = argv[1];
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looks),
		cmocka_unit_test(test_heap_is_finite),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_absent),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
