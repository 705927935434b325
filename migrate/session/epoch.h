/* One executor's time: the connection to it, the thread that seeds it (and streams the log to it when it is a peer's), and the
 * thread that hears it. All that is judged, is judged by the core. */
#ifndef TBMESH_MIGRATE_SESSION_EPOCH_H
#define TBMESH_MIGRATE_SESSION_EPOCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "migrate/session/core.h"
#include "migrate/session/outbox.h"
#include "migrate/stream/channel.h"
#include "migrate/stream/ring.h"

#define EPOCH_MAX_ENDPOINTS 8

/* Where an executor waits. */
struct epoch_target {
	char socket[4096]; /* "": a peer's */
	struct {
		char address[64];
		uint16_t port;
		uint32_t scope_id;
	} endpoints[EPOCH_MAX_ENDPOINTS];
	unsigned endpoint_count;
	unsigned char secret[32];
	int pid;
	char gpu_name[SESSION_TEXT];
};

/* What all epochs of a workload share. */
struct epoch_host {
	struct session_core *core;
	pthread_mutex_t *mutex; /* the core's */
	const struct ring *log;
	struct outbox *outbox;
	uint64_t workload; /* random id */
};

struct epoch {
	struct list link; /* the owner's */
	/* set at creation */
	const struct epoch_host *host;
	uint64_t number;
	struct epoch_target target;
	struct buf needs; /* NEED records, packed */
	int stop_fd;      /* eventfd: stops a connect under way */
	pthread_t sender;
	/* under the core's mutex */
	struct channel *channel; /* owned; NULL until connected */
	struct ring result;      /* second descriptor of the result ring, to cut it; fd -1: a peer's */
	bool closed, has_receiver, leaving;
	uint64_t leave_nonce;
	pthread_t receiver;
	uint64_t seed_start_ns, seed_end_ns, seed_bytes;
	atomic_bool sender_done;
};

/* Begins to connect and to seed. needs: taken over. NULL when it cannot be (then needs are still the caller's). Under the mutex. */
struct epoch *epoch_create(
	const struct epoch_host *host, uint64_t number, const struct epoch_target *target, struct buf *needs);
/* Ends the channel; from any thread, under the mutex. Nothing is waited for. */
void epoch_close(struct epoch *e);
/* Sends LEAVE behind what was sent of the log so far; the executor runs the log. Under the mutex. */
void epoch_leave(struct epoch *e, uint64_t nonce);
/* Tells the executor that the session goes; before epoch_close, without the mutex. */
void epoch_say_bye(struct epoch *e);
/* After epoch_close, without the mutex, not on one of its threads: waits for our two threads (not for the executor). */
void epoch_destroy(struct epoch *e);

#endif
