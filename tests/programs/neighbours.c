/* Host and device write neighbouring bytes of one mapped buffer, two submissions in flight.
 * Byte 2i belongs to the host, byte 2i+1 to the device (one-byte copies). The buffer has two halves: while submission n works on
 * its half, the host writes its bytes of both halves and checks the half that came back. neighbours [--rounds N] [--pairs N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "neighbours.comp.h"

struct push {
	uint32_t count, round;
};

static unsigned char device_byte(uint32_t round, uint32_t index)
{
	uint32_t i = index / 4, x = i * 2654435761u + round * 40503u;
	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	x ^= x >> 12;
	return (unsigned char)(x >> (index % 4 * 8));
}

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 200), pairs = minivk_option(argc, argv, "--pairs", 128);
	struct minivk v;
	minivk_init(&v, "neighbours", NULL);
	uint32_t words = (pairs + 3) / 4;
	struct minivk_buffer source[2], shared;
	for (int i = 0; i < 2; i++)
		minivk_buffer(&v, &source[i], (VkDeviceSize)words * 4, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	minivk_buffer(&v, &shared, (VkDeviceSize)pairs * 4, true,
		VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, neighbours_comp, sizeof(neighbours_comp), 1, sizeof(struct push), 2);
	VkDescriptorSet sets[2] = { minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &source[0] }),
		minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &source[1] }) };
	VkBufferCopy *copies = calloc(pairs, sizeof(*copies));
	unsigned char *host = calloc(pairs, 4), *bytes = shared.mapped;
	if (!copies || !host)
		return 1;
	memset(bytes, 0, (size_t)pairs * 4);
	VkFence fences[2] = { minivk_fence(&v), minivk_fence(&v) };
	VkCommandBuffer commands[2] = { NULL, NULL };
	bool right = true;
	for (uint32_t r = 0; r < rounds + 2 && right; r++) {
		uint32_t slot = r & 1;
		size_t half = (size_t)slot * pairs * 2;
		if (commands[slot]) {
			minivk_wait(&v, fences[slot]);
			vkFreeCommandBuffers(v.device, v.pool, 1, &commands[slot]);
			commands[slot] = NULL;
			for (uint32_t i = 0; i < pairs && right; i++) {
				right = bytes[half + 2 * i + 1] == device_byte(r - 2, i) &&
					bytes[half + 2 * i] == host[half + 2 * i];
				if (!right)
					printf("round %u pair %u: %02x %02x, should be %02x %02x\n", r - 2, i,
						bytes[half + 2 * i], bytes[half + 2 * i + 1], host[half + 2 * i],
						device_byte(r - 2, i));
			}
			if (r % 50 == 1) {
				printf("neighbours round=%u hash=%016llx\n", r - 2,
					(unsigned long long)minivk_fnv(bytes + half, (size_t)pairs * 2));
				fflush(stdout);
			}
		}
		if (r < rounds && right) {
			struct push push = { words, r };
			VkCommandBuffer c = commands[slot] = minivk_begin(&v);
			vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
			vkCmdBindDescriptorSets(
				c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &sets[slot], 0, NULL);
			vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
			vkCmdDispatch(c, (words + 63) / 64, 1, 1);
			minivk_barrier(c);
			for (uint32_t i = 0; i < pairs; i++)
				copies[i] = (VkBufferCopy){ i, half + 2 * i + 1, 1 };
			vkCmdCopyBuffer(c, source[slot].buffer, shared.buffer, pairs, copies);
			minivk_barrier(c);
			VK(vkEndCommandBuffer(c));
			minivk_submit(&v, c, fences[slot]);
		}
		for (uint32_t i = r % 3; i < 2 * pairs;
			i += 3) /* the host's bytes, in both halves, while the device works */
			bytes[2 * i] = host[2 * i] = (unsigned char)(r * 31 + i);
	}
	printf("neighbours rounds=%u\n%s\n", rounds, right ? "right" : "WRONG");
	VK(vkQueueWaitIdle(v.queue));
	for (int i = 0; i < 2; i++)
		vkDestroyFence(v.device, fences[i], NULL);
	minivk_pipeline_finish(&v, &pipeline);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&v, &source[i]);
	minivk_buffer_finish(&v, &shared);
	minivk_finish(&v);
	free(copies);
	free(host);
	return right ? 0 : 1;
}
