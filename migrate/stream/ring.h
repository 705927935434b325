/* A byte ring in a memfd with one writer process. The log, delivery, feed and result rings are such rings.
 * Positions are 64-bit, count bytes since the start and only grow. The data area is mapped twice back to back, so a record
 * never wraps. Contract: proto/README.md §1.1.
 *
 * Two rings that run against each other make a pair: the header of each holds its writer's head and its writer's tail of the
 * other one. So each file has exactly one writer and may be read-only for everybody else.
 *
 * Trust: what the other side writes is hostile. head and tail are read once, checked against the own position and size.
 * Threads: one producer thread, one consumer thread (or the caller's lock). Waits are futexes; no polling. */
#ifndef TBMESH_MIGRATE_STREAM_RING_H
#define TBMESH_MIGRATE_STREAM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_page; /* the shared header page */

struct ring {
	struct ring_page *page; /* mapped read-only when not the writer */
	unsigned char *data;    /* 2 × size bytes of address space; NULL for the reader of a result ring (ring_copy) */
	uint64_t size;          /* power of two */
	int fd;                 /* owned */
	bool writer;
	bool sealed; /* the file can't shrink */
};

/* size: power of two, ≥ 64 KiB. name shows in /proc. 0 or -errno.
 * ring_create makes a ring that this process writes, and nobody else ever: after its own mapping the file is sealed against
 * writes, growing and shrinking (F_SEAL_FUTURE_WRITE: not even a reopened descriptor writes).
 * ring_create_result makes one that another process (an executor) writes and this one reads. It can be cut by ring_truncate;
 * the hostile writer could cut it too, so its reader never touches the mapping: reads go through the descriptor. */
int ring_create(struct ring *r, const char *name, uint64_t size);
int ring_create_result(struct ring *r, const char *name, uint64_t size);
/* Maps a ring that another process made; takes ownership of fd on success. size: what the protocol says. A reader's file must
 * be sealed against shrinking, else -EPERM; -EINVAL if the size is another. writer: for the executor's result ring. */
int ring_attach(struct ring *r, int fd, uint64_t size, bool writer);
/* A second descriptor of the ring, opened read-only; the caller owns it. -errno on failure. */
int ring_reopen_read_only(const struct ring *r);
/* Cuts the file to nothing: whoever still maps it dies by SIGBUS at the next touch. Only for result rings, at the end of an epoch,
 * after channel_shutdown. -EPERM for others. */
int ring_truncate(struct ring *r);
void ring_finish(struct ring *r); /* unmaps, closes */

/* Producer. tail: what the consumer has released (from the other ring of the pair, ring_peer_tail). */
uint64_t ring_head(const struct ring *r);
unsigned char *ring_at(const struct ring *r, uint64_t position); /* size bytes are contiguous from here; needs data */
void ring_publish(struct ring *r, uint64_t new_head);            /* release store + futex wake */
void ring_release(struct ring *own, uint64_t tail_of_other); /* says in own header how far the other ring was read; wakes */
/* The same for a reader who sleeps on something else. */
void ring_set_head(struct ring *r, uint64_t new_head);
void ring_set_tail(struct ring *own, uint64_t tail_of_other);

/* Consumer. Both give the other side's word if it can be true: head in [position, position + size], tail in [own_head - own_size,
 * own_head]. 0, -EBADMSG if it lies, -EPIPE if the file was cut. */
int ring_read_head(const struct ring *r, uint64_t position, uint64_t *ret_head);
int ring_read_tail(const struct ring *other, uint64_t own_head, uint64_t own_size, uint64_t *ret_tail);
/* Copies size (≤ r->size) bytes at position out of the ring. The writer may change them meanwhile: check the copy. 0 or -EPIPE. */
int ring_copy(const struct ring *r, uint64_t position, void *out, uint64_t size);
/* Sleeps until the writer of r publishes or releases something after `seen` (from ring_sequence), or timeout (ms, -1 none).
 * 0, -ETIMEDOUT. Works on read-only mappings. Spins at most a few µs first. A cut ring may sleep through ring_nudge: give
 * waits on result rings a timeout. */
uint32_t ring_sequence(const struct ring *r);
int ring_wait(const struct ring *r, uint32_t seen, int timeout_ms);
/* Wakes whoever waits on a ring that this process writes, without publishing. */
void ring_wake(struct ring *r);
/* Wakes who waits in this or another process on any ring, also on one that only others write. The sequence stays: who is just about
 * to wait isn't woken, so repeat until the waiter says it is gone. */
void ring_nudge(const struct ring *r);

#endif
