/* The log as the main thread reads it, from the program's ring (local) or from a private ring that the receiver fills with LOG
 * frames (remote). What runs above does not know which.
 * Threads: log_reader_append from the receiver, log_reader_start and all reading from the main thread. */
#ifndef TBMESH_MIGRATE_EXEC_LOG_READER_H
#define TBMESH_MIGRATE_EXEC_LOG_READER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/stream/ring.h"
#include "proto/record.h"

/* One whole record. `header` is a private, checked copy; `bytes` may lie in memory that another process still writes: copy what
 * is to be believed, then check the copy. */
struct record_view {
	struct record_header header;
	const unsigned char *bytes; /* header.size bytes, from the header on */
	bool private_bytes;         /* nobody else writes bytes */
};

struct log_reader {
	/* set at creation */
	struct ring ring;
	bool local;
	/* main thread */
	uint64_t position;     /* of the next record */
	uint64_t checked_head; /* local: what the ring last said */
	uint64_t record_size;  /* of the record handed out last, 0 none */
	bool bound;            /* that one was a COPY: it is not to be parted from its SUBMIT */
	atomic_bool stop;      /* wanted: any thread */
	atomic_bool stopped;   /* main thread: it is seen */
	/* under mutex, remote only */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool started;
	uint64_t head, tail;
};

/* Both: 0 or -errno. attach takes over fd on success. */
int log_reader_attach(struct log_reader *r, int fd);
int log_reader_create(struct log_reader *r);

/* The log goes on at this position. */
void log_reader_start(struct log_reader *r, uint64_t position);
/* Where the bytes of a LOG frame may be put before they are appended, so that log_reader_append copies nothing; NULL: nowhere. */
void *log_reader_place(struct log_reader *r, uint64_t position, size_t size);
/* Bytes of a LOG frame; blocks while the ring is full. -EBADMSG if they do not continue the log. */
int log_reader_append(struct log_reader *r, uint64_t position, const void *bytes, size_t size);
/* Waits for the next record; the one before is given up. 1: there is one, 0: timeout (ms, -1 none), -EBADMSG: not a log,
 * -ECANCELED: stopped, and r->position is the end of what was handed out. */
int log_reader_next(struct log_reader *r, int timeout_ms, struct record_view *ret_record);

/* Any thread but the main one, once: no further record is handed out. Blocks until the main thread has seen it. */
void log_reader_stop(struct log_reader *r);

/* Checks a header alone: size, alignment, room for the deps. */
bool record_header_valid(const struct record_header *h);

#endif
