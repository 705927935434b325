/* Integers: a ring of words is mixed for many rounds on the device, one submission each, and read back at the end.
 * xorshift [--rounds N] [--words N]. Prints the hash of the final words; checks it against the CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "xorshift.comp.h"

struct push {
	uint32_t count, stride;
};

static void cpu_round(const uint32_t *from, uint32_t *to, uint32_t count, uint32_t stride)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t x = from[i] + from[(i + stride) % count] * 2654435761u;
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		to[i] = x;
	}
}

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 200), words = minivk_option(argc, argv, "--words", 65536);
	struct minivk v;
	minivk_init(&v, "xorshift", NULL);
	VkDeviceSize size = (VkDeviceSize)words * 4;
	struct minivk_buffer staging, ring[2];
	minivk_buffer(&v, &staging, size, true, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (int i = 0; i < 2; i++)
		minivk_buffer(&v, &ring[i], size, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, xorshift_comp, sizeof(xorshift_comp), 2, sizeof(struct push), 2);
	VkDescriptorSet sets[2] = { minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &ring[0], &ring[1] }),
		minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &ring[1], &ring[0] }) };

	uint32_t *a = malloc(size), *b = malloc(size);
	if (!a || !b)
		return 1;
	for (uint32_t i = 0; i < words; i++)
		a[i] = i * 747796405u + 2891336453u;
	memcpy(staging.mapped, a, size);
	VkBufferCopy all = { 0, 0, size };
	VkCommandBuffer upload = minivk_begin(&v);
	vkCmdCopyBuffer(upload, staging.buffer, ring[0].buffer, 1, &all);
	minivk_run(&v, upload);

	VkFence fences[2] = { minivk_fence(&v), minivk_fence(&v) };
	VkCommandBuffer commands[2] = { NULL, NULL };
	for (uint32_t r = 0; r < rounds; r++) { /* two in flight */
		int slot = (int)(r & 1);
		if (commands[slot]) {
			minivk_wait(&v, fences[slot]);
			vkFreeCommandBuffers(v.device, v.pool, 1, &commands[slot]);
		}
		struct push push = { words, r % (words - 1) + 1 };
		VkCommandBuffer c = commands[slot] = minivk_begin(&v);
		minivk_barrier(c);
		vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
		vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &sets[slot], 0, NULL);
		vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
		vkCmdDispatch(c, (words + 63) / 64, 1, 1);
		minivk_barrier(c);
		VK(vkEndCommandBuffer(c));
		minivk_submit(&v, c, fences[slot]);
	}
	VK(vkQueueWaitIdle(v.queue));
	VkCommandBuffer download = minivk_begin(&v);
	minivk_barrier(download);
	vkCmdCopyBuffer(download, ring[rounds & 1].buffer, staging.buffer, 1, &all);
	minivk_barrier(download);
	minivk_run(&v, download);

	for (uint32_t r = 0; r < rounds; r++) {
		cpu_round(a, b, words, r % (words - 1) + 1);
		uint32_t *swap = a;
		a = b;
		b = swap;
	}
	printf("xorshift rounds=%u words=%u hash=%016llx\n", rounds, words,
		(unsigned long long)minivk_fnv(staging.mapped, size));
	bool right = memcmp(a, staging.mapped, size) == 0;
	printf("%s\n", right ? "right" : "WRONG");
	for (int i = 0; i < 2; i++)
		vkDestroyFence(v.device, fences[i], NULL);
	minivk_pipeline_finish(&v, &pipeline);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&v, &ring[i]);
	minivk_buffer_finish(&v, &staging);
	minivk_finish(&v);
	free(a);
	free(b);
	return right ? 0 : 1;
}
