/* How one node follows the numbered events of another: by hand, and with random loss, restarts and slow readers. */
#include "node/event_track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

static void test_in_order(void **state)
{
	(void)state;
	struct event_track t;
	event_track_init(&t, 3);
	assert_true(event_track_must_ask(&t)); /* what was before nobody knows */
	assert_false(event_track_published(&t, 7, 5, true));
	event_track_asked(&t);
	assert_false(event_track_must_ask(&t));
	assert_false(event_track_published(&t, 7, 6, true)); /* maybe in the answer, maybe not */
	event_track_answered(&t, 7, 5, 5);
	assert_true(event_track_must_ask(&t)); /* it was not: 6 is known */
	event_track_asked(&t);
	event_track_answered(&t, 7, 6, 6);
	assert_true(event_track_settled(&t));
	assert_true(event_track_published(&t, 7, 7, true));
	assert_false(event_track_published(&t, 7, 7, true)); /* twice */
	assert_true(event_track_settled(&t));
	assert_true(event_track_published(&t, 7, 8, true));
	assert_false(event_track_published(&t, 7, 9, false)); /* no room: later */
	assert_true(event_track_must_ask(&t));
	assert_int_equal(t.have, 8);
}

static void test_gaps(void **state)
{
	(void)state;
	struct event_track t;
	event_track_init(&t, 0);
	event_track_asked(&t);
	event_track_answered(&t, 7, 10, 10);
	event_track_told(&t, 7, 10);
	assert_true(event_track_settled(&t));
	event_track_told(&t, 7, 12); /* the last ones were lost, and nothing comes behind them */
	assert_true(event_track_must_ask(&t));
	event_track_asked(&t);
	event_track_failed(&t);
	assert_true(event_track_must_ask(&t));
	event_track_asked(&t);
	event_track_answered(&t, 7, 12, 12);
	event_track_connected(&t);
	assert_true(event_track_must_ask(&t));
	event_track_asked(&t);
	event_track_answered(&t, 7, 12, 12);
	assert_false(event_track_published(&t, 7, 14, true));
	assert_true(event_track_must_ask(&t));
}

static void test_restart(void **state)
{
	(void)state;
	struct event_track t;
	event_track_init(&t, 0);
	event_track_asked(&t);
	event_track_answered(&t, 7, 10, 10);
	/* Numbers go on, with a jump. */
	assert_false(event_track_published(&t, 8, 1025, true));
	assert_true(event_track_must_ask(&t));
	assert_false(event_track_published(&t, 7, 11, true)); /* late, of the one before */
	event_track_asked(&t);
	event_track_answered(&t, 8, 1025, 1025);
	assert_true(event_track_published(&t, 8, 1026, true));
	/* Numbers begin anew. */
	assert_false(event_track_published(&t, 9, 1, true));
	assert_true(event_track_must_ask(&t));
	event_track_asked(&t);
	event_track_answered(&t, 9, 1, 1);
	assert_true(event_track_settled(&t));
	assert_true(event_track_published(&t, 9, 2, true));
	/* Before anything was known of it. */
	event_track_init(&t, 500);
	event_track_asked(&t);
	event_track_answered(&t, 9, 2, 2);
	assert_true(event_track_settled(&t));
	assert_int_equal(t.have, 2);
}

/* ---- random: a node that publishes over a wire that loses, and a follower that asks ---- */

#define NUMBERS 4000
#define AT_ONCE 8

struct world {
	unsigned seed;
	uint64_t last, incarnation; /* of the node */
	struct event_track t;
	uint64_t next;                       /* that must be handed on */
	uint64_t answer_last, answer_newest; /* of the answer on its way */
	bool answer;
};

static unsigned chance(struct world *w, unsigned of)
{
	return (unsigned)rand_r(&w->seed) % of;
}

static void hand_on(struct world *w, uint64_t number)
{
	if (number != w->next)
		fail_msg("seed %u: %llu came, %llu was next", w->seed, (unsigned long long)number,
			(unsigned long long)w->next);
	w->next++;
}

static void step(struct world *w)
{
	switch (chance(w, 8)) {
	case 0:
	case 1:
	case 2: /* it happens; published, maybe lost; the reader may be slow */
		w->last++;
		if (chance(w, 4) && event_track_published(&w->t, w->incarnation, w->last, chance(w, 8)))
			hand_on(w, w->last);
		break;
	case 3:
		if (event_track_must_ask(&w->t)) {
			event_track_asked(&w->t);
			w->answer = chance(w, 6); /* else it is lost, and the asker gives up below */
			w->answer_newest = w->last;
			w->answer_last = w->last - w->t.have > AT_ONCE ? w->t.have + AT_ONCE : w->last;
		}
		break;
	case 4:
		if (w->t.asking && w->answer) {
			while (w->next <= w->answer_last)
				hand_on(w, w->next);
			event_track_answered(&w->t, w->incarnation, w->answer_last, w->answer_newest);
		} else if (w->t.asking) {
			event_track_failed(&w->t);
		}
		break;
	case 5:
		event_track_told(&w->t, w->incarnation, w->last);
		break;
	case 6:
		if (!chance(w, 50))
			w->incarnation++;
		break;
	case 7:
		event_track_connected(&w->t);
		break;
	}
}

static void test_random(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct world w = { .seed = seed, .incarnation = 1, .next = 1 };
		event_track_init(&w.t, 0);
		for (unsigned i = 0; i < NUMBERS; i++)
			step(&w);
		event_track_told(&w.t, w.incarnation, w.last); /* the wire is whole now */
		while (!event_track_settled(&w.t)) {
			if (!w.t.asking)
				event_track_asked(&w.t);
			while (w.next <= w.last)
				hand_on(&w, w.next);
			event_track_answered(&w.t, w.incarnation, w.last, w.last);
		}
		assert_int_equal(w.next, w.last + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
