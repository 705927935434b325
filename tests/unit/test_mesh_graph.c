/* What nodes say of themselves, ways through the graph, and the word of others for a silent peer. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "mesh/graph.h"
#include "mesh/statement.h"
#include "tests/unit/mesh_sim.h"
#include "tests/unit/test.h"

static const struct mesh_key key = { { 7 } };

static void test_statement(void **state)
{
	(void)state;
	struct mesh_identity id;
	struct mesh_statement s = { .incarnation = 5, .seq = 9, .name = "alpha", .gpus = 2, .link_count = 2 }, back;
	uint8_t bytes[STATEMENT_MAX_SIZE + 1];
	assert_int_equal(mesh_identity_create(&id), 0);
	memcpy(s.public_key, id.public_key, sizeof s.public_key);
	for (size_t i = 0; i < 2; i++)
		s.links[i] = (struct mesh_statement_link){ .neighbour = { (uint8_t)i },
			.interface = "thunderbolt0",
			.p50_100ns = 730,
			.up_kbps = 20000000,
			.up_source = MESH_SOURCE_PROBE };
	size_t size = mesh_statement_encode(&s, id.secret_key, bytes);
	assert_int_equal(mesh_statement_decode(bytes, size, &back), 0);
	assert_true(mesh_statement_signed(bytes, size));
	assert_int_equal(back.seq, 9);
	assert_string_equal(back.links[1].interface, "thunderbolt0");
	assert_int_equal(back.links[1].up_kbps, 20000000);
	/* No other size, and no changed byte passes. */
	assert_true(mesh_statement_decode(bytes, size - 1, &back) < 0);
	assert_true(mesh_statement_decode(bytes, size + 1, &back) < 0);
	assert_true(mesh_statement_decode(bytes, 0, &back) < 0);
	for (size_t i = 0; i < size; i++) {
		bytes[i] ^= 0x10;
		assert_true(mesh_statement_decode(bytes, size, &back) < 0 || !mesh_statement_signed(bytes, size));
		bytes[i] ^= 0x10;
	}
	memcpy(s.name, "a\033[2J", 6);
	size = mesh_statement_encode(&s, id.secret_key, bytes);
	assert_true(mesh_statement_decode(bytes, size, &back) < 0);
}

static void add_link(struct mesh_graph_node *n, const char *to, double p50_us)
{
	struct mesh_graph_link *l = &n->links[n->link_count++];
	strcpy(l->neighbour, to);
	l->p50_us = p50_us;
}

static void test_ways(void **state)
{
	(void)state;
	/* a-b-c quick, a-c slow; c says d, d does not say c. */
	struct mesh_graph_node *n = calloc(4, sizeof *n);
	assert_non_null(n);
	static const char *const names[] = { "a", "b", "c", "d" };
	for (size_t i = 0; i < 4; i++) {
		strcpy(n[3 - i].id, names[i]);
		strcpy(n[3 - i].name, names[i]);
	}
	add_link(&n[3], "b", 50);
	add_link(&n[3], "c", 5000);
	add_link(&n[2], "a", 50);
	add_link(&n[2], "c", 70);
	add_link(&n[1], "a", 5000);
	add_link(&n[1], "b", 70);
	add_link(&n[1], "d", 10);
	add_link(&n[1], "nobody", 10);
	assert_int_equal(mesh_graph_solve(n, 4, "a"), 0);
	assert_string_equal(n[0].id, "a");
	assert_string_equal(n[1].id, "b");
	assert_int_equal(n[1].hops, 1);
	assert_string_equal(n[2].id, "c");
	assert_int_equal(n[2].hops, 2);
	assert_string_equal(n[2].via, "b");
	assert_true(n[2].path_us > 119 && n[2].path_us < 121);
	assert_false(n[2].links[2].confirmed);
	assert_int_equal(n[3].hops, MESH_UNREACHABLE);
	free(n);
}

/* The cable between a and b breaks without a word, b lives on and c hears it: suspect, not dead; then b dies, too. */
static void test_others_word(void **state)
{
	(void)state;
	struct sim *s = malloc(sizeof *s);
	assert_non_null(s);
	sim_init(s, 3);
	struct sim_node *a = sim_node(s, "a", &key), *b = sim_node(s, "b", &key), *c = sim_node(s, "c", &key);
	struct sim_cable *ab = sim_cable(s, a, b);
	sim_cable(s, b, c);
	sim_cable(s, c, a);
	sim_run(s, CORE_SECOND);
	ab->cut = true;
	uint64_t cut = s->now_ns;
	sim_run(s, 5 * CORE_SECOND);
	assert_non_null(sim_event(a, MESH_EVENT_PEER_SUSPECT, cut));
	assert_null(sim_event(a, MESH_EVENT_PEER_DOWN, cut));
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_SUSPECT);
	assert_string_equal(sim_peer(a, b)->vouched_by, "c");
	uint64_t died = s->now_ns;
	b->stopped = true;
	sim_run(s, 2 * CORE_SECOND);
	assert_string_equal(sim_event(a, MESH_EVENT_PEER_DOWN, died)->reason, "silent");
	/* It is there, and no cable leads to it: others' word does not keep it for ever. */
	b->stopped = false;
	ab->cut = false;
	s->flying_count = 0;
	b->next_ns = s->now_ns;
	sim_run(s, 3 * CORE_SECOND);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
	ab->cut = true;
	cut = s->now_ns;
	sim_run(s, 15 * CORE_SECOND);
	const struct sim_event *down = sim_event(a, MESH_EVENT_PEER_DOWN, cut);
	assert_non_null(down);
	assert_true(down->at_ns - cut > 9 * CORE_SECOND);
	assert_non_null(strstr(down->reason, "c hears it"));
	sim_finish(s);
	free(s);
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_statement), cmocka_unit_test(test_ways),
		cmocka_unit_test(test_others_word) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
