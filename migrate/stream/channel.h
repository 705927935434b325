/* The channel between a session and an executor: frames both ways, over two rings on one host or over sealed TCP streams between
 * hosts. One interface, two kinds; what runs above does not know which. Contract: proto/README.md §2.
 *
 * Threads: one sender thread at a time (internal mutex), one receiver thread. Blocking; channel_shutdown from any thread
 * makes both return -ESHUTDOWN. */
#ifndef TBMESH_MIGRATE_STREAM_CHANNEL_H
#define TBMESH_MIGRATE_STREAM_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proto/frame.h"

struct channel;
struct ring;

/* Both return NULL when out of memory; then rings and socket are still the caller's.
 * Local: out is the ring that this side writes, in the one it reads; takes over both. socket: its end ends the channel; owned. */
struct channel *channel_create_local(struct ring *out, struct ring *in, int socket);
/* Remote: one connected TCP socket, sealed with keys from secret (32 bytes). initiator: the session's side. Owns the socket. */
struct channel *channel_create_sealed(int socket, const unsigned char secret[32], int initiator);

/* Sends one frame; the payload is gathered from iov, header->size bytes in all (else -EINVAL). Blocks while the other side's
 * buffers are full. 0, -EPIPE, -ESHUTDOWN, -EBADMSG as for channel_recv. */
int channel_send(struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count);
/* The same for a frame that another one of this sender follows at once: the other side may not see it before that one. */
int channel_send_first(struct channel *c, const struct frame_header *header, const struct iovec *iov, int iov_count);
/* Receives one frame. *ret_payload points at ret_header->size private bytes (already copied out of shared memory and verified),
 * valid until the next call and 8-byte aligned. 0, -EPIPE at the end (after all that was sent before it), -EBADMSG if the other side broke
 * the protocol, -ESHUTDOWN. Frame kinds are the caller's to judge. */
int channel_recv(struct channel *c, struct frame_header *ret_header, const void **ret_payload);
/* The same with a say in where the payload goes, so that it needs not be copied from there: `place` is asked once the header is there and
 * gives header->size writable bytes, or NULL for none in particular. Neither header nor bytes are verified yet: what was there is
 * overwritten even if this fails then. */
typedef void *channel_place_fn(void *ctx, const struct frame_header *header);
int channel_recv_at(
	struct channel *c, channel_place_fn *place, void *ctx, struct frame_header *ret_header, const void **ret_payload);
void channel_shutdown(struct channel *c); /* does not free; threads may still be inside */
void channel_destroy(struct channel *c);  /* when no thread is inside any more; NULL is fine */
uint64_t channel_bytes_sent(const struct channel *c);
/* Is the way to the other side cut, as far as this side can tell: nothing that was sent has been acknowledged for silence_ms? A side
 * that is there but does not read is not cut, however long. Any thread; only for a side that always has something on its way (heartbeats).
 * Rings are never cut. */
bool channel_is_cut(struct channel *c, unsigned silence_ms);

#endif
