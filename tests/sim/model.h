/* A world in which the session's core is tried out: a program with its driver (capture and delivery exactly as proto/README.md §1.4
 * says), executors with byte-exact devices that die, lie and come back, and beside it the truth: the same program on a device
 * that is never lost. What the program sees must equal the truth. All choices come from one source of numbers. */
#ifndef TBMESH_TESTS_SIM_MODEL_H
#define TBMESH_TESTS_SIM_MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "migrate/session/core.h"
#include "migrate/session/map.h"
#include "proto/frame.h"
#include "proto/record.h"

/* Where choices come from: a seeded generator, or bytes until they are used up (then always 0). */
struct choices {
	uint64_t state;
	const unsigned char *bytes, *end; /* NULL: generator */
};
uint32_t choose(struct choices *c, uint32_t below); /* 0 … below-1; 0 for below 0 or 1 */
bool one_in(struct choices *c, uint32_t n);

/* What a dispatch does: bytes of dst from bytes of src, its former contents and the module's constant. */
enum op_kind { OP_FILL, OP_COPY, OP_XOR, OP_ADD, OP_SCATTER, OP_MIX, OP_KINDS };
struct op {
	uint64_t pipeline, set;
	uint32_t offset, size, stride; /* within the smaller of both buffers */
	uint32_t value;
};
/* touch is told each byte read (write false) or written of dst (true) or src. NULL: nobody wants to know. */
typedef void op_touch_fn(void *ctx, bool is_dst, uint32_t offset, bool write);
void op_run(enum op_kind kind, uint32_t constant, const struct op *op, const unsigned char *src, uint32_t src_size,
	unsigned char *dst, uint32_t dst_size, op_touch_fn *touch, void *ctx);

/* Payloads of the model's commands. */
enum object_kind {
	OBJECT_MODULE = 1,
	OBJECT_PIPELINE,
	OBJECT_LAYOUT,
	OBJECT_SET,
	OBJECT_BUFFER,
	OBJECT_VIEW,
	OBJECT_COMMANDS
};
struct command_create {
	uint32_t kind, value;
}; /* value: constant, op kind or size */
struct command_bind {
	uint64_t offset;
};

struct device;
struct program;

/* The world of one run. */
struct world {
	struct choices choices;
	struct buf log; /* all of it since position 0; before `trimmed` it is poisoned */
	uint64_t trimmed, trim_to;
	struct session_core *core;
	uint64_t now_ns;
	struct program *program;
	struct device *device;   /* the current epoch's executor, owned; NULL none */
	struct device *stale[4]; /* former ones that go on talking, owned */
	struct buf delivery;     /* not yet read by the driver */
	uint64_t request;        /* acquire asked and not answered, 0 none */
	char excluded[8][SESSION_TEXT];
	size_t excluded_count;
	bool lie;        /* the frame that the core has in its hands is one */
	unsigned closed; /* enum fate of the last executor that the core let go of */
	unsigned faults_left;
	bool lost;
	bool relaxed;   /* the program's driver runs in relaxed mode */
	bool diverging; /* each executor computes otherwise: there is no truth, but what is seen in the end is the device's */
	uint64_t diverged; /* events */
	uint64_t epochs, checkpoints, leaves;
	bool stays;        /* no more moves with notice */
	uint64_t left_seq; /* up to where the executor ran that left last */
	jmp_buf failed;
	char failure[256];
};
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* Runs a program of `steps` random operations. 0, or -1 with text in `failure`. verbose prints moves. */
struct world_options {
	unsigned steps;
	bool verbose;
	bool diverging; /* relaxed mode, each executor computes otherwise */
};
int world_run(const struct choices *choices, const struct world_options *options, char failure[256], uint64_t *ret_epochs,
	uint64_t *ret_diverged, uint64_t *ret_leaves);
void world_pump(struct world *w); /* lets something happen outside of the program */

/* program.c */
struct program *program_create(struct world *w);
void program_destroy(struct program *p);
void program_step(struct program *p);   /* one random operation */
void program_check(struct program *p);  /* what it sees now is the truth */
void program_finish(struct program *p); /* waits for all, reads back all memory, compares */
void program_poll(struct program *p);   /* reads what was delivered */

/* device.c: an executor. Frames that it sends wait in its queue until the world hands them on. */
enum fate {
	FATE_HONEST,
	FATE_DIES,
	FATE_SILENT,
	FATE_UNFIT,
	FATE_BAD_DONE_NONCE,
	FATE_BAD_WINDOW_NONCE,
	FATE_BAD_BYTES,
	FATE_STALE_BYTES,
	FATE_NO_WINDOW,
	FATE_NO_RESULT,
	FATE_TWICE,
	FATE_SHORT,
	FATE_EARLY_DONE,
	FATE_NOISE,
	FATE_SAYS_LOST,
	FATES,
};
struct device_frame {
	struct frame_header header;
	unsigned char *payload;
	bool lie; /* it, or one in front of it: what it says must not be believed */
};
struct device {
	struct world *world;
	uint64_t epoch;
	enum fate fate;
	unsigned fate_at; /* frames (or commits) until the fate strikes */
	bool struck, dead;
	bool lied;                   /* all frames from here are lies */
	struct device_frame *frames; /* a growing array; first is the next to hand on */
	size_t frame_count, frame_capacity, first;
	struct map memories, objects;
	enum { SEED_NEW, SEED_READY, SEED_RECORDS, SEED_MEMORY, SEED_STARTED } stage;
	bool started;
	uint64_t position, seq; /* of the log */
	uint64_t seed_bytes;
	struct buf dirty; /* struct record_range[] since it was last returned */
	bool told_to_leave, left;
	bool bound; /* the last record was a COPY: it is not parted from its SUBMIT */
	uint64_t leave_nonce;
	uint64_t frame_seq; /* what the frames of a commit speak of */
};
struct device *device_create(struct world *w, uint64_t epoch, enum fate fate, unsigned fate_at);
void device_destroy(struct device *d);
void device_seed_record(struct device *d, const struct record_header *record);
void device_seed_block(struct device *d, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size);
void device_seed_hashes(struct device *d, uint64_t id, uint64_t offset, const unsigned char *hashes, uint64_t size);
void device_start(struct device *d, uint64_t position, uint64_t seq);
const unsigned char *device_bytes(const struct device *d, uint64_t memory); /* NULL: it has no such memory */
void device_step(struct device *d);                                         /* runs the next record of the log, if any */
void device_push(struct device *d, const struct frame_header *header, const void *payload);

#endif
