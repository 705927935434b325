/* What happened on this node, numbered, in a ring. Numbers go on over restarts: a block of them is reserved in a file at
 * a time, so a node that was killed skips at most a block; one that ended orderly skips none. */
#ifndef TBMESH_NODE_EVENT_H
#define TBMESH_NODE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_RING 4096
#define EVENT_FIELDS 14
#define EVENT_NAME_SIZE 32
#define EVENT_VALUE_SIZE 160

struct node_event_field {
	char name[EVENT_NAME_SIZE];
	char value[EVENT_VALUE_SIZE];
};
struct node_event {
	uint64_t number;            /* given by event_log_add */
	char type[EVENT_NAME_SIZE]; /* names of DESIGN §7 */
	uint64_t realtime_us;       /* 0: event_log_add takes the time of monotonic_ns */
	uint64_t monotonic_ns;      /* 0: now */
	char subject[EVENT_VALUE_SIZE];
	struct node_event_field fields[EVENT_FIELDS];
	size_t field_count;
};

void node_event_init(struct node_event *e, const char *type, const char *subject);
/* Cuts what is too long; drops what has no room. */
void node_event_field(struct node_event *e, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct event_log;
/* number_path: where the next number is kept, NULL: start at 1. added (may be NULL): told after each event. */
struct event_log *event_log_create(const char *number_path, void (*added)(void *ctx, const struct node_event *e), void *ctx);
void event_log_destroy(struct event_log *l);
uint64_t event_log_add(struct event_log *l, const struct node_event *e); /* its number */
uint64_t event_log_last(const struct event_log *l);                      /* 0: none yet */
uint64_t event_log_first(const struct event_log *l); /* the first one of this process has, or will have, it */
/* Numbers behind `since` that are no longer kept: dropped by the ring, or of a former process (then at most so many). */
uint64_t event_log_lost(const struct event_log *l, uint64_t since);
bool event_is_of(const char *type, char *const *types, size_t type_count); /* none: any */
bool event_is_about(const char *text, const char *about);                  /* is that, or ends with '/' and that */
/* Is it of one of these types (none: any), and about that ("": anything): its subject or a field is that, or ends with '/' and that? */
bool event_matches(const struct node_event *e, char *const *types, size_t type_count, const char *about);
/* The first event with a number larger than since, or NULL. Valid until the next call of any of these. */
const struct node_event *event_log_next(struct event_log *l, uint64_t since);

#endif
