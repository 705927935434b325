/* Fences, semaphores, submissions of every kind, queries. */
#include "conformance.h"

#include <string.h>

#define QUERIES 8u

static VkFence make_fence(VkFenceCreateFlags flags)
{
	const VkFenceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO, .flags = flags };
	VkFence fence;
	OK(VK(CreateFence)(w.device, &info, NULL, &fence));
	return fence;
}

static void fences(void)
{
	VkFence pair[] = { make_fence(0), make_fence(VK_FENCE_CREATE_SIGNALED_BIT) };
	say("fences: %d %d", VK(GetFenceStatus)(w.device, pair[0]), VK(GetFenceStatus)(w.device, pair[1]));
	say("fences: any %d, all %d", VK(WaitForFences)(w.device, 2, pair, VK_FALSE, 0),
		VK(WaitForFences)(w.device, 2, pair, VK_TRUE, 1000));
	OK(VK(QueueSubmit)(w.queue, 0, NULL, pair[0]));
	say("fences: all %d", VK(WaitForFences)(w.device, 2, pair, VK_TRUE, UINT64_MAX));
	OK(VK(ResetFences)(w.device, 2, pair));
	say("fences: reset %d %d", VK(GetFenceStatus)(w.device, pair[0]), VK(GetFenceStatus)(w.device, pair[1]));
	/* Sparse bindings of nothing leave the synchronization. Other queues refuse it. */
	if (!w.valid_only) {
		remark("bind sparse: %d", VK(QueueBindSparse)(w.queue, 0, NULL, pair[1]));
		remark("bind sparse: its fence %d", VK(WaitForFences)(w.device, 1, &pair[1], VK_TRUE, 1000000000));
	}
	VK(DestroyFence)(w.device, pair[0], NULL);
	VK(DestroyFence)(w.device, pair[1], NULL);
}

static VkSemaphore make_semaphore(VkSemaphoreType type, uint64_t value)
{
	const VkSemaphoreTypeCreateInfo kind = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, .semaphoreType = type, .initialValue = value
	};
	const VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &kind };
	VkSemaphore semaphore;
	OK(VK(CreateSemaphore)(w.device, &info, NULL, &semaphore));
	return semaphore;
}

static unsigned long long value_of(VkSemaphore semaphore)
{
	uint64_t value = 0;
	if (HAS(GetSemaphoreCounterValueKHR))
		OK(VK(GetSemaphoreCounterValueKHR)(w.device, semaphore, &value));
	OK(VK(GetSemaphoreCounterValue)(w.device, semaphore, &value));
	return value;
}

/* Waits for the host, then a binary semaphore between two batches. */
static void semaphores(void)
{
	VkSemaphore timeline = make_semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 5);
	VkSemaphore binary = make_semaphore(VK_SEMAPHORE_TYPE_BINARY, 0);
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	const uint64_t six = 6, seven = 7, eight = 8;
	VkCommandBuffer c[2];
	for (uint32_t i = 0; i < 2; i++) {
		c[i] = begin();
		VK(CmdFillBuffer)(c[i], w.target.buffer, 0, 16u << i, 100 + i);
		OK(VK(EndCommandBuffer)(c[i]));
	}
	const VkTimelineSemaphoreSubmitInfo values[] = {
		{ .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
			.waitSemaphoreValueCount = 1,
			.pWaitSemaphoreValues = &six,
			.signalSemaphoreValueCount = 1,
			.pSignalSemaphoreValues = &seven },
		{ .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
			.waitSemaphoreValueCount = 1,
			.pWaitSemaphoreValues = &seven,
			.signalSemaphoreValueCount = 1,
			.pSignalSemaphoreValues = &eight },
	};
	const VkSubmitInfo infos[] = {
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = &values[0],
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &timeline,
			.pWaitDstStageMask = &stage,
			.commandBufferCount = 1,
			.pCommandBuffers = &c[0],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &binary },
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = &values[1],
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &binary,
			.pWaitDstStageMask = &stage,
			.commandBufferCount = 1,
			.pCommandBuffers = &c[1],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &timeline },
	};
	const VkSemaphoreSignalInfo signal = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = timeline, .value = 6
	};
	const VkSemaphoreWaitInfo wait = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &timeline,
		.pValues = &eight };
	/* Both names: the first for what is there already. */
	const VkSemaphoreWaitInfo now = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &timeline,
		.pValues = &six };
	VkFence fence = make_fence(0);
	say("timeline: %llu", value_of(timeline));
	OK(VK(QueueSubmit)(w.queue, 1, &infos[0], VK_NULL_HANDLE));
	say("timeline: held back %d", VK(WaitSemaphores)(w.device, &wait, 2000000));
	if (HAS(SignalSemaphoreKHR))
		OK(VK(SignalSemaphoreKHR)(w.device, &signal));
	else
		OK(VK(SignalSemaphore)(w.device, &signal));
	OK(VK(QueueSubmit)(w.queue, 1, &infos[1], fence));
	if (HAS(WaitSemaphoresKHR))
		OK(VK(WaitSemaphoresKHR)(w.device, &now, UINT64_MAX));
	OK(VK(WaitSemaphores)(w.device, &wait, UINT64_MAX));
	OK(VK(WaitForFences)(w.device, 1, &fence, VK_TRUE, UINT64_MAX));
	const VkSemaphoreSignalInfo nine = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = timeline, .value = 9
	};
	OK(VK(SignalSemaphore)(w.device, &nine));
	say("timeline: %llu", value_of(timeline));
	say_target("semaphores");
	VK(FreeCommandBuffers)(w.device, w.pool, 2, c);
	VK(DestroyFence)(w.device, fence, NULL);
	VK(DestroySemaphore)(w.device, timeline, NULL);
	VK(DestroySemaphore)(w.device, binary, NULL);
}

static void submit2(void)
{
	VkSemaphore timeline = make_semaphore(VK_SEMAPHORE_TYPE_TIMELINE, 0);
	VkCommandBuffer c = begin();
	VK(CmdFillBuffer)(c, w.target.buffer, 128, 64, 200);
	OK(VK(EndCommandBuffer)(c));
	const VkSemaphoreSubmitInfo done = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO,
		.semaphore = timeline,
		.value = 3,
		.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT };
	const VkCommandBufferSubmitInfo buffer = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO,
		.commandBuffer = c };
	const VkSubmitInfo2 info = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2,
		.commandBufferInfoCount = 1,
		.pCommandBufferInfos = &buffer,
		.signalSemaphoreInfoCount = 1,
		.pSignalSemaphoreInfos = &done };
	VkFence fence = make_fence(0);
	OK(VK(QueueSubmit2KHR)(w.queue, 1, &info, fence));
	OK(VK(WaitForFences)(w.device, 1, &fence, VK_TRUE, UINT64_MAX));
	const uint64_t three = 3;
	const VkSemaphoreWaitInfo wait = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
		.semaphoreCount = 1,
		.pSemaphores = &timeline,
		.pValues = &three };
	OK(VK(WaitSemaphores)(w.device, &wait, UINT64_MAX));
	say("submit2: %llu", value_of(timeline));
	say_target("submit2");
	VK(FreeCommandBuffers)(w.device, w.pool, 1, &c);
	VK(DestroyFence)(w.device, fence, NULL);
	VK(DestroySemaphore)(w.device, timeline, NULL);
}

void case_sync(void)
{
	fences();
	semaphores();
	if (HAS(QueueSubmit2KHR))
		submit2();
}

static void show(const char *what, VkResult result, const uint64_t *pairs, uint32_t count)
{
	char text[QUERIES + 1] = "";
	for (uint32_t i = 0; i < count; i++)
		text[i] = pairs[2 * i + 1] ? '1' : '0';
	say("queries: %s: %d, available %s", what, result, text);
}

/* Of what does not fit into 32 bits the lower half, or the largest number. */
static bool narrowed(uint32_t narrow, uint64_t value)
{
	return narrow == (uint32_t)value || (value > UINT32_MAX && narrow == UINT32_MAX);
}

static bool ascending(const uint64_t *pairs, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		if (pairs[2 * i] < pairs[2 * (i - 1)])
			return false;
	return true;
}

/* All flags of both ways to read results. Timestamps themselves differ: they are compared with each other. */
static void read_results(VkQueryPool pool, const uint64_t *pairs)
{
	const VkQueryResultFlags wide = VK_QUERY_RESULT_64_BIT, with = VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
	uint64_t values[QUERIES];
	uint32_t narrow[2 * QUERIES], same = 0;
	say("queries: 64 bits: %d",
		VK(GetQueryPoolResults)(w.device, pool, 0, 4, sizeof(values), values, 8, wide | VK_QUERY_RESULT_WAIT_BIT));
	for (uint32_t i = 0; i < 4; i++)
		same += values[i] == pairs[2 * i];
	say("queries: 32 bits: %d", VK(GetQueryPoolResults)(w.device, pool, 0, 4, sizeof(narrow), narrow, 8, with));
	for (uint32_t i = 0; i < 4; i++)
		same += narrowed(narrow[2 * i], pairs[2 * i]) && narrow[2 * i + 1] != 0;
	/* A stride, and one that is not available: its place stays as it was. */
	memset(values, 0x77, sizeof(values));
	say("queries: stride: %d", VK(GetQueryPoolResults)(w.device, pool, 3, 2, 24, values, 16, wide));
	say("queries: agree %u, left alone %d", same + (values[0] == pairs[6]), values[2] == 0x7777777777777777ull);

	struct buffer copy = make_buffer(1024, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer c = begin();
	VK(CmdCopyQueryPoolResults)(c, pool, 0, 4, copy.buffer, 16, 24, wide | with | VK_QUERY_RESULT_WAIT_BIT);
	VK(CmdCopyQueryPoolResults)(c, pool, 1, 3, copy.buffer, 512, 4, VK_QUERY_RESULT_WAIT_BIT);
	full_barrier(c);
	run(c);
	same = 0;
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t pair[2];
		memcpy(pair, (char *)copy.map + 16 + 24 * i, sizeof(pair));
		same += pair[0] == pairs[2 * i] && pair[1] != 0;
	}
	for (uint32_t i = 0; i < 3; i++)
		same += narrowed(copy.map[128 + i], pairs[2 * (i + 1)]);
	say("queries: copies agree %u", same);
	drop_buffer(&copy);
}

static void write_timestamps(VkQueryPool pool)
{
	VkCommandBuffer c = begin();
	VK(CmdResetQueryPool)(c, pool, 0, QUERIES);
	VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, pool, 0);
	bind_usual(c, 5);
	VK(CmdDispatch)(c, COUNT / 4 / GROUP, 1, 1);
	VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 1);
	VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, pool, 2);
	if (HAS(CmdWriteTimestamp2KHR))
		VK(CmdWriteTimestamp2KHR)(c, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, pool, 3);
	else
		VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 3);
	run(c);
}

/* A query each in many submissions that nobody waits for one by one. Once is enough. */
static void queries_in_flight(void)
{
	enum { MANY = 600 };
	const VkQueryPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = MANY
	};
	static bool done;
	static VkCommandBuffer buffers[MANY];
	static uint64_t times[MANY];
	VkQueryPool pool;
	if (done)
		return;
	done = true;
	OK(VK(CreateQueryPool)(w.device, &info, NULL, &pool));
	for (uint32_t i = 0; i < MANY; i++) {
		VkCommandBuffer c = buffers[i] = begin();
		VK(CmdResetQueryPool)(c, pool, i, 1);
		VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, i);
		OK(VK(EndCommandBuffer)(c));
		const VkSubmitInfo submit = {
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &buffers[i]
		};
		OK(VK(QueueSubmit)(w.queue, 1, &submit, VK_NULL_HANDLE));
	}
	VkResult result = VK(GetQueryPoolResults)(w.device, pool, 0, MANY, sizeof(times), times, sizeof(times[0]),
		VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
	bool there = true;
	for (uint32_t i = 0; i < MANY; i++)
		there = there && times[i] != 0;
	say("queries: many in flight: %d, all there %d", result, there);
	OK(VK(QueueWaitIdle)(w.queue));
	VK(FreeCommandBuffers)(w.device, w.pool, MANY, buffers);
	VK(DestroyQueryPool)(w.device, pool, NULL);
}

void case_queries(void)
{
	VkQueueFamilyProperties families[16];
	uint32_t count = 16;
	VK(GetPhysicalDeviceQueueFamilyProperties)(w.physical, &count, families);
	if (!families[w.family].timestampValidBits) {
		say("queries: no timestamps");
		return;
	}
	const VkQueryPoolCreateInfo info = { .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP,
		.queryCount = QUERIES };
	const VkQueryResultFlags flags = VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
	uint64_t pairs[2 * QUERIES] = { 0 };
	VkQueryPool pool;
	OK(VK(CreateQueryPool)(w.device, &info, NULL, &pool));
	VK(ResetQueryPool)(w.device, pool, 0, QUERIES);
	VkResult result = VK(GetQueryPoolResults)(w.device, pool, 0, QUERIES, sizeof(pairs), pairs, 16, flags);
	show("reset", result, pairs, QUERIES);
	for (uint32_t round = 0; round < 2; round++) {
		write_timestamps(pool);
		result = VK(GetQueryPoolResults)(w.device, pool, 0, QUERIES, sizeof(pairs), pairs, 16, flags);
		show("written", result, pairs, QUERIES);
		say("queries: ascending %d", ascending(pairs, 4) && pairs[0] != 0);
		read_results(pool, pairs);
	}
	/* The host resets one; a recording that does not reset writes it again. */
	VK(ResetQueryPool)(w.device, pool, 1, 2);
	if (HAS(ResetQueryPoolEXT))
		VK(ResetQueryPoolEXT)(w.device, pool, 1, 1);
	result = VK(GetQueryPoolResults)(w.device, pool, 0, 4, sizeof(pairs), pairs, 16, flags);
	show("two reset by the host", result, pairs, 4);
	const uint64_t before = pairs[0];
	VkCommandBuffer c = begin();
	VK(CmdWriteTimestamp)(c, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool, 1);
	run(c);
	result = VK(GetQueryPoolResults)(w.device, pool, 0, 4, sizeof(pairs), pairs, 16, flags);
	show("one written again", result, pairs, 4);
	/* Reset and not written: its place in the buffer stays as it is, whatever says that it is not available. */
	c = begin();
	VK(CmdFillBuffer)(c, w.target.buffer, 0, 48, 77);
	full_barrier(c);
	VK(CmdResetQueryPool)(c, pool, 1, 1);
	VK(CmdCopyQueryPoolResults)(c, pool, 1, 1, w.target.buffer, 0, 16, flags);
	full_barrier(c);
	run(c);
	c = begin();
	const VkBufferCopy words = { 0, 0, 16 };
	VK(CmdCopyBuffer)(c, w.target.buffer, w.back.buffer, 1, &words);
	full_barrier(c);
	run(c);
	/* Not every driver does as Vulkan says here: lavapipe writes a 0. */
	expect(w.back.map[0] == 77 && w.back.map[1] == 77 && !w.back.map[2] && !w.back.map[3],
		"an unavailable query's place is left alone");
	say("queries: the others stay %d", pairs[0] == before);
	VK(DestroyQueryPool)(w.device, pool, NULL);
	queries_in_flight();
}
