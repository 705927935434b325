/* The driver under a played session, driven as the loader does. */
#include "tests/unit/test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vulkan.h>
#include <vulkan/vk_icd.h>

#include "base/util.h"
#include "tests/unit/icd/session.h"
#include "two_buffers.comp.h"

static PFN_vk_icdGetInstanceProcAddr get_instance_proc;
static struct play play;
static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue;
static VkCommandPool pool;

#define GLOBAL(name) ((PFN_vk##name)get_instance_proc(NULL, "vk" #name))
#define INSTANCE(name) ((PFN_vk##name)get_instance_proc(instance, "vk" #name))
#define DEVICE(name) ((PFN_vk##name)INSTANCE(GetDeviceProcAddr)(device, "vk" #name))
#define OK(call) assert_int_equal((call), VK_SUCCESS)

static void make_instance(void)
{
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO };
	OK(GLOBAL(CreateInstance)(&info, NULL, &instance));
	uint32_t count = 1;
	physical = NULL;
	OK(INSTANCE(EnumeratePhysicalDevices)(instance, &count, &physical));
}

static VkResult make_device(const void *next, const char *const *extensions, uint32_t extension_count)
{
	const float priority = 1;
	const VkDeviceQueueCreateInfo queues = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority
	};
	const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = next,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queues,
		.enabledExtensionCount = extension_count,
		.ppEnabledExtensionNames = extensions };
	return INSTANCE(CreateDevice)(physical, &info, NULL, &device);
}

static int setup(void **state)
{
	(void)state;
	play_start(&play);
	make_instance();
	assert_non_null(physical);
	OK(make_device(NULL, NULL, 0));
	DEVICE(GetDeviceQueue)(device, 0, 0, &queue);
	const VkCommandPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	OK(DEVICE(CreateCommandPool)(device, &info, NULL, &pool));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	DEVICE(DestroyCommandPool)(device, pool, NULL);
	DEVICE(DestroyDevice)(device, NULL);
	INSTANCE(DestroyInstance)(instance, NULL);
	play_stop(&play);
	assert_false(play.broken);
	return 0;
}

struct buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
	unsigned char *map;
};

static struct buffer make_buffer(VkDeviceSize size, uint32_t type)
{
	struct buffer b = { 0 };
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
			VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	OK(DEVICE(CreateBuffer)(device, &info, NULL, &b.buffer));
	VkMemoryRequirements requirements;
	DEVICE(GetBufferMemoryRequirements)(device, b.buffer, &requirements);
	assert_int_equal(requirements.memoryTypeBits, 7);
	assert_int_equal(requirements.alignment, 256);
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = requirements.size, .memoryTypeIndex = type
	};
	OK(DEVICE(AllocateMemory)(device, &allocate, NULL, &b.memory));
	OK(DEVICE(BindBufferMemory)(device, b.buffer, b.memory, 0));
	if (type)
		OK(DEVICE(MapMemory)(device, b.memory, 0, VK_WHOLE_SIZE, 0, (void **)&b.map));
	return b;
}

static void drop_buffer(struct buffer *b)
{
	DEVICE(DestroyBuffer)(device, b->buffer, NULL);
	DEVICE(FreeMemory)(device, b->memory, NULL);
}

static VkCommandBuffer begin(VkCommandBufferLevel level)
{
	VkCommandBuffer cb;
	const VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = pool,
		.level = level,
		.commandBufferCount = 1 };
	const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	OK(DEVICE(AllocateCommandBuffers)(device, &info, &cb));
	OK(DEVICE(BeginCommandBuffer)(cb, &begin_info));
	return cb;
}

static VkFence make_fence(VkFenceCreateFlags flags)
{
	VkFence fence;
	const VkFenceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .flags = flags };
	OK(DEVICE(CreateFence)(device, &info, NULL, &fence));
	return fence;
}

static void submit(VkCommandBuffer cb, VkFence fence)
{
	const VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cb
	};
	OK(DEVICE(QueueSubmit)(queue, 1, &info, fence));
}

static void run(VkCommandBuffer cb)
{
	OK(DEVICE(EndCommandBuffer)(cb));
	submit(cb, VK_NULL_HANDLE);
	OK(DEVICE(QueueWaitIdle)(queue));
}

static void copy(VkCommandBuffer cb, const struct buffer *from, uint64_t from_offset, const struct buffer *to,
	uint64_t to_offset, uint64_t size)
{
	const VkBufferCopy region = { from_offset, to_offset, size };
	DEVICE(CmdCopyBuffer)(cb, from->buffer, to->buffer, 1, &region);
}

static void test_no_session(void **state)
{
	(void)state;
	uint32_t count = 7;
	unsetenv("TBMESH_SESSION");
	make_instance();
	OK(INSTANCE(EnumeratePhysicalDevices)(instance, &count, NULL));
	assert_int_equal(count, 0);
	INSTANCE(DestroyInstance)(instance, NULL);
	setenv("TBMESH_SESSION", "/nonexistent/socket", 1);
	make_instance();
	assert_null(physical);
	INSTANCE(DestroyInstance)(instance, NULL);
}

static void test_negotiation(void **state)
{
	(void)state;
	PFN_vk_icdNegotiateLoaderICDInterfaceVersion negotiate =
		(PFN_vk_icdNegotiateLoaderICDInterfaceVersion)get_instance_proc(
			NULL, "vk_icdNegotiateLoaderICDInterfaceVersion");
	uint32_t version = 4;
	assert_int_equal(negotiate(&version), VK_ERROR_INCOMPATIBLE_DRIVER);
	version = 5;
	OK(negotiate(&version));
	assert_int_equal(version, 5);
	version = 99;
	OK(negotiate(&version));
	assert_int_equal(version, 7);
	/* What needs an instance is not there without one, and the other way round. */
	assert_null((void *)get_instance_proc(NULL, "vkDestroyInstance"));
	assert_null((void *)get_instance_proc(NULL, NULL));
	assert_non_null((void *)get_instance_proc(NULL, "vkCreateInstance"));
	make_instance();
	assert_null((void *)get_instance_proc(instance, "vkCreateInstance"));
	assert_non_null((void *)get_instance_proc(instance, "vkCmdDispatch"));
	INSTANCE(DestroyInstance)(instance, NULL);
}

static void test_offer(void **state)
{
	(void)state;
	VkPhysicalDeviceIDProperties id = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES };
	VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
		.pNext = &id };
	/* What programs tune themselves by is the real one's. */
	VkPhysicalDeviceShaderCorePropertiesAMD cores = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD
	};
	id.pNext = &cores;
	VkPhysicalDeviceProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &driver };
	INSTANCE(GetPhysicalDeviceProperties2)(physical, &properties);
	assert_string_equal(properties.properties.deviceName, "tbmesh: made up @ alpha");
	assert_int_equal(properties.properties.deviceType, VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU);
	assert_int_equal(VK_API_VERSION_MINOR(properties.properties.apiVersion), 2);
	assert_false(properties.properties.limits.timestampComputeAndGraphics);
	assert_string_equal(driver.driverName, "tbmesh");
	assert_int_equal(cores.wavefrontsPerSimd, 20);
	static const uint8_t zero[VK_UUID_SIZE];
	assert_memory_not_equal(id.deviceUUID, zero, VK_UUID_SIZE);

	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES };
	VkPhysicalDeviceShaderSMBuiltinsFeaturesNV builtins = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_FEATURES_NV, .pNext = &v12
	};
	VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &builtins };
	INSTANCE(GetPhysicalDeviceFeatures2)(physical, &features);
	assert_true(features.features.shaderInt64 && builtins.shaderSMBuiltins);
	assert_false(features.features.geometryShader);
	assert_true(v12.timelineSemaphore && v12.shaderFloat16);
	assert_false(v12.bufferDeviceAddress || v12.descriptorBindingStorageBufferUpdateAfterBind);

	VkPhysicalDeviceMemoryProperties memory;
	INSTANCE(GetPhysicalDeviceMemoryProperties)(physical, &memory);
	assert_int_equal(memory.memoryTypeCount, 3);
	assert_int_equal(memory.memoryTypes[0].propertyFlags, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	assert_false(memory.memoryTypes[1].propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	VkQueueFamilyProperties family;
	uint32_t count = 1;
	INSTANCE(GetPhysicalDeviceQueueFamilyProperties)(physical, &count, &family);
	assert_int_equal(family.queueFlags, VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT);
	VkFormatProperties format;
	INSTANCE(GetPhysicalDeviceFormatProperties)(physical, VK_FORMAT_R32_UINT, &format);
	assert_int_equal(format.bufferFeatures, VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT);
	assert_int_equal(format.optimalTilingFeatures, 0);

	VkExtensionProperties extensions[64];
	bool push = false, cores_there = false, swapchain = false, not_there = false;
	count = 64;
	OK(INSTANCE(EnumerateDeviceExtensionProperties)(physical, NULL, &count, extensions));
	for (uint32_t i = 0; i < count; i++) {
		push |= strcmp(extensions[i].extensionName, "VK_KHR_push_descriptor") == 0;
		cores_there |= strcmp(extensions[i].extensionName, "VK_AMD_shader_core_properties") == 0;
		swapchain |= strcmp(extensions[i].extensionName, "VK_KHR_swapchain") == 0;
		not_there |= strcmp(extensions[i].extensionName, "VK_EXT_shader_atomic_float") == 0;
	}
	assert_true(push && cores_there);
	assert_false(swapchain || not_there);
}

static void test_refusals(void **state)
{
	(void)state;
	VkDevice kept = device;
	const char *swapchain = "VK_KHR_swapchain";
	assert_int_equal(make_device(NULL, &swapchain, 1), VK_ERROR_EXTENSION_NOT_PRESENT);
	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.bufferDeviceAddress = VK_TRUE };
	assert_int_equal(make_device(&v12, NULL, 0), VK_ERROR_FEATURE_NOT_PRESENT);
	VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.features.geometryShader = VK_TRUE };
	assert_int_equal(make_device(&features, NULL, 0), VK_ERROR_FEATURE_NOT_PRESENT);
	device = kept;
	assert_null(DEVICE(CmdPushDescriptorSetKHR));
	assert_null((void *)INSTANCE(GetDeviceProcAddr)(device, "vkQueueSubmit2"));
	assert_null((void *)INSTANCE(GetDeviceProcAddr)(device, "vkCreateInstance"));
	assert_non_null(DEVICE(CmdDraw));
	VkImage image;
	const VkImageCreateInfo image_info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO };
	assert_true(DEVICE(CreateImage)(device, &image_info, NULL, &image) < 0);
	const uint32_t junk[] = { 1, 2, 3, 4, 5 };
	VkShaderModule module;
	const VkShaderModuleCreateInfo module_info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof(junk), .pCode = junk
	};
	assert_true(DEVICE(CreateShaderModule)(device, &module_info, NULL, &module) < 0);
	/* Destructors take VK_NULL_HANDLE. */
	DEVICE(DestroyBuffer)(device, VK_NULL_HANDLE, NULL);
	DEVICE(DestroyPipeline)(device, VK_NULL_HANDLE, NULL);
	DEVICE(DestroyFence)(device, VK_NULL_HANDLE, NULL);
	DEVICE(FreeMemory)(device, VK_NULL_HANDLE, NULL);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	VkDeviceMemory memory;
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = 8ull << 30 };
	assert_int_equal(DEVICE(AllocateMemory)(device, &info, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(play_seen(&play).kinds[RECORD_ALLOCATE], 0); /* beyond the heap: nobody is asked */
	pthread_mutex_lock(&play.mutex);
	play.refuse_above_bytes = 1 << 20;
	pthread_mutex_unlock(&play.mutex);
	info.allocationSize = 2 << 20;
	assert_int_equal(DEVICE(AllocateMemory)(device, &info, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	info.allocationSize = 1 << 20;
	OK(DEVICE(AllocateMemory)(device, &info, NULL, &memory));
	VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT
	};
	VkPhysicalDeviceMemoryProperties2 properties = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
		.pNext = &budget };
	INSTANCE(GetPhysicalDeviceMemoryProperties2)(physical, &properties);
	assert_int_equal(budget.heapUsage[0], 1 << 20);
	DEVICE(FreeMemory)(device, memory, NULL);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct buffer up = make_buffer(65536, 1), local = make_buffer(65536, 0), down = make_buffer(65536, 2);
	for (unsigned i = 0; i < 65536; i++)
		up.map[i] = (unsigned char)(i * 31 + 1) | 1;
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	copy(cb, &up, 0, &local, 0, 65536);
	DEVICE(CmdFillBuffer)(cb, local.buffer, 256, 256, 0xabababab);
	copy(cb, &local, 0, &down, 0, 65536);
	run(cb);
	assert_memory_equal(down.map, up.map, 256);
	assert_memory_equal(down.map + 512, up.map + 512, 65536 - 512);
	assert_int_equal(down.map[300], 0xab);
	/* The second time only what changed travels. */
	uint64_t before = play_seen(&play).write_bytes;
	up.map[1000] ^= 0xff;
	submit(cb, VK_NULL_HANDLE);
	OK(DEVICE(DeviceWaitIdle)(device));
	assert_int_equal(play_seen(&play).write_bytes, before + 1);
	assert_int_equal(down.map[1000], up.map[1000]);
	drop_buffer(&up);
	drop_buffer(&local);
	drop_buffer(&down);
}

/* Host and device write neighbouring bytes while submissions are in flight. */
static void test_neighbours(void **state)
{
	(void)state;
	struct buffer b = make_buffer(4096, 1);
	VkCommandBuffer first = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY), second = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdFillBuffer)(first, b.buffer, 0, 4, 0x11111111);
	DEVICE(CmdFillBuffer)(second, b.buffer, 8, 4, 0x22222222);
	OK(DEVICE(EndCommandBuffer)(first));
	OK(DEVICE(EndCommandBuffer)(second));
	play_set_hold(&play, true);
	submit(first, VK_NULL_HANDLE);
	memset(b.map + 4, 0x33, 4);
	submit(second, VK_NULL_HANDLE);
	memset(b.map + 12, 0x44, 4);
	play_set_hold(&play, false);
	OK(DEVICE(DeviceWaitIdle)(device));
	static const unsigned char expected[16] = { 0x11, 0x11, 0x11, 0x11, 0x33, 0x33, 0x33, 0x33, 0x22, 0x22, 0x22, 0x22,
		0x44, 0x44, 0x44, 0x44 };
	assert_memory_equal(b.map, expected, 16);
	drop_buffer(&b);
}

static void test_fences(void **state)
{
	(void)state;
	struct buffer b = make_buffer(4096, 0);
	VkFence fences[] = { make_fence(0), make_fence(VK_FENCE_CREATE_SIGNALED_BIT), make_fence(0) };
	OK(DEVICE(GetFenceStatus)(device, fences[1]));
	assert_int_equal(DEVICE(GetFenceStatus)(device, fences[0]), VK_NOT_READY);
	assert_int_equal(DEVICE(WaitForFences)(device, 3, fences, VK_TRUE, 0), VK_TIMEOUT);
	OK(DEVICE(WaitForFences)(device, 3, fences, VK_FALSE, 0));
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdFillBuffer)(cb, b.buffer, 0, VK_WHOLE_SIZE, 1);
	OK(DEVICE(EndCommandBuffer)(cb));
	play_set_hold(&play, true);
	submit(cb, fences[0]);
	OK(DEVICE(QueueSubmit)(queue, 0, NULL, fences[2])); /* empty: complete with what is before it */
	uint64_t start = time_monotonic_ns();
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fences[2], VK_TRUE, 20000000), VK_TIMEOUT);
	assert_true(time_monotonic_ns() - start >= 20000000);
	assert_int_equal(DEVICE(GetFenceStatus)(device, fences[0]), VK_NOT_READY);
	play_set_hold(&play, false);
	OK(DEVICE(WaitForFences)(device, 3, fences, VK_TRUE, UINT64_MAX));
	OK(DEVICE(GetFenceStatus)(device, fences[0]));
	OK(DEVICE(ResetFences)(device, 1, fences));
	assert_int_equal(DEVICE(GetFenceStatus)(device, fences[0]), VK_NOT_READY);
	/* The session works a fill out itself: nothing needs to come back. */
	assert_int_equal(play_seen(&play).range_count, 0);
	assert_int_equal(play_seen(&play).copies, 1);
	for (unsigned i = 0; i < 3; i++)
		DEVICE(DestroyFence)(device, fences[i], NULL);
	drop_buffer(&b);
}

/* An executor's own word completes what brings nothing back, up to the first submission that does, whatever it says. */
static void test_progress(void **state)
{
	(void)state;
	struct buffer local = make_buffer(4096, 0), down = make_buffer(4096, 2);
	VkFence fences[] = { make_fence(0), make_fence(0), make_fence(0) };
	VkCommandBuffer fill = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY), back = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdFillBuffer)(fill, local.buffer, 0, VK_WHOLE_SIZE, 0x11111111);
	copy(back, &local, 0, &down, 0, 4096);
	OK(DEVICE(EndCommandBuffer)(fill));
	OK(DEVICE(EndCommandBuffer)(back));
	play_set_hold(&play, true);
	submit(fill, fences[0]);
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fences[0], VK_TRUE, 1000000), VK_TIMEOUT);
	submit(back, fences[1]);
	submit(fill, fences[2]);
	play_say_progress(&play, UINT64_MAX);
	OK(DEVICE(WaitForFences)(device, 1, &fences[0], VK_TRUE, 5000000000));
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fences[1], VK_TRUE, 1000000), VK_TIMEOUT);
	assert_int_equal(DEVICE(GetFenceStatus)(device, fences[2]), VK_NOT_READY);
	assert_int_equal(down.map[0], 0);
	play_set_hold(&play, false);
	OK(DEVICE(WaitForFences)(device, 3, fences, VK_TRUE, UINT64_MAX));
	assert_int_equal(down.map[4095], 0x11);
	play_say_progress(&play, 0);
	for (unsigned i = 0; i < 3; i++)
		DEVICE(DestroyFence)(device, fences[i], NULL);
	drop_buffer(&local);
	drop_buffer(&down);
}

static VkSemaphore make_timeline(uint64_t value)
{
	const VkSemaphoreTypeCreateInfo type = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
		.initialValue = value };
	const VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type };
	VkSemaphore semaphore;
	OK(DEVICE(CreateSemaphore)(device, &info, NULL, &semaphore));
	return semaphore;
}

/* A submission that waits for the host stays in the driver, and its bytes are captured when the host signals. */
static void test_timeline(void **state)
{
	(void)state;
	struct buffer from = make_buffer(256, 1), to = make_buffer(256, 1);
	VkSemaphore semaphore = make_timeline(1);
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	copy(cb, &from, 0, &to, 0, 256);
	OK(DEVICE(EndCommandBuffer)(cb));
	const uint64_t wait_value = 2, signal_value = 3;
	const VkTimelineSemaphoreSubmitInfo values = { .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = 1,
		.pWaitSemaphoreValues = &wait_value,
		.signalSemaphoreValueCount = 1,
		.pSignalSemaphoreValues = &signal_value };
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
	const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = &values,
		.waitSemaphoreCount = 1,
		.pWaitSemaphores = &semaphore,
		.pWaitDstStageMask = &stage,
		.commandBufferCount = 1,
		.pCommandBuffers = &cb,
		.signalSemaphoreCount = 1,
		.pSignalSemaphores = &semaphore };
	VkFence fence = make_fence(0);
	OK(DEVICE(QueueSubmit)(queue, 1, &info, fence));
	const VkSemaphoreWaitInfo wait = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &semaphore,
		.pValues = &signal_value };
	assert_int_equal(DEVICE(WaitSemaphores)(device, &wait, 5000000), VK_TIMEOUT);
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, 5000000), VK_TIMEOUT);
	assert_int_equal(play_seen(&play).kinds[RECORD_SUBMIT], 0);
	memset(from.map, 0x5a, 256);
	const VkSemaphoreSignalInfo signal = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = semaphore, .value = 2
	};
	OK(DEVICE(SignalSemaphore)(device, &signal));
	OK(DEVICE(WaitSemaphores)(device, &wait, UINT64_MAX));
	OK(DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, UINT64_MAX));
	uint64_t value = 0;
	OK(DEVICE(GetSemaphoreCounterValue)(device, semaphore, &value));
	assert_int_equal(value, 3);
	assert_int_equal(to.map[255], 0x5a);
	DEVICE(DestroyFence)(device, fence, NULL);
	DEVICE(DestroySemaphore)(device, semaphore, NULL);
	drop_buffer(&from);
	drop_buffer(&to);
}

static void test_events(void **state)
{
	(void)state;
	struct buffer b = make_buffer(256, 1);
	VkEvent go, done;
	const VkEventCreateInfo info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };
	OK(DEVICE(CreateEvent)(device, &info, NULL, &go));
	OK(DEVICE(CreateEvent)(device, &info, NULL, &done));
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdWaitEvents)
	(cb, 1, &go, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, NULL, 0, NULL, 0, NULL);
	DEVICE(CmdFillBuffer)(cb, b.buffer, 0, 256, 7);
	DEVICE(CmdSetEvent)(cb, done, VK_PIPELINE_STAGE_TRANSFER_BIT);
	OK(DEVICE(EndCommandBuffer)(cb));
	VkFence fence = make_fence(0);
	submit(cb, fence);
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, 5000000), VK_TIMEOUT);
	assert_int_equal(DEVICE(GetEventStatus)(device, done), VK_EVENT_RESET);
	OK(DEVICE(SetEvent)(device, go));
	OK(DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, UINT64_MAX));
	assert_int_equal(DEVICE(GetEventStatus)(device, done), VK_EVENT_SET);
	assert_int_equal(b.map[0], 7);
	OK(DEVICE(ResetEvent)(device, done));
	assert_int_equal(DEVICE(GetEventStatus)(device, done), VK_EVENT_RESET);
	DEVICE(DestroyFence)(device, fence, NULL);
	DEVICE(DestroyEvent)(device, go, NULL);
	DEVICE(DestroyEvent)(device, done, NULL);
	drop_buffer(&b);
}

static void test_secondary(void **state)
{
	(void)state;
	struct buffer b = make_buffer(256, 1);
	VkCommandBuffer secondary = begin(VK_COMMAND_BUFFER_LEVEL_SECONDARY), cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdUpdateBuffer)(secondary, b.buffer, 16, 4, "abcd");
	OK(DEVICE(EndCommandBuffer)(secondary));
	DEVICE(CmdExecuteCommands)(cb, 1, &secondary);
	run(cb);
	assert_memory_equal(b.map + 16, "abcd", 4);
	drop_buffer(&b);
}

/* More host bytes than the log holds, in one submission and over many. */
static void test_full_log(void **state)
{
	(void)state;
	const uint64_t size = 100 << 20;
	struct buffer from = make_buffer(size, 1), to = make_buffer(size, 0);
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	copy(cb, &from, 0, &to, 0, size);
	OK(DEVICE(EndCommandBuffer)(cb));
	for (unsigned i = 1; i <= 3; i++) {
		memset(from.map, (int)i, size);
		submit(cb, VK_NULL_HANDLE);
	}
	OK(DEVICE(DeviceWaitIdle)(device));
	assert_int_equal(play_seen(&play).write_bytes, 3 * size);
	assert_true(play_seen(&play).commits >= 1); /* it holds less than all three */
	drop_buffer(&from);
	drop_buffer(&to);
}

/* What a dispatch may write: the storage buffer that its shader can write, and nothing else. late: its descriptors are written when it
 * is recorded already, and again. */
static void analyse(bool late)
{
	struct buffer in = make_buffer(4096, 1), out = make_buffer(8192, 0), unused = make_buffer(4096, 0);
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 5, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	const VkDescriptorBindingFlags flags[] = { VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT,
		VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT, VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT };
	const VkDescriptorSetLayoutBindingFlagsCreateInfo flags_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO,
		.bindingCount = 3,
		.pBindingFlags = flags
	};
	const VkDescriptorSetLayoutCreateInfo set_info = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.pNext = late ? &flags_info : NULL,
		.flags = late ? VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT : 0,
		.bindingCount = 3,
		.pBindings = bindings };
	VkDescriptorSetLayout set_layout;
	OK(DEVICE(CreateDescriptorSetLayout)(device, &set_info, NULL, &set_layout));
	const VkPipelineLayoutCreateInfo layout_info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set_layout
	};
	VkPipelineLayout layout;
	OK(DEVICE(CreatePipelineLayout)(device, &layout_info, NULL, &layout));
	const VkShaderModuleCreateInfo module_info = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(two_buffers_comp),
		.pCode = two_buffers_comp };
	VkShaderModule module;
	OK(DEVICE(CreateShaderModule)(device, &module_info, NULL, &module));
	const VkComputePipelineCreateInfo pipeline_info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main" },
		.layout = layout };
	VkPipeline pipeline;
	OK(DEVICE(CreateComputePipelines)(device, VK_NULL_HANDLE, 1, &pipeline_info, NULL, &pipeline));
	DEVICE(DestroyShaderModule)(device, module, NULL);

	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 5 };
	const VkDescriptorPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 2, .poolSizeCount = 1, .pPoolSizes = &size
	};
	VkDescriptorPool descriptors;
	OK(DEVICE(CreateDescriptorPool)(device, &pool_info, NULL, &descriptors));
	const VkDescriptorSetLayout two[] = { set_layout, set_layout };
	VkDescriptorSetAllocateInfo set_allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = descriptors,
		.descriptorSetCount = 2,
		.pSetLayouts = two };
	VkDescriptorSet sets[2];
	assert_int_equal(DEVICE(AllocateDescriptorSets)(device, &set_allocate, sets), VK_ERROR_OUT_OF_POOL_MEMORY);
	set_allocate.descriptorSetCount = 1;
	OK(DEVICE(AllocateDescriptorSets)(device, &set_allocate, sets));
	/* One write that runs over from binding 0 to 1 and on to 5. */
	const VkDescriptorBufferInfo infos[] = { { in.buffer, 0, VK_WHOLE_SIZE }, { out.buffer, 256, 1024 },
		{ unused.buffer, 0, 256 } };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = sets[0],
		.descriptorCount = 3,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = infos };
	if (!late)
		DEVICE(UpdateDescriptorSets)(device, 1, &write, 0, NULL);

	memset(in.map, 1, 4096);
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdBindPipeline)(cb, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	DEVICE(CmdBindDescriptorSets)(cb, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, sets, 0, NULL);
	DEVICE(CmdDispatch)(cb, 16, 1, 1);
	if (late)
		DEVICE(UpdateDescriptorSets)(device, 1, &write, 0, NULL);
	DEVICE(UpdateDescriptorSets)(device, 1, &write, 0, NULL); /* nothing new */
	run(cb);
	assert_int_equal(play_seen(&play).descriptor_updates, 3);
	assert_int_equal(play_seen(&play).range_count, 1);
	assert_int_equal(play_seen(&play).ranges[0].size, 8192); /* the whole buffer: nothing bounds the shader */
	assert_int_equal(play_seen(&play).write_bytes, 4096);
	assert_int_equal(play_seen(&play).commits, 0);
	assert_true(play_seen(&play).needs[NEED_SPIRV_CAPABILITY] > 0 && play_seen(&play).needs[NEED_LIMIT_MIN] > 0 &&
		play_seen(&play).needs[NEED_LIMIT_ALIGN] == 1);
	if (late) {
		const VkDescriptorBufferInfo other = { unused.buffer, 0, VK_WHOLE_SIZE };
		const VkWriteDescriptorSet again = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = sets[0],
			.dstBinding = 1,
			.descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = &other };
		uint64_t before = play_seen(&play).ranges[0].memory;
		DEVICE(UpdateDescriptorSets)(device, 1, &again, 0, NULL);
		submit(cb, VK_NULL_HANDLE);
		OK(DEVICE(QueueWaitIdle)(queue));
		assert_int_equal(play_seen(&play).range_count, 1);
		assert_int_equal(play_seen(&play).ranges[0].size, 4096);
		assert_true(play_seen(&play).ranges[0].memory != before);
	}
	OK(DEVICE(ResetDescriptorPool)(device, descriptors, 0));
	OK(DEVICE(AllocateDescriptorSets)(device, &set_allocate, sets));
	DEVICE(DestroyDescriptorPool)(device, descriptors, NULL);
	DEVICE(DestroyPipeline)(device, pipeline, NULL);
	DEVICE(DestroyPipelineLayout)(device, layout, NULL);
	DEVICE(DestroyDescriptorSetLayout)(device, set_layout, NULL);
	drop_buffer(&in);
	drop_buffer(&out);
	drop_buffer(&unused);
}

static void test_analysis(void **state)
{
	(void)state;
	analyse(false);
}

static void test_late_analysis(void **state)
{
	(void)state;
	analyse(true);
}

/* Vulkan lets a program destroy a layout and submit what was recorded with it. */
static void test_layout_outlives(void **state)
{
	(void)state;
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 };
	const VkPipelineLayoutCreateInfo info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	const uint32_t value = 7;
	VkPipelineLayout layout;
	OK(DEVICE(CreatePipelineLayout)(device, &info, NULL, &layout));
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdPushConstants)(cb, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &value);
	DEVICE(CmdPushConstants)(cb, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &value);
	OK(DEVICE(EndCommandBuffer)(cb));
	unsigned before = play_seen(&play).kinds[RECORD_DESTROY];
	DEVICE(DestroyPipelineLayout)(device, layout, NULL);
	submit(cb, VK_NULL_HANDLE);
	submit(cb, VK_NULL_HANDLE);
	OK(DEVICE(QueueWaitIdle)(queue));
	assert_int_equal(play_seen(&play).kinds[RECORD_DESTROY], before);
	OK(DEVICE(ResetCommandBuffer)(cb, 0));
	run(begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY));
	assert_int_equal(play_seen(&play).kinds[RECORD_DESTROY], before + 1);
}

/* Recordings of any length: beyond what one record holds they travel in parts, and go back to one record. */
/* What a program uses in several places is told of under as many keys: none takes another's place. */
static void test_features_told(void **state)
{
	(void)state;
	const VkSamplerReductionModeCreateInfo reduction = { .sType = VK_STRUCTURE_TYPE_SAMPLER_REDUCTION_MODE_CREATE_INFO,
		.reductionMode = VK_SAMPLER_REDUCTION_MODE_MIN };
	const VkSamplerCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
		.pNext = &reduction,
		.anisotropyEnable = VK_TRUE,
		.maxAnisotropy = 2,
		.addressModeU = VK_SAMPLER_ADDRESS_MODE_MIRROR_CLAMP_TO_EDGE };
	uint64_t before = play_seen(&play).needs[NEED_FEATURE];
	for (int i = 0; i < 2; i++) {
		VkSampler sampler;
		OK(DEVICE(CreateSampler)(device, &info, NULL, &sampler));
		DEVICE(DestroySampler)(device, sampler, NULL);
	}
	run(begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY));
	assert_int_equal(play_seen(&play).needs[NEED_FEATURE], before + 3);
}

static void test_long_recordings(void **state)
{
	(void)state;
	struct buffer b = make_buffer(65536, 1);
	static unsigned char data[65536];
	struct play_seen before, after;
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	for (unsigned i = 0; i < 200000; i++)
		DEVICE(CmdFillBuffer)(cb, b.buffer, 0, 4, i);
	run(cb);
	for (unsigned round = 0; round < 3; round++) {
		const unsigned mib = round == 0 ? 300 : round == 1 ? 20 : 1;
		before = play_seen(&play);
		cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
		for (unsigned i = 0; i < mib * 16; i++) {
			memset(data, (int)(i + round), sizeof(data));
			DEVICE(CmdUpdateBuffer)(cb, b.buffer, 0, sizeof(data), data);
		}
		run(cb);
		assert_memory_equal(b.map, data, sizeof(data));
		after = play_seen(&play);
		assert_int_equal(after.kinds[RECORD_UPDATE] - before.kinds[RECORD_UPDATE],
			round == 0           ? 1 + 38
				: round == 1 ? 1 + 3
					     : 1);
	}
	/* The same command buffer, shorter and shorter: what is left over is taken back. */
	for (unsigned round = 0; round < 3; round++) {
		const VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
		before = play_seen(&play);
		OK(DEVICE(BeginCommandBuffer)(cb, &info));
		for (unsigned i = 0; i < (round == 0 ? 33 * 16 : round == 1 ? 9 * 16 : 1); i++) {
			memset(data, (int)(i * 3 + round), sizeof(data));
			DEVICE(CmdUpdateBuffer)(cb, b.buffer, 0, sizeof(data), data);
		}
		run(cb);
		assert_memory_equal(b.map, data, sizeof(data));
		after = play_seen(&play);
		assert_int_equal(after.kinds[RECORD_UPDATE] - before.kinds[RECORD_UPDATE],
			round == 0           ? 1 + 5
				: round == 1 ? 1 + 5
					     : 1 + 2);
	}
	drop_buffer(&b);
}

#define WORKER_ROUNDS 200

static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *worker(void *ctx)
{
	struct buffer *b = ctx;
	VkCommandPool own;
	VkCommandBuffer cb;
	const VkCommandPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	if (DEVICE(CreateCommandPool)(device, &info, NULL, &own) != VK_SUCCESS)
		return (void *)(uintptr_t) "no pool";
	const VkCommandBufferAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = own, .commandBufferCount = 1
	};
	VkFenceCreateInfo fence_info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	VkFence fence;
	DEVICE(AllocateCommandBuffers)(device, &allocate, &cb);
	DEVICE(CreateFence)(device, &fence_info, NULL, &fence);
	const char *failure = NULL;
	for (uint32_t i = 1; i <= WORKER_ROUNDS && !failure; i++) {
		const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
		const VkBufferCopy region = { 0, 512, 256 };
		b->map[0] = (unsigned char)i;
		DEVICE(BeginCommandBuffer)(cb, &begin_info);
		DEVICE(CmdCopyBuffer)(cb, b->buffer, b->buffer, 1, &region);
		DEVICE(EndCommandBuffer)(cb);
		const VkSubmitInfo submit_info = {
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cb
		};
		pthread_mutex_lock(&queue_mutex);
		DEVICE(QueueSubmit)(queue, 1, &submit_info, fence);
		pthread_mutex_unlock(&queue_mutex);
		if (DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, UINT64_MAX) != VK_SUCCESS)
			failure = "wait failed";
		else if (b->map[512] != (unsigned char)i)
			failure = "the copy is not there";
		DEVICE(ResetFences)(device, 1, &fence);
	}
	DEVICE(DestroyFence)(device, fence, NULL);
	DEVICE(DestroyCommandPool)(device, own, NULL);
	return (void *)(uintptr_t)failure;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[4];
	struct buffer buffers[4];
	for (unsigned i = 0; i < 4; i++) {
		buffers[i] = make_buffer(4096, 1 + i % 2);
		assert_int_equal(pthread_create(&threads[i], NULL, worker, &buffers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		void *failure;
		pthread_join(threads[i], &failure);
		if (failure)
			fail_msg("%s", (const char *)failure);
		drop_buffer(&buffers[i]);
	}
}

/* Without its session a program learns within a second that its device is lost, whatever it waits for. */
static void test_session_gone(void **state)
{
	(void)state;
	struct buffer b = make_buffer(256, 1);
	VkCommandBuffer cb = begin(VK_COMMAND_BUFFER_LEVEL_PRIMARY);
	DEVICE(CmdFillBuffer)(cb, b.buffer, 0, 256, 7);
	OK(DEVICE(EndCommandBuffer)(cb));
	VkFence fence = make_fence(0);
	play_set_hold(&play, true);
	submit(cb, fence);
	play_stop(&play);
	uint64_t start = time_monotonic_ns();
	assert_int_equal(DEVICE(WaitForFences)(device, 1, &fence, VK_TRUE, UINT64_MAX), VK_ERROR_DEVICE_LOST);
	assert_true(time_monotonic_ns() - start < 1000000000);
	assert_int_equal(DEVICE(GetFenceStatus)(device, fence), VK_ERROR_DEVICE_LOST);
	assert_int_equal(DEVICE(DeviceWaitIdle)(device), VK_ERROR_DEVICE_LOST);
	const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO };
	assert_int_equal(DEVICE(QueueSubmit)(queue, 1, &info, VK_NULL_HANDLE), VK_ERROR_DEVICE_LOST);
	VkDeviceMemory memory;
	const VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = 256 };
	assert_true(DEVICE(AllocateMemory)(device, &allocate, NULL, &memory) < 0);
	DEVICE(DestroyFence)(device, fence, NULL);
	drop_buffer(&b);
	play_start(&play); /* teardown stops it */
}

int main(void)
{
	void *library = dlopen(TBMESH_ICD, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	get_instance_proc = (PFN_vk_icdGetInstanceProcAddr)dlsym(library, "vk_icdGetInstanceProcAddr");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test_setup_teardown(test_offer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fences, setup, teardown),
		cmocka_unit_test_setup_teardown(test_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secondary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_analysis, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_analysis, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layout_outlives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_recordings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_session_gone, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
