/* Frames over two rings. A frame is 8-byte aligned, contiguous and published whole. The socket only tells by its end that the
 * other side is gone: a thread of the channel's own sleeps on it and wakes whoever sleeps on a ring. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "migrate/stream/channel_internal.h"
#include "migrate/stream/ring.h"

#define FRAME_ALIGN 8u
#define NUDGE_US 500
/* Small frames that have come together are copied out together. */
#define AHEAD_BYTES (16u << 10)
/* Up to this part of a ring is read and not released yet; a frame fits into the rest. */
#define RELEASE_PART 8u
/* The writer of a result ring may cut it, and nobody can be woken there any more. */
#define CUTTABLE_WAIT_MS 100

struct channel_local {
	struct channel base;
	/* set at creation */
	struct ring out, in;
	int socket;
	int stop_fd; /* eventfd: channel_shutdown and channel_destroy wake the watcher */
	pthread_t watcher;
	/* under send_mutex */
	pthread_mutex_t send_mutex;
	uint64_t head;
	uint64_t known_tail; /* what the other side has surely read of out */
	/* the receiver's thread */
	uint64_t position;
	uint64_t released;      /* as the other side knows it */
	uint64_t known_head;    /* of in, as last read */
	unsigned char *payload; /* FRAME_MAX_PAYLOAD */
	unsigned char *ahead;   /* AHEAD_BYTES: a copy of what stands at ahead_start */
	uint64_t ahead_start;
	uint32_t ahead_size;
	/* any thread */
	atomic_int end; /* 0, -EPIPE: the other side is gone; -ESHUTDOWN */
	atomic_int sleepers;
};

static uint64_t frame_bytes(uint32_t payload_size)
{
	return (sizeof(struct frame_header) + payload_size + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* Sleeps until the other side has done something since `seen`; end may be set meanwhile. */
static void wait_for_other(struct channel_local *c, uint32_t seen)
{
	atomic_fetch_add(&c->sleepers, 1);
	if (!atomic_load(&c->end))
		ring_wait(&c->in, seen, c->in.sealed ? -1 : CUTTABLE_WAIT_MS);
	atomic_fetch_sub(&c->sleepers, 1);
}

static void set_end(struct channel_local *c, int end)
{
	int none = 0;
	if (!atomic_compare_exchange_strong(&c->end, &none, end) && end == -ESHUTDOWN)
		atomic_store(&c->end, end);
}

static void *watch(void *ctx)
{
	struct channel_local *c = ctx;
	struct pollfd fds[] = { { .fd = c->socket, .events = POLLRDHUP }, { .fd = c->stop_fd, .events = POLLIN } };
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		continue;
	set_end(c, -EPIPE);
	/* Who is between its look at end and its sleep misses a nudge; the next one gets it. */
	while (atomic_load(&c->sleepers)) {
		ring_nudge(&c->in);
		usleep(NUDGE_US);
	}
	return NULL;
}

static int local_room(struct channel_local *c, uint64_t need)
{
	while (c->head + need - c->known_tail > c->out.size) {
		int end = atomic_load(&c->end);
		uint32_t seen = ring_sequence(&c->in);
		uint64_t tail;
		int r = ring_read_tail(&c->in, c->head, c->out.size, &tail);
		if (r < 0)
			return r;
		if (tail < c->known_tail || tail % FRAME_ALIGN)
			return -EBADMSG;
		c->known_tail = tail;
		if (c->head + need - tail <= c->out.size)
			break;
		if (end)
			return end;
		if (ring_head(&c->out) != c->head)
			ring_publish(&c->out, c->head); /* so that there will be room */
		wait_for_other(c, seen);
	}
	return 0;
}

static int local_send(
	struct channel *base, const struct frame_header *header, const struct iovec *iov, int iov_count, bool more)
{
	struct channel_local *c = (struct channel_local *)base;
	uint64_t need = frame_bytes(header->size);
	if (need > c->out.size - c->out.size / RELEASE_PART)
		return -EMSGSIZE;
	pthread_mutex_lock(&c->send_mutex);
	int r = atomic_load(&c->end);
	if (r == 0)
		r = local_room(c, need);
	if (r == 0) {
		unsigned char *at = ring_at(&c->out, c->head);
		memcpy(at, header, sizeof(*header));
		at += sizeof(*header);
		for (int i = 0; i < iov_count; i++) {
			if (iov[i].iov_len)
				memcpy(at, iov[i].iov_base, iov[i].iov_len);
			at += iov[i].iov_len;
		}
		c->head += need;
		if (!more)
			ring_publish(&c->out, c->head);
		atomic_fetch_add_explicit(&c->base.bytes_sent, need, memory_order_relaxed);
	}
	pthread_mutex_unlock(&c->send_mutex);
	return r;
}

/* Waits until there is something at the position. */
static int wait_for_frame(struct channel_local *c)
{
	while (c->known_head == c->position) {
		/* In this order: what was published before the other side went away is still delivered. */
		int end = atomic_load(&c->end);
		if (end == -ESHUTDOWN)
			return end;
		uint32_t seen = ring_sequence(&c->in);
		int r = ring_read_head(&c->in, c->position, &c->known_head);
		if (r < 0)
			return r;
		if (c->known_head % FRAME_ALIGN)
			return -EBADMSG;
		if (c->known_head != c->position)
			break;
		if (end)
			return end;
		wait_for_other(c, seen);
	}
	return atomic_load(&c->end) == -ESHUTDOWN ? -ESHUTDOWN : 0;
}

/* size bytes at the position, if they are in the copy. */
static const unsigned char *find_ahead(const struct channel_local *c, uint64_t size)
{
	uint64_t offset = c->position - c->ahead_start;
	return offset <= c->ahead_size && size <= c->ahead_size - offset ? c->ahead + offset : NULL;
}

static int read_ahead(struct channel_local *c)
{
	uint64_t available = c->known_head - c->position;
	c->ahead_start = c->position;
	c->ahead_size = (uint32_t)(available < AHEAD_BYTES ? available : AHEAD_BYTES);
	return ring_copy(&c->in, c->position, c->ahead, c->ahead_size) < 0 ? -EPIPE : 0;
}

/* Checks and hands out copies only: the other side may change its ring at any moment. */
static int local_recv(
	struct channel *base, channel_place_fn *place, void *ctx, struct frame_header *ret_header, const void **ret_payload)
{
	struct channel_local *c = (struct channel_local *)base;
	struct frame_header header;
	int r = wait_for_frame(c);
	if (r == 0 && c->known_head - c->position < sizeof(header))
		r = -EBADMSG;
	if (r == 0 && !find_ahead(c, sizeof(header)))
		r = read_ahead(c);
	if (r < 0)
		return r;
	memcpy(&header, find_ahead(c, sizeof(header)), sizeof(header));
	if (header.size > FRAME_MAX_PAYLOAD || frame_bytes(header.size) > c->known_head - c->position)
		return -EBADMSG;
	const unsigned char *frame = find_ahead(c, frame_bytes(header.size)), *payload;
	if (frame) {
		payload = frame + sizeof(header);
	} else {
		unsigned char *at = place && header.size ? place(ctx, &header) : NULL;
		if (!at)
			at = c->payload;
		if (ring_copy(&c->in, c->position + sizeof(header), at, header.size) < 0)
			return -EPIPE;
		payload = at;
	}
	c->position += frame_bytes(header.size);
	/* Each release wakes the other side: so only now and then. */
	if (c->position - c->released > c->in.size / RELEASE_PART) {
		ring_release(&c->out, c->position);
		c->released = c->position;
	}
	*ret_header = header;
	*ret_payload = payload;
	return 0;
}

static void wake_watcher(struct channel_local *c)
{
	ssize_t size = write(c->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)size; /* fails only when the counter is full, and then it is awake */
}

static void local_shutdown(struct channel *base)
{
	struct channel_local *c = (struct channel_local *)base;
	set_end(c, -ESHUTDOWN);
	/* Before the caller cuts the ring, if it is one to be cut: nobody can be woken there afterwards. */
	ring_nudge(&c->in);
	/* The other side learns it now, not when all this is freed. */
	shutdown(c->socket, SHUT_RDWR);
	wake_watcher(c);
}

static void local_free(struct channel_local *c)
{
	close_fd(&c->stop_fd);
	close_fd(&c->socket);
	ring_finish(&c->out);
	ring_finish(&c->in);
	pthread_mutex_destroy(&c->send_mutex);
	free(c->payload);
	free(c->ahead);
	free(c);
}

static void local_destroy(struct channel *base)
{
	struct channel_local *c = (struct channel_local *)base;
	wake_watcher(c);
	pthread_join(c->watcher, NULL);
	assert(atomic_load(&c->sleepers) == 0);
	local_free(c);
}

static const struct channel_kind local_kind = { local_send, local_recv, local_shutdown, local_destroy, NULL };

struct channel *channel_create_local(struct ring *out, struct ring *in, int socket)
{
	assert(out->writer && !in->writer);
	struct channel_local *c = calloc(1, sizeof(*c));
	unsigned char *payload = malloc(FRAME_MAX_PAYLOAD), *ahead = malloc(AHEAD_BYTES);
	int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c)
		*c = (struct channel_local){ .base.kind = &local_kind,
			.out = *out,
			.in = *in,
			.socket = socket,
			.stop_fd = stop_fd,
			.payload = payload,
			.ahead = ahead };
	bool good = c && payload && ahead && stop_fd >= 0;
	if (good) {
		pthread_mutex_init(&c->send_mutex, NULL);
		/* The watcher is nobody's idea of a thread that handles signals. */
		sigset_t all, before;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		good = pthread_create(&c->watcher, NULL, watch, c) == 0;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (!good)
			pthread_mutex_destroy(&c->send_mutex);
	}
	if (!good) {
		close_fd(&stop_fd);
		free(payload);
		free(ahead);
		free(c);
		return NULL;
	}
	*out = *in = (struct ring){ .fd = -1 };
	return &c->base;
}
