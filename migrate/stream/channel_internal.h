/* The two kinds of channels behind channel.h. */
#ifndef TBMESH_MIGRATE_STREAM_CHANNEL_INTERNAL_H
#define TBMESH_MIGRATE_STREAM_CHANNEL_INTERNAL_H

#include <stdatomic.h>
#include <stdint.h>

#include "migrate/stream/channel.h"

struct channel_kind {
	/* more: another frame follows at once. */
	int (*send)(struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count, bool more);
	/* place may be NULL */
	int (*recv)(struct channel *c, channel_place_fn *place, void *ctx, struct frame_header *ret_header,
		const void **ret_payload);
	void (*shutdown)(struct channel *c);
	void (*destroy)(struct channel *c);
	bool (*is_cut)(struct channel *c, unsigned silence_ms); /* NULL: never */
};

/* First member of each kind's own struct. */
struct channel {
	const struct channel_kind *kind;
	_Atomic uint64_t bytes_sent; /* headers, payloads and seals */
};

#endif
