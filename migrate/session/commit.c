/* What an executor says about submissions, and how a checkpoint comes about. Nothing here is believed before it is proven: bytes
 * go to staging, and become the checkpoint only when every window's nonce and hash fit and every byte asked for has come. */
#include <errno.h>
#include <string.h>

#include "migrate/session/core_private.h"

/* Adds a piece of what a RETURN brings to its hash. In whatever pieces and order the bytes come, the sum is the same: each word is mixed with
 * its place as in a window, with the memory's id for a nonce. */
static uint64_t add_return(uint64_t sum, uint64_t memory, uint64_t offset, const void *bytes, uint64_t size)
{
	struct window_hash hash;

	window_hash_init(&hash, memory * 0x9E3779B97F4A7C15u);
	hash.index = (uint32_t)(offset / sizeof(uint32_t));
	hash.lo = (uint32_t)sum;
	hash.hi = (uint32_t)(sum >> 32);
	window_hash_update(&hash, bytes, size);
	return window_hash_value(&hash);
}

static void window_begin(struct session_core *c, const struct submission *s, uint32_t index)
{
	c->window.index = index;
	c->window.words = 0;
	window_hash_init(&c->window.hash, s->nonce + index + 1);
}

/* The submission that a frame speaks of, which must be the next one in order; NULL when the epoch or the workload ended over it. */
static struct submission *next_submission(struct session_core *c, uint64_t now_ns, uint64_t seq)
{
	struct submission *s;
	int error = 0;

	if (c->leave == LEAVE_RETURNS && seq == FRAME_LEAVE_SEQ)
		return &c->leave_submission;
	if (seq == c->done_seq + 1 && c->leave != LEAVE_RETURNS && !core_submission(c, seq))
		error = core_scan(c);
	if (error < 0) {
		core_give_up(c, now_ns, error == -ENOMEM ? "out of memory" : "the program's log is malformed");
		return NULL;
	}
	s = seq == c->done_seq + 1 && c->leave != LEAVE_RETURNS ? core_submission(c, seq) : NULL;
	if (!s) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it speaks of a submission out of order");
		return NULL;
	}
	if (c->begun)
		return s;
	for (uint32_t i = 0; i < s->range_count && error == 0; i++)
		error = state_dirty(state_find(&c->state, s->ranges[i].memory), s->ranges[i].offset, s->ranges[i].size);
	for (size_t i = 0; i < s->copied_count; i++)
		state_forget_hashes(state_find(&c->state, s->copied[i].memory), s->copied[i].offset, s->copied[i].size);
	if (error == 0 && (s->commit || s->returns))
		error = state_begin(&c->state, s->end, s->returns);
	if (error < 0) {
		core_give_up(c, now_ns, "out of memory");
		return NULL;
	}
	c->begun = true;
	c->return_hash = 0;
	window_begin(c, s, 0);
	return s;
}

void *core_place(struct session_core *c, const struct frame_header *h)
{
	uint64_t seq = c->leave == LEAVE_RETURNS ? FRAME_LEAVE_SEQ : c->done_seq + 1;

	/* The first one of a submission has no place yet. */
	return h->kind == FRAME_RESULT && c->begun && h->a == seq ? state_place(&c->state, h->b, h->c, h->size) : NULL;
}

void core_result(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload)
{
	const struct submission *s = next_submission(c, now_ns, h->a);
	int error;

	if (!s)
		return;
	error = s->commit || s->returns ? state_stage(&c->state, h->b, h->c, payload, h->size) : -EBADMSG;
	if (error == -ENOMEM) {
		core_give_up(c, now_ns, "out of memory");
	} else if (error < 0) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it returns bytes that nobody asked for");
	} else {
		window_hash_update(&c->window.hash, payload, h->size);
		if (s->returns)
			c->return_hash = add_return(c->return_hash, h->b, h->c, payload, h->size);
		c->window.words += h->size / 4;
		c->progress_ns = now_ns;
	}
}

void core_hashes(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload)
{
	const struct submission *s = next_submission(c, now_ns, h->a);
	int error = -EBADMSG;

	if (!s)
		return;
	if (s->commit && h->size && h->size % sizeof(uint64_t) == 0) {
		buf_clear(&c->scratch); /* aligned */
		buf_append(&c->scratch, payload, h->size);
		error = c->scratch.failed
			? -ENOMEM
			: state_hash(&c->state, h->b, h->c, (const uint64_t *)(const void *)c->scratch.data,
				  h->size / sizeof(uint64_t));
	}
	if (error == -ENOMEM) {
		core_give_up(c, now_ns, "out of memory");
	} else if (error < 0) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it hashes blocks that nobody asked for");
	} else {
		window_hash_update(&c->window.hash, payload, h->size);
		c->window.words += h->size / 4;
		c->progress_ns = now_ns;
	}
}

void core_window(struct session_core *c, uint64_t now_ns, const struct frame_header *h, const void *payload)
{
	const struct submission *s = next_submission(c, now_ns, h->a);
	struct frame_window w;

	if (!s)
		return;
	if (h->size != sizeof(w)) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "a window without its numbers");
		return;
	}
	memcpy(&w, payload, sizeof(w));
	if ((!s->commit && !s->returns) || w.index != c->window.index || w.word_count != c->window.words ||
		w.word_count == 0)
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "a window that does not fit its bytes");
	else if (h->b != s->nonce + w.index + 1)
		core_lose(c, now_ns, SESSION_LOSS_GARBAGE, "the nonce of a window is not what its GPU had to write");
	else if (h->c != window_hash_value(&c->window.hash))
		core_lose(c, now_ns, SESSION_LOSS_GARBAGE, "the bytes of a window are not what its GPU hashed");
	else
		window_begin(c, s, w.index + 1);
}

/* Gathers what changed in one range into deliveries of bounded size. */
struct delivery {
	struct session_core *core;
	struct delivery_delta delta;
};

static void flush_delivery(struct delivery *d)
{
	if (d->delta.span_count)
		d->core->ops->deliver_delta(d->core->ctx, &d->delta);
	d->delta.span_count = d->delta.mask_count = 0;
	d->delta.byte_count = 0;
}

static void deliver_span(struct delivery *d, uint64_t offset, uint64_t size, const uint64_t *masks)
{
	struct delivery_scratch *s = d->core->delivery;
	uint64_t blocks = delta_blocks(size);

	if (d->delta.span_count == SPANS_MAX || d->delta.byte_count + size > SPAN_BYTES_MAX)
		flush_delivery(d);
	s->spans[d->delta.span_count++] = (struct record_run){ offset, size };
	memcpy(s->masks + d->delta.mask_count, masks, blocks * sizeof(*masks));
	d->delta.mask_count += (uint32_t)blocks;
	d->delta.byte_count += size;
}

static int deliver_changes(void *ctx, const struct state_memory *m, uint64_t offset, const unsigned char *before,
	const unsigned char *now, uint64_t size, bool gently)
{
	struct session_core *c = ctx;
	uint64_t *masks = c->delivery->compared;
	struct delivery d = { c,
		{ .memory = m->id,
			.spans = c->delivery->spans,
			.masks = c->delivery->masks,
			.base = now - offset,
			.gently = gently } };

	for (uint64_t at = 0, part; at < size; at += part) {
		part = size - at < COMPARE_BYTES ? size - at : COMPARE_BYTES;
		delta_masks(before + at, now + at, part, masks);
		for (uint64_t first = 0, end, blocks = delta_blocks(part); first < blocks; first = end) {
			for (end = first; end < blocks && masks[end]; end++)
				continue;
			if (end > first) {
				uint64_t from = first * DELTA_BLOCK_BYTES, to = end * DELTA_BLOCK_BYTES;

				deliver_span(&d, offset + at + from, (to < part ? to : part) - from, masks + first);
			} else {
				end++;
			}
		}
	}
	flush_delivery(&d);
	return 0;
}

/* True when an ALLOCATE in front of `end` was never answered, though the executor must have passed it. */
static bool unanswered_before(const struct session_core *c, uint64_t end)
{
	if (!c->pending_answers)
		return false;
	map_for_each(&c->state.memories, slot) {
		const struct state_memory *m = slot->value;

		if (m->answer == STATE_PENDING && m->allocated_at < end)
			return true;
	}
	return false;
}

static int commit(struct session_core *c, uint64_t seq, uint64_t end)
{
	int error = c->relaxed ? core_view(c, end) : 0;

	if (error == 0)
		error = core_apply(c, end);
	if (error == 0)
		error = state_commit(&c->state, deliver_changes, c);
	if (error < 0)
		return error;
	c->position = end;
	c->view_position = end;
	c->committed_seq = seq;
	core_drop_submissions(c, seq);
	return 0;
}

/* It has stopped, and returns what it has as if a COMMIT stood there. */
void core_leaving(struct session_core *c, uint64_t now_ns, const struct frame_header *h)
{
	int error = core_scan(c);

	if (error == 0 &&
		(c->leave != LEAVE_SENT || c->begun || h->b != c->done_seq || h->a > c->scanned ||
			!core_between_submissions(c, h->a))) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "it says that it leaves where it can't be");
		return;
	}
	c->leave_submission = (struct submission){ .nonce = c->leave_nonce, .end = h->a, .commit = true };
	if (error == 0)
		error = state_begin(&c->state, h->a, false);
	if (error < 0) {
		core_give_up(c, now_ns, error == -ENOMEM ? "out of memory" : "the program's log is malformed");
		return;
	}
	c->leave = LEAVE_RETURNS;
	c->begun = true;
	c->progress_ns = now_ns;
	window_begin(c, &c->leave_submission, 0);
}

/* What the program can see has come back. It is told; in a replay it was, and what came must be the same. */
static int take_return(struct session_core *c, uint64_t seq, struct submission *s)
{
	bool replay = seq <= c->completed_seq;
	int error = core_view(c, s->end);

	if (error == 0)
		error = state_return(&c->state, replay ? NULL : deliver_changes, c);
	if (error < 0)
		return error;
	if (replay && s->hash != c->return_hash) {
		c->diverged++;
		c->diverged_seq = seq;
		if (c->diverged_epoch != c->epoch)
			c->ops->report(c->ctx, SESSION_EVENT_DIVERGED);
		c->diverged_epoch = c->epoch;
	} else if (!replay) {
		s->hash = c->return_hash;
	}
	return 0;
}

/* When the replay has come to where the program is: what it was told is the view, unless something diverged. */
static void settle(struct session_core *c, bool is_commit)
{
	bool arriving = c->told_position != 0;

	if (!c->telling || c->view_position < c->told_position || (!is_commit && !arriving))
		return;
	c->told_position = 0;
	c->telling = !state_settle(&c->state);
}

void core_done(struct session_core *c, uint64_t now_ns, const struct frame_header *h)
{
	struct submission *s = next_submission(c, now_ns, h->a);
	bool is_commit, brings_nothing, left;
	int error = 0;

	if (!s)
		return;
	if (h->b != s->nonce) {
		core_lose(c, now_ns, SESSION_LOSS_GARBAGE, "the nonce of a submission is not what its GPU had to write");
		return;
	}
	if ((s->commit || s->returns) && (c->state.missing_bytes || c->window.words)) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "what it had to return has parts missing");
		return;
	}
	if (s->commit && unanswered_before(c, s->end)) {
		core_lose(c, now_ns, SESSION_LOSS_PROTOCOL, "a checkpoint with parts missing");
		return;
	}
	is_commit = s->commit;
	brings_nothing = !is_commit && !s->returns;
	left = s == &c->leave_submission;
	if (c->telling) { /* what the host has written since matters, too */
		error = core_scan(c);
		s = left ? s : core_submission(c, h->a);
	}
	if (error == 0 && is_commit)
		error = commit(c, left ? c->done_seq : h->a, s->end);
	else if (error == 0 && s->returns)
		error = take_return(c, h->a, s);
	if (error < 0) {
		core_give_up(c, now_ns, error == -ENOMEM ? "out of memory" : "the program's log is malformed");
		return;
	}
	settle(c, is_commit);
	c->begun = false;
	if (!left)
		core_progress(c, now_ns, h->a, brings_nothing);
	if (is_commit) {
		c->ops->trim(c->ctx, c->position);
		c->ops->report(c->ctx, SESSION_EVENT_CHECKPOINT);
	}
	if (left)
		core_left(c, now_ns);
}
