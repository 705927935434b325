#include "node/workload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/util.h"
#include "gpu/description.h"
#include "node/arena.h"
#include "node/eject.h"
#include "node/executor.h"
#include "node/node.h"
#include "node/placement.h"
#include "node/process.h"
#include "proto/messages.h"

#define SILENT_NS 5000000000ull     /* after that a session whose process is gone counts as dead */
#define SETTLED_NS 5000000000ull    /* after the start: peers have been heard by then */
#define REMEMBER_NS 600000000000ull /* what has ended stays in the list for so long */

struct workload {
	struct list link;
	Tbmesh__Workload *message; /* owned */
	struct api_route route;
	uint64_t seen_ns;
	bool has_target;      /* another GPU could take it, at the last look */
	uint64_t leave_order; /* the last order to leave a GPU that it was sent */
	bool swept;           /* it is over, and what still ran for it was killed */
};

struct workloads {
	struct node *node;
	struct list list;
	size_t count;
	bool look_later; /* for GPUs that could take workloads */
};

struct workloads *workloads_create(struct node *n)
{
	struct workloads *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->node = n;
	list_init(&w->list);
	return w;
}

static void workload_free(struct workloads *all, struct workload *w)
{
	if (w->message)
		tbmesh__workload__free_unpacked(w->message, NULL);
	list_remove(&w->link);
	free(w);
	all->count--;
}

void workloads_destroy(struct workloads *w)
{
	if (!w)
		return;
	list_for_each_safe(one, &w->list, struct workload, link)
		workload_free(w, one);
	free(w);
}

static bool is_over(const Tbmesh__Workload *m)
{
	return strcmp(m->state, "finished") == 0 || strcmp(m->state, "lost") == 0;
}

static Tbmesh__Workload *clone(const Tbmesh__Workload *m)
{
	size_t size = tbmesh__workload__get_packed_size(m);
	__attribute__((cleanup(free_pointer))) unsigned char *bytes = malloc(size + 1);
	if (!bytes)
		return NULL;
	tbmesh__workload__pack(m, bytes);
	return tbmesh__workload__unpack(NULL, size, bytes);
}

static bool is_running(const Tbmesh__Workload *m)
{
	return m && strcmp(m->state, "running") == 0;
}

static bool same_needs(const Tbmesh__Workload *x, const Tbmesh__Workload *y)
{
	if (!x || x->n_needs != y->n_needs)
		return false;
	for (size_t i = 0; i < x->n_needs; i++) {
		const Tbmesh__Need *a = x->needs[i], *b = y->needs[i];
		if (a->kind != b->kind || a->a != b->a || a->b != b->b || a->c != b->c || strcmp(a->text, b->text) != 0)
			return false;
	}
	return true;
}

static struct workload *find(const struct workloads *w, const char *id)
{
	list_for_each(one, &w->list, struct workload, link)
		if (strcmp(one->message->id, id) == 0)
			return one;
	return NULL;
}

/* Room for a new one: the oldest that is over makes way. */
static bool make_room(struct workloads *w)
{
	if (w->count < WORKLOADS_MAX)
		return true;
	list_for_each(one, &w->list, struct workload, link)
		if (is_over(one->message)) {
			workload_free(w, one);
			return true;
		}
	return false;
}

static void take_events(struct workloads *w, const Tbmesh__WorkloadReport *r)
{
	for (size_t i = 0; i < r->n_events; i++) {
		const Tbmesh__Event *m = r->events[i];
		struct node_event e;
		node_event_init(&e, m->type, m->subject[0] ? m->subject : r->workload->id);
		e.realtime_us = m->realtime_us;
		e.monotonic_ns = m->monotonic_ns;
		for (size_t f = 0; f < m->n_fields; f++)
			node_event_field(&e, m->fields[f]->name, "%s", m->fields[f]->value);
		node_event(w->node, &e);
	}
}

int workloads_report(struct workloads *w, const struct api_route *from, const Tbmesh__WorkloadReport *r)
{
	if (!r->workload || !r->workload->id[0])
		return -EINVAL;
	struct workload *one = find(w, r->workload->id);
	Tbmesh__Workload *message = clone(r->workload);
	if (!message)
		return -ENOMEM;
	if (!one) {
		one = make_room(w) ? calloc(1, sizeof *one) : NULL;
		if (!one) {
			tbmesh__workload__free_unpacked(message, NULL);
			return -ENOSPC;
		}
		list_append(&w->list, &one->link);
		w->count++;
		one->has_target = true; /* until it is looked at: one that starts without is told of */
		log_info("workload %s of %s (pid %u)", message->id, message->program, message->pid);
	}
	bool look = is_running(one->message) != is_running(message) || !same_needs(one->message, message);
	if (one->message)
		tbmesh__workload__free_unpacked(one->message, NULL);
	one->message = message;
	one->route = *from;
	one->seen_ns = time_monotonic_ns();
	take_events(w, r);
	eject_look(w->node->ejects);
	if (look)
		workloads_look_for_targets(w);
	return 0;
}

static void mark_lost(struct workloads *w, struct workload *one)
{
	char *lost = strdup("lost");
	if (!lost)
		return;
	free(one->message->state);
	one->message->state = lost;
	log_warn("workload %s of %s: its session %u is gone", one->message->id, one->message->program,
		one->message->session_pid);
	struct node_event e;
	node_event_init(&e, "WorkloadLost", one->message->id);
	node_event_field(&e, "program", "%s", one->message->program);
	node_event_field(&e, "reason", "session %u ended without a word", one->message->session_pid);
	node_event(w->node, &e);
}

void workloads_tick(struct workloads *w)
{
	uint64_t now_ns = time_monotonic_ns();
	if (w->look_later)
		workloads_look_for_targets(w);
	list_for_each_safe(one, &w->list, struct workload, link) {
		uint64_t silent_ns = now_ns - one->seen_ns;
		if (is_over(one->message)) {
			if (silent_ns > SILENT_NS && !one->swept)
				executors_kill_workload(w->node->executors, one->message->id);
			one->swept = silent_ns > SILENT_NS;
			if (silent_ns > REMEMBER_NS)
				workload_free(w, one);
		} else if (silent_ns > SILENT_NS && !process_alive((pid_t)one->message->session_pid)) {
			mark_lost(w, one);
		}
	}
}

void workloads_gpu_gone(struct workloads *w, const char *key, uint64_t at_ns)
{
	list_for_each(one, &w->list, struct workload, link) {
		if (is_over(one->message) || strcmp(one->message->gpu, key) != 0)
			continue;
		Tbmesh__GpuGone gone = TBMESH__GPU_GONE__INIT;
		Tbmesh__Reply reply = TBMESH__REPLY__INIT;
		gone.gpu = (char *)key;
		gone.at_ns = at_ns;
		reply.body_case = TBMESH__REPLY__BODY_GPU_GONE;
		reply.gpu_gone = &gone;
		api_reply(w->node->api, &one->route, &reply);
	}
}

/* Judges all GPUs but the one that it runs on. ret_verdicts: best first, owned by the caller. Returns the number that fit; -1 when
 * out of memory. */
static int find_targets(const struct workloads *w, const Tbmesh__Workload *m, struct policy_gpu **ret_gpus,
	struct policy_verdict **ret_verdicts, size_t *ret_count)
{
	struct policy_gpu *gpus = NULL;
	size_t count = placement_gpus(w->node, &gpus);
	__attribute__((cleanup(free_pointer))) struct gpu_need *needs = placement_needs(m->needs, m->n_needs);
	struct policy_verdict *verdicts = calloc(count + 1, sizeof *verdicts);
	if (!gpus || !verdicts || (m->n_needs > 0 && !needs)) {
		free(gpus);
		free(verdicts);
		return -1;
	}
	for (size_t i = 0; is_running(m) && i < count; i++)
		if (strcmp(gpus[i].key, m->gpu) == 0) {
			memmove(&gpus[i], &gpus[i + 1], (count - i - 1) * sizeof *gpus);
			count--;
			break;
		}
	struct policy_request r = { .needs = needs,
		.need_count = m->n_needs,
		.prefer = "",
		.cpu_fallback = w->node->config.prefer_cpu_fallback,
		.covers = description_covers };
	size_t fits = policy_rank(&r, gpus, count, verdicts);
	*ret_gpus = gpus;
	*ret_verdicts = verdicts;
	*ret_count = count;
	return (int)fits;
}

/* A node that just started, or waits for a probe or a description, does not know yet what there is. */
static bool knows_the_mesh(const struct node *n)
{
	return time_monotonic_ns() - n->started_ns >= SETTLED_NS && !gpu_probe_pending(n->probe) &&
		!inventory_incomplete(n->inventory);
}

void workloads_look_for_targets(struct workloads *w)
{
	w->look_later = !knows_the_mesh(w->node);
	if (w->look_later)
		return;
	list_for_each(one, &w->list, struct workload, link) {
		if (!is_running(one->message))
			continue;
		__attribute__((cleanup(free_pointer))) struct policy_gpu *gpus = NULL;
		__attribute__((cleanup(free_pointer))) struct policy_verdict *verdicts = NULL;
		size_t count = 0;
		int fits = find_targets(w, one->message, &gpus, &verdicts, &count);
		if (fits < 0 || one->has_target == (fits > 0))
			continue;
		one->has_target = fits > 0;
		struct node_event e;
		node_event_init(&e, fits > 0 ? "TargetFound" : "TargetsLost", one->message->id);
		node_event_field(&e, "gpu", "%s", one->message->gpu);
		if (fits > 0)
			node_event_field(&e, "target", "%s", gpus[verdicts[0].gpu].key);
		/* The reasons why nobody else can. */
		for (size_t i = 0; fits == 0 && i < count; i++) {
			char name[EVENT_NAME_SIZE] = "why";
			if (i > 0)
				snprintf(name, sizeof name, "why%zu", i + 1);
			node_event_field(&e, name, "%s: %s", gpus[verdicts[i].gpu].key, verdicts[i].why);
		}
		node_event(w->node, &e);
	}
}

bool workloads_stuck_on(const struct workloads *w, const char *key, char *why, size_t why_size)
{
	list_for_each(one, &w->list, struct workload, link) {
		if (!is_running(one->message) || strcmp(one->message->gpu, key) != 0)
			continue;
		__attribute__((cleanup(free_pointer))) struct policy_gpu *gpus = NULL;
		__attribute__((cleanup(free_pointer))) struct policy_verdict *verdicts = NULL;
		size_t count = 0;
		if (find_targets(w, one->message, &gpus, &verdicts, &count) != 0)
			continue;
		int length =
			snprintf(why, why_size, "%s (pid %u) can go nowhere else", one->message->program, one->message->pid);
		for (size_t i = 0; i < count && length > 0 && (size_t)length < why_size; i++)
			length += snprintf(why + length, why_size - (size_t)length, "%s %s: %s", i == 0 ? ":" : ";",
				gpus[verdicts[i].gpu].key, verdicts[i].why);
		if (count == 0)
			snprintf(why + length, why_size - (size_t)length, ": there is no other GPU in the mesh");
		return true;
	}
	return false;
}

static void send_leave(struct workloads *w, struct workload *one, const char *key, uint64_t order)
{
	Tbmesh__LeaveGpu leave = TBMESH__LEAVE_GPU__INIT;
	Tbmesh__Reply reply = TBMESH__REPLY__INIT;
	leave.gpu = (char *)key;
	leave.number = order;
	reply.body_case = TBMESH__REPLY__BODY_LEAVE_GPU;
	reply.leave_gpu = &leave;
	api_reply(w->node->api, &one->route, &reply);
	one->leave_order = order;
}

size_t workloads_leave(struct workloads *w, const char *key, uint64_t order, size_t *ret_refused, char *why, size_t why_size)
{
	size_t there = 0, refused = 0;
	list_for_each(one, &w->list, struct workload, link) {
		const Tbmesh__Workload *m = one->message;
		if (is_over(m) || strcmp(m->gpu, key) != 0)
			continue;
		there++;
		if (one->leave_order != order)
			send_leave(w, one, key, order);
		else if (m->leave_order == order && !m->leaving && m->stays[0] && refused++ == 0)
			snprintf(why, why_size, "%s (pid %u) can't go: %s", m->program, m->pid, m->stays);
	}
	*ret_refused = refused;
	return there;
}

uint64_t workloads_waiting_ms(const struct workloads *w, const struct inventory *i, const char *pci_address)
{
	uint64_t waiting_ms = 0;
	list_for_each(one, &w->list, struct workload, link) {
		const struct inventory_gpu *g = is_running(one->message) ? inventory_find(i, one->message->gpu) : NULL;
		if (g && !g->peer[0] && strcmp(g->pci_address, pci_address) == 0 && one->message->waiting_ms > waiting_ms)
			waiting_ms = one->message->waiting_ms;
	}
	return waiting_ms;
}

size_t workloads_count(const struct workloads *w)
{
	size_t count = 0;
	list_for_each(one, &w->list, struct workload, link)
		count += !is_over(one->message);
	return count;
}

/* Who could take it now, and why others can't. */
static void judge(const struct workloads *w, Tbmesh__Workload *m, struct arena *a)
{
	__attribute__((cleanup(free_pointer))) struct policy_gpu *gpus = NULL;
	__attribute__((cleanup(free_pointer))) struct policy_verdict *verdicts = NULL;
	size_t count = 0;
	m->n_could_take = m->n_refusals = 0;
	if (find_targets(w, m, &gpus, &verdicts, &count) < 0)
		return;
	m->could_take = arena_alloc(a, (count + 1) * sizeof *m->could_take);
	m->refusals = arena_alloc(a, (count + 1) * sizeof *m->refusals);
	if (!m->could_take || !m->refusals)
		return;
	for (size_t i = 0; i < count && m->n_could_take < 256 && m->n_refusals < 256; i++) {
		const char *key = gpus[verdicts[i].gpu].key;
		if (verdicts[i].fits)
			m->could_take[m->n_could_take++] = arena_text(a, key);
		else
			m->refusals[m->n_refusals++] = arena_printf(a, "%s: %s", key, verdicts[i].why);
	}
}

size_t workloads_fill(const struct workloads *w, Tbmesh__Workload ***ret, struct arena *a)
{
	Tbmesh__Workload **list = arena_alloc(a, (w->count + 1) * sizeof *list),
			 *out = arena_alloc(a, (w->count + 1) * sizeof *out);
	size_t count = 0;
	if (!list || !out)
		return 0;
	/* A list has room for 256 (limits.h): the newest count. */
	size_t skip = w->count > 256 ? w->count - 256 : 0;
	list_for_each(one, &w->list, struct workload, link) {
		if (skip > 0) {
			skip--;
			continue;
		}
		out[count] = *one->message;
		if (!is_over(one->message))
			judge(w, &out[count], a);
		list[count] = &out[count];
		count++;
	}
	*ret = list;
	return count;
}
