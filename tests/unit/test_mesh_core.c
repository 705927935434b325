/* The mesh's core on a virtual clock. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/util.h"
#include "tests/unit/mesh_sim.h"
#include "tests/unit/test.h"

static const struct mesh_key key = { { 7 } };
static struct sim *s;

static int setup(void **state)
{
	(void)state;
	s = malloc(sizeof *s);
	if (!s)
		return -1;
	sim_init(s, 42);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_finish(s);
	free(s);
	return 0;
}

static struct mesh_core_link *link_of(struct mesh_core_peer *p)
{
	return list_entry(p->links.next, struct mesh_core_link, link);
}

static void pair(struct sim_node **a, struct sim_node **b, struct sim_cable **first, struct sim_cable **second)
{
	*a = sim_node(s, "n0", &key);
	*b = sim_node(s, "n1", &key);
	*first = sim_cable(s, *a, *b);
	if (second)
		*second = sim_cable(s, *a, *b);
	sim_run(s, CORE_SECOND);
	assert_int_equal(sim_peer(*a, *b)->state, MESH_PEER_UP);
	assert_int_equal(sim_peer(*b, *a)->state, MESH_PEER_UP);
}

static void test_finds_at_once(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	uint64_t start = s->now_ns;
	pair(&a, &b, &c, NULL);
	assert_true(sim_event(a, MESH_EVENT_PEER_UP, start)->at_ns - start < 50 * CORE_MS);
	assert_true(sim_event(b, MESH_EVENT_PEER_UP, start)->at_ns - start < 50 * CORE_MS);
	assert_string_equal(sim_event(a, MESH_EVENT_LINK_UP, start)->subject, "n1:tb1");
	assert_int_equal(a->admitted, 1);
	assert_int_equal(mesh_core_links_up(sim_peer(a, b)), 1);
}

static void test_round_trips_leave_out_the_peers_residence(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	struct mesh_peer_info info;
	s->residence_ns = 3 * CORE_MS; /* a busy host: not the link's fault */
	pair(&a, &b, &c, NULL);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_true(info.rtt.samples >= 16);
	assert_true(info.rtt.min_us >= 99.9 && info.rtt.p50_us <= 100.1 && info.rtt.jitter_us < 0.1);
	assert_true(info.rtt.loss == 0);
	c->delay_ns = 150000;
	sim_run(s, 200 * CORE_SECOND);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_true(info.rtt.samples > 40); /* none while a bandwidth probe is under way, and here it never ends by itself */
	assert_true(info.rtt.p50_us > 299 && info.rtt.p99_us < 301 && info.rtt.age_ms < 12000);
}

static void test_a_clock_that_is_set_spoils_the_burst(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	struct mesh_peer_info info;
	pair(&a, &b, &c, NULL);
	sim_run(s, CORE_SECOND);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	uint64_t samples = info.rtt.samples;
	struct mesh_core_link *l = link_of(sim_peer(a, b));
	while (!l->bursting || l->burst.count < 4)
		sim_run(s, CORE_MS);
	b->realtime_ns -= 5 * (int64_t)CORE_SECOND; /* the peer's clock steps */
	sim_run(s, CORE_SECOND);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_int_equal(info.rtt.samples, samples);
	assert_int_equal(l->rtt.dropped_bursts, 1);
	while (!l->bursting || l->burst.count < 4)
		sim_run(s, CORE_MS);
	a->realtime_ns += CORE_MS; /* ours */
	sim_run(s, CORE_SECOND);
	assert_int_equal(l->rtt.dropped_bursts, 2);
	sim_run(s, 30 * CORE_SECOND);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_true(info.rtt.samples > samples && info.rtt.p99_us < 101);
}

static void test_loss_is_counted(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	struct mesh_peer_info info;
	pair(&a, &b, &c, NULL);
	c->lose_every = 10;
	sim_run(s, 60 * CORE_SECOND);
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_int_equal(info.state, MESH_PEER_UP);
	assert_true(info.rtt.loss > 0.1 && info.rtt.loss < 0.3); /* there or back: 19 % */
}

static void test_silence_is_noticed_in_time(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	c->cut = true;
	uint64_t cut = s->now_ns;
	sim_run(s, 3 * CORE_SECOND);
	const struct sim_event *suspect = sim_event(a, MESH_EVENT_PEER_SUSPECT, cut),
			       *dead = sim_event(a, MESH_EVENT_PEER_DOWN, cut);
	assert_non_null(suspect);
	assert_non_null(dead);
	assert_true(suspect->at_ns - cut >= 300 * CORE_MS && suspect->at_ns - cut <= 600 * CORE_MS);
	assert_true(dead->at_ns - cut <= 2000 * CORE_MS);
	assert_string_equal(dead->reason, "silent");
	assert_null(sim_peer(a, b)->best);
	c->cut = false;
	uint64_t mended = s->now_ns;
	sim_run(s, 2 * CORE_SECOND);
	assert_non_null(sim_event(a, MESH_EVENT_PEER_UP, mended));
}

static void test_one_of_two_cables(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c1, *c2;
	pair(&a, &b, &c1, &c2);
	uint64_t cut = s->now_ns;
	sim_carrier(s, c1, false);
	assert_int_equal(sim_event(a, MESH_EVENT_LINK_DOWN, cut)->at_ns, cut); /* carrier loss is believed at once */
	assert_string_equal(sim_event(a, MESH_EVENT_LINK_DOWN, cut)->reason, "no carrier");
	assert_int_equal(sim_peer(a, b)->best->ifindex, 2);
	sim_run(s, 5 * CORE_SECOND);
	assert_null(sim_event(a, MESH_EVENT_PEER_SUSPECT, cut));
	sim_carrier(s, c2, false);
	assert_non_null(sim_event(a, MESH_EVENT_PEER_SUSPECT, s->now_ns));
	sim_run(s, 3 * CORE_SECOND);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_DEAD);
	sim_carrier(s, c1, true);
	sim_run(s, 500 * CORE_MS);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
}

static void test_a_pulled_cable_comes_back_with_another_index(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	uint64_t pulled = s->now_ns;
	sim_pull(s, c);
	assert_non_null(sim_event(a, MESH_EVENT_LINK_DOWN, pulled));
	assert_non_null(sim_event(a, MESH_EVENT_PEER_SUSPECT, pulled));
	sim_run(s, 5 * CORE_SECOND);
	assert_non_null(sim_event(b, MESH_EVENT_PEER_DOWN, pulled));
	uint64_t plugged = s->now_ns;
	sim_plug(s, c);
	sim_run(s, CORE_SECOND);
	assert_non_null(sim_event(a, MESH_EVENT_PEER_UP, plugged));
	assert_int_equal(sim_peer(a, b)->link_count, 1);
	assert_string_equal(sim_peer(a, b)->best->id, "n1:tb1");
}

/* The reset of a controller takes its peers away for 90 s to 25 minutes: all of its interfaces go, and come with other indexes. */
static void test_peers_come_back_after_minutes(void **state)
{
	(void)state;
	static const unsigned away_s[] = { 90, 1500 };
	struct sim_node *a, *b;
	struct sim_cable *c, *d;
	pair(&a, &b, &c, &d);
	for (size_t i = 0; i < ARRAY_SIZE(away_s); i++) {
		sim_run(s, 60 * CORE_SECOND); /* not soon again: that is flapping */
		a->event_count = b->event_count = 0;
		sim_pull(s, c);
		sim_pull(s, d);
		sim_run(s, away_s[i] * CORE_SECOND);
		if (sim_peer(a, b)) {
			assert_int_equal(sim_peer(a, b)->state, MESH_PEER_DEAD);
			assert_true(sim_peer(a, b)->link_count <= 2);
		}
		uint64_t plugged = s->now_ns;
		sim_plug(s, c);
		sim_run(s, 200 * CORE_MS);
		sim_plug(s, d);
		sim_run(s, CORE_SECOND);
		assert_true(sim_event(a, MESH_EVENT_PEER_UP, plugged)->at_ns - plugged < CORE_SECOND);
		assert_true(sim_event(b, MESH_EVENT_PEER_UP, plugged)->at_ns - plugged < CORE_SECOND);
		assert_int_equal(mesh_core_links_up(sim_peer(a, b)), 2);
		assert_int_equal(sim_peer(a, b)->link_count, 2);
		assert_int_equal(mesh_core_links_up(sim_peer(b, a)), 2);
	}
}

static struct mesh_core_link *routed_link(struct sim_node *n, const struct sim_node *other)
{
	list_for_each(l, &sim_peer(n, other)->links, struct mesh_core_link, link) {
		if (!l->ifindex)
			return l;
	}
	return NULL;
}

/* Two lose their cable, a host between them routes; one way is there before the other. Whoever comes first, both find each other:
 * the echo of one whose way was missing is a greeting, for it greets no more once it is answered. */
static void test_an_echo_over_routing_is_a_greeting(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *direct;
	pair(&a, &b, &direct, NULL);
	struct sim_node *between = sim_node(s, "n2", &key);
	sim_cable(s, a, between);
	sim_cable(s, between, b);
	for (unsigned phase = 0; phase < 10; phase++) {
		struct sim_node *first = phase % 2 ? a : b, *second = phase % 2 ? b : a;
		sim_run(s, 20 * CORE_SECOND);
		assert_true(sim_peer(a, b)->best && sim_peer(a, b)->best->ifindex);
		a->event_count = b->event_count = between->event_count = 0;
		sim_pull(s, direct);
		s->routed[first->index][second->index] = true;
		sim_run(s, 1500 * CORE_MS + phase * 107 * CORE_MS);
		assert_true(!routed_link(second, first) || routed_link(second, first)->state == MESH_LINK_DOWN);
		s->routed[second->index][first->index] = true;
		sim_run(s, 2500 * CORE_MS);
		assert_int_equal(routed_link(first, second)->state, MESH_LINK_UP);
		assert_int_equal(routed_link(second, first)->state, MESH_LINK_UP);
		assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
		assert_int_equal(sim_peer(b, a)->state, MESH_PEER_UP);
		assert_ptr_equal(sim_peer(first, second)->best, routed_link(first, second));
		sim_plug(s, direct);
		sim_run(s, CORE_SECOND);
		assert_null(routed_link(a, b)); /* a cable is there */
		memset(s->routed, 0, sizeof s->routed);
	}
}

static void test_a_restart_is_seen_at_once(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	uint64_t at = s->now_ns;
	sim_restart(s, b, 1001);
	sim_run(s, 300 * CORE_MS);
	assert_non_null(sim_event(a, MESH_EVENT_PEER_DOWN, at));
	assert_string_equal(sim_event(a, MESH_EVENT_PEER_DOWN, at)->reason, "restarted");
	assert_non_null(sim_event(a, MESH_EVENT_PEER_UP, at));
	assert_int_equal(a->restarted, 1);
	assert_int_equal(sim_peer(a, b)->incarnation, 1001);
	assert_int_equal(sim_peer(a, b)->control_port, 4001);
	/* What an older one says is dropped. */
	assert_false(mesh_core_peer_incarnation(a->core, s->now_ns, sim_peer(a, b), 1000));
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
}

static void test_goodbye(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	uint64_t at = s->now_ns;
	mesh_core_leave(b->core, s->now_ns);
	b->stopped = true;
	sim_run(s, 10 * CORE_MS);
	assert_string_equal(sim_event(a, MESH_EVENT_PEER_DOWN, at)->reason, "goodbye");
	b->stopped = false;
	sim_restart(s, b, 1001);
	sim_run(s, 300 * CORE_MS);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
}

static void test_who_was_stopped_blames_nobody(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	uint64_t at = s->now_ns;
	a->stopped = true;
	sim_run(s, 30 * CORE_SECOND);
	assert_non_null(sim_event(b, MESH_EVENT_PEER_DOWN, at));
	s->flying_count = 0; /* its socket buffers overflowed */
	at = s->now_ns;
	a->stopped = false;
	a->next_ns = at;
	sim_run(s, 2 * CORE_SECOND);
	assert_null(sim_event(a, MESH_EVENT_PEER_SUSPECT, at));
	assert_non_null(sim_event(b, MESH_EVENT_PEER_UP, at));
}

static void test_another_key_meets_silence(void **state)
{
	(void)state;
	struct sim_node *a = sim_node(s, "n0", &key), *m = sim_node(s, "mallory", &(struct mesh_key){ { 8 } });
	sim_cable(s, a, m);
	sim_run(s, 10 * CORE_SECOND);
	assert_true(list_empty(mesh_core_peers(a->core)));
	assert_int_equal(a->event_count + m->event_count, 0);
	/* Beacons to all, as without anybody there; not one packet more. */
	assert_true(a->packets_sent < 25);
}

static void test_replays_admit_nobody(void **state)
{
	(void)state;
	struct sim_node *a, *b, *c;
	struct sim_cable *ab;
	pair(&a, &b, &ab, NULL);
	/* A beacon and an echo of b, as somebody on the wire has recorded them. */
	struct mesh_packet_keys keys;
	struct mesh_packet_beacon beacon = { .incarnation = 1000, .seq = 1, .control_port = 4000, .name = "n1" };
	uint8_t packet[PACKET_BEACON_SIZE];
	mesh_packet_keys_derive(&key, &keys);
	memcpy(beacon.public_key, b->identity.public_key, sizeof beacon.public_key);
	mesh_packet_beacon_encode(&beacon, &keys, b->identity.secret_key, packet);
	/* To a: seen already. */
	size_t links = sim_peer(a, b)->link_count;
	struct mesh_core_address attacker = { ab->ends[1].ip, 666 };
	attacker.ip.s6_addr[15] = 99;
	mesh_core_packet(a->core, s->now_ns, 1, &attacker, packet, sizeof packet, 0);
	assert_int_equal(sim_peer(a, b)->link_count, links);
	/* To a newcomer: asked, and heard no more of; never listed, and forgotten after a while. */
	c = sim_node(s, "n2", &key);
	struct sim_cable *dead_end = sim_cable(s, c, a);
	dead_end->cut = true;
	attacker.ip = dead_end->ends[1].ip;
	for (int i = 0; i < 100; i++)
		mesh_core_packet(c->core, s->now_ns, dead_end->ends[0].ifindex, &attacker, packet, sizeof packet, 0);
	sim_run(s, 5 * CORE_SECOND);
	assert_false(sim_peer(c, b)->introduced);
	assert_int_equal(c->event_count, 0);
	assert_true(c->packets_sent < 80);
	sim_run(s, 90 * CORE_SECOND);
	assert_null(sim_peer(c, b));
	assert_int_equal(c->expelled, 1);
}

static void test_changed_packets_are_dropped(void **state)
{
	(void)state;
	struct sim_node *a = sim_node(s, "n0", &key), *b = sim_node(s, "n1", &key);
	struct sim_cable *c = sim_cable(s, a, b);
	c->cut = true;
	struct mesh_packet_keys keys;
	struct mesh_packet_beacon beacon = { .incarnation = 1000, .seq = 5, .control_port = 4000, .name = "n1" };
	uint8_t packet[PACKET_BEACON_SIZE + 1] = { 0 };
	struct mesh_core_address from = { c->ends[1].ip, 5000 };
	mesh_packet_keys_derive(&key, &keys);
	memcpy(beacon.public_key, b->identity.public_key, sizeof beacon.public_key);
	mesh_packet_beacon_encode(&beacon, &keys, b->identity.secret_key, packet);
	for (size_t bit = 0; bit < PACKET_BEACON_SIZE * 8; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		mesh_core_packet(a->core, s->now_ns, 1, &from, packet, PACKET_BEACON_SIZE, 0);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t size = 0; size < PACKET_BEACON_SIZE; size++)
		mesh_core_packet(a->core, s->now_ns, 1, &from, packet, size, 0);
	mesh_core_packet(a->core, s->now_ns, 1, &from, packet, sizeof packet, 0);
	assert_true(list_empty(mesh_core_peers(a->core)));
	mesh_core_packet(a->core, s->now_ns, 1, &from, packet, PACKET_BEACON_SIZE, 0);
	assert_false(list_empty(mesh_core_peers(a->core)));
}

static void test_tables_are_bounded(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	struct mesh_packet_keys keys;
	struct mesh_core_address from = { c->ends[1].ip, 5000 };
	uint8_t packet[PACKET_BEACON_SIZE];
	mesh_packet_keys_derive(&key, &keys);
	for (unsigned i = 0; i < MESH_MAX_PEERS + 50; i++) {
		struct mesh_identity identity;
		struct mesh_packet_beacon beacon = { .incarnation = 1000, .seq = 1, .control_port = 4000, .name = "crowd" };
		mesh_identity_create(&identity);
		memcpy(beacon.public_key, identity.public_key, sizeof beacon.public_key);
		mesh_packet_beacon_encode(&beacon, &keys, identity.secret_key, packet);
		mesh_core_packet(a->core, s->now_ns, 1, &from, packet, sizeof packet, 0);
	}
	size_t count = 0;
	list_for_each(p, mesh_core_peers(a->core), struct mesh_core_peer, link)
		count++;
	assert_int_equal(count, MESH_MAX_PEERS);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP); /* who lives is not pushed out */
	for (unsigned i = 0; i < 100; i++) {
		struct mesh_packet_beacon beacon = {
			.incarnation = 1000, .seq = 100 + i, .control_port = 4000, .name = "n1"
		};
		memcpy(beacon.public_key, b->identity.public_key, sizeof beacon.public_key);
		mesh_packet_beacon_encode(&beacon, &keys, b->identity.secret_key, packet);
		from.ip.s6_addr[14] = (uint8_t)(100 + i);
		mesh_core_packet(a->core, s->now_ns, 1, &from, packet, sizeof packet, 0);
	}
	assert_int_equal(sim_peer(a, b)->link_count, MESH_MAX_PEER_LINKS);
	assert_int_equal(mesh_core_links_up(sim_peer(a, b)), 1);
	for (unsigned i = 0; i < MESH_MAX_INTERFACES; i++)
		mesh_core_interface_set(a->core, s->now_ns, &(struct mesh_interface){ .ifindex = 1000 + i, .name = "x" });
	assert_true(
		mesh_core_interface_set(a->core, s->now_ns, &(struct mesh_interface){ .ifindex = 5000, .name = "x" }) < 0);
}

static void test_flapping_is_damped(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	for (int i = 0; i < 5; i++) {
		sim_carrier(s, c, false);
		sim_run(s, 3 * CORE_SECOND);
		assert_int_equal(sim_peer(a, b)->state, MESH_PEER_DEAD);
		sim_carrier(s, c, true);
		sim_run(s, CORE_SECOND);
	}
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_DEAD); /* answers, but is not believed yet */
	sim_run(s, 5 * CORE_SECOND);
	assert_int_equal(sim_peer(a, b)->state, MESH_PEER_UP);
}

static void test_hearing_oneself(void **state)
{
	(void)state;
	struct sim_node *a = sim_node(s, "n0", &key);
	sim_cable(s, a, a); /* both ends in one host: the second takes the first one's index here, enough to hear oneself */
	sim_run(s, 5 * CORE_SECOND);
	size_t told = 0;
	for (size_t i = 0; i < a->event_count; i++)
		told += a->events[i].type == MESH_EVENT_BRIDGE_RING;
	assert_int_equal(told, 1); /* once, however long it goes on */
	struct mesh_ring ring;
	assert_int_equal(mesh_core_rings(a->core, s->now_ns, &ring, 1), 1);
	assert_string_equal(ring.heard_on, "tb1");
	assert_true(list_empty(mesh_core_peers(a->core)));
}

static void test_a_worse_way_is_told(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *good, *bad;
	struct mesh_peer_info info;
	pair(&a, &b, &good, &bad);
	bad->delay_ns = 2 * CORE_MS;
	sim_run(s, 100 * CORE_SECOND); /* bursts enough that the slow one is known to be slow */
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_string_equal(info.best_link, "n1:tb1");
	assert_string_equal(info.note, "");
	uint64_t at = s->now_ns;
	sim_pull(s, good);
	sim_run(s, 100 * CORE_MS);
	const struct sim_event *e = sim_event(a, MESH_EVENT_PATH_DEGRADED, at);
	assert_non_null(e);
	assert_int_equal(e->at_ns, at); /* at once */
	assert_string_equal(e->subject, "n1");
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_non_null(strstr(info.note, "n1 is reached by n1:tb2"));
	assert_non_null(strstr(info.note, "n1:tb1"));
	sim_run(s, 75 * CORE_SECOND); /* also when the link itself is no longer listed */
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_true(info.note[0] != '\0');
	assert_null(sim_event(a, MESH_EVENT_PATH_RESTORED, 0));
	at = s->now_ns;
	sim_plug(s, good);
	sim_run(s, 2 * CORE_SECOND);
	assert_non_null(sim_event(a, MESH_EVENT_PATH_RESTORED, at));
	mesh_core_peer_read(s->now_ns, sim_peer(a, b), &info);
	assert_string_equal(info.note, "");
}

static void test_equal_ways_are_no_complaint(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *one, *two;
	pair(&a, &b, &one, &two);
	sim_run(s, 12 * CORE_SECOND);
	sim_pull(s, one);
	sim_run(s, 20 * CORE_SECOND);
	sim_plug(s, one);
	sim_run(s, 5 * CORE_SECOND);
	assert_null(sim_event(a, MESH_EVENT_PATH_DEGRADED, 0));
	assert_null(sim_event(b, MESH_EVENT_PATH_DEGRADED, 0));
}

static void test_the_same_key_twice(void **state)
{
	(void)state;
	struct sim_node *a = sim_node(s, "n0", &key), *b = sim_node(s, "n1", &key);
	struct sim_cable *c = sim_cable(s, a, b);
	sim_run(s, CORE_SECOND);
	b->identity = a->identity;
	sim_restart(s, b, 1001);
	(void)c;
	sim_run(s, 5 * CORE_SECOND);
	assert_int_equal(a->warnings, 1);
	assert_int_equal(b->warnings, 1);
}

static void test_probes_are_rare_and_one_at_a_time(void **state)
{
	(void)state;
	struct sim_node *hub = sim_node(s, "n0", &key), *asker = NULL;
	struct sim_node *others[3];
	for (size_t i = 0; i < 3; i++) {
		others[i] = sim_node(s, "nx", &key);
		sim_cable(s, hub, others[i]);
	}
	sim_run(s, 1500 * CORE_MS);
	unsigned asked = hub->probes;
	for (size_t i = 0; i < 3; i++) {
		bool other_asks = strcmp(others[i]->identity.id, hub->identity.id) > 0;
		assert_int_equal(others[i]->probes, other_asks);
		if (other_asks)
			asker = others[i];
	}
	assert_true(hub->probes <= 1);
	if (asker) {
		/* It fails: tried again later and later. */
		for (int i = 0; i < 6; i++) {
			mesh_core_probe_failed(asker->core, s->now_ns, asker->probing);
			unsigned before = asker->probes;
			sim_run(s, CORE_SECOND);
			assert_int_equal(asker->probes, before);
			sim_run(s, 70 * CORE_SECOND);
			assert_true(asker->probes > before);
		}
		/* It works: the next one is ten minutes away. */
		struct mesh_core_peer *p = asker->probing;
		struct mesh_core_link *l = link_of(p);
		struct mesh_core_probe_rate rate = { l->local, l->address.ip, UINT64_C(20000000000), UINT64_C(10000000000) };
		mesh_core_probe_done(asker->core, s->now_ns, p, &rate, 1, 0, 0, 100 * CORE_MS, false);
		unsigned before = asker->probes;
		struct mesh_peer_info info;
		mesh_core_peer_read(s->now_ns, p, &info);
		assert_int_equal(info.aggregate_up.bps, rate.up_bps);
		assert_int_equal(info.aggregate_down.bps, rate.down_bps);
		assert_int_equal(info.aggregate_up.source, MESH_SOURCE_PROBE);
		sim_run(s, 590 * CORE_SECOND);
		assert_int_equal(asker->probes, before);
		sim_run(s, 15 * CORE_SECOND);
		assert_int_equal(asker->probes, before + 1);
	} else {
		assert_int_equal(asked, 1);
		for (unsigned n = 1; n < 3; n++) {
			mesh_core_probe_failed(hub->core, s->now_ns, hub->probing);
			hub->next_ns = s->now_ns; /* as the shell does after each call */
			sim_run(s, 10 * CORE_MS);
			assert_int_equal(hub->probes, n + 1);
		}
	}
}

static void test_probes_never_take_more_than_one_percent(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	struct sim_node *asker = strcmp(a->identity.id, b->identity.id) > 0 ? a : b, *other = asker == a ? b : a;
	uint64_t spent = 0, start = s->now_ns;
	while (s->now_ns - start < 1000 * CORE_SECOND) {
		/* A link that goes up and down all the time wants to be measured all the time. */
		sim_run(s, 2 * CORE_SECOND);
		if (asker->probing) {
			mesh_core_probe_done(asker->core, s->now_ns, asker->probing, NULL, 0, 0, 0, 500 * CORE_MS, false);
			asker->probing = NULL;
			spent += 500 * CORE_MS;
		}
		struct mesh_core_peer *p = sim_peer(asker, other);
		p->probe_due_ns = s->now_ns;
	}
	assert_true(spent > 5 * CORE_SECOND);
	assert_true(spent <= 10 * CORE_SECOND + 2 * CORE_SECOND + 500 * CORE_MS);
}

static void test_aggregate_belongs_to_the_links_that_were_in_it(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c1, *c2;
	struct mesh_core_probe_rate rates[2];
	struct mesh_peer_info info;
	pair(&a, &b, &c1, &c2);
	struct mesh_core_peer *p = sim_peer(a, b);
	size_t i = 0;
	list_for_each(l, &p->links, struct mesh_core_link, link) {
		rates[i] = (struct mesh_core_probe_rate){ l->local, l->address.ip, 8000000000 + i, 7000000000 + i };
		i++;
	}
	mesh_core_probe_done(a->core, s->now_ns, p, rates, 2, 9000000000, 8500000000, CORE_MS, false);
	mesh_core_peer_read(s->now_ns, p, &info);
	assert_int_equal(info.aggregate_up.bps, 9000000000); /* measured, not 16 */
	assert_int_equal(info.aggregate_down.bps, 8500000000);
	/* A probe that others disturbed only tells a lower bound; and all links are never less than the best one. */
	mesh_core_probe_done(a->core, s->now_ns, p, rates, 2, 9500000000, 1000, CORE_MS, true);
	mesh_core_peer_read(s->now_ns, p, &info);
	assert_int_equal(info.aggregate_up.bps, 9500000000);
	assert_int_equal(info.aggregate_down.bps, 8500000000);
	mesh_core_probe_done(a->core, s->now_ns, p, rates, 2, 1000, 1000, CORE_MS, false);
	mesh_core_peer_read(s->now_ns, p, &info);
	assert_int_equal(info.aggregate_up.bps, 8000000001);
	assert_int_equal(info.aggregate_down.bps, 7000000001);
	sim_carrier(s, c1, false);
	mesh_core_peer_read(s->now_ns, p, &info);
	assert_int_equal(info.aggregate_up.bps, p->best->up.bps); /* what the one that is left can do */
	assert_in_range(info.aggregate_up.bps, 8000000000, 8000000001);
	sim_carrier(s, c1, true);
	sim_run(s, CORE_SECOND);
	mesh_core_peer_read(s->now_ns, p, &info);
	assert_int_equal(info.links_up, 2);
}

static void test_real_traffic_counts(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	struct mesh_link_info info;
	pair(&a, &b, &c, NULL);
	struct mesh_core_link *l = link_of(sim_peer(a, b));
	mesh_core_traffic(a->core, s->now_ns, 1, 1000000, 1000000);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.up.bps, 0); /* little traffic says nothing */
	mesh_core_traffic(a->core, s->now_ns, 1, 5000000000, 100);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.up.bps, 5000000000);
	assert_int_equal(info.up.source, MESH_SOURCE_TRAFFIC);
	mesh_core_traffic(a->core, s->now_ns, 1, 3000000000, 100);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.up.bps, 5000000000);
}

/* Counters say when a link carries something: what is measured then is kept apart. */
static void test_idle_and_loaded_are_told_apart(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	struct mesh_link_info info;
	pair(&a, &b, &c, NULL);
	struct mesh_core_link *l = link_of(sim_peer(a, b));
	struct mesh_core_probe_rate rate = { l->local, l->address.ip, 10000000000, 10000000000 };
	mesh_core_probe_done(a->core, s->now_ns, sim_peer(a, b), &rate, 1, 0, 0, CORE_MS, false);
	if (b->probing)
		mesh_core_probe_done(b->core, s->now_ns, sim_peer(b, a), NULL, 0, 0, 0, CORE_MS, false);
	sim_run(s, 2 * CORE_SECOND);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.rtt_loaded.samples, 0);
	assert_true(info.rtt.p50_us < 101);
	uint64_t idle = info.rtt.samples;
	c->delay_ns = 2 * CORE_MS; /* queues fill */
	for (int i = 0; i < 12; i++) {
		mesh_core_traffic(a->core, s->now_ns, 1, 9500000000, 1000);
		a->next_ns = s->now_ns; /* as the shell does after each call */
		sim_run(s, 250 * CORE_MS);
	}
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.use_up_bps, 9500000000);
	assert_int_equal(info.rtt.samples, idle);
	assert_true(info.rtt.p50_us < 101);
	assert_true(info.rtt_loaded.samples >= 12 && info.rtt_loaded.p50_us > 3900);
	/* As near to the probe's number as that: the traffic is the better measurement, for its own direction. */
	assert_int_equal(info.up.source, MESH_SOURCE_TRAFFIC);
	assert_int_equal(info.up.bps, 9500000000);
	assert_int_equal(info.down.source, MESH_SOURCE_PROBE);
	assert_int_equal(info.down.bps, 10000000000);
	/* Never down step by step: what is compared with stays. */
	mesh_core_traffic(a->core, s->now_ns, 1, 8600000000, 1000);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_int_equal(info.up.bps, 9500000000);
	c->delay_ns = 50000;
	sim_run(s, 30 * CORE_SECOND);
	mesh_core_link_read(s->now_ns, l, &info);
	assert_true(info.rtt.samples > idle && info.rtt.p50_us < 101 && info.use_up_bps == 0);
}

static void test_speed_changes_are_told(void **state)
{
	(void)state;
	struct sim_node *a, *b;
	struct sim_cable *c;
	pair(&a, &b, &c, NULL);
	struct mesh_interface i = {
		.ifindex = 1, .name = "tb1", .negotiated_rx_bps = 20000000000, .negotiated_tx_bps = 40000000000
	};
	uint64_t at = s->now_ns;
	mesh_core_interface_set(a->core, s->now_ns, &i);
	assert_non_null(sim_event(a, MESH_EVENT_LINK_SPEED_CHANGED, at));
	struct mesh_link_info info;
	mesh_core_link_read(s->now_ns, link_of(sim_peer(a, b)), &info);
	assert_int_equal(info.up.bps, 40000000000);
	assert_int_equal(info.up.source, MESH_SOURCE_NEGOTIATED);
	mesh_core_interface_renamed(a->core, s->now_ns, 1, "en05");
	mesh_core_link_read(s->now_ns, link_of(sim_peer(a, b)), &info);
	assert_string_equal(info.id, "n1:en05");
}

/* Any order of cuts, pauses and restarts: afterwards, with all cables in, everybody sees everybody. TBMESH_SEED replays
 * one. */
static void test_random_troubles(void **state)
{
	(void)state;
	const char *given = getenv("TBMESH_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : 1, last = given ? first : 6;
	for (uint64_t seed = first; seed <= last; seed++) {
		struct sim_node *nodes[4];
		uint64_t incarnation = 2000;
		sim_finish(s);
		sim_init(s, seed);
		print_message("seed %llu\n", (unsigned long long)seed);
		for (size_t i = 0; i < 4; i++)
			nodes[i] = sim_node(s, "nx", &key);
		for (size_t i = 0; i < 4; i++) {
			sim_cable(s, nodes[i], nodes[(i + 1) % 4]);
			sim_cable(s, nodes[i], nodes[(i + 1) % 4]);
		}
		for (int step = 0; step < 40; step++) {
			uint64_t dice = s->seed * 2654435761u >> 16;
			struct sim_cable *c = &s->cables[dice % s->cable_count];
			struct sim_node *n = nodes[dice / 64 % 4];
			sim_run(s, dice % 2000 * CORE_MS);
			switch (dice / 16 % 6) {
			case 0:
				sim_pull(s, c);
				sim_run(s, dice % 3000 * CORE_MS);
				sim_plug(s, c);
				break;
			case 1:
				sim_carrier(s, c, false);
				break;
			case 2:
				sim_carrier(s, c, true);
				break;
			case 3:
				sim_restart(s, n, ++incarnation);
				break;
			case 4:
				c->lose_every = dice % 7;
				break;
			case 5:
				n->stopped = true;
				sim_run(s, dice % 4000 * CORE_MS);
				s->flying_count = 0;
				n->stopped = false;
				n->next_ns = s->now_ns;
				break;
			}
			for (size_t i = 0; i < 4; i++)
				nodes[i]->event_count = 0;
			sim_run(s, CORE_MS); /* s->seed moves on with each packet */
			s->seed++;
		}
		for (size_t i = 0; i < s->cable_count; i++) {
			s->cables[i].lose_every = 0;
			sim_carrier(s, &s->cables[i], true);
		}
		sim_run(s, 20 * CORE_SECOND);
		for (size_t i = 0; i < 4; i++) {
			nodes[i]->event_count = 0;
			for (size_t j = 1; j < 4; j += 2) {
				struct mesh_core_peer *p = sim_peer(nodes[i], nodes[(i + j) % 4]);
				assert_non_null(p);
				assert_int_equal(p->state, MESH_PEER_UP);
				assert_int_equal(mesh_core_links_up(p), 2);
			}
		}
	}
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_finds_at_once),
		T(test_round_trips_leave_out_the_peers_residence),
		T(test_a_clock_that_is_set_spoils_the_burst),
		T(test_loss_is_counted),
		T(test_silence_is_noticed_in_time),
		T(test_one_of_two_cables),
		T(test_a_pulled_cable_comes_back_with_another_index),
		T(test_peers_come_back_after_minutes),
		T(test_an_echo_over_routing_is_a_greeting),
		T(test_a_restart_is_seen_at_once),
		T(test_goodbye),
		T(test_who_was_stopped_blames_nobody),
		T(test_another_key_meets_silence),
		T(test_replays_admit_nobody),
		T(test_changed_packets_are_dropped),
		T(test_tables_are_bounded),
		T(test_flapping_is_damped),
		T(test_hearing_oneself),
		T(test_a_worse_way_is_told),
		T(test_equal_ways_are_no_complaint),
		T(test_the_same_key_twice),
		T(test_probes_are_rare_and_one_at_a_time),
		T(test_probes_never_take_more_than_one_percent),
		T(test_aggregate_belongs_to_the_links_that_were_in_it),
		T(test_real_traffic_counts),
		T(test_idle_and_loaded_are_told_apart),
		T(test_speed_changes_are_told),
		T(test_random_troubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
