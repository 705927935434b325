/* Floats: heat diffusion with many dispatches a submission and readbacks in mid-run.
 * stencil [--steps N] [--side N] [--every N]: prints the grid's hash each `every` submissions (of 4 steps); checks against the CPU. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "stencil.comp.h"

#define STEPS_PER_SUBMIT 4u

static void cpu_step(const float *from, float *to, uint32_t side)
{
	for (uint32_t y = 0; y < side; y++) {
		for (uint32_t x = 0; x < side; x++) {
			size_t i = (size_t)y * side + x;
			to[i] = from[i];
			if (x > 0 && y > 0 && x < side - 1 && y < side - 1)
				to[i] = from[i] * 0.5f +
					(((from[i - 1] + from[i + 1]) + from[i - side]) + from[i + side]) * 0.125f;
		}
	}
}

static bool close_to(const float *a, const float *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fabsf(a[i] - b[i]) > 1e-4f + 1e-4f * fabsf(b[i])) {
			printf("cell %zu is %.9g, should be %.9g\n", i, (double)a[i], (double)b[i]);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	uint32_t submits = minivk_option(argc, argv, "--steps", 400) / STEPS_PER_SUBMIT,
		 side = minivk_option(argc, argv, "--side", 128);
	uint32_t every = minivk_option(argc, argv, "--every", 10);
	if (side < 3 || every == 0) {
		fprintf(stderr, "--side is at least 3, --every at least 1\n");
		return 2;
	}
	struct minivk v;
	minivk_init(&v, "stencil", NULL);
	size_t cells = (size_t)side * side, size = cells * sizeof(float);
	struct minivk_buffer staging, grid[2];
	minivk_buffer(&v, &staging, size, true, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (int i = 0; i < 2; i++)
		minivk_buffer(&v, &grid[i], size, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, stencil_comp, sizeof(stencil_comp), 2, sizeof(uint32_t), 2);
	VkDescriptorSet sets[2] = { minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &grid[0], &grid[1] }),
		minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &grid[1], &grid[0] }) };
	float *a = calloc(cells, sizeof(float)), *b = calloc(cells, sizeof(float));
	if (!a || !b)
		return 1;
	for (size_t i = 0; i < cells; i++)
		a[i] = (float)(i * 2654435761u % 1000) / 7.0f;
	memcpy(staging.mapped, a, size);
	VkBufferCopy all = { 0, 0, size };
	VkCommandBuffer upload = minivk_begin(&v);
	vkCmdCopyBuffer(upload, staging.buffer, grid[0].buffer, 1, &all);
	minivk_run(&v, upload);

	VkCommandBuffer step = minivk_begin(&v); /* recorded once, submitted again and again */
	for (uint32_t s = 0; s < STEPS_PER_SUBMIT; s++) {
		minivk_barrier(step);
		vkCmdBindPipeline(step, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
		vkCmdBindDescriptorSets(step, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &sets[s & 1], 0, NULL);
		vkCmdPushConstants(step, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(side), &side);
		vkCmdDispatch(step, (side + 15) / 16, (side + 15) / 16, 1);
	}
	minivk_barrier(step);
	VK(vkEndCommandBuffer(step));
	VkFence fence = minivk_fence(&v);
	bool right = true;
	for (uint32_t n = 1; n <= submits && right; n++) {
		minivk_submit(&v, step, fence);
		minivk_wait(&v, fence);
		for (uint32_t s = 0; s < STEPS_PER_SUBMIT; s++) {
			cpu_step(a, b, side);
			float *swap = a;
			a = b;
			b = swap;
		}
		if (n % every && n != submits)
			continue;
		VkCommandBuffer download = minivk_begin(&v);
		minivk_barrier(download);
		vkCmdCopyBuffer(download, grid[0].buffer, staging.buffer, 1, &all);
		minivk_barrier(download);
		minivk_run(&v, download);
		printf("stencil step=%u hash=%016llx\n", n * STEPS_PER_SUBMIT,
			(unsigned long long)minivk_fnv(staging.mapped, size));
		fflush(stdout);
		right = close_to(staging.mapped, a, cells);
	}
	printf("%s\n", right ? "right" : "WRONG");
	vkDestroyFence(v.device, fence, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&v, &grid[i]);
	minivk_buffer_finish(&v, &staging);
	minivk_finish(&v);
	free(a);
	free(b);
	return right ? 0 : 1;
}
