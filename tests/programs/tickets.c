/* A program whose results differ from run to run: which invocation gets which number of a common counter. Each round all numbers
 * must have been given out once, and what the program has read must stay as it is. tickets [--rounds N] [--groups N] prints a hash of each
 * round's order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "tickets.comp.h"

/* Each number once? The counter goes on from round to round. */
static bool each_once(const uint32_t *numbers, unsigned char *taken, uint32_t count, uint32_t first)
{
	memset(taken, 0, count);
	for (uint32_t i = 0; i < count; i++) {
		if (numbers[i] - first >= count || taken[numbers[i] - first]++)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 100), groups = minivk_option(argc, argv, "--groups", 256);
	uint32_t count = groups * 64;
	struct minivk v;
	minivk_init(&v, "tickets", NULL);
	struct minivk_buffer counter, out;
	minivk_buffer(&v, &counter, 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &out, (VkDeviceSize)count * 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, tickets_comp, sizeof(tickets_comp), 2, 0, 1);
	VkDescriptorSet set = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &counter, &out });
	VkCommandBuffer c = minivk_begin(&v);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, NULL);
	vkCmdDispatch(c, groups, 1, 1);
	minivk_barrier(c);
	VK(vkEndCommandBuffer(c));
	uint32_t *copy = malloc((size_t)count * 4);
	unsigned char *taken = malloc(count);
	if (!copy || !taken)
		return 1;
	*(uint32_t *)counter.mapped = 0;
	VkFence fence = minivk_fence(&v);
	bool right = true;
	for (uint32_t r = 0; r < rounds && right; r++) {
		minivk_submit(&v, c, fence);
		minivk_wait(&v, fence);
		memcpy(copy, out.mapped, (size_t)count * 4);
		right = *(uint32_t *)counter.mapped == (r + 1) * count && each_once(copy, taken, count, r * count);
		printf("tickets round=%u hash=%016llx\n", r, (unsigned long long)minivk_fnv(copy, (size_t)count * 4));
		fflush(stdout);
	}
	printf("%s\n", right ? "right" : "WRONG");
	vkDestroyFence(v.device, fence, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &counter);
	minivk_buffer_finish(&v, &out);
	minivk_finish(&v);
	free(copy);
	free(taken);
	return right ? 0 : 1;
}
