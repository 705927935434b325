/* Goes through the breadth of what compute programs use: dynamic offsets, texel buffers, specialization, update templates, descriptor
 * copies, indirect and based dispatches, secondary command buffers, events, semaphores of both kinds, host signals; and where the
 * device has them push descriptors, synchronization2 and copy_commands2. Every step is checked on the CPU. */
#include "minivk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "breadth.comp.h"

#define COUNT 1024u /* words of a part */
#define PART (COUNT * 4u)
#define PARTS 4u
#define GROUP 64u
#define FACTOR 3u

static struct minivk v;
static struct minivk_buffer source, target, back, texels, indirect;
static VkBufferView texel_view;
static VkDescriptorSetLayout set_layout, push_layout;
static VkPipelineLayout layout, layout_pushed;
static VkPipeline pipeline, pipeline_pushed;
static VkDescriptorPool pool;
static VkDescriptorSet sets[2];

static uint32_t source_word(uint32_t part, uint32_t i)
{
	return (part + 1) * 2654435761u + i * 40503u;
}

static void fail(const char *step, uint32_t i, uint32_t got, uint32_t expected)
{
	fprintf(stderr, "%s: word %u is %u, not %u\n", step, i, got, expected);
	exit(1);
}

/* What target's part holds against the shader's formula, by way of a copy to the host. */
static void check(const char *step, uint32_t part, uint32_t source_part, uint32_t add, uint32_t count)
{
	VkCommandBuffer c = minivk_begin(&v);
	minivk_barrier(c);
	vkCmdCopyBuffer(c, target.buffer, back.buffer, 1, &(VkBufferCopy){ 0, 0, PART * PARTS });
	minivk_barrier(c);
	minivk_run(&v, c);
	const uint32_t *words = (const uint32_t *)back.mapped + part * COUNT, *texel = texels.mapped;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t expected = source_word(source_part, i) * FACTOR + add + texel[i];
		if (words[i] != expected)
			fail(step, i, words[i], expected);
		sum += words[i];
	}
	printf("%s ok %llu\n", step, (unsigned long long)sum);
}

static void make_layouts(bool pushes)
{
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 2, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	VkDescriptorSetLayoutBinding plain[3];
	memcpy(plain, bindings, sizeof(plain));
	plain[1].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
	VkDescriptorSetLayoutCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 3, .pBindings = bindings
	};
	VK(vkCreateDescriptorSetLayout(v.device, &info, NULL, &set_layout));
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 };
	VkPipelineLayoutCreateInfo layout_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range };
	VK(vkCreatePipelineLayout(v.device, &layout_info, NULL, &layout));
	if (!pushes)
		return;
	info.flags = VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR;
	info.pBindings = plain;
	VK(vkCreateDescriptorSetLayout(v.device, &info, NULL, &push_layout));
	layout_info.pSetLayouts = &push_layout;
	VK(vkCreatePipelineLayout(v.device, &layout_info, NULL, &layout_pushed));
}

static void make_pipelines(bool pushes)
{
	const uint32_t constants[] = { GROUP, FACTOR };
	const VkSpecializationMapEntry entries[] = { { 0, 0, 4 }, { 1, 4, 4 } };
	const VkSpecializationInfo specialization = { 2, entries, sizeof(constants), constants };
	const VkShaderModuleCreateInfo module_info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof(breadth_comp), .pCode = breadth_comp
	};
	VkShaderModule module;
	VK(vkCreateShaderModule(v.device, &module_info, NULL, &module));
	const VkPipelineCacheCreateInfo cache_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO };
	VkPipelineCache cache;
	VK(vkCreatePipelineCache(v.device, &cache_info, NULL, &cache));
	VkComputePipelineCreateInfo infos[2] = { { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main",
			.pSpecializationInfo = &specialization },
		.layout = layout } };
	VkPipeline made[2] = { VK_NULL_HANDLE };
	infos[1] = infos[0];
	infos[1].layout = layout_pushed;
	VK(vkCreateComputePipelines(v.device, cache, pushes ? 2 : 1, infos, NULL, made));
	pipeline = made[0];
	pipeline_pushed = made[1];
	size_t size = 0;
	VK(vkGetPipelineCacheData(v.device, cache, &size, NULL));
	vkDestroyPipelineCache(v.device, cache, NULL);
	vkDestroyShaderModule(v.device, module, NULL); /* pipelines outlive their module */
}

/* The first set by an update template, the second as a copy of it. */
static void make_sets(void)
{
	const VkDescriptorPoolSize sizes[] = { { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, 2 }, { VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 2 } };
	const VkDescriptorPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 2, .poolSizeCount = 3, .pPoolSizes = sizes
	};
	VK(vkCreateDescriptorPool(v.device, &info, NULL, &pool));
	const VkDescriptorSetLayout two[] = { set_layout, set_layout };
	const VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = pool,
		.descriptorSetCount = 2,
		.pSetLayouts = two };
	VK(vkAllocateDescriptorSets(v.device, &allocate, sets));

	const struct {
		VkDescriptorBufferInfo buffers[2];
		VkBufferView view;
	} data = { { { source.buffer, 0, PART }, { target.buffer, 0, PART } }, texel_view };
	const VkDescriptorUpdateTemplateEntry entries[] = {
		{ 0, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 0, 0 },
		{ 1, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC, sizeof(VkDescriptorBufferInfo), 0 },
		{ 2, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 2 * sizeof(VkDescriptorBufferInfo), 0 },
	};
	const VkDescriptorUpdateTemplateCreateInfo template_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO,
		.descriptorUpdateEntryCount = 3,
		.pDescriptorUpdateEntries = entries,
		.templateType = VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_DESCRIPTOR_SET,
		.descriptorSetLayout = set_layout
	};
	VkDescriptorUpdateTemplate template;
	VK(vkCreateDescriptorUpdateTemplate(v.device, &template_info, NULL, &template));
	vkUpdateDescriptorSetWithTemplate(v.device, sets[0], template, &data);
	vkDestroyDescriptorUpdateTemplate(v.device, template, NULL);

	VkCopyDescriptorSet copies[3];
	for (uint32_t i = 0; i < 3; i++)
		copies[i] = (VkCopyDescriptorSet){ .sType = VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET,
			.srcSet = sets[0],
			.srcBinding = i,
			.dstSet = sets[1],
			.dstBinding = i,
			.descriptorCount = 1 };
	vkUpdateDescriptorSets(v.device, 0, NULL, 3, copies);
	const VkDescriptorBufferInfo part_1 = { source.buffer, PART, PART };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = sets[1],
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &part_1 };
	vkUpdateDescriptorSets(v.device, 1, &write, 0, NULL);
}

static void make_buffers(void)
{
	const VkBufferUsageFlags copies = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	minivk_buffer(&v, &source, PART * PARTS, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &target, PART * PARTS, false, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | copies);
	minivk_buffer(&v, &back, PART * PARTS, true, copies);
	minivk_buffer(&v, &texels, PART, true, VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT);
	minivk_buffer(&v, &indirect, 4096, true, VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT);
	const VkBufferViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = texels.buffer,
		.format = VK_FORMAT_R32_UINT,
		.range = VK_WHOLE_SIZE };
	VK(vkCreateBufferView(v.device, &view, NULL, &texel_view));
	for (uint32_t part = 0; part < PARTS; part++)
		for (uint32_t i = 0; i < COUNT; i++)
			((uint32_t *)source.mapped)[part * COUNT + i] = source_word(part, i);
	for (uint32_t i = 0; i < COUNT; i++)
		((uint32_t *)texels.mapped)[i] = i * i;
}

static void bind(VkCommandBuffer c, VkDescriptorSet set, uint32_t target_part, uint32_t add)
{
	const uint32_t offset = target_part * PART;
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 1, &offset);
	vkCmdPushConstants(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add);
}

static void step_dispatches(void)
{
	VkCommandBuffer c = minivk_begin(&v);
	bind(c, sets[0], 0, 5);
	vkCmdDispatch(c, COUNT / GROUP, 1, 1);
	bind(c, sets[1], 1, 6);
	vkCmdDispatchBase(c, 0, 0, 0, COUNT / GROUP / 2, 1, 1);
	vkCmdDispatchBase(c, COUNT / GROUP / 2, 0, 0, COUNT / GROUP / 2, 1, 1);
	minivk_run(&v, c);
	check("dispatch, template, dynamic offset", 0, 0, 5, COUNT);
	check("dispatch base, descriptor copy", 1, 1, 6, COUNT);

	*(VkDispatchIndirectCommand *)(void *)((char *)indirect.mapped + 256) =
		(VkDispatchIndirectCommand){ COUNT / GROUP, 1, 1 };
	c = minivk_begin(&v);
	bind(c, sets[1], 2, 7);
	vkCmdDispatchIndirect(c, indirect.buffer, 256);
	minivk_run(&v, c);
	check("dispatch indirect", 2, 1, 7, COUNT);
}

static void step_secondary(void)
{
	const VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = v.pool,
		.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
		.commandBufferCount = 1 };
	const VkCommandBufferInheritanceInfo inheritance = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO };
	const VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.pInheritanceInfo = &inheritance };
	VkCommandBuffer secondary;
	VK(vkAllocateCommandBuffers(v.device, &info, &secondary));
	for (uint32_t round = 0; round < 3; round++) {
		VK(vkBeginCommandBuffer(secondary, &begin));
		bind(secondary, sets[0], 3, 100 + round);
		vkCmdDispatch(secondary, COUNT / GROUP, 1, 1);
		VK(vkEndCommandBuffer(secondary));
		VkCommandBuffer c = minivk_begin(&v);
		vkCmdExecuteCommands(c, 1, &secondary);
		minivk_run(&v, c);
		check("secondary", 3, 0, 100 + round, COUNT);
	}
	vkFreeCommandBuffers(v.device, v.pool, 1, &secondary);
}

static VkSemaphore make_semaphore(VkSemaphoreType type)
{
	const VkSemaphoreTypeCreateInfo type_info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = type };
	const VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type_info };
	VkSemaphore semaphore;
	VK(vkCreateSemaphore(v.device, &info, NULL, &semaphore));
	return semaphore;
}

/* A batch that waits for the host; then one that waits for a binary semaphore and for that batch. */
static void step_semaphores(void)
{
	VkSemaphore timeline = make_semaphore(VK_SEMAPHORE_TYPE_TIMELINE), binary = make_semaphore(VK_SEMAPHORE_TYPE_BINARY);
	const VkPipelineStageFlags stages[] = { VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT };
	VkCommandBuffer c[2];
	for (uint32_t i = 0; i < 2; i++) {
		c[i] = minivk_begin(&v);
		minivk_barrier(c[i]);
		bind(c[i], sets[i], 1 + i, 200 + i);
		vkCmdDispatch(c[i], COUNT / GROUP, 1, 1);
		VK(vkEndCommandBuffer(c[i]));
	}
	const uint64_t one = 1, two = 2, three = 3, waited[] = { 0, 2 };
	const VkTimelineSemaphoreSubmitInfo values[] = {
		{ .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
			.waitSemaphoreValueCount = 1,
			.pWaitSemaphoreValues = &one,
			.signalSemaphoreValueCount = 1,
			.pSignalSemaphoreValues = &two },
		{ .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
			.waitSemaphoreValueCount = 2,
			.pWaitSemaphoreValues = waited,
			.signalSemaphoreValueCount = 1,
			.pSignalSemaphoreValues = &three },
	};
	const VkSemaphore both[] = { binary, timeline };
	const VkSubmitInfo infos[] = {
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = &values[0],
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &timeline,
			.pWaitDstStageMask = stages,
			.commandBufferCount = 1,
			.pCommandBuffers = &c[0],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &timeline },
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .signalSemaphoreCount = 1, .pSignalSemaphores = &binary },
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = &values[1],
			.waitSemaphoreCount = 2,
			.pWaitSemaphores = both,
			.pWaitDstStageMask = stages,
			.commandBufferCount = 1,
			.pCommandBuffers = &c[1],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &timeline },
	};
	VK(vkQueueSubmit(v.queue, 1, &infos[0], VK_NULL_HANDLE));
	uint64_t value = 99;
	VK(vkGetSemaphoreCounterValue(v.device, timeline, &value));
	if (value != 0)
		fail("timeline before the signal", 0, (uint32_t)value, 0);
	const VkSemaphoreSignalInfo signal = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = timeline, .value = 1
	};
	VK(vkSignalSemaphore(v.device, &signal));
	VK(vkQueueSubmit(v.queue, 2, &infos[1], VK_NULL_HANDLE));
	const VkSemaphoreWaitInfo wait = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &timeline,
		.pValues = &three };
	VK(vkWaitSemaphores(v.device, &wait, UINT64_MAX));
	vkFreeCommandBuffers(v.device, v.pool, 2, c);
	check("semaphores, first", 1, 0, 200, COUNT);
	check("semaphores, second", 2, 1, 201, COUNT);
	vkDestroySemaphore(v.device, timeline, NULL);
	vkDestroySemaphore(v.device, binary, NULL);
}

static void step_events(void)
{
	VkEvent event;
	const VkEventCreateInfo info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };
	VK(vkCreateEvent(v.device, &info, NULL, &event));
	VkCommandBuffer c = minivk_begin(&v);
	const VkMemoryBarrier memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT };
	bind(c, sets[0], 0, 300);
	vkCmdDispatch(c, COUNT / GROUP, 1, 1);
	vkCmdSetEvent(c, event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
	vkCmdWaitEvents(c, 1, &event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 1, &memory, 0,
		NULL, 0, NULL);
	vkCmdFillBuffer(c, target.buffer, PART - 16, 8, 0xabadcafe);
	vkCmdUpdateBuffer(c, target.buffer, PART - 8, 8, "in place");
	minivk_run(&v, c);
	if (vkGetEventStatus(v.device, event) != VK_EVENT_SET)
		fail("event", 0, 0, 1);
	check("event", 0, 0, 300, COUNT - 4);
	const uint32_t *words = back.mapped;
	if (words[COUNT - 4] != 0xabadcafe || memcmp(&words[COUNT - 2], "in place", 8) != 0)
		fail("fill and update", COUNT - 4, words[COUNT - 4], 0xabadcafe);
	vkDestroyEvent(v.device, event, NULL);
}

static void step_extensions(void)
{
	PFN_vkCmdPushDescriptorSetKHR push =
		(PFN_vkCmdPushDescriptorSetKHR)vkGetDeviceProcAddr(v.device, "vkCmdPushDescriptorSetKHR");
	PFN_vkCmdPipelineBarrier2KHR barrier =
		(PFN_vkCmdPipelineBarrier2KHR)vkGetDeviceProcAddr(v.device, "vkCmdPipelineBarrier2KHR");
	PFN_vkCmdCopyBuffer2KHR copy = (PFN_vkCmdCopyBuffer2KHR)vkGetDeviceProcAddr(v.device, "vkCmdCopyBuffer2KHR");
	PFN_vkQueueSubmit2KHR submit = (PFN_vkQueueSubmit2KHR)vkGetDeviceProcAddr(v.device, "vkQueueSubmit2KHR");
	const VkDescriptorBufferInfo buffers[] = { { source.buffer, 2 * PART, PART }, { target.buffer, 2 * PART, PART } };
	const VkWriteDescriptorSet writes[] = {
		{ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.descriptorCount = 2,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = buffers },
		{ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstBinding = 2,
			.descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
			.pTexelBufferView = &texel_view },
	};
	const uint32_t add = 400;
	VkCommandBuffer c = minivk_begin(&v);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_pushed);
	push(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout_pushed, 0, 2, writes);
	vkCmdPushConstants(c, layout_pushed, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add);
	vkCmdDispatch(c, COUNT / GROUP, 1, 1);
	const VkBufferMemoryBarrier2 ready = { .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER_2,
		.srcStageMask = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT,
		.srcAccessMask = VK_ACCESS_2_SHADER_STORAGE_WRITE_BIT,
		.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
		.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.buffer = target.buffer,
		.size = VK_WHOLE_SIZE };
	const VkDependencyInfo dependency = {
		.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .bufferMemoryBarrierCount = 1, .pBufferMemoryBarriers = &ready
	};
	barrier(c, &dependency);
	const VkBufferCopy2 region = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_COPY_2, .srcOffset = 2 * PART, .dstOffset = 3 * PART, .size = PART
	};
	const VkCopyBufferInfo2 copy_info = { .sType = VK_STRUCTURE_TYPE_COPY_BUFFER_INFO_2,
		.srcBuffer = target.buffer,
		.dstBuffer = target.buffer,
		.regionCount = 1,
		.pRegions = &region };
	copy(c, &copy_info);
	VK(vkEndCommandBuffer(c));
	const VkCommandBufferSubmitInfo buffer = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
		.commandBuffer = c };
	const VkSubmitInfo2 info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2, .commandBufferInfoCount = 1, .pCommandBufferInfos = &buffer
	};
	VK(submit(v.queue, 1, &info, VK_NULL_HANDLE));
	VK(vkQueueWaitIdle(v.queue));
	vkFreeCommandBuffers(v.device, v.pool, 1, &c);
	check("push descriptors", 2, 2, 400, COUNT);
	check("submit2, barrier2, copy2", 3, 2, 400, COUNT);
}

int main(void)
{
	static const char *const extensions[] = { VK_KHR_PUSH_DESCRIPTOR_EXTENSION_NAME,
		VK_KHR_SYNCHRONIZATION_2_EXTENSION_NAME, VK_KHR_COPY_COMMANDS_2_EXTENSION_NAME };
	VkPhysicalDeviceSynchronization2Features synchronization2 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SYNCHRONIZATION_2_FEATURES, .synchronization2 = VK_TRUE
	};
	VkPhysicalDeviceVulkan12Features v12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = &synchronization2,
		.timelineSemaphore = VK_TRUE };
	bool extended = minivk_init_extended(&v, "breadth", &v12, extensions, 3);
	make_buffers();
	make_layouts(extended);
	make_pipelines(extended);
	make_sets();
	step_dispatches();
	step_secondary();
	if (extended)
		step_semaphores();
	step_events();
	if (extended)
		step_extensions();

	VK(vkDeviceWaitIdle(v.device));
	vkDestroyDescriptorPool(v.device, pool, NULL);
	vkDestroyPipeline(v.device, pipeline, NULL);
	vkDestroyPipeline(v.device, pipeline_pushed, NULL);
	vkDestroyPipelineLayout(v.device, layout, NULL);
	vkDestroyPipelineLayout(v.device, layout_pushed, NULL);
	vkDestroyDescriptorSetLayout(v.device, set_layout, NULL);
	vkDestroyDescriptorSetLayout(v.device, push_layout, NULL);
	vkDestroyBufferView(v.device, texel_view, NULL);
	minivk_buffer_finish(&v, &source);
	minivk_buffer_finish(&v, &target);
	minivk_buffer_finish(&v, &back);
	minivk_buffer_finish(&v, &texels);
	minivk_buffer_finish(&v, &indirect);
	minivk_finish(&v);
	return 0;
}
