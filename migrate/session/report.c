#include "migrate/session/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "proto/messages.h"

struct report_event *report_event_add(
	struct report_events *events, const char *type, const char *subject, uint64_t monotonic_ns)
{
	struct report_event *e;
	uint64_t ago_us = (time_monotonic_ns() - monotonic_ns) / 1000;

	if (events->count == REPORT_MAX_EVENTS)
		memmove(&events->at[0], &events->at[1], --events->count * sizeof(events->at[0]));
	e = &events->at[events->count++];
	*e = (struct report_event){ .type = type, .monotonic_ns = monotonic_ns, .realtime_us = time_realtime_us() - ago_us };
	snprintf(e->subject, sizeof(e->subject), "%s", subject);
	return e;
}

void report_event_field(struct report_event *e, const char *name, const char *format, ...)
{
	struct report_field *f;
	va_list args;

	if (e->field_count == REPORT_MAX_FIELDS)
		return;
	f = &e->fields[e->field_count++];
	snprintf(f->name, sizeof(f->name), "%s", name);
	va_start(args, format);
	vsnprintf(f->value, sizeof(f->value), format, args);
	va_end(args);
}

int report_needs_init(struct report_needs *n, const struct buf *records)
{
	size_t count = 0, text_size = 0;
	Tbmesh__Need *need;
	char *text;

	*n = (struct report_needs){ 0 };
	for (size_t at = 0; at < records->size; at += ((const struct record_header *)(records->data + at))->size)
		count++;
	text_size = records->size + count; /* more than enough */
	n->memory = malloc(count * (sizeof(*need) + sizeof(*n->list)) + text_size + 1);
	if (!n->memory)
		return -ENOMEM;
	need = n->memory;
	n->list = (Tbmesh__Need **)(need + count);
	text = (char *)(n->list + count);
	for (size_t at = 0; at < records->size; need++) {
		const struct record_header *h = (const void *)(records->data + at);
		const struct record_need *r = (const void *)(h + 1);

		tbmesh__need__init(need);
		need->kind = r->kind;
		need->a = r->a;
		need->b = r->b;
		need->c = r->c;
		need->text = text;
		memcpy(text, r + 1, r->text_size);
		text[r->text_size] = 0;
		text += r->text_size + 1;
		n->list[n->count++] = need;
		at += h->size;
	}
	return 0;
}

void report_needs_finish(struct report_needs *n)
{
	free(n->memory);
	*n = (struct report_needs){ 0 };
}

struct packed_events {
	Tbmesh__Event events[REPORT_MAX_EVENTS];
	Tbmesh__Event *event_list[REPORT_MAX_EVENTS];
	Tbmesh__Field fields[REPORT_MAX_EVENTS][REPORT_MAX_FIELDS];
	Tbmesh__Field *field_lists[REPORT_MAX_EVENTS][REPORT_MAX_FIELDS];
};

static void pack_events(struct packed_events *p, struct report_events *events, Tbmesh__WorkloadReport *report)
{
	for (unsigned i = 0; i < events->count; i++) {
		struct report_event *e = &events->at[i];

		tbmesh__event__init(&p->events[i]);
		p->event_list[i] = &p->events[i];
		p->events[i].type = (char *)e->type;
		p->events[i].subject = e->subject;
		p->events[i].realtime_us = e->realtime_us;
		p->events[i].monotonic_ns = e->monotonic_ns;
		p->events[i].fields = p->field_lists[i];
		p->events[i].n_fields = e->field_count;
		for (unsigned k = 0; k < e->field_count; k++) {
			tbmesh__field__init(&p->fields[i][k]);
			p->fields[i][k].name = e->fields[k].name;
			p->fields[i][k].value = e->fields[k].value;
			p->field_lists[i][k] = &p->fields[i][k];
		}
	}
	report->events = p->event_list;
	report->n_events = events->count;
}

uint64_t report_send(struct node_link *node, const struct report_facts *facts, const struct session_status *status,
	const char *state, const struct buf *needs, struct report_events *events)
{
	Tbmesh__Request request = TBMESH__REQUEST__INIT;
	Tbmesh__WorkloadReport report = TBMESH__WORKLOAD_REPORT__INIT;
	Tbmesh__Workload workload = TBMESH__WORKLOAD__INIT;
	struct packed_events packed;
	struct report_needs packed_needs;
	uint64_t id;

	if (report_needs_init(&packed_needs, needs) < 0)
		return 0;
	workload.id = (char *)facts->id;
	workload.program = (char *)facts->program;
	workload.pid = (uint32_t)facts->program_pid;
	workload.session_pid = (uint32_t)getpid();
	workload.executor_pid = (uint32_t)facts->executor_pid;
	workload.state = (char *)state;
	workload.gpu = (char *)status->gpu;
	workload.gpu_name = (char *)facts->gpu_name;
	workload.epoch = status->epoch;
	workload.completed_seq = status->completed_seq;
	workload.committed_seq = status->committed_seq;
	workload.state_bytes = status->state_bytes;
	workload.moves = status->moves;
	workload.mode = (char *)(facts->relaxed ? "relaxed" : "strict");
	workload.diverged = status->diverged;
	workload.leave_order = facts->leave_order;
	workload.waiting_ms = status->waiting_ns / 1000000;
	workload.leaving = status->leaving;
	workload.stays = (char *)facts->stays;
	workload.needs = packed_needs.list;
	workload.n_needs = packed_needs.count;
	report.workload = &workload;
	pack_events(&packed, events, &report);
	request.body_case = TBMESH__REQUEST__BODY_REPORT;
	request.report = &report;
	id = node_link_ask(node, &request);
	report_needs_finish(&packed_needs);
	if (id)
		events->count = 0;
	return id;
}
