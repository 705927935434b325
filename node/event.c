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

/* An event as it is kept: its texts one behind the other, each with its NUL: type, subject, names and values. */
struct kept {
	uint64_t number, realtime_us, monotonic_ns;
	size_t field_count;
	char texts[];
};

struct event_log {
	struct kept *ring[EVENT_RING]; /* number n lies at n % EVENT_RING */
	struct node_event shown;       /* what event_log_next returned last */
	uint64_t first;                /* smallest number since the start of this process */
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

static void save(const struct event_log *l, uint64_t number)
{
	char text[32];
	int length = snprintf(text, sizeof text, "%" PRIu64 "\n", number);
	int r = file_write_atomic(l->number_path, text, (size_t)length, 0600);
	if (r < 0)
		log_debug("cannot keep the event number in %s: %s", l->number_path, strerror(-r));
}

static void reserve(struct event_log *l)
{
	if (!l->number_path || l->next < l->reserved)
		return;
	l->reserved = l->next + NUMBER_BLOCK;
	save(l, l->reserved);
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
	if (l->number_path && l->next < l->reserved)
		save(l, l->next); /* the next process skips none */
	for (size_t i = 0; i < EVENT_RING; i++)
		free(l->ring[i]);
	free(l->number_path);
	free(l);
}

static char *put(char *at, const char *text)
{
	size_t size = strlen(text) + 1;
	memcpy(at, text, size);
	return at + size;
}

static struct kept *keep(const struct node_event *e)
{
	size_t size = strlen(e->type) + strlen(e->subject) + 2;
	for (size_t i = 0; i < e->field_count; i++)
		size += strlen(e->fields[i].name) + strlen(e->fields[i].value) + 2;
	struct kept *k = malloc(sizeof *k + size);
	if (!k)
		return NULL;
	*k = (struct kept){ e->number, e->realtime_us, e->monotonic_ns, e->field_count };
	char *at = put(put(k->texts, e->type), e->subject);
	for (size_t i = 0; i < e->field_count; i++)
		at = put(put(at, e->fields[i].name), e->fields[i].value);
	return k;
}

static const char *get(const char *at, char *to)
{
	size_t size = strlen(at) + 1; /* it came from such an array */
	memcpy(to, at, size);
	return at + size;
}

static void show(const struct kept *k, struct node_event *e)
{
	e->number = k->number;
	e->realtime_us = k->realtime_us;
	e->monotonic_ns = k->monotonic_ns;
	e->field_count = k->field_count;
	const char *at = get(get(k->texts, e->type), e->subject);
	for (size_t i = 0; i < k->field_count; i++)
		at = get(get(at, e->fields[i].name), e->fields[i].value);
}

uint64_t event_log_add(struct event_log *l, const struct node_event *e)
{
	struct node_event added = *e;
	uint64_t now_ns = time_monotonic_ns();
	if (added.monotonic_ns == 0 || added.monotonic_ns > now_ns)
		added.monotonic_ns = now_ns;
	if (added.realtime_us == 0)
		added.realtime_us = time_realtime_us() - (now_ns - added.monotonic_ns) / 1000;
	reserve(l);
	added.number = l->next++;
	struct kept **slot = &l->ring[added.number % EVENT_RING];
	free(*slot);
	*slot = keep(&added); /* without memory it counts as no longer kept */
	if (l->added)
		l->added(l->ctx, &added);
	return added.number;
}

uint64_t event_log_last(const struct event_log *l)
{
	return l->next - 1;
}

uint64_t event_log_first(const struct event_log *l)
{
	return l->first;
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

const struct node_event *event_log_next(struct event_log *l, uint64_t since)
{
	for (uint64_t number = since < oldest(l) ? oldest(l) : since + 1; number < l->next; number++) {
		const struct kept *k = l->ring[number % EVENT_RING];
		if (!k)
			continue;
		show(k, &l->shown);
		return &l->shown;
	}
	return NULL;
}

bool event_is_of(const char *type, char *const *types, size_t type_count)
{
	bool found = type_count == 0;
	for (size_t i = 0; i < type_count; i++)
		found |= strcasecmp(type, types[i]) == 0;
	return found;
}

bool event_is_about(const char *text, const char *about)
{
	size_t length = strlen(text), wanted = strlen(about);
	if (length < wanted || strcmp(text + length - wanted, about) != 0)
		return false;
	return length == wanted || text[length - wanted - 1] == '/';
}

bool event_matches(const struct node_event *e, char *const *types, size_t type_count, const char *about)
{
	if (!event_is_of(e->type, types, type_count))
		return false;
	bool found = !about[0] || event_is_about(e->subject, about);
	for (size_t i = 0; i < e->field_count; i++)
		found |= event_is_about(e->fields[i].value, about);
	return found;
}
