/* What drivers say and what sysfs says, joined: by PCI address, by DRM node, or not at all. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "node/device/device.h"
#include "node/device/world.h"
#include "node/gpu_probe.h"
#include "node/inventory.h"

static void entry(struct buf *b, uint32_t kind, uint32_t tag, const void *data, size_t size)
{
	struct description_entry e = { .kind = kind, .tag = tag, .size = (uint32_t)size };
	buf_append(b, &e, sizeof e);
	buf_append(b, data, size);
	buf_align(b, 8);
}

struct card {
	const char *id, *driver;
	VkPhysicalDeviceType type;
	uint32_t bus;  /* 0: it does not say */
	int64_t minor; /* of its render node, -1: it does not say */
	uint64_t free_bytes;
};

/* As the probe says it. */
static void describe(struct buf *out, const struct card *c)
{
	struct buf b = { 0 };
	struct description_header header = { .magic = DESCRIPTION_MAGIC, .version = 1, .entry_count = 3 };
	VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.properties = { .apiVersion = VK_API_VERSION_1_3,
			.deviceType = c->type,
			.vendorID = 0x10de,
			.deviceName = "Card" } };
	VkPhysicalDeviceDriverProperties driver = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES };
	snprintf(driver.driverName, sizeof driver.driverName, "%s", c->driver);
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT, .pciBus = c->bus
	};
	VkPhysicalDeviceDrmPropertiesEXT drm = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRM_PROPERTIES_EXT, .hasRender = VK_TRUE, .renderMinor = c->minor
	};
	buf_append(&b, &header, sizeof header);
	entry(&b, DESCRIPTION_TEXT, DESCRIPTION_TEXT_GPU_ID, c->id, strlen(c->id));
	entry(&b, DESCRIPTION_STRUCT, p.sType, &p, sizeof p);
	entry(&b, DESCRIPTION_STRUCT, driver.sType, &driver, sizeof driver);
	if (c->bus) {
		entry(&b, DESCRIPTION_STRUCT, pci.sType, &pci, sizeof pci);
		header.entry_count++;
	}
	if (c->minor >= 0) {
		entry(&b, DESCRIPTION_STRUCT, drm.sType, &drm, sizeof drm);
		header.entry_count++;
	}
	header.size = (uint32_t)b.size;
	memcpy(b.data, &header, sizeof header);
	struct gpu_probe_device told = { .size = (uint32_t)b.size, .memory_free_bytes = c->free_bytes };
	buf_append(out, &told, sizeof told);
	buf_append(out, b.data, b.size);
	buf_finish(&b);
}

static void gpu(void *ctx, const struct device_gpu *g)
{
	(void)ctx;
	(void)g;
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	(void)ctx;
	(void)g;
	(void)at_ns;
	(void)sign;
}

static void gpu_told(void *ctx, const struct device_gpu *g, const char *what)
{
	(void)ctx;
	(void)g;
	(void)what;
}

static void power(void *ctx, const struct device_gpu *g, enum device_power before)
{
	(void)ctx;
	(void)g;
	(void)before;
}

static void netdev(void *ctx, const struct device_netdev *n)
{
	(void)ctx;
	(void)n;
}

static const struct device_observer observer = { .gpu_connected = gpu,
	.gpu_disconnected = gpu_disconnected,
	.gpu_changed = gpu,
	.power_changed = power,
	.link_speed_changed = gpu_told,
	.gpu_wedged = gpu_told,
	.netdev_added = netdev,
	.netdev_removed = netdev };

static void changed(void *ctx)
{
	(void)ctx;
}

static void wanted(void *ctx, const char *peer, const char *id)
{
	(void)ctx;
	(void)peer;
	(void)id;
}

static const struct inventory_callbacks callbacks = { .changed = changed, .wanted = wanted };

struct bed {
	struct world world;
	struct device_model *devices;
	struct inventory *inventory;
	char gone[256];
};

static void set_up(struct bed *b, const char *tree)
{
	char error[256] = "", path[512];
	memset(b, 0, sizeof *b);
	world_init(&b->world);
	b->devices = device_model_create(&observer, b);
	b->inventory = inventory_create("alpha", &callbacks, b);
	snprintf(path, sizeof path, "%s/devices/%s", TEST_DATA, tree);
	if (world_add_file(&b->world, path, NULL, NULL, error, sizeof error) < 0)
		fail_msg("%s", error);
	world_sweep(&b->world, b->devices, 1);
}

static void tear_down(struct bed *b)
{
	inventory_destroy(b->inventory);
	device_model_destroy(b->devices);
	world_finish(&b->world);
}

static void probe(struct bed *b, const struct card *cards, size_t count)
{
	struct buf data = { 0 };
	for (size_t i = 0; i < count; i++)
		describe(&data, &cards[i]);
	assert_int_equal(inventory_probed(b->inventory, data.data, data.size, b->devices), 0);
	buf_finish(&data);
}

static const struct inventory_gpu *find(const struct bed *b, const char *id)
{
	const struct inventory_gpu *g = inventory_find_local(b->inventory, id);
	if (!g)
		fail_msg("no %s", id);
	return g;
}

static void gone(void *ctx, const struct inventory_gpu *g)
{
	struct bed *b = ctx;
	size_t length = strlen(b->gone);
	snprintf(b->gone + length, sizeof b->gone - length, "%s ", g->id);
}

/* Two equal cards: one says its PCI address to two drivers, one its DRM node alone. A CPU driver says neither. Two functions no driver
 * lists. */
static void test_join(void **state)
{
	(void)state;
	static const struct card cards[] = {
		{ "pci-0000:01:00.0", "NVIDIA", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 1, -1, 0 },
		{ "pci-0000:01:00.0#nvk", "NVK", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 1, 128, 0 },
		{ "drm-renderD129", "NVK", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 0, 129, 0 },
		{ "cpu-llvmpipe", "llvmpipe", VK_PHYSICAL_DEVICE_TYPE_CPU, 0, -1, 0 },
	};
	struct bed b;
	set_up(&b, "equal-cards/pc.tree");
	for (unsigned round = 0; round < 2; round++) {
		probe(&b, cards, ARRAY_SIZE(cards));
		assert_string_equal(find(&b, "pci-0000:01:00.0")->pci_address, "0000:01:00.0");
		assert_string_equal(find(&b, "pci-0000:01:00.0")->drm_nodes[1], "/dev/dri/renderD128");
		assert_string_equal(find(&b, "pci-0000:01:00.0#nvk")->pci_address, "0000:01:00.0");
		assert_string_equal(find(&b, "pci-0000:01:00.0#nvk")->driver, "NVK");
		assert_string_equal(find(&b, "drm-renderD129")->pci_address, "0000:02:00.0");
		assert_string_equal(find(&b, "drm-renderD129")->kernel_driver, "nvidia");
		assert_string_equal(find(&b, "drm-renderD129")->vendor, "NVIDIA");
		assert_string_equal(find(&b, "cpu-llvmpipe")->pci_address, "");
		assert_string_equal(find(&b, "cpu-llvmpipe")->type, "cpu");
		assert_int_equal(find(&b, "pci-0000:00:02.0")->state, GPU_WITHOUT_DRIVER);
		assert_int_equal(find(&b, "pci-0000:03:00.0")->state, GPU_WITHOUT_DRIVER);
		assert_int_equal(inventory_active(b.inventory, "", true), 4);
		assert_null(inventory_at(b.inventory, 6));
	}
	/* What lies on one function goes with it, and nothing else. */
	inventory_device_gone(b.inventory, device_model_find_gpu(b.devices, "0000:01:00.0"), gone, &b);
	assert_string_equal(b.gone, "pci-0000:01:00.0 pci-0000:01:00.0#nvk ");
	b.gone[0] = '\0';
	inventory_device_gone(b.inventory, device_model_find_gpu(b.devices, "0000:02:00.0"), gone, &b);
	assert_string_equal(b.gone, "drm-renderD129 ");
	tear_down(&b);
}

/* A driver may go on listing an eGPU that has been pulled out, whatever it says of it. */
static void test_pulled_out(void **state)
{
	(void)state;
	static const struct card card = { "drm-renderD129", "NVK", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 0, 129, 0 };
	struct bed b;
	set_up(&b, "removable-absent/core.tree");
	probe(&b, &card, 1);
	assert_true(find(&b, card.id)->is_egpu);
	assert_string_equal(find(&b, card.id)->enclosure, "Razer Core X Chroma");
	assert_int_equal(find(&b, card.id)->state, GPU_ACTIVE);
	inventory_device_gone(b.inventory, device_model_find_gpu(b.devices, "0000:0a:00.0"), gone, &b);
	device_model_remove(b.devices, device_model_gpu(b.devices, 0)->path, 2);
	assert_null(device_model_gpu(b.devices, 0));
	probe(&b, &card, 1);
	assert_int_equal(find(&b, card.id)->state, GPU_GONE);
	world_sweep(&b.world, b.devices, 3); /* plugged in again */
	probe(&b, &card, 1);
	assert_int_equal(find(&b, card.id)->state, GPU_ACTIVE);
	tear_down(&b);
}

/* What sysfs tells of is listed before any driver was asked; what drivers say joins it, under whatever name. */
static void test_listed_at_once(void **state)
{
	(void)state;
	static const struct card cards[] = {
		{ "pci-0000:01:00.0", "NVIDIA", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 1, -1, 0 },
		{ "drm-renderD129", "NVK", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 0, 129, 0 },
	};
	struct bed b;
	const struct device_gpu *d;
	size_t count = 0;
	set_up(&b, "equal-cards/pc.tree");
	for (size_t i = 0; (d = device_model_gpu(b.devices, i)) != NULL; i++) {
		inventory_device_found(b.inventory, d);
		inventory_device_found(b.inventory, d); /* once is enough */
	}
	for (const struct inventory_gpu *g; (g = inventory_at(b.inventory, count)) != NULL; count++) {
		assert_int_equal(g->state, GPU_WITHOUT_DRIVER);
		assert_true(g->probing);
		assert_true(g->vendor_id != 0);
	}
	assert_int_equal(count, 4);
	probe(&b, cards, ARRAY_SIZE(cards));
	assert_int_equal(find(&b, "pci-0000:01:00.0")->state, GPU_ACTIVE);
	assert_false(find(&b, "pci-0000:01:00.0")->probing);
	assert_string_equal(find(&b, "pci-0000:01:00.0")->type, "discrete");
	assert_int_equal(find(&b, "drm-renderD129")->state, GPU_ACTIVE);
	assert_null(inventory_find_local(b.inventory, "pci-0000:02:00.0"));
	assert_int_equal(find(&b, "pci-0000:00:02.0")->state, GPU_WITHOUT_DRIVER);
	assert_false(find(&b, "pci-0000:00:02.0")->probing);
	/* It comes anew: asked again, and again no driver of it answers. */
	inventory_device_gone(b.inventory, device_model_find_gpu(b.devices, "0000:00:02.0"), gone, &b);
	inventory_device_found(b.inventory, device_model_find_gpu(b.devices, "0000:00:02.0"));
	assert_true(find(&b, "pci-0000:00:02.0")->probing);
	inventory_probe_failed(b.inventory);
	assert_false(find(&b, "pci-0000:00:02.0")->probing);
	assert_int_equal(find(&b, "pci-0000:00:02.0")->state, GPU_WITHOUT_DRIVER);
	tear_down(&b);
}

/* Free memory: the probe's word until an executor's, sysfs before both; none of what is gone. */
static void test_free_memory(void **state)
{
	(void)state;
	static const struct card cards[] = {
		{ "pci-0000:01:00.0", "NVIDIA", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 1, -1, 5000 },
		{ "drm-renderD129", "NVK", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, 0, 129, 0 },
	};
	struct bed b;
	set_up(&b, "equal-cards/pc.tree");
	probe(&b, cards, ARRAY_SIZE(cards));
	const struct inventory_gpu *g = find(&b, "pci-0000:01:00.0");
	assert_int_equal(g->memory_free_bytes, 5000);
	assert_int_equal(g->memory_source, MEMORY_PROBE);
	assert_int_equal(find(&b, "drm-renderD129")->memory_free_bytes, 0);
	assert_int_equal(find(&b, "drm-renderD129")->memory_source, MEMORY_UNKNOWN);
	inventory_budget(b.inventory, "pci-0000:01:00.0", 4000, g->memory_at_ns - 1); /* older than that */
	assert_int_equal(g->memory_free_bytes, 5000);
	uint64_t later_ns = g->memory_at_ns + 1;
	inventory_budget(b.inventory, "pci-0000:01:00.0", 4000, later_ns);
	assert_int_equal(g->memory_free_bytes, 4000);
	assert_int_equal(g->memory_source, MEMORY_BUDGET);
	assert_true(g->memory_at_ns == later_ns);
	struct device_gpu d = *device_model_find_gpu(b.devices, "0000:01:00.0");
	inventory_device_vitals(b.inventory, &d); /* sysfs does not tell */
	assert_int_equal(g->memory_free_bytes, 4000);
	d.memory_free_bytes = 3000;
	inventory_device_vitals(b.inventory, &d);
	inventory_budget(b.inventory, "pci-0000:01:00.0", 2000, UINT64_MAX);
	assert_int_equal(g->memory_free_bytes, 3000);
	assert_int_equal(g->memory_source, MEMORY_SYSFS);
	inventory_device_gone(b.inventory, &d, gone, &b);
	assert_int_equal(g->memory_free_bytes, 0);
	assert_int_equal(g->memory_source, MEMORY_UNKNOWN);
	inventory_budget(
		b.inventory, "pci-0000:01:00.0", 2000, UINT64_MAX); /* the last word of an executor that is killed */
	assert_int_equal(g->memory_free_bytes, 0);
	tear_down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_join), cmocka_unit_test(test_pulled_out),
		cmocka_unit_test(test_listed_at_once), cmocka_unit_test(test_free_memory) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
