/* What single calls of a Vulkan program cost, on whatever driver it finds; knows nothing of tbmesh.
 *   calls submit [--rounds N]    one small dispatch on device memory: median CPU time of vkQueueSubmit in the calling thread, and
 *                                median time from the call until the fence is signalled, in microseconds
 *   calls readback [--rounds N]  the same, and the dispatch's 4 KiB are copied to mapped memory by the submission
 *   calls upload [--mib N]       mapped memory written and copied to the device, GB/s
 *   calls download [--mib N]     device memory copied to mapped memory and read, GB/s
 *   calls paced [--mib N] [--rounds N]  N MiB of state on the device; every 10 ms a dispatch changes 4 KiB of it and they are read
 *                                back: median time from the submission to the bytes, in microseconds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/programs/minivk.h"
#include "calls.comp.h"

#define WORDS 1024u
#define WARM_ROUNDS 20u
#define TRANSFERS 5u
#define PART_BYTES (64u << 20)
#define MAX_PARTS 64u
#define PACE_US 10000.0

static double clock_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static VkCommandBuffer record_dispatch(struct minivk *v, const struct minivk_pipeline *p, VkDescriptorSet set,
	const struct minivk_buffer *data, const struct minivk_buffer *back)
{
	VkCommandBuffer c = minivk_begin(v);
	minivk_barrier(c);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0, NULL);
	vkCmdDispatch(c, WORDS / 64, 1, 1);
	if (back) {
		minivk_barrier(c);
		vkCmdCopyBuffer(c, data->buffer, back->buffer, 1, &(VkBufferCopy){ 0, 0, WORDS * 4 });
		minivk_barrier(c);
	}
	VK(vkEndCommandBuffer(c));
	return c;
}

static int submissions(struct minivk *v, bool readback, uint32_t rounds)
{
	struct minivk_buffer data, back;
	struct minivk_pipeline pipeline;
	double *cpu = calloc(rounds, sizeof(*cpu)), *wall = calloc(rounds, sizeof(*wall));
	if (!cpu || !wall)
		return 1;
	minivk_buffer(v, &data, WORDS * 4, false,
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	minivk_buffer(v, &back, WORDS * 4, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	minivk_pipeline(v, &pipeline, calls_comp, sizeof(calls_comp), 1, 0, 1);
	VkDescriptorSet set = minivk_set(v, &pipeline, (const struct minivk_buffer *[]){ &data });
	VkCommandBuffer clear = minivk_begin(v);
	vkCmdFillBuffer(clear, data.buffer, 0, VK_WHOLE_SIZE, 0);
	minivk_run(v, clear);
	VkCommandBuffer c = record_dispatch(v, &pipeline, set, &data, readback ? &back : NULL);
	VkFence fence = minivk_fence(v);
	bool right = true;
	for (uint32_t r = 0; r < rounds + WARM_ROUNDS && right; r++) {
		double cpu_before = clock_us(CLOCK_THREAD_CPUTIME_ID), before = clock_us(CLOCK_MONOTONIC);
		minivk_submit(v, c, fence);
		double cpu_after = clock_us(CLOCK_THREAD_CPUTIME_ID);
		VK(vkWaitForFences(v->device, 1, &fence, VK_TRUE, UINT64_MAX));
		double after = clock_us(CLOCK_MONOTONIC);
		VK(vkResetFences(v->device, 1, &fence));
		if (r >= WARM_ROUNDS) {
			cpu[r - WARM_ROUNDS] = cpu_after - cpu_before;
			wall[r - WARM_ROUNDS] = after - before;
		}
		const uint32_t *words = back.mapped;
		right = !readback || (words[0] == r + 1 && words[WORDS - 1] == r + WORDS);
	}
	printf("cpu_us %.3f\nsignal_us %.3f\n%s\n", median(cpu, rounds), median(wall, rounds), right ? "right" : "WRONG");
	vkDestroyFence(v->device, fence, NULL);
	minivk_pipeline_finish(v, &pipeline);
	minivk_buffer_finish(v, &data);
	minivk_buffer_finish(v, &back);
	free(cpu);
	free(wall);
	return right ? 0 : 1;
}

static int transfers(struct minivk *v, bool up, uint32_t mib)
{
	VkDeviceSize size = (VkDeviceSize)mib << 20;
	struct minivk_buffer device, host;
	double took[TRANSFERS];
	bool right = true;
	minivk_buffer(v, &device, size, false, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	minivk_buffer(v, &host, size, true, VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	uint32_t *copy = malloc(size);
	if (!copy)
		return 1;
	memset(copy, 0, size);
	for (uint32_t t = 0; t <= TRANSFERS && right; t++) { /* the first one touches all pages */
		uint32_t pattern = 0x01010101u * (t + 1);
		if (up) {
			memset(copy, (int)(t + 1), size);
		} else {
			VkCommandBuffer fill = minivk_begin(v);
			vkCmdFillBuffer(fill, device.buffer, 0, VK_WHOLE_SIZE, pattern);
			minivk_run(v, fill);
		}
		VkCommandBuffer c = minivk_begin(v);
		minivk_barrier(c);
		vkCmdCopyBuffer(c, up ? host.buffer : device.buffer, up ? device.buffer : host.buffer, 1,
			&(VkBufferCopy){ 0, 0, size });
		minivk_barrier(c);
		double before = clock_us(CLOCK_MONOTONIC);
		if (up)
			memcpy(host.mapped, copy, size);
		minivk_run(v, c);
		if (!up)
			memcpy(copy, host.mapped, size);
		if (t)
			took[t - 1] = clock_us(CLOCK_MONOTONIC) - before;
		right = copy[0] == pattern && copy[size / 4 - 1] == pattern;
	}
	printf("gbps %.3f\n%s\n", (double)size / 1e3 / median(took, TRANSFERS), right ? "right" : "WRONG");
	minivk_buffer_finish(v, &device);
	minivk_buffer_finish(v, &host);
	free(copy);
	return right ? 0 : 1;
}

static int paced(struct minivk *v, uint32_t mib, uint32_t rounds)
{
	uint32_t parts = (mib + 63) / 64;
	struct minivk_buffer part[MAX_PARTS], back;
	struct minivk_pipeline pipeline;
	VkCommandBuffer commands[MAX_PARTS];
	double *took = calloc(rounds, sizeof(*took));
	if (!took || parts == 0 || parts > MAX_PARTS)
		return 1;
	minivk_buffer(v, &back, WORDS * 4, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	minivk_pipeline(v, &pipeline, calls_comp, sizeof(calls_comp), 1, 0, parts);
	VkCommandBuffer clear = minivk_begin(v);
	for (uint32_t p = 0; p < parts; p++) {
		minivk_buffer(v, &part[p], PART_BYTES, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
		VkDescriptorSet set = minivk_set(v, &pipeline, (const struct minivk_buffer *[]){ &part[p] });
		commands[p] = record_dispatch(v, &pipeline, set, &part[p], &back);
		vkCmdFillBuffer(clear, part[p].buffer, 0, VK_WHOLE_SIZE, 1);
	}
	minivk_run(v, clear);
	VkFence fence = minivk_fence(v);
	bool right = true;
	double next = clock_us(CLOCK_MONOTONIC);
	/* The first round of each part is not timed: it warms caches up, the driver's and others'. */
	for (uint32_t r = 0; r < parts + rounds && right; r++) {
		double before = clock_us(CLOCK_MONOTONIC);
		if (before < next) {
			usleep((useconds_t)(next - before));
			before = clock_us(CLOCK_MONOTONIC);
		}
		next = before + PACE_US;
		minivk_submit(v, commands[r % parts], fence);
		minivk_wait(v, fence);
		const uint32_t *words = back.mapped;
		right = words[0] == r / parts + 2 && words[WORDS - 1] == r / parts + 2;
		if (r >= parts)
			took[r - parts] = clock_us(CLOCK_MONOTONIC) - before;
	}
	printf("readback_us %.3f\n%s\n", median(took, rounds), right ? "right" : "WRONG");
	vkDestroyFence(v->device, fence, NULL);
	minivk_pipeline_finish(v, &pipeline);
	for (uint32_t p = 0; p < parts; p++)
		minivk_buffer_finish(v, &part[p]);
	minivk_buffer_finish(v, &back);
	free(took);
	return right ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool submit = strcmp(mode, "submit") == 0, readback = strcmp(mode, "readback") == 0;
	bool up = strcmp(mode, "upload") == 0, down = strcmp(mode, "download") == 0;
	bool pace = strcmp(mode, "paced") == 0;
	if (!submit && !readback && !up && !down && !pace) {
		fprintf(stderr,
			"usage: %s submit|readback [--rounds N] | upload|download [--mib N] | paced [--mib N] [--rounds "
			"N]\n",
			argv[0]);
		return 2;
	}
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 1000), mib = minivk_option(argc, argv, "--mib", 64);
	struct minivk v;
	minivk_init(&v, "calls", NULL);
	int status = pace            ? paced(&v, mib, rounds)
		: submit || readback ? submissions(&v, readback, rounds)
				     : transfers(&v, up, mib);
	minivk_finish(&v);
	return status;
}
