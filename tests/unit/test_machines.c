/* Each folder below tests/data/devices is a machine: `script` (node/device/script.h) says what it has and what happens to it,
 * `expected` what is told of it on the way and known of it in the end. A new machine is a new folder; TBMESH_UPDATE_GOLDEN=1 writes
 * `expected` anew, to be read before it is believed. Time is pretended. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/device.h"
#include "node/device/script.h"

#define START_NS UINT64_C(1000000000)
#define FOLDERS TEST_DATA "/devices"

struct machine {
	FILE *out;
	uint64_t now_ns;
	struct script *script;
};

static const char *const powers[] = {
	[DEVICE_POWER_UNKNOWN] = "unknown", [DEVICE_POWER_AWAKE] = "awake", [DEVICE_POWER_SUSPENDED] = "suspended"
};

static FILE *at(struct machine *m)
{
	fprintf(m->out, "%6" PRIu64 " ms  ", (m->now_ns - START_NS) / 1000000);
	return m->out;
}

static void gpu_connected(void *ctx, const struct device_gpu *g)
{
	fprintf(at(ctx), "connected %s%s%s\n", g->pci_address, g->enclosure[0] ? " in " : "", g->enclosure);
}

static void gpu_disconnected(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	struct machine *m = ctx;
	assert_true(at_ns == m->now_ns);
	fprintf(at(ctx), "disconnected %s by %s\n", g->pci_address, sign);
}

static void gpu_changed(void *ctx, const struct device_gpu *g)
{
	(void)ctx;
	(void)g;
}

static void power_changed(void *ctx, const struct device_gpu *g, enum device_power before)
{
	fprintf(at(ctx), "power %s %s to %s\n", g->pci_address, powers[before], powers[g->power]);
}

static void link_speed_changed(void *ctx, const struct device_gpu *g, const char *before)
{
	fprintf(at(ctx), "speed %s %s to %s\n", g->pci_address, before, g->tb_link);
}

static void gpu_wedged(void *ctx, const struct device_gpu *g, const char *how)
{
	fprintf(at(ctx), "wedged %s %s\n", g->pci_address, how);
}

static void netdev_added(void *ctx, const struct device_netdev *n)
{
	fprintf(at(ctx), "interface %s to \"%s\" by %s, %" PRIu64 " down %" PRIu64 " up Gb/s\n", n->interface, n->peer_name,
		n->xdomain, n->rx_bps / 1000000000, n->tx_bps / 1000000000);
}

static void netdev_removed(void *ctx, const struct device_netdev *n)
{
	fprintf(at(ctx), "interface %s gone\n", n->interface);
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

static int read_world(struct device_watch *w, const char *path, const char *attribute, char *out, size_t size)
{
	const char *value = world_get(script_world(w->state), path, attribute);
	if (!value)
		return -ENOENT;
	snprintf(out, size, "%s", value);
	return 0;
}

static const struct device_backend backend = { .name = "test", .read = read_world };

static void line(FILE *out, const char *name, const char *value)
{
	if (value[0])
		fprintf(out, "  %-16s %s\n", name, value);
}

static void show_gpu(FILE *out, const struct device_gpu *g)
{
	fprintf(out, "gpu %s%s\n", g->pci_address, g->gone ? " (gone)" : "");
	fprintf(out, "  %-16s %04x:%04x\n", "id", g->vendor_id, g->device_id);
	line(out, "driver", g->kernel_driver);
	fprintf(out, "  %-16s %s%s%s\n", "egpu", g->is_egpu ? "yes" : "no", g->egpu_reason[0] ? ", " : "", g->egpu_reason);
	line(out, "enclosure", g->enclosure);
	line(out, "enclosure uuid", g->enclosure_uuid);
	line(out, "port", g->tb_port);
	line(out, "enclosure is", g->tb_version);
	line(out, "link is", g->tb_link_version);
	line(out, "link", g->tb_link);
	if (g->expected_bytes_per_s)
		fprintf(out, "  %-16s %.1f GB/s\n", "expected", (double)g->expected_bytes_per_s / 1e9);
	if (g->enclosure_watts)
		fprintf(out, "  %-16s %" PRIu32 " W\n", "supply", g->enclosure_watts);
	if (g->power_delivery_mw)
		fprintf(out, "  %-16s %.1f W\n", "charges with", (double)g->power_delivery_mw / 1000);
	line(out, "power", powers[g->power]);
	if (g->memory_total_bytes)
		fprintf(out, "  %-16s %" PRIu64 " of %" PRIu64 " MiB free\n", "memory", g->memory_free_bytes >> 20,
			g->memory_total_bytes >> 20);
	line(out, "sensors", g->hwmon_path[0] ? strrchr(g->hwmon_path, '/') + 1 : "");
	for (unsigned i = 0; i < g->drm_count; i++)
		line(out, "node", g->drm_nodes[i]);
	for (unsigned i = 0; i < g->display_count; i++)
		fprintf(out, "  %-16s %s%s\n", "display", g->displays[i].connector,
			g->displays[i].connected ? ", connected" : "");
}

static void show_thunderbolt(FILE *out, const struct device_thunderbolt *t)
{
	static const char *const kinds[] = { [DEVICE_DOMAIN] = "domain",
		[DEVICE_HOST] = "host",
		[DEVICE_ROUTER] = "router",
		[DEVICE_RETIMER] = "retimer",
		[DEVICE_XDOMAIN] = "xdomain" };
	static const char *const words[] = { [DEVICE_UNKNOWN] = "unknown", [DEVICE_NO] = "no", [DEVICE_YES] = "yes" };
	fprintf(out, "%s %s%s%s\n", kinds[t->kind], t->name, t->above[0] ? " on " : "", t->above);
	line(out, "vendor", t->vendor);
	line(out, "device", t->device);
	line(out, "controller", t->controller);
	line(out, "security", t->security);
	if (t->kind == DEVICE_DOMAIN)
		line(out, "iommu", words[t->iommu_protection]);
	if (t->kind == DEVICE_ROUTER || t->kind == DEVICE_HOST)
		line(out, "authorized", words[t->authorized]);
	line(out, "is", t->version);
	line(out, "link is", t->link_version);
	line(out, "link", t->link);
	line(out, "port", t->port);
	for (unsigned i = 0; i < t->interface_count; i++)
		line(out, "interface", t->interfaces[i]);
	for (unsigned i = 0; i < t->gpu_count; i++)
		line(out, "gpu", t->gpus[i]);
}

static void play(struct machine *m, const char *folder)
{
	char error[768] = "";
	if (script_load(folder, &m->script, error, sizeof error) < 0)
		fail_msg("%s", error);
	m->now_ns = START_NS;
	struct device_watch watch = { .backend = &backend, .model = device_model_create(&observer, m), .state = m->script };
	assert_non_null(watch.model);
	script_start(m->script, watch.model, m->now_ns);
	for (uint64_t ms; script_next(m->script, &ms);) {
		bool look;
		m->now_ns = START_NS + ms * 1000000;
		if (script_step(m->script, watch.model, m->now_ns, &look, error, sizeof error) < 0)
			fail_msg("%s", error);
		if (look)
			device_watch_refresh(&watch);
	}
	const struct device_gpu *g;
	for (size_t i = 0; (g = device_model_gpu(watch.model, i)) != NULL; i++)
		show_gpu(m->out, g);
	struct device_thunderbolt t;
	for (size_t i = 0; device_model_thunderbolt(watch.model, i, &t); i++)
		show_thunderbolt(m->out, &t);
	device_model_destroy(watch.model);
	script_destroy(m->script);
}

static void test_machine(void **state)
{
	const char *folder = *state;
	char path[1024], *text = NULL, *expected = NULL;
	size_t size;
	struct machine m = { .out = open_memstream(&text, &size) };
	assert_non_null(m.out);
	play(&m, folder);
	fclose(m.out);
	snprintf(path, sizeof path, "%s/expected", folder);
	if (getenv("TBMESH_UPDATE_GOLDEN")) {
		assert_int_equal(file_write_atomic(path, text, strlen(text), 0644), 0);
	} else {
		if (file_read(path, 1 << 20, &expected, &size) < 0)
			fail_msg("cannot read %s", path);
		assert_string_equal(text, expected);
	}
	free(expected);
	free(text);
}

static int is_folder(const struct dirent *d)
{
	return d->d_name[0] != '.' && !strchr(d->d_name, '.');
}

int main(void)
{
	struct dirent **folders;
	int count = scandir(FOLDERS, &folders, is_folder, alphasort);
	if (count <= 0) {
		fprintf(stderr, "no machines in %s\n", FOLDERS);
		return 1;
	}
	struct CMUnitTest *tests = calloc((size_t)count, sizeof *tests);
	for (int i = 0; tests && i < count; i++) {
		char *path = malloc(sizeof FOLDERS + 1 + strlen(folders[i]->d_name));
		if (!path)
			return 1;
		sprintf(path, "%s/%s", FOLDERS, folders[i]->d_name);
		tests[i] =
			(struct CMUnitTest){ .name = folders[i]->d_name, .test_func = test_machine, .initial_state = path };
	}
	int r = tests ? _cmocka_run_group_tests("machines", tests, (size_t)count, NULL, NULL) : 1;
	for (int i = 0; i < count; i++) {
		if (tests)
			free(tests[i].initial_state);
		free(folders[i]);
	}
	free(folders);
	free(tests);
	return r;
}
