/* Records into the log. */
#include "migrate/icd/stream.h"

#include <string.h>

/* Room that is always kept for one empty COMMIT: with it a full log can be trimmed. */
#define LOG_RESERVE 4096u
/* What nobody waits for is shown to the other side in pieces of this size. */
#define LOG_UNSEEN_BYTES (64u << 10)
/* This part of the log between two COMMITs: the rest of the ring takes what comes while one is under way. */
#define COMMIT_LOG_PART 2u
#define COMMIT_INTERVAL_NS 1000000000ull
/* In relaxed mode checkpoints that take long come more rarely, as long as what a loss repeats stays within seconds. */
#define COMMIT_COST_SHARE 20u
#define COMMIT_INTERVAL_MAX_NS 10000000000ull

uint64_t icd_id_of(void *ctx, uint64_t handle, VkObjectType type)
{
	(void)ctx, (void)type;
	return ((const struct icd_object *)(uintptr_t)handle)->id;
}

void icd_publish(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	if (s->published == s->head || icd_lost(d))
		return;
	ring_publish(&s->log, s->head);
	s->published = s->head;
}

static uint64_t commit_interval_ns(const struct icd_stream *s)
{
	uint64_t ns = s->relaxed ? s->commit_cost_ns * COMMIT_COST_SHARE : 0;
	ns = ns < COMMIT_INTERVAL_MAX_NS ? ns : COMMIT_INTERVAL_MAX_NS;
	return ns > COMMIT_INTERVAL_NS ? ns : COMMIT_INTERVAL_NS;
}

bool icd_commit_due(const struct icd_device *d)
{
	const struct icd_stream *s = &d->stream;
	return s->head - s->commit_head > s->log.size / COMMIT_LOG_PART ||
		time_monotonic_ns() - s->commit_time_ns > commit_interval_ns(s);
}

static void read_tail(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	if (ring_read_tail(&s->delivery, s->head, s->log.size, &s->tail) < 0)
		icd_lose(d, "the session broke the protocol");
}

static bool fits(const struct icd_stream *s, uint64_t size)
{
	return s->head + size - s->tail <= s->log.size;
}

/* Room for size bytes and the reserve. A log without any COMMIT in flight is never trimmed: so one is appended. */
static bool make_room(struct icd_device *d, uint64_t size)
{
	struct icd_stream *s = &d->stream;
	if (s->committing)
		return true; /* the reserve is for this */
	while (!icd_lost(d)) {
		if (!fits(s, size + LOG_RESERVE))
			read_tail(d);
		bool room = fits(s, size + LOG_RESERVE);
		bool in_flight = !icd_complete(d, s->commit_seq);
		if (!in_flight && (!room || s->head - s->commit_head > s->log.size / COMMIT_LOG_PART) &&
			fits(s, LOG_RESERVE)) {
			s->committing = true;
			icd_append_submit(d, NULL, 0, NULL, NULL, 0, NULL, 0, SUBMIT_COMMIT);
			s->committing = false;
		}
		if (room)
			return true;
		icd_publish(d);
		uint32_t seen = progress_sequence(&s->progress);
		icd_drain(d);
		read_tail(d);
		if (!fits(s, size + LOG_RESERVE))
			icd_sleep(d, seen, ICD_NEVER);
	}
	return false;
}

bool icd_append(struct icd_device *d, const struct record_header *head, const uint64_t *deps, const struct iovec *parts,
	size_t count)
{
	struct icd_stream *s = &d->stream;
	uint64_t size = sizeof(*head) + head->dep_count * sizeof(*deps);
	for (size_t i = 0; i < count; i++)
		size += parts[i].iov_len;
	uint64_t padded = (size + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
	if (icd_lost(d) || !make_room(d, padded))
		return false;

	struct record_header record = *head;
	record.size = (uint32_t)padded;
	record.observed = atomic_load_explicit(&s->completed, memory_order_relaxed);
	unsigned char *at = ring_at(&s->log, s->head);
	memcpy(at, &record, sizeof(record));
	at += sizeof(record);
	if (head->dep_count)
		memcpy(at, deps, head->dep_count * sizeof(*deps));
	at += head->dep_count * sizeof(*deps);
	for (size_t i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	memset(at, 0, padded - size);
	s->head += padded;
	if (s->head - s->published >= LOG_UNSEEN_BYTES)
		icd_publish(d);
	return true;
}

static uint64_t next_nonce(struct icd_stream *s)
{
	if (s->nonces_left == 0) {
		/* Without getrandom a nonce still differs from what lay in memory before. */
		if (random_bytes(s->nonces, sizeof(s->nonces)) < 0) {
			for (size_t i = 0; i < ARRAY_SIZE(s->nonces); i++)
				s->nonces[i] = (time_monotonic_ns() + i) * 0x9E3779B97F4A7C15ull;
		}
		s->nonces_left = ARRAY_SIZE(s->nonces);
	}
	return s->nonces[--s->nonces_left];
}

uint64_t icd_append_submit(struct icd_device *d, const uint64_t *deps, size_t dep_count, const struct buf *copies,
	const struct record_range *ranges, size_t range_count, const uint64_t *images, size_t image_count, uint32_t flags)
{
	struct icd_stream *s = &d->stream;
	struct record_submit submit = { .nonce = next_nonce(s), .flags = flags, .range_count = (uint32_t)range_count };
	struct iovec parts[] = {
		{ &submit, sizeof(submit) },
		{ (void *)(uintptr_t)ranges, range_count * sizeof(*ranges) },
		{ (void *)(uintptr_t)images, image_count * sizeof(*images) },
	};
	/* An empty COMMIT may come in between while this one waits for room: so the number is taken only then. */
	uint64_t size = sizeof(struct record_header) + dep_count * sizeof(*deps) + sizeof(submit) +
		range_count * sizeof(*ranges) + image_count * sizeof(*images);
	if (copies && copies->size)
		size += sizeof(struct record_header) + copies->size;
	if (icd_lost(d) || !make_room(d, size))
		return 0;
	struct record_header head = { .kind = RECORD_SUBMIT, .dep_count = (uint16_t)dep_count, .subject = s->seq + 1 };
	bool within = s->committing;
	s->committing = true;
	bool appended = true;
	if (copies && copies->size) {
		struct record_header copy_head = { .kind = RECORD_COPY };
		struct iovec part = { copies->data, copies->size };
		appended = icd_append(d, &copy_head, NULL, &part, 1);
	}
	appended = appended && icd_append(d, &head, deps, parts, ARRAY_SIZE(parts));
	s->committing = within;
	if (!appended)
		return 0;
	s->seq++;
	if (flags & (SUBMIT_COMMIT | SUBMIT_RETURN)) {
		buf_append(&s->returning, &s->seq, sizeof(s->seq));
		if (s->returning.failed)
			icd_lose(d, "out of memory");
	}
	if (flags & SUBMIT_COMMIT) {
		s->commit_seq = s->seq;
		s->commit_head = s->head;
		s->commit_time_ns = time_monotonic_ns();
		s->commit_cost_ns = 0;
	}
	return s->seq;
}

struct wire_writer *icd_record_begin(struct icd_device *d)
{
	struct icd_stream *s = &d->stream;
	pthread_mutex_lock(&d->mutex);
	buf_clear(&s->payload);
	buf_clear(&s->deps);
	return &s->writer;
}

VkResult icd_record_end(struct icd_device *d, enum record_kind kind, uint64_t subject, uint64_t key)
{
	struct icd_stream *s = &d->stream;
	size_t dep_count = s->deps.size / sizeof(uint64_t);
	VkResult result = VK_SUCCESS;
	if (s->payload.failed || s->deps.failed || dep_count > RECORD_MAX_DEPS ||
		sizeof(struct record_header) + s->deps.size + s->payload.size > RECORD_MAX_BYTES) {
		result = VK_ERROR_OUT_OF_HOST_MEMORY;
	} else {
		struct record_header head = {
			.kind = (uint16_t)kind, .dep_count = (uint16_t)dep_count, .subject = subject, .key = key
		};
		struct iovec part = { s->payload.data, s->payload.size };
		icd_append(d, &head, (const uint64_t *)(const void *)s->deps.data, &part, 1);
	}
	pthread_mutex_unlock(&d->mutex);
	return result;
}

void icd_record_plain(struct icd_device *d, enum record_kind kind, uint64_t subject)
{
	struct record_header head = { .kind = (uint16_t)kind, .subject = subject };
	pthread_mutex_lock(&d->mutex);
	icd_append(d, &head, NULL, NULL, 0);
	pthread_mutex_unlock(&d->mutex);
}
