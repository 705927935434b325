/* A played session for tests of the driver: offers a made-up GPU, reads the log, runs copies, fills and updates on the CPU, delivers.
 * One thread; the test steers it through the fields below, under the mutex. */
#ifndef TBMESH_TESTS_UNIT_ICD_SESSION_H
#define TBMESH_TESTS_UNIT_ICD_SESSION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"
#include "proto/record.h"

#define PLAY_MAX_OBJECTS 4096
#define PLAY_MAX_RANGES 64

struct play_object {
	unsigned char *bytes, *known; /* memory: as the device has it; as the program has it */
	uint64_t size;
	bool host;
	uint64_t memory, offset;  /* buffer */
	unsigned char *recording; /* command buffer; without deps */
	uint64_t recording_size;
	bool is_recording;       /* a command buffer */
	struct record_part part; /* of the last part that came */
	uint32_t parts;          /* that came */
};

struct play_seen {
	unsigned kinds[16];          /* records by kind */
	unsigned descriptor_updates; /* UPDATEs of descriptors */
	uint64_t write_bytes, commits;
	unsigned copies;                             /* in COPY records */
	uint64_t needs[16];                          /* NEED records by kind */
	struct record_range ranges[PLAY_MAX_RANGES]; /* of the last SUBMIT */
	unsigned range_count;
};

#define PLAY_MAX_FEATURES 64
struct play_feature {
	uint64_t key, type, offset;
};

struct play {
	char path[108];
	int listen_fd, socket;
	pthread_t thread;
	struct ring log, delivery;
	struct progress progress;
	uint64_t position, delivered, seq;
	struct play_object objects[PLAY_MAX_OBJECTS];
	pthread_mutex_t mutex;
	/* under mutex, set by the test */
	bool stop, hold;                                 /* hold: SUBMITs are not looked at */
	uint64_t refuse_above_bytes;                     /* ALLOCATE beyond fails */
	struct play_seen seen;                           /* under mutex, set by the thread */
	bool broken;                                     /* something was wrong; said on stderr */
	struct play_feature features[PLAY_MAX_FEATURES]; /* NEEDs of features, under mutex */
	unsigned feature_count;
};

void play_start(struct play *p);
void play_stop(struct play *p);
void play_set_hold(struct play *p, bool hold);
/* What was seen so far. */
struct play_seen play_seen(struct play *p);
/* An executor says that all up to seq is complete. After the VkDevice was made. */
void play_say_progress(struct play *p, uint64_t seq);

#endif
