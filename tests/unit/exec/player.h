/* Plays the session and the program's ICD for a real tbmesh-exec on a real driver: starts it, writes its log by hand with the wire
 * encoders, reads its frames. Fails the test by cmocka's asserts. */
#ifndef TBMESH_TESTS_UNIT_EXEC_PLAYER_H
#define TBMESH_TESTS_UNIT_EXEC_PLAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"
#include "migrate/stream/channel.h"
#include "migrate/stream/progress.h"
#include "migrate/stream/ring.h"
#include "proto/record.h"
#include "proto/vk/wire_gen.h"

struct player {
	pid_t pid;
	bool remote;
	struct channel *channel;
	struct ring log;
	struct progress progress; /* local */
	uint64_t position;        /* of the log's end */
	uint64_t sent;            /* remote: of the log, as frames */
	char directory[64], socket[96];
};

/* One frame as received; heartbeats are left out. */
struct frame {
	struct frame_header header;
	const unsigned char *payload; /* until the next one */
};

/* The first GPU of this host, or NULL when there is none. */
const char *player_gpu(void);
/* Starts an executor and says HELLO; it is READY on return. cache: NULL or a directory. */
void player_start(struct player *p, bool remote, const char *cache);
/* A checkpoint without anything in it, at log position 0. */
void player_start_empty(struct player *p);
void player_send(struct player *p, uint32_t kind, uint64_t a, uint64_t b, const void *payload, size_t size);
/* The next frame that is no heartbeat; fails after 60 s. */
void player_receive(struct player *p, struct frame *ret_frame);
void player_expect(struct player *p, uint32_t kind, struct frame *ret_frame);
/* Appends whole records to the log. */
void player_log(struct player *p, const struct buf *records);
/* Hangs up; true if the executor is gone within a second. */
bool player_stop(struct player *p);

/* Building records. observed: of all that follow. */
struct script {
	struct buf records;
	struct buf command, deps;
	uint64_t observed;
};
void script_finish(struct script *s);
/* Between begin and end, one or more commands are encoded with the writer. */
struct wire_writer script_begin(struct script *s);
void script_end(struct script *s, enum record_kind kind, uint64_t subject, uint64_t key);
void script_allocate(struct script *s, uint64_t id, uint64_t size);
void script_plain(struct script *s, enum record_kind kind, uint64_t subject);
void script_write(struct script *s, uint64_t memory, const struct record_run *runs, uint32_t count, const void *bytes);
void script_submit(struct script *s, uint64_t seq, uint64_t nonce, uint32_t flags, const uint64_t *buffers,
	uint16_t buffer_count, const struct record_range *ranges, uint32_t range_count);

/* The cells workload (cells.comp): memory, buffer, pipeline, set, a command buffer of two dispatches with a barrier. */
enum cells_id {
	CELLS_MEMORY = 1,
	CELLS_BUFFER,
	CELLS_SHADER,
	CELLS_SET_LAYOUT,
	CELLS_LAYOUT,
	CELLS_PIPELINE,
	CELLS_POOL,
	CELLS_SET,
	CELLS_COMMANDS,
	CELLS_FREE_ID
};
#define CELLS_COUNT 20000u
#define CELLS_MEMORY_BYTES (96u << 10)
#define CELLS_OFFSET 256u /* of the buffer in the memory */
void cells_objects(struct script *s);
void cells_step(unsigned char *memory); /* what one run of the command buffer does */

#define PLAYER_BLOCK (64u << 10)

/* Takes the windows and the DONE of a COMMIT into memory; checks nonces and hashes. player_take_changed: and keeps the hashes of the
 * memory's blocks as a session does (0: not known); of blocks that have not changed no bytes may come. *ret_hashed: blocks hashed. */
void player_take_changed(struct player *p, uint64_t seq, uint64_t nonce, uint64_t memory_id, unsigned char *memory,
	uint64_t memory_size, uint64_t *hashes, uint64_t *ret_bytes, uint64_t *ret_hashed);
void player_take_commit(struct player *p, uint64_t seq, uint64_t nonce, uint64_t memory_id, unsigned char *memory,
	uint64_t memory_size, uint64_t *ret_bytes);

#endif
