#include "migrate/stream/delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/unit/test.h"

static int write_run(void *ctx, uint64_t offset, uint64_t size)
{
	struct buf *runs = ctx;
	buf_append(runs, &(struct record_run){ offset, size }, sizeof(struct record_run));
	return 0;
}

/* The slow and obvious way. */
static void naive_walk(const unsigned char *before, const unsigned char *now, uint64_t size, struct buf *runs)
{
	for (uint64_t at = 0; at < size;) {
		uint64_t end = at;
		while (end < size && before[end] != now[end])
			end++;
		if (end > at)
			write_run(runs, at, end - at);
		at = end + 1;
	}
}

static void check_walk(const unsigned char *before, const unsigned char *now, uint64_t size)
{
	struct buf runs = { 0 }, expected = { 0 };
	assert_int_equal(delta_walk(before, now, size, write_run, &runs), 0);
	naive_walk(before, now, size, &expected);
	assert_int_equal(runs.size, expected.size);
	if (runs.size)
		assert_memory_equal(runs.data, expected.data, runs.size);
	buf_finish(&runs);
	buf_finish(&expected);
}

static void test_walk_random(void **state)
{
	(void)state;
	unsigned seed = 7;
	unsigned char before[4096], now[4096];
	for (int round = 0; round < 2000; round++) {
		uint64_t size = (uint64_t)rand_r(&seed) % sizeof(before);
		for (uint64_t i = 0; i < size; i++)
			before[i] = (unsigned char)rand_r(&seed);
		memcpy(now, before, size);
		for (int change = rand_r(&seed) % 12; change > 0 && size; change--) {
			uint64_t at = (uint64_t)rand_r(&seed) % size, length = (uint64_t)rand_r(&seed) % 40;
			for (uint64_t i = at; i < size && i < at + length; i++)
				now[i] = round % 3 ? (unsigned char)(before[i] + 1) : (unsigned char)rand_r(&seed);
		}
		check_walk(before, now, size);
	}
}

static void test_walk_false_zero_bytes(void **state)
{
	(void)state;
	/* Differences of 0x01 behind a zero byte are where the borrow trick errs. */
	unsigned char before[64] = { 0 }, now[64];
	for (unsigned pattern = 0; pattern < 1u << 16; pattern++) {
		for (unsigned i = 0; i < 16; i++)
			now[i] = pattern >> i & 1;
		check_walk(before, now, 16);
	}
}

static int stop_at_first(void *ctx, uint64_t offset, uint64_t size)
{
	(void)size;
	*(uint64_t *)ctx += offset + 1;
	return -ECANCELED;
}

static void test_walk_stops(void **state)
{
	(void)state;
	uint64_t sum = 0;
	assert_int_equal(delta_walk("aXbXc", "aYbYc", 5, stop_at_first, &sum), -ECANCELED);
	assert_int_equal(sum, 2);
}

struct payload {
	struct record_write write;
	struct record_run runs[2];
	unsigned char bytes[8];
};

static struct payload good_payload(void)
{
	return (struct payload){
		.write = { .run_count = 2, .byte_count = 5 },
		.runs = { { .offset = 1, .size = 2 }, { .offset = 7, .size = 3 } },
		.bytes = "abcde",
	};
}

static void test_parse_and_apply(void **state)
{
	(void)state;
	struct payload p = good_payload();
	struct delta_view view;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), 0);
	assert_int_equal(view.run_count, 2);
	char memory[] = "..........";
	delta_apply(&view, memory);
	assert_string_equal(memory, ".ab....cde");
}

static void test_parse_refuses(void **state)
{
	(void)state;
	struct payload p = good_payload();
	struct delta_view view;
	for (size_t size = 0; size < sizeof(p) - 3; size++)
		assert_int_equal(delta_parse(&p, size, 10, &view), -EBADMSG);
	assert_int_equal(delta_parse(&p, sizeof(p), 9, &view), -EBADMSG);
	unsigned char more[sizeof(p) + 8] = { 0 };
	memcpy(more, &p, sizeof(p));
	struct record_write *aligned = malloc(sizeof(more));
	memcpy(aligned, more, sizeof(more));
	assert_int_equal(delta_parse(aligned, sizeof(more), 10, &view), -EBADMSG);
	free(aligned);

	p = good_payload(), p.runs[1].offset = 2;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), -EBADMSG);
	p = good_payload(), p.runs[0].size = 0;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), -EBADMSG);
	p = good_payload(), p.runs[1].size = UINT64_MAX - 3;
	assert_int_equal(delta_parse(&p, sizeof(p), UINT64_MAX, &view), -EBADMSG);
	p = good_payload(), p.runs[1].offset = UINT64_MAX;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), -EBADMSG);
	p = good_payload(), p.write.byte_count = 4;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), -EBADMSG);
	p = good_payload(), p.write.run_count = UINT32_MAX;
	assert_int_equal(delta_parse(&p, sizeof(p), 10, &view), -EBADMSG);
}

/* Against the obvious way: a mask's bits are the bytes that differ, and applying them makes the arrays equal and touches nothing else. */
static void test_masks(void **state)
{
	(void)state;
	enum { SIZE = 1000 };
	unsigned char before[SIZE], now[SIZE], made[SIZE + DELTA_BLOCK_BYTES];
	uint64_t masks[SIZE / DELTA_BLOCK_BYTES + 1];
	for (unsigned round = 0; round < 400; round++) {
		uint64_t size = round % 10 ? 1 + (unsigned)rand() % SIZE : SIZE;
		for (uint64_t i = 0; i < size; i++) {
			before[i] = (unsigned char)rand();
			now[i] = rand() % 4 ? (unsigned char)rand() : before[i];
			if (i / 100 % 2 == round % 2)
				now[i] = round % 3 ? before[i] : (unsigned char)~before[i];
		}
		delta_masks(before, now, size, masks);
		memcpy(made, before, size);
		memset(made + size, 0x5a, DELTA_BLOCK_BYTES);
		for (uint64_t i = 0; i < size; i++)
			assert_int_equal(masks[i / DELTA_BLOCK_BYTES] >> i % DELTA_BLOCK_BYTES & 1, before[i] != now[i]);
		for (uint64_t b = 0; b < delta_blocks(size); b++) {
			unsigned char block[DELTA_BLOCK_BYTES] = { 0 };
			uint64_t at = b * DELTA_BLOCK_BYTES, part = size - at < sizeof(block) ? size - at : sizeof(block);
			for (uint64_t k = 0; k < part; k++)
				block[k] = now[at + k] != before[at + k] ? now[at + k]
									 : 0xee; /* what is not named may be anything */
			delta_apply_block(masks[b], block, made + at);
		}
		assert_memory_equal(made, now, size);
		for (unsigned i = 0; i < DELTA_BLOCK_BYTES; i++)
			assert_int_equal(made[size + i], 0x5a);
	}
}

static void test_parse_spans(void **state)
{
	(void)state;
	struct {
		struct record_write write;
		struct record_run spans[2];
		uint64_t masks[3];
		unsigned char bytes[72];
	} p = { { .run_count = 2, .byte_count = 68 }, { { 0, 66 }, { 100, 2 } }, { 5, 3, 2 }, { 1 } }, bad;
	struct delta_spans d;
	assert_int_equal(delta_parse_spans(&p, sizeof(p), 102, &d), 0);
	assert_int_equal(d.span_count, 2);
	assert_ptr_equal(d.masks, p.masks);
	assert_ptr_equal(d.bytes, p.bytes);
	assert_int_equal(delta_parse_spans(&p, sizeof(p), 101, &d), -EBADMSG);
	for (size_t size = 0; size < sizeof(p) - 4; size++)
		assert_int_equal(delta_parse_spans(&p, size, 102, &d), -EBADMSG);
	assert_int_equal(delta_parse_spans(&p, sizeof(p) + 8, 102, &d), -EBADMSG);
	bad = p;
	bad.masks[1] = 4; /* a byte behind the end of the span */
	assert_int_equal(delta_parse_spans(&bad, sizeof(bad), 102, &d), -EBADMSG);
	bad = p;
	bad.spans[1].offset = 65;
	assert_int_equal(delta_parse_spans(&bad, sizeof(bad), 102, &d), -EBADMSG);
	bad = p;
	bad.spans[0].size = UINT64_MAX;
	assert_int_equal(delta_parse_spans(&bad, sizeof(bad), UINT64_MAX, &d), -EBADMSG);
	bad = p;
	bad.write.run_count = UINT32_MAX;
	assert_int_equal(delta_parse_spans(&bad, sizeof(bad), 102, &d), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk_random),
		cmocka_unit_test(test_walk_false_zero_bytes),
		cmocka_unit_test(test_walk_stops),
		cmocka_unit_test(test_parse_and_apply),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_parse_spans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
