/* What the session delivers: bytes that the device changed, completions, answers. */
#include "migrate/icd/memory.h"
#include "migrate/icd/stream.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "migrate/stream/delta.h"
#include "proto/delivery.h"

#define SLICE_MS 500
#define CHECK_INTERVAL_NS 100000000ull

void icd_lose(struct icd_device *d, const char *why)
{
	if (atomic_exchange(&d->stream.lost, true))
		return;
	icd_say("the GPU is lost to this program: %s", why);
	if (d->stream.progress.page)
		progress_nudge(&d->stream.progress);
}

/* Only where the host has not written since its last capture: what it wrote there is newer. */
static void apply_gently(uint64_t mask, const unsigned char *bytes, unsigned char *map, unsigned char *seen)
{
	for (; mask; mask &= mask - 1) {
		unsigned at = (unsigned)__builtin_ctzll(mask);
		if (map[at] == seen[at])
			map[at] = bytes[at];
		seen[at] = bytes[at]; /* so that what the host wrote is captured, whatever it is */
	}
}

static void apply(struct icd_memory *m, const struct delta_spans *d, bool gently)
{
	const unsigned char *bytes = d->bytes;
	const uint64_t *mask = d->masks;
	for (uint32_t i = 0; i < d->span_count; i++) {
		uint64_t at = d->spans[i].offset, end = at + d->spans[i].size;
		for (; at < end; at += DELTA_BLOCK_BYTES, mask++) {
			if (gently) {
				apply_gently(*mask, bytes, m->map + at, m->seen + at);
			} else {
				delta_apply_block(*mask, bytes, m->map + at);
				delta_apply_block(*mask, bytes, m->seen + at);
			}
			bytes += end - at < DELTA_BLOCK_BYTES ? end - at : DELTA_BLOCK_BYTES;
		}
	}
}

/* The session owns this program's state and is trusted with it; the checks guard against mistakes. */
static void take_delta(struct icd_device *d, const struct delivery_header *head, const void *payload)
{
	struct icd_memory *memory = icd_memory_find(d, head->subject);
	struct delta_spans delta;
	if (!memory || !memory->map)
		return; /* freed while it was on its way */
	if (delta_parse_spans(payload, head->size - sizeof(*head), memory->size, &delta) < 0) {
		icd_lose(d, "the session broke the protocol");
		return;
	}
	apply(memory, &delta, head->value);
}

static void take_lost(struct icd_device *d, const struct delivery_header *head, const char *why)
{
	char text[300];
	uint64_t length = head->value <= head->size - sizeof(*head) ? head->value : 0;
	snprintf(text, sizeof(text), "no executor can carry on%s%.*s (see 'tbmesh events')", length ? ": " : "",
		(int)(length < sizeof(text) ? length : sizeof(text)), why);
	icd_lose(d, text);
}

static void complete(struct icd_stream *s, uint64_t seq)
{
	if (seq <= atomic_load_explicit(&s->completed, memory_order_relaxed))
		return;
	if (seq >= s->commit_seq && !s->commit_cost_ns)
		s->commit_cost_ns = time_monotonic_ns() - s->commit_time_ns;
	atomic_store_explicit(&s->completed, seq, memory_order_release);
}

static void take_complete(struct icd_stream *s, uint64_t seq)
{
	const uint64_t *returning = (const uint64_t *)(const void *)s->returning.data;
	size_t count = s->returning.size / sizeof(*returning), done = 0;
	while (done < count && returning[done] <= seq)
		done++;
	if (done) {
		memmove(s->returning.data, returning + done, (count - done) * sizeof(*returning));
		s->returning.size -= done * sizeof(*returning);
	}
	complete(s, seq);
}

/* An executor's word counts up to the first submission that brings something: that comes from the session. */
static void take_progress(struct icd_stream *s, uint64_t seq)
{
	uint64_t last = s->seq;
	if (s->returning.size)
		last = *(const uint64_t *)(const void *)s->returning.data - 1;
	complete(s, seq < last ? seq : last);
	atomic_store_explicit(&s->told, seq, memory_order_release);
}

static void take(struct icd_device *d, const struct delivery_header *head, const void *payload)
{
	struct icd_stream *s = &d->stream;
	switch ((enum delivery_kind)head->kind) {
	case DELIVERY_DELTA:
		take_delta(d, head, payload);
		return;
	case DELIVERY_COMPLETE:
		if (head->subject > s->seq)
			icd_lose(d, "the session broke the protocol");
		else
			take_complete(s, head->subject);
		return;
	case DELIVERY_ALLOCATED:
		icd_memory_answer(d, head->subject, (VkResult)(int32_t)(uint32_t)head->value);
		return;
	case DELIVERY_LOST:
		take_lost(d, head, payload);
		return;
	}
	icd_lose(d, "the session broke the protocol");
}

void icd_drain(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	uint64_t at = atomic_load_explicit(&s->taken, memory_order_relaxed), start = at, end = 0;
	uint64_t said = progress_seq(&s->progress);
	if (icd_lost(d))
		return;
	if (ring_read_head(&s->delivery, at, &end) < 0) {
		icd_lose(d, "the session broke the protocol");
		return;
	}
	while (at < end && !icd_lost(d)) {
		struct delivery_header head;
		const unsigned char *record = ring_at(&s->delivery, at);
		if (end - at >= sizeof(head))
			memcpy(&head, record, sizeof(head));
		if (end - at < sizeof(head) || head.size < sizeof(head) || head.size % 8 || head.size > end - at) {
			icd_lose(d, "the session broke the protocol");
			return;
		}
		take(d, &head, record + sizeof(head));
		at += head.size;
	}
	if (!icd_lost(d))
		take_progress(s, said);
	if (at != start) {
		atomic_store_explicit(&s->taken, at, memory_order_release);
		/* A release wakes all who read the log: so only now and then. */
		if (at - s->released > s->delivery.size / 8) {
			ring_release(&s->log, at);
			s->released = at;
		}
	}
}

/* The session's socket says nothing after the opening; its end is the session's end. */
static void check_session(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	struct pollfd p = { .fd = s->socket, .events = POLLIN };
	atomic_store_explicit(&s->checked_ns, time_monotonic_ns(), memory_order_relaxed);
	if (poll(&p, 1, 0) > 0)
		icd_lose(d, "its session ended");
}

bool icd_poll(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	uint64_t head = 0;
	if (progress_seq(&s->progress) != atomic_load_explicit(&s->told, memory_order_acquire) ||
		ring_read_head(&s->delivery, atomic_load_explicit(&s->taken, memory_order_acquire), &head) < 0 ||
		head != atomic_load_explicit(&s->taken, memory_order_acquire)) {
		pthread_mutex_lock(&d->mutex);
		icd_drain(d);
		pthread_mutex_unlock(&d->mutex);
	} else if (time_monotonic_ns() - atomic_load_explicit(&s->checked_ns, memory_order_relaxed) > CHECK_INTERVAL_NS) {
		check_session(d);
	}
	return !icd_lost(d);
}

void icd_sleep(struct icd_device *d, uint32_t seen, uint64_t deadline_ns)
{
	uint64_t now = time_monotonic_ns();
	if (now >= deadline_ns)
		return;
	uint64_t left_ms = (deadline_ns - now + 999999) / 1000000;
	progress_wait(&d->stream.progress, seen, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
	if (time_monotonic_ns() - atomic_load_explicit(&d->stream.checked_ns, memory_order_relaxed) > CHECK_INTERVAL_NS)
		check_session(d);
}
