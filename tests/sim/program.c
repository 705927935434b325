/* The model program and its driver: random operations, capture and delivery as proto/README.md §1.4 says, and the truth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/stream/delta.h"
#include "proto/delivery.h"
#include "tests/sim/model.h"

#define MEMORIES 6
#define BUFFERS 10
#define SETS 4
#define COMMANDS 5
#define PIPELINES 5
#define MAX_OPS 4
#define QUEUED 6
#define PATIENCE 60000 /* turns of the world that any wait may take */

struct memory {
	uint64_t id; /* 0: free slot */
	uint32_t size;
	bool host_visible, answered, failed;
	bool unsaved;                  /* written by a submission since the last COMMIT */
	unsigned char *mapping, *seen; /* host-visible only */
	unsigned char *truth;
	uint64_t *used, *written; /* per byte: last submission that touches or writes it */
};
struct buffer {
	uint64_t id, view;
	int memory;
	uint32_t offset, size;
	bool unbacked;
};
struct set {
	uint64_t id;
	int slot[2];
	unsigned generation;
};
struct pipeline {
	uint64_t id;
	enum op_kind kind;
	uint32_t constant;
};
struct commands {
	uint64_t id;
	struct op ops[MAX_OPS];
	int set[MAX_OPS], pipeline[MAX_OPS];
	unsigned generation[MAX_OPS], count;
	bool appended, queued;
};
struct queued {
	int commands;
	bool gated;
};

struct program {
	struct world *w;
	uint64_t last_id, last_seq, completed;
	struct memory memories[MEMORIES];
	struct buffer buffers[BUFFERS];
	struct set sets[SETS];
	struct pipeline pipelines[PIPELINES];
	struct commands commands[COMMANDS];
	struct queued queue[QUEUED];
	unsigned queued;
	struct buf record;
};

static uint32_t pick(struct program *p, uint32_t below)
{
	return choose(&p->w->choices, below);
}

/* --- the log --- */

static void begin(
	struct program *p, enum record_kind kind, uint64_t subject, uint64_t key, const uint64_t *deps, unsigned dep_count)
{
	struct record_header h = {
		.kind = kind, .dep_count = (uint16_t)dep_count, .subject = subject, .key = key, .observed = p->completed
	};

	buf_clear(&p->record);
	buf_append(&p->record, &h, sizeof(h));
	buf_append(&p->record, deps, dep_count * sizeof(*deps));
}

static void append(struct program *p, const void *payload, size_t size)
{
	buf_append(&p->record, payload, size);
	buf_align(&p->record, RECORD_ALIGN);
	((struct record_header *)p->record.data)->size = (uint32_t)p->record.size;
	buf_append(&p->w->log, p->record.data, p->record.size);
}

static uint64_t create(struct program *p, enum object_kind kind, uint32_t value, const uint64_t *deps, unsigned dep_count)
{
	struct command_create c = { kind, value };

	begin(p, RECORD_CREATE, ++p->last_id, 0, deps, dep_count);
	append(p, &c, sizeof(c));
	return p->last_id;
}

static void destroy(struct program *p, uint64_t id)
{
	begin(p, RECORD_DESTROY, id, 0, NULL, 0);
	append(p, NULL, 0);
}

/* --- what is in use --- */

static bool busy(const struct program *p, const struct memory *m, uint32_t offset, uint32_t size, bool write_only)
{
	for (uint32_t i = offset; i < offset + size; i++)
		if ((write_only ? m->written[i] : m->used[i]) > p->completed)
			return true;
	return false;
}

static bool set_usable(const struct program *p, const struct set *s)
{
	for (unsigned i = 0; i < 2; i++)
		if (s->slot[i] < 0 || !p->buffers[s->slot[i]].id || p->buffers[s->slot[i]].unbacked)
			return false;
	return s->id != 0;
}

static bool commands_usable(const struct program *p, const struct commands *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		const struct set *s = &p->sets[c->set[i]];

		if (s->generation != c->generation[i] || !set_usable(p, s) ||
			p->pipelines[c->pipeline[i]].id != c->ops[i].pipeline)
			return false;
	}
	return c->id && c->count;
}

/* Simplest of honest programs: objects are changed only while nothing is queued or running. */
static bool idle(const struct program *p)
{
	return p->queued == 0 && p->completed == p->last_seq;
}

/* --- submissions --- */

static int capture_run(void *ctx, uint64_t offset, uint64_t size)
{
	struct buf *runs = ctx;

	buf_append(runs, &(struct record_run){ offset, size }, sizeof(struct record_run));
	return 0;
}

static void capture(struct program *p, struct memory *m, uint32_t offset, uint32_t size)
{
	struct buf runs = { 0 }, payload = { 0 };
	struct record_write write = { 0 };
	struct record_run *run;

	if (!m->host_visible)
		return;
	delta_walk(m->seen + offset, m->mapping + offset, size, capture_run, &runs);
	write.run_count = (uint32_t)(runs.size / sizeof(*run));
	run = (struct record_run *)runs.data;
	if (write.run_count) {
		for (uint32_t i = 0; i < write.run_count; i++) {
			run[i].offset += offset;
			write.byte_count += run[i].size;
		}
		buf_append(&payload, &write, sizeof(write));
		buf_append(&payload, run, runs.size);
		for (uint32_t i = 0; i < write.run_count; i++) {
			buf_append(&payload, m->mapping + run[i].offset, run[i].size);
			memcpy(m->seen + run[i].offset, m->mapping + run[i].offset, run[i].size);
		}
		begin(p, RECORD_WRITE, m->id, 0, NULL, 0);
		append(p, payload.data, payload.size);
	}
	buf_finish(&runs);
	buf_finish(&payload);
}

struct touching {
	struct program *p;
	const struct buffer *src, *dst;
};

static void touch(void *ctx, bool is_dst, uint32_t offset, bool write)
{
	struct touching *t = ctx;
	const struct buffer *b = is_dst ? t->dst : t->src;
	struct memory *m = &t->p->memories[b->memory];

	m->used[b->offset + offset] = t->p->last_seq;
	if (write)
		m->written[b->offset + offset] = t->p->last_seq;
}

static void append_recording(struct program *p, struct commands *c)
{
	uint64_t deps[MAX_OPS * 2];

	for (unsigned i = 0; i < c->count; i++) {
		deps[i * 2] = c->ops[i].pipeline;
		deps[i * 2 + 1] = c->ops[i].set;
	}
	begin(p, RECORD_UPDATE, c->id, 0, deps, c->count * 2);
	append(p, c->ops, c->count * sizeof(c->ops[0]));
	c->appended = true;
}

/* A fill, or a copy from host-visible memory, to other memory: the session can do it itself. */
static bool known_copy(
	const struct program *p, const struct commands *c, unsigned i, bool writes_host, struct record_copy *ret)
{
	const struct set *s = &p->sets[c->set[i]];
	const struct buffer *src = &p->buffers[s->slot[0]], *dst = &p->buffers[s->slot[1]];
	const struct memory *from = &p->memories[src->memory], *to = &p->memories[dst->memory];
	const struct pipeline *pipeline = &p->pipelines[c->pipeline[i]];
	const struct op *op = &c->ops[i];
	uint32_t limit = src->size < dst->size ? src->size : dst->size;
	bool fill = pipeline->kind == OP_FILL;

	if (to->host_visible || op->offset >= limit || op->size == 0 ||
		!(fill || (pipeline->kind == OP_COPY && from->host_visible && !from->unsaved && !writes_host)))
		return false;
	*ret = (struct record_copy){ fill ? 0 : from->id, src->offset + op->offset, to->id, dst->offset + op->offset,
		op->size < limit - op->offset ? op->size : limit - op->offset };
	if (fill)
		ret->source_offset = ((op->value + pipeline->constant) & 0xff) * 0x01010101u;
	return true;
}

/* The submission has become runnable: host bytes are captured now, and now it takes effect in the truth. c NULL: an empty one. */
static void append_submission(struct program *p, struct commands *c, bool commit)
{
	struct buf payload = { 0 };
	struct record_range ranges[MAX_OPS];
	struct record_submit submit = { 0 };
	unsigned count = c ? c->count : 0, copy_count = 0, range_count = 0;
	struct record_copy copies[MAX_OPS];
	bool host = false;

	/* A driver takes what has come before it captures. */
	while (p->w->diverging && p->w->delivery.size)
		program_poll(p);

	if (c && !c->appended)
		append_recording(p, c);
	for (unsigned i = 0; i < count; i++)
		host |= p->memories[p->buffers[p->sets[c->set[i]].slot[1]].memory].host_visible;
	for (unsigned i = 0; i < count; i++) {
		for (unsigned k = 0; k < 2; k++) {
			const struct buffer *b = &p->buffers[p->sets[c->set[i]].slot[k]];
			struct memory *m = &p->memories[b->memory];

			capture(p, m, b->offset, b->size);
			if (k == 1 && !one_in(&p->w->choices, 4) && known_copy(p, c, i, host, &copies[copy_count]))
				copy_count++;
			else if (k == 1)
				ranges[range_count++] = (struct record_range){ m->id, b->offset, b->size };
		}
	}
	if (copy_count) {
		begin(p, RECORD_COPY, 0, 0, NULL, 0);
		append(p, copies, copy_count * sizeof(copies[0]));
	}
	p->last_seq++;
	for (unsigned i = 0; i < count; i++) {
		const struct set *s = &p->sets[c->set[i]];
		const struct pipeline *pipeline = &p->pipelines[c->pipeline[i]];
		struct touching t = { p, &p->buffers[s->slot[0]], &p->buffers[s->slot[1]] };

		op_run(pipeline->kind, pipeline->constant, &c->ops[i], p->memories[t.src->memory].truth + t.src->offset,
			t.src->size, p->memories[t.dst->memory].truth + t.dst->offset, t.dst->size, touch, &t);
	}
	submit.nonce = (uint64_t)pick(p, UINT32_MAX) << 32 | pick(p, UINT32_MAX);
	/* Relaxed drivers commit behind the program's own submissions; both flags at once are allowed, too. */
	if (host)
		submit.flags = p->w->relaxed ? SUBMIT_RETURN : SUBMIT_COMMIT;
	if (commit)
		submit.flags |= SUBMIT_COMMIT;
	for (unsigned i = 0; i < count; i++)
		p->memories[p->buffers[p->sets[c->set[i]].slot[1]].memory].unsaved = true;
	for (unsigned i = 0; i < MEMORIES && submit.flags & SUBMIT_COMMIT; i++)
		p->memories[i].unsaved = false;
	submit.range_count = range_count;
	buf_append(&payload, &submit, sizeof(submit));
	buf_append(&payload, ranges, range_count * sizeof(ranges[0]));
	begin(p, RECORD_SUBMIT, p->last_seq, 0, c ? &c->id : NULL, c ? 1 : 0);
	append(p, payload.data, payload.size);
	buf_finish(&payload);
}

/* The host signals what the first gated submission waits for: it and all behind it, up to the next gate, are runnable now. */
static void release_queue(struct program *p, bool signal)
{
	while (p->queued && (!p->queue[0].gated || signal)) {
		struct commands *c = &p->commands[p->queue[0].commands];

		signal = signal && !p->queue[0].gated;
		c->queued = false;
		memmove(&p->queue[0], &p->queue[1], --p->queued * sizeof(p->queue[0]));
		append_submission(p, c, one_in(&p->w->choices, 6));
		/* What writes the same once more, between two checkpoints: blocks have the hash that they had. */
		for (unsigned again = one_in(&p->w->choices, 4) ? 2 : 0; again; again--)
			append_submission(p, c, true);
	}
}

/* --- what comes back --- */

static void apply(struct memory *m, const struct delta_spans *d, bool gently)
{
	const unsigned char *bytes = d->bytes;
	const uint64_t *masks = d->masks;

	for (uint32_t i = 0; i < d->span_count; i++) {
		for (uint64_t k = 0; k < d->spans[i].size; k++, bytes++) {
			uint64_t at = d->spans[i].offset + k;

			if (!(masks[k / DELTA_BLOCK_BYTES] >> k % DELTA_BLOCK_BYTES & 1))
				continue;
			if (!gently || m->mapping[at] == m->seen[at])
				m->mapping[at] = *bytes;
			m->seen[at] = *bytes;
		}
		masks += delta_blocks(d->spans[i].size);
	}
}

static void handle_delta(struct program *p, const struct delivery_header *h)
{
	struct delta_spans delta;

	for (unsigned i = 0; i < MEMORIES; i++) {
		struct memory *m = &p->memories[i];

		if (m->id != h->subject)
			continue;
		if (!m->host_visible || delta_parse_spans(h + 1, h->size - sizeof(*h), m->size, &delta) < 0)
			world_fail(p->w, "program: a delta that makes no sense");
		apply(m, &delta, h->value);
	}
}

void program_poll(struct program *p)
{
	struct buf *d = &p->w->delivery;
	size_t at = 0;

	while (at < d->size && !(at && one_in(&p->w->choices, 12) && d->size - at > 24)) {
		const struct delivery_header *h = (const struct delivery_header *)(d->data + at);

		at += h->size;
		switch ((enum delivery_kind)h->kind) {
		case DELIVERY_DELTA:
			handle_delta(p, h);
			break;
		case DELIVERY_COMPLETE:
			if (h->subject <= p->completed || h->subject > p->last_seq)
				world_fail(p->w, "program: %llu complete after %llu of %llu", (unsigned long long)h->subject,
					(unsigned long long)p->completed, (unsigned long long)p->last_seq);
			p->completed = h->subject;
			break;
		case DELIVERY_ALLOCATED:
			for (unsigned i = 0; i < MEMORIES; i++) {
				if (p->memories[i].id != h->subject)
					continue;
				if (p->memories[i].answered)
					world_fail(p->w, "program: an allocation answered twice");
				p->memories[i].answered = true;
				p->memories[i].failed = (int32_t)(uint32_t)h->value < 0;
			}
			break;
		case DELIVERY_LOST:
			p->w->lost = true;
			break;
		}
	}
	if (at) {
		memmove(d->data, d->data + at, d->size - at);
		d->size -= at;
	}
}

void program_check(struct program *p)
{
	for (unsigned i = 0; i < MEMORIES; i++) {
		const struct memory *m = &p->memories[i];

		for (uint32_t k = 0; !p->w->diverging && m->id && m->host_visible && k < m->size; k++)
			if (m->written[k] <= p->completed && m->mapping[k] != m->truth[k])
				world_fail(p->w,
					"program: byte %u of memory %llu is %02x, in truth %02x (completed %llu of %llu)", k,
					(unsigned long long)m->id, m->mapping[k], m->truth[k],
					(unsigned long long)p->completed, (unsigned long long)p->last_seq);
	}
}

static void turn(struct program *p, unsigned *patience)
{
	if (++*patience > PATIENCE)
		world_fail(p->w, "program: no progress (completed %llu of %llu)", (unsigned long long)p->completed,
			(unsigned long long)p->last_seq);
	world_pump(p->w);
	program_poll(p);
	if (p->w->lost)
		world_fail(p->w, "program: lost its device");
}

static void wait_for(struct program *p, uint64_t seq)
{
	unsigned patience = 0;

	while (p->completed < seq)
		turn(p, &patience);
	program_check(p);
}

static void wait_idle(struct program *p)
{
	while (p->queued)
		release_queue(p, true);
	wait_for(p, p->last_seq);
}

/* --- operations --- */

static void forget_memory(struct memory *m)
{
	free(m->mapping);
	free(m->seen);
	free(m->truth);
	free(m->used);
	free(m->written);
	*m = (struct memory){ 0 };
}

static int add_memory(struct program *p, uint32_t size, bool host_visible)
{
	unsigned patience = 0;
	int i = 0;

	while (i < MEMORIES && p->memories[i].id)
		i++;
	if (i == MEMORIES)
		return -1;
	struct memory *m = &p->memories[i];
	struct record_allocate a = { size, host_visible ? MEMORY_HOST_COHERENT : MEMORY_DEVICE_LOCAL, 0 };

	*m = (struct memory){ .id = ++p->last_id, .size = size, .host_visible = host_visible };
	begin(p, RECORD_ALLOCATE, m->id, 0, NULL, 0);
	append(p, &a, sizeof(a));
	m->mapping = calloc(1, size);
	m->seen = calloc(1, size);
	m->truth = calloc(1, size);
	m->used = calloc(size, sizeof(*m->used));
	m->written = calloc(size, sizeof(*m->written));
	while (!m->answered)
		turn(p, &patience);
	if (!m->failed)
		return i;
	if (one_in(&p->w->choices, 2)) {
		begin(p, RECORD_FREE, m->id, 0, NULL, 0);
		append(p, NULL, 0);
	}
	forget_memory(m);
	return size <= 1u << 20 ? add_memory(p, size, host_visible) : -1; /* an unfit executor; faults are limited */
}

static void add_buffer(struct program *p, int memory, uint32_t offset, uint32_t size)
{
	for (unsigned i = 0; i < BUFFERS; i++) {
		struct buffer *b = &p->buffers[i];
		struct command_bind bind = { offset };

		if (b->id)
			continue;
		*b = (struct buffer){ .memory = memory, .offset = offset, .size = size };
		b->id = create(p, OBJECT_BUFFER, size, NULL, 0);
		begin(p, RECORD_UPDATE, b->id, 0, &p->memories[memory].id, 1);
		append(p, &bind, sizeof(bind));
		if (one_in(&p->w->choices, 3))
			b->view = create(p, OBJECT_VIEW, 0, &b->id, 1);
		return;
	}
}

static void drop_buffer(struct program *p, unsigned index)
{
	struct buffer *b = &p->buffers[index];
	bool view_first = one_in(&p->w->choices, 2);

	if (b->view && view_first)
		destroy(p, b->view);
	destroy(p, b->id);
	if (b->view && !view_first)
		destroy(p, b->view);
	b->id = 0;
	for (unsigned i = 0; i < SETS; i++)
		for (unsigned k = 0; k < 2; k++)
			if (p->sets[i].slot[k] == (int)index) {
				p->sets[i].slot[k] = -1;
				p->sets[i].generation++;
			}
}

static void free_memory(struct program *p, unsigned index)
{
	struct memory *m = &p->memories[index];

	for (unsigned i = 0; i < BUFFERS; i++) {
		if (!p->buffers[i].id || p->buffers[i].memory != (int)index)
			continue;
		if (one_in(&p->w->choices, 2))
			drop_buffer(p, i);
		else
			p->buffers[i].unbacked = true;
	}
	begin(p, RECORD_FREE, m->id, 0, NULL, 0);
	append(p, NULL, 0);
	forget_memory(m);
}

static void add_pipeline(struct program *p)
{
	struct pipeline *pipeline = &p->pipelines[pick(p, PIPELINES)];
	uint64_t module;

	if (pipeline->id)
		destroy(p, pipeline->id);
	pipeline->kind = pick(p, OP_KINDS);
	pipeline->constant = pick(p, 256);
	module = create(p, OBJECT_MODULE, pipeline->constant, NULL, 0);
	pipeline->id = create(p, OBJECT_PIPELINE, pipeline->kind, &module, 1);
	if (!one_in(&p->w->choices, 4))
		destroy(p, module);
}

static void point_descriptor(struct program *p, struct set *s, unsigned slot)
{
	unsigned i = pick(p, BUFFERS);
	struct buffer *b = &p->buffers[i];
	uint64_t target;

	if (!b->id || b->unbacked)
		return;
	target = b->view && pick(p, 2) ? b->view : b->id;
	begin(p, RECORD_UPDATE, s->id, slot, &target, 1);
	append(p, NULL, 0);
	s->slot[slot] = (int)i;
	s->generation++;
}

static void renew_set(struct program *p, struct set *s)
{
	uint64_t layout = create(p, OBJECT_LAYOUT, 0, NULL, 0);

	if (s->id)
		destroy(p, s->id);
	s->id = create(p, OBJECT_SET, 0, &layout, 1);
	s->slot[0] = s->slot[1] = -1;
	s->generation++;
	destroy(p, layout);
}

static void record(struct program *p, struct commands *c)
{
	unsigned count = 1 + pick(p, MAX_OPS);

	c->count = 0;
	c->appended = false;
	for (unsigned i = 0; i < count; i++) {
		unsigned s = pick(p, SETS), pipeline = pick(p, PIPELINES);
		struct op *op = &c->ops[c->count];
		uint32_t size;

		if (!set_usable(p, &p->sets[s]) || !p->pipelines[pipeline].id)
			continue;
		size = p->buffers[p->sets[s].slot[1]].size;
		*op = (struct op){ p->pipelines[pipeline].id, p->sets[s].id, pick(p, size), 1 + pick(p, size),
			1 + pick(p, 5), pick(p, 256) };
		c->set[c->count] = (int)s;
		c->pipeline[c->count] = (int)pipeline;
		c->generation[c->count++] = p->sets[s].generation;
	}
}

static void write_host(struct program *p)
{
	struct memory *m = &p->memories[pick(p, MEMORIES)];
	uint32_t offset, size, stride;

	if (!m->id || !m->host_visible)
		return;
	offset = pick(p, m->size);
	size = 1 + pick(p, 64);
	stride = 1 + pick(p, 3);
	for (uint32_t i = offset; i < m->size && size--; i += stride) {
		if (busy(p, m, i, 1, false))
			continue;
		/* Some of what a program writes depends on what it reads. */
		m->mapping[i] = (unsigned char)(pick(p, 3) ? pick(p, 256) : m->mapping[(i + 1) % m->size] + 1u);
		m->truth[i] = m->mapping[i];
	}
}

static void change_objects(struct program *p)
{
	static const uint32_t sizes[] = { 256, 512, 1024, 4096, 256 * 300, 4u << 20 };
	unsigned i = pick(p, BUFFERS);

	wait_idle(p);
	switch (pick(p, 6)) {
	case 0:
		add_memory(p, sizes[pick(p, one_in(&p->w->choices, 20) ? 6 : 4)], pick(p, 3) != 0);
		break;
	case 1:
		i = pick(p, MEMORIES);
		if (p->memories[i].id && one_in(&p->w->choices, 2))
			free_memory(p, i);
		break;
	case 2:
		if (p->buffers[i].id)
			drop_buffer(p, i);
		break;
	case 3:
		add_pipeline(p);
		break;
	case 4:
		renew_set(p, &p->sets[pick(p, SETS)]);
		break;
	case 5:
		i = pick(p, MEMORIES);
		if (p->memories[i].id) {
			uint32_t offset = pick(p, p->memories[i].size);

			add_buffer(p, (int)i, offset, 1 + pick(p, p->memories[i].size - offset));
		}
		break;
	}
}

static void point_sets(struct program *p)
{
	for (unsigned i = 0; i < SETS; i++) {
		struct set *s = &p->sets[i];

		if (!s->id)
			renew_set(p, s);
		for (unsigned k = 0; k < 2; k++)
			if (s->slot[k] < 0 || one_in(&p->w->choices, 6))
				point_descriptor(p, s, k);
	}
}

static void submit(struct program *p)
{
	unsigned i = pick(p, COMMANDS);
	struct commands *c = &p->commands[i];

	if (!c->id)
		c->id = create(p, OBJECT_COMMANDS, 0, NULL, 0);
	if (p->queued == QUEUED || c->queued)
		return;
	if (!commands_usable(p, c) || one_in(&p->w->choices, 4)) {
		if (!idle(p) && c->appended)
			return; /* may still be running */
		record(p, c);
	}
	if (!commands_usable(p, c))
		return;
	c->queued = true;
	p->queue[p->queued++] = (struct queued){ (int)i, one_in(&p->w->choices, 5) };
	release_queue(p, false);
}

static void need(struct program *p)
{
	struct record_need n = { .kind = NEED_MEMORY, .a = pick(p, 1000) };

	begin(p, RECORD_NEED, 0, (uint64_t)NEED_MEMORY << 32 | pick(p, 3), NULL, 0);
	append(p, &n, sizeof(n));
}

void program_step(struct program *p)
{
	switch (pick(p, 16)) {
	case 0:
		change_objects(p);
		break;
	case 1:
		if (idle(p))
			point_sets(p);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		write_host(p);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		submit(p);
		break;
	case 11:
		release_queue(p, true);
		break;
	case 12:
		wait_for(p, p->completed + pick(p, (uint32_t)(p->last_seq - p->completed + 1)));
		break;
	case 13:
		if (one_in(&p->w->choices, 4))
			append_submission(p, NULL, true);
		break;
	case 14:
		program_check(p);
		break;
	case 15:
		need(p);
		break;
	}
}

struct program *program_create(struct world *w)
{
	struct program *p = calloc(1, sizeof(*p));

	p->w = w;
	for (unsigned i = 0; i < SETS; i++)
		p->sets[i].slot[0] = p->sets[i].slot[1] = -1;
	w->program = p;
	for (unsigned i = 0; i < 3; i++)
		add_memory(p, 256 + 256 * pick(p, 8), i != 0);
	for (unsigned i = 0; i < 5; i++) {
		unsigned memory = pick(p, 3);
		uint32_t offset = pick(p, p->memories[memory].size);

		add_buffer(p, (int)memory, offset, 1 + pick(p, p->memories[memory].size - offset));
	}
	for (unsigned i = 0; i < 4; i++)
		add_pipeline(p);
	point_sets(p);
	return p;
}

void program_destroy(struct program *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < MEMORIES; i++)
		forget_memory(&p->memories[i]);
	buf_finish(&p->record);
	free(p);
}

/* Copies a device-local memory into a host-visible one, so that it is seen, too. */
static void read_back(struct program *p, unsigned index)
{
	struct commands *c = &p->commands[0];
	int to;

	for (unsigned i = 0; i < MEMORIES; i++)
		if (i != index && p->memories[i].id && p->memories[i].host_visible)
			free_memory(p, i);
	for (unsigned i = 0; i < BUFFERS; i++)
		if (p->buffers[i].id)
			drop_buffer(p, i);
	to = add_memory(p, p->memories[index].size, true);
	add_buffer(p, (int)index, 0, p->memories[index].size); /* all slots are free: these are 0 and 1 */
	add_buffer(p, to, 0, p->memories[index].size);
	renew_set(p, &p->sets[0]);
	for (unsigned k = 0; k < 2; k++) {
		begin(p, RECORD_UPDATE, p->sets[0].id, k, &p->buffers[k].id, 1);
		append(p, NULL, 0);
		p->sets[0].slot[k] = (int)k;
	}
	if (p->pipelines[0].id)
		destroy(p, p->pipelines[0].id);
	p->pipelines[0] = (struct pipeline){
		create(p, OBJECT_PIPELINE, OP_COPY, &(uint64_t){ create(p, OBJECT_MODULE, 0, NULL, 0) }, 1), OP_COPY, 0
	};
	if (!c->id)
		c->id = create(p, OBJECT_COMMANDS, 0, NULL, 0);
	c->count = 1;
	c->ops[0] = (struct op){ p->pipelines[0].id, p->sets[0].id, 0, p->memories[index].size, 1, 0 };
	c->set[0] = c->pipeline[0] = 0;
	c->generation[0] = p->sets[0].generation;
	append_recording(p, c);
	append_submission(p, c, true);
	wait_idle(p);
}

/* A submission that may have written all that the program can see: then it sees what the device has. */
static void see_all(struct program *p)
{
	struct record_range ranges[MEMORIES];
	struct record_submit submit = { .nonce = pick(p, UINT32_MAX), .flags = SUBMIT_RETURN };

	wait_idle(p);
	while (p->w->delivery.size)
		program_poll(p);
	for (unsigned i = 0; i < MEMORIES; i++) {
		const struct memory *m = &p->memories[i];

		if (!m->id || !m->host_visible)
			continue;
		capture(p, &p->memories[i], 0, m->size);
		ranges[submit.range_count++] = (struct record_range){ m->id, 0, m->size };
	}
	p->last_seq++;
	begin(p, RECORD_SUBMIT, p->last_seq, 0, NULL, 0);
	buf_append(&p->record, &submit, sizeof(submit));
	append(p, ranges, submit.range_count * sizeof(ranges[0]));
	p->w->faults_left = 0;
	p->w->stays = true;
	wait_idle(p);
	while (!p->w->device || !p->w->device->started)
		world_pump(p->w);
	for (unsigned i = 0; i < MEMORIES; i++) {
		const struct memory *m = &p->memories[i];

		if (m->id && m->host_visible && memcmp(m->mapping, device_bytes(p->w->device, m->id), m->size) != 0)
			world_fail(p->w, "program: sees something else of memory %llu than the device has",
				(unsigned long long)m->id);
	}
}

struct image { /* of one memory in the checkpoint */
	uint64_t id;
	unsigned char *bytes;
};

static int take_block(void *ctx, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	const struct image *image = ctx;

	if (id == image->id)
		memcpy(image->bytes + offset, bytes, size);
	return 0;
}

/* The checkpoint is what the executor has that made it. */
static void check_checkpoint(struct program *p)
{
	const struct device *d;

	append_submission(p, NULL, true);
	wait_idle(p);
	d = p->w->device;
	for (unsigned i = 0; i < MEMORIES && d && d->seq == p->last_seq; i++) {
		const struct memory *m = &p->memories[i];
		struct image image = { m->id, NULL };
		const unsigned char *truth = m->id ? device_bytes(d, m->id) : NULL;
		bool same;

		if (!truth)
			continue;
		image.bytes = calloc(1, m->size);
		session_core_seed_memory(p->w->core, STATE_BLOCK, take_block, &image);
		same = memcmp(image.bytes, truth, m->size) == 0;
		free(image.bytes);
		if (!same)
			world_fail(p->w, "core: its checkpoint of memory %llu is not what the device has",
				(unsigned long long)m->id);
	}
}

void program_finish(struct program *p)
{
	wait_idle(p);
	check_checkpoint(p);
	if (p->w->diverging) {
		see_all(p);
		return;
	}
	for (unsigned i = 0; i < MEMORIES; i++)
		if (p->memories[i].id && !p->memories[i].host_visible)
			read_back(p, i);
}
