/* Documents and tables of the command line, held against golden files in tests/data/cli. TBMESH_UPDATE_GOLDEN=1 writes
 * them anew. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/cli/cli.h"
#include "node/cli/document.h"
#include "proto/messages.h"

static void golden(const char *name, const char *text)
{
	char path[512];
	snprintf(path, sizeof path, "%s/cli/%s", TEST_DATA, name);
	if (getenv("TBMESH_UPDATE_GOLDEN")) {
		assert_int_equal(file_write_atomic(path, text, strlen(text), 0644), 0);
		return;
	}
	char *expected = NULL;
	size_t size;
	if (file_read(path, 1 << 20, &expected, &size) < 0)
		fail_msg("cannot read %s", path);
	assert_string_equal(text, expected);
	free(expected);
}

static void golden_json(const char *name, json_t *document)
{
	char *text = json_dumps(document, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	assert_non_null(text);
	size_t size = strlen(text);
	char *line = realloc(text, size + 2);
	strcpy(line + size, "\n");
	golden(name, line);
	free(line);
	json_decref(document);
}

/* What a show_… function writes. */
#define SHOWN(call)                                                                                                         \
	do {                                                                                                                \
		text = NULL;                                                                                                \
		FILE *out = open_memstream(&text, &size);                                                                   \
		assert_non_null(out);                                                                                       \
		call;                                                                                                       \
		fclose(out);                                                                                                \
	} while (0)

static Tbmesh__Rtt rtt;
static Tbmesh__Bandwidth up, down;

static void fill_numbers(void)
{
	tbmesh__rtt__init(&rtt);
	rtt.min_us = 58;
	rtt.p50_us = 63.5;
	rtt.p99_us = 1250;
	rtt.jitter_us = 4.25;
	rtt.samples = 96;
	rtt.age_ms = 1500;
	tbmesh__bandwidth__init(&up);
	up.bps = 19300000000;
	up.age_ms = 130000;
	up.source = (char *)"probe";
	down = up;
	down.bps = 940000000;
	down.source = (char *)"traffic";
}

static void test_status(void **state)
{
	(void)state;
	char *text, *warnings[] = { (char *)"eth0: no IPv6" };
	size_t size;
	Tbmesh__NodeStatus s = TBMESH__NODE_STATUS__INIT;
	s.node_id = (char *)"979e228bcf471fe0";
	s.name = (char *)"alpha";
	s.version = (char *)"0.1.0";
	s.incarnation = 1700000000000000;
	s.uptime_ms = 61000;
	s.peers_up = 1;
	s.links_up = 2;
	s.gpus = 3;
	s.mesh_up_bps = 30000000000;
	s.mesh_down_bps = 31000000000;
	s.best_peer = (char *)"beta";
	s.warnings = warnings;
	s.n_warnings = 1;
	golden_json("status.json", document_status(&s));
	SHOWN(show_status(&s, out));
	golden("status.txt", text);
	free(text);
}

static void test_peers(void **state)
{
	(void)state;
	char *text;
	size_t size;
	Tbmesh__Peer a = TBMESH__PEER__INIT, b = TBMESH__PEER__INIT, *list[] = { &a, &b };
	Tbmesh__PeerList l = TBMESH__PEER_LIST__INIT;
	a.node_id = (char *)"a027c0c2f995e7dd";
	a.name = (char *)"beta";
	a.state = (char *)"up";
	a.links_up = 2;
	a.rtt = &rtt;
	a.best_link = (char *)"beta:thunderbolt0";
	a.aggregate_up = &up;
	a.aggregate_down = &down;
	a.gpus = 2;
	a.version = (char *)"0.1.0";
	a.note = (char *)"beta is reached by beta:enp3s0 (0.8 ms, 0.94 Gb/s): its best way, beta:thunderbolt0 (60 us, 19.3 "
			 "Gb/s), is down";
	b.node_id = (char *)"0123456789abcdef";
	b.name = (char *)"gr\xc3\xbcn";
	b.state = (char *)"dead";
	b.best_link = (char *)"gr\xc3\xbcn:routed";
	char *route[] = { (char *)"gamma", (char *)"delta" };
	b.route = route;
	b.n_route = ARRAY_SIZE(route);
	l.peers = list;
	l.n_peers = 2;
	golden_json("peers.json", document_peers(&l));
	SHOWN(show_peers(&l, out, false));
	golden("peers.txt", text);
	free(text);
	SHOWN(show_peers(&l, out, true));
	assert_non_null(strstr(text, "\033[31mdead\033[0m"));
	free(text);
	l.n_peers = 0;
	SHOWN(show_peers(&l, out, false));
	assert_non_null(strstr(text, "No peers"));
	free(text);
}

static void test_topology(void **state)
{
	(void)state;
	char *text;
	size_t size;
	static Tbmesh__TopologyNode nodes[5];
	static Tbmesh__TopologyLink links[8];
	static const struct {
		const char *id, *name, *via;
		uint32_t hops, gpus, first, count;
	} n[5] = { { "aaaa", "alpha", "", 0, 1, 0, 3 }, { "bbbb", "beta", "aaaa", 1, 0, 3, 2 },
		{ "cccc", "gamma", "aaaa", 1, 2, 5, 3 }, { "dddd", "delta", "cccc", 2, 0, 8, 0 },
		{ "eeee", "old", "", 0, 0, 8, 0 } };
	static const char *const ends[8] = { "bbbb", "bbbb", "cccc", "aaaa", "cccc", "aaaa", "bbbb", "dddd" };
	Tbmesh__TopologyNode *node_list[5];
	Tbmesh__TopologyLink *link_list[8];
	Tbmesh__Topology t = TBMESH__TOPOLOGY__INIT;
	for (size_t i = 0; i < 8; i++) {
		tbmesh__topology_link__init(&links[i]);
		links[i].neighbour = (char *)ends[i];
		links[i].interface = (char *)"thunderbolt0";
		links[i].state = (char *)"up";
		links[i].p50_us = 60 + (double)i;
		links[i].up_bps = 19000000000;
		links[i].down_bps = i % 2 ? 0 : 9000000000;
		links[i].up_source = (char *)"probe";
		links[i].confirmed = i != 7;
		link_list[i] = &links[i];
	}
	for (size_t i = 0; i < 5; i++) {
		tbmesh__topology_node__init(&nodes[i]);
		nodes[i].node_id = (char *)n[i].id;
		nodes[i].name = (char *)n[i].name;
		nodes[i].via = (char *)n[i].via;
		nodes[i].hops = n[i].hops;
		nodes[i].gpus = n[i].gpus;
		nodes[i].path_us = 60 * n[i].hops;
		nodes[i].reached = i != 4;
		nodes[i].age_ms = 12000;
		nodes[i].links = link_list + n[i].first;
		nodes[i].n_links = n[i].count;
		node_list[i] = &nodes[i];
	}
	t.nodes = node_list;
	t.n_nodes = 5;
	golden_json("topo.json", document_topology(&t));
	SHOWN(show_topology(&t, out));
	golden("topo.txt", text);
	free(text);
	SHOWN(show_topology_dot(&t, out));
	golden("topo.dot", text);
	free(text);
}

static void test_links(void **state)
{
	(void)state;
	char *text;
	size_t size;
	Tbmesh__Link a = TBMESH__LINK__INIT, b = TBMESH__LINK__INIT, *list[] = { &a, &b };
	Tbmesh__LinkList l = TBMESH__LINK_LIST__INIT;
	a.id = (char *)"beta:thunderbolt0";
	a.peer_id = (char *)"a027c0c2f995e7dd";
	a.peer_name = (char *)"beta";
	a.interface = (char *)"thunderbolt0";
	a.ifindex = 7;
	a.local_address = (char *)"fe80::1";
	a.peer_address = (char *)"fe80::2";
	a.domain = (char *)"0000:00:0d.3";
	a.xdomain = (char *)"1-1";
	a.state = (char *)"up";
	a.negotiated_rx_bps = a.negotiated_tx_bps = 40000000000;
	a.rtt = &rtt;
	a.up = &up;
	a.down = &down;
	b.id = (char *)"beta:thunderbolt1";
	b.state = (char *)"down";
	b.interface = (char *)"thunderbolt1";
	l.links = list;
	l.n_links = 2;
	Tbmesh__Rtt loaded = rtt;
	loaded.p50_us = 410;
	a.rtt_loaded = &loaded;
	a.use_up_bps = 18000000000;
	golden_json("links.json", document_links(&l));
	SHOWN(show_links(&l, out, false));
	golden("links.txt", text);
	free(text);
}

static void test_gpus(void **state)
{
	(void)state;
	char *text, *nodes[] = { (char *)"/dev/dri/card1", (char *)"/dev/dri/renderD129" };
	size_t size;
	Tbmesh__Gpu egpu = TBMESH__GPU__INIT, cpu = TBMESH__GPU__INIT, *mine[] = { &egpu }, *theirs[] = { &cpu };
	Tbmesh__HostGpus beta = TBMESH__HOST_GPUS__INIT, *hosts[] = { &beta };
	Tbmesh__GpuList l = TBMESH__GPU_LIST__INIT;
	egpu.id = (char *)"pci-0000:04:00.0";
	egpu.name = (char *)"NVIDIA GeForce RTX 5090";
	egpu.driver = (char *)"NVIDIA";
	egpu.driver_info = (char *)"580.95.05";
	egpu.api_version = 1u << 22 | 3u << 12 | 230;
	egpu.vendor_id = 0x10de;
	egpu.device_id = 0x2b85;
	egpu.type = (char *)"discrete";
	egpu.memory_bytes = 32ull << 30;
	egpu.pci_address = (char *)"0000:04:00.0";
	egpu.is_egpu = true;
	egpu.egpu_reason = (char *)"removable";
	egpu.enclosure = (char *)"GIGABYTE AORUS RTX5090 AI BOX";
	egpu.enclosure_uuid = (char *)"c4148780-00a9-7ce8-ffff-ffffffffffff";
	egpu.tb_version = (char *)"TB5";
	egpu.tb_link = (char *)"2 x 20.0 Gb/s";
	egpu.state = (char *)"active";
	egpu.load = 1;
	egpu.drm_nodes = nodes;
	egpu.n_drm_nodes = 2;
	Tbmesh__Display dp = TBMESH__DISPLAY__INIT, hdmi = TBMESH__DISPLAY__INIT, *displays[] = { &dp, &hdmi };
	Tbmesh__GpuHealth health = TBMESH__GPU_HEALTH__INIT;
	char *reasons[] = { (char *)"84 C, limit 90" };
	dp.connector = (char *)"DP-1";
	dp.connected = true;
	hdmi.connector = (char *)"HDMI-A-1";
	health.score = 71;
	health.trend = -4;
	health.reasons = reasons;
	health.n_reasons = 1;
	Tbmesh__HealthChange well = TBMESH__HEALTH_CHANGE__INIT, hot = TBMESH__HEALTH_CHANGE__INIT,
			     *changes[] = { &well, &hot };
	uint32_t history[] = { 100, 100, 255, 100, 57, 12, 0, 71 };
	well.realtime_us = 1700000000000000ull;
	well.score = 100;
	well.level = (char *)"good";
	hot.realtime_us = 1700000360000000ull;
	hot.score = 71;
	hot.level = (char *)"worn";
	hot.reason = reasons[0];
	health.changes = changes;
	health.n_changes = 2;
	health.history = history;
	health.n_history = 8;
	health.history_step_s = 120;
	health.latency_us = 1450;
	health.latency_p99_us = 9900;
	health.usual_latency_us = 1210;
	health.waiting = 3;
	egpu.memory_source = (char *)"budget";
	egpu.memory_age_ms = 1200;
	egpu.power_delivery_mw = 100000;
	egpu.vendor = (char *)"NVIDIA";
	egpu.memory_free_bytes = 30ull << 30;
	egpu.kernel_driver = (char *)"nvidia";
	egpu.enclosure_vendor = (char *)"GIGABYTE";
	egpu.enclosure_name = (char *)"AORUS RTX5090 AI BOX";
	egpu.enclosure_watts = 850;
	egpu.tb_port = (char *)"domain0 port 1";
	egpu.tb_link_version = (char *)"TB4";
	egpu.expected_bytes_per_s = 2800000000;
	egpu.power_state = (char *)"active";
	egpu.displays = displays;
	egpu.n_displays = 2;
	egpu.health = &health;
	cpu.id = (char *)"cpu-llvmpipe";
	cpu.name = (char *)"llvmpipe (LLVM 15.0.6, 256 bits)";
	cpu.driver = (char *)"llvmpipe";
	cpu.type = (char *)"cpu";
	cpu.state = (char *)"active";
	beta.host = (char *)"beta";
	beta.node_id = (char *)"a027c0c2f995e7dd";
	beta.gpus = theirs;
	beta.n_gpus = 1;
	l.gpus = mine;
	l.n_gpus = 1;
	l.hosts = hosts;
	l.n_hosts = 1;
	golden_json("gpus.json", document_gpus(&l, "alpha"));
	SHOWN(show_gpus(&l, "alpha", out, false));
	golden("gpus.txt", text);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
	free(text);
	golden_json("gpu.json", document_gpu(&egpu, "alpha", true));
	SHOWN(show_gpu(&egpu, "alpha", out));
	golden("gpu.txt", text);
	free(text);
	SHOWN(show_gpu(&cpu, "beta", out));
	golden("gpu_cpu.txt", text);
	free(text);
	l.n_gpus = l.n_hosts = 0;
	SHOWN(show_gpus(&l, "alpha", out, false));
	assert_non_null(strstr(text, "No GPUs"));
	free(text);
}

static void fill_thunderbolt(
	Tbmesh__ThunderboltNode *n, const char *kind, const char *name, const char *above, const char *device)
{
	tbmesh__thunderbolt_node__init(n);
	n->kind = (char *)kind;
	n->name = (char *)name;
	n->above = (char *)above;
	n->device = (char *)device;
}

static void test_thunderbolt(void **state)
{
	(void)state;
	char *text, *interfaces[] = { (char *)"thunderbolt0" }, *gpus[] = { (char *)"0000:04:00.0" };
	size_t size;
	Tbmesh__ThunderboltNode n[6], *list[6];
	Tbmesh__ThunderboltList l = TBMESH__THUNDERBOLT_LIST__INIT;
	fill_thunderbolt(&n[0], "domain", "domain0", "", "");
	n[0].controller = (char *)"0000:00:0d.2";
	n[0].security = (char *)"user";
	n[0].iommu_protection = (char *)"yes";
	fill_thunderbolt(&n[1], "host", "0-0", "domain0", "Gen14");
	n[1].vendor = (char *)"Intel";
	n[1].authorized = (char *)"yes";
	n[1].generation = 4;
	n[1].version = (char *)"TB4";
	fill_thunderbolt(&n[2], "router", "0-1", "0-0", "AORUS RTX5090 AI BOX");
	n[2].vendor = (char *)"GIGABYTE";
	n[2].authorized = (char *)"yes";
	n[2].version = (char *)"TB5";
	n[2].link = (char *)"2 x 20.0 Gb/s";
	n[2].link_version = (char *)"TB4";
	n[2].port = (char *)"port 1";
	n[2].gpus = gpus;
	n[2].n_gpus = 1;
	fill_thunderbolt(&n[3], "router", "0-301", "0-1", "");
	n[3].authorized = (char *)"no";
	fill_thunderbolt(&n[4], "xdomain", "0-3", "0-0", "red");
	n[4].port = (char *)"port 3";
	n[4].interfaces = interfaces;
	n[4].n_interfaces = 1;
	fill_thunderbolt(&n[5], "retimer", "0-0:1.1", "0-0", "");
	for (size_t i = 0; i < 6; i++)
		list[i] = &n[i];
	l.nodes = list;
	l.n_nodes = 6;
	golden_json("thunderbolt.json", document_thunderbolt(&l));
	SHOWN(show_thunderbolt(&l, out));
	golden("thunderbolt.txt", text);
	free(text);
	n[0].above = (char *)"0-301"; /* runs in a circle: shown all the same */
	SHOWN(show_thunderbolt(&l, out));
	assert_non_null(strstr(text, "retimer"));
	free(text);
	l.n_nodes = 0;
	SHOWN(show_thunderbolt(&l, out));
	assert_non_null(strstr(text, "No Thunderbolt"));
	free(text);
}

static void test_best(void **state)
{
	(void)state;
	char *text;
	size_t size;
	Tbmesh__ScoreTerm term = TBMESH__SCORE_TERM__INIT, *terms[] = { &term };
	Tbmesh__BestCandidate a = TBMESH__BEST_CANDIDATE__INIT, b = TBMESH__BEST_CANDIDATE__INIT, *list[] = { &a, &b };
	Tbmesh__BestReply r = TBMESH__BEST_REPLY__INIT;
	term.name = (char *)"rtt_p50";
	term.value = 63.5;
	term.unit = (char *)"us";
	term.weight = 70;
	term.points = 61.25;
	a.peer = (char *)"beta";
	a.score = 87.25;
	a.viable = true;
	a.reason = (char *)"highest score";
	a.terms = terms;
	a.n_terms = 1;
	b.peer = (char *)"gamma";
	b.reason = (char *)"one frame takes 29.5 ms, more than 16.7 ms";
	r.criterion = (char *)"frames";
	r.candidates = list;
	r.n_candidates = 2;
	golden_json("best.json", document_best(&r));
	SHOWN(show_best(&r, true, out, false));
	golden("best.txt", text);
	free(text);
}

static void test_doctor(void **state)
{
	(void)state;
	char *text;
	size_t size;
	Tbmesh__DoctorCheck good = TBMESH__DOCTOR_CHECK__INIT, bad = TBMESH__DOCTOR_CHECK__INIT, *list[] = { &good, &bad };
	Tbmesh__DoctorReply d = TBMESH__DOCTOR_REPLY__INIT;
	good.id = (char *)"node.running";
	good.result = (char *)"ok";
	good.what = (char *)"the node of this host runs";
	bad.id = (char *)"vulkan.driver";
	bad.result = (char *)"fail";
	bad.subject = (char *)"broken_icd.json";
	bad.what = (char *)"this Vulkan driver crashes when it is asked for its GPUs";
	bad.fix = (char *)"apt install --reinstall mesa-vulkan-drivers";
	d.checks = list;
	d.n_checks = 2;
	golden_json("doctor.json", document_doctor(&d));
	SHOWN(show_doctor(&d, out, false));
	golden("doctor.txt", text);
	free(text);
}

static void test_events(void **state)
{
	(void)state;
	char *text;
	size_t size;
	Tbmesh__Field a = TBMESH__FIELD__INIT, b = TBMESH__FIELD__INIT, *fields[] = { &a, &b };
	Tbmesh__Event e = TBMESH__EVENT__INIT, *list[] = { &e };
	Tbmesh__EventList l = TBMESH__EVENT_LIST__INIT;
	a.name = (char *)"graceful";
	a.value = (char *)"false";
	b.name = (char *)"tb_link";
	b.value = (char *)"2 x 20.0 Gb/s";
	e.number = 5;
	e.type = (char *)"Disconnected";
	e.realtime_us = 1795355512473000;
	e.monotonic_ns = 1234567890123;
	e.node = (char *)"alpha";
	e.node_id = (char *)"0123456789abcdef";
	e.incarnation = 1795355512000000;
	e.subject = (char *)"alpha/pci-0000:04:00.0";
	e.fields = fields;
	e.n_fields = 2;
	l.events = list;
	l.n_events = 1;
	l.last = 5;
	l.lost = 2;
	l.first = 4;
	l.incarnation = e.incarnation;
	golden_json("event.json", document_event(&e));
	golden_json("events.json", document_events(&l));
	/* Of several hosts, in two answers: events one behind the other, what is lost added up. */
	Tbmesh__EventsAt own = TBMESH__EVENTS_AT__INIT, other = TBMESH__EVENTS_AT__INIT, *at[] = { &own, &other };
	own.node_id = e.node_id;
	own.name = e.node;
	own.number = 5;
	own.lost = 2;
	own.restarted = true;
	other.node_id = (char *)"fedcba9876543210";
	other.name = (char *)"beta";
	other.unreached = true;
	other.note = (char *)"beta did not answer";
	l.last = l.lost = l.first = l.incarnation = 0;
	l.at = at;
	l.n_at = 2;
	json_t *document = document_events(&l);
	golden_json("events_gap.json", document_events_gap(&other));
	own.lost = 1;
	own.restarted = false;
	document_events_add(document, &l);
	golden_json("events_hosts.json", document);
	setenv("TZ", "UTC", 1);
	SHOWN(show_event(&e, false, out));
	golden("event.txt", text);
	free(text);
	SHOWN(show_event(&e, true, out));
	golden("event_host.txt", text);
	free(text);
}

static void test_workloads(void **state)
{
	(void)state;
	char *text, *takers[] = { (char *)"beta/pci-0000:03:00.0" },
		    *refusals[] = { (char *)"beta/cpu-x: needs shaderInt64" };
	size_t size;
	Tbmesh__Workload w = TBMESH__WORKLOAD__INIT, *list[] = { &w };
	Tbmesh__WorkloadList l = TBMESH__WORKLOAD_LIST__INIT;
	w.id = (char *)"4f3e2d1c";
	w.program = (char *)"stencil";
	w.pid = 4711;
	w.session_pid = 4712;
	w.executor_pid = 4713;
	w.state = (char *)"running";
	w.mode = (char *)"relaxed";
	w.diverged = 1;
	w.gpu = (char *)"alpha/pci-0000:04:00.0";
	w.gpu_name = (char *)"NVIDIA GeForce RTX 5090";
	w.epoch = 1;
	w.completed_seq = 120;
	w.committed_seq = 118;
	w.state_bytes = 256ull << 20;
	w.could_take = takers;
	w.n_could_take = 1;
	w.refusals = refusals;
	w.n_refusals = 1;
	l.workloads = list;
	l.n_workloads = 1;
	golden_json("workloads.json", document_workloads(&l));
	SHOWN(show_workloads(&l, out, false));
	golden("workloads.txt", text);
	free(text);
}

static void test_formats(void **state)
{
	(void)state;
	char text[FORMAT_SIZE];
	uint64_t number = 7;
	assert_string_equal(format_bps(0, text), "-");
	assert_string_equal(format_bps(1000000000, text), "1.0 Gb/s");
	assert_string_equal(format_bps(50000000, text), "50.0 Mb/s");
	assert_string_equal(format_bytes(1023, text), "1023 B");
	assert_string_equal(format_bytes(UINT64_MAX, text), "16.0 EiB");
	assert_string_equal(format_us(999.4, text), "999 us");
	assert_string_equal(format_age(119000, text), "119 s");
	assert_string_equal(format_age(7200000, text), "2 h");
	assert_false(cli_number("", 10, &number));
	assert_false(cli_number("-1", 10, &number));
	assert_false(cli_number("11", 10, &number));
	assert_false(cli_number("1x", 10, &number));
	assert_false(cli_number("99999999999999999999", UINT64_MAX, &number));
	assert_int_equal(number, 7);
	assert_true(cli_number("18446744073709551615", UINT64_MAX, &number));
}

int main(void)
{
	fill_numbers();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_gpus),
		cmocka_unit_test(test_thunderbolt),
		cmocka_unit_test(test_best),
		cmocka_unit_test(test_doctor),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_workloads),
		cmocka_unit_test(test_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
