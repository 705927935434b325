#include "minivk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void minivk_check(VkResult result, const char *what)
{
	if (result == VK_SUCCESS)
		return;
	fprintf(stderr, "%s: VkResult %d\n", what, result);
	exit(1);
}

static void choose_device(struct minivk *v)
{
	VkPhysicalDevice all[16];
	uint32_t count = 16;
	VkResult result = vkEnumeratePhysicalDevices(v->instance, &count, all);
	if (result != VK_INCOMPLETE)
		minivk_check(result, "vkEnumeratePhysicalDevices");
	if (count == 0) {
		fprintf(stderr, "no Vulkan device\n");
		exit(1);
	}
	v->physical = all[0];
	for (uint32_t i = 0; i < count; i++) {
		VkPhysicalDeviceProperties p;
		vkGetPhysicalDeviceProperties(all[i], &p);
		if (p.deviceType == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU) {
			v->physical = all[i];
			break;
		}
	}
	VkPhysicalDeviceProperties p;
	vkGetPhysicalDeviceProperties(v->physical, &p);
	memcpy(v->name, p.deviceName, sizeof(v->name));
	vkGetPhysicalDeviceMemoryProperties(v->physical, &v->memory);
}

static bool has_extensions(VkPhysicalDevice physical, const char *const *names, uint32_t name_count)
{
	static VkExtensionProperties all[512];
	uint32_t count = 512, found = 0;
	VkResult result = vkEnumerateDeviceExtensionProperties(physical, NULL, &count, all);
	if (result != VK_INCOMPLETE)
		minivk_check(result, "vkEnumerateDeviceExtensionProperties");
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < name_count; j++)
			found += strcmp(all[i].extensionName, names[j]) == 0;
	return found == name_count;
}

void minivk_init(struct minivk *v, const char *program, const void *device_next)
{
	minivk_init_extended(v, program, device_next, NULL, 0);
}

bool minivk_init_extended(struct minivk *v, const char *program, const void *device_next, const char *const *extensions,
	uint32_t extension_count)
{
	memset(v, 0, sizeof(*v));
	VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = program, .apiVersion = VK_API_VERSION_1_2
	};
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
	VK(vkCreateInstance(&info, NULL, &v->instance));
	choose_device(v);
	fprintf(stderr, "device: %s\n", v->name);

	VkQueueFamilyProperties families[16];
	uint32_t count = 16;
	vkGetPhysicalDeviceQueueFamilyProperties(v->physical, &count, families);
	v->family = UINT32_MAX;
	for (uint32_t i = 0; i < count && v->family == UINT32_MAX; i++)
		if (families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)
			v->family = i;
	if (v->family == UINT32_MAX) {
		fprintf(stderr, "the device has no compute queue\n");
		exit(1);
	}
	float priority = 1.0f;
	VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = v->family,
		.queueCount = 1,
		.pQueuePriorities = &priority };
	bool extended = has_extensions(v->physical, extensions, extension_count);
	VkDeviceCreateInfo device = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = extended ? device_next : NULL,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledExtensionCount = extended ? extension_count : 0,
		.ppEnabledExtensionNames = extensions };
	VK(vkCreateDevice(v->physical, &device, NULL, &v->device));
	vkGetDeviceQueue(v->device, v->family, 0, &v->queue);
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = v->family };
	VK(vkCreateCommandPool(v->device, &pool, NULL, &v->pool));
	return extended;
}

void minivk_finish(struct minivk *v)
{
	VK(vkDeviceWaitIdle(v->device));
	vkDestroyCommandPool(v->device, v->pool, NULL);
	vkDestroyDevice(v->device, NULL);
	vkDestroyInstance(v->instance, NULL);
}

static uint32_t memory_type(const struct minivk *v, uint32_t bits, VkMemoryPropertyFlags wanted)
{
	for (uint32_t i = 0; i < v->memory.memoryTypeCount; i++)
		if ((bits & 1u << i) && (v->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
			return i;
	fprintf(stderr, "the device has no memory type with flags 0x%x\n", wanted);
	exit(1);
}

void minivk_buffer(struct minivk *v, struct minivk_buffer *b, VkDeviceSize size, bool host, VkBufferUsageFlags usage)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage };
	VK(vkCreateBuffer(v->device, &info, NULL, &b->buffer));
	VkMemoryRequirements need;
	vkGetBufferMemoryRequirements(v->device, b->buffer, &need);
	VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = need.size,
		.memoryTypeIndex = memory_type(v, need.memoryTypeBits,
			host ? VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
			     : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) };
	VK(vkAllocateMemory(v->device, &allocate, NULL, &b->memory));
	VK(vkBindBufferMemory(v->device, b->buffer, b->memory, 0));
	if (host)
		VK(vkMapMemory(v->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped));
}

void minivk_buffer_finish(struct minivk *v, struct minivk_buffer *b)
{
	vkDestroyBuffer(v->device, b->buffer, NULL);
	vkFreeMemory(v->device, b->memory, NULL);
}

void minivk_pipeline(struct minivk *v, struct minivk_pipeline *p, const uint32_t *code, size_t code_size,
	uint32_t binding_count, uint32_t push_size, uint32_t max_sets)
{
	memset(p, 0, sizeof(*p));
	p->binding_count = binding_count;
	p->push_size = push_size;
	VkDescriptorSetLayoutBinding bindings[MINIVK_MAX_BINDINGS];
	for (uint32_t i = 0; i < binding_count; i++)
		bindings[i] = (VkDescriptorSetLayoutBinding){ .binding = i,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.descriptorCount = 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT };
	VkDescriptorSetLayoutCreateInfo set = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = binding_count,
		.pBindings = bindings };
	VK(vkCreateDescriptorSetLayout(v->device, &set, NULL, &p->set_layout));
	VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, push_size };
	VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &p->set_layout,
		.pushConstantRangeCount = push_size ? 1 : 0,
		.pPushConstantRanges = &push };
	VK(vkCreatePipelineLayout(v->device, &layout, NULL, &p->layout));
	VkShaderModule module;
	VkShaderModuleCreateInfo shader = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = code_size, .pCode = code
	};
	VK(vkCreateShaderModule(v->device, &shader, NULL, &module));
	VkComputePipelineCreateInfo pipeline = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main" },
		.layout = p->layout };
	VK(vkCreateComputePipelines(v->device, VK_NULL_HANDLE, 1, &pipeline, NULL, &p->pipeline));
	vkDestroyShaderModule(v->device, module, NULL);
	VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, binding_count * max_sets };
	VkDescriptorPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = max_sets,
		.poolSizeCount = 1,
		.pPoolSizes = &size };
	VK(vkCreateDescriptorPool(v->device, &pool, NULL, &p->pool));
}

VkDescriptorSet minivk_set(struct minivk *v, struct minivk_pipeline *p, const struct minivk_buffer *const *buffers)
{
	VkDescriptorSet set;
	VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = p->pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &p->set_layout };
	VK(vkAllocateDescriptorSets(v->device, &allocate, &set));
	VkDescriptorBufferInfo infos[MINIVK_MAX_BINDINGS];
	VkWriteDescriptorSet writes[MINIVK_MAX_BINDINGS];
	for (uint32_t i = 0; i < p->binding_count; i++) {
		infos[i] = (VkDescriptorBufferInfo){ buffers[i]->buffer, 0, VK_WHOLE_SIZE };
		writes[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set,
			.dstBinding = i,
			.descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = &infos[i] };
	}
	vkUpdateDescriptorSets(v->device, p->binding_count, writes, 0, NULL);
	return set;
}

void minivk_pipeline_finish(struct minivk *v, struct minivk_pipeline *p)
{
	vkDestroyPipeline(v->device, p->pipeline, NULL);
	vkDestroyPipelineLayout(v->device, p->layout, NULL);
	vkDestroyDescriptorSetLayout(v->device, p->set_layout, NULL);
	vkDestroyDescriptorPool(v->device, p->pool, NULL);
}

VkCommandBuffer minivk_begin(struct minivk *v)
{
	VkCommandBuffer c;
	VkCommandBufferAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = v->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1 };
	VK(vkAllocateCommandBuffers(v->device, &allocate, &c));
	VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	VK(vkBeginCommandBuffer(c, &begin));
	return c;
}

void minivk_barrier(VkCommandBuffer c)
{
	VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
			VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
			VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_HOST_READ_BIT };
	vkCmdPipelineBarrier(c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
		&barrier, 0, NULL, 0, NULL);
}

void minivk_submit(struct minivk *v, VkCommandBuffer c, VkFence fence)
{
	VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c };
	VK(vkQueueSubmit(v->queue, 1, &submit, fence));
}

void minivk_run(struct minivk *v, VkCommandBuffer c)
{
	VkFence fence = minivk_fence(v);
	VK(vkEndCommandBuffer(c));
	minivk_submit(v, c, fence);
	minivk_wait(v, fence);
	vkDestroyFence(v->device, fence, NULL);
	vkFreeCommandBuffers(v->device, v->pool, 1, &c);
}

VkFence minivk_fence(struct minivk *v)
{
	VkFence fence;
	VkFenceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	VK(vkCreateFence(v->device, &info, NULL, &fence));
	return fence;
}

void minivk_wait(struct minivk *v, VkFence fence)
{
	VK(vkWaitForFences(v->device, 1, &fence, VK_TRUE, UINT64_MAX));
	VK(vkResetFences(v->device, 1, &fence));
}

uint32_t minivk_option(int argc, char **argv, const char *name, uint32_t otherwise)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], name) != 0)
			continue;
		char *end = NULL;
		unsigned long value = i + 1 < argc ? strtoul(argv[i + 1], &end, 10) : 0;
		if (!end || *end || end == argv[i + 1] || value > UINT32_MAX) {
			fprintf(stderr, "%s needs a number\n", name);
			exit(2);
		}
		return (uint32_t)value;
	}
	return otherwise;
}

uint64_t minivk_fnv(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	return hash;
}
