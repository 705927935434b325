#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "node/device/device.h"
#include "tests/unit/device_tree.h"

#define ATTRIBUTES_MAX 48

struct block {
	char path[DEVICE_PATH_MAX];
	const char *subsystem, *devtype, *driver, *node;
	struct {
		const char *name, *value;
	} attributes[ATTRIBUTES_MAX];
	size_t attribute_count;
};

static const char *block_attribute(void *source, const char *name)
{
	const struct block *b = source;
	for (size_t i = 0; i < b->attribute_count; i++)
		if (strcmp(b->attributes[i].name, name) == 0)
			return b->attributes[i].value;
	return NULL;
}

/* "\n" at the end, as sysfs has it and libudev cuts it. */
static void cut_newline(char *value)
{
	size_t length = strlen(value);
	if (length >= 2 && strcmp(value + length - 2, "\\n") == 0)
		value[length - 2] = '\0';
}

static void read_line(struct block *b, char *line)
{
	char *text = line + 3, *equals = strchr(text, '=');
	if (line[0] == 'P') {
		snprintf(b->path, sizeof b->path, "/sys%s", text);
		return;
	}
	assert_non_null(equals);
	*equals = '\0';
	char *value = equals + 1;
	if (line[0] == 'E' && strcmp(text, "SUBSYSTEM") == 0)
		b->subsystem = value;
	else if (line[0] == 'E' && strcmp(text, "DEVTYPE") == 0)
		b->devtype = value;
	else if (line[0] == 'E' && strcmp(text, "DEVNAME") == 0)
		b->node = value;
	else if (line[0] == 'L' && strcmp(text, "driver") == 0)
		b->driver = strrchr(value, '/') + 1;
	else if (line[0] == 'A' && b->attribute_count < ATTRIBUTES_MAX) {
		cut_newline(value);
		b->attributes[b->attribute_count].name = text;
		b->attributes[b->attribute_count++].value = value;
	}
}

static void feed(struct device_model *m, struct block *b, bool arrival, uint64_t now_ns)
{
	if (!b->path[0])
		return;
	struct device_input in = { .path = b->path,
		.subsystem = b->subsystem,
		.name = strrchr(b->path, '/') + 1,
		.devtype = b->devtype,
		.driver = b->driver,
		.node = b->node,
		.attribute = block_attribute,
		.source = b };
	device_model_update(m, &in, arrival, now_ns);
	memset(b, 0, sizeof *b);
}

void device_tree_add_text(struct device_model *m, const char *text, bool arrival, uint64_t now_ns)
{
	char *copy = strdup(text), *rest = copy;
	struct block b;
	memset(&b, 0, sizeof b);
	assert_non_null(copy);
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (line[0] == '#')
			continue;
		if (line[0] == '\0')
			feed(m, &b, arrival, now_ns);
		else if (strncmp(line + 1, ": ", 2) == 0 && strchr("PELANS", line[0]))
			read_line(&b, line);
		else
			fail_msg("not a line of a tree: %s", line);
	}
	feed(m, &b, arrival, now_ns);
	free(copy);
}

void device_tree_add_file(struct device_model *m, const char *name, bool arrival, uint64_t now_ns)
{
	char path[512];
	char *text = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
	if (file_read(path, 1 << 20, &text, &size) < 0)
		fail_msg("cannot read %s", path);
	device_tree_add_text(m, text, arrival, now_ns);
	free(text);
}
