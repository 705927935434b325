/* The device model against recorded machines and what could go wrong with them. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/device.h"
#include "tests/unit/device_tree.h"

#define SECOND 1000000000ull
#define ENCLOSURE "GIGABYTE AORUS RTX5090 AI BOX"
#define ROUTER "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1"
#define RETIMER "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/usb4_port1/0-0:1.1"
#define SWITCH "/sys/devices/pci0000:00/0000:00:07.0/0000:02:00.0"
#define GPU SWITCH "/0000:03:00.0/0000:04:00.0"

/* What the observer heard, one word each: "+04 -04(thunderbolt) …". */
struct story {
	char text[1024];
	struct device_netdev netdev;
	uint64_t at_ns;
};

static void tell(struct story *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct story *s, const char *format, ...)
{
	size_t length = strlen(s->text);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(s->text + length, sizeof s->text - length, format, arguments);
	va_end(arguments);
}

static void gpu_connected(void *ctx, const struct device_gpu *g)
{
	tell(ctx, "+%s ", g->pci_address);
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	struct story *s = ctx;
	tell(s, "-%s(%s) ", g->pci_address, sign);
	s->at_ns = at_ns;
}

static void gpu_changed(void *ctx, const struct device_gpu *g)
{
	(void)ctx;
	(void)g;
}

static void link_speed_changed(void *ctx, const struct device_gpu *g, const char *before)
{
	tell(ctx, "speed(%s->%s) ", before, g->tb_link);
}

static void power_changed(void *ctx, const struct device_gpu *g, enum device_power before)
{
	(void)ctx;
	(void)g;
	(void)before;
}

static void gpu_wedged(void *ctx, const struct device_gpu *g, const char *how)
{
	tell(ctx, "wedged(%s,%s) ", g->pci_address, how);
}

static void netdev_added(void *ctx, const struct device_netdev *n)
{
	struct story *s = ctx;
	tell(s, "+%s ", n->interface);
	s->netdev = *n;
}

static void netdev_removed(void *ctx, const struct device_netdev *n)
{
	tell(ctx, "-%s ", n->interface);
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

struct bed {
	struct device_model *model;
	struct story story;
};

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof *b);
	b->model = device_model_create(&observer, &b->story);
	*state = b;
	return b->model ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	device_model_destroy(b->model);
	free(b);
	return 0;
}

static void expect(struct bed *b, const char *story)
{
	assert_string_equal(b->story.text, story);
	b->story.text[0] = '\0';
}

static void attach(struct bed *b)
{
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 0);
	device_tree_add_file(b->model, "lab/aorus5090.tree", true, SECOND);
	expect(b, "+0000:04:00.0 ");
}

static void add(struct bed *b, const char *text)
{
	device_tree_add_text(b->model, text, true, SECOND);
}

static const struct device_gpu *gpu(struct bed *b, const char *address)
{
	const struct device_gpu *g = device_model_find_gpu(b->model, address);
	assert_non_null(g);
	return g;
}

static void test_recorded_domain0(void **state)
{
	struct bed *b = *state;
	attach(b);
	const struct device_gpu *g = gpu(b, "0000:04:00.0");
	assert_true(g->is_egpu);
	assert_string_equal(g->egpu_reason, "removable");
	assert_string_equal(g->enclosure, ENCLOSURE);
	assert_string_equal(g->enclosure_uuid, "c4148780-00a9-7ce8-ffff-ffffffffffff");
	assert_string_equal(g->enclosure_path, ROUTER);
	assert_string_equal(g->tb_version, "TB5"); /* sysfs says generation 4: the hub is a Thunderbolt 5 one */
	assert_string_equal(g->tb_link, "2 x 20.0 Gb/s");
	assert_int_equal(g->drm_count, 2);
	assert_string_equal(g->drm_nodes[1], "/dev/dri/renderD129");
	assert_null(device_model_gpu(b->model, 1));
}

static void test_recorded_domain1(void **state)
{
	struct bed *b = *state;
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 0);
	device_tree_add_file(b->model, "devices/nuc15-domain1.tree", true, SECOND);
	expect(b, "+0000:2e:00.0 ");
	assert_string_equal(gpu(b, "0000:2e:00.0")->enclosure, ENCLOSURE);
	assert_string_equal(gpu(b, "0000:2e:00.0")->tb_version, "TB5");
}

static void test_recorded_none(void **state)
{
	struct bed *b = *state;
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 0);
	device_tree_add_file(b->model, "devices/nuc15-none.tree", true, SECOND);
	expect(b, "");
	assert_null(device_model_gpu(b->model, 0));
}

static void test_internal_gpu(void **state)
{
	struct bed *b = *state;
	device_tree_add_file(b->model, "lab/desktop.tree", false, 0);
	device_tree_add_file(b->model, "lab/rx7900.tree", false, 0);
	expect(b, "+0000:03:00.0 ");
	assert_false(gpu(b, "0000:03:00.0")->is_egpu);
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "");
}

/* Order of a recorded unplug: retimer, router, then the PCI functions from the bottom up. One event, at the router's. */
static void test_unplug(void **state)
{
	struct bed *b = *state;
	attach(b);
	device_model_remove(b->model, RETIMER, 5 * SECOND);
	expect(b, "");
	device_model_remove(b->model, ROUTER, 5 * SECOND + 1);
	expect(b, "-0000:04:00.0(thunderbolt) ");
	assert_int_equal(b->story.at_ns, 5 * SECOND + 1);
	assert_true(gpu(b, "0000:04:00.0")->gone);
	assert_string_equal(gpu(b, "0000:04:00.0")->enclosure, ENCLOSURE); /* what was pulled can still be named */
	device_model_remove(b->model, GPU "/drm/card1", 6 * SECOND);
	device_model_remove(b->model, GPU, 7 * SECOND);
	device_model_remove(b->model, SWITCH "/0000:03:00.0", 7 * SECOND);
	device_model_remove(b->model, SWITCH, 7 * SECOND);
	expect(b, "");
	assert_null(device_model_gpu(b->model, 0));
	device_tree_add_file(b->model, "lab/aorus5090.tree", true, 9 * SECOND);
	expect(b, "+0000:04:00.0 ");
	assert_false(gpu(b, "0000:04:00.0")->gone);
}

static void test_unplug_pci_first(void **state)
{
	struct bed *b = *state;
	attach(b);
	device_model_remove(b->model, SWITCH, 5 * SECOND); /* the kernel may tell of the switch alone */
	expect(b, "-0000:04:00.0(pci) ");
	device_model_remove(b->model, ROUTER, 6 * SECOND);
	expect(b, "");
}

/* A driver that hangs keeps the function in sysfs while the cable is out and in again. */
static void test_function_lingers(void **state)
{
	struct bed *b = *state;
	attach(b);
	device_model_remove(b->model, ROUTER, 5 * SECOND);
	expect(b, "-0000:04:00.0(thunderbolt) ");
	for (unsigned i = 0; i < 2; i++) {
		uint64_t now_ns = (6 + 3 * i) * SECOND; /* at 6 s the router is too new to trust */
		device_model_sweep_begin(b->model);
		device_tree_add_file(b->model, "lab/nuc15.tree", false, now_ns);
		device_tree_add_file(b->model, "lab/aorus5090.tree", false, now_ns);
		device_model_sweep_end(b->model, now_ns);
		expect(b, i == 0 ? "" : "+0000:04:00.0 ");
	}
}

static void test_lost_events(void **state)
{
	struct bed *b = *state;
	attach(b);
	device_model_sweep_begin(b->model);
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 5 * SECOND);
	device_model_sweep_end(b->model, 5 * SECOND);
	expect(b, "-0000:04:00.0(thunderbolt) ");
	assert_null(device_model_gpu(b->model, 0));
}

static const char other_router[] =
	"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3\n"
	"E: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_device\n"
	"A: authorized=1\\n\nA: device=0x1234\\n\nA: device_name=Core X\\n\nA: vendor_name=Razer\\n\nA: generation=3\\n\n";

static void without_removable(struct bed *b, const char *subsystem_device)
{
	char text[1024];
	snprintf(text, sizeof text,
		"P: /devices/pci0000:00/0000:00:07.0/0000:02:00.0\nE: SUBSYSTEM=pci\nA: class=0x060400\\n\nA: "
		"vendor=0x8086\\n\nA: device=0x15ef\\n\n\n"
		"P: /devices/pci0000:00/0000:00:07.0/0000:02:00.0/0000:03:00.0\nE: SUBSYSTEM=pci\nA: class=0x030200\\n\n"
		"A: vendor=0x10de\\n\nA: device=0x1b80\\n\nA: subsystem_device=%s\\n\n",
		subsystem_device);
	add(b, text);
}

/* Two routers on the controller of that port: named only when something tells them apart. */
static void test_ambiguous(void **state)
{
	struct bed *b = *state;
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 0);
	device_tree_add_file(b->model, "devices/nuc15-none.tree", false, 0);
	add(b, other_router);
	without_removable(b, "0x9999");
	expect(b, "+0000:03:00.0 ");
	/* The one that is not authorized has no tunnel. */
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "Razer Core X");
	assert_string_equal(gpu(b, "0000:03:00.0")->tb_version, "TB3");
	assert_string_equal(gpu(b, "0000:03:00.0")->tb_link, "");
	add(b,
		"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1\nE: SUBSYSTEM=thunderbolt\nE: "
		"DEVTYPE=thunderbolt_device\n"
		"A: authorized=1\\n\nA: device=0x41b6\\n\nA: device_name=AORUS RTX5090 AI BOX\\n\nA: generation=4\\n\n");
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "ambiguous");
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure_path, "");
	/* Never fence a healthy GPU: wait for its PCI function. */
	device_model_remove(b->model, "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3", 2 * SECOND);
	expect(b, "");
	device_model_remove(b->model,
		"/sys"
		"/devices/pci0000:00/0000:00:07.0/0000:02:00.0/0000:03:00.0",
		3 * SECOND);
	expect(b, "-0000:03:00.0(pci) ");
}

static void test_tie_breaker(void **state)
{
	struct bed *b = *state;
	attach(b);
	add(b, other_router);
	assert_string_equal(gpu(b, "0000:04:00.0")->enclosure, ENCLOSURE); /* its subsystem_device is the router's device */
	device_model_remove(b->model, "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3", 2 * SECOND);
	expect(b, "");
}

/* No devlinks, one router, and a second external GPU somewhere else: the router may be either's. */
static void test_two_ports_one_router(void **state)
{
	struct bed *b = *state;
	add(b,
		"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3\nE: SUBSYSTEM=thunderbolt\nE: "
		"DEVTYPE=thunderbolt_device\n"
		"A: authorized=1\\n\nA: device=0x1234\\n\nA: device_name=Core X\\n\n");
	without_removable(b, "0x0001");
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "Core X");
	add(b,
		"P: /devices/pci0000:00/0000:00:1c.0/0000:50:00.0\nE: SUBSYSTEM=pci\nA: class=0x030000\\n\nA: "
		"removable=removable\\n\n");
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "ambiguous");
	assert_string_equal(gpu(b, "0000:50:00.0")->enclosure, "ambiguous");
	b->story.text[0] = '\0';
	device_model_remove(b->model, "/sys/devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-3", 2 * SECOND);
	expect(b, "");
}

static void test_egpu_reasons(void **state)
{
	struct bed *b = *state;
	without_removable(b, "0x0001");
	assert_string_equal(gpu(b, "0000:03:00.0")->egpu_reason, "below Thunderbolt bridge 0000:02:00.0 (8086:15ef)");
	assert_string_equal(gpu(b, "0000:03:00.0")->enclosure, "");
	add(b, "P: /devices/virtual/devlink/pci:0000:00:0d.2--pci:0000:00:07.0\nE: SUBSYSTEM=devlink\n");
	assert_string_equal(gpu(b, "0000:03:00.0")->egpu_reason, "behind Thunderbolt controller 0000:00:0d.2");
}

static void test_link_speed(void **state)
{
	struct bed *b = *state;
	attach(b);
	add(b,
		"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1\nE: SUBSYSTEM=thunderbolt\nE: "
		"DEVTYPE=thunderbolt_device\n"
		"A: authorized=1\\n\nA: device=0x41b6\\n\nA: rx_lanes=3\\n\nA: tx_lanes=1\\n\nA: rx_speed=40.0 Gb/s\\n\nA: "
		"tx_speed=40.0 Gb/s\\n\n");
	expect(b, "speed(2 x 20.0 Gb/s->rx 3 x 40.0, tx 1 x 40.0 Gb/s) ");
}

/* What fails or makes no sense is unknown, and nothing else is touched. */
static void test_garbage_attributes(void **state)
{
	struct bed *b = *state;
	static const char *const garbage[] = { "", "255", "-1", "0x", "\x01\x02", "\xff\xfe", "NaN Gb/s",
		"999999999999 Gb/s", "20.0 Gb/s extra",
		("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "a"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") };
	attach(b);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		char text[4096];
		snprintf(text, sizeof text,
			"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1\nE: SUBSYSTEM=thunderbolt\nE: "
			"DEVTYPE=thunderbolt_device\n"
			"A: authorized=1\\n\nA: device=%s\nA: device_name=%s\nA: vendor_name=%s\nA: generation=%s\nA: "
			"unique_id=%s\n"
			"A: rx_lanes=%s\nA: tx_lanes=%s\nA: rx_speed=%s\nA: tx_speed=%s\n\n",
			garbage[i], garbage[i], garbage[i], garbage[i], garbage[i], garbage[i], garbage[i], garbage[i],
			garbage[i]);
		add(b, text);
		const struct device_gpu *g = gpu(b, "0000:04:00.0");
		assert_string_equal(g->enclosure_path, ROUTER);
		assert_string_equal(g->tb_link, "");
		assert_true(strcmp(g->tb_version, "TB5") == 0); /* the hub says so, whatever the router does */
		snprintf(text, sizeof text,
			"P: /devices/pci0000:00/0000:00:02.0\nE: SUBSYSTEM=pci\nA: class=0x030000\\n\nA: vendor=%s\nA: "
			"device=%s\nA: removable=%s\n",
			garbage[i], garbage[i], garbage[i]);
		add(b, text);
		assert_false(gpu(b, "0000:00:02.0")->is_egpu);
		assert_int_equal(gpu(b, "0000:00:02.0")->vendor_id, 0);
		device_model_remove(b->model, "/sys/devices/pci0000:00/0000:00:02.0", SECOND);
		snprintf(text, sizeof text, "P: /devices/pci0000:00/0000:00:03.0\nE: SUBSYSTEM=pci\nA: class=%s\n",
			garbage[i]);
		add(b, text);
		assert_null(device_model_find_gpu(b->model, "0000:00:03.0"));
	}
}

/* An authorization that cannot be read may be one. */
static void test_authorized_unknown(void **state)
{
	struct bed *b = *state;
	attach(b);
	add(b,
		"P: /devices/pci0000:00/0000:00:0d.2/domain0/0-0/0-1\nE: SUBSYSTEM=thunderbolt\nE: "
		"DEVTYPE=thunderbolt_device\n"
		"A: authorized=255\\n\nA: device=0x41b6\\n\n");
	assert_string_equal(gpu(b, "0000:04:00.0")->enclosure, "ambiguous");
}

static void test_parsers(void **state)
{
	(void)state;
	uint32_t value = 7;
	char text[16] = "kept";
	assert_true(device_parse_hex16("0x41b6\n", &value));
	assert_int_equal(value, 0x41b6);
	assert_false(device_parse_hex16("0x12345", &value));
	assert_false(device_parse_hex16("41b6", &value));
	assert_false(device_parse_hex16(NULL, &value));
	assert_int_equal(value, 0x41b6);
	assert_true(device_parse_speed("10.3125 Gb/s", &value) == false);
	assert_true(device_parse_speed("10.5 Gb/s", &value));
	assert_int_equal(value, 10500);
	assert_true(device_parse_speed("40 Gb/s", &value));
	assert_int_equal(value, 40000);
	assert_false(device_parse_lanes("12", &value));
	assert_true(device_parse_lanes("3", &value));
	assert_int_equal(value, 3);
	assert_false(device_parse_text("a\x1b[31mred", text, sizeof text));
	assert_false(device_parse_text("\xc2\x9b", text, sizeof text)); /* C1: a terminal may take it for CSI */
	assert_false(device_parse_text("\xed\xa0\x80", text, sizeof text));
	assert_string_equal(text, "kept");
	assert_true(device_parse_text(" Gr\xc3\xbcn \n", text, sizeof text));
	assert_string_equal(text, "Gr\xc3\xbcn");
	assert_true(device_pci_address("0000:04:00.0"));
	assert_false(device_pci_address("0000:04:00.8"));
	assert_false(device_pci_address("0000:04:00.0x"));
}

#define XDOMAIN "/devices/pci0000:00/0000:00:0d.3/domain1/1-0/1-1"

static void test_thunderbolt_net(void **state)
{
	struct bed *b = *state;
	device_tree_add_file(b->model, "lab/nuc15.tree", false, 0);
	add(b,
		"P: " XDOMAIN
		"\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_xdomain\nA: device_name=red\\n\nA: rx_lanes=2\\n\n"
		"A: tx_lanes=1\\n\nA: rx_speed=20.0 Gb/s\\n\nA: tx_speed=10.0 Gb/s\\n\n\n"
		"P: " XDOMAIN "/1-1.0\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_service\nA: key=network\\n\n\n"
		"P: " XDOMAIN "/1-1.0/net/en05\nE: SUBSYSTEM=net\n");
	expect(b, ""); /* no driver yet */
	add(b,
		"P: " XDOMAIN "/1-1.0\nE: SUBSYSTEM=thunderbolt\nE: DEVTYPE=thunderbolt_service\nL: "
		"driver=../x/drivers/thunderbolt-net\n");
	expect(b, "+en05 "); /* by driver, whatever its name */
	assert_string_equal(b->story.netdev.xdomain, "1-1");
	assert_string_equal(b->story.netdev.domain, "0000:00:0d.3");
	assert_string_equal(b->story.netdev.peer_name, "red");
	assert_true(b->story.netdev.rx_bps == 40000000000ull && b->story.netdev.tx_bps == 10000000000ull);
	device_model_remove(b->model, "/sys" XDOMAIN, 3 * SECOND); /* the peer goes before its interface does */
	expect(b, "-en05 ");
	device_model_remove(b->model, "/sys" XDOMAIN "/1-1.0/net/en05", 3 * SECOND);
	expect(b, "");
}

static void test_other_net_is_ignored(void **state)
{
	struct bed *b = *state;
	add(b,
		"P: /devices/pci0000:00/0000:00:1f.6/net/thunderbolt0\nE: SUBSYSTEM=net\n\n"
		"P: /devices/virtual/net/lo\nE: SUBSYSTEM=net\n");
	expect(b, "");
}

static void test_wedged(void **state)
{
	struct bed *b = *state;
	attach(b);
	device_model_wedged(b->model, GPU "/drm/card1", "rebind,bus-reset");
	expect(b, "wedged(0000:04:00.0,rebind,bus-reset) ");
	device_model_wedged(b->model, "/sys/devices/pci0000:00/0000:00:02.0/drm/card0", "none");
	expect(b, "");
}

static void test_two_gpus_in_one_box(void **state)
{
	struct bed *b = *state;
	attach(b);
	add(b,
		"P: /devices/pci0000:00/0000:00:07.0/0000:02:00.0/0000:03:01.0/0000:05:00.0\nE: SUBSYSTEM=pci\nA: "
		"class=0x030000\\n\n"
		"A: removable=removable\\n\n");
	expect(b, "+0000:05:00.0 ");
	device_model_remove(b->model, ROUTER, 5 * SECOND);
	expect(b, "-0000:04:00.0(thunderbolt) -0000:05:00.0(thunderbolt) ");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_recorded_domain0),
		T(test_recorded_domain1),
		T(test_recorded_none),
		T(test_internal_gpu),
		T(test_unplug),
		T(test_unplug_pci_first),
		T(test_function_lingers),
		T(test_lost_events),
		T(test_ambiguous),
		T(test_tie_breaker),
		T(test_two_ports_one_router),
		T(test_egpu_reasons),
		T(test_link_speed),
		T(test_garbage_attributes),
		T(test_authorized_unknown),
		T(test_parsers),
		T(test_thunderbolt_net),
		T(test_other_net_is_ignored),
		T(test_wedged),
		T(test_two_gpus_in_one_box),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
