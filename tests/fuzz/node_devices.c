/* Sysfs as a hostile device could fill it, and udev events in any order. Lines: an operation, a path, and attributes.
 *   +PATH\n  NAME=VALUE\n…   a device appears or changes (its subsystem and driver are among the values)
 *   -PATH\n                  it goes
 *   ~\n                      a sweep in which nothing is seen */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/device/device.h"

#define VALUES_MAX 32
#define INPUT_MAX 65536
#define DEVICES_MAX 64

struct values {
	const char *names[VALUES_MAX], *texts[VALUES_MAX];
	size_t count;
};

static const char *value_of(void *source, const char *name)
{
	const struct values *v = source;
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->names[i], name) == 0)
			return v->texts[i];
	return NULL;
}

/* What is told must be printable and bounded, whatever sysfs says. */
static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size))
		abort();
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			abort();
}

static void check_gpu(void *ctx, const struct device_gpu *g)
{
	(void)ctx;
	if (!device_pci_address(g->pci_address) || g->drm_count > DEVICE_DRM_MAX || g->power_delivery_mw > 1000000000)
		abort();
	check_text(g->enclosure, sizeof g->enclosure);
	check_text(g->enclosure_uuid, sizeof g->enclosure_uuid);
	check_text(g->tb_link, sizeof g->tb_link);
	check_text(g->tb_port, sizeof g->tb_port);
	check_text(g->enclosure_name, sizeof g->enclosure_name);
	for (unsigned i = 0; i < g->display_count; i++)
		check_text(g->displays[i].connector, sizeof g->displays[i].connector);
	check_text(g->egpu_reason, sizeof g->egpu_reason);
}

static void gone(void *ctx, const struct device_gpu *g, uint64_t at_ns, const char *sign)
{
	(void)at_ns;
	check_text(sign, 32);
	check_gpu(ctx, g);
}

static void speed(void *ctx, const struct device_gpu *g, const char *before)
{
	(void)before;
	check_gpu(ctx, g);
}

static void power(void *ctx, const struct device_gpu *g, enum device_power before)
{
	if (before == g->power)
		abort();
	check_gpu(ctx, g);
}

static void check_thunderbolt(const struct device_model *m)
{
	struct device_thunderbolt t;
	for (size_t i = 0; device_model_thunderbolt(m, i, &t); i++) {
		check_text(t.name, sizeof t.name);
		check_text(t.above, sizeof t.above);
		check_text(t.device, sizeof t.device);
		check_text(t.security, sizeof t.security);
		check_text(t.link, sizeof t.link);
	}
}

static void check_netdev(void *ctx, const struct device_netdev *n)
{
	(void)ctx;
	check_text(n->interface, sizeof n->interface);
	check_text(n->xdomain, sizeof n->xdomain);
	check_text(n->peer_name, sizeof n->peer_name);
	if (n->domain[0] && !device_pci_address(n->domain))
		abort();
}

static const struct device_observer observer = { .gpu_connected = check_gpu,
	.gpu_disconnected = gone,
	.gpu_changed = check_gpu,
	.power_changed = power,
	.link_speed_changed = speed,
	.gpu_wedged = speed,
	.netdev_added = check_netdev,
	.netdev_removed = check_netdev };

static void update(struct device_model *m, const char *path, struct values *v, uint64_t now_ns)
{
	const char *slash = strrchr(path, '/');
	struct device_input in = { .path = path,
		.subsystem = value_of(v, "SUBSYSTEM"),
		.name = slash ? slash + 1 : path,
		.devtype = value_of(v, "DEVTYPE"),
		.driver = value_of(v, "DRIVER"),
		.node = value_of(v, "DEVNAME"),
		.parent_driver = value_of(v, "PARENT_DRIVER"),
		.attribute = value_of,
		.source = v };
	device_model_update(m, &in, now_ns & 1, now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = size < INPUT_MAX ? malloc(size + 1) : NULL;
	struct device_model *m = device_model_create(&observer, NULL);
	if (!text || !m) {
		free(text);
		device_model_destroy(m);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	uint64_t now_ns = 0;
	unsigned devices = 0;
	char *rest = text, *line = strsep(&rest, "\n");
	while (line && devices < DEVICES_MAX) {
		struct values v = { .count = 0 };
		char *path = line + 1, operation = line[0];
		now_ns += 999999999;
		while ((line = strsep(&rest, "\n")) != NULL && !strchr("+-~", line[0])) {
			char *equals = strchr(line, '=');
			if (!equals || v.count == VALUES_MAX)
				continue;
			*equals = '\0';
			v.names[v.count] = line;
			v.texts[v.count++] = equals + 1;
		}
		if (operation == '+') {
			update(m, path, &v, now_ns);
			devices++;
		} else if (operation == '-') {
			device_model_remove(m, path, now_ns);
		} else if (operation == '~') {
			device_model_sweep_begin(m);
			device_model_sweep_end(m, now_ns);
			check_thunderbolt(m);
		}
	}
	device_model_destroy(m);
	free(text);
	return 0;
}
