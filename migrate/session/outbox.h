/* The writing end of the delivery ring. The program reads it only when it waits for something, so what finds no room is kept
 * aside and moved on by a thread of its own; nobody who delivers ever waits for the program. Thread-safe. */
#ifndef TBMESH_MIGRATE_SESSION_OUTBOX_H
#define TBMESH_MIGRATE_SESSION_OUTBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "migrate/session/delivery.h"
#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"
#include "proto/delivery.h"
#include "proto/ipc.h"
#include "proto/record.h"

struct outbox {
	/* set at creation */
	struct ring ring;         /* the delivery ring */
	struct progress progress; /* what the program sleeps on */
	const struct ring *log;   /* its page says how far the program has read */
	pthread_t mover;
	/* under mutex */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	uint64_t head, tail;
	struct buf aside; /* whole records; those before aside_start were moved */
	size_t aside_start;
	bool stop, broken; /* broken: the program lies about what it has read; it gets nothing more */
};

int outbox_init(struct outbox *o, const struct ring *log); /* 0 or -errno */
void outbox_finish(struct outbox *o);
void outbox_delta(struct outbox *o, const struct delivery_delta *delta);
void outbox_put(
	struct outbox *o, enum delivery_kind kind, uint64_t subject, uint64_t value); /* shows all so far to the program */
/* All up to seq is complete. brings_nothing: an executor on this host may have told the program already. */
void outbox_complete(struct outbox *o, uint64_t seq, bool brings_nothing);
void outbox_lost(struct outbox *o, const char *why);       /* the end; why: to the program's user */
void outbox_trim(struct outbox *o, uint64_t log_position); /* the program may write over the log before this */
/* Much is waiting for the program to read: whoever makes more should wait a while. */
bool outbox_crowded(struct outbox *o);

#endif
