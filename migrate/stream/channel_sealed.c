/* Frames over TCP, each sealed (proto/seal.h), in chunks: what was just encrypted is sent, and what was just received decrypted in place,
 * while it is in the cache; and the other side works on the frame's beginning while its end is still being encrypted here. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/util.h"
#include "migrate/stream/channel_internal.h"
#include "proto/seal.h"

#define CHUNK_BYTES (256u << 10)
#define PROBES_UNHEARD 3 /* one after the other; a receiver that is only full answers each */

struct channel_sealed {
	struct channel base;
	/* set at creation */
	int socket;
	/* under send_mutex */
	pthread_mutex_t send_mutex;
	struct seal *out_seal;
	unsigned char *out; /* CHUNK_BYTES */
	size_t out_used;
	bool out_broken; /* a frame was cut off in the middle */
	/* the receiver's thread */
	struct seal *in_seal;
	unsigned char *in; /* FRAME_MAX_PAYLOAD */
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

/* Room for the next bytes of the frame; a full chunk goes out first. */
static int chunk_room(struct channel_sealed *c, size_t *ret_room)
{
	int r = 0;
	if (c->out_used == CHUNK_BYTES) {
		r = write_all(c, c->out, c->out_used);
		c->out_used = 0;
	}
	*ret_room = CHUNK_BYTES - c->out_used;
	return r;
}

static int send_payload(struct channel_sealed *c, const struct iovec *iov, int iov_count)
{
	int r = 0;
	for (int i = 0; i < iov_count; i++) {
		const unsigned char *from = iov[i].iov_base;
		for (size_t left = iov[i].iov_len; r == 0 && left;) {
			size_t room;
			r = chunk_room(c, &room);
			if (r < 0)
				break;
			size_t size = left < room ? left : room;
			r = seal_encrypt(c->out_seal, from, size, c->out + c->out_used);
			c->out_used += size;
			from += size;
			left -= size;
		}
	}
	return r;
}

static int send_frame(struct channel_sealed *c, const struct frame_header *header, const struct iovec *iov, int iov_count)
{
	unsigned char tag[SEAL_TAG_BYTES];
	memcpy(c->out, header, sizeof(*header));
	c->out_used = sizeof(*header);
	int r = seal_start(c->out_seal, header);
	if (r == 0)
		r = send_payload(c, iov, iov_count);
	if (r == 0)
		r = seal_tag(c->out_seal, tag);
	if (r == 0 && CHUNK_BYTES - c->out_used < sizeof(tag)) {
		r = write_all(c, c->out, c->out_used);
		c->out_used = 0;
	}
	if (r < 0)
		return r;
	memcpy(c->out + c->out_used, tag, sizeof(tag));
	return write_all(c, c->out, c->out_used + sizeof(tag));
}

static int sealed_send(
	struct channel *base, const struct frame_header *header, const struct iovec *iov, int iov_count, bool more)
{
	(void)more; /* the stream goes on by itself */
	struct channel_sealed *c = (struct channel_sealed *)base;
	pthread_mutex_lock(&c->send_mutex);
	int r = atomic_load(&c->shut) || c->out_broken ? end_of(c) : send_frame(c, header, iov, iov_count);
	if (r < 0)
		c->out_broken = true;
	else
		atomic_fetch_add_explicit(
			&c->base.bytes_sent, sizeof(*header) + header->size + SEAL_TAG_BYTES, memory_order_relaxed);
	pthread_mutex_unlock(&c->send_mutex);
	return r;
}

/* Verified at its end. */
static int recv_payload(struct channel_sealed *c, const struct frame_header *header, unsigned char *payload)
{
	unsigned char tag[SEAL_TAG_BYTES];
	int r = seal_open_start(c->in_seal, header);
	for (size_t at = 0; r == 0 && at < header->size;) {
		size_t size = header->size - at < CHUNK_BYTES ? header->size - at : CHUNK_BYTES;
		r = read_all(c, payload + at, size);
		if (r == 0)
			r = seal_decrypt(c->in_seal, payload + at, size, payload + at);
		at += size;
	}
	if (r == 0)
		r = read_all(c, tag, sizeof(tag));
	return r < 0 ? r : seal_verify(c->in_seal, tag);
}

static int sealed_recv(
	struct channel *base, channel_place_fn *place, void *ctx, struct frame_header *ret_header, const void **ret_payload)
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
	unsigned char *payload = place && header.size ? place(ctx, &header) : NULL;
	if (!payload)
		payload = c->in;
	r = recv_payload(c, &header, payload);
	if (r < 0)
		return r;
	*ret_header = header;
	*ret_payload = payload;
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

/* Not TCP_USER_TIMEOUT: that ends a stream to a receiver that is only busy (its window is closed), too. */
static bool sealed_is_cut(struct channel *base, unsigned silence_ms)
{
	struct channel_sealed *c = (struct channel_sealed *)base;
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	if (getsockopt(c->socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return false;
	/* Where the interface is gone nothing gets out at all: then TCP only probes. */
	return info.tcpi_last_ack_recv > silence_ms && (info.tcpi_unacked || info.tcpi_probes >= PROBES_UNHEARD);
}

static const struct channel_kind sealed_kind = { sealed_send, sealed_recv, sealed_shutdown, sealed_destroy, sealed_is_cut };

/* Best effort: a socket without it works, only later. The buffers are left to the kernel, which grows them as needed. */
static void socket_tune(int socket)
{
	int on = 1;
	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
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
	c->out = malloc(CHUNK_BYTES);
	c->in = malloc(FRAME_MAX_PAYLOAD);
	if (!c->out_seal || !c->in_seal || !c->out || !c->in) {
		sealed_free(c);
		return NULL;
	}
	socket_tune(socket);
	return &c->base;
}
