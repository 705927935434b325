/* The Linux device backend under umockdev: recorded trees, uevents in the recorded order, seen through libudev itself.
 * Run under umockdev-wrapper. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <umockdev.h>

#include "base/util.h"
#include "node/device/device.h"

#define LIMIT_MS 5000
#define SETTLE_MS 150 /* longer than a uevent takes */

struct scene {
	UMockdevTestbed *bed;
	struct loop *loop;
	struct loop_timer *limit;
	struct device_watch watch;
	char story[512];
	const char *until; /* stop when the story ends like that */
	uint64_t sent_ns, heard_ns;
};

static void tell(struct scene *s, const char *sign, const char *what, const char *how)
{
	size_t length = strlen(s->story);
	snprintf(s->story + length, sizeof s->story - length, "%s%s%s ", sign, what, how);
	length = strlen(s->story);
	if (s->until && length >= strlen(s->until) && strcmp(s->story + length - strlen(s->until), s->until) == 0) {
		s->heard_ns = time_monotonic_ns();
		loop_stop(s->loop);
	}
}

static void gpu_connected(void *ctx, const struct device_gpu *g)
{
	tell(ctx, "+", g->pci_address, "");
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	struct scene *s = ctx;
	char how[32];
	assert_true(at_ns >= s->sent_ns && at_ns <= time_monotonic_ns());
	snprintf(how, sizeof how, "(%s)", sign);
	tell(s, "-", g->pci_address, how);
}

static void gpu_changed(void *ctx, const struct device_gpu *g)
{
	(void)ctx;
	(void)g;
}

static void link_speed_changed(void *ctx, const struct device_gpu *g, const char *before)
{
	(void)before;
	tell(ctx, "speed ", g->tb_link, "");
}

static void power_changed(void *ctx, const struct device_gpu *g, enum device_power before)
{
	(void)ctx;
	(void)g;
	(void)before;
}

static void gpu_wedged(void *ctx, const struct device_gpu *g, const char *how)
{
	tell(ctx, "wedged ", g->pci_address, how);
}

static void netdev_added(void *ctx, const struct device_netdev *n)
{
	tell(ctx, "+", n->interface, "");
}

static void netdev_removed(void *ctx, const struct device_netdev *n)
{
	tell(ctx, "-", n->interface, "");
}

static const struct device_observer observer = {
	.gpu_connected = gpu_connected,
	.gpu_disconnected = gpu_disconnected,
	.gpu_changed = gpu_changed,
	.power_changed = power_changed,
	.link_speed_changed = link_speed_changed,
	.gpu_wedged = gpu_wedged,
	.netdev_added = netdev_added,
	.netdev_removed = netdev_removed,
};

static void late(void *ctx)
{
	loop_stop(((struct scene *)ctx)->loop);
}

static void run(struct scene *s, unsigned ms, const char *until)
{
	s->until = until;
	loop_timer_start(s->limit, ms, 0);
	assert_int_equal(loop_run(s->loop), 0);
	loop_timer_stop(s->limit);
	s->until = NULL;
}

/* Waits for that story and no other. */
static void expect(struct scene *s, const char *story)
{
	if (strcmp(s->story, story) != 0)
		run(s, LIMIT_MS, story);
	run(s, SETTLE_MS, NULL);
	assert_string_equal(s->story, story);
	s->story[0] = '\0';
}

/* The devices of a tree one by one, each with its add uevent. */
static void add_tree(struct scene *s, const char *name)
{
	char path[512];
	char *text = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
	assert_int_equal(file_read(path, 1 << 20, &text, &size), 0);
	for (char *block = text, *next; block; block = next) {
		next = strstr(block, "\n\n");
		if (next) {
			*next = '\0';
			next += 2;
		}
		char device[32768];
		char *start = block[0] == 'P' ? block : strstr(block, "\nP: "); /* behind the comment at the head */
		if (!start)
			continue;
		snprintf(device, sizeof device, "%s\n\n", start + (start[0] == '\n'));
		GError *error = NULL;
		if (!umockdev_testbed_add_from_string(s->bed, device, &error))
			fail_msg("%s: %s", name, error->message);
		if (s->loop)
			run(s, 2, NULL); /* a reader's queue holds few uevents */
	}
	free(text);
}

static void remove_device(struct scene *s, const char *path)
{
	umockdev_testbed_uevent(s->bed, path, "remove");
	umockdev_testbed_remove_device(s->bed, path);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof *s);
	s->bed = umockdev_testbed_new();
	add_tree(s, "lab/nuc15.tree");
	s->loop = loop_create();
	s->limit = loop_timer_create(s->loop, late, s);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	device_watch_finish(&s->watch);
	loop_timer_destroy(s->limit);
	loop_destroy(s->loop);
	g_object_unref(s->bed);
	free(s);
	return 0;
}

static void start_watch(struct scene *s)
{
	assert_int_equal(device_watch_init(&s->watch, "linux", s->loop, &observer, s), 0);
}

#define ROUTER "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1"
#define RETIMER "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/usb4_port1/0-0:1.1"
#define SWITCH "/sys/devices/pci0000:00/0000:00:07.0/0000:02:00.0"
#define GPU SWITCH "/0000:03:00.0/0000:04:00.0"

static void test_there_at_start(void **state)
{
	struct scene *s = *state;
	add_tree(s, "lab/aorus5090.tree");
	assert_true(umockdev_testbed_add_from_string(s->bed,
		"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/usb4_port1\nE: SUBSYSTEM=thunderbolt\nE: "
		"DEVTYPE=usb4_port\n"
		"L: connector=../../../../../platform/USBC000:00/typec/port0\n\n",
		NULL));
	assert_true(umockdev_testbed_add_from_string(s->bed,
		"P: /devices/platform/USBC000:00/typec/port0/port0-partner/pd1\nE: SUBSYSTEM=usb_power_delivery\n"
		"A: source-capabilities/1:fixed_supply/voltage=20000mV\\n\n"
		"A: source-capabilities/1:fixed_supply/maximum_current=5000mA\\n\n\n",
		NULL));
	start_watch(s);
	expect(s, "+0000:04:00.0 ");
	const struct device_gpu *g = device_model_find_gpu(s->watch.model, "0000:04:00.0");
	assert_non_null(g);
	assert_string_equal(g->enclosure, "GIGABYTE AORUS RTX5090 AI BOX");
	assert_string_equal(g->tb_version, "TB5");
	assert_string_equal(g->tb_link, "2 x 20.0 Gb/s");
	assert_int_equal(g->drm_count, 2);
	assert_int_equal(g->power_delivery_mw, 100000);
}

/* Retimer, router, then DRM and PCI from the bottom up: told once, at the router, in a few milliseconds. Then plugged in
 * again. */
static void test_unplug_and_plug(void **state)
{
	struct scene *s = *state;
	start_watch(s);
	expect(s, "");
	add_tree(s, "lab/aorus5090.tree");
	expect(s, "+0000:04:00.0 ");
	for (unsigned round = 0; round < 2; round++) {
		s->sent_ns = time_monotonic_ns();
		remove_device(s, RETIMER);
		remove_device(s, ROUTER);
		run(s, LIMIT_MS, "-0000:04:00.0(thunderbolt) ");
		assert_string_equal(s->story, "-0000:04:00.0(thunderbolt) ");
		assert_true(s->heard_ns - s->sent_ns < 500000000);
		static const char *const rest[] = { GPU "/drm/renderD129", GPU "/drm/card1", GPU,
			SWITCH "/0000:03:00.0/0000:04:00.1", SWITCH "/0000:03:00.0", SWITCH "/0000:03:01.0",
			SWITCH "/0000:03:02.0", SWITCH "/0000:03:03.0", SWITCH };
		for (size_t i = 0; i < ARRAY_SIZE(rest); i++) {
			remove_device(s, rest[i]);
			run(s, 2, NULL);
		}
		expect(s, "-0000:04:00.0(thunderbolt) ");
		add_tree(s, "lab/aorus5090.tree");
		expect(s, "+0000:04:00.0 ");
	}
}

static void test_speed_change(void **state)
{
	struct scene *s = *state;
	add_tree(s, "lab/aorus5090.tree");
	start_watch(s);
	expect(s, "+0000:04:00.0 ");
	umockdev_testbed_set_attribute(s->bed, ROUTER, "rx_lanes", "1\n");
	umockdev_testbed_set_attribute(s->bed, ROUTER, "tx_lanes", "1\n");
	umockdev_testbed_uevent(s->bed, ROUTER, "change");
	expect(s, "speed 1 x 20.0 Gb/s ");
	umockdev_testbed_set_attribute_binary(s->bed, ROUTER, "rx_lanes", (guint8 *)"\0\xff\x01", 3);
	umockdev_testbed_uevent(s->bed, ROUTER, "change");
	expect(s, "");
	assert_string_equal(device_model_find_gpu(s->watch.model, "0000:04:00.0")->tb_link, "");
}

/* A thousand uevents, each third one with news (a reader's queue holds few, so that it is waited for), and the unplug behind them. Nothing
 * else is told, and it is told at once. */
static void test_storm(void **state)
{
	struct scene *s = *state;
	static const char *const shaken[] = { GPU, SWITCH };
	add_tree(s, "lab/aorus5090.tree");
	start_watch(s);
	expect(s, "+0000:04:00.0 ");
	for (unsigned i = 0; i < 333; i++) {
		const char *story = i % 2 ? "speed 2 x 20.0 Gb/s " : "speed 1 x 20.0 Gb/s ";
		umockdev_testbed_uevent(s->bed, shaken[0], "change");
		umockdev_testbed_uevent(s->bed, shaken[1], "change");
		umockdev_testbed_set_attribute(s->bed, ROUTER, "rx_lanes", i % 2 ? "2\n" : "1\n");
		umockdev_testbed_set_attribute(s->bed, ROUTER, "tx_lanes", i % 2 ? "2\n" : "1\n");
		umockdev_testbed_uevent(s->bed, ROUTER, "change");
		run(s, LIMIT_MS, story);
		assert_string_equal(s->story, story);
		s->story[0] = '\0';
	}
	s->sent_ns = time_monotonic_ns();
	umockdev_testbed_uevent(s->bed, shaken[0], "change");
	umockdev_testbed_uevent(s->bed, shaken[1], "change");
	remove_device(s, ROUTER);
	expect(s, "-0000:04:00.0(thunderbolt) ");
}

/* Time that this thread waited for a processor, by the kernel's count (Linux Documentation/scheduler/sched-stats.rst); 0 where it is not kept. */
static uint64_t waited_ns(void)
{
	char *text = NULL;
	size_t size;
	unsigned long long ran, waited = 0;
	if (file_read("/proc/thread-self/schedstat", 256, &text, &size) == 0 &&
		sscanf(text, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	free(text);
	return waited;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

#define ROUNDS 9
#define PROMISED_NS 5000000

/* From the arrival of the router's remove uevent on the socket, as many others in front of it as fit, until the GPU is told to be gone: what a
 * machine that is busy with something else adds is not counted. */
static void test_told_at_once(void **state)
{
	struct scene *s = *state;
	uint64_t took[ROUNDS];
	add_tree(s, "lab/aorus5090.tree");
	start_watch(s);
	expect(s, "+0000:04:00.0 ");
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned n = 0; n < 4; n++)
			umockdev_testbed_uevent(s->bed, n % 2 ? GPU : SWITCH, "change");
		umockdev_testbed_uevent(s->bed, ROUTER, "remove");
		uint64_t arrived_ns = time_monotonic_ns(), waited = waited_ns();
		run(s, LIMIT_MS, "-0000:04:00.0(thunderbolt) ");
		took[i] = s->heard_ns - arrived_ns;
		waited = waited_ns() - waited;
		took[i] -= waited < took[i] ? waited : took[i];
		assert_string_equal(s->story, "-0000:04:00.0(thunderbolt) ");
		s->story[0] = '\0';
		umockdev_testbed_uevent(s->bed, ROUTER, "add");
		umockdev_testbed_uevent(s->bed, GPU, "add");
		run(s, LIMIT_MS, "+0000:04:00.0 ");
		assert_string_equal(s->story, "+0000:04:00.0 ");
		s->story[0] = '\0';
	}
	qsort(took, ROUNDS, sizeof took[0], by_size);
	print_message("told %.3f ms after the uevent's arrival (median of %d; the slowest %.3f ms)\n",
		(double)took[ROUNDS / 2] / 1e6, ROUNDS, (double)took[ROUNDS - 1] / 1e6);
	assert_true(took[ROUNDS / 2] < PROMISED_NS);
}

#define MANY 400
#define CARD "/devices/pci0000:00/0000:00:1b.0/0000:50:00.0"

static void add_function(struct scene *s, const char *path, const char *class_code)
{
	char text[512];
	snprintf(text, sizeof text, "P: %s\nE: SUBSYSTEM=pci\nA: class=%s\\n\nA: vendor=0x8086\\n\nA: device=0x1234\\n\n\n",
		path, class_code);
	assert_true(umockdev_testbed_add_from_string(s->bed, text, NULL));
}

/* A look at a great many devices goes bit by bit: what happens meanwhile is heard at once, before its end tells what had gone without
 * a word. */
static void test_long_walk(void **state)
{
	struct scene *s = *state;
	add_tree(s, "lab/aorus5090.tree");
	add_function(s, CARD, "0x030000");
	for (unsigned i = 0; i < MANY; i++) {
		char path[128];
		snprintf(path, sizeof path, "/devices/pci0000:00/0000:00:1c.0/0000:%02x:%02x.%u", 0x60 + i / 256, i / 8 % 32,
			i % 8);
		add_function(s, path, "0x060400");
	}
	start_watch(s);
	expect(s, "+0000:04:00.0 +0000:50:00.0 ");
	umockdev_testbed_remove_device(s->bed, "/sys" CARD);
	umockdev_testbed_set_attribute(s->bed, ROUTER, "rx_lanes", "1\n");
	umockdev_testbed_set_attribute(s->bed, ROUTER, "tx_lanes", "1\n");
	umockdev_testbed_uevent(s->bed, SWITCH, "change"); /* leads to a look at everything */
	run(s, 4 * LIMIT_MS, "speed 1 x 20.0 Gb/s ");
	assert_string_equal(s->story, "speed 1 x 20.0 Gb/s "); /* it has begun, and has not ended */
	umockdev_testbed_uevent(s->bed, ROUTER, "remove");
	run(s, 4 * LIMIT_MS, "-0000:50:00.0(pci) ");
	assert_string_equal(s->story, "speed 1 x 20.0 Gb/s -0000:04:00.0(thunderbolt) -0000:50:00.0(pci) ");
}

#define XDOMAIN "/devices/pci0000:00/0000:00:0d.3/domain1/1-0/1-1"

static void test_peer_comes_and_goes(void **state)
{
	struct scene *s = *state;
	static const char *const devices[] = {
		"P: " XDOMAIN "\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_xdomain\nA: device_name=red\\n\n\n",
		"P: " XDOMAIN "/1-1.0\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_service\nE: DRIVER=thunderbolt-net\n"
		"L: driver=../../../../../../../bus/thunderbolt/drivers/thunderbolt-net\nA: key=network\\n\n\n",
		"P: " XDOMAIN "/1-1.0/net/en05\nE: SUBSYSTEM=net\nE: INTERFACE=en05\nE: IFINDEX=7\nA: ifindex=7\\n\n\n",
		"P: /devices/virtual/net/thunderbolt9\nE: SUBSYSTEM=net\nE: INTERFACE=thunderbolt9\nA: ifindex=8\\n\n\n",
	};
	start_watch(s);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		assert_true(umockdev_testbed_add_from_string(s->bed, devices[i], NULL));
	expect(s, "+en05 ");
	umockdev_testbed_uevent(s->bed, "/sys" XDOMAIN, "remove");
	expect(s, "-en05 ");
}

static void test_null(void **state)
{
	struct scene *s = *state;
	assert_int_equal(device_watch_init(&s->watch, "null", s->loop, &observer, s), 0);
	expect(s, "");
	device_watch_finish(&s->watch);
	assert_true(device_watch_init(&s->watch, "windows", s->loop, &observer, s) < 0);
}

int main(void)
{
	const char *preload = getenv("LD_PRELOAD");
	if (!preload || !strstr(preload, "umockdev")) {
		puts("SKIP: run it under umockdev-wrapper");
		return 77;
	}
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { T(test_there_at_start), T(test_unplug_and_plug), T(test_speed_change),
		T(test_storm), T(test_told_at_once), T(test_long_walk), T(test_peer_comes_and_goes), T(test_null) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
