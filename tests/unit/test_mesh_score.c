/* Which peer is best, and why; round trip statistics. */
#include "mesh/score.h"

#include <stdio.h>
#include <string.h>

#include "mesh/rtt.h"
#include "tests/unit/test.h"

#define SECOND UINT64_C(1000000000)

static struct mesh_score_input peer(const char *name, double p50_us, double gbps)
{
	struct mesh_score_input in = { .peer = { .state = MESH_PEER_UP, .links_up = 1 } };
	snprintf(in.peer.id, sizeof in.peer.id, "%s", name);
	snprintf(in.peer.name, sizeof in.peer.name, "%s", name);
	in.peer.rtt = (struct mesh_rtt){
		.min_us = p50_us * 0.8, .p50_us = p50_us, .p99_us = p50_us * 2, .jitter_us = p50_us / 10, .samples = 100
	};
	in.peer.aggregate_up.bps = in.peer.aggregate_down.bps = (uint64_t)(gbps * 1e9);
	return in;
}

static double term(const struct mesh_candidate *c, const char *name)
{
	for (size_t i = 0; i < c->term_count; i++) {
		if (strcmp(c->terms[i].name, name) == 0)
			return c->terms[i].value;
	}
	fail_msg("no term %s", name);
	return 0;
}

static double sum(const struct mesh_candidate *c)
{
	double points = 0;
	for (size_t i = 0; i < c->term_count; i++) {
		assert_true(c->terms[i].points >= 0 && c->terms[i].points <= c->terms[i].weight);
		points += c->terms[i].points;
	}
	return points;
}

static double weights(const struct mesh_candidate *c)
{
	double all = 0;
	for (size_t i = 0; i < c->term_count; i++)
		all += c->terms[i].weight;
	return all;
}

static void test_terms_add_up(void **state)
{
	(void)state;
	struct mesh_score_input in[2] = { peer("a", 100, 25), peer("b", 900, 9) };
	in[0].has_facts = in[1].has_facts = true;
	in[0].facts = (struct mesh_facts){ .gpus = 1, .gpu_fit = 0.5, .memory_free_bytes = UINT64_C(8) << 30 };
	in[1].facts = (struct mesh_facts){ .gpus = 2, .gpu_fit = -1, .gpu_load = 3, .cpu_load_percent = 100 };
	for (int c = MESH_FOR_LATENCY; c <= MESH_FOR_CHECKPOINT; c++) {
		struct mesh_query q = { .criterion = (enum mesh_criterion)c };
		struct mesh_score_memory memory = { 0 };
		struct mesh_candidate out[2];
		mesh_score_rank(&q, in, 2, &memory, SECOND, out);
		for (int i = 0; i < 2; i++) {
			assert_true(out[i].score > sum(&out[i]) - 0.001 && out[i].score < sum(&out[i]) + 0.001);
			assert_true(weights(&out[i]) > 99.9 && weights(&out[i]) < 100.1);
		}
		assert_string_equal(out[0].peer, "a");
		if (q.criterion == MESH_FOR_FRAMES)
			assert_non_null(strstr(out[0].reason, "ms to spare"));
		else
			assert_string_equal(out[0].reason, "highest score");
	}
}

static void test_frames_need_their_time(void **state)
{
	(void)state;
	struct mesh_score_input in[3] = { peer("fast", 500, 25), peer("slow", 100, 9), peer("unknown", 100, 0) };
	struct mesh_query q = { .criterion = MESH_FOR_FRAMES }; /* 4K60, 32 bit */
	struct mesh_score_memory memory = { 0 };
	struct mesh_candidate out[3];
	mesh_score_rank(&q, in, 3, &memory, SECOND, out);
	assert_string_equal(out[0].peer, "fast");
	assert_true(out[0].viable);
	assert_true(
		term(&out[0], "serialise") > 10.5 && term(&out[0], "serialise") < 10.7); /* one raw 4K frame at 25 Gb/s */
	assert_true(term(&out[0], "budget") > 16.6 && term(&out[0], "budget") < 16.7);
	for (int i = 1; i < 3; i++) {
		assert_false(out[i].viable);
		if (strcmp(out[i].peer, "slow") == 0)
			assert_true(term(&out[i], "serialise") > 29 && strstr(out[i].reason, "would fit: nv12"));
		else
			assert_string_equal(out[i].reason, "bandwidth not measured yet");
	}
	q.width = 1920, q.height = 1080, q.fps = 30;
	mesh_score_rank(&q, in, 3, &memory, SECOND, out);
	assert_true(out[0].viable && out[1].viable);
}

static void test_who_cannot_is_last(void **state)
{
	(void)state;
	struct mesh_score_input in[3] = { peer("dead", 10, 40), peer("nogpu", 20, 40), peer("gpu", 900, 5) };
	in[0].peer.state = MESH_PEER_DEAD;
	in[0].has_facts = in[1].has_facts = in[2].has_facts = true;
	in[0].facts.gpus = in[2].facts.gpus = 1;
	struct mesh_query q = { .criterion = MESH_FOR_OFFLOAD };
	struct mesh_score_memory memory = { 0 };
	struct mesh_candidate out[3];
	mesh_score_rank(&q, in, 3, &memory, SECOND, out);
	assert_string_equal(out[0].peer, "gpu");
	assert_true(out[0].viable && !out[1].viable && !out[2].viable);
	for (int i = 1; i < 3; i++)
		assert_string_equal(out[i].reason, strcmp(out[i].peer, "dead") == 0 ? "it is dead" : "it has no GPU");
	q = (struct mesh_query){ .criterion = MESH_FOR_CHECKPOINT, .checkpoint_bytes = UINT64_C(4) << 30 };
	in[1].facts.memory_free_bytes = UINT64_C(1) << 30;
	mesh_score_rank(&q, in, 3, &memory, SECOND, out);
	assert_string_equal(out[0].peer, "gpu");
}

/* Two peers that outdo each other all the time: who only counts points changes its mind each second. */
static void test_hysteresis_damps_flapping(void **state)
{
	(void)state;
	struct mesh_query q = { .criterion = MESH_FOR_LATENCY };
	struct mesh_score_memory memory = { 0 };
	struct mesh_candidate out[2];
	char best[MESH_NAME_SIZE] = "", naive[MESH_NAME_SIZE] = "";
	unsigned changes = 0, naive_changes = 0;
	for (uint64_t t = 100; t < 160; t++) {
		struct mesh_score_input in[2] = { peer("a", 300, 20), peer("b", t % 2 ? 150 : 600, 20) };
		mesh_score_rank(&q, in, 2, &memory, t * SECOND, out);
		changes += strcmp(best, out[0].peer) != 0;
		memcpy(best, out[0].peer, sizeof best);
		const struct mesh_candidate *most = out[0].score >= out[1].score ? &out[0] : &out[1];
		naive_changes += strcmp(naive, most->peer) != 0;
		memcpy(naive, most->peer, sizeof naive);
	}
	assert_true(naive_changes > 50);
	assert_int_equal(changes, 1); /* the first choice */
}

static void test_hysteresis(void **state)
{
	(void)state;
	struct mesh_score_input in[2] = { peer("a", 200, 20), peer("b", 300, 20) };
	struct mesh_query q = { .criterion = MESH_FOR_LATENCY };
	struct mesh_score_memory memory = { 0 };
	struct mesh_candidate out[2];
	mesh_score_rank(&q, in, 2, &memory, 100 * SECOND, out);
	assert_string_equal(out[0].peer, "a");
	in[1] = peer("b", 170, 20); /* better by 15 % and by 30 µs: not enough */
	for (uint64_t t = 101; t < 120; t++) {
		mesh_score_rank(&q, in, 2, &memory, t * SECOND, out);
		assert_string_equal(out[0].peer, "a");
		assert_non_null(strstr(out[0].reason, "not clearly better"));
	}
	in[1] = peer("b", 100, 20); /* clearly better, but for 3 s only then it counts */
	mesh_score_rank(&q, in, 2, &memory, 120 * SECOND, out);
	assert_string_equal(out[0].peer, "a");
	assert_non_null(strstr(out[0].reason, "not for long enough"));
	mesh_score_rank(&q, in, 2, &memory, 122 * SECOND, out);
	assert_string_equal(out[0].peer, "a");
	mesh_score_rank(&q, in, 2, &memory, 123 * SECOND, out);
	assert_string_equal(out[0].peer, "b");
	/* Who dies loses its place at once. */
	in[1].peer.state = MESH_PEER_SUSPECT;
	mesh_score_rank(&q, in, 2, &memory, 124 * SECOND, out);
	assert_string_equal(out[0].peer, "a");
	/* An old choice binds nobody. */
	in[1] = peer("b", 190, 20);
	mesh_score_rank(&q, in, 2, &memory, 300 * SECOND, out);
	assert_string_equal(out[0].peer, "b");
}

static void test_many_peers(void **state)
{
	(void)state;
	struct mesh_score_input in[40];
	struct mesh_candidate out[40];
	struct mesh_query q = { .criterion = MESH_FOR_LATENCY };
	struct mesh_score_memory memory = { 0 };
	char name[16];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "p%02d", i);
		in[i] = peer(name, 1000 - 20 * i, 10);
	}
	mesh_score_rank(&q, in, 40, &memory, SECOND, out);
	for (int i = 1; i < 40; i++)
		assert_true(out[i - 1].score >= out[i].score);
	mesh_score_rank(&q, in, 0, &memory, SECOND, out);
}

static void test_rtt_numbers(void **state)
{
	(void)state;
	struct mesh_rtt_window w = { 0 };
	struct mesh_rtt_burst b;
	struct mesh_rtt r;
	mesh_rtt_read(&w, SECOND, &r);
	assert_true(r.samples == 0 && r.p50_us == 0);
	mesh_rtt_burst_start(&b);
	for (int i = 0; i < 4; i++)
		mesh_rtt_burst_add(&b, 999000000, 5, 5); /* warm-up is not counted */
	for (int i = 1; i <= 20; i++)
		mesh_rtt_burst_add(&b, i * 10000, 5, 5);
	mesh_rtt_burst_commit(&b, &w, SECOND);
	mesh_rtt_read(&w, 3 * SECOND, &r);
	assert_int_equal(r.samples, 20);
	assert_true(r.min_us == 10 && r.p50_us == 100 && r.p99_us == 200 && r.age_ms == 2000);
	assert_true(r.jitter_us > 9.99 && r.jitter_us < 10.01);
	mesh_rtt_burst_start(&b);
	for (int i = 0; i < 10; i++)
		mesh_rtt_burst_add(&b, i == 7 ? -5 : 10000, 5, 5); /* impossible: something is wrong with the whole burst */
	mesh_rtt_burst_commit(&b, &w, SECOND);
	assert_int_equal(w.dropped_bursts, 1);
	for (int i = 0; i < 100; i++)
		mesh_rtt_echo_done(&w, i % 4);
	mesh_rtt_read(&w, 3 * SECOND, &r);
	assert_true(r.loss == 0.25);
	for (int burst = 0; burst < 50; burst++) {
		mesh_rtt_burst_start(&b);
		for (int i = 0; i < 100; i++)
			mesh_rtt_burst_add(&b, 50000, 0, 0);
		mesh_rtt_burst_commit(&b, &w, SECOND);
	}
	mesh_rtt_read(&w, SECOND, &r);
	assert_true(r.samples == RTT_WINDOW && r.min_us == 50 && r.p99_us == 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terms_add_up),
		cmocka_unit_test(test_frames_need_their_time),
		cmocka_unit_test(test_who_cannot_is_last),
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_hysteresis_damps_flapping),
		cmocka_unit_test(test_many_peers),
		cmocka_unit_test(test_rtt_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
