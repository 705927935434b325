#include "node/device/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

void world_init(struct world *w)
{
	list_init(&w->devices);
}

static void attribute_free(struct world_attribute *a)
{
	list_remove(&a->link);
	free(a->name);
	free(a->value);
	free(a);
}

static void device_clear(struct world_device *d)
{
	list_for_each_safe(a, &d->attributes, struct world_attribute, link)
		attribute_free(a);
	free(d->subsystem);
	free(d->devtype);
	free(d->driver);
	free(d->node);
	d->subsystem = d->devtype = d->driver = d->node = NULL;
}

void world_finish(struct world *w)
{
	list_for_each_safe(d, &w->devices, struct world_device, link) {
		device_clear(d);
		list_remove(&d->link);
		free(d->path);
		free(d);
	}
}

struct world_device *world_find(const struct world *w, const char *path)
{
	list_for_each(d, &w->devices, struct world_device, link)
		if (strcmp(d->path, path) == 0)
			return d;
	return NULL;
}

static struct world_attribute *find_attribute(const struct world_device *d, const char *name)
{
	list_for_each(a, &d->attributes, struct world_attribute, link)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

/* ---- reading trees ---- */

static struct world_device *device_at(struct world *w, const char *path)
{
	struct world_device *d = world_find(w, path);
	if (d) {
		device_clear(d);
		d->present = true;
		return d;
	}
	d = calloc(1, sizeof *d);
	if (!d || !(d->path = strdup(path))) {
		free(d);
		return NULL;
	}
	d->name = strrchr(d->path, '/') + 1;
	d->present = true;
	list_init(&d->attributes);
	list_append(&w->devices, &d->link);
	return d;
}

/* "\n" and "\\" in place. The newline at the end, which sysfs has, is cut as libudev cuts it. */
static void unescape(char *value)
{
	char *out = value;
	for (const char *in = value; *in; in++) {
		if (in[0] == '\\' && (in[1] == 'n' || in[1] == '\\'))
			*out++ = *++in == 'n' ? '\n' : '\\';
		else
			*out++ = *in;
	}
	while (out > value && out[-1] == '\n')
		out--;
	*out = '\0';
}

static int from_hex(char c)
{
	return c >= '0' && c <= '9'    ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : -1;
}

/* Bytes behind a NUL are lost, as they are to libudev. */
static bool unhex(char *value)
{
	char *out = value;
	for (const char *in = value; *in; in += 2) {
		int high = from_hex(in[0]), low = high < 0 ? -1 : from_hex(in[1]);
		if (low < 0)
			return false;
		*out++ = (char)(high << 4 | low);
	}
	*out = '\0';
	return true;
}

static int set_attribute(struct world_device *d, const char *name, const char *value)
{
	struct world_attribute *a = find_attribute(d, name);
	if (a)
		attribute_free(a);
	if (!value)
		return 0;
	a = calloc(1, sizeof *a);
	if (!a)
		return -ENOMEM;
	list_append(&d->attributes, &a->link);
	a->name = strdup(name);
	a->value = strdup(value);
	if (!a->name || !a->value) {
		attribute_free(a);
		return -ENOMEM;
	}
	return 0;
}

static int replace(char **out, const char *value)
{
	free(*out);
	*out = strdup(value);
	return *out ? 0 : -ENOMEM;
}

static int read_line(struct world_device *d, char *line)
{
	char kind = line[0], *name = line + 3, *value = strchr(name, '=');
	if (kind == 'N') { /* "dri/card0" */
		char node[64];
		name[strcspn(name, "=")] = '\0';
		return snprintf(node, sizeof node, "/dev/%s", name) < (int)sizeof node ? replace(&d->node, node) : -EBADMSG;
	}
	if (kind == 'S')
		return 0;
	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	if (kind == 'E' && strcmp(name, "SUBSYSTEM") == 0)
		return replace(&d->subsystem, value);
	if (kind == 'E' && strcmp(name, "DEVTYPE") == 0)
		return replace(&d->devtype, value);
	if (kind == 'E' && strcmp(name, "DEVNAME") == 0)
		return replace(&d->node, value);
	if (kind == 'L' && strcmp(name, "driver") == 0)
		return replace(&d->driver, strrchr(value, '/') ? strrchr(value, '/') + 1 : value);
	if (kind == 'L') /* as a backend tells it: what it leads to */
		return set_attribute(d, name, strrchr(value, '/') ? strrchr(value, '/') + 1 : value);
	if (kind == 'A') {
		unescape(value);
		return set_attribute(d, name, value);
	}
	if (kind == 'H')
		return unhex(value) ? set_attribute(d, name, value) : -EBADMSG;
	return 0;
}

int world_add_text(struct world *w, const char *text, void (*added)(void *ctx, struct world_device *d), void *ctx,
	char *error, size_t error_size)
{
	__attribute__((cleanup(free_pointer))) char *copy = strdup(text);
	struct world_device *d = NULL;
	char *rest = copy;
	int r = copy ? 0 : -ENOMEM;
	unsigned number = 0;
	for (char *line; r == 0 && rest && (line = strsep(&rest, "\n")) != NULL;) {
		number++;
		if (line[0] == '#')
			continue;
		if (line[0] == '\0') {
			if (d && added)
				added(ctx, d);
			d = NULL;
			continue;
		}
		bool good = strncmp(line + 1, ": ", 2) == 0 && strchr("PELANSH", line[0]) && (line[0] == 'P') == !d;
		if (good && line[0] == 'P') {
			char path[DEVICE_PATH_MAX + 8];
			good = line[3] == '/' && snprintf(path, sizeof path, "/sys%s", line + 3) < DEVICE_PATH_MAX;
			d = good ? device_at(w, path) : NULL;
			r = good && !d ? -ENOMEM : 0;
		} else if (good) {
			r = read_line(d, line);
		}
		if (!good || r == -EBADMSG) {
			snprintf(error, error_size, "line %u is no line of a device tree: \"%.60s\"", number, line);
			r = -EBADMSG;
		}
	}
	if (r == 0 && d && added)
		added(ctx, d);
	return r;
}

int world_add_file(struct world *w, const char *path, void (*added)(void *ctx, struct world_device *d), void *ctx,
	char *error, size_t error_size)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	char what[160] = "";
	size_t size;
	int r = file_read(path, WORLD_TREE_MAX_BYTES, &text, &size);
	if (r == 0)
		r = world_add_text(w, text, added, ctx, what, sizeof what);
	if (r < 0)
		snprintf(error, error_size, "%s: %s", path, what[0] ? what : strerror(-r));
	return r;
}

/* ---- changes ---- */

static bool at_or_below(const char *path, const char *above)
{
	size_t length = strlen(above);
	return strncmp(path, above, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

void world_remove(struct world *w, const char *path)
{
	list_for_each(d, &w->devices, struct world_device, link)
		if (at_or_below(d->path, path))
			d->present = false;
}

int world_set(struct world *w, const char *path, const char *attribute, const char *value)
{
	struct world_device *d = world_find(w, path);
	return d && d->present ? set_attribute(d, attribute, value) : -ENOENT;
}

static const char *device_get(const struct world_device *d, const char *attribute)
{
	const struct world_attribute *a = d->present ? find_attribute(d, attribute) : NULL;
	return a ? a->value : NULL;
}

const char *world_get(const struct world *w, const char *path, const char *attribute)
{
	const struct world_device *d = world_find(w, path);
	return d ? device_get(d, attribute) : NULL;
}

/* ---- feeding a model ---- */

static const char *read_attribute(void *source, const char *name)
{
	return device_get(source, name);
}

static const char *driver_above(const struct world *w, const struct world_device *d)
{
	const struct world_device *nearest = NULL;
	list_for_each(o, &w->devices, struct world_device, link)
		if (o != d && o->present && at_or_below(d->path, o->path) &&
			(!nearest || strlen(o->path) > strlen(nearest->path)))
			nearest = o;
	return nearest ? nearest->driver : NULL;
}

void world_tell(const struct world *w, const struct world_device *d, struct device_model *m, bool arrival, uint64_t now_ns)
{
	struct device_input in = { .path = d->path,
		.subsystem = d->subsystem,
		.name = d->name,
		.devtype = d->devtype,
		.driver = d->driver,
		.node = d->node,
		.parent_driver = driver_above(w, d),
		.attribute = read_attribute,
		.source = (void *)d };
	device_model_update(m, &in, arrival, now_ns);
}

void world_sweep(const struct world *w, struct device_model *m, uint64_t now_ns)
{
	static const char *const order[] = { "devlink", "thunderbolt", "pci", "drm", "hwmon", "usb_power_delivery", "net" };
	device_model_sweep_begin(m);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		list_for_each(d, &w->devices, struct world_device, link)
			if (d->present && d->subsystem && strcmp(d->subsystem, order[i]) == 0)
				world_tell(w, d, m, false, now_ns);
	device_model_sweep_end(m, now_ns);
}
