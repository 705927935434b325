/* The model executor: a device with bytes, objects and a log position. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/hash.h"
#include "migrate/stream/delta.h"
#include "tests/sim/model.h"

#define MEMORY_LIMIT (1u << 20) /* larger allocations fail */

struct device_memory {
	uint64_t size;
	bool host_visible;
	uint64_t unchanged; /* bits of the commit under way */
	uint64_t *hashes;   /* of blocks in the checkpoint, 0 not known */
	unsigned char *bytes;
};
struct descriptor {
	uint64_t key, target;
};
struct device_object {
	uint32_t kind, value, constant;
	uint64_t a, b; /* buffer: memory, offset; view: buffer */
	struct descriptor slots[4];
	unsigned char *recording; /* owned record */
};

void op_run(enum op_kind kind, uint32_t constant, const struct op *op, const unsigned char *src, uint32_t src_size,
	unsigned char *dst, uint32_t dst_size, op_touch_fn *touch, void *ctx)
{
	uint32_t limit = src_size < dst_size ? src_size : dst_size;
	uint32_t stride = kind == OP_SCATTER ? op->stride : 1;

	for (uint32_t n = 0; n < op->size; n++) {
		uint32_t i = op->offset + n * stride;
		bool reads_src = kind != OP_FILL && kind != OP_MIX,
		     reads_dst = kind == OP_XOR || kind == OP_ADD || kind == OP_MIX;
		unsigned char s, d;

		if (i >= limit)
			break;
		s = reads_src ? src[i] : 0;
		d = reads_dst ? dst[i] : 0;
		if (touch && reads_src)
			touch(ctx, false, i, false);
		if (touch)
			touch(ctx, true, i, true);
		switch (kind) {
		case OP_FILL:
			dst[i] = (unsigned char)(op->value + constant);
			break;
		case OP_COPY:
			dst[i] = s;
			break;
		case OP_XOR:
			dst[i] = (unsigned char)(d ^ s ^ constant);
			break;
		case OP_ADD:
			dst[i] = (unsigned char)(d + s + op->value);
			break;
		case OP_SCATTER:
			dst[i] = (unsigned char)(s * 7 + n + constant);
			break;
		case OP_MIX:
			dst[i] = (unsigned char)(d * 3 + constant + i);
			break;
		case OP_KINDS:
			break;
		}
	}
}

struct device *device_create(struct world *w, uint64_t epoch, enum fate fate, unsigned fate_at)
{
	struct device *d = calloc(1, sizeof(*d));

	d->world = w;
	d->epoch = epoch;
	d->fate = fate;
	d->fate_at = fate_at;
	return d;
}

void device_destroy(struct device *d)
{
	if (!d)
		return;
	for (size_t i = d->first; i < d->frame_count; i++)
		free(d->frames[i].payload);
	free(d->frames);
	map_for_each(&d->memories, slot) {
		struct device_memory *m = slot->value;

		free(m->bytes);
		free(m->hashes);
		free(m);
	}
	map_finish(&d->memories);
	map_for_each(&d->objects, slot) {
		struct device_object *o = slot->value;

		free(o->recording);
		free(o);
	}
	map_finish(&d->objects);
	buf_finish(&d->dirty);
	free(d);
}

void device_push(struct device *d, const struct frame_header *header, const void *payload)
{
	struct choices *c = &d->world->choices;
	struct frame_header noise;
	unsigned char bytes[16] = { 0 };
	struct device_frame *f;

	if (d->dead || (d->fate == FATE_SILENT && d->struck))
		return;
	if (d->fate == FATE_DIES || d->fate == FATE_SILENT || d->fate == FATE_NOISE || d->fate == FATE_SAYS_LOST) {
		if (d->fate_at-- == 0) {
			d->struck = true;
			d->dead = d->fate == FATE_DIES;
			if (d->fate == FATE_DIES || d->fate == FATE_SILENT)
				return;
			noise = (struct frame_header){ choose(c, 3) * 8, FRAME_READY + choose(c, 10), choose(c, 6) + d->seq,
				choose(c, 50), choose(c, 4) * 64 };
			bytes[0] = (unsigned char)choose(c, 256);
			d->fate_at = choose(c, 5);
			if (d->fate == FATE_SAYS_LOST) {
				noise.kind = FRAME_LOST;
				noise.a = (uint32_t)-4;
				d->fate = FATE_DIES;
			}
			header = &noise;
			payload = bytes;
		}
	}
	if (d->frame_count == d->frame_capacity) {
		d->frame_capacity = d->frame_capacity ? d->frame_capacity * 2 : 16;
		d->frames = realloc(d->frames, d->frame_capacity * sizeof(*d->frames));
	}
	f = &d->frames[d->frame_count++];
	f->header = *header;
	f->lie = d->lied;
	f->payload = NULL;
	if (header->size) {
		f->payload = malloc(header->size);
		memcpy(f->payload, payload, header->size);
	}
}

static void push_simple(struct device *d, enum frame_kind kind, uint64_t a, uint64_t b)
{
	device_push(d, &(struct frame_header){ 0, kind, a, b, 0 }, NULL);
}

static struct device_object *object(struct device *d, uint64_t id, uint32_t kind)
{
	struct device_object *o = map_get(&d->objects, id, 0);

	if (!o || (kind && o->kind != kind))
		world_fail(d->world, "executor %llu: no object %llu of kind %u", (unsigned long long)d->epoch,
			(unsigned long long)id, kind);
	return o;
}

static void allocate(struct device *d, const struct record_header *h)
{
	const struct record_allocate *a = (const struct record_allocate *)(h + 1);
	struct device_memory *m;
	bool unfit = d->fate == FATE_UNFIT && d->fate_at-- == 0;

	if (a->size_bytes > MEMORY_LIMIT || unfit) {
		push_simple(d, FRAME_ALLOCATED, h->subject, (uint32_t)-2);
		d->dead |= unfit;
		return;
	}
	if (map_get(&d->memories, h->subject, 0))
		world_fail(d->world, "executor: memory %llu allocated twice", (unsigned long long)h->subject);
	m = calloc(1, sizeof(*m));
	m->size = a->size_bytes;
	m->host_visible = a->memory_class != MEMORY_DEVICE_LOCAL;
	m->bytes = calloc(1, m->size);
	m->hashes = calloc(m->size / STATE_BLOCK + 1, sizeof(*m->hashes));
	map_put(&d->memories, h->subject, 0, m);
	push_simple(d, FRAME_ALLOCATED, h->subject, 0);
}

static void create(struct device *d, const struct record_header *h)
{
	const uint64_t *deps = (const uint64_t *)(h + 1);
	const struct command_create *c = (const struct command_create *)(deps + h->dep_count);
	struct device_object *o = calloc(1, sizeof(*o));

	if (map_get(&d->objects, h->subject, 0)) {
		free(o);
		world_fail(d->world, "executor: object %llu made twice", (unsigned long long)h->subject);
	}
	o->kind = c->kind;
	o->value = c->value;
	map_put(&d->objects, h->subject, 0, o);
	if (c->kind == OBJECT_PIPELINE)
		o->constant = object(d, deps[0], OBJECT_MODULE)->value;
	else if (c->kind == OBJECT_SET)
		object(d, deps[0], OBJECT_LAYOUT);
	else if (c->kind == OBJECT_VIEW) {
		if (!object(d, deps[0], OBJECT_BUFFER)->a)
			world_fail(d->world, "executor: a view of a buffer without memory");
		o->a = deps[0];
	}
}

/* In a seed, a set is complete before a recording binds it: drivers may look at descriptors then. */
static void expect_not_recorded(struct device *d, uint64_t set)
{
	map_for_each(&d->objects, slot) {
		const struct record_header *h = (const void *)((const struct device_object *)slot->value)->recording;

		for (unsigned i = 0; h && i < h->dep_count; i++)
			if (((const uint64_t *)(h + 1))[i] == set)
				world_fail(d->world, "executor: set %llu changes behind a recording of the seed",
					(unsigned long long)set);
	}
}

static void update(struct device *d, const struct record_header *h)
{
	const uint64_t *deps = (const uint64_t *)(h + 1);
	struct device_object *o = object(d, h->subject, 0);

	if (o->kind == OBJECT_BUFFER) {
		if (!map_get(&d->memories, deps[0], 0))
			world_fail(d->world, "executor: bound to no memory");
		o->a = deps[0];
		o->b = ((const struct command_bind *)(deps + 1))->offset;
	} else if (o->kind == OBJECT_SET) {
		object(d, deps[0], 0);
		if (!d->started)
			expect_not_recorded(d, h->subject);
		o->slots[h->key & 3] = (struct descriptor){ h->key, deps[0] };
	} else if (o->kind == OBJECT_COMMANDS) {
		for (unsigned i = 0; i < h->dep_count; i++)
			object(d, deps[i], 0);
		free(o->recording);
		o->recording = malloc(h->size);
		memcpy(o->recording, h, h->size);
	} else {
		world_fail(d->world, "executor: update of kind %u", o->kind);
	}
}

static void destroy(struct device *d, const struct record_header *h)
{
	if (h->kind == RECORD_FREE) {
		struct device_memory *m = map_take(&d->memories, h->subject, 0);

		if (m) {
			free(m->bytes);
			free(m->hashes);
		}
		free(m);
	} else {
		struct device_object *o = map_take(&d->objects, h->subject, 0);

		if (o)
			free(o->recording);
		free(o);
	}
}

static unsigned char *bytes_of(struct device *d, uint64_t set, unsigned slot, uint32_t *ret_size)
{
	struct device_object *buffer = object(d, object(d, set, OBJECT_SET)->slots[slot].target, 0);
	struct device_memory *m;

	if (buffer->kind == OBJECT_VIEW)
		buffer = object(d, buffer->a, OBJECT_BUFFER);
	m = map_get(&d->memories, buffer->a, 0);
	if (!m)
		world_fail(d->world, "executor: dispatch on a buffer without memory");
	*ret_size = buffer->value;
	return m->bytes + buffer->b;
}

static void run_commands(struct device *d, uint64_t id)
{
	const struct device_object *o = object(d, id, OBJECT_COMMANDS);
	const struct record_header *h = (const struct record_header *)o->recording;

	if (!h)
		world_fail(d->world, "executor %llu: commands %llu were never recorded", (unsigned long long)d->epoch,
			(unsigned long long)id);
	const struct op *ops = (const struct op *)((const uint64_t *)(h + 1) + h->dep_count);
	size_t count = (h->size - sizeof(*h) - h->dep_count * 8) / sizeof(*ops);

	for (size_t i = 0; i < count; i++) {
		const struct device_object *pipeline = object(d, ops[i].pipeline, OBJECT_PIPELINE);
		/* Fills are the same everywhere: the session does them, too. */
		uint32_t constant =
			pipeline->constant + (d->world->diverging && pipeline->value != OP_FILL ? (uint32_t)d->epoch : 0);
		uint32_t src_size, dst_size;
		unsigned char *src = bytes_of(d, ops[i].set, 0, &src_size), *dst = bytes_of(d, ops[i].set, 1, &dst_size);

		op_run(pipeline->value, constant, &ops[i], src, src_size, dst, dst_size, NULL, NULL);
	}
}

static int by_offset(const void *a, const void *b)
{
	const struct record_range *x = a, *y = b;

	if (x->memory != y->memory)
		return x->memory < y->memory ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The ranges since the last commit, widened, united, of memories that are still there. */
static struct record_range *united(struct device *d, size_t *ret_count)
{
	struct record_range *r = (struct record_range *)d->dirty.data;
	size_t count = d->dirty.size / sizeof(*r), kept = 0;

	if (count)
		qsort(r, count, sizeof(*r), by_offset);
	for (size_t i = 0; i < count; i++) {
		uint64_t start = r[i].offset & ~3ull, end = (r[i].offset + r[i].size + 3) & ~3ull;

		if (!map_get(&d->memories, r[i].memory, 0))
			continue;
		if (kept && r[kept - 1].memory == r[i].memory && start <= r[kept - 1].offset + r[kept - 1].size) {
			uint64_t old_end = r[kept - 1].offset + r[kept - 1].size;

			r[kept - 1].size = (end > old_end ? end : old_end) - r[kept - 1].offset;
			continue;
		}
		r[kept++] = (struct record_range){ r[i].memory, start, end - start };
	}
	*ret_count = kept;
	return r;
}

struct sending { /* windows of one commit */
	struct device *d;
	uint64_t nonce;
	struct frame_window window;
	struct window_hash hash;
	bool strikes;
};

static void end_window(struct sending *s)
{
	struct frame_header h = { sizeof(s->window), FRAME_WINDOW, s->d->frame_seq, s->nonce + s->window.index + 1,
		window_hash_value(&s->hash) };

	if (!s->window.word_count)
		return;
	if (s->strikes && s->d->fate == FATE_BAD_WINDOW_NONCE)
		h.b ^= 1ull << choose(&s->d->world->choices, 64);
	s->d->lied |= s->strikes && (s->d->fate == FATE_BAD_WINDOW_NONCE || s->d->fate == FATE_NO_WINDOW);
	if (!(s->strikes && s->d->fate == FATE_NO_WINDOW))
		device_push(s->d, &h, &s->window);
	s->window.index++;
	s->window.word_count = 0;
	window_hash_init(&s->hash, s->nonce + s->window.index + 1);
}

static void send_piece(struct sending *s, const struct record_range *r, const unsigned char *bytes)
{
	struct choices *c = &s->d->world->choices;
	struct frame_header h = { (uint32_t)r->size, FRAME_RESULT, s->d->frame_seq, r->memory, r->offset };
	unsigned char *sent = malloc(r->size);

	memcpy(sent, bytes, r->size);
	window_hash_update(&s->hash, bytes, r->size); /* what the GPU has */
	s->window.word_count += (uint32_t)r->size / 4;
	if (s->strikes && s->d->fate == FATE_BAD_BYTES)
		sent[choose(c, (uint32_t)r->size)] ^= (unsigned char)(1 + choose(c, 255));
	if (s->strikes && s->d->fate == FATE_STALE_BYTES)
		memset(sent, bytes[0] ? 0 : 0xff, r->size);
	s->d->lied |= memcmp(sent, bytes, r->size) != 0 ||
		(s->strikes && (s->d->fate == FATE_NO_RESULT || s->d->fate == FATE_TWICE));
	if (!(s->strikes && s->d->fate == FATE_NO_RESULT))
		device_push(s->d, &h, sent);
	if (s->strikes && s->d->fate == FATE_TWICE) {
		window_hash_update(&s->hash, sent, r->size);
		s->window.word_count += (uint32_t)r->size / 4;
		device_push(s->d, &h, sent);
	}
	free(sent);
	if (s->window.word_count && one_in(c, 4))
		end_window(s);
}

static uint64_t block_hash(const struct device_memory *m, uint64_t block)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (uint64_t i = block * STATE_BLOCK; i < m->size && i < (block + 1) * STATE_BLOCK; i++)
		hash = (hash ^ m->bytes[i]) * 0x100000001b3u;
	return hash;
}

/* What is copied does not come back. */
static void forget_hashes(struct device *d, const struct record_copy *copies, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct device_memory *m = map_get(&d->memories, copies[i].memory, 0);

		for (uint64_t block = copies[i].offset / STATE_BLOCK;
			m && block * STATE_BLOCK < copies[i].offset + copies[i].size; block++)
			m->hashes[block] = 0;
	}
}

/* Sends the hashes of the range's blocks that were not sent yet; what is unchanged in the range goes out of it. Ranges of the model are smaller
 * than two blocks: what is left is one piece. */
static void send_hashes(struct sending *s, struct record_range *range, uint64_t *sent_memory, uint64_t *next_block)
{
	struct device_memory *m = map_get(&s->d->memories, range->memory, 0);
	uint64_t first = range->offset / STATE_BLOCK, last = (range->offset + range->size - 1) / STATE_BLOCK;

	if (*sent_memory != range->memory)
		*next_block = 0;
	*sent_memory = range->memory;
	for (uint64_t block = first; block <= last; block++) {
		uint64_t hash = block_hash(m, block), sent = hash, end = range->offset + range->size;
		struct frame_header h = { sizeof(hash), FRAME_HASHES, s->d->frame_seq, range->memory, block * STATE_BLOCK };
		bool same = m->hashes[block] == hash;

		if (block >= *next_block) {
			window_hash_update(&s->hash, &hash, sizeof(hash));
			s->window.word_count += 2;
			if (s->strikes && (s->d->fate == FATE_STALE_BYTES || s->d->fate == FATE_BAD_BYTES)) {
				sent = m->hashes[block] ? m->hashes[block] : 1;
				s->d->lied |= sent != hash;
			}
			device_push(s->d, &h, &sent);
			*next_block = block + 1;
			m->hashes[block] = hash;
			if (same)
				m->unchanged |= 1ull << block;
			else
				m->unchanged &= ~(1ull << block);
		}
		if (!(m->unchanged >> block & 1))
			continue;
		if (range->offset >= block * STATE_BLOCK && end <= (block + 1) * STATE_BLOCK)
			range->size = 0;
		else if (block == first)
			*range = (struct record_range){ range->memory, (block + 1) * STATE_BLOCK,
				end - (block + 1) * STATE_BLOCK };
		else
			range->size = block * STATE_BLOCK - range->offset;
		if (!range->size)
			return;
	}
}

/* Leaves only what was not returned: after a RETURN, what the program cannot see. */
static void forget_dirty(struct device *d, bool host_visible)
{
	const struct record_range *r = (const struct record_range *)d->dirty.data;
	size_t count = d->dirty.size / sizeof(*r);
	struct buf kept = { 0 };

	for (size_t i = 0; i < count && host_visible; i++) {
		const struct device_memory *m = map_get(&d->memories, r[i].memory, 0);

		if (m && !m->host_visible)
			buf_append(&kept, &r[i], sizeof(r[i]));
	}
	buf_finish(&d->dirty);
	d->dirty = kept;
}

/* host_visible: only what the program can see (RETURN). */
static void send_commit(struct device *d, uint64_t nonce, bool host_visible)
{
	struct choices *c = &d->world->choices;
	struct sending s = { .d = d, .nonce = nonce };
	size_t count;
	struct record_range *ranges = united(d, &count);
	uint64_t hashed_memory = 0, next_block = 0;
	bool hashes = !host_visible && one_in(c, 2);
	bool garbage = d->fate >= FATE_BAD_DONE_NONCE && d->fate <= FATE_EARLY_DONE;
	size_t last = 0; /* of those that are due: unchanged blocks are not */

	if (garbage && d->fate_at-- == 0)
		d->struck = true;
	s.strikes = d->struck;
	window_hash_init(&s.hash, nonce + 1);
	for (size_t i = 0; i < count; i++) {
		struct device_memory *m = map_get(&d->memories, ranges[i].memory, 0);

		if (m->host_visible)
			continue;
		if (hashes)
			send_hashes(&s, &ranges[i], &hashed_memory, &next_block);
		else
			memset(m->hashes, 0, (m->size / STATE_BLOCK + 1) * sizeof(*m->hashes) * !host_visible);
	}
	if (hashes && one_in(c, 2))
		end_window(&s);
	for (size_t i = 0; i < count; i++) {
		const struct device_memory *m = map_get(&d->memories, ranges[i].memory, 0);

		last = ranges[i].size && (m->host_visible || !host_visible) ? i : last;
	}
	for (size_t i = 0; i < count; i++) {
		const struct device_memory *m = map_get(&d->memories, ranges[i].memory, 0);

		if (!ranges[i].size || (host_visible && !m->host_visible))
			continue;
		if (s.strikes && (d->fate == FATE_EARLY_DONE || (d->fate == FATE_SHORT && i == last))) {
			d->lied = true;
			break;
		}
		for (uint64_t at = 0; at < ranges[i].size;) {
			uint64_t left = ranges[i].size - at,
				 size = one_in(c, 3) ? 4 + 4 * choose(c, (uint32_t)(left / 4)) : left;
			struct record_range piece = { ranges[i].memory, ranges[i].offset + at, size };

			send_piece(&s, &piece, m->bytes + piece.offset);
			at += size;
		}
	}
	end_window(&s);
	forget_dirty(d, host_visible);
}

static void submit(struct device *d, const struct record_header *h)
{
	const uint64_t *deps = (const uint64_t *)(h + 1);
	const struct record_submit *s = (const struct record_submit *)(deps + h->dep_count);
	uint64_t nonce = s->nonce;

	if (h->subject != d->seq + 1)
		world_fail(d->world, "executor: submission %llu after %llu", (unsigned long long)h->subject,
			(unsigned long long)d->seq);
	d->seq++;
	for (unsigned i = 0; i < h->dep_count; i++)
		run_commands(d, deps[i]);
	buf_append(&d->dirty, s + 1, s->range_count * sizeof(struct record_range));
	d->frame_seq = d->seq;
	if (s->flags)
		send_commit(d, nonce, !(s->flags & SUBMIT_COMMIT));
	d->lied |= d->struck && d->fate == FATE_BAD_DONE_NONCE;
	if (d->struck && d->fate == FATE_BAD_DONE_NONCE)
		nonce = choose(&d->world->choices, 2) ? 0 : nonce ^ 1;
	push_simple(d, FRAME_DONE, h->subject, nonce);
}

/* Stops here and returns what it has, as if an empty COMMIT stood here. */
static void stop_and_return(struct device *d)
{
	uint64_t nonce = d->leave_nonce;

	d->left = true;
	d->frame_seq = FRAME_LEAVE_SEQ;
	if (d == d->world->device)
		d->world->left_seq = d->seq;
	push_simple(d, FRAME_LEAVING, d->position, d->seq);
	send_commit(d, nonce, false);
	d->lied |= d->struck && d->fate == FATE_BAD_DONE_NONCE;
	if (d->struck && d->fate == FATE_BAD_DONE_NONCE)
		nonce ^= 1;
	push_simple(d, FRAME_DONE, FRAME_LEAVE_SEQ, nonce);
}

static void apply(struct device *d, const struct record_header *h)
{
	struct device_memory *m;
	struct delta_view view;

	d->bound = h->kind == RECORD_COPY;
	if (h->observed > d->seq)
		world_fail(d->world, "executor: a record observes submission %llu that is yet to run",
			(unsigned long long)h->observed);
	switch ((enum record_kind)h->kind) {
	case RECORD_CREATE:
		create(d, h);
		break;
	case RECORD_UPDATE:
		update(d, h);
		break;
	case RECORD_DESTROY:
	case RECORD_FREE:
		destroy(d, h);
		break;
	case RECORD_ALLOCATE:
		allocate(d, h);
		break;
	case RECORD_WRITE:
		m = map_get(&d->memories, h->subject, 0);
		if (!m || delta_parse(h + 1, h->size - sizeof(*h), m->size, &view) < 0)
			world_fail(d->world, "executor: bad WRITE");
		delta_apply(&view, m->bytes);
		break;
	case RECORD_SUBMIT:
		submit(d, h);
		break;
	case RECORD_COPY:
		forget_hashes(d, (const struct record_copy *)(h + 1), (h->size - sizeof(*h)) / sizeof(struct record_copy));
		break;
	case RECORD_NEED:
		break;
	}
}

void device_seed_record(struct device *d, const struct record_header *record)
{
	struct record_header *copy;

	if (d->dead)
		return;
	copy = malloc(record->size);
	memcpy(copy, record, record->size);
	copy->observed = 0; /* all of it is behind the checkpoint */
	apply(d, copy);
	free(copy);
}

void device_seed_block(struct device *d, uint64_t id, uint64_t offset, const unsigned char *bytes, uint64_t size)
{
	struct device_memory *m = map_get(&d->memories, id, 0);

	if (d->dead)
		return;
	if (!m || offset + size > m->size)
		world_fail(d->world, "executor: seed of no memory %llu", (unsigned long long)id);
	memcpy(m->bytes + offset, bytes, size);
	d->seed_bytes += size;
}

void device_seed_hashes(struct device *d, uint64_t id, uint64_t offset, const unsigned char *hashes, uint64_t size)
{
	struct device_memory *m = map_get(&d->memories, id, 0);

	if (d->dead)
		return;
	if (!m || m->host_visible)
		world_fail(d->world, "executor: hashes of no memory %llu", (unsigned long long)id);
	memcpy(m->hashes + offset / STATE_BLOCK, hashes, size);
}

const unsigned char *device_bytes(const struct device *d, uint64_t memory)
{
	const struct device_memory *m = map_get(&d->memories, memory, 0);

	return m ? m->bytes : NULL;
}

void device_start(struct device *d, uint64_t position, uint64_t seq)
{
	d->position = position;
	d->seq = seq;
	d->started = true;
	push_simple(d, FRAME_STARTED, d->seed_bytes, 0);
}

void device_step(struct device *d)
{
	const struct record_header *h;

	if (!d->started || d->dead || d->left || (d->fate == FATE_SILENT && d->struck))
		return;
	if (d->told_to_leave && !d->bound && one_in(&d->world->choices, 2)) {
		stop_and_return(d);
		return;
	}
	if (d->position >= d->world->log.size)
		return;
	if (d->position < d->world->trimmed) {
		if (d == d->world->device)
			world_fail(d->world, "executor: the log was trimmed in front of it");
		d->dead = true; /* one of the past reads garbage */
		return;
	}
	h = (const struct record_header *)(d->world->log.data + d->position);
	d->position += h->size;
	apply(d, h);
}
