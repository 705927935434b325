#include "migrate/stream/channel.h"

#include <errno.h>
#include <stddef.h>

#include "migrate/stream/channel_internal.h"

static int send_frame(
	struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count, bool more)
{
	uint64_t size = 0;
	for (int i = 0; i < iov_count; i++)
		size += iov[i].iov_len;
	if (size != header->size || size > FRAME_MAX_PAYLOAD)
		return -EINVAL;
	return c->kind->send(c, header, iov, iov_count, more);
}

int channel_send(struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count)
{
	return send_frame(c, header, iov, iov_count, false);
}

int channel_send_first(struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count)
{
	return send_frame(c, header, iov, iov_count, true);
}

int channel_recv(struct channel *c, struct frame_header *ret_header, const void **ret_payload)
{
	return c->kind->recv(c, NULL, NULL, ret_header, ret_payload);
}

int channel_recv_at(
	struct channel *c, channel_place_fn *place, void *ctx, struct frame_header *ret_header, const void **ret_payload)
{
	return c->kind->recv(c, place, ctx, ret_header, ret_payload);
}

void channel_shutdown(struct channel *c)
{
	c->kind->shutdown(c);
}

void channel_destroy(struct channel *c)
{
	if (c)
		c->kind->destroy(c);
}

uint64_t channel_bytes_sent(const struct channel *c)
{
	return atomic_load_explicit(&c->bytes_sent, memory_order_relaxed);
}

bool channel_is_cut(struct channel *c, unsigned silence_ms)
{
	return c->kind->is_cut && c->kind->is_cut(c, silence_ms);
}
