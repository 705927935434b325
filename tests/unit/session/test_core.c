/* The core's judgement of executors and of time, step by step. What a whole life looks like: tests/sim. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "migrate/session/core.h"
#include "tests/unit/test.h"

#define MS 1000000ull

struct world {
	struct session_core *core;
	struct buf log;
	uint64_t now, request, epoch, closed, complete, trimmed, deltas, leave_nonce;
	char excluded[4][SESSION_TEXT], prefer[SESSION_TEXT], said[200];
	size_t excluded_count;
	bool lost;
};

static const unsigned char *log_at(void *ctx, uint64_t position)
{
	return ((struct world *)ctx)->log.data + position;
}

static uint64_t log_head(void *ctx)
{
	return ((struct world *)ctx)->log.size;
}

static void acquire(void *ctx, const struct session_acquire *a)
{
	struct world *w = ctx;

	w->request = a->request;
	w->excluded_count = a->exclude_count;
	for (size_t i = 0; i < a->exclude_count && i < 4; i++)
		snprintf(w->excluded[i], SESSION_TEXT, "%s", a->exclude[i]);
	snprintf(w->prefer, SESSION_TEXT, "%s", a->prefer);
}

static void seed(void *ctx, uint64_t epoch)
{
	((struct world *)ctx)->epoch = epoch;
}

static void close_epoch(void *ctx, uint64_t epoch)
{
	((struct world *)ctx)->closed = epoch;
}

static void leave(void *ctx, uint64_t epoch, uint64_t nonce)
{
	struct world *w = ctx;

	assert_int_equal(epoch, w->epoch);
	w->leave_nonce = nonce;
}

static void deliver_delta(void *ctx, const struct delivery_delta *delta)
{
	for (uint32_t i = 0; i < delta->mask_count; i++)
		((struct world *)ctx)->deltas += (unsigned)__builtin_popcountll(delta->masks[i]);
}

static void deliver_complete(void *ctx, uint64_t seq, bool brings_nothing)
{
	(void)brings_nothing;
	((struct world *)ctx)->complete = seq;
}

static void deliver_allocated(void *ctx, uint64_t memory, int32_t result)
{
	struct world *w = ctx;

	snprintf(w->said, sizeof(w->said), "memory %d: %d", (int)memory, result);
}

static void deliver_lost(void *ctx)
{
	((struct world *)ctx)->lost = true;
}

static void trim(void *ctx, uint64_t position)
{
	((struct world *)ctx)->trimmed = position;
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

static const struct session_core_ops ops = { log_at, log_head, acquire, seed, close_epoch, leave, deliver_delta,
	deliver_complete, deliver_allocated, deliver_lost, trim, report, moved };

static int set_up(void **ctx)
{
	struct session_config config = SESSION_CONFIG_DEFAULT;
	struct world *w = calloc(1, sizeof(*w));

	w->core = session_core_create(&config, "host/a", &ops, w);
	w->now = 1000 * MS;
	session_core_start(w->core, w->now);
	*ctx = w;
	return 0;
}

static int tear_down(void **ctx)
{
	struct world *w = *ctx;

	session_core_destroy(w->core);
	buf_finish(&w->log);
	free(w);
	return 0;
}

static enum session_phase phase(struct world *w)
{
	struct session_status s;

	session_core_status(w->core, &s);
	return s.phase;
}

static void acquired(struct world *w, const char *gpu)
{
	uint64_t epoch;

	assert_true(session_core_acquired(w->core, w->now, w->request, gpu, &epoch));
	assert_int_equal(epoch, w->epoch);
}

static void frame(struct world *w, enum frame_kind kind, uint64_t a, uint64_t b)
{
	session_core_frame(w->core, w->now, w->epoch, &(struct frame_header){ 0, kind, a, b, 0 }, NULL);
}

static void run(struct world *w, const char *gpu)
{
	uint64_t position, seq;

	acquired(w, gpu);
	frame(w, FRAME_READY, 0, 0);
	assert_true(session_core_seeding_done(w->core, w->epoch, &position, &seq));
	frame(w, FRAME_STARTED, 0, 0);
	assert_int_equal(phase(w), SESSION_RUN);
}

static void pass(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now + ms * MS; w->now < end;) {
		w->now += 100 * MS;
		session_core_tick(w->core, w->now);
	}
}

static void record(struct world *w, enum record_kind kind, uint64_t subject, const void *payload, size_t size)
{
	struct record_header h = { .size = (uint32_t)(sizeof(h) + size), .kind = (uint16_t)kind, .subject = subject };

	buf_append(&w->log, &h, sizeof(h));
	buf_append(&w->log, payload, size);
}

static void submit(struct world *w, uint64_t seq, bool commit)
{
	struct record_submit s = { .nonce = seq * 100, .flags = commit };

	record(w, RECORD_SUBMIT, seq, &s, sizeof(s));
}

static void test_first_executor(void **ctx)
{
	struct world *w = *ctx;

	assert_string_equal(w->prefer, "host/a");
	run(w, "host/a");
	submit(w, 1, true);
	frame(w, FRAME_DONE, 1, 100);
	assert_int_equal(w->complete, 1);
	assert_int_equal(w->trimmed, w->log.size);
}

/* Told to leave: a checkpoint where the executor stopped, and the next one goes on from there. */
static void test_leave(void **ctx)
{
	struct world *w = *ctx;
	struct session_status s;
	uint64_t stopped, position, seq, epoch;

	run(w, "host/a");
	assert_int_equal(session_core_leave(w->core, w->now, "host/b", 7), -ENOENT);
	submit(w, 1, false);
	submit(w, 2, false);
	stopped = w->log.size;
	submit(w, 3, false);
	frame(w, FRAME_DONE, 1, 100);
	assert_int_equal(session_core_leave(w->core, w->now, "host/a", 7), 0);
	assert_int_equal(session_core_leave(w->core, w->now, "host/a", 8), -EALREADY);
	assert_string_equal(w->excluded[0], "host/a");
	assert_int_equal(phase(w), SESSION_RUN);
	assert_true(session_core_acquired(w->core, w->now, w->request, "host/b", &epoch));
	assert_int_equal(w->leave_nonce, 7);
	frame(w, FRAME_DONE, 2, 200);
	frame(w, FRAME_LEAVING, stopped, 2);
	frame(w, FRAME_DONE, FRAME_LEAVE_SEQ, 7);
	assert_int_equal(w->closed, 1);
	assert_int_equal(w->epoch, 2);
	assert_int_equal(epoch, 2);
	assert_int_equal(phase(w), SESSION_ATTACH);
	assert_int_equal(w->trimmed, stopped);
	frame(w, FRAME_READY, 0, 0);
	assert_true(session_core_seeding_done(w->core, w->epoch, &position, &seq));
	assert_int_equal(position, stopped);
	assert_int_equal(seq, 2);
	frame(w, FRAME_STARTED, 0, 0);
	frame(w, FRAME_DONE, 3, 300);
	assert_int_equal(w->complete, 3);
	session_core_status(w->core, &s);
	assert_true(s.graceful);
	assert_int_equal(s.replayed, 0);
	assert_int_equal(s.losses, 0);
	assert_int_equal(s.moves, 1);
}

static void test_leave_refused(void **ctx)
{
	struct world *w = *ctx;
	struct session_status s;

	run(w, "host/a");
	assert_int_equal(session_core_leave(w->core, w->now, "host/a", 7), 0);
	session_core_refused(w->core, w->now, w->request, "nobody");
	session_core_status(w->core, &s);
	assert_int_equal(s.phase, SESSION_RUN);
	assert_false(s.leaving);
	assert_string_equal(s.refusal, "nobody");
	submit(w, 1, false);
	frame(w, FRAME_DONE, 1, 100);
	assert_int_equal(w->complete, 1);
}

/* Where it says that it is must be possible; and nothing else comes behind LEAVING. */
static void test_leave_lies(void **ctx)
{
	struct world *w = *ctx;
	uint64_t positions[4];

	submit(w, 1, false);
	positions[0] = w->log.size - 8; /* within a record */
	submit(w, 2, false);
	positions[1] = w->log.size; /* behind a SUBMIT that is not done */
	positions[2] = w->log.size + 4096;
	positions[3] = 0;
	run(w, "host/a");
	frame(w, FRAME_DONE, 1, 100);
	for (unsigned i = 0; i < 4; i++) {
		char gpu[16];
		struct session_status s;
		uint64_t epoch;

		session_core_status(w->core, &s);
		assert_int_equal(session_core_leave(w->core, w->now, s.gpu, 7), 0);
		assert_true(session_core_acquired(w->core, w->now, w->request, "host/x", &epoch));
		frame(w, FRAME_LEAVING, positions[i], 1);
		session_core_status(w->core, &s);
		assert_int_equal(s.loss, SESSION_LOSS_PROTOCOL);
		assert_int_equal(s.phase, SESSION_ACQUIRE);
		snprintf(gpu, sizeof(gpu), "host/%u", i);
		run(w, gpu);
		frame(w, FRAME_DONE, 1, 100);
	}
	frame(w, FRAME_LEAVING, 0, 0); /* nobody asked it to */
	assert_int_equal(phase(w), SESSION_ACQUIRE);
}

static void test_silence(void **ctx)
{
	struct world *w = *ctx;

	run(w, "host/a");
	pass(w, 1400);
	frame(w, FRAME_HEARTBEAT, 1, 0);
	pass(w, 1400);
	assert_int_equal(phase(w), SESSION_RUN);
	/* A session that did not run itself cannot have heard anything. */
	w->now += 60000 * MS;
	session_core_tick(w->core, w->now);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
	assert_string_equal(w->excluded[0], "host/a");
}

static void test_own_pause_is_no_silence(void **ctx)
{
	struct world *w = *ctx;

	run(w, "host/a");
	pass(w, 100);
	for (int i = 0; i < 3; i++) {
		w->now += 60000 * MS;
		session_core_tick(w->core, w->now);
	}
	assert_int_equal(phase(w), SESSION_RUN);
	pass(w, 500);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
}

static void test_killed_executor_may_come_back_once(void **ctx)
{
	struct world *w = *ctx;

	run(w, "host/a");
	session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	assert_int_equal(w->closed, 1);
	assert_int_equal(w->excluded_count, 0);
	assert_string_equal(w->prefer, "host/a");
	run(w, "host/a");
	session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	assert_int_equal(w->excluded_count, 1);
	/* Nobody else serves: it may try again. */
	session_core_refused(w->core, w->now, w->request, "none");
	pass(w, 100);
	assert_int_equal(w->excluded_count, 0);
}

static void test_gone_gpu(void **ctx)
{
	struct world *w = *ctx;
	struct session_status s;

	run(w, "host/a");
	session_core_gpu_gone(w->core, w->now, "host/b", 0);
	assert_int_equal(phase(w), SESSION_RUN);
	session_core_gpu_gone(w->core, w->now, "host/a", w->now - 5 * MS);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
	run(w, "host/b");
	session_core_status(w->core, &s);
	assert_int_equal(s.moves, 1);
	assert_int_equal(s.timeline.noticed_ns, s.timeline.resumed_ns - 5 * MS);
}

static void test_nobody_left(void **ctx)
{
	struct world *w = *ctx;

	run(w, "host/a");
	session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	for (int i = 0; i < 290; i++) {
		session_core_refused(w->core, w->now, w->request, "no GPU covers it");
		pass(w, 100);
	}
	assert_false(w->lost);
	pass(w, 1500); /* even an answer that never comes */
	assert_true(w->lost);
	assert_int_equal(phase(w), SESSION_LOST);
	assert_false(session_core_acquired(w->core, w->now, w->request, "host/b", &w->epoch));
}

static void test_slow_seed_is_no_failed_migration(void **ctx)
{
	struct world *w = *ctx;

	acquired(w, "host/a");
	frame(w, FRAME_READY, 0, 0);
	for (int i = 0; i < 120; i++) { /* pipelines are compiled for two minutes */
		pass(w, 1000);
		frame(w, FRAME_HEARTBEAT, 1, 0);
	}
	assert_int_equal(phase(w), SESSION_SEED);
	session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	pass(w, 1000);
	run(w, "host/b"); /* there was time for another one */
}

static void test_executor_without_device(void **ctx)
{
	struct world *w = *ctx;

	acquired(w, "host/a");
	pass(w, 11000);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
	assert_string_equal(w->excluded[0], "host/a");
}

static void test_stuck(void **ctx)
{
	struct world *w = *ctx;

	run(w, "host/a");
	for (int i = 0; i < 400; i++) { /* idle for long: nothing to say against it */
		pass(w, 1000);
		frame(w, FRAME_HEARTBEAT, 1, 0);
	}
	assert_int_equal(phase(w), SESSION_RUN);
	submit(w, 1, false);
	for (int i = 0; i < 299; i++) {
		pass(w, 1000);
		frame(w, FRAME_HEARTBEAT, 1, 1);
	}
	pass(w, 900);
	assert_int_equal(phase(w), SESSION_RUN);
	frame(w, FRAME_HEARTBEAT, 1, 1);
	pass(w, 1200);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
}

static void test_deadly_workload(void **ctx)
{
	struct world *w = *ctx;

	submit(w, 1, true);
	for (int i = 0; i < 9; i++) {
		assert_false(w->lost);
		run(w, i % 2 ? "host/a" : "host/b");
		session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	}
	assert_true(w->lost);
}

static void test_blamed_workload(void **ctx)
{
	struct world *w = *ctx;

	for (int i = 0; i < 3; i++) {
		assert_false(w->lost);
		run(w, "host/a");
		frame(w, FRAME_LOST, (uint32_t)FRAME_LOST_WORKLOAD, 0);
	}
	assert_true(w->lost);
}

static void test_unfit_executor(void **ctx)
{
	struct world *w = *ctx;
	struct record_allocate a = { .size_bytes = 1024 };

	run(w, "host/a");
	record(w, RECORD_ALLOCATE, 7, &a, sizeof(a));
	frame(w, FRAME_ALLOCATED, 7, 0);
	assert_string_equal(w->said, "memory 7: 0");
	session_core_lost(w->core, w->now, w->epoch, SESSION_LOSS_CHANNEL, NULL);
	run(w, "host/b");
	w->said[0] = 0;
	frame(w, FRAME_ALLOCATED, 7, (uint32_t)-2);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
	assert_string_equal(w->said, "");
	/* It does not become fit by being asked again. */
	session_core_refused(w->core, w->now, w->request, "none");
	pass(w, 300);
	assert_int_equal(w->excluded_count, 1);
	assert_string_equal(w->excluded[0], "host/b");
	run(w, "host/a");
	frame(w, FRAME_ALLOCATED, 7, 0);
	assert_string_equal(w->said, "");
}

static void test_frames_out_of_place(void **ctx)
{
	static const enum frame_kind too_early[] = { FRAME_STARTED, FRAME_RESULT, FRAME_WINDOW, FRAME_DONE, FRAME_ALLOCATED,
		FRAME_LOG, 0, 99 };
	struct world *w = *ctx;

	for (size_t i = 0; i < sizeof(too_early) / sizeof(too_early[0]); i++) {
		acquired(w, "host/a");
		frame(w, too_early[i], 1, 1);
		assert_int_equal(phase(w), SESSION_ACQUIRE);
	}
}

static void test_started_before_start(void **ctx)
{
	struct world *w = *ctx;

	acquired(w, "host/a");
	frame(w, FRAME_READY, 0, 0);
	frame(w, FRAME_STARTED, 0, 0);
	assert_int_equal(phase(w), SESSION_ACQUIRE);
}

static void test_late_frames_of_an_old_epoch(void **ctx)
{
	struct world *w = *ctx;
	uint64_t old;

	submit(w, 1, true);
	run(w, "host/a");
	old = w->epoch;
	session_core_lost(w->core, w->now, old, SESSION_LOSS_CHANNEL, NULL);
	run(w, "host/b");
	session_core_frame(w->core, w->now, old, &(struct frame_header){ 0, FRAME_DONE, 1, 100, 0 }, NULL);
	session_core_lost(w->core, w->now, old, SESSION_LOSS_CHANNEL, NULL);
	assert_int_equal(w->complete, 0);
	assert_int_equal(phase(w), SESSION_RUN);
}

/* A log that makes no sense ends the workload, whatever the nonsense. */
static void test_malformed_logs(void **ctx)
{
	const struct record_allocate good = { .size_bytes = 512 }, odd = { .size_bytes = 100 },
				     strange = { .size_bytes = 512, .memory_class = 3 };
	const struct {
		struct record_submit s;
		struct record_range r;
	} outside = { { 1, 0, 1 }, { 3, 500, 20 } }, nowhere = { { 1, 0, 1 }, { 4, 0, 8 } },
	  empty = { { 1, 0, 1 }, { 3, 0, 0 } }, many = { { 1, 0, 1000 }, { 3, 0, 8 } },
	  flagged = { { 1, 6, 0 }, { 0, 0, 0 } }, wrapped = { { 1, 0, 1 }, { 3, 8, UINT64_MAX - 4 } };
	const struct {
		enum record_kind kind;
		uint64_t subject;
		const void *payload;
		size_t size;
	} bad[] = {
		{ 0, 1, NULL, 0 },
		{ 9, 1, NULL, 0 },
		{ RECORD_CREATE, 0, NULL, 0 },
		{ RECORD_ALLOCATE, 3, &good, sizeof(good) },
		{ RECORD_ALLOCATE, 5, &odd, sizeof(odd) },
		{ RECORD_ALLOCATE, 5, &strange, sizeof(strange) },
		{ RECORD_ALLOCATE, 5, &good, 8 },
		{ RECORD_FREE, 9, NULL, 0 },
		{ RECORD_WRITE, 9, NULL, 0 },
		{ RECORD_SUBMIT, 2, &nowhere, 16 },
		{ RECORD_SUBMIT, 0, &nowhere, 16 },
		{ RECORD_SUBMIT, 1, &nowhere, 8 },
		{ RECORD_SUBMIT, 1, &outside, 40 },
		{ RECORD_SUBMIT, 1, &nowhere, 40 },
		{ RECORD_SUBMIT, 1, &empty, 40 },
		{ RECORD_SUBMIT, 1, &many, 40 },
		{ RECORD_SUBMIT, 1, &flagged, 16 },
		{ RECORD_SUBMIT, 1, &wrapped, 40 },
		{ RECORD_NEED, 0, NULL, 0 },
	};
	void *fresh;

	(void)ctx;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct world *w;

		set_up(&fresh);
		w = fresh;
		run(w, "host/a");
		record(w, RECORD_ALLOCATE, 3, &good, sizeof(good));
		pass(w, 100);
		assert_false(w->lost);
		record(w, bad[i].kind, bad[i].subject, bad[i].payload, bad[i].size);
		pass(w, 100);
		if (!w->lost)
			print_message("case %zu\n", i);
		assert_true(w->lost);
		tear_down(&fresh);
	}
}

static void test_torn_header(void **ctx)
{
	struct world *w = *ctx;
	struct record_header h = { .size = 36, .kind = RECORD_CREATE, .subject = 1 };

	run(w, "host/a");
	h.size = 64;
	buf_append(&w->log, &h, sizeof(h)); /* the rest is still to come */
	pass(w, 100);
	assert_false(w->lost);
	buf_extend(&w->log, 32);
	h.size = 36;
	buf_append(&w->log, &h, sizeof(h));
	pass(w, 100);
	assert_true(w->lost);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_first_executor),
		TEST(test_leave),
		TEST(test_leave_refused),
		TEST(test_leave_lies),
		TEST(test_silence),
		TEST(test_own_pause_is_no_silence),
		TEST(test_killed_executor_may_come_back_once),
		TEST(test_gone_gpu),
		TEST(test_nobody_left),
		TEST(test_slow_seed_is_no_failed_migration),
		TEST(test_executor_without_device),
		TEST(test_stuck),
		TEST(test_deadly_workload),
		TEST(test_blamed_workload),
		TEST(test_unfit_executor),
		TEST(test_frames_out_of_place),
		TEST(test_started_before_start),
		TEST(test_late_frames_of_an_old_epoch),
		TEST(test_malformed_logs),
		TEST(test_torn_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
