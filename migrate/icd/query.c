/* Timestamps, occlusion queries and pipeline statistics. See query.h. */
#include "migrate/icd/query.h"
#include "migrate/icd/render.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

#define COPY_REGIONS 64u

static void pool_free(VkDevice device, struct icd_query_pool *p)
{
	icd_DestroyBuffer(device, p->buffer, NULL);
	icd_FreeMemory(device, p->memory, NULL);
	free(p);
}

static VkResult make_buffer(VkDevice device, struct icd_query_pool *p)
{
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = p->count * icd_query_bytes(p),
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	VkResult result = icd_CreateBuffer(device, &info, NULL, &p->buffer);
	if (result != VK_SUCCESS)
		return result;
	VkMemoryRequirements needs;
	icd_GetBufferMemoryRequirements(device, p->buffer, &needs);
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = needs.size,
		.memoryTypeIndex = MEMORY_HOST_CACHED,
	};
	result = icd_AllocateMemory(device, &allocate, NULL, &p->memory);
	if (result == VK_SUCCESS)
		result = icd_BindBufferMemory(device, p->buffer, p->memory, 0);
	void *map;
	return result == VK_SUCCESS ? icd_MapMemory(device, p->memory, 0, VK_WHOLE_SIZE, 0, &map) : result;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateQueryPool(
	VkDevice device, const VkQueryPoolCreateInfo *info, const VkAllocationCallbacks *allocator, VkQueryPool *ret_pool)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	*ret_pool = VK_NULL_HANDLE;
	const bool statistics = info->queryType == VK_QUERY_TYPE_PIPELINE_STATISTICS;
	if (!statistics && info->queryType != VK_QUERY_TYPE_TIMESTAMP && info->queryType != VK_QUERY_TYPE_OCCLUSION)
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	struct icd_query_pool *p = icd_object_create(sizeof(*p));
	if (!p)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	p->object.id = icd_new_id(d);
	p->count = info->queryCount;
	p->values = statistics ? (uint32_t)__builtin_popcount(info->pipelineStatistics) : 1;
	VkResult result = make_buffer(device, p);
	if (result == VK_SUCCESS) {
		if (info->queryType == VK_QUERY_TYPE_TIMESTAMP)
			icd_need_limit(d, ICD_LIMIT_TIMESTAMPS, 1);
		if (statistics)
			ICD_NEED_FEATURE(d, FEATURES_2, Features2, features.pipelineStatisticsQuery);
		wire_encode_vkCreateQueryPool(icd_record_begin(d), info, p->object.id);
		result = icd_record_end(d, RECORD_CREATE, p->object.id, 0);
	}
	if (result != VK_SUCCESS) {
		pool_free(device, p);
		return result == VK_ERROR_OUT_OF_HOST_MEMORY ? result : VK_ERROR_OUT_OF_DEVICE_MEMORY;
	}
	*ret_pool = ICD_HANDLE(VkQueryPool, p);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyQueryPool(VkDevice device, VkQueryPool pool, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_query_pool *p = ICD_FROM(icd_query_pool, pool);
	if (!p)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, p->object.id);
	pool_free(device, p);
}

/* Recording */

static struct icd_query_use *uses(const struct icd_command_buffer *cb, size_t *ret_count)
{
	*ret_count = cb->queries.size / sizeof(struct icd_query_use);
	return (struct icd_query_use *)(void *)cb->queries.data;
}

void icd_queries_clear(struct icd_command_buffer *cb)
{
	size_t count;
	struct icd_query_use *all = uses(cb, &count);
	for (size_t i = 0; i < count; i++)
		free(all[i].states);
	buf_clear(&cb->queries);
}

/* The pool's states in this recording; NULL when out of memory. */
static uint8_t *states_of(struct icd_command_buffer *cb, struct icd_query_pool *pool)
{
	size_t count;
	const struct icd_query_use *all = uses(cb, &count);
	for (size_t i = 0; i < count; i++)
		if (all[i].pool == pool)
			return all[i].states;
	const struct icd_query_use use = { pool, calloc(pool->count, 1) };
	if (use.states)
		buf_append(&cb->queries, &use, sizeof(use));
	if (!use.states || cb->queries.failed) {
		cb->failed = true;
		free(use.states);
		return NULL;
	}
	return use.states;
}

/* Between what the program's commands, fills and copies of ours do to the same bytes. */
static void transfer_barrier(struct icd_command_buffer *cb)
{
	const VkAccessFlags access = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = access, .dstAccessMask = access
	};
	wire_encode_vkCmdPipelineBarrier(&cb->writer, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1,
		&memory, 0, NULL, 0, NULL);
}

/* The next run of written queries from *first on; false: none. */
static bool next_written(const struct icd_query_use *use, uint32_t *first, uint32_t *ret_count)
{
	uint32_t end;
	while (*first < use->pool->count && use->states[*first] != ICD_QUERY_WRITTEN)
		++*first;
	for (end = *first; end < use->pool->count && use->states[end] == ICD_QUERY_WRITTEN;)
		end++;
	*ret_count = end - *first;
	return end > *first;
}

static void flush_pool(struct icd_command_buffer *cb, const struct icd_query_use *use)
{
	const struct icd_query_pool *p = use->pool;
	uint32_t first = 0, count;
	for (; next_written(use, &first, &count); first += count) {
		const VkDeviceSize offset = first * icd_query_bytes(p);
		icd_analyse_write(cb, ICD_FROM(icd_buffer, p->buffer), offset, count * icd_query_bytes(p));
		wire_encode_vkCmdCopyQueryPoolResults(&cb->writer, ICD_HANDLE(VkQueryPool, p), first, count, p->buffer,
			offset, icd_query_bytes(p),
			VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT | VK_QUERY_RESULT_WITH_AVAILABILITY_BIT);
	}
}

void icd_queries_flush(struct icd_command_buffer *cb)
{
	size_t count;
	const struct icd_query_use *all = uses(cb, &count);
	if (count == 0)
		return;
	if (cb->in_pass) /* a secondary command buffer: the primary one copies them behind its pass */
		return;
	transfer_barrier(cb);
	for (size_t i = 0; i < count; i++)
		flush_pool(cb, &all[i]);
	transfer_barrier(cb);
	icd_queries_clear(cb); /* the next write of one of them resets it by itself */
}

VKAPI_ATTR void VKAPI_CALL icd_CmdResetQueryPool(VkCommandBuffer handle, VkQueryPool pool, uint32_t first, uint32_t count)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	struct icd_query_pool *p = ICD_FROM(icd_query_pool, pool);
	const VkDeviceSize offset = first * icd_query_bytes(p), size = count * icd_query_bytes(p);
	uint8_t *states = states_of(cb, p);
	if (!states)
		return;
	memset(states + first, ICD_QUERY_RESET, count);
	transfer_barrier(cb);
	icd_analyse_write(cb, ICD_FROM(icd_buffer, p->buffer), offset, size);
	wire_encode_vkCmdResetQueryPool(&cb->writer, pool, first, count);
	wire_encode_vkCmdFillBuffer(&cb->writer, p->buffer, offset, size, 0);
}

/* The last command goes in front of the pass at hand. */
static void move_ahead_of_pass(struct icd_command_buffer *cb, size_t command)
{
	unsigned char *commands = cb->commands.data, moved[64];
	const size_t size = cb->commands.size - command;
	if (cb->commands.failed || size > sizeof(moved)) {
		cb->failed = true;
		return;
	}
	memcpy(moved, commands + command, size);
	memmove(commands + cb->pass_start + size, commands + cb->pass_start, command - cb->pass_start);
	memcpy(commands + cb->pass_start, moved, size);
}

/* Reset by another recording, by the host, or on another executor: the pool at hand need not know. In a render pass no query can be
 * reset: in front of it, then, and for a secondary command buffer by the primary one. */
static void make_ready(
	struct icd_command_buffer *cb, VkQueryPool pool, uint32_t query, uint32_t count, const uint8_t *states)
{
	const size_t command = cb->commands.size;
	uint32_t known = 0;
	while (known < count && states[query + known] != ICD_QUERY_UNKNOWN)
		known++;
	if (known == count || (cb->in_pass && cb->pass_start == ICD_PASS_OF_PRIMARY))
		return;
	wire_encode_vkCmdResetQueryPool(&cb->writer, pool, query, count);
	if (cb->in_pass)
		move_ahead_of_pass(cb, command);
}

void icd_queries_take(struct icd_command_buffer *cb, const struct icd_command_buffer *secondary)
{
	size_t count;
	const struct icd_query_use *all = uses(secondary, &count);
	for (size_t i = 0; i < count; i++) {
		uint8_t *states = states_of(cb, all[i].pool);
		for (uint32_t query = 0; states && query < all[i].pool->count; query++) {
			if (all[i].states[query] != ICD_QUERY_WRITTEN)
				continue;
			make_ready(cb, ICD_HANDLE(VkQueryPool, all[i].pool), query, 1, states);
			states[query] = ICD_QUERY_WRITTEN;
		}
	}
}

/* In a pass of several views one query takes as many places of its pool. */
static uint32_t places(const struct icd_command_buffer *cb, const struct icd_query_pool *p, uint32_t query)
{
	const uint32_t views = icd_view_count(cb->view_mask);
	return views < p->count - query ? views : p->count - query;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBeginQuery(
	VkCommandBuffer handle, VkQueryPool pool, uint32_t query, VkQueryControlFlags flags)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	uint8_t *states = states_of(cb, ICD_FROM(icd_query_pool, pool));
	const uint32_t count = places(cb, ICD_FROM(icd_query_pool, pool), query);
	if (!states)
		return;
	make_ready(cb, pool, query, count, states);
	memset(states + query, ICD_QUERY_RESET, count);
	wire_encode_vkCmdBeginQuery(&cb->writer, pool, query, flags);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdEndQuery(VkCommandBuffer handle, VkQueryPool pool, uint32_t query)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	uint8_t *states = states_of(cb, ICD_FROM(icd_query_pool, pool));
	if (!states)
		return;
	memset(states + query, ICD_QUERY_WRITTEN, places(cb, ICD_FROM(icd_query_pool, pool), query));
	wire_encode_vkCmdEndQuery(&cb->writer, pool, query);
}

static void write_timestamp(struct icd_command_buffer *cb, VkPipelineStageFlagBits stage, VkQueryPool pool, uint32_t query)
{
	uint8_t *states = states_of(cb, ICD_FROM(icd_query_pool, pool));
	const uint32_t count = places(cb, ICD_FROM(icd_query_pool, pool), query);
	if (!states)
		return;
	make_ready(cb, pool, query, count, states);
	memset(states + query, ICD_QUERY_WRITTEN, count);
	wire_encode_vkCmdWriteTimestamp(&cb->writer, stage, pool, query);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdWriteTimestamp(
	VkCommandBuffer handle, VkPipelineStageFlagBits stage, VkQueryPool pool, uint32_t query)
{
	write_timestamp(ICD_FROM(icd_command_buffer, handle), stage, pool, query);
}

/* The stages that the new masks add are parts of the old ones; the end of everything is behind each of them. */
VKAPI_ATTR void VKAPI_CALL icd_CmdWriteTimestamp2KHR(
	VkCommandBuffer handle, VkPipelineStageFlags2 stage, VkQueryPool pool, uint32_t query)
{
	VkPipelineStageFlagBits old = stage >> 32 ? VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT : (VkPipelineStageFlagBits)stage;
	write_timestamp(ICD_FROM(icd_command_buffer, handle), old ? old : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, pool, query);
}

static void copy_flush(
	struct icd_command_buffer *cb, VkBuffer source, VkBuffer target, uint32_t *count, const VkBufferCopy *regions)
{
	if (*count)
		wire_encode_vkCmdCopyBuffer(&cb->writer, source, target, *count, regions);
	*count = 0;
}

/* A query that this recording has reset and not written since leaves its place in the target alone. */
static bool known_reset(const struct icd_command_buffer *cb, const struct icd_query_pool *pool, uint32_t query)
{
	size_t count;
	const struct icd_query_use *all = uses(cb, &count);
	for (size_t i = 0; i < count; i++)
		if (all[i].pool == pool)
			return all[i].states[query] == ICD_QUERY_RESET;
	return false;
}

/* Appends the copies of a query's words to regions; returns how many there are then. Words are little-endian: the lower halves are what
 * 32-bit results are. */
static uint32_t put_regions(
	VkBufferCopy *regions, uint32_t made, VkDeviceSize from, VkDeviceSize to, uint32_t words, bool wide)
{
	if (wide && words)
		regions[made++] = (VkBufferCopy){ from, to, 8u * (VkDeviceSize)words };
	for (uint32_t i = 0; !wide && i < words; i++)
		regions[made++] = (VkBufferCopy){ from + 8u * i, to + 4u * i, 4 };
	return made;
}

/* A query that is not available, and of which this recording does not know it, yields 0. */
VKAPI_ATTR void VKAPI_CALL icd_CmdCopyQueryPoolResults(VkCommandBuffer handle, VkQueryPool pool, uint32_t first,
	uint32_t count, VkBuffer target, VkDeviceSize offset, VkDeviceSize stride, VkQueryResultFlags flags)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	const struct icd_query_pool *p = ICD_FROM(icd_query_pool, pool);
	const bool wide = flags & VK_QUERY_RESULT_64_BIT, availability = flags & VK_QUERY_RESULT_WITH_AVAILABILITY_BIT;
	const VkDeviceSize word = wide ? 8 : 4, bytes = icd_query_bytes(p);
	VkBufferCopy regions[COPY_REGIONS];
	uint32_t made = 0;
	bool *left_alone = calloc(count + 1, sizeof(*left_alone));
	if (!left_alone) {
		cb->failed = true;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		left_alone[i] = known_reset(cb, p, first + i);
	icd_queries_flush(cb);
	icd_analyse_read(cb, ICD_FROM(icd_buffer, p->buffer), first * bytes, count * bytes);
	for (uint32_t i = 0; i < count; i++) {
		const VkDeviceSize from = (first + i) * bytes, to = offset + i * stride;
		icd_analyse_write(cb, ICD_FROM(icd_buffer, target), to, (p->values + availability) * word);
		if (!left_alone[i])
			made = put_regions(regions, made, from, to, p->values, wide);
		if (availability)
			made = put_regions(regions, made, from + 8u * p->values, to + p->values * word, 1, wide);
		if (made + p->values + 1 > COPY_REGIONS)
			copy_flush(cb, p->buffer, target, &made, regions);
	}
	copy_flush(cb, p->buffer, target, &made, regions);
	free(left_alone);
}

/* The host's side */

VKAPI_ATTR void VKAPI_CALL icd_ResetQueryPool(VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	const struct icd_query_pool *p = ICD_FROM(icd_query_pool, pool);
	pthread_mutex_lock(&d->mutex);
	memset(ICD_FROM(icd_memory, p->memory)->map + first * icd_query_bytes(p), 0, count * icd_query_bytes(p));
	pthread_mutex_unlock(&d->mutex);
}

/* The last word of each query. */
static bool available(const uint64_t *words, uint32_t values, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!words[i * (values + (size_t)1) + values])
			return false;
	return true;
}

static void put(unsigned char *at, uint64_t value, bool wide)
{
	if (wide)
		memcpy(at, &value, sizeof(value));
	else
		memcpy(at, &(uint32_t){ (uint32_t)value }, sizeof(uint32_t));
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetQueryPoolResults(VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count,
	size_t size, void *data, VkDeviceSize stride, VkQueryResultFlags flags)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	const struct icd_query_pool *p = ICD_FROM(icd_query_pool, pool);
	const uint64_t *words =
		(const uint64_t *)(void *)ICD_FROM(icd_memory, p->memory)->map + first * (p->values + (size_t)1);
	const bool wide = flags & VK_QUERY_RESULT_64_BIT;
	const size_t word = wide ? 8 : 4;
	pthread_mutex_lock(&d->mutex);
	for (;;) {
		uint32_t seen = progress_sequence(&d->stream.progress);
		icd_drain(d);
		if (icd_lost(d) || !(flags & VK_QUERY_RESULT_WAIT_BIT) || available(words, p->values, count))
			break;
		pthread_mutex_unlock(&d->mutex);
		icd_sleep(d, seen, UINT64_MAX);
		pthread_mutex_lock(&d->mutex);
	}
	bool all = true;
	for (uint32_t i = 0; i < count && !icd_lost(d); i++) {
		unsigned char *at = (unsigned char *)data + i * stride;
		const uint64_t *query = words + i * (p->values + (size_t)1);
		bool there = query[p->values];
		all = all && there;
		if ((size_t)(at - (unsigned char *)data) + p->values * word > size)
			break;
		for (uint32_t v = 0; v < p->values && (there || (flags & VK_QUERY_RESULT_PARTIAL_BIT)); v++)
			put(at + v * word, query[v], wide);
		if (flags & VK_QUERY_RESULT_WITH_AVAILABILITY_BIT)
			put(at + p->values * word, there, wide);
	}
	pthread_mutex_unlock(&d->mutex);
	if (icd_lost(d))
		return VK_ERROR_DEVICE_LOST;
	return all ? VK_SUCCESS : VK_NOT_READY;
}
