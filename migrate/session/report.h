/* What a workload tells its node: how it is, and what happened. */
#ifndef TBMESH_MIGRATE_SESSION_REPORT_H
#define TBMESH_MIGRATE_SESSION_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "migrate/session/core.h"
#include "migrate/session/node_link.h"

#define REPORT_MAX_EVENTS 32
#define REPORT_MAX_FIELDS 12 /* no more than the node keeps */

struct report_field {
	char name[24];
	char value[SESSION_TEXT];
};
struct report_event {
	const char *type; /* static */
	char subject[SESSION_TEXT];
	uint64_t realtime_us, monotonic_ns;
	struct report_field fields[REPORT_MAX_FIELDS];
	unsigned field_count;
};
/* Events that the node has not been told; when it is away for long, the oldest go. */
struct report_events {
	struct report_event at[REPORT_MAX_EVENTS];
	unsigned count;
};

/* What does not change, or what the core does not know. */
struct report_facts {
	char id[32];
	const char *program;
	int program_pid;
	int executor_pid;
	char gpu_name[SESSION_TEXT];
	bool relaxed;
	uint64_t leave_order; /* last order of the node to leave a GPU, 0 none */
	char stays[SESSION_TEXT];
};

/* A new event of that time, to be filled with fields. */
struct report_event *report_event_add(
	struct report_events *events, const char *type, const char *subject, uint64_t monotonic_ns);
void report_event_field(struct report_event *e, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* needs: NEED records back to back. Sends the report and forgets the events. The request's id, or 0 (events are kept). */
uint64_t report_send(struct node_link *node, const struct report_facts *facts, const struct session_status *status,
	const char *state, const struct buf *needs, struct report_events *events);

/* The needs as a message has them; for AcquireRequest, too. Owns what it points to. */
struct Tbmesh__Need;
struct report_needs {
	struct Tbmesh__Need **list;
	size_t count;
	void *memory; /* owned */
};
int report_needs_init(struct report_needs *n, const struct buf *records); /* 0 or -ENOMEM */
void report_needs_finish(struct report_needs *n);

#endif
