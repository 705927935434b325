/* Many threads at once, as Vulkan allows: each records into a pool of its own, makes and destroys objects, submits to the one queue
 * under a lock and waits for a fence of its own, all on one device; then each on an instance and a device of its own.
 * threads [--threads N] [--rounds N] */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "minivk.h"
#include "xorshift.comp.h"

#define WORDS 4096
#define MAX_THREADS 64

struct push {
	uint32_t count, stride;
};

struct worker {
	const struct minivk *shared; /* NULL: it makes its own */
	pthread_mutex_t *queue_lock;
	uint32_t index, rounds;
	uint64_t hash;
};

static void one_round(struct minivk *v, struct worker *w, struct minivk_buffer *b, uint32_t round)
{
	VkBufferUsageFlags usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	struct push push = { WORDS, 1 + (w->index * 7 + round) % 13 };
	struct minivk_pipeline pipeline;
	struct minivk_buffer scratch;
	VkCommandBuffer c;
	VkFence fence = minivk_fence(v);

	/* Objects of a round, made and destroyed among those of the other threads. */
	minivk_pipeline(v, &pipeline, xorshift_comp, sizeof(xorshift_comp), 2, sizeof(push), 2);
	minivk_buffer(v, &scratch, WORDS * 4, false, usage);
	VkDescriptorSet there = minivk_set(v, &pipeline, (const struct minivk_buffer *[]){ b, &scratch });
	VkDescriptorSet back = minivk_set(v, &pipeline, (const struct minivk_buffer *[]){ &scratch, b });

	c = minivk_begin(v);
	vkCmdFillBuffer(c, scratch.buffer, 0, VK_WHOLE_SIZE, round);
	minivk_barrier(c);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
	vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	for (int i = 0; i < 8; i++) {
		vkCmdBindDescriptorSets(
			c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, i % 2 ? &back : &there, 0, NULL);
		vkCmdDispatch(c, WORDS / 64, 1, 1);
		minivk_barrier(c);
	}
	VK(vkEndCommandBuffer(c));
	pthread_mutex_lock(w->queue_lock);
	minivk_submit(v, c, fence);
	pthread_mutex_unlock(w->queue_lock);
	minivk_wait(v, fence);

	uint64_t seen = minivk_fnv(b->mapped, WORDS * 4);
	w->hash = minivk_fnv((uint64_t[]){ w->hash, seen }, 16);
	vkFreeCommandBuffers(v->device, v->pool, 1, &c);
	vkDestroyFence(v->device, fence, NULL);
	minivk_pipeline_finish(v, &pipeline);
	minivk_buffer_finish(v, &scratch);
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct minivk v;
	struct minivk_buffer b;

	if (w->shared) {
		v = *w->shared;
		VK(vkCreateCommandPool(v.device,
			&(VkCommandPoolCreateInfo){ .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
				.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
				.queueFamilyIndex = v.family },
			NULL, &v.pool));
	} else {
		minivk_init(&v, "threads", NULL);
	}
	minivk_buffer(&v, &b, WORDS * 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	for (uint32_t i = 0; i < WORDS; i++)
		((uint32_t *)b.mapped)[i] = i * 2654435761u + w->index + 1;
	for (uint32_t r = 0; r < w->rounds; r++)
		one_round(&v, w, &b, r);
	minivk_buffer_finish(&v, &b);
	if (w->shared)
		vkDestroyCommandPool(v.device, v.pool, NULL);
	else
		minivk_finish(&v);
	return NULL;
}

static void run(const struct minivk *shared, uint32_t threads, uint32_t rounds)
{
	pthread_mutex_t locks[MAX_THREADS];
	struct worker workers[MAX_THREADS];
	pthread_t ids[MAX_THREADS];

	for (uint32_t i = 0; i < threads; i++) {
		pthread_mutex_init(&locks[i], NULL);
		workers[i] = (struct worker){ shared, shared ? &locks[0] : &locks[i], i, rounds, 0 };
		if (pthread_create(&ids[i], NULL, work, &workers[i]))
			exit(1);
	}
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		printf("threads %s %u hash=%016llx\n", shared ? "one device" : "own device", i,
			(unsigned long long)workers[i].hash);
	}
	for (uint32_t i = 0; i < threads; i++)
		pthread_mutex_destroy(&locks[i]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint32_t threads = minivk_option(argc, argv, "--threads", 6), rounds = minivk_option(argc, argv, "--rounds", 20);
	struct minivk v;

	if (threads > MAX_THREADS)
		return fprintf(stderr, "at most %d threads\n", MAX_THREADS), 2;
	minivk_init(&v, "threads", NULL);
	run(&v, threads, rounds);
	minivk_finish(&v);
	run(NULL, threads, rounds);
	return 0;
}
