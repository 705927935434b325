/* The parts of the core: map, ranges, graph, checkpoint memory. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/session/graph.h"
#include "migrate/session/map.h"
#include "migrate/session/ranges.h"
#include "migrate/session/state.h"
#include "tests/unit/test.h"

static void test_map(void **ctx)
{
	struct map m = { 0 };
	int values[2000];

	(void)ctx;
	assert_null(map_get(&m, 1, 2));
	assert_null(map_take(&m, 1, 2));
	for (uint64_t i = 0; i < 2000; i++)
		assert_int_equal(map_put(&m, i % 40, i / 40, &values[i]), 0);
	for (uint64_t i = 0; i < 2000; i += 2)
		assert_ptr_equal(map_take(&m, i % 40, i / 40), &values[i]);
	assert_int_equal(m.count, 1000);
	for (uint64_t i = 0; i < 2000; i++)
		assert_ptr_equal(map_get(&m, i % 40, i / 40), i % 2 ? &values[i] : NULL);
	map_finish(&m);
}

static void test_ranges_unite(void **ctx)
{
	struct ranges r = { 0 };

	(void)ctx;
	ranges_add(&r, 8, 16);
	ranges_add(&r, 32, 40);
	ranges_add(&r, 16, 20); /* touches */
	assert_int_equal(r.count, 2);
	ranges_add(&r, 0, 4);
	assert_int_equal(r.count, 3);
	ranges_add(&r, 2, 36);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.at[0].start, 0);
	assert_int_equal(r.at[0].end, 40);
	ranges_finish(&r);
}

static void test_ranges_take(void **ctx)
{
	struct ranges r = { 0 };

	(void)ctx;
	ranges_add(&r, 0, 100);
	assert_int_equal(ranges_take(&r, 40, 60), 0);
	assert_int_equal(ranges_take(&r, 40, 60), -ENOENT);
	assert_int_equal(ranges_take(&r, 30, 41), -ENOENT);
	assert_int_equal(ranges_take(&r, 90, 101), -ENOENT);
	assert_int_equal(ranges_take(&r, 10, 10), -ENOENT);
	assert_int_equal(ranges_take(&r, 0, 40), 0);
	assert_int_equal(ranges_take(&r, 60, 100), 0);
	assert_int_equal(r.count, 0);
	ranges_finish(&r);
}

#define SPACE 300u

static void test_ranges_cut(void **ctx)
{
	struct ranges r = { 0 };

	(void)ctx;
	srand(11);
	for (int round = 0; round < 200; round++) {
		bool model[SPACE + 1] = { false };

		ranges_clear(&r);
		for (int i = 0; i < 40; i++) {
			uint64_t start = (uint64_t)rand() % SPACE, end = start + 1 + (uint64_t)rand() % 20, bytes,
				 expected = 0;

			end = end < SPACE ? end : SPACE;
			if (rand() % 3) {
				assert_int_equal(ranges_add(&r, start, end), 0);
				memset(model + start, true, end - start);
				continue;
			}
			for (uint64_t at = start; at < end; at++)
				expected += model[at];
			memset(model + start, false, end - start);
			assert_int_equal(ranges_cut(&r, start, end, &bytes), 0);
			assert_int_equal(bytes, expected);
		}
		for (size_t i = 0; i < r.count; i++) {
			assert_true(r.at[i].start < r.at[i].end);
			assert_true(i == 0 || r.at[i - 1].end < r.at[i].start);
			for (uint64_t at = r.at[i].start; at < r.at[i].end; at++) {
				assert_true(model[at]);
				model[at] = false;
			}
		}
		for (uint64_t at = 0; at < SPACE; at++)
			assert_false(model[at]);
	}
	ranges_finish(&r);
}

static void apply(
	struct graph *g, enum record_kind kind, uint64_t subject, uint64_t key, unsigned dep_count, const uint64_t *deps)
{
	static uint64_t position;
	struct {
		struct record_header h;
		uint64_t deps[8];
	} r = { { (uint32_t)(sizeof(struct record_header) + dep_count * 8), (uint16_t)kind, (uint16_t)dep_count, subject,
			key, 0 },
		{ 0 } };

	memcpy(r.deps, deps, dep_count * sizeof(*deps));
	assert_int_equal(graph_apply(g, position += 64, &r.h), 0);
}
#define APPLY(g, kind, subject, key, ...)                                                                                   \
	apply(g, kind, subject, key, sizeof((uint64_t[]){ 0, ##__VA_ARGS__ }) / 8 - 1,                                      \
		&((uint64_t[]){ 0, ##__VA_ARGS__ })[1])

struct seen {
	char text[400];
};
static int see(void *ctx, const struct record_header *h)
{
	struct seen *s = ctx;
	size_t at = strlen(s->text);

	snprintf(s->text + at, sizeof(s->text) - at, "%c%d ", "?CUDAFWSN"[h->kind], (int)h -> subject);
	return 0;
}

static void expect(const struct graph *g, const char *text)
{
	struct seen s = { "" };

	assert_int_equal(graph_walk(g, see, &s), 0);
	assert_string_equal(s.text, text);
}

static void test_graph_keeps_what_others_were_made_from(void **ctx)
{
	struct graph g = { 0 };

	(void)ctx;
	APPLY(&g, RECORD_CREATE, 1, 0);
	APPLY(&g, RECORD_CREATE, 2, 0, 1);
	APPLY(&g, RECORD_CREATE, 3, 0, 2);
	APPLY(&g, RECORD_DESTROY, 1, 0);
	APPLY(&g, RECORD_DESTROY, 2, 0);
	expect(&g, "C1 C2 C3 ");
	APPLY(&g, RECORD_CREATE, 4, 0, 1); /* what was destroyed cannot be named */
	expect(&g, "C1 C2 C3 ");
	APPLY(&g, RECORD_DESTROY, 3, 0);
	expect(&g, "");
	graph_finish(&g);
}

static void test_graph_updates(void **ctx)
{
	struct graph g = { 0 };

	(void)ctx;
	APPLY(&g, RECORD_CREATE, 1, 0); /* a buffer, */
	APPLY(&g, RECORD_CREATE, 2, 0); /* another, */
	APPLY(&g, RECORD_CREATE, 3, 0); /* a set, */
	APPLY(&g, RECORD_CREATE, 4, 0); /* commands */
	APPLY(&g, RECORD_UPDATE, 3, 7, 1);
	APPLY(&g, RECORD_UPDATE, 3, 8, 1);
	APPLY(&g, RECORD_UPDATE, 4, 0, 3);
	APPLY(&g, RECORD_UPDATE, 3, 7, 2); /* replaces; the recording comes behind it all the same */
	expect(&g, "C1 C2 C3 C4 U3 U3 U4 ");
	APPLY(&g, RECORD_DESTROY, 1, 0); /* takes one descriptor along */
	expect(&g, "C2 C3 C4 U3 U4 ");
	APPLY(&g, RECORD_DESTROY, 3, 0);
	expect(&g, "C2 C4 ");
	graph_finish(&g);
}

static void test_graph_circle(void **ctx)
{
	struct graph g = { 0 };

	(void)ctx;
	APPLY(&g, RECORD_CREATE, 1, 0);
	APPLY(&g, RECORD_CREATE, 2, 0);
	APPLY(&g, RECORD_UPDATE, 1, 0, 2, 1);
	APPLY(&g, RECORD_UPDATE, 2, 0, 1);
	APPLY(&g, RECORD_CREATE, 1, 0); /* twice: no effect */
	expect(&g, "C1 C2 U2 U1 ");
	APPLY(&g, RECORD_DESTROY, 1, 0);
	expect(&g, "C2 ");
	graph_finish(&g);
}

static void test_graph_freed_memory(void **ctx)
{
	struct graph g = { 0 };

	(void)ctx;
	APPLY(&g, RECORD_ALLOCATE, 1, 0);
	APPLY(&g, RECORD_CREATE, 2, 0);
	APPLY(&g, RECORD_UPDATE, 2, 0, 1); /* bound */
	APPLY(&g, RECORD_CREATE, 3, 0, 2); /* a view of it */
	APPLY(&g, RECORD_CREATE, 4, 0);
	APPLY(&g, RECORD_UPDATE, 4, 0, 3);
	APPLY(&g, RECORD_FREE, 1, 0);
	expect(&g, "C4 ");
	APPLY(&g, RECORD_DESTROY, 3, 0);
	APPLY(&g, RECORD_DESTROY, 2, 0);
	expect(&g, "C4 ");
	graph_finish(&g);
}

static int no_change(void *ctx, const struct state_memory *m, uint64_t offset, const unsigned char *before,
	const unsigned char *now, uint64_t size, bool gently)
{
	(void)m;
	(void)gently;
	(void)offset;
	*(uint64_t *)ctx += memcmp(before, now, size) ? size : 0;
	return 0;
}

static int count_block(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	uint64_t *sum = ctx;

	(void)id;
	(void)offset;
	for (uint64_t i = 0; i < size; i++)
		sum[0] += bytes[i];
	sum[1] += size;
	sum[2]++;
	return 0;
}

static void test_state_commit(void **ctx)
{
	struct state s = { 0 };
	unsigned char bytes[512];
	uint64_t changed = 0, sums[3] = { 0 };
	struct state_memory *m;

	(void)ctx;
	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(state_allocate(&s, 5, 1 << 20, 0, true), 0);
	assert_int_equal(state_allocate(&s, 5, 256, 0, true), -EEXIST);
	m = state_find(&s, 5);
	state_commit_allocate(&s, m);
	state_dirty(m, 1001, 510); /* widened to 1000 … 1512 */
	assert_int_equal(state_begin(&s, 100, false), 0);
	assert_int_equal(s.missing_bytes, 512);
	assert_int_equal(state_stage(&s, 5, 996, bytes, 8), -EBADMSG);
	assert_int_equal(state_stage(&s, 5, 1000, bytes, 6), -EBADMSG);
	assert_int_equal(state_stage(&s, 6, 1000, bytes, 4), -EBADMSG);
	assert_int_equal(state_stage(&s, 5, UINT64_MAX - 3, bytes, 8), -EBADMSG);
	assert_int_equal(state_stage(&s, 5, 1000, bytes, 512), 0);
	assert_int_equal(state_stage(&s, 5, 1000, bytes, 4), -EBADMSG); /* twice */
	assert_int_equal(state_walk(&s, STATE_BLOCK, count_block, sums), 0);
	assert_int_equal(sums[2], 0); /* nothing shows before the commit */
	assert_int_equal(state_commit(&s, no_change, &changed), 0);
	assert_int_equal(changed, 512);
	assert_int_equal(state_walk(&s, STATE_BLOCK, count_block, sums), 0);
	assert_int_equal(sums[0], 512);
	assert_int_equal(sums[1], STATE_BLOCK); /* the rest was never written */
	state_free(&s, m);
	assert_int_equal(s.size_bytes, 0);
	state_finish(&s);
}

static void test_state_abandon(void **ctx)
{
	struct state s = { 0 };
	uint64_t word = 7, sums[3] = { 0 };
	struct state_memory *m;

	(void)ctx;
	state_allocate(&s, 1, 256, 0, false);
	m = state_find(&s, 1);
	state_commit_allocate(&s, m);
	state_dirty(m, 0, 8);
	state_begin(&s, 100, false);
	state_stage(&s, 1, 0, &word, 8);
	state_abandon(&s);
	assert_int_equal(state_begin(&s, 100, false), 0);
	assert_int_equal(s.missing_bytes, 0);
	assert_int_equal(state_commit(&s, no_change, sums), 0);
	state_walk(&s, STATE_BLOCK, count_block, sums);
	assert_int_equal(sums[2], 0);
	/* Freed in front of the submission: nothing has to come. */
	state_dirty(m, 0, 8);
	m->freed_at = 90;
	assert_int_equal(state_begin(&s, 100, false), 0);
	assert_int_equal(s.missing_bytes, 0);
	state_finish(&s);
}

static void commit_blocks(struct state *s, struct state_memory *m, const uint64_t *hashes, unsigned char value)
{
	static unsigned char bytes[STATE_BLOCK];
	uint64_t changed = 0;

	memset(bytes, value, sizeof(bytes));
	assert_int_equal(state_dirty(m, 0, m->size), 0);
	assert_int_equal(state_begin(s, 100, false), 0);
	if (hashes)
		assert_int_equal(state_hash(s, m->id, 0, hashes, 3), 0);
	for (uint64_t i = 0; i < m->missing.count;) {
		uint64_t start = m->missing.at[i].start, left = m->missing.at[i].end - start;

		assert_int_equal(state_stage(s, m->id, start, bytes, left < sizeof(bytes) ? left : sizeof(bytes)), 0);
	}
	assert_int_equal(s->missing_bytes, 0);
	assert_int_equal(state_commit(s, no_change, &changed), 0);
}

static int see_hashes(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	(void)id;
	memcpy((unsigned char *)ctx + offset / STATE_BLOCK * sizeof(uint64_t), bytes, size);
	return 0;
}

static void test_state_hash(void **ctx)
{
	const uint64_t first[] = { 11, 12, 13 }, second[] = { 11, 22, 13 }, none[] = { 0, 0, 0 };
	const uint64_t size = 2 * STATE_BLOCK + 512;
	uint64_t seen[3] = { 0 };
	struct state s = { 0 };
	struct state_memory *m, *host;

	(void)ctx;
	state_allocate(&s, 1, size, 0, false);
	state_allocate(&s, 2, size, 0, true);
	m = state_find(&s, 1);
	host = state_find(&s, 2);
	state_commit_allocate(&s, m);
	state_commit_allocate(&s, host);
	commit_blocks(&s, m, first, 1);
	assert_true(m->bytes[0] == 1 && m->bytes[STATE_BLOCK] == 1 && m->bytes[size - 1] == 1);
	/* Only the middle one has changed. */
	commit_blocks(&s, m, second, 2);
	assert_true(m->bytes[STATE_BLOCK - 1] == 1 && m->bytes[STATE_BLOCK] == 2 && m->bytes[2 * STATE_BLOCK] == 1);
	/* Back to the older one: that is not the checkpoint's. */
	commit_blocks(&s, m, first, 3);
	assert_true(m->bytes[0] == 1 && m->bytes[STATE_BLOCK] == 3 && m->bytes[size - 1] == 1);
	/* What an abandoned commit said counts for nothing. */
	state_dirty(m, 0, size);
	state_begin(&s, 100, false);
	assert_int_equal(state_hash(&s, 1, 0, second, 3), 0);
	state_abandon(&s);
	assert_int_equal(state_walk_hashes(&s, 16, see_hashes, seen), 0);
	assert_memory_equal(seen, first, sizeof(first));
	commit_blocks(&s, m, second, 4);
	assert_true(m->bytes[0] == 1 && m->bytes[STATE_BLOCK] == 4);
	/* Bytes without hashes have none; no hash is no match either. */
	commit_blocks(&s, m, NULL, 5);
	commit_blocks(&s, m, none, 6);
	assert_true(m->bytes[0] == 6 && m->bytes[size - 1] == 6);
	commit_blocks(&s, m, second, 7);
	assert_true(m->bytes[0] == 7 && m->bytes[size - 1] == 7);
	/* Not of memory that the host sees, not between blocks, not behind the end, not twice, not behind bytes. */
	state_dirty(m, 0, size);
	state_dirty(host, 0, size);
	state_begin(&s, 100, false);
	assert_int_equal(state_hash(&s, 2, 0, second, 1), -EBADMSG);
	assert_int_equal(state_hash(&s, 3, 0, second, 1), -EBADMSG);
	assert_int_equal(state_hash(&s, 1, 512, second, 1), -EBADMSG);
	assert_int_equal(state_hash(&s, 1, STATE_BLOCK, second, 3), -EBADMSG);
	assert_int_equal(state_hash(&s, 1, UINT64_MAX - STATE_BLOCK + 1, second, 1), -EBADMSG);
	assert_int_equal(state_hash(&s, 1, 0, second, 1), 0);
	assert_int_equal(state_hash(&s, 1, 0, second, 1), -EBADMSG);
	assert_int_equal(state_stage(&s, 1, 0, second, 8), -EBADMSG); /* unchanged: nobody asked for it */
	assert_int_equal(state_stage(&s, 1, 2 * STATE_BLOCK, second, 8), 0);
	assert_int_equal(state_hash(&s, 1, STATE_BLOCK, second + 1, 1), -EBADMSG);
	state_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_ranges_unite),
		cmocka_unit_test(test_ranges_take),
		cmocka_unit_test(test_ranges_cut),
		cmocka_unit_test(test_graph_keeps_what_others_were_made_from),
		cmocka_unit_test(test_graph_updates),
		cmocka_unit_test(test_graph_circle),
		cmocka_unit_test(test_graph_freed_memory),
		cmocka_unit_test(test_state_commit),
		cmocka_unit_test(test_state_abandon),
		cmocka_unit_test(test_state_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
