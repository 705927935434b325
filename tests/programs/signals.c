/* Host signals: submissions are queued before their input exists. The host fills the mapped input and then signals a timeline
 * semaphore (odd rounds) or sets an event that the command buffer waits for (even rounds); the device must see the bytes as of the signal.
 * Indirect dispatch, a secondary command buffer and vkCmdUpdateBuffer take part. signals [--rounds N] [--words N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "signals.comp.h"

static VkSemaphore timeline(struct minivk *v)
{
	VkSemaphoreTypeCreateInfo type = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE };
	VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type };
	VkSemaphore semaphore;
	VK(vkCreateSemaphore(v->device, &info, NULL, &semaphore));
	return semaphore;
}

static VkCommandBuffer secondary(
	struct minivk *v, struct minivk_pipeline *p, VkDescriptorSet set, VkBuffer indirect, uint32_t words)
{
	VkCommandBuffer c;
	VkCommandBufferAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = v->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
		.commandBufferCount = 1 };
	VK(vkAllocateCommandBuffers(v->device, &allocate, &c));
	VkCommandBufferInheritanceInfo inherit = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO };
	VkCommandBufferBeginInfo begin = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
		.pInheritanceInfo = &inherit };
	VK(vkBeginCommandBuffer(c, &begin));
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0, NULL);
	vkCmdPushConstants(c, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(words), &words);
	vkCmdDispatchIndirect(c, indirect, 0);
	VK(vkEndCommandBuffer(c));
	return c;
}

static VkCommandBuffer primary(struct minivk *v, VkCommandBuffer second, VkBuffer indirect, uint32_t words, VkEvent event)
{
	VkDispatchIndirectCommand groups = { (words + 63) / 64, 1, 1 };
	VkCommandBuffer c = minivk_begin(v);
	if (event) {
		VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
			.srcAccessMask = VK_ACCESS_HOST_WRITE_BIT,
			.dstAccessMask = VK_ACCESS_SHADER_READ_BIT };
		vkCmdWaitEvents(c, 1, &event, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 1, &barrier,
			0, NULL, 0, NULL);
		vkCmdResetEvent(c, event, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
	}
	minivk_barrier(c);
	vkCmdUpdateBuffer(c, indirect, 0, sizeof(groups), &groups);
	VkMemoryBarrier ready = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_INDIRECT_COMMAND_READ_BIT };
	vkCmdPipelineBarrier(
		c, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT, 0, 1, &ready, 0, NULL, 0, NULL);
	vkCmdExecuteCommands(c, 1, &second);
	minivk_barrier(c);
	VK(vkEndCommandBuffer(c));
	return c;
}

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 100), words = minivk_option(argc, argv, "--words", 1024);
	VkPhysicalDeviceTimelineSemaphoreFeatures features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, .timelineSemaphore = VK_TRUE
	};
	struct minivk v;
	minivk_init(&v, "signals", &features);
	VkDeviceSize size = (VkDeviceSize)words * 4;
	struct minivk_buffer input, sum, indirect;
	minivk_buffer(&v, &input, size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &sum, size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &indirect, sizeof(VkDispatchIndirectCommand), false,
		VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	memset(sum.mapped, 0, size);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, signals_comp, sizeof(signals_comp), 2, sizeof(uint32_t), 1);
	VkDescriptorSet set = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &input, &sum });
	VkEvent event;
	VkEventCreateInfo event_info = { .sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO };
	VK(vkCreateEvent(v.device, &event_info, NULL, &event));
	VkSemaphore go = timeline(&v), done = timeline(&v);
	VkCommandBuffer second = secondary(&v, &pipeline, set, indirect.buffer, words);
	VkCommandBuffer commands[2] = { primary(&v, second, indirect.buffer, words, event),
		primary(&v, second, indirect.buffer, words, VK_NULL_HANDLE) };
	uint32_t *model = calloc(words, 4), *data = input.mapped;
	if (!model)
		return 1;
	bool right = true;
	for (uint32_t r = 1; r <= rounds && right; r++) {
		uint64_t wait = r & 1 ? r : 0, signal = r;
		VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
		VkTimelineSemaphoreSubmitInfo values = { .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
			.waitSemaphoreValueCount = 1,
			.pWaitSemaphoreValues = &wait,
			.signalSemaphoreValueCount = 1,
			.pSignalSemaphoreValues = &signal };
		VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = &values,
			.waitSemaphoreCount = 1,
			.pWaitSemaphores = &go,
			.pWaitDstStageMask = &stage,
			.commandBufferCount = 1,
			.pCommandBuffers = &commands[r & 1],
			.signalSemaphoreCount = 1,
			.pSignalSemaphores = &done };
		VK(vkQueueSubmit(v.queue, 1, &submit, VK_NULL_HANDLE));
		for (uint32_t i = 0; i < words; i++) {
			data[i] = r * 7919 + i * i;
			model[i] = model[i] * 31 + data[i];
		}
		if (r & 1) {
			VkSemaphoreSignalInfo info = {
				.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = go, .value = r
			};
			VK(vkSignalSemaphore(v.device, &info));
		} else {
			VK(vkSetEvent(v.device, event));
		}
		VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
			.semaphoreCount = 1,
			.pSemaphores = &done,
			.pValues = &signal };
		VK(vkWaitSemaphores(v.device, &info, UINT64_MAX));
		right = memcmp(model, sum.mapped, size) == 0;
		if (r % 25 == 0 || !right) {
			printf("signals round=%u hash=%016llx\n", r, (unsigned long long)minivk_fnv(sum.mapped, size));
			fflush(stdout);
		}
	}
	uint64_t value;
	VK(vkGetSemaphoreCounterValue(v.device, done, &value));
	printf("signals rounds=%u counter=%llu\n%s\n", rounds, (unsigned long long)value, right ? "right" : "WRONG");
	VK(vkDeviceWaitIdle(v.device));
	vkDestroySemaphore(v.device, go, NULL);
	vkDestroySemaphore(v.device, done, NULL);
	vkDestroyEvent(v.device, event, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &input);
	minivk_buffer_finish(&v, &sum);
	minivk_buffer_finish(&v, &indirect);
	minivk_finish(&v);
	free(model);
	return right ? 0 : 1;
}
