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
	struct ring_page *page;  /* mapped read-only when not the writer */
	unsigned char *data;     /* 2 × size bytes of address space */
	uint64_t size;           /* power of two */
	int fd;                  /* owned */
	bool writer;
};

/* Makes a ring that this process writes. size: power of two, ≥ 64 KiB. name shows in /proc. 0 or -errno. */
int ring_create(struct ring *r, const char *name, uint64_t size);
/* Maps a ring that another process made; takes ownership of fd on success. Checks seals and size: the file cannot shrink
 * under the reader (F_SEAL_SHRINK, set for rings whose writer is not an executor). size: what the protocol says. */
int ring_attach(struct ring *r, int fd, uint64_t size, bool writer);
/* A second descriptor of the ring, opened read-only; the caller owns it. -errno on failure. */
int ring_reopen_read_only(const struct ring *r);
/* Cuts the file to nothing: whoever still maps it dies by SIGBUS at the next touch. Only for result rings, at the end of an epoch. */
int ring_truncate(struct ring *r);
void ring_finish(struct ring *r); /* unmaps, closes */

/* Producer. tail: what the consumer has released (from the other ring of the pair, ring_peer_tail). */
uint64_t ring_head(const struct ring *r);
unsigned char *ring_at(const struct ring *r, uint64_t position); /* size bytes are contiguous from here */
void ring_publish(struct ring *r, uint64_t new_head);            /* release store + futex wake */
void ring_release(struct ring *own, uint64_t tail_of_other);     /* says in own header how far the other ring was read; wakes */

/* Consumer. Both return the other side's word clamped to what can be true: head in [position, position + size]. -1 if it lies. */
int ring_read_head(const struct ring *r, uint64_t position, uint64_t *ret_head);
int ring_read_tail(const struct ring *other, uint64_t own_head, uint64_t own_size, uint64_t *ret_tail);
/* Sleeps until the writer of r publishes or releases something after `seen` (from ring_sequence), or timeout (ms, -1 none).
 * 0, -ETIMEDOUT. Works on read-only mappings. Spins at most a few µs first. */
uint32_t ring_sequence(const struct ring *r);
int ring_wait(const struct ring *r, uint32_t seen, int timeout_ms);
/* Wakes whoever waits on a ring that this process writes, without publishing. */
void ring_wake(struct ring *r);

#endif
