#include "migrate/exec/log_reader.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/ipc.h"

/* A remote log needs room for the largest record and for what arrives while one is applied. */
#define PRIVATE_LOG_BYTES (64ull << 20)
#define STOP_NUDGE_NS 2000000L

bool record_header_valid(const struct record_header *h)
{
	return h->size % RECORD_ALIGN == 0 && h->size <= RECORD_MAX_BYTES &&
		h->size >= sizeof(*h) + h->dep_count * sizeof(uint64_t);
}

static int init_waits(struct log_reader *r)
{
	pthread_condattr_t attributes;
	int error = pthread_mutex_init(&r->mutex, NULL);

	if (error)
		return -error;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	error = pthread_cond_init(&r->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return -error;
}

int log_reader_attach(struct log_reader *r, int fd)
{
	int error = ring_attach(&r->ring, fd, RING_LOG_BYTES, false);

	if (error)
		return error;
	r->local = true;
	return init_waits(r);
}

int log_reader_create(struct log_reader *r)
{
	int error = ring_create(&r->ring, "tbmesh-exec-log", PRIVATE_LOG_BYTES);

	if (error)
		return error;
	r->local = false;
	return init_waits(r);
}

void log_reader_start(struct log_reader *r, uint64_t position)
{
	r->position = position;
	r->checked_head = position;
	r->record_size = 0;
	pthread_mutex_lock(&r->mutex);
	r->started = true;
	r->head = r->tail = position;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->mutex);
}

void *log_reader_place(struct log_reader *r, uint64_t position, size_t size)
{
	bool room;

	pthread_mutex_lock(&r->mutex);
	room = r->started && position == r->head && size <= PRIVATE_LOG_BYTES &&
		r->head + size - r->tail <= PRIVATE_LOG_BYTES;
	pthread_mutex_unlock(&r->mutex);
	return room ? ring_at(&r->ring, position) : NULL;
}

int log_reader_append(struct log_reader *r, uint64_t position, const void *bytes, size_t size)
{
	pthread_mutex_lock(&r->mutex);
	while (!r->started)
		pthread_cond_wait(&r->changed, &r->mutex);
	if (position != r->head || size > PRIVATE_LOG_BYTES) {
		pthread_mutex_unlock(&r->mutex);
		return -EBADMSG;
	}
	while (r->head + size - r->tail > PRIVATE_LOG_BYTES)
		pthread_cond_wait(&r->changed, &r->mutex);
	pthread_mutex_unlock(&r->mutex);

	if (bytes != ring_at(&r->ring, position))
		memcpy(ring_at(&r->ring, position), bytes, size);

	pthread_mutex_lock(&r->mutex);
	r->head = position + size;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->mutex);
	return 0;
}

static bool is_stopped(struct log_reader *r)
{
	return !r->bound && atomic_load(&r->stop);
}

/* Bytes that can be read from `position` on, at least `size` of them: 1, 0 timeout, -EBADMSG. */
static int wait_local(struct log_reader *r, uint64_t size, int timeout_ms)
{
	while (r->checked_head - r->position < size) {
		uint32_t seen = ring_sequence(&r->ring);

		if (ring_read_head(&r->ring, r->position, &r->checked_head))
			return -EBADMSG;
		if (r->checked_head - r->position >= size)
			break;
		if (is_stopped(r))
			return -ECANCELED;
		if (ring_wait(&r->ring, seen, timeout_ms) == -ETIMEDOUT)
			return 0;
	}
	return 1;
}

static int wait_remote(struct log_reader *r, uint64_t size, int timeout_ms)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&r->mutex);
	while (r->head - r->position < size && !error && !is_stopped(r)) {
		if (timeout_ms < 0)
			pthread_cond_wait(&r->changed, &r->mutex);
		else
			error = pthread_cond_timedwait(&r->changed, &r->mutex, &until);
	}
	if (r->head - r->position >= size)
		error = 1;
	else
		error = is_stopped(r) ? -ECANCELED : 0;
	pthread_mutex_unlock(&r->mutex);
	return error;
}

static int wait_bytes(struct log_reader *r, uint64_t size, int timeout_ms)
{
	return r->local ? wait_local(r, size, timeout_ms) : wait_remote(r, size, timeout_ms);
}

void log_reader_stop(struct log_reader *r)
{
	const struct timespec pause = { .tv_nsec = STOP_NUDGE_NS };

	pthread_mutex_lock(&r->mutex);
	atomic_store(&r->stop, true);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->mutex);
	while (!atomic_load(&r->stopped)) {
		if (r->local)
			ring_nudge(&r->ring);
		nanosleep(&pause, NULL);
	}
}

static int next_record(struct log_reader *r, int timeout_ms, struct record_view *ret_record)
{
	struct record_header header;
	int result;

	if (r->record_size) {
		r->position += r->record_size;
		r->record_size = 0;
		if (!r->local) {
			pthread_mutex_lock(&r->mutex);
			r->tail = r->position;
			pthread_cond_broadcast(&r->changed);
			pthread_mutex_unlock(&r->mutex);
		}
	}
	if (is_stopped(r))
		return -ECANCELED;
	result = wait_bytes(r, sizeof(header), timeout_ms);
	if (result <= 0)
		return result;
	memcpy(&header, ring_at(&r->ring, r->position), sizeof(header));
	if (!record_header_valid(&header))
		return -EBADMSG;
	/* The rest of a record is on its way: a record is published whole, frames cut it anywhere. */
	result = wait_bytes(r, header.size, -1);
	if (result <= 0)
		return result;
	r->record_size = header.size;
	r->bound = header.kind == RECORD_COPY;
	ret_record->header = header;
	ret_record->bytes = ring_at(&r->ring, r->position);
	ret_record->private_bytes = !r->local;
	return 1;
}

int log_reader_next(struct log_reader *r, int timeout_ms, struct record_view *ret_record)
{
	int result = next_record(r, timeout_ms, ret_record);

	if (result == -ECANCELED)
		atomic_store(&r->stopped, true);
	return result;
}
