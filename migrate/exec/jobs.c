#include "migrate/exec/jobs.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/util.h"
#include "migrate/exec/commit.h"
#include "migrate/exec/link.h"
#include "migrate/exec/vitals.h"

static void check(struct jobs *j, VkResult result, const char *what)
{
	if (result < 0)
		link_lost(j->link, result, "%s failed", what);
}

void device_full_barrier(const struct device *d, VkCommandBuffer cb)
{
	const VkMemoryBarrier all = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
	};

	d->vk.vkCmdPipelineBarrier(
		cb, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1, &all, 0, NULL, 0, NULL);
}

static void begin(struct jobs *j, VkCommandBuffer buffer, VkCommandBufferUsageFlags flags)
{
	VkCommandBufferBeginInfo info = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = flags };

	check(j, j->device->vk.vkBeginCommandBuffer(buffer, &info), "vkBeginCommandBuffer");
}

void jobs_begin(struct jobs *j, VkCommandBuffer buffer)
{
	begin(j, buffer, VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
}

void jobs_end(struct jobs *j, VkCommandBuffer buffer)
{
	check(j, j->device->vk.vkEndCommandBuffer(buffer), "vkEndCommandBuffer");
}

static void init_job(struct jobs *j, struct job *job, size_t index)
{
	const struct device *d = j->device;
	VkCommandBufferAllocateInfo buffers = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = j->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 2,
	};
	VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	VkCommandBuffer handles[2];

	check(j, d->vk.vkAllocateCommandBuffers(d->handle, &buffers, handles), "vkAllocateCommandBuffers");
	job->upload = handles[0];
	job->tail = handles[1];
	check(j, d->vk.vkCreateFence(d->handle, &fence, NULL, &job->fence), "vkCreateFence");
	job->words_offset = index * sizeof(struct job_words);
	job->words = (volatile struct job_words *)j->words.map + index;
	list_init(&job->chunks);
	list_append(&j->idle, &job->link);
}

void jobs_init(struct jobs *j, const struct device *d, struct link *l)
{
	VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
		.queueFamilyIndex = d->family,
	};
	VkCommandBufferAllocateInfo barrier = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};

	*j = (struct jobs){ .device = d, .link = l };
	list_init(&j->idle);
	list_init(&j->pending);
	list_init(&j->free_chunks);
	list_init(&j->free_windows);
	if (pthread_mutex_init(&j->mutex, NULL) || pthread_cond_init(&j->submitted, NULL) ||
		pthread_cond_init(&j->finished, NULL))
		link_lost(l, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	check(j, d->vk.vkCreateCommandPool(d->handle, &pool, NULL, &j->pool), "vkCreateCommandPool");
	check(j, plain_buffer_init(&j->words, d, JOB_COUNT * sizeof(struct job_words), PLAIN_READBACK),
		"making a readback buffer");
	for (size_t i = 0; i < JOB_COUNT; i++)
		init_job(j, &j->all[i], i);
	barrier.commandPool = j->pool;
	check(j, d->vk.vkAllocateCommandBuffers(d->handle, &barrier, &j->barrier), "vkAllocateCommandBuffers");
	begin(j, j->barrier, VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
	device_full_barrier(d, j->barrier);
	jobs_end(j, j->barrier);
}

struct job *jobs_take(struct jobs *j)
{
	struct job *job;

	pthread_mutex_lock(&j->mutex);
	while (list_empty(&j->idle))
		pthread_cond_wait(&j->finished, &j->mutex);
	job = list_entry(j->idle.next, struct job, link);
	list_remove(&job->link);
	pthread_mutex_unlock(&j->mutex);

	job->ticket = ++j->last_ticket;
	job->seq = 0;
	job->has_nonce = false;
	job->final = job->brings_nothing = false;
	job->window = NULL;
	job->set_count = 0;
	/* Nothing that an earlier job left may pass for this one's. */
	*job->words = (struct job_words){ 0 };
	return job;
}

static struct staging_chunk *pop_chunk(struct jobs *j)
{
	struct staging_chunk *chunk = list_entry(j->free_chunks.next, struct staging_chunk, link);

	list_remove(&chunk->link);
	return chunk;
}

struct staging_chunk *jobs_take_chunk(struct jobs *j)
{
	struct staging_chunk *chunk = NULL;
	VkResult result;

	pthread_mutex_lock(&j->mutex);
	if (!list_empty(&j->free_chunks))
		chunk = pop_chunk(j);
	pthread_mutex_unlock(&j->mutex);
	if (chunk || j->chunk_count == STAGING_CHUNK_COUNT)
		return chunk;
	chunk = calloc(1, sizeof(*chunk));
	if (!chunk)
		link_lost(j->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	result = plain_buffer_init(&chunk->buffer, j->device, STAGING_CHUNK_BYTES, PLAIN_STAGING);
	if (result < 0) {
		free(chunk);
		if (j->chunk_count)
			return NULL;
		link_lost(j->link, result, "cannot allocate staging memory");
	}
	list_init(&chunk->link);
	j->chunk_count++;
	return chunk;
}

struct staging_chunk *jobs_wait_chunk(struct jobs *j)
{
	struct staging_chunk *chunk;

	pthread_mutex_lock(&j->mutex);
	while (list_empty(&j->free_chunks))
		pthread_cond_wait(&j->finished, &j->mutex);
	chunk = pop_chunk(j);
	pthread_mutex_unlock(&j->mutex);
	return chunk;
}

void jobs_submit(struct jobs *j, struct job *job, const VkCommandBuffer *buffers, uint32_t count)
{
	const struct device *d = j->device;
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = count,
		.pCommandBuffers = buffers,
	};

	check(j, d->vk.vkResetFences(d->handle, 1, &job->fence), "vkResetFences");
	check(j, d->vk.vkQueueSubmit(d->queue, 1, &info, job->fence), "vkQueueSubmit");
	job->submitted_ns = time_monotonic_ns();
	pthread_mutex_lock(&j->mutex);
	if (list_empty(&j->pending))
		j->working_seq = job->seq;
	j->vitals.submitted += job->final;
	list_append(&j->pending, &job->link);
	pthread_mutex_unlock(&j->mutex);
	pthread_cond_signal(&j->submitted); /* not before: who wakes wants the mutex */
}

void jobs_wait_ticket(struct jobs *j, uint64_t ticket)
{
	assert(ticket <= j->last_ticket);
	pthread_mutex_lock(&j->mutex);
	while (j->done_ticket < ticket)
		pthread_cond_wait(&j->finished, &j->mutex);
	pthread_mutex_unlock(&j->mutex);
}

void jobs_wait_seq(struct jobs *j, uint64_t seq)
{
	pthread_mutex_lock(&j->mutex);
	while (j->done_seq < seq)
		pthread_cond_wait(&j->finished, &j->mutex);
	pthread_mutex_unlock(&j->mutex);
}

void jobs_set_seq(struct jobs *j, uint64_t seq)
{
	pthread_mutex_lock(&j->mutex);
	j->done_seq = seq;
	pthread_mutex_unlock(&j->mutex);
}

uint64_t jobs_working_seq(struct jobs *j)
{
	uint64_t seq;

	pthread_mutex_lock(&j->mutex);
	seq = j->working_seq;
	pthread_mutex_unlock(&j->mutex);
	return seq;
}

struct job *jobs_next_pending(struct jobs *j)
{
	struct job *job;

	pthread_mutex_lock(&j->mutex);
	while (list_empty(&j->pending))
		pthread_cond_wait(&j->submitted, &j->mutex);
	job = list_entry(j->pending.next, struct job, link);
	pthread_mutex_unlock(&j->mutex);
	return job;
}

void jobs_vitals(struct jobs *j, struct vitals_page *ret)
{
	pthread_mutex_lock(&j->mutex);
	*ret = j->vitals;
	pthread_mutex_unlock(&j->mutex);
}

/* A submission's jobs come one behind the other; what else the queue had to do in between is not its. */
static void count(struct jobs *j, const struct job *job)
{
	if (job->seq && !j->began_ns)
		j->began_ns = job->submitted_ns > j->free_ns ? job->submitted_ns : j->free_ns;
	j->free_ns = job->done_ns;
	if (!job->final)
		return;
	j->vitals.completed++;
	j->vitals.latency[vitals_bucket(job->done_ns - j->began_ns)]++;
	j->began_ns = 0;
}

void jobs_finish(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->mutex);
	count(j, job);
	list_remove(&job->link);
	while (!list_empty(&job->chunks)) {
		struct list *chunk = job->chunks.next;

		list_remove(chunk);
		list_append(&j->free_chunks, chunk);
	}
	if (job->window) {
		list_append(&j->free_windows, &job->window->link);
		job->window = NULL;
	}
	list_append(&j->idle, &job->link);
	j->done_ticket = job->ticket;
	if (job->final)
		j->done_seq = job->seq;
	j->working_seq = list_empty(&j->pending) ? 0 : list_entry(j->pending.next, struct job, link)->seq;
	pthread_mutex_unlock(&j->mutex);
	pthread_cond_broadcast(&j->finished);
}
