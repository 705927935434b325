/* A program with much state on the device: --mib N of it in buffers of at most 64 MiB, all changed by every round; each round the host reads
 * four bytes (the sum of all words). --change N: only the first N words of each buffer change. state [--mib N] [--rounds N] [--change N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "state.comp.h"

#define PART_WORDS (16u << 20) /* 64 MiB */
#define MAX_PARTS 64u

struct push {
	uint32_t count, round, first;
};

int main(int argc, char **argv)
{
	uint32_t mib = minivk_option(argc, argv, "--mib", 16), rounds = minivk_option(argc, argv, "--rounds", 20);
	uint32_t change = minivk_option(argc, argv, "--change", PART_WORDS);
	uint64_t words = (uint64_t)mib << 18;
	uint32_t parts = (uint32_t)((words + PART_WORDS - 1) / PART_WORDS);
	if (parts == 0 || parts > MAX_PARTS) {
		fprintf(stderr, "--mib is 1 to %u\n", MAX_PARTS * 64);
		return 2;
	}
	struct minivk v;
	minivk_init(&v, "state", NULL);
	struct minivk_buffer part[MAX_PARTS], sum;
	struct minivk_pipeline pipeline;
	VkDescriptorSet sets[MAX_PARTS];
	uint32_t count[MAX_PARTS];
	minivk_pipeline(&v, &pipeline, state_comp, sizeof(state_comp), 2, sizeof(struct push), parts);
	minivk_buffer(&v, &sum, 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	VkCommandBuffer clear = minivk_begin(&v);
	for (uint32_t p = 0; p < parts; p++) {
		uint64_t left = words - (uint64_t)p * PART_WORDS;
		count[p] = left < PART_WORDS ? (uint32_t)left : PART_WORDS;
		minivk_buffer(&v, &part[p], (VkDeviceSize)count[p] * 4, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
		sets[p] = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &part[p], &sum });
		vkCmdFillBuffer(clear, part[p].buffer, 0, VK_WHOLE_SIZE, 1);
	}
	minivk_run(&v, clear);
	uint32_t *model = malloc((size_t)words * 4);
	if (!model)
		return 1;
	for (uint64_t i = 0; i < words; i++)
		model[i] = 1;
	VkFence fence = minivk_fence(&v);
	bool right = true;
	for (uint32_t r = 1; r <= rounds && right; r++) {
		*(uint32_t *)sum.mapped = 0;
		VkCommandBuffer c = minivk_begin(&v);
		minivk_barrier(c);
		vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
		for (uint32_t p = 0; p < parts; p++) {
			struct push push = { count[p] < change ? count[p] : change, r, p * PART_WORDS };
			vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &sets[p], 0, NULL);
			vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
			vkCmdDispatch(c, 256, 1, 1);
		}
		minivk_barrier(c);
		VK(vkEndCommandBuffer(c));
		minivk_submit(&v, c, fence);
		uint32_t expected = 0;
		for (uint32_t p = 0; p < parts; p++) {
			uint64_t first = (uint64_t)p * PART_WORDS, n = count[p] < change ? count[p] : change;
			for (uint64_t i = first; i < first + n; i++)
				expected += model[i] = model[i] * 1664525u + (uint32_t)i + r;
		}
		minivk_wait(&v, fence);
		vkFreeCommandBuffers(v.device, v.pool, 1, &c);
		right = *(uint32_t *)sum.mapped == expected;
		printf("state round=%u sum=%08x\n", r, *(uint32_t *)sum.mapped);
		fflush(stdout);
	}
	printf("%s\n", right ? "right" : "WRONG");
	vkDestroyFence(v.device, fence, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	for (uint32_t p = 0; p < parts; p++)
		minivk_buffer_finish(&v, &part[p]);
	minivk_buffer_finish(&v, &sum);
	minivk_finish(&v);
	free(model);
	return right ? 0 : 1;
}
