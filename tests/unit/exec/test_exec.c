/* The executor on a real driver, under a played session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "tests/unit/exec/player.h"
#include "tests/unit/test.h"
#include "tests/unit/vulkan_env.h"

#define NONCE 0x1122334455667788ull

static const struct record_range cells_range = { CELLS_MEMORY, CELLS_OFFSET, CELLS_COUNT * 4 };
static const uint64_t cells_buffers[] = { CELLS_COMMANDS };

/* Bytes at odd places, in two WRITEs that overlap: the later one counts. */
static void write_start(struct script *s, unsigned char *model)
{
	unsigned char bytes[3000];
	struct record_run runs[3] = { { 1, 1 }, { 257, 1499 }, { 2001, 1500 } };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 7 + 1);
	script_write(s, CELLS_MEMORY, runs, 3, bytes);
	memcpy(model + 1, bytes, 1);
	memcpy(model + 257, bytes + 1, 1499);
	memcpy(model + 2001, bytes + 1500, 1500);
	runs[0] = (struct record_run){ 300, 900 };
	script_write(s, CELLS_MEMORY, runs, 1, bytes + 100);
	memcpy(model + 300, bytes + 100, 900);
}

static void expect_allocated(struct player *p, uint64_t id, VkResult result)
{
	struct frame frame;

	player_expect(p, FRAME_ALLOCATED, &frame);
	assert_int_equal(frame.header.a, id);
	assert_int_equal((int32_t)frame.header.b, result);
}

static void expect_done(struct player *p, uint64_t seq, uint64_t nonce)
{
	struct frame frame;

	player_expect(p, FRAME_DONE, &frame);
	assert_int_equal(frame.header.a, seq);
	assert_true(frame.header.b == nonce);
}

/* Objects, bytes, two submissions and a COMMIT; what came back into `got`. */
static void run_cells(struct player *p, struct script *s, unsigned char *got)
{
	unsigned char *model = calloc(1, CELLS_MEMORY_BYTES);
	uint64_t bytes;

	cells_objects(s);
	write_start(s, model);
	script_submit(s, 1, NONCE, 0, cells_buffers, 1, &cells_range, 1);
	script_submit(s, 2, NONCE + 100, SUBMIT_COMMIT, cells_buffers, 1, &cells_range, 1);
	player_log(p, &s->records);
	expect_allocated(p, CELLS_MEMORY, VK_SUCCESS);
	expect_done(p, 1, NONCE);
	assert_int_equal(p->remote ? 1 : progress_seq(&p->progress), 1); /* not the COMMIT behind it */
	memcpy(got, model, CELLS_MEMORY_BYTES);
	player_take_commit(p, 2, NONCE + 100, CELLS_MEMORY, got, CELLS_MEMORY_BYTES, &bytes);
	assert_int_equal(bytes, CELLS_COUNT * 4);
	cells_step(model);
	cells_step(model);
	assert_memory_equal(got, model, CELLS_MEMORY_BYTES);
	free(model);
}

static void go_on(struct player *p, uint64_t seq, unsigned char *memory)
{
	struct script s = { .observed = seq - 1 };
	uint64_t bytes;

	script_submit(&s, seq, NONCE + seq, SUBMIT_COMMIT, cells_buffers, 1, &cells_range, 1);
	player_log(p, &s.records);
	player_take_commit(p, seq, NONCE + seq, CELLS_MEMORY, memory, CELLS_MEMORY_BYTES, &bytes);
	script_finish(&s);
}

/* All of the memory, also where nothing was ever written. */
static void take_all(struct player *p, uint64_t seq, unsigned char *memory)
{
	const struct record_range all = { CELLS_MEMORY, 0, CELLS_MEMORY_BYTES };
	struct script s = { .observed = seq - 1 };
	uint64_t bytes;

	script_submit(&s, seq, NONCE + seq, SUBMIT_COMMIT, NULL, 0, &all, 1);
	player_log(p, &s.records);
	memset(memory, 0xEE, CELLS_MEMORY_BYTES);
	player_take_commit(p, seq, NONCE + seq, CELLS_MEMORY, memory, CELLS_MEMORY_BYTES, &bytes);
	assert_int_equal(bytes, CELLS_MEMORY_BYTES);
	script_finish(&s);
}

/* The checkpoint of run_cells, as a session would send it. */
static void seed_cells(struct player *p, const unsigned char *memory, uint64_t position)
{
	struct script s = { .observed = 2 };
	struct frame frame;
	uint64_t sent = 0;
	size_t at = 0;

	cells_objects(&s);
	/* All but the last record whole, that one in parts. */
	for (size_t next = 0; at + ((struct record_header *)(s.records.data + at))->size < s.records.size; at = next)
		next = at + ((struct record_header *)(s.records.data + at))->size;
	player_send(p, FRAME_RECORDS, 0, 0, s.records.data, at);
	player_send(p, FRAME_RECORD_PART, s.records.size - at, 0, s.records.data + at, 40);
	player_send(p, FRAME_RECORD_PART, s.records.size - at, 40, s.records.data + at + 40, s.records.size - at - 40);
	for (uint64_t offset = 0; offset < CELLS_MEMORY_BYTES; offset += 30000) {
		uint64_t size = CELLS_MEMORY_BYTES - offset < 30000 ? CELLS_MEMORY_BYTES - offset : 30000;

		/* What is zero need not be sent. */
		if (offset && !memcmp(memory + offset, memory + offset - 1, size) && !memory[offset])
			continue;
		player_send(p, FRAME_MEMORY, CELLS_MEMORY, offset, memory + offset, size);
		sent += size;
	}
	assert_true(sent > 0 && sent < CELLS_MEMORY_BYTES);
	p->position = p->sent = position;
	ring_publish(&p->log, position);
	player_send(p, FRAME_START, position, 2, NULL, 0);
	expect_allocated(p, CELLS_MEMORY, VK_SUCCESS);
	player_expect(p, FRAME_STARTED, &frame);
	assert_int_equal(frame.header.a, sent);
	script_finish(&s);
}

static void run_and_move(bool first_remote, bool second_remote)
{
	unsigned char *first = calloc(1, CELLS_MEMORY_BYTES), *second = calloc(1, CELLS_MEMORY_BYTES);
	struct script s = { 0 };
	struct player p, q;
	uint64_t position;

	player_start(&p, first_remote, NULL);
	player_start_empty(&p);
	run_cells(&p, &s, first);
	position = p.position;
	memcpy(second, first, CELLS_MEMORY_BYTES);
	go_on(&p, 3, first);
	assert_true(player_stop(&p));

	player_start(&q, second_remote, NULL);
	seed_cells(&q, second, position);
	go_on(&q, 3, second);
	assert_memory_equal(first, second, CELLS_MEMORY_BYTES);
	take_all(&q, 4, second);
	assert_memory_equal(first, second, CELLS_MEMORY_BYTES);
	assert_true(player_stop(&q));
	script_finish(&s);
	free(first);
	free(second);
}

static void test_local(void **state)
{
	(void)state;
	run_and_move(false, false);
}

static void test_remote(void **state)
{
	(void)state;
	run_and_move(false, true);
}

/* More than a window, and more than a staging chunk: written, filled by the GPU, returned. */
static void test_large(void **state)
{
	const uint64_t size = 40u << 20, part = 7u << 20, gap = 1u << 20;
	const struct record_range all = { 1, 3, (40u << 20) - 700 };
	unsigned char *model = calloc(1, size), *got = calloc(1, size);
	struct script s = { 0 };
	struct player p;
	uint64_t bytes;

	(void)state;
	for (uint64_t i = 0; i < size; i++)
		model[i] = (unsigned char)(i * 31 + (i >> 12));
	player_start(&p, false, NULL);
	player_start_empty(&p);
	script_allocate(&s, 1, size);
	for (uint64_t at = 0; at < size; at += part + gap) {
		struct record_run run = { at, size - at < part ? size - at : part };

		script_write(&s, 1, &run, 1, model + at);
		if (at + part < size)
			memset(model + at + part, 0, size - at - part < gap ? size - at - part : gap);
	}
	script_submit(&s, 1, NONCE, SUBMIT_COMMIT, NULL, 0, &all, 1);
	/* Nothing was written since: the next one returns nothing. */
	script_submit(&s, 2, NONCE + 9, SUBMIT_COMMIT, NULL, 0, NULL, 0);
	player_log(&p, &s.records);
	expect_allocated(&p, 1, VK_SUCCESS);
	memcpy(got, model, size);
	memset(got, 0xAA, size - 697);
	player_take_commit(&p, 1, NONCE, 1, got, size, &bytes);
	assert_int_equal(bytes, size - 700 + 4);
	assert_memory_equal(got, model, size);
	player_take_commit(&p, 2, NONCE + 9, 1, got, size, &bytes);
	assert_int_equal(bytes, 0);
	assert_true(player_stop(&p));
	script_finish(&s);
	free(model);
	free(got);
}

#define STILL_MEMORY 1u
#define STILL_BYTES (8ull << 20)

/* A memory of which little changes between COMMITs; what its executor returned, and the hashes that came with it. */
struct still {
	struct player p;
	uint64_t seq;
	unsigned char model[STILL_BYTES], got[STILL_BYTES];
	uint64_t hashes[STILL_BYTES / PLAYER_BLOCK + 1];
};

static void still_write(struct still *t, uint64_t offset, uint64_t size, unsigned char value)
{
	const struct record_run run = { offset, size };
	struct script s = { .observed = t->seq };

	memset(t->model + offset, value, size);
	script_write(&s, STILL_MEMORY, &run, 1, t->model + offset);
	player_log(&t->p, &s.records);
	script_finish(&s);
}

/* A COMMIT of [offset, offset + size): so many blocks were hashed, and so many came; then the checkpoint is the device's memory. */
static void still_commit(struct still *t, uint64_t offset, uint64_t size, uint64_t hashed, uint64_t returned)
{
	const struct record_range range = { STILL_MEMORY, offset, size };
	struct script s = { .observed = t->seq };
	uint64_t bytes, count;

	t->seq++;
	script_submit(&s, t->seq, NONCE + t->seq * 1000, SUBMIT_COMMIT, NULL, 0, &range, 1);
	player_log(&t->p, &s.records);
	player_take_changed(
		&t->p, t->seq, NONCE + t->seq * 1000, STILL_MEMORY, t->got, STILL_BYTES, t->hashes, &bytes, &count);
	assert_int_equal(count, hashed);
	assert_int_equal(bytes, returned * PLAYER_BLOCK);
	assert_memory_equal(t->got, t->model, STILL_BYTES);
	script_finish(&s);
}

/* The same checkpoint for another executor. */
static void still_move(struct still *t)
{
	uint64_t position = t->p.position;
	struct script s = { 0 };
	struct frame frame;

	assert_true(player_stop(&t->p));
	player_start(&t->p, false, NULL);
	script_allocate(&s, STILL_MEMORY, STILL_BYTES);
	player_send(&t->p, FRAME_RECORDS, 0, 0, s.records.data, s.records.size);
	for (uint64_t at = 0; at < STILL_BYTES; at += 1 << 20)
		player_send(&t->p, FRAME_MEMORY, STILL_MEMORY, at, t->got + at, 1 << 20);
	player_send(&t->p, FRAME_KNOWN, STILL_MEMORY, 0, t->hashes, STILL_BYTES / PLAYER_BLOCK * sizeof(t->hashes[0]));
	t->p.position = t->p.sent = position;
	ring_publish(&t->p.log, position);
	player_send(&t->p, FRAME_START, position, t->seq, NULL, 0);
	expect_allocated(&t->p, STILL_MEMORY, VK_SUCCESS);
	player_expect(&t->p, FRAME_STARTED, &frame);
	script_finish(&s);
}

/* Of blocks that are as in the checkpoint nothing is returned; all others come, whatever they were before. */
static void test_unchanged_blocks(void **state)
{
	const uint64_t all = STILL_BYTES / PLAYER_BLOCK;
	struct still *t = calloc(1, sizeof(*t));
	struct script s = { 0 };

	(void)state;
	player_start(&t->p, false, NULL);
	player_start_empty(&t->p);
	script_allocate(&s, STILL_MEMORY, STILL_BYTES);
	player_log(&t->p, &s.records);
	expect_allocated(&t->p, STILL_MEMORY, VK_SUCCESS);
	for (uint64_t block = 0; block < all; block += 3)
		still_write(t, block * PLAYER_BLOCK + 17, 20000, (unsigned char)(block + 1));
	still_commit(t, 0, STILL_BYTES, all, all); /* nothing is known yet */
	still_commit(t, 0, STILL_BYTES, all, 0);
	/* One byte; the last block; two neighbours. */
	still_write(t, 5 * PLAYER_BLOCK + 4321, 1, 0xAB);
	still_write(t, STILL_BYTES - 1, 1, 0xCD);
	still_write(t, 40 * PLAYER_BLOCK - 2, 4, 0xEF);
	still_commit(t, 0, STILL_BYTES, all, 4);
	/* There and back between two COMMITs is no change; across COMMITs it is one each time. */
	still_write(t, 7 * PLAYER_BLOCK, 4, 9);
	still_write(t, 7 * PLAYER_BLOCK, 4, 0);
	still_commit(t, 0, STILL_BYTES, all, 0);
	for (unsigned turn = 0; turn < 4; turn++) {
		still_write(t, 7 * PLAYER_BLOCK, 4, turn % 2 ? 0 : 9);
		still_commit(t, 0, STILL_BYTES, all, 1);
	}
	/* Too little to be hashed: its hashes are not those of the checkpoint any more, nor is the older value's. */
	still_write(t, 20 * PLAYER_BLOCK, 8, 1);
	still_commit(t, 16 * PLAYER_BLOCK, 1 << 20, 0, 16);
	still_write(t, 20 * PLAYER_BLOCK, 8, 0);
	still_commit(t, 0, STILL_BYTES, all, 16);
	/* Another executor knows what the former one said. */
	still_move(t);
	still_write(t, 90 * PLAYER_BLOCK + 8, 1, 0x11);
	still_commit(t, 0, STILL_BYTES, all, 1);
	still_commit(t, 0, STILL_BYTES, all, 0);
	/* One that is told nothing does not hash what the program waits for, but what comes behind it. */
	memset(t->hashes, 0, sizeof(t->hashes));
	still_move(t);
	still_commit(t, 0, STILL_BYTES, 0, all);
	still_commit(t, 0, STILL_BYTES, all, all);
	still_commit(t, 0, STILL_BYTES, all, 0);
	assert_true(player_stop(&t->p));
	script_finish(&s);
	free(t);
}

/* Every second byte. */
static void test_tiny_runs(void **state)
{
	const uint32_t count = 256u << 10;
	const uint64_t size = 2 * count;
	const struct record_range all = { 1, 0, size };
	struct record_run *runs = calloc(count / 2, sizeof(*runs));
	unsigned char *model = calloc(1, size), *got = malloc(size), *bytes = malloc(count);
	struct script s = { 0 };
	struct player p;
	uint64_t returned;

	(void)state;
	player_start(&p, false, NULL);
	player_start_empty(&p);
	script_allocate(&s, 1, size);
	for (uint32_t half = 0; half < 2; half++) {
		for (uint32_t i = 0; i < count / 2; i++) {
			runs[i] = (struct record_run){ half * size / 2 + 2 * i, 1 };
			bytes[i] = (unsigned char)(i * 3 + 1 + half);
			model[runs[i].offset] = bytes[i];
		}
		script_write(&s, 1, runs, count / 2, bytes);
	}
	script_submit(&s, 1, NONCE, SUBMIT_COMMIT, NULL, 0, &all, 1);
	player_log(&p, &s.records);
	expect_allocated(&p, 1, VK_SUCCESS);
	player_take_commit(&p, 1, NONCE, 1, got, size, &returned);
	assert_memory_equal(got, model, size);
	assert_true(player_stop(&p));
	script_finish(&s);
	free(runs);
	free(model);
	free(got);
	free(bytes);
}

/* Runs of all sizes, close together, in many WRITEs of one submission, across what one dispatch reaches. */
static void test_mixed_runs(void **state)
{
	static const uint64_t middle = 64u << 20, reach = 256u << 10;
	const struct record_range ranges[] = { { 1, 0, reach }, { 1, middle - reach, 2 * reach } };
	struct record_run *runs = calloc(4096, sizeof(*runs));
	unsigned char *model = calloc(1, middle + reach), *got = calloc(1, middle + reach), *bytes = malloc(4096 * 300);
	struct script s = { 0 };
	struct player p;
	uint64_t returned;

	(void)state;
	srand(5);
	player_start(&p, false, NULL);
	player_start_empty(&p);
	script_allocate(&s, 1, middle + 2 * reach);
	for (int record = 0; record < 50; record++) {
		uint64_t at = (uint64_t)rand() % 512, sum = 0;
		uint32_t count = 0;

		while (count < 4000) {
			uint64_t size = 1 + (uint64_t)rand() % (rand() % 8 ? 9 : 250);

			if (at + size > reach && at < middle - reach)
				at = middle - reach + (uint64_t)rand() % 64;
			if (at + size > middle + reach)
				break;
			runs[count++] = (struct record_run){ at, size };
			for (uint64_t i = 0; i < size; i++)
				model[at + i] = bytes[sum + i] = (unsigned char)rand();
			sum += size;
			at += size + 1 + (uint64_t)rand() % 300;
		}
		script_write(&s, 1, runs, count, bytes);
	}
	script_submit(&s, 1, NONCE, SUBMIT_COMMIT, NULL, 0, ranges, 2);
	player_log(&p, &s.records);
	expect_allocated(&p, 1, VK_SUCCESS);
	player_take_commit(&p, 1, NONCE, 1, got, middle + reach, &returned);
	assert_int_equal(returned, 3 * reach);
	assert_memory_equal(got, model, middle + reach);
	assert_true(player_stop(&p));
	script_finish(&s);
	free(runs);
	free(model);
	free(got);
	free(bytes);
}

/* Far more submissions than jobs, none waited for, one command buffer on its way many times. */
static void test_many_submissions(void **state)
{
	unsigned char *model = calloc(1, CELLS_MEMORY_BYTES), *got = calloc(1, CELLS_MEMORY_BYTES);
	struct script s = { 0 };
	struct player p;
	uint64_t bytes;

	(void)state;
	player_start(&p, false, NULL);
	player_start_empty(&p);
	cells_objects(&s);
	for (uint64_t seq = 1; seq <= 150; seq++) {
		script_submit(&s, seq, NONCE ^ seq << 32, seq == 150 ? SUBMIT_COMMIT : 0, cells_buffers, 1, &cells_range, 1);
		cells_step(model);
	}
	player_log(&p, &s.records);
	expect_allocated(&p, CELLS_MEMORY, VK_SUCCESS);
	for (uint64_t seq = 1; seq < 150; seq++)
		expect_done(&p, seq, NONCE ^ seq << 32);
	player_take_commit(&p, 150, NONCE ^ 150ull << 32, CELLS_MEMORY, got, CELLS_MEMORY_BYTES, &bytes);
	assert_memory_equal(got, model, CELLS_MEMORY_BYTES);
	assert_true(player_stop(&p));
	script_finish(&s);
	free(model);
	free(got);
}

/* What the program destroys goes; an UPDATE that names it has no effect; memory can be had again. */
static void test_destroy(void **state)
{
	static const uint64_t order[] = { CELLS_COMMANDS, CELLS_SET, CELLS_POOL, CELLS_PIPELINE, CELLS_LAYOUT,
		CELLS_SET_LAYOUT, CELLS_SHADER, CELLS_BUFFER };
	const VkDescriptorBufferInfo gone = { (VkBuffer)(uintptr_t)777, 0, VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = (VkDescriptorSet)(uintptr_t)CELLS_SET,
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &gone };
	unsigned char *got = calloc(1, CELLS_MEMORY_BYTES), *again = calloc(1, CELLS_MEMORY_BYTES);
	const struct record_range range = { 100, 0, 1024 };
	const struct record_run run = { 0, 16 };
	struct wire_writer w;
	struct script s = { 0 };
	struct player p;
	uint64_t bytes;

	(void)state;
	player_start(&p, false, NULL);
	player_start_empty(&p);
	run_cells(&p, &s, got);
	buf_clear(&s.records);
	s.observed = 2;
	w = script_begin(&s);
	wire_encode_vkUpdateDescriptorSets(&w, &write);
	script_end(&s, RECORD_UPDATE, CELLS_SET, 0);
	script_submit(&s, 3, NONCE, SUBMIT_COMMIT, cells_buffers, 1, &cells_range, 1);
	player_log(&p, &s.records);
	player_take_commit(&p, 3, NONCE, CELLS_MEMORY, again, CELLS_MEMORY_BYTES, &bytes);
	cells_step(got);
	assert_memory_equal(again + CELLS_OFFSET, got + CELLS_OFFSET, CELLS_COUNT * 4);

	buf_clear(&s.records);
	s.observed = 3;
	script_write(&s, CELLS_MEMORY, &run, 1, "never submitted ");
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		script_plain(&s, RECORD_DESTROY, order[i]);
	script_plain(&s, RECORD_FREE, CELLS_MEMORY);
	script_plain(&s, RECORD_DESTROY, 4242);
	script_allocate(&s, 100, 1024);
	script_submit(&s, 4, NONCE, SUBMIT_COMMIT, NULL, 0, &range, 1);
	player_log(&p, &s.records);
	expect_allocated(&p, 100, VK_SUCCESS);
	memset(got, 0xFF, 1024);
	player_take_commit(&p, 4, NONCE, 100, got, 1024, &bytes);
	for (int i = 0; i < 1024; i++)
		assert_int_equal(got[i], 0);
	assert_true(player_stop(&p));
	script_finish(&s);
	free(got);
	free(again);
}

static void test_out_of_memory(void **state)
{
	struct script s = { 0 };
	struct player p;
	struct frame frame;

	(void)state;
	player_start(&p, false, NULL);
	player_start_empty(&p);
	script_allocate(&s, 1, 1ull << 50);
	script_submit(&s, 1, NONCE, 0, NULL, 0, NULL, 0);
	player_log(&p, &s.records);
	player_expect(&p, FRAME_ALLOCATED, &frame);
	assert_true((int32_t)frame.header.b < 0);
	expect_done(&p, 1, NONCE);
	assert_true(player_stop(&p));
	script_finish(&s);
}

static void expect_fault(const struct buf *records, const char *words)
{
	struct player p;
	struct frame frame;
	char text[600] = "";

	player_start(&p, false, NULL);
	player_start_empty(&p);
	player_log(&p, records);
	do {
		player_receive(&p, &frame);
	} while (frame.header.kind == FRAME_ALLOCATED);
	assert_int_equal(frame.header.kind, FRAME_LOST);
	assert_true((int32_t)frame.header.a < 0);
	memcpy(text, frame.payload, frame.header.size < sizeof(text) ? frame.header.size : sizeof(text) - 1);
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, text);
	assert_true(player_stop(&p));
}

/* Logs that break the contract end the executor with words, not with a crash. */
static void test_faults(void **state)
{
	const struct record_run outside = { CELLS_MEMORY_BYTES - 8, 16 };
	const struct record_range far = { 1, 4096, 1024 };
	struct script s = { 0 };

	(void)state;
	script_allocate(&s, 1, CELLS_MEMORY_BYTES);
	script_write(&s, 1, &outside, 1, "0123456789abcdef");
	expect_fault(&s.records, "outside its memory");

	buf_clear(&s.records);
	script_submit(&s, 2, NONCE, 0, NULL, 0, NULL, 0);
	expect_fault(&s.records, "instead of 1");

	buf_clear(&s.records);
	script_submit(&s, 1, NONCE, 0, cells_buffers, 1, NULL, 0);
	expect_fault(&s.records, "not there");

	buf_clear(&s.records);
	script_allocate(&s, 1, 4096);
	script_submit(&s, 1, NONCE, 0, NULL, 0, &far, 1);
	expect_fault(&s.records, "outside memory 1");

	buf_clear(&s.records);
	cells_objects(&s);
	/* Behind the header of the first CREATE: its command. */
	s.records.data[sizeof(struct record_header)] = 0xFF;
	expect_fault(&s.records, "");

	buf_clear(&s.records);
	script_plain(&s, RECORD_NEED, 0);
	((struct record_header *)s.records.data)->size = 12;
	expect_fault(&s.records, "damaged");

	buf_clear(&s.records);
	s.observed = 5;
	script_submit(&s, 1, NONCE, 0, NULL, 0, NULL, 0);
	expect_fault(&s.records, "5");
	script_finish(&s);
}

/* Part of the cells' recording: one of its two dispatches. */
static void script_part(struct script *s, uint64_t key, struct record_part part, uint32_t step)
{
	const VkMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT };
	const VkDescriptorSet set = (VkDescriptorSet)(uintptr_t)CELLS_SET;
	const VkPipelineLayout layout = (VkPipelineLayout)(uintptr_t)CELLS_LAYOUT;
	const uint32_t push[2] = { CELLS_COUNT, step };
	struct wire_writer w = script_begin(s);

	buf_append(&s->command, &part, sizeof(part));
	if (key == 1) {
		wire_encode_vkCmdBindPipeline(&w, VK_PIPELINE_BIND_POINT_COMPUTE, (VkPipeline)(uintptr_t)CELLS_PIPELINE);
		wire_encode_vkCmdBindDescriptorSets(&w, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
	}
	wire_encode_vkCmdPushConstants(&w, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), push);
	wire_encode_vkCmdDispatch(&w, (CELLS_COUNT + 63) / 64, 1, 1);
	wire_encode_vkCmdPipelineBarrier(&w, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0,
		1, &barrier, 0, NULL, 0, NULL);
	script_end(s, RECORD_UPDATE, CELLS_COMMANDS, key);
}

/* A recording in parts, after one that never came to its end, and with what others left over. */
static void test_recording_parts(void **state)
{
	unsigned char *model = calloc(1, CELLS_MEMORY_BYTES), *got = calloc(1, CELLS_MEMORY_BYTES);
	const struct record_part first = { 6, 3 }, second = { 7, 2 };
	struct script s = { 0 };
	struct player p;
	uint64_t bytes;

	(void)state;
	player_start(&p, false, NULL);
	player_start_empty(&p);
	cells_objects(&s);
	write_start(&s, model);
	script_plain(&s, RECORD_UPDATE, CELLS_COMMANDS);
	script_part(&s, 1, first, 1);
	script_part(&s, 3, first, 2);
	script_part(&s, 2, second, 9);
	script_submit(&s, 1, NONCE, 0, NULL, 0, NULL, 0);
	script_part(&s, 1, second, 3);
	script_part(&s, 2, first, 8);
	script_submit(&s, 2, NONCE + 1, 0, NULL, 0, NULL, 0);
	script_part(&s, 2, second, 5);
	script_part(&s, 3, first, 7);
	script_begin(&s);
	script_end(&s, RECORD_UPDATE, CELLS_COMMANDS, 4);
	script_submit(&s, 3, NONCE + 2, SUBMIT_COMMIT, cells_buffers, 1, &cells_range, 1);
	player_log(&p, &s.records);
	expect_allocated(&p, CELLS_MEMORY, VK_SUCCESS);
	expect_done(&p, 1, NONCE);
	expect_done(&p, 2, NONCE + 1);
	memcpy(got, model, CELLS_MEMORY_BYTES);
	player_take_commit(&p, 3, NONCE + 2, CELLS_MEMORY, got, CELLS_MEMORY_BYTES, &bytes);
	cells_step(model);
	assert_memory_equal(got, model, CELLS_MEMORY_BYTES);
	assert_true(player_stop(&p));

	/* One that lacks its end can't be run. */
	buf_clear(&s.records);
	cells_objects(&s);
	script_part(&s, 1, second, 3);
	script_submit(&s, 1, NONCE, 0, cells_buffers, 1, &cells_range, 1);
	expect_fault(&s.records, "not there");
	script_finish(&s);
	free(model);
	free(got);
}

/* The first instruction with that opcode of the cells' shader, in the records. */
static uint32_t *find_instruction(struct script *s, uint32_t opcode)
{
	static const uint32_t magic = 0x07230203;
	unsigned char *code = memmem(s->records.data, s->records.size, &magic, sizeof(magic));
	uint32_t *at;

	assert_non_null(code);
	for (at = (uint32_t *)(void *)code + 5; (at[0] & 0xFFFF) != opcode; at += at[0] >> 16)
		assert_true(at[0] >> 16 > 0 && (unsigned char *)at < s->records.data + s->records.size);
	return at;
}

/* Shader modules are checked before the driver sees them. */
static void test_invalid_shader(void **state)
{
	const uint32_t op_capability = 17, op_load = 61, kernel = 6, magic = 0x07230203;
	struct script s = { 0 };
	uint32_t *at;

	(void)state;
	cells_objects(&s);
	at = find_instruction(&s, op_load);
	at[1] = at[2]; /* the result's type is the result */
	expect_fault(&s.records, "shader module 3 is not valid");

	buf_clear(&s.records);
	cells_objects(&s);
	find_instruction(&s, op_capability)[1] = kernel;
	expect_fault(&s.records, "capability");

	/* One that no header here has, so that no feature can have enabled it. */
	buf_clear(&s.records);
	cells_objects(&s);
	find_instruction(&s, op_capability)[1] = 0x00FFFFFF;
	expect_fault(&s.records, "capability 16777215, which tbmesh does not know");

	/* Newer than Vulkan 1.2 takes, which is what our device says it is. */
	buf_clear(&s.records);
	cells_objects(&s);
	find_instruction(&s, op_capability);
	((uint32_t *)memmem(s.records.data, s.records.size, &magic, sizeof(magic)))[1] = 0x10600;
	expect_fault(&s.records, "1.6");
	script_finish(&s);
}

/* Entries that the driver keeps by itself. */
static int driver_files(const char *directory)
{
	char command[160], line[16] = "";
	FILE *pipe;

	snprintf(command, sizeof(command), "find %s/driver -type f | wc -l", directory);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(line, sizeof(line), pipe));
	pclose(pipe);
	return atoi(line);
}

/* Pipelines and checked shaders survive the executor in files: a later one compiles nothing. A damaged file is made anew. */
static void test_cache(void **state)
{
	char directory[] = "/tmp/tbmesh-cache-XXXXXX", command[160];
	unsigned char *got = calloc(1, CELLS_MEMORY_BYTES);

	(void)state;
	assert_non_null(mkdtemp(directory));
	for (int i = 0; i < 3; i++) {
		struct script s = { 0 };
		struct player p;
		int before = driver_files(directory);

		if (i == 2) {
			snprintf(command, sizeof(command), "for f in %s/*.pipelines; do printf damage >> $f; done",
				directory);
			assert_int_equal(system(command), 0);
		}
		player_start(&p, false, directory);
		player_start_empty(&p);
		run_cells(&p, &s, got);
		usleep(i ? 0 : 900000);
		assert_true(player_stop(&p));
		script_finish(&s);
		if (i)
			assert_int_equal(driver_files(directory), before);
	}
	snprintf(command, sizeof(command), "ls %s/*.pipelines %s/*.shaders > /dev/null && rm -r %s", directory, directory,
		directory);
	assert_int_equal(system(command), 0);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_remote),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_unchanged_blocks),
		cmocka_unit_test(test_tiny_runs),
		cmocka_unit_test(test_mixed_runs),
		cmocka_unit_test(test_many_submissions),
		cmocka_unit_test(test_destroy),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_recording_parts),
		cmocka_unit_test(test_invalid_shader),
		cmocka_unit_test(test_cache),
	};

	vulkan_env();
	setenv("NODEVICE_SELECT", "1", 0);
	if (!player_gpu()) {
		puts("SKIP: no Vulkan driver on this machine");
		return 77;
	}
	alarm(170);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
