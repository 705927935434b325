#include "node/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

#define NUMBER_BLOCK 1024

struct event_log {
	struct node_event ring[EVENT_RING]; /* number n lies at n % EVENT_RING */
	uint64_t first;                     /* smallest number since the start of this process */
	uint64_t next;
	uint64_t reserved; /* numbers below are ours */
	char *number_path;
	void (*added)(void *ctx, const struct node_event *e);
	void *ctx;
};

void node_event_init(struct node_event *e, const char *type, const char *subject)
{
	memset(e, 0, sizeof *e);
	snprintf(e->type, sizeof e->type, "%s", type);
	snprintf(e->subject, sizeof e->subject, "%s", subject);
}

void node_event_field(struct node_event *e, const char *name, const char *format, ...)
{
	if (e->field_count == EVENT_FIELDS)
		return;
	struct node_event_field *f = &e->fields[e->field_count++];
	snprintf(f->name, sizeof f->name, "%s", name);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(f->value, sizeof f->value, format, arguments);
	va_end(arguments);
}

static uint64_t load_number(const char *path)
{
	__attribute__((cleanup(free_pointer))) char *text = NULL;
	size_t size;
	char *end;
	if (file_read(path, 64, &text, &size) < 0)
		return 1;
	unsigned long long number = strtoull(text, &end, 10);
	return end != text && number > 0 && number < UINT64_MAX / 2 ? number : 1;
}

static void reserve(struct event_log *l)
{
	if (!l->number_path || l->next < l->reserved)
		return;
	l->reserved = l->next + NUMBER_BLOCK;
	char text[32];
	int length = snprintf(text, sizeof text, "%" PRIu64 "\n", l->reserved);
	int r = file_write_atomic(l->number_path, text, (size_t)length, 0600);
	if (r < 0)
		log_debug("cannot keep the event number in %s: %s", l->number_path, strerror(-r));
}

struct event_log *event_log_create(const char *number_path, void (*added)(void *ctx, const struct node_event *e), void *ctx)
{
	struct event_log *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->added = added;
	l->ctx = ctx;
	l->first = l->next = l->reserved = number_path ? load_number(number_path) : 1;
	l->number_path = number_path ? strdup(number_path) : NULL;
	if (number_path && !l->number_path) {
		free(l);
		return NULL;
	}
	reserve(l);
	return l;
}

void event_log_destroy(struct event_log *l)
{
	if (!l)
		return;
	free(l->number_path);
	free(l);
}

uint64_t event_log_add(struct event_log *l, const struct node_event *e)
{
	reserve(l);
	struct node_event *slot = &l->ring[l->next % EVENT_RING];
	*slot = *e;
	slot->number = l->next++;
	uint64_t now_ns = time_monotonic_ns();
	if (slot->monotonic_ns == 0 || slot->monotonic_ns > now_ns)
		slot->monotonic_ns = now_ns;
	if (slot->realtime_us == 0)
		slot->realtime_us = time_realtime_us() - (now_ns - slot->monotonic_ns) / 1000;
	if (l->added)
		l->added(l->ctx, slot);
	return slot->number;
}

uint64_t event_log_last(const struct event_log *l)
{
	return l->next - 1;
}

static uint64_t oldest(const struct event_log *l)
{
	return l->next - l->first > EVENT_RING ? l->next - EVENT_RING : l->first;
}

uint64_t event_log_lost(const struct event_log *l, uint64_t since)
{
	uint64_t have = oldest(l);
	return since + 1 < have ? have - since - 1 : 0;
}

const struct node_event *event_log_next(const struct event_log *l, uint64_t since)
{
	uint64_t number = since < oldest(l) ? oldest(l) : since + 1;
	return number < l->next ? &l->ring[number % EVENT_RING] : NULL;
}

static bool is_about(const char *text, const char *about)
{
	size_t length = strlen(text), wanted = strlen(about);
	if (length < wanted || strcmp(text + length - wanted, about) != 0)
		return false;
	return length == wanted || text[length - wanted - 1] == '/';
}

bool event_matches(const struct node_event *e, char *const *types, size_t type_count, const char *about)
{
	bool of_type = type_count == 0;
	for (size_t i = 0; i < type_count; i++)
		of_type |= strcasecmp(e->type, types[i]) == 0;
	if (!of_type || !about[0])
		return of_type;
	bool found = is_about(e->subject, about);
	for (size_t i = 0; i < e->field_count; i++)
		found |= is_about(e->fields[i].value, about);
	return found;
}
