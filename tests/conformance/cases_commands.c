/* Recording: dispatches, copies, fills, updates, secondary command buffers, events; requirements and bindings of buffers. */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

void bind_usual(VkCommandBuffer c, uint32_t add)
{
	const uint32_t offset = 0;
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.pipeline);
	VK(CmdBindDescriptorSets)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.layout, 0, 1, &w.set, 1, &offset);
	VK(CmdPushConstants)(c, w.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add);
}

void say_target(const char *what)
{
	VkCommandBuffer c = begin();
	const VkBufferCopy all = { 0, 0, BYTES };
	full_barrier(c);
	VK(CmdCopyBuffer)(c, w.target.buffer, w.back.buffer, 1, &all);
	full_barrier(c);
	run(c);
	say("%s: %08x", what, sum(w.back.map, COUNT));
}

static void clear_target(void)
{
	VkCommandBuffer c = begin();
	VK(CmdFillBuffer)(c, w.target.buffer, 0, VK_WHOLE_SIZE, 0);
	run(c);
}

/* The descriptor covers a quarter of the target; the dynamic offset says which. */
static void dispatch_parts(void)
{
	VkCommandBuffer c = begin();
	for (uint32_t part = 0; part < 4; part++) {
		const uint32_t offset = part * (BYTES / 4);
		bind_usual(c, part);
		VK(CmdBindDescriptorSets)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.layout, 0, 1, &w.set, 1, &offset);
		VK(CmdDispatch)(c, COUNT / 4 / GROUP, 1, 1);
	}
	run(c);
	say_target("dispatch, dynamic offsets");
}

static void dispatch_indirect(void)
{
	struct buffer groups = make_buffer(1024, true, VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT);
	const VkDispatchIndirectCommand some = { COUNT / 4 / GROUP, 1, 1 }, none = { 0, 1, 1 };
	memcpy((char *)groups.map + 516, &some, sizeof(some));
	memcpy((char *)groups.map + 64, &none, sizeof(none));
	clear_target();
	VkCommandBuffer c = begin();
	bind_usual(c, 99);
	VK(CmdDispatchIndirect)(c, groups.buffer, 64);
	full_barrier(c);
	bind_usual(c, 9);
	VK(CmdDispatchIndirect)(c, groups.buffer, 516);
	run(c);
	say_target("dispatch indirect, at offsets");
	drop_buffer(&groups);
	/* One recording, whose counts the GPU changes between its submissions. */
	groups = make_buffer(64, false, VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer counts[2], again = begin();
	for (uint32_t i = 0; i < 2; i++) {
		const VkDispatchIndirectCommand command = { i == 0 ? 1 : COUNT / 4 / GROUP, 1, 1 };
		counts[i] = begin();
		VK(CmdUpdateBuffer)(counts[i], groups.buffer, 0, sizeof(command), &command);
		VK(CmdFillBuffer)(counts[i], w.target.buffer, 0, VK_WHOLE_SIZE, i);
		full_barrier(counts[i]);
		OK(VK(EndCommandBuffer)(counts[i]));
	}
	bind_usual(again, 7);
	VK(CmdDispatchIndirect)(again, groups.buffer, 0);
	full_barrier(again);
	OK(VK(EndCommandBuffer)(again));
	for (uint32_t i = 0; i < 2; i++) {
		const VkCommandBuffer both[] = { counts[i], again };
		const VkSubmitInfo submit = {
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 2, .pCommandBuffers = both
		};
		OK(VK(QueueSubmit)(w.queue, 1, &submit, VK_NULL_HANDLE));
		OK(VK(QueueWaitIdle)(w.queue));
		say_target("dispatch indirect, counted by the GPU");
	}
	VK(FreeCommandBuffers)(w.device, w.pool, 2, counts);
	VK(FreeCommandBuffers)(w.device, w.pool, 1, &again);
	drop_buffer(&groups);
}

static void dispatch_base(void)
{
	clear_target();
	VkCommandBuffer c = begin();
	bind_usual(c, 12);
	if (HAS(CmdSetDeviceMask))
		VK(CmdSetDeviceMask)(c, 1);
	if (HAS(CmdSetDeviceMaskKHR))
		VK(CmdSetDeviceMaskKHR)(c, 1);
	VK(CmdDispatchBase)(c, 1, 0, 0, 1, 1, 1);
	if (HAS(CmdDispatchBaseKHR))
		VK(CmdDispatchBaseKHR)(c, 3, 0, 0, 1, 1, 1);
	else
		VK(CmdDispatchBase)(c, 3, 0, 0, 1, 1, 1);
	run(c);
	say_target("dispatch base");
}

struct pushed_data {
	VkDescriptorBufferInfo buffers[3];
	VkBufferView view;
};

static void dispatch_pushed(void)
{
	static const VkDescriptorType types[] = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER };
	static const size_t offsets[] = { offsetof(struct pushed_data, buffers[0]), offsetof(struct pushed_data, buffers[1]),
		offsetof(struct pushed_data, view), offsetof(struct pushed_data, buffers[2]) };
	const struct pushed_data data = {
		{ { w.source.buffer, 0, BYTES }, { w.target.buffer, 0, BYTES }, { w.block.buffer, 0, 16 } }, w.texel_view
	};
	VkWriteDescriptorSet writes[4];
	VkDescriptorUpdateTemplateEntry entries[4];
	const uint32_t add[] = { 21, 22 };
	for (uint32_t i = 0; i < 4; i++) {
		writes[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstBinding = i,
			.descriptorCount = 1,
			.descriptorType = types[i],
			.pBufferInfo = &data.buffers[i == 3 ? 2 : i],
			.pTexelBufferView = &data.view };
		entries[i] = (VkDescriptorUpdateTemplateEntry){ i, 0, 1, types[i], offsets[i], 0 };
	}
	clear_target();
	VkCommandBuffer c = begin();
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.pipeline_pushed);
	VK(CmdPushConstants)(c, w.layout_pushed, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add[0]);
	VK(CmdPushDescriptorSetKHR)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.layout_pushed, 0, 4, writes);
	VK(CmdDispatch)(c, COUNT / GROUP / 2, 1, 1);
	run(c);
	say_target("push descriptors");

	const VkDescriptorUpdateTemplateCreateInfo info = { .sType =
								    VK_STRUCTURE_TYPE_DESCRIPTOR_UPDATE_TEMPLATE_CREATE_INFO,
		.descriptorUpdateEntryCount = 4,
		.pDescriptorUpdateEntries = entries,
		.templateType = VK_DESCRIPTOR_UPDATE_TEMPLATE_TYPE_PUSH_DESCRIPTORS_KHR,
		.pipelineBindPoint = VK_PIPELINE_BIND_POINT_COMPUTE,
		.pipelineLayout = w.layout_pushed };
	VkDescriptorUpdateTemplate template;
	OK(VK(CreateDescriptorUpdateTemplate)(w.device, &info, NULL, &template));
	c = begin();
	VK(CmdBindPipeline)(c, VK_PIPELINE_BIND_POINT_COMPUTE, w.pipeline_pushed);
	VK(CmdPushConstants)(c, w.layout_pushed, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &add[1]);
	VK(CmdPushDescriptorSetWithTemplateKHR)(c, template, w.layout_pushed, 0, &data);
	VK(CmdDispatch)(c, COUNT / GROUP, 1, 1);
	run(c);
	say_target("push descriptors, template");
	VK(DestroyDescriptorUpdateTemplate)(w.device, template, NULL);
}

void case_dispatches(void)
{
	dispatch_parts();
	dispatch_indirect();
	dispatch_base();
	if (w.pipeline_pushed)
		dispatch_pushed();
	else
		say("push descriptors: not offered");
}

/* One secondary in two primaries at once, twice in the second; each adds to what is there. */
static void secondaries(void)
{
	const VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = w.pool,
		.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
		.commandBufferCount = 1 };
	const VkCommandBufferInheritanceInfo inheritance = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO };
	const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
		.pInheritanceInfo = &inheritance };
	const VkBufferCopy shift = { 0, 4, BYTES - 4 }, back = { 0, 0, BYTES };
	struct buffer other = make_buffer(BYTES, false, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer secondary, primaries[2];
	OK(VK(AllocateCommandBuffers)(w.device, &info, &secondary));
	OK(VK(BeginCommandBuffer)(secondary, &begin_info));
	full_barrier(secondary);
	VK(CmdCopyBuffer)(secondary, w.target.buffer, other.buffer, 1, &shift);
	full_barrier(secondary);
	VK(CmdCopyBuffer)(secondary, other.buffer, w.target.buffer, 1, &back);
	OK(VK(EndCommandBuffer)(secondary));
	for (uint32_t i = 0; i < 2; i++) {
		primaries[i] = begin();
		if (i == 0)
			VK(CmdFillBuffer)(primaries[i], other.buffer, 0, 4, 0x01020304);
		for (uint32_t j = 0; j <= i; j++)
			VK(CmdExecuteCommands)(primaries[i], 1, &secondary);
		OK(VK(EndCommandBuffer)(primaries[i]));
	}
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 2, .pCommandBuffers = primaries
	};
	OK(VK(QueueSubmit)(w.queue, 1, &submit, VK_NULL_HANDLE));
	OK(VK(QueueWaitIdle)(w.queue));
	say_target("secondary, in use three times");
	VK(FreeCommandBuffers)(w.device, w.pool, 2, primaries);
	VK(FreeCommandBuffers)(w.device, w.pool, 1, &secondary);
	drop_buffer(&other);
}

/* A recording is made anew, by itself and with its pool. */
static void recordings_again(void)
{
	const VkCommandPoolCreateInfo pool_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
		.queueFamilyIndex = w.family };
	VkCommandPool pool;
	OK(VK(CreateCommandPool)(w.device, &pool_info, NULL, &pool));
	const VkCommandBufferAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1 };
	const VkCommandBufferBeginInfo begin_info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT };
	VkCommandBuffer c;
	OK(VK(AllocateCommandBuffers)(w.device, &info, &c));
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &c
	};
	for (uint32_t i = 0; i < 4; i++) {
		OK(VK(BeginCommandBuffer)(c, &begin_info));
		VK(CmdFillBuffer)(c, w.target.buffer, 16 * i, 16, i + 1);
		OK(VK(EndCommandBuffer)(c));
		OK(VK(QueueSubmit)(w.queue, 1, &submit, VK_NULL_HANDLE));
		OK(VK(QueueWaitIdle)(w.queue));
		if (i == 1)
			OK(VK(ResetCommandBuffer)(c, VK_COMMAND_BUFFER_RESET_RELEASE_RESOURCES_BIT));
		if (i == 2)
			OK(VK(ResetCommandPool)(w.device, pool, VK_COMMAND_POOL_RESET_RELEASE_RESOURCES_BIT));
	}
	VK(TrimCommandPool)(w.device, pool, 0);
	if (HAS(TrimCommandPoolKHR))
		VK(TrimCommandPoolKHR)(w.device, pool, 0);
	VK(DestroyCommandPool)(w.device, pool, NULL);
	say_target("recorded again");
}

void case_transfers(void)
{
	static uint32_t words[65536 / 4];
	for (uint32_t i = 0; i < 65536 / 4; i++)
		words[i] = i * 40503u;
	VkCommandBuffer c = begin();
	VK(CmdFillBuffer)(c, w.target.buffer, 0, VK_WHOLE_SIZE, 0xdeadbeef);
	full_barrier(c);
	VK(CmdFillBuffer)(c, w.target.buffer, 4, 8, 7);
	VK(CmdUpdateBuffer)(c, w.target.buffer, 64, 12, "twelve bytes");
	const VkBufferCopy regions[] = { { 1, 201, 3 }, { 16, 256, 128 }, { 512, 1024, 1 } };
	VK(CmdCopyBuffer)(c, w.source.buffer, w.target.buffer, 3, regions);
	run(c);
	say_target("fills, an update, copies at odd offsets");

	/* The largest update, and a copy of all of it. */
	const VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	struct buffer large = make_buffer(65536, false, usage), large_back = make_buffer(65536, true, usage);
	c = begin();
	VK(CmdUpdateBuffer)(c, large.buffer, 0, 65536, words);
	full_barrier(c);
	if (HAS(CmdCopyBuffer2KHR)) {
		const VkBufferCopy2 region = { .sType = VK_STRUCTURE_TYPE_BUFFER_COPY_2, .size = 65536 };
		const VkCopyBufferInfo2 info = { .sType = VK_STRUCTURE_TYPE_COPY_BUFFER_INFO_2,
			.srcBuffer = large.buffer,
			.dstBuffer = large_back.buffer,
			.regionCount = 1,
			.pRegions = &region };
		VK(CmdCopyBuffer2KHR)(c, &info);
	} else {
		const VkBufferCopy region = { 0, 0, 65536 };
		VK(CmdCopyBuffer)(c, large.buffer, large_back.buffer, 1, &region);
	}
	full_barrier(c);
	run(c);
	say("the largest update: %08x", sum(large_back.map, 65536 / 4));
	drop_buffer(&large);
	drop_buffer(&large_back);
	secondaries();
	recordings_again();
}

/* Two buffers in one memory, bound together; requirements by all their names. */
void case_buffers(void)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = 1000,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	VkBuffer buffers[2];
	for (uint32_t i = 0; i < 2; i++)
		OK(VK(CreateBuffer)(w.device, &info, NULL, &buffers[i]));
	const VkBufferMemoryRequirementsInfo2 asked = { .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2,
		.buffer = buffers[0] };
	VkMemoryDedicatedRequirements dedicated = { .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS };
	VkMemoryRequirements2 needs = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, .pNext = &dedicated };
	VkMemoryRequirements2 others = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };
	VK(GetBufferMemoryRequirements2)(w.device, &asked, &needs);
	if (HAS(GetBufferMemoryRequirements2KHR))
		VK(GetBufferMemoryRequirements2KHR)(w.device, &asked, &others);
	if (HAS(GetDeviceBufferMemoryRequirementsKHR)) {
		const VkDeviceBufferMemoryRequirements device_asked = {
			.sType = VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS, .pCreateInfo = &info
		};
		VK(GetDeviceBufferMemoryRequirementsKHR)(w.device, &device_asked, &others);
		say("requirements: the same without a buffer: %d",
			others.memoryRequirements.size == needs.memoryRequirements.size &&
				others.memoryRequirements.alignment == needs.memoryRequirements.alignment);
	}
	const VkDeviceSize alignment = needs.memoryRequirements.alignment;
	const VkDeviceSize second = (needs.memoryRequirements.size + alignment - 1) / alignment * alignment;
	say("requirements: enough %d, dedicated %d", needs.memoryRequirements.size >= 1000,
		dedicated.requiresDedicatedAllocation);
	uint32_t type = 0;
	while (!(needs.memoryRequirements.memoryTypeBits & 1u << type) ||
		!(w.memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT))
		type++;
	const VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = second + needs.memoryRequirements.size,
		.memoryTypeIndex = type };
	VkDeviceMemory memory;
	unsigned char *map;
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, &memory));
	OK(VK(MapMemory)(w.device, memory, 0, VK_WHOLE_SIZE, 0, (void **)&map));
	const VkBindBufferMemoryInfo binds[] = {
		{ .sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO, .buffer = buffers[0], .memory = memory },
		{ .sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO,
			.buffer = buffers[1],
			.memory = memory,
			.memoryOffset = second },
	};
	OK(VK(BindBufferMemory2)(w.device, 1, &binds[0]));
	if (HAS(BindBufferMemory2KHR))
		OK(VK(BindBufferMemory2KHR)(w.device, 1, &binds[1]));
	else
		OK(VK(BindBufferMemory2)(w.device, 1, &binds[1]));
	for (uint32_t i = 0; i < 1000; i++)
		map[i] = (unsigned char)(i * 7);
	VkCommandBuffer c = begin();
	const VkBufferCopy region = { 3, 5, 900 };
	VK(CmdFillBuffer)(c, buffers[1], 0, VK_WHOLE_SIZE, 0);
	full_barrier(c);
	VK(CmdCopyBuffer)(c, buffers[0], buffers[1], 1, &region);
	full_barrier(c);
	run(c);
	uint32_t words[250];
	memcpy(words, map + second, sizeof(words));
	say("two buffers in a memory: %08x", sum(words, 250));
	for (uint32_t i = 0; i < 2; i++)
		VK(DestroyBuffer)(w.device, buffers[i], NULL);
	VK(FreeMemory)(w.device, memory, NULL);
}

/* Many commands in one recording, and many submissions on their way. */
void case_large(void)
{
	VkCommandBuffer c = begin();
	for (uint32_t i = 0; i < 20000; i++) {
		VK(CmdFillBuffer)(c, w.target.buffer, 4 * (i % COUNT), 4, i);
		if (i % COUNT == COUNT - 1)
			full_barrier(c);
	}
	run(c);
	say_target("a long recording");
	c = begin();
	full_barrier(c);
	bind_usual(c, 1);
	VK(CmdDispatch)(c, COUNT / 4 / GROUP, 1, 1);
	OK(VK(EndCommandBuffer)(c));
	VkSubmitInfo infos[64];
	for (uint32_t i = 0; i < 64; i++)
		infos[i] = (VkSubmitInfo){
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = i % 3 == 0, .pCommandBuffers = &c
		};
	for (uint32_t i = 0; i < 4; i++) {
		OK(VK(QueueSubmit)(w.queue, 1, infos, VK_NULL_HANDLE));
		OK(VK(QueueWaitIdle)(w.queue));
	}
	VK(FreeCommandBuffers)(w.device, w.pool, 1, &c);
	say_target("submitted again");
}

static void wait_for_event(VkCommandBuffer c, VkEvent event, VkPipelineStageFlags from)
{
	const VkMemoryBarrier memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask =
			from == VK_PIPELINE_STAGE_HOST_BIT ? VK_ACCESS_HOST_WRITE_BIT : VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT };
	VK(CmdWaitEvents)(c, 1, &event, from, VK_PIPELINE_STAGE_TRANSFER_BIT, 1, &memory, 0, NULL, 0, NULL);
}

static void events2(VkEvent event)
{
	const VkMemoryBarrier2 memory = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER_2,
		.srcStageMask = VK_PIPELINE_STAGE_2_CLEAR_BIT,
		.srcAccessMask = VK_ACCESS_2_TRANSFER_WRITE_BIT,
		.dstStageMask = VK_PIPELINE_STAGE_2_COPY_BIT,
		.dstAccessMask = VK_ACCESS_2_TRANSFER_READ_BIT };
	const VkDependencyInfo dependency = {
		.sType = VK_STRUCTURE_TYPE_DEPENDENCY_INFO, .memoryBarrierCount = 1, .pMemoryBarriers = &memory
	};
	VkCommandBuffer c = begin();
	VK(CmdFillBuffer)(c, w.target.buffer, 0, 512, 31);
	VK(CmdSetEvent2KHR)(c, event, &dependency);
	VK(CmdWaitEvents2KHR)(c, 1, &event, &dependency);
	const VkBufferCopy region = { 0, 1024, 512 };
	VK(CmdCopyBuffer)(c, w.target.buffer, w.target.buffer, 1, &region);
	VK(CmdPipelineBarrier2KHR)(c, &dependency);
	VK(CmdResetEvent2KHR)(c, event, VK_PIPELINE_STAGE_2_COPY_BIT);
	run(c);
	say("event2: %d", VK(GetEventStatus)(w.device, event));
	say_target("event2");
}

void case_events(void)
{
	const VkEventCreateInfo info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };
	VkEvent event, host;
	OK(VK(CreateEvent)(w.device, &info, NULL, &event));
	OK(VK(CreateEvent)(w.device, &info, NULL, &host));
	say("event: new %d", VK(GetEventStatus)(w.device, event));
	OK(VK(SetEvent)(w.device, event));
	say("event: set %d", VK(GetEventStatus)(w.device, event));
	OK(VK(ResetEvent)(w.device, event));
	say("event: reset %d", VK(GetEventStatus)(w.device, event));
	OK(VK(SetEvent)(w.device, host));
	VkCommandBuffer c = begin();
	wait_for_event(c, host, VK_PIPELINE_STAGE_HOST_BIT);
	VK(CmdFillBuffer)(c, w.target.buffer, 0, 256, 11);
	VK(CmdSetEvent)(c, event, VK_PIPELINE_STAGE_TRANSFER_BIT);
	wait_for_event(c, event, VK_PIPELINE_STAGE_TRANSFER_BIT);
	VK(CmdResetEvent)(c, host, VK_PIPELINE_STAGE_TRANSFER_BIT);
	const VkBufferCopy region = { 0, 512, 256 };
	VK(CmdCopyBuffer)(c, w.target.buffer, w.target.buffer, 1, &region);
	run(c);
	say("events: %d %d", VK(GetEventStatus)(w.device, event), VK(GetEventStatus)(w.device, host));
	say_target("events");
	OK(VK(ResetEvent)(w.device, event));
	if (HAS(CmdSetEvent2KHR))
		events2(event);
	VK(DestroyEvent)(w.device, event, NULL);
	VK(DestroyEvent)(w.device, host, NULL);
}
