/* Parts of the node that need no mesh: events, configuration, paths, processes, inventory. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "node/arena.h"
#include "node/config.h"
#include "node/ejected.h"
#include "node/event.h"
#include "node/inventory.h"
#include "node/paths.h"
#include "node/process.h"
#include "proto/messages.h"

/* ---- events ---- */

static unsigned heard;

static void count_events(void *ctx, const struct node_event *e)
{
	(void)ctx;
	(void)e;
	heard++;
}

static void add_event(struct event_log *l, const char *subject)
{
	struct node_event e;
	node_event_init(&e, "Connected", subject);
	node_event_field(&e, "enclosure", "%s", "box");
	event_log_add(l, &e);
}

static void test_event_filter(void **state)
{
	(void)state;
	struct node_event e;
	char *types[] = { (char *)"PeerUp", (char *)"ejected" };
	node_event_init(&e, "Ejected", "alpha/pci-0000:04:00.0");
	node_event_field(&e, "to", "%s", "beta/cpu-llvmpipe");
	assert_true(event_matches(&e, NULL, 0, ""));
	assert_true(event_matches(&e, types, 2, ""));
	assert_false(event_matches(&e, types, 1, ""));
	assert_true(event_matches(&e, NULL, 0, "pci-0000:04:00.0"));
	assert_true(event_matches(&e, types, 2, "alpha/pci-0000:04:00.0"));
	assert_true(event_matches(&e, NULL, 0, "beta/cpu-llvmpipe"));
	assert_false(event_matches(&e, NULL, 0, "0000:04:00.0"));
	assert_false(event_matches(&e, types, 1, "pci-0000:04:00.0"));
}

static void test_events(void **state)
{
	(void)state;
	struct event_log *l = event_log_create(NULL, count_events, NULL);
	assert_non_null(l);
	assert_int_equal(event_log_last(l), 0);
	assert_null(event_log_next(l, 0));
	heard = 0;
	for (unsigned i = 0; i < EVENT_RING + 10; i++) {
		char subject[32];
		snprintf(subject, sizeof subject, "gpu %u", i + 1);
		add_event(l, subject);
	}
	assert_int_equal(heard, EVENT_RING + 10);
	assert_int_equal(event_log_last(l), EVENT_RING + 10);
	assert_int_equal(event_log_lost(l, 0), 10);
	assert_int_equal(event_log_lost(l, 10), 0);
	const struct node_event *e = event_log_next(l, 3);
	assert_int_equal(e->number, 11);
	assert_string_equal(e->subject, "gpu 11");
	assert_true(e->realtime_us > 0 && e->monotonic_ns > 0);
	e = event_log_next(l, EVENT_RING + 9);
	assert_int_equal(e->number, EVENT_RING + 10);
	assert_null(event_log_next(l, EVENT_RING + 10));
	assert_null(event_log_next(l, UINT64_MAX - 1));
	event_log_destroy(l);
}

static void test_event_numbers_go_on(void **state)
{
	const char *directory = *state;
	char path[256], *reserved;
	snprintf(path, sizeof path, "%s/number", directory);
	struct event_log *l = event_log_create(path, NULL, NULL);
	add_event(l, "one");
	uint64_t last = event_log_last(l);
	assert_int_equal(file_read(path, 64, &reserved, NULL), 0);
	event_log_destroy(l);
	/* It ended orderly: none is skipped, and none lost for who had all. */
	l = event_log_create(path, NULL, NULL);
	assert_int_equal(event_log_first(l), last + 1);
	add_event(l, "two");
	assert_int_equal(event_log_last(l), last + 1);
	assert_int_equal(event_log_lost(l, last), 0);
	assert_int_equal(event_log_lost(l, 0), last);
	event_log_destroy(l);
	/* It was killed: what was reserved is skipped, and counts as lost. */
	assert_int_equal(file_write_atomic(path, reserved, strlen(reserved), 0600), 0);
	l = event_log_create(path, NULL, NULL);
	add_event(l, "three");
	assert_int_equal(event_log_last(l), event_log_first(l));
	assert_int_equal(event_log_lost(l, last), strtoull(reserved, NULL, 10) - last - 1);
	free(reserved);
	event_log_destroy(l);
	assert_int_equal(file_write_atomic(path, "garbage", 7, 0600), 0);
	l = event_log_create(path, NULL, NULL);
	add_event(l, "four");
	assert_int_equal(event_log_last(l), 1);
	event_log_destroy(l);
}

static void test_event_is_cut(void **state)
{
	(void)state;
	struct node_event e;
	char text[1000];
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	node_event_init(&e, text, text);
	for (unsigned i = 0; i < EVENT_FIELDS + 5; i++)
		node_event_field(&e, text, "%s", text);
	assert_int_equal(e.field_count, EVENT_FIELDS);
	assert_int_equal(strlen(e.fields[0].value), EVENT_VALUE_SIZE - 1);
}

/* ---- configuration ---- */

static void test_config(void **state)
{
	(void)state;
	struct node_config c;
	char error[256] = "";
	config_defaults(&c);
	assert_true(config_name_valid(c.name));
	assert_true(c.prefer_cpu_fallback && c.migration_timeout_s == 30);
	assert_int_equal(
		config_parse(&c, "f",
			"# mine\n\nname = alpha # comment\r\n  port=4000\ninterface = eth1\ninterface = eth2\n"
			"peer = [2001:db8::1]:4000\nmanage_links = no\nprefer_cpu_fallback = off\nmigration_timeout = 5",
			error, sizeof error),
		0);
	assert_string_equal(c.name, "alpha");
	assert_int_equal(c.port, 4000);
	assert_int_equal(c.interface_count, 2);
	assert_string_equal(c.interfaces[1], "eth2");
	assert_string_equal(c.peers[0], "[2001:db8::1]:4000");
	assert_false(c.manage_links || c.prefer_cpu_fallback);
	assert_int_equal(c.migration_timeout_s, 5);
}

static void test_config_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "name = a\nbogus = 1\n", "f:2: unknown key \"bogus\"" },
		{ "port\n", "f:1: expected \"key = value\", found \"port\"" },
		{ "\n\nport = 70000\n", "f:3: port must be a number from 1 to 65535, not \"70000\"" },
		{ "name = a/b\n", "f:1: name must be at most 63 letters, digits, '-', '_' or '.', not \"a/b\"" },
		{ "name =\n", "f:1: name must be at most 63 letters, digits, '-', '_' or '.', not \"\"" },
		{ "manage_links = maybe\n", "f:1: manage_links must be true or false, not \"maybe\"" },
		{ "devices = macos\n",
			"f:1: devices must be linux, null, or scripted: and the absolute path of a recorded folder, not "
			"\"macos\"" },
		{ "interface = averyverylonginterfacename\n", NULL },
		{ "migration_timeout = 0\n", "f:1: migration_timeout must be seconds, from 1 to 3600, not \"0\"" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct node_config c;
		char error[256] = "";
		config_defaults(&c);
		assert_int_equal(config_parse(&c, "f", cases[i].text, error, sizeof error), -EINVAL);
		if (cases[i].error)
			assert_string_equal(error, cases[i].error);
	}
}

static void write_text(const char *directory, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

static void test_config_files(void **state)
{
	const char *directory = *state;
	struct node_config c;
	char main_file[256], drop_ins[256], error[512] = "";
	snprintf(main_file, sizeof main_file, "%s/tbmesh.conf", directory);
	snprintf(drop_ins, sizeof drop_ins, "%s/conf.d", directory);
	config_defaults(&c);
	assert_int_equal(config_load(&c, main_file, false, drop_ins, error, sizeof error), 0); /* neither is there */
	assert_int_equal(config_load(&c, main_file, true, drop_ins, error, sizeof error), -ENOENT);
	assert_non_null(strstr(error, main_file));
	assert_int_equal(mkdir(drop_ins, 0755), 0);
	write_text(directory, "tbmesh.conf", "name = one\nport = 1\n");
	write_text(drop_ins, "20-b.conf", "name = three\n");
	write_text(drop_ins, "10-a.conf", "name = two\nport = 2\n");
	write_text(drop_ins, "notes.txt", "not for us\n");
	assert_int_equal(config_load(&c, main_file, false, drop_ins, error, sizeof error), 0);
	assert_string_equal(c.name, "three");
	assert_int_equal(c.port, 2);
}

/* The example names every key, with a value that is accepted. */
static void test_config_example(void **state)
{
	(void)state;
	struct node_config c;
	char error[512] = "", *text = NULL;
	size_t size;
	assert_int_equal(file_read(CONFIG_EXAMPLE, 1 << 16, &text, &size), 0);
	config_defaults(&c);
	assert_int_equal(config_parse(&c, "example", text, error, sizeof error), 0); /* as it is: all comments */
	unsigned keys = 0;
	for (char *p = text; (p = strstr(p, "\n#")) != NULL; p++)
		if (p[2] != ' ') {
			p[1] = ' ';
			keys++;
		}
	if (config_parse(&c, "example", text, error, sizeof error) < 0)
		fail_msg("%s", error);
	assert_int_equal(keys, 15);
	free(text);
}

/* ---- paths ---- */

static void test_paths(void **state)
{
	(void)state;
	struct node_paths p;
	char longer[200];
	assert_int_equal(node_paths_init(&p, "/tmp/mesh"), 0);
	assert_string_equal(p.control_endpoint, "ipc:///tmp/mesh/run/control");
	assert_string_equal(p.mesh_key, "/tmp/mesh/etc/mesh.key");
	assert_int_equal(node_paths_init(&p, "relative"), 0);
	assert_int_equal(p.etc[0], '/');
	memset(longer, 'x', sizeof longer - 1);
	longer[0] = '/';
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(node_paths_init(&p, longer), -ENAMETOOLONG);
	unsetenv(NODE_ENV_ROOT);
	assert_int_equal(node_paths_init(&p, NULL), 0);
	assert_string_equal(p.run, "/run/tbmesh");
}

/* ---- processes ---- */

static void test_process(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	const char *argv[] = { "sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&3; exec sleep 60", NULL };
	struct process_options o = { .path = "/bin/sh",
		.argv = argv,
		.fds = &fds[1],
		.fd_count = 1,
		.output = -1,
		.errors = -1,
		.new_session = true };
	struct process child, again;
	assert_int_equal(process_spawn(&o, &child), 0);
	close(fds[1]);
	char text[64] = "";
	size_t size = 0;
	while (size < 8) {
		ssize_t n = read(fds[0], text + size, sizeof text - 1 - size);
		assert_true(n > 0);
		size += (size_t)n;
	}
	assert_string_equal(text, "0 1 2 3 4 "); /* 4 is the directory that ls reads */
	close(fds[0]);
	assert_true(process_alive(child.pid));
	uint64_t start = process_start_time(child.pid);
	assert_true(start > 0);
	assert_int_equal(process_adopt(child.pid, start + 1, &again), -ESRCH); /* another process with that pid */
	assert_int_equal(process_adopt(child.pid, start, &again), 0);
	process_kill(&again);
	int status = process_reap(&child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	process_release(&again);
	assert_int_equal(process_adopt(child.pid, start, &again), -ESRCH);
	o.path = "/nonexistent/program";
	assert_int_equal(process_spawn(&o, &child), -EBADF); /* that descriptor is closed */
	o.fd_count = 0;
	assert_int_equal(process_spawn(&o, &child), -ENOENT);
}

/* ---- inventory ---- */

static unsigned changes;
static char wanted[64];

static void on_changed(void *ctx)
{
	(void)ctx;
	changes++;
}

static void on_wanted(void *ctx, const char *peer, const char *gpu)
{
	(void)ctx;
	snprintf(wanted, sizeof wanted, "%s:%s", peer, gpu);
}

static const struct inventory_callbacks inventory_callbacks = { .changed = on_changed, .wanted = on_wanted };

static void peer_gpu(Tbmesh__Gpu *m, const char *id, const char *state_name, uint64_t hash)
{
	tbmesh__gpu__init(m);
	m->id = (char *)id;
	m->name = (char *)"Card";
	m->type = (char *)"discrete";
	m->state = (char *)state_name;
	m->description_hash = hash;
}

static void test_inventory_of_peers(void **state)
{
	(void)state;
	struct inventory *i = inventory_create("alpha", &inventory_callbacks, NULL);
	Tbmesh__NodeState s = TBMESH__NODE_STATE__INIT;
	Tbmesh__Gpu gpus[3], *list[] = { &gpus[0], &gpus[1], &gpus[2] };
	s.gpus = list;
	s.n_gpus = 3;
	peer_gpu(&gpus[0], "pci-0000:03:00.0", "active", 77);
	peer_gpu(&gpus[1], "with/slash", "active", 1); /* would make an ambiguous key */
	peer_gpu(&gpus[2], "cpu-x", "strange", 0);
	gpus[2].type = (char *)"cpu";
	inventory_peer_state(i, "beef", "beta", &s);
	assert_int_equal(changes, 1);
	assert_string_equal(wanted, "beef:pci-0000:03:00.0");
	assert_non_null(inventory_find(i, "beta/pci-0000:03:00.0"));
	assert_null(inventory_find(i, "beta/with/slash"));
	assert_int_equal(inventory_find(i, "beta/cpu-x")->state, GPU_GONE); /* a state that we don't know is no active one */
	assert_int_equal(inventory_active(i, "beef", true), 1);
	assert_true(inventory_incomplete(i));
	inventory_peer_state(i, "beef", "beta", &s);
	assert_int_equal(changes, 1); /* nothing new */
	assert_int_equal(inventory_peer_description(i, "beef", "pci-0000:03:00.0", "lies", 4), -EBADMSG);
	assert_int_equal(inventory_peer_description(i, "beef", "nothing", "lies", 4), -ENOENT);
	s.n_gpus = 1;
	inventory_peer_state(i, "beef", "beta", &s);
	assert_null(inventory_find(i, "beta/cpu-x"));
	inventory_peer_gone(i, "beef");
	assert_null(inventory_at(i, 0));
	inventory_destroy(i);
}

static void test_inventory_refuses_garbage(void **state)
{
	(void)state;
	struct inventory *i = inventory_create("alpha", &inventory_callbacks, NULL);
	unsigned char data[64];
	memset(data, 0xff, sizeof data);
	assert_int_equal(inventory_probed(i, data, sizeof data, NULL), 1); /* a size beyond the data */
	assert_int_equal(inventory_probed(i, data, 3, NULL), 1);
	uint32_t size = 8;
	memcpy(data, &size, sizeof size);
	assert_int_equal(inventory_probed(i, data, 20, NULL), 1);
	assert_int_equal(inventory_probed(i, NULL, 0, NULL), 0);
	assert_null(inventory_at(i, 0));
	inventory_destroy(i);
}

static void test_arena(void **state)
{
	(void)state;
	struct arena a = { 0 };
	char *one = arena_text(&a, "one"), *two = arena_printf(&a, "%d", 2);
	unsigned char *zero = arena_alloc(&a, 100);
	assert_string_equal(one, "one");
	assert_string_equal(two, "2");
	assert_int_equal(zero[99], 0);
	assert_false(a.failed);
	arena_finish(&a);
	assert_null(a.pieces);
}

static void test_ejected(void **state)
{
	const char *directory = *state, card[] = "0000:04:00.0", cpu[] = "cpu-llvmpipe";
	char path[256];
	snprintf(path, sizeof path, "%s/ejected", directory);
	struct ejected *e = ejected_create(path, "one");
	assert_false(ejected_has(e, card));
	assert_int_equal(ejected_add(e, card, 77), 0);
	assert_int_equal(ejected_add(e, "0000:05:00.0", 78), 0);
	assert_int_equal(ejected_add(e, cpu, 0), 0);
	assert_int_equal(ejected_add(e, "a b", 0), -ENOSPC);
	assert_int_equal(ejected_remove(e, "0000:06:00.0"), 0);
	ejected_destroy(e);

	e = ejected_create(path, "one");
	assert_true(ejected_has(e, card) && ejected_has(e, cpu));
	assert_true(ejected_arrived(e, card, 77)); /* the same one, seen first */
	assert_true(ejected_has(e, card));
	assert_false(ejected_arrived(e, "0000:05:00.0", 79)); /* pulled and plugged while no node looked */
	assert_false(ejected_arrived(e, "0000:06:00.0", 80));
	ejected_destroy(e);

	e = ejected_create(path, "one");
	assert_false(ejected_has(e, "0000:05:00.0"));
	assert_true(ejected_arrived(e, card, 77));
	assert_false(ejected_arrived(e, card, 77)); /* whatever its number: it has come anew */
	assert_int_equal(ejected_add(e, card, 77), 0);
	assert_false(ejected_arrived(e, card, 77)); /* ejected, pulled, plugged in */
	assert_int_equal(ejected_add(e, card, 77), 0);
	ejected_destroy(e);

	e = ejected_create(path, "two"); /* the host was started anew, and so was the card */
	assert_false(ejected_has(e, card));
	assert_true(ejected_has(e, cpu));
	assert_int_equal(ejected_remove(e, cpu), 0);
	ejected_destroy(e);

	const char garbage[] =
		"boot two\n\n\xff\xfe 1\ncpu-llvmpipe\ncpu-llvmpipe x\n0000:04:00.0 5 6\n0000:07:00.0 9\nhalf";
	assert_int_equal(file_write_atomic(path, garbage, sizeof garbage - 1, 0600), 0);
	e = ejected_create(path, "two");
	assert_false(ejected_has(e, cpu));
	assert_false(ejected_has(e, card));
	assert_true(ejected_arrived(e, "0000:07:00.0", 9));
	ejected_destroy(e);
}

static int make_directory(void **state)
{
	char template[] = "/tmp/tbmesh-test-XXXXXX";
	*state = strdup(mkdtemp(template));
	return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[64];
	snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
	int r = system(command);
	free(*state);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_filter),
		cmocka_unit_test(test_events),
		cmocka_unit_test_setup_teardown(test_event_numbers_go_on, make_directory, remove_directory),
		cmocka_unit_test(test_event_is_cut),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_errors),
		cmocka_unit_test(test_config_example),
		cmocka_unit_test_setup_teardown(test_config_files, make_directory, remove_directory),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_inventory_of_peers),
		cmocka_unit_test(test_inventory_refuses_garbage),
		cmocka_unit_test(test_arena),
		cmocka_unit_test_setup_teardown(test_ejected, make_directory, remove_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
