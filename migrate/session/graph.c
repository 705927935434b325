#include "migrate/session/graph.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

/* One dependency of one record, in the list of the object that it names. */
struct graph_edge {
	struct list link;
	struct graph_record *from;
	struct graph_object *to;
};

struct graph_record {
	struct list link; /* in the subject's records */
	struct graph_object *subject;
	uint64_t position;
	size_t edge_count;
	struct graph_edge *edges;    /* behind the bytes of the record */
	struct record_header header; /* and the rest of the record */
};

struct graph_object {
	uint64_t id;
	bool destroyed; /* by the program; kept for those who were made from it */
	bool dying;     /* on the list of what is being removed */
	struct list dead_link;
	struct list records; /* the CREATE first, then UPDATEs in log order */
	struct list strong;  /* edges of CREATEs of others that name it */
	struct list weak;    /* edges of UPDATEs that name it */
};

static void record_destroy(struct graph *g, struct graph_record *r)
{
	for (size_t i = 0; i < r->edge_count; i++)
		if (r->edges[i].to)
			list_remove(&r->edges[i].link);
	list_remove(&r->link);
	if (r->header.kind == RECORD_UPDATE)
		map_take(&g->updates, r->header.subject, r->header.key);
	g->record_count--;
	g->record_bytes -= r->header.size;
	free(r);
}

/* Keeps a copy of the record and links it to all that it names. NULL with *ret_error -ENOMEM, or 0 when it names something that
 * is not there. */
static struct graph_record *record_create(
	struct graph *g, uint64_t position, const struct record_header *header, struct graph_object *subject, int *ret_error)
{
	const uint64_t *deps = (const uint64_t *)(header + 1);
	struct graph_record *r;

	*ret_error = 0;
	for (size_t i = 0; i < header->dep_count; i++) {
		const struct graph_object *to = map_get(&g->objects, deps[i], 0);

		if (!to || to->destroyed)
			return NULL;
	}
	r = calloc(1, offsetof(struct graph_record, header) + header->size + header->dep_count * sizeof(struct graph_edge));
	if (!r) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	r->subject = subject;
	r->position = position;
	r->edge_count = header->dep_count;
	memcpy(&r->header, header, header->size);
	r->edges = (struct graph_edge *)((unsigned char *)&r->header + header->size);
	for (size_t i = 0; i < r->edge_count; i++) {
		struct graph_object *to = map_get(&g->objects, deps[i], 0);

		/* A recording that names itself, or an object made from itself, would never fall. */
		if (to == subject)
			continue;
		r->edges[i].from = r;
		r->edges[i].to = to;
		list_append(header->kind == RECORD_UPDATE ? &to->weak : &to->strong, &r->edges[i].link);
	}
	list_append(&subject->records, &r->link);
	g->record_count++;
	g->record_bytes += header->size;
	return r;
}

static void mark_dead(struct list *dead, struct graph_object *o)
{
	if (o->dying)
		return;
	o->dying = true;
	list_append(dead, &o->dead_link);
}

/* Removes all on the list, what was made from it, and what was only kept for it. */
static void bury(struct graph *g, struct list *dead)
{
	while (!list_empty(dead)) {
		struct graph_object *o = list_entry(dead->next, struct graph_object, dead_link);

		list_remove(&o->dead_link);
		list_for_each(e, &o->strong, struct graph_edge, link)
			mark_dead(dead, e->from->subject);
		while (!list_empty(&o->strong)) {
			struct graph_edge *e = list_entry(o->strong.next, struct graph_edge, link);

			list_remove(&e->link);
			e->to = NULL;
		}
		while (!list_empty(&o->weak))
			record_destroy(g, list_entry(o->weak.next, struct graph_edge, link)->from);
		while (!list_empty(&o->records)) {
			struct graph_record *r = list_entry(o->records.next, struct graph_record, link);

			for (size_t i = 0; i < r->edge_count; i++) {
				struct graph_object *kept = r->edges[i].to;

				if (!kept || r->header.kind == RECORD_UPDATE)
					continue;
				list_remove(&r->edges[i].link);
				r->edges[i].to = NULL;
				if (kept->destroyed && list_empty(&kept->strong))
					mark_dead(dead, kept);
			}
			record_destroy(g, r);
		}
		map_take(&g->objects, o->id, 0);
		free(o);
	}
}

static int apply_create(struct graph *g, uint64_t position, const struct record_header *record)
{
	struct graph_object *o;
	struct graph_record *r;
	int error;

	if (map_get(&g->objects, record->subject, 0))
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->id = record->subject;
	list_init(&o->dead_link);
	list_init(&o->records);
	list_init(&o->strong);
	list_init(&o->weak);
	r = record_create(g, position, record, o, &error);
	if (!r) {
		free(o);
		return error;
	}
	error = map_put(&g->objects, o->id, 0, o);
	if (error < 0) {
		record_destroy(g, r);
		free(o);
	}
	return error;
}

static int apply_update(struct graph *g, uint64_t position, const struct record_header *record)
{
	struct graph_object *subject = map_get(&g->objects, record->subject, 0);
	struct graph_record *old, *r;
	int error;

	if (!subject)
		return 0;
	old = map_get(&g->updates, record->subject, record->key);
	if (old)
		record_destroy(g, old);
	r = record_create(g, position, record, subject, &error);
	if (!r)
		return error;
	error = map_put(&g->updates, record->subject, record->key, r);
	if (error < 0)
		record_destroy(g, r);
	return error;
}

static void apply_destroy(struct graph *g, const struct record_header *record)
{
	struct graph_object *o = map_get(&g->objects, record->subject, 0);
	struct list dead;

	if (!o)
		return;
	list_init(&dead);
	if (record->kind == RECORD_FREE) {
		/* What lived in this memory can only be destroyed from now on: it is not made again, nor is what was made from it. */
		list_for_each(e, &o->weak, struct graph_edge, link)
			mark_dead(&dead, e->from->subject);
		mark_dead(&dead, o);
	} else if (list_empty(&o->strong)) {
		mark_dead(&dead, o);
	} else {
		o->destroyed = true;
		while (!list_empty(&o->weak))
			record_destroy(g, list_entry(o->weak.next, struct graph_edge, link)->from);
	}
	bury(g, &dead);
}

int graph_apply(struct graph *g, uint64_t position, const struct record_header *record)
{
	switch ((enum record_kind)record->kind) {
	case RECORD_CREATE:
	case RECORD_ALLOCATE:
		return apply_create(g, position, record);
	case RECORD_UPDATE:
		return apply_update(g, position, record);
	case RECORD_DESTROY:
	case RECORD_FREE:
		apply_destroy(g, record);
		return 0;
	case RECORD_WRITE:
	case RECORD_SUBMIT:
	case RECORD_NEED:
	case RECORD_COPY:
		break;
	}
	assert(!"a record that makes no object");
	return 0;
}

void graph_finish(struct graph *g)
{
	struct list dead;

	list_init(&dead);
	map_for_each(&g->objects, slot)
		mark_dead(&dead, slot->value);
	bury(g, &dead);
	assert(g->record_count == 0 && g->record_bytes == 0 && g->updates.count == 0);
	map_finish(&g->objects);
	map_finish(&g->updates);
}

/* The walk keeps its own marks, so that it changes nothing in the graph: index of a record = place in the sorted array. */
struct walk {
	const struct graph_record **sorted;
	size_t count;
	unsigned char *marks; /* WALK_… */
	struct walk_frame {
		size_t record, edge;
		const struct list *next;
	} * stack;
	size_t depth;
};
enum { WALK_NEW, WALK_OPEN, WALK_DONE };

static int by_position(const void *a, const void *b)
{
	const struct graph_record *x = *(const struct graph_record *const *)a, *y = *(const struct graph_record *const *)b;

	return x->position < y->position ? -1 : x->position > y->position;
}

static size_t walk_index(const struct walk *w, const struct graph_record *r)
{
	size_t low = 0, high = w->count - 1;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->sorted[middle]->position < r->position)
			low = middle + 1;
		else
			high = middle;
	}
	assert(w->sorted[low] == r);
	return low;
}

/* Puts the record on the stack unless it was met already. */
static void walk_push(struct walk *w, size_t record)
{
	if (w->marks[record] != WALK_NEW)
		return;
	w->marks[record] = WALK_OPEN;
	w->stack[w->depth++] = (struct walk_frame){ .record = record };
}

/* Depth first without recursion: each record is on the stack at most once, so the stack holds count frames. A cycle (a program
 * hostile to itself) is cut at the record that is already open. */
static int walk_from(struct walk *w, size_t record, graph_record_fn *fn, void *ctx)
{
	walk_push(w, record);
	while (w->depth) {
		struct walk_frame *frame = &w->stack[w->depth - 1];
		const struct graph_record *r = w->sorted[frame->record];
		const struct graph_record *own = list_entry(r->subject->records.next, struct graph_record, link);

		if (!frame->next && frame->edge == 0 && own != r) {
			size_t before = w->depth;

			walk_push(w, walk_index(w, own)); /* the subject's CREATE */
			if (w->depth != before)
				continue;
		}
		if (frame->edge < r->edge_count) {
			const struct graph_object *to = r->edges[frame->edge].to;

			if (to && !frame->next)
				frame->next = to->records.next;
			if (!to || frame->next == &to->records) {
				frame->edge++;
				frame->next = NULL;
				continue;
			}
			own = list_entry(frame->next, struct graph_record, link);
			frame->next = frame->next->next;
			/* What an object is made from is needed as it was then; later updates of it come in their own time. */
			if (own->header.kind != RECORD_UPDATE || r->header.kind == RECORD_UPDATE ||
				own->position < r->position)
				walk_push(w, walk_index(w, own));
			continue;
		}
		w->marks[frame->record] = WALK_DONE;
		w->depth--;
		int error = fn(ctx, &r->header);
		if (error)
			return error;
	}
	return 0;
}

int graph_walk(const struct graph *g, graph_record_fn *fn, void *ctx)
{
	struct walk w = { .count = g->record_count };
	size_t i = 0;
	int error = 0;

	if (!w.count)
		return 0;
	w.sorted = calloc(w.count, sizeof(*w.sorted));
	w.marks = calloc(w.count, 1);
	w.stack = calloc(w.count, sizeof(*w.stack));
	if (!w.sorted || !w.marks || !w.stack) {
		error = -ENOMEM;
		goto out;
	}
	map_for_each(&g->objects, slot) {
		const struct graph_object *o = slot->value;

		list_for_each(r, &o->records, const struct graph_record, link)
			w.sorted[i++] = r;
	}
	assert(i == w.count);
	qsort(w.sorted, w.count, sizeof(*w.sorted), by_position);
	for (i = 0; i < w.count && !error; i++)
		error = walk_from(&w, i, fn, ctx);
out:
	free(w.sorted);
	free(w.marks);
	free(w.stack);
	return error;
}
