#include "node/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define CONFIG_FILE_MAX_BYTES (256u << 10)

bool config_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t length = strlen(name);
	return length > 0 && length < 64 && isalnum((unsigned char)name[0]) && strspn(name, allowed) == length;
}

void config_defaults(struct node_config *c)
{
	*c = (struct node_config){ .manage_links = true,
		.probe_bandwidth = true,
		.migration_timeout_s = 30,
		.submit_timeout_s = 300,
		.prefer_cpu_fallback = true,
		.max_executors = 16,
		.devices = "linux" };
	if (gethostname(c->name, sizeof c->name) < 0)
		c->name[0] = '\0';
	c->name[sizeof c->name - 1] = '\0';
	c->name[strcspn(c->name, ".")] = '\0';
	if (!config_name_valid(c->name))
		strcpy(c->name, "node");
}

/* Each sets one value; false: `want` says what it should have been. */
static bool parse_bool(const char *value, bool *ret)
{
	static const struct {
		const char *text;
		bool value;
	} words[] = { { "true", true }, { "yes", true }, { "on", true }, { "1", true }, { "false", false }, { "no", false },
		{ "off", false }, { "0", false } };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(value, words[i].text) == 0) {
			*ret = words[i].value;
			return true;
		}
	return false;
}

static bool parse_number(const char *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)value[0]))
		return false;
	errno = 0;
	unsigned long number = strtoul(value, &end, 10);
	if (errno != 0 || *end != '\0' || number < min || number > max)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool set_name(struct node_config *c, const char *value)
{
	if (!config_name_valid(value))
		return false;
	strcpy(c->name, value);
	return true;
}

static bool set_port(struct node_config *c, const char *value)
{
	uint32_t port;
	if (!parse_number(value, 1, 65535, &port))
		return false;
	c->port = (uint16_t)port;
	return true;
}

static bool set_control_port(struct node_config *c, const char *value)
{
	uint32_t port;
	if (!parse_number(value, 0, 65535, &port))
		return false;
	c->control_port = (uint16_t)port;
	return true;
}

static bool set_events_port(struct node_config *c, const char *value)
{
	uint32_t port;
	if (!parse_number(value, 0, 65535, &port))
		return false;
	c->events_port = (uint16_t)port;
	return true;
}

static bool add_interface(struct node_config *c, const char *value)
{
	if (strlen(value) >= sizeof c->interfaces[0] || strchr(value, '/') || c->interface_count == CONFIG_LIST_MAX)
		return false;
	strcpy(c->interfaces[c->interface_count++], value);
	return true;
}

static bool add_peer(struct node_config *c, const char *value)
{
	if (strlen(value) >= sizeof c->peers[0] || strpbrk(value, " \t") || c->peer_count == CONFIG_LIST_MAX)
		return false;
	strcpy(c->peers[c->peer_count++], value);
	return true;
}

static bool set_manage_links(struct node_config *c, const char *value)
{
	return parse_bool(value, &c->manage_links);
}

static bool set_probe_bandwidth(struct node_config *c, const char *value)
{
	return parse_bool(value, &c->probe_bandwidth);
}

static bool set_migration_timeout(struct node_config *c, const char *value)
{
	return parse_number(value, 1, 3600, &c->migration_timeout_s);
}

static bool set_mode(struct node_config *c, const char *value)
{
	c->relaxed = strcmp(value, "relaxed") == 0;
	return c->relaxed || strcmp(value, "strict") == 0;
}

static bool set_submit_timeout(struct node_config *c, const char *value)
{
	return parse_number(value, 1, 86400, &c->submit_timeout_s);
}

static bool set_cpu_fallback(struct node_config *c, const char *value)
{
	return parse_bool(value, &c->prefer_cpu_fallback);
}

static bool set_max_executors(struct node_config *c, const char *value)
{
	return parse_number(value, 1, 256, &c->max_executors);
}

static bool set_group(struct node_config *c, const char *value)
{
	if (strlen(value) >= sizeof c->group)
		return false;
	strcpy(c->group, value);
	return true;
}

static bool set_devices(struct node_config *c, const char *value)
{
	if (strcmp(value, "linux") != 0 && strcmp(value, "null") != 0 && strncmp(value, "scripted:/", 10) != 0)
		return false;
	if (strlen(value) >= sizeof c->devices)
		return false;
	strcpy(c->devices, value);
	return true;
}

static const struct {
	const char *key;
	bool (*set)(struct node_config *c, const char *value);
	const char *want;
} keys[] = {
	{ "name", set_name, "at most 63 letters, digits, '-', '_' or '.'" },
	{ "port", set_port, "a number from 1 to 65535" },
	{ "control_port", set_control_port, "a number from 0 to 65535" },
	{ "events_port", set_events_port, "a number from 0 to 65535" },
	{ "interface", add_interface, "one interface name (at most 32 lines of it)" },
	{ "peer", add_peer, "one address, \"[ADDRESS]:PORT\" (at most 32 lines of it)" },
	{ "manage_links", set_manage_links, "true or false" },
	{ "probe_bandwidth", set_probe_bandwidth, "true or false" },
	{ "migration_timeout", set_migration_timeout, "seconds, from 1 to 3600" },
	{ "mode", set_mode, "strict or relaxed" },
	{ "submit_timeout", set_submit_timeout, "seconds, from 1 to 86400" },
	{ "prefer_cpu_fallback", set_cpu_fallback, "true or false" },
	{ "max_executors", set_max_executors, "a number from 1 to 256" },
	{ "group", set_group, "the name of a group" },
	{ "devices", set_devices, "linux, null, or scripted: and the absolute path of a recorded folder" },
};

static char *trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	size_t length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	return text;
}

static int parse_line(struct node_config *c, char *line, const char *where, char *error, size_t error_size)
{
	line[strcspn(line, "#")] = '\0';
	line = trim(line);
	if (line[0] == '\0')
		return 0;
	char *equals = strchr(line, '=');
	if (!equals) {
		snprintf(error, error_size, "%s: expected \"key = value\", found \"%.60s\"", where, line);
		return -EINVAL;
	}
	*equals = '\0';
	const char *key = trim(line), *value = trim(equals + 1);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (value[0] != '\0' && keys[i].set(c, value))
			return 0;
		snprintf(error, error_size, "%s: %s must be %s, not \"%.60s\"", where, key, keys[i].want, value);
		return -EINVAL;
	}
	snprintf(error, error_size, "%s: unknown key \"%.60s\"", where, key);
	return -EINVAL;
}

int config_parse(struct node_config *c, const char *file, const char *text, char *error, size_t error_size)
{
	__attribute__((cleanup(free_pointer))) char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	unsigned number = 0;
	for (char *line = copy, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char where[320];
		snprintf(where, sizeof where, "%.280s:%u", file, ++number);
		int r = parse_line(c, line, where, error, error_size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_file(struct node_config *c, const char *path, char *error, size_t error_size)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	int r = file_read(path, CONFIG_FILE_MAX_BYTES, &text, &size);
	if (r < 0) {
		snprintf(error, error_size, "cannot read %s: %s", path, strerror(-r));
		return r;
	}
	if (strlen(text) != size) {
		snprintf(error, error_size, "%s: is not a text file", path);
		return -EINVAL;
	}
	return config_parse(c, path, text, error, error_size);
}

static int is_conf(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

int config_load(
	struct node_config *c, const char *file, bool required, const char *directory, char *error, size_t error_size)
{
	if (required || access(file, F_OK) == 0) {
		int r = load_file(c, file, error, error_size);
		if (r < 0)
			return r;
	}
	struct dirent **entries;
	int count = scandir(directory, &entries, is_conf, alphasort), r = 0;
	for (int i = 0; i < count; i++) {
		char path[1024];
		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		if (r == 0)
			r = load_file(c, path, error, error_size);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return r;
}
