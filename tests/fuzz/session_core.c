/* The session's core under a driver and executors that send anything. The first byte chooses: the model's world (tests/sim) led by
 * the bytes, where the program must see the truth; or raw bytes as log, frames and time, where nothing must break. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/model.h"

#define RAW_LOG_MAX (64u << 10)

struct raw {
	const unsigned char *at, *end;
	struct session_core *core;
	struct buf log;
	uint64_t now, request, epoch, committed;
	struct {
		uint64_t seq, nonce;
	} last; /* SUBMIT appended by us, so that some DONEs are right */
};

static const unsigned char *log_at(void *ctx, uint64_t position)
{
	return ((struct raw *)ctx)->log.data + position;
}

static uint64_t log_head(void *ctx)
{
	return ((struct raw *)ctx)->log.size;
}

static void acquire(void *ctx, const struct session_acquire *a)
{
	((struct raw *)ctx)->request = a->request;
}

static void seed(void *ctx, uint64_t epoch)
{
	((struct raw *)ctx)->epoch = epoch;
}

static void close_epoch(void *ctx, uint64_t epoch)
{
	(void)ctx;
	(void)epoch;
}

static void leave(void *ctx, uint64_t epoch, uint64_t nonce)
{
	(void)ctx;
	(void)epoch;
	(void)nonce;
}

static void deliver_delta(void *ctx, const struct delivery_delta *delta)
{
	volatile unsigned char readable;

	(void)ctx;
	for (uint32_t i = 0; i < delta->span_count; i++) {
		readable = delta->base[delta->spans[i].offset];
		readable = delta->base[delta->spans[i].offset + delta->spans[i].size - 1];
	}
	(void)readable;
}

static void deliver_complete(void *ctx, uint64_t seq, bool brings_nothing)
{
	(void)brings_nothing;
	(void)ctx;
	(void)seq;
}

static void deliver_allocated(void *ctx, uint64_t memory, int32_t result)
{
	(void)ctx;
	(void)memory;
	(void)result;
}

static void deliver_lost(void *ctx)
{
	(void)ctx;
}

static void trim(void *ctx, uint64_t position)
{
	struct raw *r = ctx;

	if (position < r->committed || position > r->log.size)
		abort();
	r->committed = position;
}

static void report(void *ctx, enum session_event event)
{
	(void)ctx;
	(void)event;
}

static void moved(void *ctx, enum session_phase from, enum session_phase to)
{
	(void)ctx;
	(void)from;
	(void)to;
}

static uint64_t take(struct raw *r, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size && r->at < r->end; i++)
		value = value << 8 | *r->at++;
	return value;
}

/* A record whose header is mostly right, with a payload of bytes. */
static void append_record(struct raw *r)
{
	unsigned deps = (unsigned)take(r, 1) % 4, payload = (unsigned)take(r, 1) % 128 * 8;
	struct record_header h = { .kind = (uint16_t)(take(r, 1) % 10),
		.dep_count = (uint16_t)deps,
		.subject = take(r, 1) % 8,
		.key = take(r, 1) % 4 };
	unsigned char byte;

	h.size = (uint32_t)(sizeof(h) + deps * 8 + payload + (take(r, 1) == 255));
	if (h.kind == RECORD_SUBMIT && h.subject)
		h.subject = r->last.seq + 1;
	if (r->log.size + h.size + 8 > RAW_LOG_MAX)
		return;
	buf_append(&r->log, &h, sizeof(h));
	for (unsigned i = 0; i < deps; i++)
		buf_append(&r->log, &(uint64_t){ take(r, 1) % 8 }, 8);
	if (h.kind == RECORD_ALLOCATE && payload >= sizeof(struct record_allocate)) {
		struct record_allocate a = { take(r, 1) * 256, (uint32_t)take(r, 1) % 4, 0 };

		buf_append(&r->log, &a, sizeof(a));
		payload -= sizeof(a);
	}
	if (h.kind == RECORD_SUBMIT && payload >= sizeof(struct record_submit)) {
		struct record_submit s = { take(r, 1), (uint32_t)take(r, 1) % 2, (uint32_t)take(r, 1) % 3 };

		r->last.seq = h.subject;
		r->last.nonce = s.nonce;
		buf_append(&r->log, &s, sizeof(s));
		payload -= sizeof(s);
	}
	for (unsigned i = 0; i < payload; i++) {
		byte = i % 8 < 2 ? (unsigned char)take(r, 1) : 0; /* numbers are mostly small */
		buf_append(&r->log, &byte, 1);
	}
}

static void send_frame(struct raw *r)
{
	unsigned char payload[64];
	struct frame_header h = { .size = (uint32_t)take(r, 1) % (sizeof(payload) + 1),
		.kind = (uint32_t)(FRAME_READY + take(r, 1) % 9),
		.a = take(r, 1),
		.b = take(r, 1),
		.c = take(r, 1) };

	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)take(r, i < h.size);
	if (h.kind == FRAME_DONE && h.c % 2) {
		h.a = r->last.seq;
		h.b = r->last.nonce;
	}
	session_core_frame(r->core, r->now, r->epoch - (take(r, 1) == 7), &h, payload);
}

static int ignore_record(void *ctx, const struct record_header *record)
{
	(void)ctx;
	return record->size == 0;
}

static int ignore_block(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	(void)ctx;
	(void)id;
	(void)offset;
	(void)bytes;
	return size == 0;
}

static void step(struct raw *r)
{
	uint64_t a, b;

	switch (take(r, 1) % 8) {
	case 0:
	case 1:
		append_record(r);
		break;
	case 2:
	case 3:
		send_frame(r);
		break;
	case 4:
		if (r->request)
			session_core_acquired(r->core, r->now, r->request, "host/gpu", &a);
		break;
	case 5:
		session_core_seed_records(r->core, ignore_record, NULL);
		session_core_seed_memory(r->core, STATE_BLOCK, ignore_block, NULL);
		session_core_seeding_done(r->core, r->epoch, &a, &b);
		break;
	case 6:
		r->now += take(r, 2) * 1000000;
		session_core_tick(r->core, r->now);
		break;
	case 7:
		session_core_leave(r->core, r->now, "g", r->now);
		if (r->log.size) /* the program writes where it was read already */
			r->log.data[take(r, 2) % r->log.size] = (unsigned char)take(r, 1);
		break;
	}
}

static void run_raw(const unsigned char *data, size_t size)
{
	static const struct session_core_ops ops = { log_at, log_head, acquire, seed, close_epoch, leave, deliver_delta,
		deliver_complete, deliver_allocated, deliver_lost, trim, report, moved };
	const struct session_config config = SESSION_CONFIG_DEFAULT;
	struct raw r = { .at = data, .end = data + size, .now = 1000000000 };

	buf_reserve(&r.log, RAW_LOG_MAX);
	r.core = session_core_create(&config, "", &ops, &r);
	session_core_start(r.core, r.now);
	while (r.at < r.end)
		step(&r);
	session_core_end(r.core, r.now);
	session_core_destroy(r.core);
	buf_finish(&r.log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct world_options options = { .steps = 60 };
	struct choices choices = { .bytes = data + 1, .end = data + size };
	char failure[256];
	uint64_t epochs, diverged, leaves;

	if (size < 2)
		return 0;
	if (data[0] % 2) {
		run_raw(data + 1, size - 1);
	} else if (world_run(&choices, &options, failure, &epochs, &diverged, &leaves) < 0) {
		fprintf(stderr, "%s\n", failure);
		abort();
	}
	return 0;
}
