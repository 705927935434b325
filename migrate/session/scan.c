/* The log, read twice: ahead (which submissions and memories there are, so that an executor can be judged) and again when a
 * checkpoint passes. The program's process may write into it at any time, so each time what matters is copied, then checked. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/session/core_private.h"
#include "proto/limits.h"

#define MAX_NEED_TEXT 256u

/* Copies the header at a position and checks what holds for every record. `available`: bytes of the log from there. 1 fine,
 * 0 not all there yet, -EBADMSG. */
static int read_header(const struct session_core *c, uint64_t position, uint64_t available, struct record_header *ret_header)
{
	struct record_header h;

	if (available < sizeof(h))
		return 0;
	memcpy(&h, c->ops->log_at(c->ctx, position), sizeof(h));
	if (h.size % RECORD_ALIGN || h.size > RECORD_MAX_BYTES || h.size < sizeof(h) + h.dep_count * sizeof(uint64_t))
		return -EBADMSG;
	if (h.kind < RECORD_CREATE || h.kind > RECORD_COPY)
		return -EBADMSG;
	if (available < h.size)
		return 0;
	*ret_header = h;
	return 1;
}

static uint64_t payload_offset(const struct record_header *h)
{
	return sizeof(*h) + h->dep_count * sizeof(uint64_t);
}

/* Copies the first `size` bytes of a record into the scratch buffer, which has room for all of it. The header in the copy is the
 * one that was checked. NULL when out of memory. */
static struct record_header *read_record(
	struct session_core *c, uint64_t position, const struct record_header *h, uint64_t size)
{
	buf_clear(&c->scratch);
	if (!buf_reserve(&c->scratch, h->size))
		return NULL;
	memcpy(c->scratch.data, c->ops->log_at(c->ctx, position), size);
	memcpy(c->scratch.data, h, sizeof(*h));
	return (struct record_header *)c->scratch.data;
}

static int submissions_push(struct submissions *s, const struct submission *new)
{
	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? s->capacity * 2 : 64;
		struct submission *at = calloc(capacity, sizeof(*at));

		if (!at)
			return -ENOMEM;
		for (size_t i = 0; i < s->count; i++)
			at[i] = s->at[(s->start + i) % s->capacity];
		free(s->at);
		s->at = at;
		s->capacity = capacity;
		s->start = 0;
	}
	s->at[(s->start + s->count) % s->capacity] = *new;
	s->count++;
	return 0;
}

struct submission *core_submission(struct session_core *c, uint64_t seq)
{
	struct submissions *s = &c->submissions;

	if (seq < s->first_seq || seq - s->first_seq >= s->count)
		return NULL;
	return &s->at[(s->start + (seq - s->first_seq)) % s->capacity];
}

void core_drop_submissions(struct session_core *c, uint64_t up_to_seq)
{
	struct submissions *s = &c->submissions;

	while (s->count && s->first_seq <= up_to_seq) {
		free(s->at[s->start].ranges);
		free(s->at[s->start].copied);
		s->start = (s->start + 1) % s->capacity;
		s->count--;
		s->first_seq++;
	}
}

static bool inside(const struct state_memory *m, uint64_t offset, uint64_t size)
{
	return size && offset <= m->size && size <= m->size - offset;
}

/* Of the memories as the log was read so far. */
static bool range_is_there(const struct session_core *c, uint64_t id, uint64_t offset, uint64_t size)
{
	const struct state_memory *m = state_find(&c->state, id);

	return m && m->freed_at == UINT64_MAX && m->answer != STATE_FAILED && inside(m, offset, size);
}

static int scan_submit(struct session_core *c, uint64_t position, const struct record_header *h)
{
	uint64_t offset = payload_offset(h);
	struct submission new = { .end = position + h->size };
	const struct record_header *copy;
	struct record_submit submit;
	int error;

	if (h->size - offset < sizeof(submit) || h->subject != c->submissions.first_seq + c->submissions.count)
		return -EBADMSG;
	copy = read_record(c, position, h, h->size);
	if (!copy)
		return -ENOMEM;
	memcpy(&submit, (const unsigned char *)copy + offset, sizeof(submit));
	offset += sizeof(submit);
	if ((submit.flags & ~(SUBMIT_COMMIT | SUBMIT_RETURN)) ||
		submit.range_count > (h->size - offset) / sizeof(struct record_range))
		return -EBADMSG;
	new.nonce = submit.nonce;
	new.commit = submit.flags &SUBMIT_COMMIT;
	new.returns = !new.commit && (submit.flags & SUBMIT_RETURN);
	c->relaxed |= new.returns;
	new.range_count = submit.range_count;
	if (new.range_count) {
		new.ranges = malloc(new.range_count * sizeof(*new.ranges));
		if (!new.ranges)
			return -ENOMEM;
		memcpy(new.ranges, (const unsigned char *)copy + offset, new.range_count * sizeof(*new.ranges));
	}
	for (uint32_t i = 0; i < new.range_count; i++) {
		const struct record_range *r = &new.ranges[i];

		if (range_is_there(c, r->memory, r->offset, r->size))
			continue;
		free(new.ranges);
		return -EBADMSG;
	}
	new.copied = (struct record_range *)(void *)c->copied.data;
	new.copied_count = c->copied.size / sizeof(*new.copied);
	error = submissions_push(&c->submissions, &new);
	if (error < 0)
		free(new.ranges);
	else
		c->copied = (struct buf){ 0 };
	return error;
}

static int scan_allocate(struct session_core *c, uint64_t position, const struct record_header *h)
{
	const struct record_header *copy;
	struct record_allocate a;
	int error;

	if (h->dep_count || h->size < sizeof(*h) + sizeof(a) || h->subject == 0)
		return -EBADMSG;
	copy = read_record(c, position, h, sizeof(*h) + sizeof(a));
	if (!copy)
		return -ENOMEM;
	memcpy(&a, copy + 1, sizeof(a));
	if (a.size_bytes == 0 || a.size_bytes % 256 || a.size_bytes > INT64_MAX || a.memory_class > MEMORY_HOST_CACHED)
		return -EBADMSG;
	error = state_allocate(&c->state, h->subject, a.size_bytes, position, a.memory_class != MEMORY_DEVICE_LOCAL);
	if (error == 0)
		c->pending_answers++;
	return error == -EEXIST ? -EBADMSG : error;
}

static int scan_need(struct session_core *c, uint64_t position, const struct record_header *h)
{
	const struct record_header *copy;
	struct record_header *kept;
	struct record_need need;
	int error;

	if (h->dep_count || h->size < sizeof(*h) + sizeof(need))
		return -EBADMSG;
	copy = read_record(c, position, h, h->size);
	if (!copy)
		return -ENOMEM;
	memcpy(&need, copy + 1, sizeof(need));
	if (need.text_size > MAX_NEED_TEXT || need.text_size > h->size - sizeof(*h) - sizeof(need))
		return -EBADMSG;
	if (c->needs.count >= MESSAGE_MAX_NEEDS && !map_get(&c->needs, h->key, 0))
		return -EBADMSG;
	kept = malloc(h->size);
	if (!kept)
		return -ENOMEM;
	memcpy(kept, copy, h->size);
	free(map_take(&c->needs, h->key, 0));
	error = map_put(&c->needs, h->key, 0, kept);
	if (error < 0)
		free(kept);
	return error;
}

/* From what the host sees to what it doesn't; source NULL: a fill. */
static bool fits_copy(const struct state_memory *target, const struct state_memory *source)
{
	return !target->host_visible && (!source || source->host_visible);
}

static int scan_copy(struct session_core *c, uint64_t position, const struct record_header *h)
{
	const struct record_header *record;
	const struct record_copy *copies;
	size_t count = (h->size - sizeof(*h)) / sizeof(*copies);

	if (h->dep_count || h->subject || count == 0)
		return -EBADMSG;
	record = read_record(c, position, h, h->size);
	if (!record)
		return -ENOMEM;
	copies = (const struct record_copy *)(record + 1);
	for (size_t i = 0; i < count; i++) {
		const struct record_range target = { copies[i].memory, copies[i].offset, copies[i].size };

		if (!range_is_there(c, target.memory, target.offset, target.size) ||
			(copies[i].source &&
				!range_is_there(c, copies[i].source, copies[i].source_offset, copies[i].size)) ||
			!fits_copy(state_find(&c->state, target.memory),
				copies[i].source ? state_find(&c->state, copies[i].source) : NULL))
			return -EBADMSG;
		buf_append(&c->copied, &target, sizeof(target));
	}
	return c->copied.failed ? -ENOMEM : 0;
}

static int scan_record(struct session_core *c, uint64_t position, const struct record_header *h)
{
	struct state_memory *m;

	if (c->copied.size && h->kind != RECORD_SUBMIT)
		return -EBADMSG;
	switch ((enum record_kind)h->kind) {
	case RECORD_SUBMIT:
		return scan_submit(c, position, h);
	case RECORD_ALLOCATE:
		return scan_allocate(c, position, h);
	case RECORD_NEED:
		return scan_need(c, position, h);
	case RECORD_COPY:
		return scan_copy(c, position, h);
	case RECORD_FREE:
	case RECORD_WRITE:
		m = state_find(&c->state, h->subject);
		if (!m || m->freed_at != UINT64_MAX || (h->kind == RECORD_WRITE && !m->host_visible))
			return -EBADMSG;
		if (h->kind == RECORD_FREE)
			m->freed_at = position;
		else
			m->captured_at = position;
		return 0;
	case RECORD_CREATE:
	case RECORD_UPDATE:
	case RECORD_DESTROY:
		return h->subject ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

int core_scan(struct session_core *c)
{
	uint64_t head = c->ops->log_head(c->ctx);

	while (c->scanned < head) {
		struct record_header h;
		int r = read_header(c, c->scanned, head - c->scanned, &h);

		if (r == 1)
			r = scan_record(c, c->scanned, &h);
		else if (r == 0)
			return 0; /* half a record: the rest is still being written */
		if (r < 0)
			return r;
		c->scanned += h.size;
	}
	return 0;
}

/* The bytes of a WRITE as they lie in the log; counts and runs in the scratch buffer. */
static int parse_write(struct session_core *c, uint64_t position, const struct record_header *h, uint64_t memory_size,
	struct delta_view *ret_view)
{
	uint64_t offset = payload_offset(h), known;
	struct record_write write;
	struct delta_view view;
	const unsigned char *log = c->ops->log_at(c->ctx, position);
	int error;

	if (h->size - offset < sizeof(write))
		return -EBADMSG;
	memcpy(&write, log + offset, sizeof(write));
	if (write.run_count > (h->size - offset - sizeof(write)) / sizeof(struct record_run))
		return -EBADMSG;
	known = offset + sizeof(write) + write.run_count * sizeof(struct record_run);
	if (!read_record(c, position, h, known))
		return -ENOMEM;
	memcpy(c->scratch.data + offset, &write, sizeof(write));
	error = delta_parse(c->scratch.data + offset, h->size - offset, memory_size, &view);
	if (error < 0)
		return error;
	view.bytes = log + known; /* the bytes themselves may be anything: no second copy */
	*ret_view = view;
	return 0;
}

static int apply_write(struct session_core *c, uint64_t position, const struct record_header *h)
{
	struct state_memory *m = state_find(&c->state, h->subject);
	struct delta_view view;
	int error;

	if (!m || !m->committed)
		return -EBADMSG;
	/* Also where core_view has been: a COPY behind it reads what the host had written by then. */
	error = parse_write(c, position, h, m->size, &view);
	return error < 0 ? error : state_write(m, &view);
}

static int view_write(struct session_core *c, uint64_t position, const struct record_header *h)
{
	struct state_memory *m = state_find(&c->state, h->subject);
	struct delta_view view;
	int error;

	if (!m || m->answer == STATE_FAILED)
		return -EBADMSG;
	if (!m->host_visible)
		return 0;
	error = parse_write(c, position, h, m->size, &view);
	return error < 0 ? error : state_view_write(m, &view, position >= c->told_position);
}

int core_view(struct session_core *c, uint64_t end)
{
	assert(end <= c->scanned);
	while (c->view_position < end) {
		struct record_header h;
		int r = read_header(c, c->view_position, end - c->view_position, &h);

		if (r == 0)
			r = -EBADMSG; /* it was whole when it was read ahead */
		if (r > 0 && h.kind == RECORD_WRITE)
			r = view_write(c, c->view_position, &h);
		if (r < 0)
			return r;
		c->view_position += h.size;
	}
	return 0;
}

/* The log may have been changed since it was read ahead: so all is checked again. */
static int apply_copy(struct session_core *c, uint64_t position, const struct record_header *h)
{
	const struct record_header *record = read_record(c, position, h, h->size);
	const struct record_copy *copies = (const struct record_copy *)(record + 1);
	int error = record ? 0 : -ENOMEM;

	for (size_t i = 0; i < (h->size - sizeof(*h)) / sizeof(*copies) && error == 0; i++) {
		const struct record_copy *copy = &copies[i];
		struct state_memory *m = state_find(&c->state, copy->memory);
		const struct state_memory *source = copy->source ? state_find(&c->state, copy->source) : NULL;

		if (!m || !m->committed || !inside(m, copy->offset, copy->size) || !fits_copy(m, source))
			error = -EBADMSG;
		else if (!copy->source)
			error = state_fill(m, copy->offset, copy->size, (uint32_t)copy->source_offset);
		else if (!source || !source->committed || !inside(source, copy->source_offset, copy->size))
			error = -EBADMSG;
		else
			error = state_copy(m, copy->offset, source, copy->source_offset, copy->size);
	}
	return error;
}

static int apply_record(struct session_core *c, uint64_t position, const struct record_header *h)
{
	const struct record_header *copy;
	struct state_memory *m;
	int error;

	switch ((enum record_kind)h->kind) {
	case RECORD_SUBMIT:
	case RECORD_NEED:
		return 0;
	case RECORD_WRITE:
		return apply_write(c, position, h);
	case RECORD_COPY:
		return apply_copy(c, position, h);
	case RECORD_ALLOCATE:
		m = state_find(&c->state, h->subject);
		if (!m || m->committed)
			return -EBADMSG;
		if (m->answer == STATE_FAILED) {
			/* Its FREE may be yet to come: an executor that leaves stops between any two records. */
			if (m->freed_at != UINT64_MAX)
				state_free(&c->state, m);
			return 0;
		}
		break;
	case RECORD_FREE:
	case RECORD_CREATE:
	case RECORD_UPDATE:
	case RECORD_DESTROY:
		break;
	}
	copy = read_record(c, position, h, h->size);
	if (!copy)
		return -ENOMEM;
	error = graph_apply(&c->graph, position, copy);
	if (error == 0 && h->kind == RECORD_ALLOCATE)
		state_commit_allocate(&c->state, state_find(&c->state, h->subject));
	if (error == 0 && h->kind == RECORD_FREE)
		state_free(&c->state, state_find(&c->state, h->subject));
	return error;
}

int core_apply(struct session_core *c, uint64_t end)
{
	uint64_t at = c->position;

	assert(end <= c->scanned);
	while (at < end) {
		struct record_header h;
		int r = read_header(c, at, end - at, &h);

		if (r == 0)
			r = -EBADMSG; /* it was whole when it was read ahead */
		if (r > 0)
			r = apply_record(c, at, &h);
		if (r < 0)
			return r;
		at += h.size;
	}
	return 0;
}

bool core_between_submissions(const struct session_core *c, uint64_t end)
{
	const struct submission *last = core_submission((struct session_core *)c, c->done_seq);
	uint64_t at = last ? last->end : c->position;

	while (at < end) {
		struct record_header h;

		if (read_header(c, at, end - at, &h) <= 0 || h.kind == RECORD_SUBMIT ||
			(h.kind == RECORD_COPY && at + h.size == end))
			return false;
		at += h.size;
	}
	return at == end;
}

void core_scan_finish(struct session_core *c)
{
	core_drop_submissions(c, UINT64_MAX);
	free(c->submissions.at);
	map_for_each(&c->needs, slot)
		free(slot->value);
	map_finish(&c->needs);
	buf_finish(&c->scratch);
	buf_finish(&c->copied);
}
