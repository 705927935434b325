#include "migrate/exec/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/exec/blocks_shader.h" /* generated from blocks.comp: blocks_shader_code */
#include "migrate/exec/link.h"

/* Less than this is returned sooner than it is hashed, waited for and compared. */
#define WORTH_BYTES (4u << 20)
#define BLOCKS_SETS 512u
/* On CPU drivers a hash costs about a quarter of a return, on GPUs far less. Where less than this share stays, it is left for a while. */
#define WORTH_SHARE 4u
#define BACKOFF_MAX 64u
#define QUAD_BYTES 16u

struct push {
	uint32_t first_quad, quad_count, first_hash;
};

static void check(struct commit *c, VkResult result, const char *what)
{
	if (result < 0)
		link_lost(c->jobs->link, result, "%s failed", what);
}

static uint64_t block_count(const struct memory *m)
{
	return (m->size + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

bool blocks_know(struct memory *m, uint64_t offset, const uint64_t *hashes, uint64_t count)
{
	uint64_t first = offset / BLOCK_BYTES;

	if (offset % BLOCK_BYTES || first > block_count(m) || count > block_count(m) - first)
		return false;
	if (!m->hashes)
		m->hashes = calloc(block_count(m), sizeof(*m->hashes));
	if (!m->hashes)
		return false;
	memcpy(m->hashes + first, hashes, count * sizeof(*hashes));
	return true;
}

void blocks_forget(struct memory *m, uint64_t offset, uint64_t size)
{
	for (uint64_t b = offset / BLOCK_BYTES; m->hashes && b * BLOCK_BYTES < offset + size; b++)
		m->hashes[b] = 0;
}

static void forget(struct memory *m)
{
	for (size_t i = 0; i < m->dirty.count; i++)
		blocks_forget(m, m->dirty.spans[i].begin, m->dirty.spans[i].end - m->dirty.spans[i].begin);
}

bool blocks_wanted(struct commit *c)
{
	uint64_t bytes = 0;

	list_for_each(m, &c->dirty, struct memory, dirty_link)
		for (size_t i = 0; i < m->dirty.count; i++)
			bytes += m->dirty.spans[i].end - m->dirty.spans[i].begin;
	if (bytes >= WORTH_BYTES && c->skip == 0)
		return true;
	c->skip -= c->skip && bytes >= WORTH_BYTES;
	list_for_each(m, &c->dirty, struct memory, dirty_link)
		forget(m);
	return false;
}

static void make_pipeline(struct commit *c)
{
	const struct device *d = c->jobs->device;
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct push) };
	const VkDescriptorPoolSize sizes[] = {
		{ VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, BLOCKS_SETS },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, BLOCKS_SETS },
	};
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = BLOCKS_SETS,
		.poolSizeCount = 2,
		.pPoolSizes = sizes,
	};

	check(c,
		device_buffer_pipeline(d, blocks_shader_code, sizeof(blocks_shader_code), 1, 2, &push, &c->blocks_set_layout,
			&c->blocks_layout, &c->blocks_pipeline),
		"making the pipeline that hashes blocks");
	check(c, d->vk.vkCreateDescriptorPool(d->handle, &pool, NULL, &c->blocks_pool), "vkCreateDescriptorPool");
}

static uint64_t reach_blocks(const struct commit *c)
{
	return memory_reach(c->jobs->device) / BLOCK_BYTES;
}

/* Binds what lies from block `reach` × reach_blocks() of m on. */
static void bind(struct commit *c, struct job *job, const struct window *w, struct memory *m, uint64_t reach)
{
	const struct device *d = c->jobs->device;
	const VkDescriptorBufferInfo hashes = { w->gathered.buffer, 0, VK_WHOLE_SIZE };
	VkBufferView texels;
	VkDescriptorSetAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = c->blocks_pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &c->blocks_set_layout,
	};
	VkDescriptorSet set;

	check(c, memory_texels(m, d, reach, &texels), "vkCreateBufferView");
	check(c, d->vk.vkAllocateDescriptorSets(d->handle, &allocate, &set), "vkAllocateDescriptorSets");
	commit_fill_set(c, set, texels, &hashes);
	d->vk.vkCmdBindDescriptorSets(job->tail, VK_PIPELINE_BIND_POINT_COMPUTE, c->blocks_layout, 0, 1, &set, 0, NULL);
}

/* Blocks [first, last] of m, within one reach. */
static void record_run(struct commit *c, struct job *job, struct window *w, struct memory *m, uint64_t first, uint64_t last)
{
	const struct device *d = c->jobs->device;
	const uint64_t base = first / reach_blocks(c) * reach_blocks(c);
	const uint64_t end = (last + 1) * BLOCK_BYTES < m->size ? (last + 1) * BLOCK_BYTES : m->size;
	const struct push push = {
		.first_quad = (uint32_t)((first - base) * BLOCK_BYTES / QUAD_BYTES),
		.quad_count = (uint32_t)((end - first * BLOCK_BYTES) / QUAD_BYTES),
		.first_hash = w->size / (uint32_t)sizeof(uint64_t),
	};
	const uint32_t count = (uint32_t)(last - first + 1);

	d->vk.vkCmdPushConstants(job->tail, c->blocks_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	d->vk.vkCmdDispatch(job->tail, count, 1, 1);
	w->memories[w->piece_count] = m;
	w->pieces[w->piece_count++] =
		(struct window_piece){ m->id, first * BLOCK_BYTES, count * (uint32_t)sizeof(uint64_t), true };
	w->size += count * (uint32_t)sizeof(uint64_t);
}

/* False: there is no room for all of it. */
static bool record_memory(struct commit *c, struct job *job, struct window *w, struct memory *m, uint32_t *sets)
{
	const uint64_t each = reach_blocks(c), reaches = (block_count(m) + each - 1) / each;
	uint64_t next = 0, bound = UINT64_MAX;

	if (w->piece_count + m->dirty.count + reaches > WINDOW_PIECES || *sets + reaches > BLOCKS_SETS ||
		w->size + block_count(m) * sizeof(uint64_t) > WINDOW_BYTES)
		return false;
	m->last_ticket = job->ticket;
	for (size_t i = 0; i < m->dirty.count; i++) {
		uint64_t first = m->dirty.spans[i].begin / BLOCK_BYTES, last = (m->dirty.spans[i].end - 1) / BLOCK_BYTES;

		for (first = first < next ? next : first; first <= last; first = next) {
			uint64_t reach = first / each, edge = (reach + 1) * each - 1;

			if (reach != bound) {
				bind(c, job, w, m, reach);
				bound = reach;
				(*sets)++;
			}
			record_run(c, job, w, m, first, last < edge ? last : edge);
			next = (last < edge ? last : edge) + 1;
		}
	}
	return true;
}

bool blocks_record(struct commit *c, struct job *job, uint64_t nonce)
{
	const struct device *d = c->jobs->device;
	struct window *w = commit_take_window(c);
	uint32_t sets = 0;
	uint64_t bytes = 0;

	if (!c->blocks_pipeline)
		make_pipeline(c);
	else
		check(c, d->vk.vkResetDescriptorPool(d->handle, c->blocks_pool, 0), "vkResetDescriptorPool");
	w->index = 0;
	list_for_each(m, &c->dirty, struct memory, dirty_link)
		bytes += block_count(m) * sizeof(uint64_t);
	d->vk.vkCmdFillBuffer(job->tail, w->gathered.buffer, 0, bytes < WINDOW_BYTES ? bytes : WINDOW_BYTES, 0);
	device_full_barrier(d, job->tail);
	d->vk.vkCmdBindPipeline(job->tail, VK_PIPELINE_BIND_POINT_COMPUTE, c->blocks_pipeline);
	list_for_each(m, &c->dirty, struct memory, dirty_link)
		if (!record_memory(c, job, w, m, &sets))
			forget(m);
	device_full_barrier(d, job->tail);
	if (!w->size) {
		commit_give_window(c, w);
		return false;
	}
	commit_record_hash(c, job, w, nonce + 1);
	job->window = w;
	c->hashed = w;
	return true;
}

/* Takes runs of unchanged blocks out of what is dirty, and notes the hashes of the others. */
static bool drop(struct commit *c, struct memory *m, uint64_t first, const uint64_t *hashes, uint64_t count)
{
	uint64_t run = 0;

	if (!m->hashes)
		m->hashes = calloc(block_count(m), sizeof(*m->hashes));
	if (!m->hashes)
		return false;
	for (uint64_t i = 0; i <= count; i++) {
		bool same = i < count && hashes[i] && m->hashes[first + i] == hashes[i];

		if (i < count) {
			c->known += m->hashes[first + i] != 0;
			c->total++;
		}
		c->same += same;
		if (same) {
			run++;
			continue;
		}
		if (run && !range_set_cut(&m->dirty, (first + i - run) * BLOCK_BYTES, (first + i) * BLOCK_BYTES))
			return false;
		run = 0;
		if (i < count)
			m->hashes[first + i] = hashes[i];
	}
	if (!m->dirty.count)
		list_remove(&m->dirty_link);
	return true;
}

void blocks_drop_unchanged(struct commit *c)
{
	const struct window *w = c->hashed;
	const unsigned char *hashes = w->out.map;

	c->known = c->same = c->total = 0;
	for (uint32_t i = 0; i < w->piece_count; i++) {
		const struct window_piece *p = &w->pieces[i];

		if (!drop(c, w->memories[i], p->offset / BLOCK_BYTES, (const uint64_t *)(const void *)hashes,
			    p->size / sizeof(uint64_t)))
			link_lost(c->jobs->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
		hashes += p->size;
	}
	if (c->known < c->total / 2)
		return; /* says nothing yet */
	if (c->same * WORTH_SHARE >= c->known)
		c->backoff = 0;
	else
		c->skip = c->backoff = c->backoff == 0 ? 2 : c->backoff < BACKOFF_MAX ? c->backoff * 2 : BACKOFF_MAX;
}
