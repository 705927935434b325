#include "node/device/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/record.h"

static const struct device_backend *const backends[] = { &device_backend_linux, &device_backend_null,
	&device_backend_scripted };

int device_watch_init(
	struct device_watch *w, const char *backend, struct loop *l, const struct device_observer *observer, void *ctx)
{
	*w = (struct device_watch){ 0 };
	size_t length = strcspn(backend, ":");
	w->source = backend[length] ? backend + length + 1 : "";
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (strlen(backends[i]->name) == length && strncmp(backends[i]->name, backend, length) == 0)
			w->backend = backends[i];
	if (!w->backend)
		return -EINVAL;
	w->model = device_model_create(observer, ctx);
	if (!w->model)
		return -ENOMEM;
	int r = w->backend->start(w, l, w->model);
	if (r < 0) {
		device_model_destroy(w->model);
		*w = (struct device_watch){ 0 };
	}
	return r;
}

void device_watch_finish(struct device_watch *w)
{
	if (!w->backend)
		return;
	w->backend->stop(w);
	device_model_destroy(w->model);
	*w = (struct device_watch){ 0 };
}

/* Configuration space, or a driver, answers these: reading one of a sleeping device wakes it (Linux drivers/pci/pci-sysfs.c). */
static bool touches_the_device(const char *attribute)
{
	static const char *const names[] = { "config", "rom", "vpd", "current_link_speed", "current_link_width",
		"max_link_speed", "max_link_width", "secondary_bus_number", "subordinate_bus_number", "reset", "remove",
		"rescan" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], attribute) == 0)
			return true;
	return strncmp(attribute, "resource", 8) == 0 || strstr(attribute, "..") != NULL;
}

static bool answered_from_memory(const char *attribute)
{
	static const char *const names[] = { "power/runtime_status", "power/control", "removable", "class", "vendor",
		"device", "subsystem_vendor", "subsystem_device", "enable", "d3cold_allowed", "aer_dev_correctable",
		"aer_dev_fatal", "aer_dev_nonfatal" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], attribute) == 0)
			return true;
	return false;
}

static enum device_power power_of(struct device_watch *w, const char *path)
{
	char text[DEVICE_WORD_MAX];
	return w->backend->read(w, path, "power/runtime_status", text, sizeof text) < 0 ? DEVICE_POWER_UNKNOWN
											: device_parse_power(text);
}

int device_watch_read(struct device_watch *w, const struct device_gpu *gpu, const char *path, const char *attribute,
	char *out, size_t size)
{
	if (touches_the_device(attribute))
		return -EPERM;
	if (!answered_from_memory(attribute) && power_of(w, gpu->path) != DEVICE_POWER_AWAKE)
		return -EAGAIN;
	return w->backend->read(w, path, attribute, out, size);
}

static uint64_t read_number(struct device_watch *w, const struct device_gpu *g, const char *attribute)
{
	char text[DEVICE_WORD_MAX], *end;
	if (device_watch_read(w, g, g->path, attribute, text, sizeof text) < 0 || text[0] < '0' || text[0] > '9')
		return 0;
	uint64_t value = strtoull(text, &end, 10);
	return end != text && (*end == '\n' || *end == '\0') ? value : 0;
}

void device_watch_refresh(struct device_watch *w)
{
	for (size_t i = 0;; i++) {
		const struct device_gpu *g = w->model ? device_model_gpu(w->model, i) : NULL;
		if (!g)
			return;
		if (g->gone)
			continue;
		char path[DEVICE_PATH_MAX];
		memcpy(path, g->path, sizeof path); /* g is the model's, and changes in it */
		struct device_vitals v = { .power = power_of(w, path), .memory_total_bytes = g->memory_total_bytes };
		if (v.power == DEVICE_POWER_AWAKE) { /* amdgpu says so; out of its own books */
			uint64_t used = read_number(w, g, "mem_info_vram_used");
			v.memory_total_bytes = read_number(w, g, "mem_info_vram_total");
			v.memory_free_bytes = v.memory_total_bytes > used ? v.memory_total_bytes - used : 0;
		}
		device_model_refresh(w->model, path, &v);
	}
}
