#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gpu/hash.h"
#include "gpu/instance.h"
#include "tests/unit/vulkan_env.h"

#define WORDS 300000u

static uint32_t words[WORDS];

/* The formula of proto/README.md 1.7, word for word. */
static uint64_t reference(uint64_t nonce, const uint32_t *w, uint32_t count, uint32_t index)
{
	uint32_t n0 = (uint32_t)nonce, n1 = (uint32_t)(nonce >> 32), lo = 0, hi = 0;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t i = index + n, x = w[n] ^ (i * 0x9E3779B1u + n0);
		x ^= x >> 16;
		x *= 0x85EBCA6Bu;
		x ^= x >> 13;
		lo += x * 0xC2B2AE35u;
		hi += ((x ^ n1) * 0x27D4EB2Fu) ^ (x >> 15);
	}
	return (uint64_t)hi << 32 | lo;
}

static uint64_t random_state = 0x1234567;
static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void known_values(void **state)
{
	(void)state;
	const uint32_t w[3] = { 0, 1, 0xffffffff };
	struct window_hash h;
	window_hash_init(&h, 0x1122334455667788u);
	assert_int_equal(window_hash_value(&h), 0);
	window_hash_update(&h, w, sizeof(w));
	assert_int_equal(window_hash_value(&h), 0x9056f5ea9bf1726u);
}

static void pieces_are_the_whole(void **state)
{
	(void)state;
	static unsigned char shifted[WORDS * 4 + 1];
	for (int round = 0; round < 50; round++) {
		uint64_t nonce = next_random();
		uint32_t count = (uint32_t)(next_random() % 5000);
		struct window_hash h;
		window_hash_init(&h, nonce);
		memcpy(shifted + 1, words, count * 4); /* not aligned */
		for (uint32_t at = 0, n; at < count; at += n) {
			n = (uint32_t)(next_random() % 40);
			n = n > count - at ? count - at : n;
			window_hash_update(&h, shifted + 1 + at * 4, n * 4);
		}
		assert_int_equal(window_hash_value(&h), reference(nonce, words, count, 0));
		assert_int_equal(h.index, count);
	}
}

static void any_bit_counts(void **state)
{
	(void)state;
	uint64_t whole = reference(7, words, 64, 0);
	for (uint32_t bit = 0; bit < 64 * 32; bit++) {
		words[bit / 32] ^= 1u << bit % 32;
		struct window_hash h;
		window_hash_init(&h, 7);
		window_hash_update(&h, words, 64 * 4);
		assert_int_not_equal(window_hash_value(&h), whole);
		words[bit / 32] ^= 1u << bit % 32;
	}
}

/* The shader on a real device */

struct machine {
	VkDevice device;
	VkQueue queue;
	VkBuffer buffers[2]; /* words, sums */
	VkDeviceMemory memory[2];
	void *mapped[2];
	VkShaderModule module;
	VkDescriptorSetLayout set_layout;
	VkDescriptorPool set_pool;
	VkPipelineLayout layout;
	VkPipeline pipeline;
	VkDescriptorSet set;
	VkBufferView texels;
	VkCommandPool pool;
};

#define CHECK(call) assert_int_equal(call, VK_SUCCESS)

static void make_buffer(struct machine *m, VkPhysicalDevice physical, int n, VkDeviceSize size)
{
	VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT };
	VkMemoryRequirements needs;
	VkPhysicalDeviceMemoryProperties memory;
	const VkMemoryPropertyFlags wanted = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	CHECK(vkCreateBuffer(m->device, &info, NULL, &m->buffers[n]));
	vkGetBufferMemoryRequirements(m->device, m->buffers[n], &needs);
	vkGetPhysicalDeviceMemoryProperties(physical, &memory);
	uint32_t type = 0;
	while (!(needs.memoryTypeBits & 1u << type) || (memory.memoryTypes[type].propertyFlags & wanted) != wanted)
		assert_true(++type < memory.memoryTypeCount);
	VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = type
	};
	CHECK(vkAllocateMemory(m->device, &allocate, NULL, &m->memory[n]));
	CHECK(vkBindBufferMemory(m->device, m->buffers[n], m->memory[n], 0));
	CHECK(vkMapMemory(m->device, m->memory[n], 0, VK_WHOLE_SIZE, 0, &m->mapped[n]));
}

static void make_pipeline(struct machine *m)
{
	const VkDescriptorSetLayoutBinding bindings[2] = {
		{ .binding = 0,
			.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
			.descriptorCount = 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT },
		{ .binding = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.descriptorCount = 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT },
	};
	VkDescriptorSetLayoutCreateInfo set_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 2, .pBindings = bindings
	};
	CHECK(vkCreateDescriptorSetLayout(m->device, &set_info, NULL, &m->set_layout));
	VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct hash_push) };
	VkPipelineLayoutCreateInfo layout_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &m->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	CHECK(vkCreatePipelineLayout(m->device, &layout_info, NULL, &m->layout));
	VkShaderModuleCreateInfo code = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = hash_shader_size, .pCode = hash_shader_code
	};
	VkComputePipelineCreateInfo pipeline = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.layout = m->layout,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.pName = "main" } };
	CHECK(vkCreateShaderModule(m->device, &code, NULL, &m->module));
	pipeline.stage.module = m->module;
	CHECK(vkCreateComputePipelines(m->device, VK_NULL_HANDLE, 1, &pipeline, NULL, &m->pipeline));
	VkDescriptorPoolSize sizes[] = { { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1 },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1 } };
	VkDescriptorPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 2, .pPoolSizes = sizes
	};
	VkBufferViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = m->buffers[0],
		.format = VK_FORMAT_R32G32B32A32_UINT,
		.range = VK_WHOLE_SIZE };
	CHECK(vkCreateBufferView(m->device, &view, NULL, &m->texels));
	CHECK(vkCreateDescriptorPool(m->device, &pool_info, NULL, &m->set_pool));
	VkDescriptorSetAllocateInfo set = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = m->set_pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &m->set_layout };
	CHECK(vkAllocateDescriptorSets(m->device, &set, &m->set));
	for (uint32_t n = 0; n < 2; n++) {
		VkDescriptorBufferInfo whole = { m->buffers[n], 0, VK_WHOLE_SIZE };
		VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = m->set,
			.dstBinding = n,
			.descriptorCount = 1,
			.descriptorType = bindings[n].descriptorType,
			.pBufferInfo = &whole,
			.pTexelBufferView = &m->texels };
		vkUpdateDescriptorSets(m->device, 1, &write, 0, NULL);
	}
}

static void make_machine(struct machine *m, const struct gpu *gpu)
{
	const float priority = 1;
	VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = gpu->queue_family,
		.queueCount = 1,
		.pQueuePriorities = &priority };
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue
	};
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = gpu->queue_family };
	CHECK(vkCreateDevice(gpu->device, &info, NULL, &m->device));
	vkGetDeviceQueue(m->device, gpu->queue_family, 0, &m->queue);
	make_buffer(m, gpu->device, 0, sizeof(words));
	make_buffer(m, gpu->device, 1, 8);
	make_pipeline(m);
	CHECK(vkCreateCommandPool(m->device, &pool, NULL, &m->pool));
}

static void destroy_machine(struct machine *m)
{
	vkDestroyBufferView(m->device, m->texels, NULL);
	for (int n = 0; n < 2; n++) {
		vkDestroyBuffer(m->device, m->buffers[n], NULL);
		vkFreeMemory(m->device, m->memory[n], NULL);
	}
	vkDestroyCommandPool(m->device, m->pool, NULL);
	vkDestroyDescriptorPool(m->device, m->set_pool, NULL);
	vkDestroyPipeline(m->device, m->pipeline, NULL);
	vkDestroyShaderModule(m->device, m->module, NULL);
	vkDestroyPipelineLayout(m->device, m->layout, NULL);
	vkDestroyDescriptorSetLayout(m->device, m->set_layout, NULL);
	vkDestroyDevice(m->device, NULL);
}

static uint64_t run(struct machine *m, const struct hash_push *push)
{
	VkCommandBufferAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = m->pool, .commandBufferCount = 1
	};
	VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
	VkMemoryBarrier barrier = { VK_STRUCTURE_TYPE_MEMORY_BARRIER, NULL, VK_ACCESS_SHADER_WRITE_BIT,
		VK_ACCESS_HOST_READ_BIT };
	VkCommandBuffer cb;
	memset(m->mapped[1], 0, 8);
	CHECK(vkAllocateCommandBuffers(m->device, &allocate, &cb));
	CHECK(vkBeginCommandBuffer(cb, &begin));
	vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, m->pipeline);
	vkCmdBindDescriptorSets(cb, VK_PIPELINE_BIND_POINT_COMPUTE, m->layout, 0, 1, &m->set, 0, NULL);
	vkCmdPushConstants(cb, m->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(*push), push);
	vkCmdDispatch(cb, hash_groups(push->word_count), 1, 1);
	vkCmdPipelineBarrier(
		cb, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
	CHECK(vkEndCommandBuffer(cb));
	VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cb };
	CHECK(vkQueueSubmit(m->queue, 1, &submit, VK_NULL_HANDLE));
	CHECK(vkQueueWaitIdle(m->queue));
	uint64_t sums;
	memcpy(&sums, m->mapped[1], sizeof(sums)); /* lo first, then hi */
	return sums;
}

static void shader_is_the_same(void **state)
{
	(void)state;
	struct gpu_instance g;
	int rc = gpu_instance_init(&g, "test_hash");
	if (rc < 0 || g.gpu_count == 0) {
		printf("SKIP the shader: %s\n", rc < 0 ? strerror(-rc) : "no Vulkan device");
		if (rc == 0)
			gpu_instance_finish(&g);
		skip();
	}
	struct machine m = { 0 };
	make_machine(&m, &g.gpus[0]);
	memcpy(m.mapped[0], words, sizeof(words));
	const uint32_t cases[][3] = {
		/* first word, count, index base */
		{ 0, 1, 0 },
		{ 0, 127, 0 },
		{ 4, 128, 9 },
		{ 16, 129, 0xffffffc0 },
		{ 0, 2049, 1 },
		{ 8, 2050, 1 },
		{ 4, WORDS - 4, 12345 },
		{ 4, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t nonce = next_random();
		struct hash_push push = { (uint32_t)nonce, (uint32_t)(nonce >> 32), cases[i][0] / 4, cases[i][1],
			cases[i][2] };
		assert_int_equal(run(&m, &push), reference(nonce, words + cases[i][0], cases[i][1], cases[i][2]));
	}
	destroy_machine(&m);
	gpu_instance_finish(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values),
		cmocka_unit_test(pieces_are_the_whole),
		cmocka_unit_test(any_bit_counts),
		cmocka_unit_test(shader_is_the_same),
	};
	vulkan_env();
	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = (uint32_t)next_random();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
