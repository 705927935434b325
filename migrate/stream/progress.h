/* The progress page of a workload: the one word that its program sleeps on, and how far an executor on the same host says that it has
 * come. Made by the session and written by it and by local executors; the program maps it read-only. What an executor says here
 * completes submissions that bring nothing back, and no others: it can't make the program see anything. Contract: proto/README.md 1.5.
 * Any thread. */
#ifndef TBMESH_MIGRATE_STREAM_PROGRESS_H
#define TBMESH_MIGRATE_STREAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress_page;

struct progress {
	struct progress_page *page; /* NULL: there is none */
	int fd;                     /* owned; -1 */
};

/* All three: 0 or -errno. attach takes over fd on success; writer: an executor. */
int progress_create(struct progress *p);
int progress_attach(struct progress *p, int fd, bool writer);
int progress_reopen_read_only(const struct progress *p); /* a descriptor, the caller's */
void progress_finish(struct progress *p);

/* An executor: all up to seq is complete. Wakes the program. */
void progress_say(struct progress *p, uint64_t seq);
uint64_t progress_seq(const struct progress *p); /* what was said last, 0 nothing */
/* Something else has come for the program. */
void progress_wake(struct progress *p);

/* The program: sleeps until something has come since `seen` was read, or somebody nudged. Spins a few µs first. timeout: ms, -1 none.
 * 0 (perhaps for nothing: look again) or -ETIMEDOUT. */
uint32_t progress_sequence(const struct progress *p);
int progress_wait(const struct progress *p, uint32_t seen, int timeout_ms);
/* Wakes whoever sleeps, also from a read-only mapping. Who is just about to sleep isn't woken. */
void progress_nudge(const struct progress *p);

#endif
