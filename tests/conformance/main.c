/* See conformance.h. conformance [--rounds N] [--valid]: the cases on a device again and again; --valid leaves out what is against the
 * rules of Vulkan's valid usage. */
#include "conformance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world w;

static const char *const names[] = {
#define ICD_GLOBAL(n) "vk" #n,
#define ICD_INSTANCE(n) "vk" #n,
#define ICD_PHYSICAL(n) "vk" #n,
#define ICD_PHYSICAL_ALIAS(n, target) "vk" #n,
#define ICD_DEVICE(n) "vk" #n,
#define ICD_DEVICE_EXTENSION(n, extension) "vk" #n,
#define ICD_DEVICE_ALIAS(n, target, extension) "vk" #n,
#include "migrate/icd/entrypoints.h"
};

void check(VkResult result, const char *what)
{
	if (result == VK_SUCCESS)
		return;
	fflush(stdout);
	fprintf(stderr, "%s: VkResult %d\n", what, result);
	exit(1);
}

void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

void remark(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	printf("# ");
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

void expect(bool holds, const char *what)
{
	if (holds || !w.tbmesh)
		return;
	fprintf(stderr, "not so: %s\n", what);
	exit(1);
}

bool offered(const char *extension)
{
	for (uint32_t i = 0; i < w.offered_count; i++)
		if (strcmp(w.offered[i], extension) == 0)
			return true;
	return false;
}

uint32_t sum(const uint32_t *words, uint32_t count)
{
	uint32_t result = 2166136261u;
	for (uint32_t i = 0; i < count; i++)
		result = (result ^ words[i]) * 16777619u;
	return result;
}

uint32_t memory_type(uint32_t bits, VkMemoryPropertyFlags wanted)
{
	for (uint32_t i = 0; i < w.memory.memoryTypeCount; i++)
		if ((bits & 1u << i) && (w.memory.memoryTypes[i].propertyFlags & wanted) == wanted)
			return i;
	fprintf(stderr, "no memory type with flags 0x%x\n", wanted);
	exit(1);
}

struct buffer make_buffer(VkDeviceSize size, bool host, VkBufferUsageFlags usage)
{
	struct buffer b = { .size = size };
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage };
	OK(VK(CreateBuffer)(w.device, &info, NULL, &b.buffer));
	VkMemoryRequirements needs;
	VK(GetBufferMemoryRequirements)(w.device, b.buffer, &needs);
	const VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = needs.size,
		.memoryTypeIndex = memory_type(needs.memoryTypeBits,
			host ? VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
			     : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) };
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, &b.memory));
	OK(VK(BindBufferMemory)(w.device, b.buffer, b.memory, 0));
	if (host) {
		OK(VK(MapMemory)(w.device, b.memory, 0, VK_WHOLE_SIZE, 0, (void **)&b.map));
		memset(b.map, 0, size);
	}
	return b;
}

void drop_buffer(struct buffer *b)
{
	VK(DestroyBuffer)(w.device, b->buffer, NULL);
	VK(FreeMemory)(w.device, b->memory, NULL);
}

VkCommandBuffer begin(void)
{
	const VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = w.pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1 };
	const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	VkCommandBuffer c;
	OK(VK(AllocateCommandBuffers)(w.device, &info, &c));
	OK(VK(BeginCommandBuffer)(c, &begin_info));
	return c;
}

void run(VkCommandBuffer c)
{
	OK(VK(EndCommandBuffer)(c));
	const VkSubmitInfo info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c };
	OK(VK(QueueSubmit)(w.queue, 1, &info, VK_NULL_HANDLE));
	OK(VK(QueueWaitIdle)(w.queue));
	VK(FreeCommandBuffers)(w.device, w.pool, 1, &c);
}

void full_barrier(VkCommandBuffer c)
{
	const VkAccessFlags all = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = all, .dstAccessMask = all
	};
	VK(CmdPipelineBarrier)
	(c, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
		&memory, 0, NULL, 0, NULL);
}

static void load_instance(void)
{
#define ICD_INSTANCE(n) w.vk.n = (PFN_vk##n)vkGetInstanceProcAddr(w.instance, "vk" #n);
#define ICD_PHYSICAL(n) w.vk.n = (PFN_vk##n)vkGetInstanceProcAddr(w.instance, "vk" #n);
#define ICD_PHYSICAL_ALIAS(n, target) w.vk.n = (PFN_vk##n)vkGetInstanceProcAddr(w.instance, "vk" #n);
#include "migrate/icd/entrypoints.h"
	w.vk.GetDeviceProcAddr = (PFN_vkGetDeviceProcAddr)vkGetInstanceProcAddr(w.instance, "vkGetDeviceProcAddr");
}

static void load_device(void)
{
#define ICD_DEVICE(n) w.vk.n = (PFN_vk##n)VK(GetDeviceProcAddr)(w.device, "vk" #n);
#define ICD_DEVICE_EXTENSION(n, e) w.vk.n = offered("VK_" #e) ? (PFN_vk##n)VK(GetDeviceProcAddr)(w.device, "vk" #n) : NULL;
#define ICD_DEVICE_ALIAS(n, target, e)                                                                                      \
	w.vk.n = offered("VK_" #e) ? (PFN_vk##n)VK(GetDeviceProcAddr)(w.device, "vk" #n) : NULL;
#include "migrate/icd/entrypoints.h"
}

/* What is there and was not called. */
static int count_missing(void)
{
	const PFN_vkVoidFunction *functions = (const PFN_vkVoidFunction *)(const void *)&w.vk;
	int missing = 0, called = 0;
	_Static_assert(sizeof(w.vk) == ENTRY_COUNT * sizeof(PFN_vkVoidFunction), "one function an entry");
	for (int i = 0; i < ENTRY_COUNT; i++) {
		called += w.called[i];
		if (!functions[i] || w.called[i])
			continue;
		if (w.tbmesh && !w.valid_only)
			fprintf(stderr, "%s is offered, and no case calls it\n", names[i]);
		missing++;
	}
	remark("%d entry points of %d called", called, ENTRY_COUNT);
	return w.tbmesh && !w.valid_only ? missing : 0; /* under the validation layers some cannot be called */
}

int main(int argc, char **argv)
{
	unsigned rounds = 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--valid") == 0)
			w.valid_only = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = (unsigned)strtoul(argv[++i], NULL, 10);
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
#define ICD_GLOBAL(n) w.vk.n = (PFN_vk##n)vkGetInstanceProcAddr(NULL, "vk" #n);
#include "migrate/icd/entrypoints.h"
	case_instance();
	load_instance();
	case_physical();
	case_rules();
	for (unsigned round = 0; round < rounds; round++) {
		case_device();
		load_device();
		case_layouts();
		case_memory();
		case_descriptors();
		case_pipelines();
		case_dispatches();
		case_inline_blocks();
		case_late_descriptors();
		case_transfers();
		case_buffers();
		case_large();
		case_events();
		case_sync();
		case_queries();
		case_private_data();
		case_images();
		case_draws();
		case_states();
		case_later_formats();
		case_formats();
		case_statistics();
		case_absent();
		case_ends();
	}
	VK(DestroyInstance)(w.instance, NULL);
	return count_missing() ? 1 : 0;
}
