/* From the queue into the log: what a submission reads of the host, its recordings, and the SUBMIT itself. */
#include "migrate/icd/queue.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/stream/delta.h"

#define WRITE_MAX_BYTES (2u << 20)
#define LARGE_RUN_BYTES (16u << 10)
#define CAPTURE_STEP_BYTES (256u << 10)
/* What a run of its own costs on the way and on the GPU, about. */
#define GAP_BYTES 64u
/* More ranges than this in one SUBMIT are made coarser. */
#define RANGES_MAX 65536u
/* More copies than this are written ranges. */
#define COPIES_MAX 65536u

struct icd_scratch {
	struct icd_ranges captures, writes;
	struct icd_command_buffer resolved; /* of icd_lates_resolve */
	struct buf images;                  /* struct icd_image_use[] */
	struct buf image_ids;               /* uint64_t[], of those */
	struct buf deps;                    /* uint64_t[] */
	struct buf copies;                  /* struct record_copy[] */
	struct buf runs, bytes;             /* of the WRITE being made */
};

struct icd_scratch *icd_scratch_create(void)
{
	return calloc(1, sizeof(struct icd_scratch));
}

void icd_scratch_destroy(struct icd_scratch *s)
{
	if (!s)
		return;
	icd_ranges_finish(&s->captures);
	icd_ranges_finish(&s->writes);
	buf_finish(&s->images);
	icd_ranges_finish(&s->resolved.captures);
	icd_ranges_finish(&s->resolved.writes);
	buf_finish(&s->resolved.images);
	buf_finish(&s->image_ids);
	buf_finish(&s->deps);
	buf_finish(&s->copies);
	buf_finish(&s->runs);
	buf_finish(&s->bytes);
	free(s);
}

/* A copy with runs of its own being made: one memory, one range. */
struct capture {
	struct icd_device *device;
	struct icd_memory *memory;
	uint64_t base; /* of the range */
	uint64_t gap;  /* runs as near as this become one */
	uint64_t held_at, held_size;
};

static void capture_flush(struct icd_device *d, const struct icd_memory *m)
{
	struct icd_scratch *s = d->scratch;
	if (s->runs.size == 0)
		return;
	struct record_write write = { .run_count = (uint32_t)(s->runs.size / sizeof(struct record_run)),
		.byte_count = s->bytes.size };
	struct record_header head = { .kind = RECORD_WRITE, .subject = m->object.id };
	struct iovec parts[] = { { &write, sizeof(write) }, { s->runs.data, s->runs.size },
		{ s->bytes.data, s->bytes.size } };
	icd_append(d, &head, NULL, parts, ARRAY_SIZE(parts));
	buf_clear(&s->runs);
	buf_clear(&s->bytes);
}

/* Into the log in one copy. `seen` becomes what the log has: the program may be writing beside it. */
static void capture_large(const struct capture *c, uint64_t at, uint64_t size)
{
	struct icd_stream *stream = &c->device->stream;
	struct record_write write = { .run_count = 1, .byte_count = size };
	struct record_run run = { at, size };
	struct record_header head = { .kind = RECORD_WRITE, .subject = c->memory->object.id };
	struct iovec parts[] = { { &write, sizeof(write) }, { &run, sizeof(run) }, { c->memory->map + at, size } };
	uint64_t whole = sizeof(head) + sizeof(write) + sizeof(run) + size;
	uint64_t padded = (whole + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
	if (icd_append(c->device, &head, NULL, parts, ARRAY_SIZE(parts)))
		memcpy(c->memory->seen + at, ring_at(&stream->log, stream->head - padded + whole - size), size);
}

/* The same for small ones, several to a record. */
static int capture_small(const struct capture *c, uint64_t at, uint64_t size)
{
	struct icd_scratch *s = c->device->scratch;
	if (s->runs.size + s->bytes.size + sizeof(struct record_run) + size > WRITE_MAX_BYTES)
		capture_flush(c->device, c->memory);
	struct record_run run = { at, size };
	buf_append(&s->runs, &run, sizeof(run));
	unsigned char *copy = buf_extend(&s->bytes, size);
	if (!copy || s->runs.failed)
		return -1;
	memcpy(copy, c->memory->map + at, size);
	memcpy(c->memory->seen + at, copy, size);
	return 0;
}

static int capture_held(struct capture *c)
{
	uint64_t at = c->held_at, size = c->held_size;
	c->held_size = 0;
	if (size <= LARGE_RUN_BYTES)
		return size ? capture_small(c, at, size) : 0;
	capture_flush(c->device, c->memory);
	for (uint64_t part; size; at += part, size -= part) {
		part = size < WRITE_MAX_BYTES ? size : WRITE_MAX_BYTES;
		capture_large(c, at, part);
	}
	return 0;
}

static int capture_run(void *ctx, uint64_t offset, uint64_t size)
{
	struct capture *c = ctx;
	uint64_t at = c->base + offset, end = c->held_at + c->held_size;
	if (c->held_size && at - end <= c->gap) {
		c->held_size = at + size - c->held_at;
		return 0;
	}
	int error = capture_held(c);
	c->held_at = at;
	c->held_size = size;
	return error;
}

/* Puts the host's changes of these ranges into the log; ranges ascend by memory. false: out of memory. */
static bool capture(struct icd_device *d, const struct icd_ranges *ranges)
{
	struct icd_scratch *s = d->scratch;
	struct icd_memory *m = NULL;
	int error = 0;
	for (size_t i = 0; i < ranges->count && error == 0; i++) {
		const struct record_range *r = &ranges->items[i];
		if (!m || m->object.id != r->memory) {
			if (m)
				capture_flush(d, m);
			m = icd_memory_find(d, r->memory);
		}
		if (!m || !m->map || !atomic_load_explicit(&m->touched, memory_order_acquire) || r->offset >= m->size)
			continue;
		uint64_t size = r->size < m->size - r->offset ? r->size : m->size - r->offset;
		/* Bytes between runs are the device's as well, unless a submission on its way may change them. */
		struct capture c = { .device = d, .memory = m, .base = r->offset };
		c.gap = icd_complete(d, m->written_seq) ? GAP_BYTES : 0;
		/* What was compared is still in the cache when it is copied. */
		for (uint64_t at = 0, step; at < size && error == 0; at += step) {
			step = size - at < CAPTURE_STEP_BYTES ? size - at : CAPTURE_STEP_BYTES;
			c.base = r->offset + at;
			error = delta_walk(m->seen + c.base, m->map + c.base, step, capture_run, &c);
			if (error == 0 && c.held_size >= CAPTURE_STEP_BYTES)
				error = capture_held(&c);
		}
		if (error == 0)
			error = capture_held(&c);
	}
	if (m && error == 0)
		capture_flush(d, m);
	buf_clear(&s->runs);
	buf_clear(&s->bytes);
	return error == 0;
}

/* The recording goes into the log when it is first submitted; a primary's secondaries before it. */
static void send_recordings(struct icd_device *d, const struct icd_submission *s)
{
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct buf *list = &s->buffers[i]->secondaries;
		struct icd_command_buffer **secondaries = (struct icd_command_buffer **)(void *)list->data;
		for (size_t j = 0; j < list->size / sizeof(*secondaries); j++)
			icd_recording_send(d, secondaries[j]);
		icd_recording_send(d, s->buffers[i]);
	}
}

/* Ranges may have been resolved before a memory was freed or a buffer bound smaller: what does not exist cannot be written. */
static void clip(struct icd_device *d, struct icd_ranges *ranges)
{
	size_t kept = 0;
	const struct icd_memory *m = NULL;
	for (size_t i = 0; i < ranges->count; i++) {
		struct record_range r = ranges->items[i];
		if (!m || m->object.id != r.memory)
			m = icd_memory_find(d, r.memory);
		if (!m || r.offset >= m->size)
			continue;
		if (r.size > m->size - r.offset)
			r.size = m->size - r.offset;
		ranges->items[kept++] = r;
	}
	ranges->count = kept;
}

/* A checkpoint that is only due comes behind the program's own submission, which is complete without it. */
static uint32_t submit_flags(const struct icd_device *d, bool writes_host)
{
	return !writes_host ? 0 : d->stream.relaxed ? SUBMIT_RETURN : SUBMIT_COMMIT;
}

static bool fits_memory(struct icd_device *d, uint64_t id, uint64_t offset, uint64_t size)
{
	const struct icd_memory *m = icd_memory_find(d, id);
	return m && offset <= m->size && size <= m->size - offset;
}

/* The session knows host-visible memory as it is at a COMMIT, and what the host wrote since. */
static bool source_known(struct icd_device *d, const struct record_copy *c, bool writes_host)
{
	const struct icd_memory *m = c->source ? icd_memory_find(d, c->source) : NULL;
	return !c->source ||
		(!writes_host && m && m->written_seq <= d->stream.commit_seq &&
			fits_memory(d, c->source, c->source_offset, c->size));
}

/* Copies whose source is not what the session knows are plain writes. */
static void collect_copies(struct icd_device *d, const struct icd_command_buffer *cb, bool writes_host, bool images)
{
	struct icd_scratch *s = d->scratch;
	const struct record_copy *copies = (const struct record_copy *)(const void *)cb->copies.data;
	for (size_t i = 0; i < cb->copies.size / sizeof(*copies); i++) {
		const struct record_copy *c = &copies[i];
		if (!images && s->copies.size / sizeof(*c) < COPIES_MAX && fits_memory(d, c->memory, c->offset, c->size) &&
			source_known(d, c, writes_host)) {
			buf_append(&s->copies, c, sizeof(*c));
			continue;
		}
		icd_ranges_add(&s->writes, c->memory, c->offset, c->size);
		if (s->images.size)
			icd_image_uses_overwrite(&s->images, c->memory, c->offset, c->size);
	}
}

static void note_written(struct icd_device *d, const struct icd_ranges *writes, uint64_t seq)
{
	uint64_t last = 0;
	for (size_t i = 0; i < writes->count; i++) {
		struct icd_memory *m = writes->items[i].memory == last ? NULL : icd_memory_find(d, writes->items[i].memory);
		last = writes->items[i].memory;
		if (m)
			m->written_seq = seq;
	}
}

static bool submit(struct icd_device *d, const struct icd_submission *s)
{
	struct icd_scratch *scratch = d->scratch;
	bool writes_host = false, images = false;
	icd_ranges_clear(&scratch->captures);
	icd_ranges_clear(&scratch->writes);
	buf_clear(&scratch->images);
	buf_clear(&scratch->image_ids);
	buf_clear(&scratch->deps);
	buf_clear(&scratch->copies);
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct icd_command_buffer *cb = icd_lates_resolve(s->buffers[i], &scratch->resolved);
		writes_host |= cb->writes_host;
		images |= cb->images.size != 0;
	}
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct icd_command_buffer *cb = icd_lates_resolve(s->buffers[i], &scratch->resolved);
		collect_copies(d, s->buffers[i], writes_host, images);
		icd_ranges_add_all(&scratch->captures, &cb->captures);
		icd_ranges_add_all(&scratch->writes, &cb->writes);
		icd_image_uses_add(&scratch->images, &cb->images, &cb->writes);
		buf_append(&scratch->deps, &s->buffers[i]->object.id, sizeof(uint64_t));
	}
	icd_ranges_tidy(&scratch->captures);
	icd_ranges_tidy(&scratch->writes);
	clip(d, &scratch->writes);
	if (scratch->writes.count > RANGES_MAX)
		icd_ranges_coarsen(&scratch->writes);
	const struct icd_image_use *uses = (const struct icd_image_use *)(const void *)scratch->images.data;
	for (size_t i = 0; i < scratch->images.size / sizeof(*uses); i++)
		buf_append(&scratch->image_ids, &uses[i].id, sizeof(uses[i].id));
	if (scratch->images.failed || scratch->resolved.images.failed || scratch->image_ids.failed ||
		scratch->captures.failed || scratch->writes.failed || scratch->deps.failed || scratch->copies.failed ||
		!capture(d, &scratch->captures))
		return false;
	send_recordings(d, s);
	uint64_t seq = icd_append_submit(d, (const uint64_t *)(const void *)scratch->deps.data, s->buffer_count,
		&scratch->copies, scratch->writes.items, scratch->writes.count,
		(const uint64_t *)(const void *)scratch->image_ids.data, scratch->image_ids.size / sizeof(uint64_t),
		submit_flags(d, writes_host));
	if (seq) {
		d->stream.own_seq = seq;
		if (writes_host)
			note_written(d, &scratch->writes, seq);
	}
	return true;
}

/* Would every wait for an event in these recordings find it set, going through them in order? The end is left in `trial`. */
static bool try_events(struct icd_device *d, const struct icd_submission *s)
{
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct icd_event_use *uses = (const struct icd_event_use *)(const void *)s->buffers[i]->events.data;
		for (size_t j = 0; j < s->buffers[i]->events.size / sizeof(*uses); j++) {
			icd_event_advance(d, uses[j].event);
			uses[j].event->trial = uses[j].event->future;
		}
	}
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct icd_event_use *uses = (const struct icd_event_use *)(const void *)s->buffers[i]->events.data;
		for (size_t j = 0; j < s->buffers[i]->events.size / sizeof(*uses); j++) {
			switch (uses[j].action) {
			case ICD_EVENT_SET:
				uses[j].event->trial = true;
				break;
			case ICD_EVENT_RESET:
				uses[j].event->trial = false;
				break;
			case ICD_EVENT_WAIT:
				if (!uses[j].event->trial)
					return false;
				break;
			}
		}
	}
	return true;
}

static bool runnable(struct icd_device *d, const struct icd_submission *s)
{
	for (uint32_t i = 0; i < s->wait_count; i++) {
		if (s->waits[i].semaphore->future < s->waits[i].value)
			return false;
	}
	return try_events(d, s);
}

static void add_point(struct icd_device *d, struct buf *points, uint64_t value)
{
	const struct icd_point point = { d->stream.own_seq, value };
	buf_append(points, &point, sizeof(point));
	if (points->failed)
		icd_lose(d, "out of memory");
}

/* What the submission signals when it is complete; an empty one is complete with the one before it. */
static void signal(struct icd_device *d, const struct icd_submission *s)
{
	for (uint32_t i = 0; i < s->buffer_count; i++) {
		const struct icd_event_use *uses = (const struct icd_event_use *)(const void *)s->buffers[i]->events.data;
		for (size_t j = 0; j < s->buffers[i]->events.size / sizeof(*uses); j++) {
			struct icd_event *e = uses[j].event;
			if (uses[j].action == ICD_EVENT_WAIT)
				continue;
			e->future = e->trial;
			add_point(d, &e->points, e->trial);
		}
	}
	for (uint32_t i = 0; i < s->signal_count; i++) {
		struct icd_semaphore *semaphore = s->signals[i].semaphore;
		if (s->signals[i].value > semaphore->future)
			semaphore->future = s->signals[i].value;
		add_point(d, &semaphore->points, s->signals[i].value);
	}
	if (s->fence)
		atomic_store_explicit(&s->fence->seq, d->stream.own_seq, memory_order_release);
}

void icd_flush_pending(struct icd_device *d)
{
	while (!list_empty(&d->pending) && !icd_lost(d)) {
		struct icd_submission *s = list_entry(d->pending.next, struct icd_submission, link);
		if (!runnable(d, s))
			break;
		if (s->buffer_count && !submit(d, s))
			icd_lose(d, "out of memory");
		signal(d, s);
		if (s->buffer_count && icd_commit_due(d) && icd_complete(d, d->stream.commit_seq))
			icd_append_submit(d, NULL, 0, NULL, NULL, 0, NULL, 0, SUBMIT_COMMIT);
		list_remove(&s->link);
		free(s);
	}
	icd_publish(d);
	pthread_cond_broadcast(&d->changed);
}

/* One allocation holds a submission and its arrays. */
static struct icd_submission *submission_create(uint32_t waits, uint32_t signals, uint32_t buffers)
{
	struct icd_submission *s = calloc(1,
		sizeof(*s) + ((size_t)waits + signals) * sizeof(struct icd_wait) +
			buffers * sizeof(struct icd_command_buffer *));
	if (!s)
		return NULL;
	list_init(&s->link);
	s->waits = (struct icd_wait *)(s + 1);
	s->signals = s->waits + waits;
	s->buffers = (struct icd_command_buffer **)(s->signals + signals);
	return s;
}

static void add_wait(struct icd_wait *array, uint32_t *count, VkSemaphore semaphore, uint64_t value)
{
	struct icd_semaphore *s = ICD_FROM(icd_semaphore, semaphore);
	if (s->timeline)
		array[(*count)++] = (struct icd_wait){ s, value };
}

static struct icd_submission *take_batch(const VkSubmitInfo *info)
{
	const VkTimelineSemaphoreSubmitInfo *values =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
	struct icd_submission *s =
		submission_create(info->waitSemaphoreCount, info->signalSemaphoreCount, info->commandBufferCount);
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < info->waitSemaphoreCount; i++)
		add_wait(s->waits, &s->wait_count, info->pWaitSemaphores[i],
			values && i < values->waitSemaphoreValueCount ? values->pWaitSemaphoreValues[i] : 0);
	for (uint32_t i = 0; i < info->signalSemaphoreCount; i++)
		add_wait(s->signals, &s->signal_count, info->pSignalSemaphores[i],
			values && i < values->signalSemaphoreValueCount ? values->pSignalSemaphoreValues[i] : 0);
	for (uint32_t i = 0; i < info->commandBufferCount; i++)
		s->buffers[s->buffer_count++] = ICD_FROM(icd_command_buffer, info->pCommandBuffers[i]);
	return s;
}

static struct icd_submission *take_batch2(const VkSubmitInfo2 *info)
{
	struct icd_submission *s = submission_create(
		info->waitSemaphoreInfoCount, info->signalSemaphoreInfoCount, info->commandBufferInfoCount);
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < info->waitSemaphoreInfoCount; i++)
		add_wait(s->waits, &s->wait_count, info->pWaitSemaphoreInfos[i].semaphore,
			info->pWaitSemaphoreInfos[i].value);
	for (uint32_t i = 0; i < info->signalSemaphoreInfoCount; i++)
		add_wait(s->signals, &s->signal_count, info->pSignalSemaphoreInfos[i].semaphore,
			info->pSignalSemaphoreInfos[i].value);
	for (uint32_t i = 0; i < info->commandBufferInfoCount; i++)
		s->buffers[s->buffer_count++] = ICD_FROM(icd_command_buffer, info->pCommandBufferInfos[i].commandBuffer);
	return s;
}

/* batches: in order; owned. NULL among them: out of memory. */
static VkResult enqueue(struct icd_device *d, struct icd_submission **batches, uint32_t count)
{
	VkResult result = icd_lost(d) ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
	for (uint32_t i = 0; i < count; i++) {
		if (!batches[i] || batches[i]->buffer_count > RECORD_MAX_DEPS)
			result = VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	if (result != VK_SUCCESS) {
		for (uint32_t i = 0; i < count; i++)
			free(batches[i]);
		return result;
	}
	pthread_mutex_lock(&d->mutex);
	for (uint32_t i = 0; i < count; i++)
		list_append(&d->pending, &batches[i]->link);
	icd_drain(d);
	icd_flush_pending(d);
	pthread_mutex_unlock(&d->mutex);
	return icd_lost(d) ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

/* The fence is the last batch's; without a batch it gets one of its own. */
static VkResult enqueue_all(
	struct icd_device *d, uint32_t count, const VkSubmitInfo *infos, const VkSubmitInfo2 *infos2, VkFence fence)
{
	uint32_t total = count + (count == 0 && fence ? 1 : 0);
	if (total == 0)
		return VK_SUCCESS;
	struct icd_submission **batches = calloc(total, sizeof(struct icd_submission *));
	if (!batches)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < count; i++)
		batches[i] = infos ? take_batch(&infos[i]) : take_batch2(&infos2[i]);
	if (count == 0)
		batches[0] = submission_create(0, 0, 0);
	if (fence && batches[total - 1])
		batches[total - 1]->fence = ICD_FROM(icd_fence, fence);
	VkResult result = enqueue(d, batches, total);
	free(batches);
	return result;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_QueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence)
{
	return enqueue_all(ICD_FROM(icd_queue, queue)->device, count, infos, NULL, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_QueueSubmit2KHR(VkQueue queue, uint32_t count, const VkSubmitInfo2 *infos, VkFence fence)
{
	return enqueue_all(ICD_FROM(icd_queue, queue)->device, count, NULL, infos, fence);
}

/* Sparse resources are not offered: what is left of the call is its synchronization. */
VKAPI_ATTR VkResult VKAPI_CALL icd_QueueBindSparse(
	VkQueue queue, uint32_t count, const VkBindSparseInfo *infos, VkFence fence)
{
	VkResult result = VK_SUCCESS;
	for (uint32_t i = 0; i < count && result == VK_SUCCESS; i++) {
		const VkSubmitInfo info = {
			.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
			.pNext = infos[i].pNext,
			.waitSemaphoreCount = infos[i].waitSemaphoreCount,
			.pWaitSemaphores = infos[i].pWaitSemaphores,
			.signalSemaphoreCount = infos[i].signalSemaphoreCount,
			.pSignalSemaphores = infos[i].pSignalSemaphores,
		};
		result = icd_QueueSubmit(queue, 1, &info, VK_NULL_HANDLE);
	}
	return result == VK_SUCCESS ? icd_QueueSubmit(queue, 0, NULL, fence) : result;
}
