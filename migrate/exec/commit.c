#include "migrate/exec/commit.h"

#include <stdlib.h>

#include "gpu/hash.h"
#include "migrate/exec/link.h"

#define WORD 4u
#define QUAD 16u
/* A piece of this size is a window of its own, without a copy of it on the device. */
#define DIRECT_BYTES (1u << 20)

static void check(struct commit *c, VkResult result, const char *what)
{
	if (result < 0)
		link_lost(c->jobs->link, result, "%s failed", what);
}

void commit_init(struct commit *c, struct jobs *j)
{
	*c = (struct commit){ .jobs = j };
	list_init(&c->dirty);
	list_init(&c->dirty_host);
}

void commit_note_write(struct commit *c, struct memory *m, uint64_t begin, uint64_t end)
{
	begin -= begin % WORD;
	end += (WORD - end % WORD) % WORD;
	if (!range_set_add(&m->dirty, begin, end))
		link_lost(c->jobs->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	if (list_empty(&m->dirty_link))
		list_append(m->host_visible ? &c->dirty_host : &c->dirty, &m->dirty_link);
}

void commit_forget(struct commit *c, struct memory *m)
{
	(void)c;
	range_set_clear(&m->dirty);
	list_remove(&m->dirty_link);
}

bool commit_is_empty(const struct commit *c, bool host_visible)
{
	return list_empty(&c->dirty_host) && (host_visible || list_empty(&c->dirty));
}

static void make_pipeline(struct commit *c)
{
	const struct device *d = c->jobs->device;
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct hash_push) };
	const VkDescriptorPoolSize sizes[] = {
		{ VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 2 * WINDOW_COUNT },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 * WINDOW_COUNT },
	};
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 2 * WINDOW_COUNT,
		.poolSizeCount = 2,
		.pPoolSizes = sizes,
	};

	check(c,
		device_buffer_pipeline(
			d, hash_shader_code, hash_shader_size, 1, 2, &push, &c->set_layout, &c->layout, &c->pipeline),
		"making the pipeline that hashes");
	check(c, d->vk.vkCreateDescriptorPool(d->handle, &pool, NULL, &c->pool), "vkCreateDescriptorPool");
}

void commit_fill_set(struct commit *c, VkDescriptorSet set, VkBufferView texels, const VkDescriptorBufferInfo *sums)
{
	const struct device *d = c->jobs->device;
	const VkWriteDescriptorSet writes[] = {
		{
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set,
			.dstBinding = 0,
			.descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
			.pTexelBufferView = &texels,
		},
		{
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set,
			.dstBinding = 1,
			.descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = sums,
		},
	};

	d->vk.vkUpdateDescriptorSets(d->handle, 2, writes, 0, NULL);
}

static struct window *make_window(struct commit *c)
{
	const struct device *d = c->jobs->device;
	struct window *w = calloc(1, sizeof(*w));
	const VkDescriptorSetLayout layouts[] = { c->set_layout, c->set_layout };
	const VkDescriptorSetAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = c->pool,
		.descriptorSetCount = 2,
		.pSetLayouts = layouts,
	};
	VkBufferViewCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.format = VK_FORMAT_R32G32B32A32_UINT,
		.range = VK_WHOLE_SIZE,
	};
	VkDescriptorBufferInfo sums = { .range = VK_WHOLE_SIZE };
	VkDescriptorSet sets[2];

	if (!w)
		link_lost(c->jobs->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
	list_init(&w->link);
	check(c, plain_buffer_init(&w->gathered, d, WINDOW_BYTES, PLAIN_DEVICE), "allocating a window on the device");
	check(c, plain_buffer_init(&w->sums, d, 2 * sizeof(uint32_t), PLAIN_DEVICE), "allocating a window on the device");
	check(c, plain_buffer_init(&w->out, d, WINDOW_BYTES, PLAIN_READBACK), "allocating a window at the host");
	view.buffer = w->gathered.buffer;
	check(c, d->vk.vkCreateBufferView(d->handle, &view, NULL, &w->texels), "vkCreateBufferView");
	check(c, d->vk.vkAllocateDescriptorSets(d->handle, &allocate, sets), "vkAllocateDescriptorSets");
	w->set = sets[0];
	w->direct_set = sets[1];
	sums.buffer = w->sums.buffer;
	commit_fill_set(c, w->set, w->texels, &sums);
	c->window_count++;
	return w;
}

struct window *commit_take_window(struct commit *c)
{
	struct jobs *j = c->jobs;
	struct window *w = NULL;

	pthread_mutex_lock(&j->mutex);
	while (list_empty(&j->free_windows) && c->window_count == WINDOW_COUNT)
		pthread_cond_wait(&j->finished, &j->mutex);
	if (!list_empty(&j->free_windows)) {
		w = list_entry(j->free_windows.next, struct window, link);
		list_remove(&w->link);
	}
	pthread_mutex_unlock(&j->mutex);
	if (!c->pipeline)
		make_pipeline(c);
	if (!w)
		w = make_window(c);
	w->size = 0;
	w->piece_count = 0;
	w->from = w->gathered.buffer;
	w->from_offset = 0;
	w->from_set = w->set;
	w->first_quad = 0;
	return w;
}

void commit_give_window(struct commit *c, struct window *w)
{
	pthread_mutex_lock(&c->jobs->mutex);
	list_append(&c->jobs->free_windows, &w->link);
	pthread_mutex_unlock(&c->jobs->mutex);
}

/* Takes spans of m from the last one on, so that those left keep their places. */
static void gather_memory(struct commit *c, struct job *job, struct window *w, struct memory *m)
{
	const struct device *d = c->jobs->device;
	VkBufferCopy regions[64];
	uint32_t count = 0;

	m->last_ticket = job->ticket;
	while (m->dirty.count && w->size < WINDOW_BYTES && w->piece_count < WINDOW_PIECES) {
		struct span *span = &m->dirty.spans[m->dirty.count - 1];
		uint64_t room = WINDOW_BYTES - w->size;
		uint64_t size = span->end - span->begin < room ? span->end - span->begin : room;

		if (count == sizeof(regions) / sizeof(regions[0])) {
			d->vk.vkCmdCopyBuffer(job->tail, m->whole, w->gathered.buffer, count, regions);
			count = 0;
		}
		regions[count++] = (VkBufferCopy){ span->begin, w->size, size };
		w->pieces[w->piece_count++] = (struct window_piece){ m->id, span->begin, (uint32_t)size, false };
		w->size += (uint32_t)size;
		span->begin += size;
		if (span->begin == span->end)
			m->dirty.count--;
	}
	if (count)
		d->vk.vkCmdCopyBuffer(job->tail, m->whole, w->gathered.buffer, count, regions);
	if (!m->dirty.count)
		list_remove(&m->dirty_link);
}

/* The last span of m, or as much of it as goes, without gathering it. False: it is too small. */
static bool take_direct(struct commit *c, struct job *job, struct window *w, struct memory *m)
{
	const struct device *d = c->jobs->device;
	const VkDescriptorBufferInfo sums = { w->sums.buffer, 0, VK_WHOLE_SIZE };
	const uint64_t reach = memory_reach(d);
	struct span *span = &m->dirty.spans[m->dirty.count - 1];
	uint64_t begin = span->begin, size = reach - begin % reach;
	VkBufferView texels;

	size = span->end - begin < size ? span->end - begin : size;
	size = size < WINDOW_BYTES ? size : WINDOW_BYTES;
	if (begin % QUAD || size < DIRECT_BYTES)
		return false;
	check(c, memory_texels(m, d, begin / reach, &texels), "vkCreateBufferView");
	commit_fill_set(c, w->direct_set, texels, &sums);
	w->from = m->whole;
	w->from_offset = begin;
	w->from_set = w->direct_set;
	w->first_quad = (uint32_t)(begin % reach / QUAD);
	w->pieces[w->piece_count++] = (struct window_piece){ m->id, begin, (uint32_t)size, false };
	w->size = (uint32_t)size;
	m->last_ticket = job->ticket;
	span->begin += size;
	if (span->begin == span->end)
		m->dirty.count--;
	if (!m->dirty.count)
		list_remove(&m->dirty_link);
	return true;
}

static void barrier(const struct device *d, VkCommandBuffer cb, VkPipelineStageFlags from, VkAccessFlags written,
	VkPipelineStageFlags to, VkAccessFlags used)
{
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = written,
		.dstAccessMask = used,
	};

	d->vk.vkCmdPipelineBarrier(cb, from, to, 0, 1, &memory, 0, NULL, 0, NULL);
}

/* from → sums and out → words: each behind the one before, so that the words vouch for the bytes. */
void commit_record_hash(struct commit *c, struct job *job, const struct window *w, uint64_t nonce)
{
	const struct device *d = c->jobs->device;
	const struct hash_push push = {
		.n0 = (uint32_t)nonce,
		.n1 = (uint32_t)(nonce >> 32),
		.first_quad = w->first_quad,
		.word_count = w->size / WORD,
	};
	const VkBufferCopy all = { w->from_offset, 0, w->size };
	const VkBufferCopy sums = { 0, job->words_offset + offsetof(struct job_words, window_hash), 2 * sizeof(uint32_t) };
	VkCommandBuffer cb = job->tail;

	d->vk.vkCmdFillBuffer(cb, w->sums.buffer, 0, 2 * sizeof(uint32_t), 0);
	barrier(d, cb, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
		VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT);
	d->vk.vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, c->pipeline);
	d->vk.vkCmdBindDescriptorSets(cb, VK_PIPELINE_BIND_POINT_COMPUTE, c->layout, 0, 1, &w->from_set, 0, NULL);
	d->vk.vkCmdPushConstants(cb, c->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	d->vk.vkCmdDispatch(cb, hash_groups(push.word_count), 1, 1);
	d->vk.vkCmdCopyBuffer(cb, w->from, w->out.buffer, 1, &all);
	barrier(d, cb, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
		VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
	d->vk.vkCmdCopyBuffer(cb, w->sums.buffer, c->jobs->words.buffer, 1, &sums);
	d->vk.vkCmdUpdateBuffer(cb, c->jobs->words.buffer, job->words_offset + offsetof(struct job_words, window_nonce),
		sizeof(nonce), &nonce);
}

bool commit_record_window(struct commit *c, struct job *job, uint64_t nonce, uint32_t index, bool host_visible)
{
	struct window *w;

	if (commit_is_empty(c, host_visible))
		return false;
	w = commit_take_window(c);
	w->index = index;
	while (!commit_is_empty(c, host_visible) && w->size < WINDOW_BYTES && w->piece_count < WINDOW_PIECES) {
		struct list *first = list_empty(&c->dirty_host) ? c->dirty.next : c->dirty_host.next;
		struct memory *m = list_entry(first, struct memory, dirty_link);

		if (!w->size && take_direct(c, job, w, m))
			break;
		gather_memory(c, job, w, m);
	}
	commit_record_hash(c, job, w, nonce + index + 1);
	job->window = w;
	return true;
}
