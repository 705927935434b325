/* This executor's one session: waiting for it, the channel to it, the heartbeat, and the end. When the channel ends the process
 * exits at once, whatever the driver does: nothing here outlives its session. Any thread may send. */
#ifndef TBMESH_MIGRATE_EXEC_LINK_H
#define TBMESH_MIGRATE_EXEC_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/list.h"
#include "migrate/exec/log_reader.h"
#include "migrate/stream/channel.h"
#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"

struct jobs;

/* A frame of the seed (RECORDS, RECORD_PART, MEMORY, START), for the main thread. */
struct seed_frame {
	struct list link;
	struct frame_header header;
	unsigned char payload[FRAME_MAX_PAYLOAD];
};

struct link {
	/* set at creation */
	int listen_fd;
	char *path;               /* local: the socket's; owned */
	unsigned char secret[32]; /* remote */
	/* set by the receiver before `connected` */
	struct channel *channel;
	struct log_reader log;
	struct ring feed, result; /* local */
	struct progress progress; /* local */
	/* under mutex */
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool connected;
	struct jobs *jobs;        /* what the heartbeat speaks of; NULL before there are any */
	struct list seed, unused; /* struct seed_frame */
	unsigned frame_count;     /* made so far */
	uint64_t leave_nonce;     /* of a LEAVE */
	/* receiver */
	bool leaving;              /* a LEAVE came */
	struct seed_frame *coming; /* where a frame of the seed is being received; NULL: none */
};

/* Both: 0 or -errno. Nobody is accepted before link_start. */
int link_listen_local(struct link *l, const char *path);
int link_listen_remote(struct link *l, const unsigned char secret[32], uint16_t *ret_port);
/* Starts the receiver and the heartbeat. 0 or -errno. */
int link_start(struct link *l);
/* Waits until the session is there; the process ends when none comes in time. */
void link_wait(struct link *l);
void link_set_jobs(struct link *l, struct jobs *j);

/* Sends a frame; header->size is set here. Ends the process when the session is gone. */
void link_send_first(
	struct link *l, struct frame_header *header, const void *payload, size_t size); /* another one follows */
void link_send(struct link *l, struct frame_header *header, const void *payload, size_t size);
/* DONE. brings_nothing: it is neither COMMIT nor RETURN; then a program on this host is told directly. */
void link_done(struct link *l, uint64_t seq, uint64_t nonce, bool brings_nothing);
/* The next frame of the seed, until link_release_seed. */
struct seed_frame *link_next_seed(struct link *l);
void link_release_seed(struct link *l, struct seed_frame *frame);
/* After log_reader_next has said -ECANCELED: the nonce of the LEAVE. */
uint64_t link_leave_nonce(struct link *l);
/* Tells the session that this executor is lost, and ends the process. */
_Noreturn void link_lost(struct link *l, VkResult result, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
