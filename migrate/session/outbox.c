#include "migrate/session/outbox.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "migrate/session/delivery.h"

#define CROWDED_BYTES (64u << 20)
#define SHOW_BYTES (1u << 20) /* a reader that is already waiting may begin after this much */
#define LOOK_MS 100

static void show(struct outbox *o)
{
	if (ring_head(&o->ring) == o->head)
		return;
	ring_set_head(&o->ring, o->head);
	progress_wake(&o->progress);
}

static bool room(struct outbox *o, uint64_t size)
{
	if (o->head + size - o->tail <= o->ring.size)
		return true;
	if (!o->broken && ring_read_tail(o->log, o->head, o->ring.size, &o->tail) < 0) {
		log_warn("the program says that it has read what was not written; it gets nothing more");
		o->broken = true;
	}
	return o->head + size - o->tail <= o->ring.size;
}

/* Where a record of that size is to be written; in the ring when it is its turn and there is room. NULL: nowhere. */
static unsigned char *take_place(struct outbox *o, uint32_t size)
{
	unsigned char *at;

	if (o->broken)
		return NULL;
	if (o->aside_start == o->aside.size && room(o, size)) {
		at = ring_at(&o->ring, o->head);
		o->head += size;
		return at;
	}
	at = buf_extend(&o->aside, size);
	if (!at) {
		log_error("out of memory for what the program has not read yet");
		o->broken = true;
	}
	pthread_cond_signal(&o->changed);
	return at;
}

/* Moves what was kept aside into the ring as far as it goes. */
static void move_aside(struct outbox *o)
{
	while (o->aside_start < o->aside.size) {
		struct delivery_header header;
		const unsigned char *record = o->aside.data + o->aside_start;

		memcpy(&header, record, sizeof(header));
		if (!room(o, header.size))
			break;
		memcpy(ring_at(&o->ring, o->head), record, header.size);
		o->head += header.size;
		o->aside_start += header.size;
	}
	show(o);
	if (o->aside_start == o->aside.size) {
		buf_finish(&o->aside);
		o->aside_start = 0;
	} else if (o->aside_start > CROWDED_BYTES) {
		memmove(o->aside.data, o->aside.data + o->aside_start, o->aside.size - o->aside_start);
		o->aside.size -= o->aside_start;
		o->aside_start = 0;
	}
}

static void *move(void *ctx)
{
	struct outbox *o = ctx;

	pthread_mutex_lock(&o->mutex);
	while (!o->stop) {
		uint32_t seen = ring_sequence(o->log);

		move_aside(o);
		if (o->aside_start == o->aside.size || o->broken) {
			pthread_cond_wait(&o->changed, &o->mutex);
			continue;
		}
		pthread_mutex_unlock(&o->mutex);
		ring_wait(o->log, seen, LOOK_MS);
		pthread_mutex_lock(&o->mutex);
	}
	pthread_mutex_unlock(&o->mutex);
	return NULL;
}

int outbox_init(struct outbox *o, const struct ring *log)
{
	int error;

	*o = (struct outbox){ .log = log, .progress.fd = -1 };
	error = ring_create(&o->ring, "tbmesh-delivery", RING_DELIVERY_BYTES);
	if (error < 0)
		return error;
	error = progress_create(&o->progress);
	if (error < 0) {
		ring_finish(&o->ring);
		return error;
	}
	pthread_mutex_init(&o->mutex, NULL);
	pthread_cond_init(&o->changed, NULL);
	error = pthread_create(&o->mover, NULL, move, o);
	if (error) {
		ring_finish(&o->ring);
		progress_finish(&o->progress);
		return -error;
	}
	return 0;
}

void outbox_finish(struct outbox *o)
{
	pthread_mutex_lock(&o->mutex);
	o->stop = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->mutex);
	pthread_join(o->mover, NULL);
	pthread_mutex_destroy(&o->mutex);
	pthread_cond_destroy(&o->changed);
	buf_finish(&o->aside);
	ring_finish(&o->ring);
	progress_finish(&o->progress);
}

void outbox_delta(struct outbox *o, const struct delivery_delta *delta)
{
	unsigned char *at;

	pthread_mutex_lock(&o->mutex);
	at = take_place(o, delivery_delta_size(delta));
	if (at)
		delivery_put_delta(at, delta);
	if (o->head - ring_head(&o->ring) >= SHOW_BYTES)
		show(o);
	pthread_mutex_unlock(&o->mutex);
}

void outbox_put(struct outbox *o, enum delivery_kind kind, uint64_t subject, uint64_t value)
{
	unsigned char *at;

	pthread_mutex_lock(&o->mutex);
	at = take_place(o, sizeof(struct delivery_header));
	if (at)
		delivery_put(at, kind, subject, value);
	show(o);
	pthread_mutex_unlock(&o->mutex);
}

void outbox_complete(struct outbox *o, uint64_t seq, bool brings_nothing)
{
	unsigned char *at;

	pthread_mutex_lock(&o->mutex);
	at = take_place(o, sizeof(struct delivery_header));
	if (at)
		delivery_put(at, DELIVERY_COMPLETE, seq, 0);
	if (brings_nothing && progress_seq(&o->progress) >= seq)
		ring_set_head(&o->ring, o->head);
	else
		show(o);
	pthread_mutex_unlock(&o->mutex);
}

void outbox_lost(struct outbox *o, const char *why)
{
	uint32_t length = (uint32_t)strlen(why), size = (length + 7) & ~7u;
	unsigned char *at;

	pthread_mutex_lock(&o->mutex);
	at = take_place(o, sizeof(struct delivery_header) + size);
	if (at) {
		const struct delivery_header header = {
			.size = (uint32_t)sizeof(header) + size,
			.kind = DELIVERY_LOST,
			.value = length,
		};

		memcpy(at, &header, sizeof(header));
		memset(at + sizeof(header), 0, size);
		memcpy(at + sizeof(header), why, length);
	}
	show(o);
	pthread_mutex_unlock(&o->mutex);
}

void outbox_trim(struct outbox *o, uint64_t log_position)
{
	pthread_mutex_lock(&o->mutex);
	ring_set_tail(&o->ring, log_position);
	progress_wake(&o->progress);
	pthread_mutex_unlock(&o->mutex);
}

bool outbox_crowded(struct outbox *o)
{
	bool crowded;

	pthread_mutex_lock(&o->mutex);
	crowded = !o->broken && o->aside.size - o->aside_start > CROWDED_BYTES;
	pthread_mutex_unlock(&o->mutex);
	return crowded;
}
