/* Long recordings: one command buffer, recorded anew each round, with far more in it than a program usually has. First MiBs of
 * vkCmdUpdateBuffer, then dispatches with push constants, each behind a barrier; every second round is a short one.
 * recordings [--rounds N] [--mib N] [--dispatches N]. Prints the hash of what is there in the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "xorshift.comp.h"

#define WORDS 16384u /* as much as one vkCmdUpdateBuffer may bring */
#define BYTES ((VkDeviceSize)WORDS * 4)
#define MIXED 64u /* words that a dispatch works on */

struct push {
	uint32_t count, stride;
};

static void record_updates(VkCommandBuffer c, VkBuffer target, uint32_t count, uint32_t seed)
{
	static uint32_t words[WORDS];
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < WORDS; j++)
			words[j] = (seed + i) * 2654435761u + j * j;
		vkCmdUpdateBuffer(c, target, 0, i + 1 < count ? BYTES : BYTES / 2, words);
		minivk_barrier(c);
	}
}

static void record_dispatches(
	VkCommandBuffer c, const struct minivk_pipeline *p, const VkDescriptorSet *sets, uint32_t count)
{
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
	for (uint32_t i = 0; i < count; i++) {
		struct push push = { MIXED, i % MIXED };
		vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &sets[i & 1], 0, NULL);
		vkCmdPushConstants(c, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
		vkCmdDispatch(c, 1, 1, 1);
		minivk_barrier(c);
	}
}

int main(int argc, char **argv)
{
	const uint32_t rounds = minivk_option(argc, argv, "--rounds", 2), mib = minivk_option(argc, argv, "--mib", 20),
		       dispatches = minivk_option(argc, argv, "--dispatches", 2000);
	struct minivk v;
	minivk_init(&v, "recordings", NULL);
	struct minivk_buffer back, ring[2];
	minivk_buffer(&v, &back, BYTES, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (int i = 0; i < 2; i++)
		minivk_buffer(&v, &ring[i], BYTES, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, xorshift_comp, sizeof(xorshift_comp), 2, sizeof(struct push), 2);
	VkDescriptorSet sets[2] = { minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &ring[0], &ring[1] }),
		minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &ring[1], &ring[0] }) };
	VkCommandBuffer c = minivk_begin(&v);
	VkFence fence = minivk_fence(&v);
	vkCmdFillBuffer(c, ring[1].buffer, 0, VK_WHOLE_SIZE, 1);
	VK(vkEndCommandBuffer(c));
	minivk_submit(&v, c, fence);
	minivk_wait(&v, fence);
	for (uint32_t r = 0; r < rounds; r++) {
		const VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO };
		const VkBufferCopy all = { 0, 0, BYTES };
		const uint32_t share = r & 1 ? 16 : 1;
		VK(vkBeginCommandBuffer(c, &info));
		record_updates(c, ring[0].buffer, mib * 16 / share, r);
		record_dispatches(c, &pipeline, sets, dispatches / share);
		vkCmdCopyBuffer(c, ring[0].buffer, back.buffer, 1, &all);
		VK(vkEndCommandBuffer(c));
		minivk_submit(&v, c, fence);
		minivk_wait(&v, fence);
		printf("round %u: %016llx\n", r, (unsigned long long)minivk_fnv(back.mapped, BYTES));
		fflush(stdout);
	}
	vkDestroyFence(v.device, fence, NULL);
	vkFreeCommandBuffers(v.device, v.pool, 1, &c);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &back);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&v, &ring[i]);
	minivk_finish(&v);
	return 0;
}
