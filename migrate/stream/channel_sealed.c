/* Frames over TCP, each sealed (proto/seal.h): encrypted straight into the send buffer, decrypted where they were received. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/util.h"
#include "migrate/stream/channel_internal.h"
#include "proto/seal.h"

/* A cut cable must end the stream, not hang it: unacknowledged data for that long is the end. */
#define USER_TIMEOUT_MS 3000

struct channel_sealed {
	struct channel base;
	/* set at creation */
	int socket;
	/* under send_mutex */
	pthread_mutex_t send_mutex;
	struct seal *out_seal;
	unsigned char *out; /* SEAL_MAX_FRAME */
	bool out_broken; /* a frame was cut off in the middle */
	/* the receiver's thread */
	struct seal *in_seal;
	unsigned char *in; /* FRAME_MAX_PAYLOAD + SEAL_TAG_BYTES */
	/* any thread */
	atomic_bool shut;
};

static int end_of(struct channel_sealed *c)
{
	return atomic_load(&c->shut) ? -ESHUTDOWN : -EPIPE;
}

static int write_all(struct channel_sealed *c, const unsigned char *data, size_t size)
{
	while (size) {
		ssize_t put = send(c->socket, data, size, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return end_of(c);
		data += put;
		size -= (size_t)put;
	}
	return 0;
}

static int read_all(struct channel_sealed *c, void *out, size_t size)
{
	unsigned char *at = out;
	while (size) {
		ssize_t got = recv(c->socket, at, size, MSG_WAITALL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return end_of(c);
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

static int sealed_send(struct channel *base, const struct frame_header *header, const struct iovec *iov, int iov_count)
{
	struct channel_sealed *c = (struct channel_sealed *)base;
	size_t size = sizeof(*header) + header->size + SEAL_TAG_BYTES;
	pthread_mutex_lock(&c->send_mutex);
	int r = atomic_load(&c->shut) || c->out_broken ? end_of(c) : seal_frame(c->out_seal, header, iov, iov_count, c->out);
	if (r == 0) {
		r = write_all(c, c->out, size);
		c->out_broken = r < 0;
	}
	if (r == 0)
		atomic_fetch_add_explicit(&c->base.bytes_sent, size, memory_order_relaxed);
	pthread_mutex_unlock(&c->send_mutex);
	return r;
}

static int sealed_recv(struct channel *base, struct frame_header *ret_header, const void **ret_payload)
{
	struct channel_sealed *c = (struct channel_sealed *)base;
	struct frame_header header;
	if (atomic_load(&c->shut))
		return -ESHUTDOWN;
	int r = read_all(c, &header, sizeof(header));
	if (r < 0)
		return r;
	/* Not verified yet: this bounds what is read, and the tag decides. */
	if (header.size > FRAME_MAX_PAYLOAD)
		return -EBADMSG;
	r = read_all(c, c->in, header.size + SEAL_TAG_BYTES);
	if (r == 0)
		r = seal_open(c->in_seal, &header, c->in);
	if (r < 0)
		return r;
	*ret_header = header;
	*ret_payload = c->in;
	return 0;
}

static void sealed_shutdown(struct channel *base)
{
	struct channel_sealed *c = (struct channel_sealed *)base;
	atomic_store(&c->shut, true);
	shutdown(c->socket, SHUT_RDWR);
}

static void sealed_free(struct channel_sealed *c)
{
	seal_destroy(c->out_seal);
	seal_destroy(c->in_seal);
	free(c->out);
	free(c->in);
	pthread_mutex_destroy(&c->send_mutex);
	free(c);
}

static void sealed_destroy(struct channel *base)
{
	struct channel_sealed *c = (struct channel_sealed *)base;
	close_fd(&c->socket);
	sealed_free(c);
}

static const struct channel_kind sealed_kind = { sealed_send, sealed_recv, sealed_shutdown, sealed_destroy };

/* Best effort: a socket without them works, only later. The buffers are left to the kernel, which grows them as needed. */
static void socket_tune(int socket)
{
	int on = 1;
	unsigned timeout_ms = USER_TIMEOUT_MS;
	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

struct channel *channel_create_sealed(int socket, const unsigned char secret[32], int initiator)
{
	struct channel_sealed *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->base.kind = &sealed_kind;
	c->socket = socket;
	pthread_mutex_init(&c->send_mutex, NULL);
	c->out_seal = seal_create(secret, initiator ? "0>" : "0<");
	c->in_seal = seal_create(secret, initiator ? "0<" : "0>");
	c->out = malloc(SEAL_MAX_FRAME);
	c->in = malloc(FRAME_MAX_PAYLOAD + SEAL_TAG_BYTES);
	if (!c->out_seal || !c->in_seal || !c->out || !c->in) {
		sealed_free(c);
		return NULL;
	}
	socket_tune(socket);
	return &c->base;
}
