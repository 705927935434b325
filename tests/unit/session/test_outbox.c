/* The delivery ring with a program that reads late, or lies about it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate/session/outbox.h"
#include "migrate/stream/delta.h"
#include "tests/unit/test.h"

#define CHUNK (1u << 20)

struct world {
	struct ring log, delivery;
	struct outbox outbox;
	uint64_t position;
};

static int set_up(void **ctx)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(ring_create(&w->log, "test-log", 1 << 20), 0);
	assert_int_equal(outbox_init(&w->outbox, &w->log), 0);
	assert_int_equal(ring_attach(&w->delivery, ring_reopen_read_only(&w->outbox.ring), RING_DELIVERY_BYTES, false), 0);
	*ctx = w;
	return 0;
}

static int tear_down(void **ctx)
{
	struct world *w = *ctx;

	outbox_finish(&w->outbox);
	ring_finish(&w->delivery);
	ring_finish(&w->log);
	free(w);
	return 0;
}

/* Reads one record as a driver does; waits for it. */
static struct delivery_header read_one(struct world *w)
{
	struct delivery_header h;
	uint64_t head;

	for (;;) {
		uint32_t seen = progress_sequence(&w->outbox.progress);

		assert_int_equal(ring_read_head(&w->delivery, w->position, &head), 0);
		if (head != w->position)
			break;
		assert_int_equal(progress_wait(&w->outbox.progress, seen, 5000), 0);
	}
	memcpy(&h, ring_at(&w->delivery, w->position), sizeof(h));
	w->position += h.size;
	ring_release(&w->log, w->position);
	return h;
}

static void deliver_chunk(struct world *w, uint64_t memory, const unsigned char *bytes)
{
	static uint64_t masks[CHUNK / DELTA_BLOCK_BYTES];
	const struct record_run span = { 0, CHUNK };

	outbox_delta(&w->outbox,
		&(struct delivery_delta){ memory, &span, masks, 1, CHUNK / DELTA_BLOCK_BYTES, CHUNK, bytes, false });
}

static void test_late_reader(void **ctx)
{
	struct world *w = *ctx;
	unsigned char *bytes = calloc(1, CHUNK);
	unsigned count = 150; /* more than twice the ring */

	for (unsigned i = 0; i < count; i++) {
		deliver_chunk(w, i + 1, bytes);
		outbox_put(&w->outbox, DELIVERY_COMPLETE, i + 1, 0);
	}
	assert_true(outbox_crowded(&w->outbox));
	for (unsigned i = 0; i < count; i++) {
		struct delivery_header delta = read_one(w), complete = read_one(w);

		assert_int_equal(delta.kind, DELIVERY_DELTA);
		assert_int_equal(delta.subject, i + 1);
		assert_int_equal(complete.kind, DELIVERY_COMPLETE);
		assert_int_equal(complete.subject, i + 1);
	}
	assert_false(outbox_crowded(&w->outbox));
	free(bytes);
}

static void test_lying_reader(void **ctx)
{
	struct world *w = *ctx;
	unsigned char *bytes = calloc(1, CHUNK);

	ring_release(&w->log, 1ull << 40);
	for (unsigned i = 0; i < 200; i++)
		deliver_chunk(w, i + 1, bytes);
	assert_false(outbox_crowded(&w->outbox)); /* it gets nothing more, and nobody waits for it */
	free(bytes);
}

/* A program on the executor's host has heard it already: it sees that in the ring, but is not woken. */
static void test_complete(void **ctx)
{
	struct world *w = *ctx;
	uint32_t seen;

	progress_say(&w->outbox.progress, 7);
	seen = progress_sequence(&w->outbox.progress);
	outbox_complete(&w->outbox, 7, true);
	assert_int_equal(progress_sequence(&w->outbox.progress), seen);
	assert_int_equal(read_one(w).subject, 7);
	outbox_complete(&w->outbox, 8, true);
	assert_int_not_equal(progress_sequence(&w->outbox.progress), seen);
	seen = progress_sequence(&w->outbox.progress);
	progress_say(&w->outbox.progress, 10);
	outbox_complete(&w->outbox, 9, false);
	assert_int_equal(progress_sequence(&w->outbox.progress), seen + 2);
	assert_int_equal(read_one(w).subject, 8);
	assert_int_equal(read_one(w).subject, 9);
}

static void test_trim(void **ctx)
{
	struct world *w = *ctx;
	uint64_t tail;

	outbox_trim(&w->outbox, 4096);
	assert_int_equal(ring_read_tail(&w->delivery, 8192, 1 << 20, &tail), 0);
	assert_int_equal(tail, 4096);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { TEST(test_late_reader), TEST(test_lying_reader), TEST(test_complete),
		TEST(test_trim) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
