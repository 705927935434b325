#include "migrate/session/state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* What was compared and delivered is still in the cache when it is copied. */
#define RETURN_STEP_BYTES (256u << 10)
/* Fresh memory costs more than what is copied there. */
#define IDLE_COMMITS 4u

static void memory_destroy(struct state_memory *m)
{
	free(m->bytes);
	free(m->written);
	free(m->staging);
	free(m->hashes);
	free(m->fresh);
	free(m->view);
	free(m->differs);
	free(m->told);
	ranges_finish(&m->dirty);
	ranges_finish(&m->returned);
	ranges_finish(&m->missing);
	free(m);
}

void state_finish(struct state *s)
{
	map_for_each(&s->memories, slot)
		memory_destroy(slot->value);
	map_finish(&s->memories);
	*s = (struct state){ 0 };
}

struct state_memory *state_find(const struct state *s, uint64_t id)
{
	return map_get(&s->memories, id, 0);
}

int state_allocate(struct state *s, uint64_t id, uint64_t size, uint64_t position, bool host_visible)
{
	struct state_memory *m;
	int error;

	if (state_find(s, id))
		return -EEXIST;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->id = id;
	m->size = size;
	m->host_visible = host_visible;
	m->allocated_at = position;
	m->freed_at = UINT64_MAX;
	error = map_put(&s->memories, id, 0, m);
	if (error < 0)
		free(m);
	return error;
}

void state_commit_allocate(struct state *s, struct state_memory *m)
{
	m->committed = true;
	s->size_bytes += m->size;
}

void state_free(struct state *s, struct state_memory *m)
{
	if (!m)
		return;
	if (m->committed)
		s->size_bytes -= m->size;
	map_take(&s->memories, m->id, 0);
	memory_destroy(m);
}

static uint64_t block_count(const struct state_memory *m)
{
	return (m->size + STATE_BLOCK - 1) / STATE_BLOCK;
}

static int make_bytes(struct state_memory *m)
{
	if (m->bytes)
		return 0;
	m->written = calloc((block_count(m) + 63) / 64, sizeof(*m->written));
	m->bytes = memory_large(calloc(1, m->size), m->size); /* large ones come as untouched pages */
	if (m->bytes && m->written)
		return 0;
	free(m->bytes);
	free(m->written);
	m->bytes = NULL;
	m->written = NULL;
	return -ENOMEM;
}

static void mark_written(struct state_memory *m, uint64_t offset, uint64_t size)
{
	for (uint64_t block = offset / STATE_BLOCK; block <= (offset + size - 1) / STATE_BLOCK; block++)
		m->written[block / 64] |= 1ull << block % 64;
}

int state_write(struct state_memory *m, const struct delta_view *view)
{
	int error = make_bytes(m);

	if (error < 0)
		return error;
	delta_apply(view, m->bytes);
	for (uint32_t i = 0; i < view->run_count; i++)
		mark_written(m, view->runs[i].offset, view->runs[i].size);
	return 0;
}

int state_copy(
	struct state_memory *m, uint64_t offset, const struct state_memory *source, uint64_t source_offset, uint64_t size)
{
	int error;

	if (!source->bytes) /* never written */
		return state_fill(m, offset, size, 0);
	error = make_bytes(m);
	if (error < 0)
		return error;
	memcpy(m->bytes + offset, source->bytes + source_offset, size);
	mark_written(m, offset, size);
	return 0;
}

int state_fill(struct state_memory *m, uint64_t offset, uint64_t size, uint32_t word)
{
	int error;

	if (word == 0 && !m->bytes)
		return 0;
	error = make_bytes(m);
	if (error < 0)
		return error;
	if (word == (word & 0xff) * 0x01010101u) {
		memset(m->bytes + offset, (int)(word & 0xff), size);
	} else {
		for (uint64_t done = 0; done < size; done += sizeof(word))
			memcpy(m->bytes + offset + done, &word, size - done < sizeof(word) ? size - done : sizeof(word));
	}
	mark_written(m, offset, size);
	return 0;
}

int state_dirty(struct state_memory *m, uint64_t offset, uint64_t size)
{
	/* Sizes are multiples of 256, so widening stays inside. */
	return ranges_add(&m->dirty, offset & ~3ull, (offset + size + 3) & ~3ull);
}

int state_begin(struct state *s, uint64_t end, bool host_visible)
{
	s->missing_bytes = 0;
	s->end = end;
	s->staged = false;
	map_for_each(&s->memories, slot) {
		struct state_memory *m = slot->value;
		int error;

		ranges_clear(&m->returned);
		ranges_clear(&m->missing);
		if (m->freed_at < end || !m->dirty.count || (host_visible && !m->host_visible))
			continue;
		error = ranges_add_all(&m->returned, &m->dirty);
		if (error == 0)
			error = ranges_add_all(&m->missing, &m->dirty);
		if (error < 0)
			return error;
		for (size_t i = 0; i < m->missing.count; i++)
			s->missing_bytes += m->missing.at[i].end - m->missing.at[i].start;
	}
	return 0;
}

static bool make_staging(struct state_memory *m)
{
	if (!m->staging)
		m->staging = memory_large(malloc(m->size), m->size);
	return m->staging;
}

void *state_place(struct state *s, uint64_t id, uint64_t offset, uint64_t size)
{
	struct state_memory *m = state_find(s, id);

	if (!m || size == 0 || offset > m->size || size > m->size - offset ||
		!ranges_contain(&m->missing, offset, offset + size) || !make_staging(m))
		return NULL;
	return m->staging + offset;
}

int state_stage(struct state *s, uint64_t id, uint64_t offset, const void *bytes, uint64_t size)
{
	struct state_memory *m = state_find(s, id);
	int error;

	if (!m || offset % 4 || size % 4 || size == 0 || offset > m->size || size > m->size - offset)
		return -EBADMSG;
	error = ranges_take(&m->missing, offset, offset + size);
	if (error < 0)
		return error == -ENOENT ? -EBADMSG : error;
	if (!make_staging(m))
		return -ENOMEM;
	if (bytes != m->staging + offset)
		memcpy(m->staging + offset, bytes, size);
	s->staged = true;
	s->missing_bytes -= size;
	return 0;
}

void state_forget_hashes(struct state_memory *m, uint64_t offset, uint64_t size)
{
	for (uint64_t block = offset / STATE_BLOCK; m->hashes && block <= (offset + size - 1) / STATE_BLOCK; block++)
		m->hashes[block] = 0;
}

static void forget_fresh(struct state_memory *m)
{
	free(m->fresh);
	m->fresh = NULL;
}

int state_hash(struct state *s, uint64_t id, uint64_t offset, const uint64_t *hashes, uint64_t count)
{
	struct state_memory *m = state_find(s, id);
	uint64_t first = offset / STATE_BLOCK;

	if (!m || m->host_visible || s->staged || offset % STATE_BLOCK || first > block_count(m) ||
		count > block_count(m) - first)
		return -EBADMSG;
	if (!m->hashes)
		m->hashes = calloc(block_count(m), sizeof(*m->hashes));
	if (!m->fresh)
		m->fresh = calloc(block_count(m), sizeof(*m->fresh));
	if (!m->hashes || !m->fresh)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t block = first + i, start = block * STATE_BLOCK, cut;
		int error;

		if (m->fresh[block])
			return -EBADMSG;
		m->fresh[block] = hashes[i];
		if (!hashes[i] || hashes[i] != m->hashes[block])
			continue;
		error = ranges_cut(&m->missing, start, start + STATE_BLOCK, &cut);
		s->missing_bytes -= error < 0 ? 0 : cut;
		if (error == 0)
			error = ranges_cut(&m->returned, start, start + STATE_BLOCK, &cut);
		if (error < 0)
			return error;
	}
	return 0;
}

/* What is returned has the hashes that came with it, or none. */
static void commit_hashes(struct state_memory *m)
{
	for (size_t i = 0; i < m->returned.count && m->hashes; i++) {
		uint64_t last = (m->returned.at[i].end - 1) / STATE_BLOCK;

		for (uint64_t block = m->returned.at[i].start / STATE_BLOCK; block <= last; block++)
			m->hashes[block] = m->fresh ? m->fresh[block] : 0;
	}
	forget_fresh(m);
}

/* --- relaxed mode: views --- */

static bool has_bit(const uint64_t *bits, uint64_t block)
{
	return bits[block / 64] >> block % 64 & 1;
}

/* Copies the marked blocks. */
static void copy_blocks(const struct state_memory *m, const uint64_t *marks, unsigned char *to, const unsigned char *from)
{
	for (uint64_t block = 0; block < block_count(m); block++) {
		uint64_t start = block * STATE_BLOCK, left = m->size - start;

		if (has_bit(marks, block))
			memcpy(to + start, from + start, left < STATE_BLOCK ? left : STATE_BLOCK);
	}
}

static int make_view(struct state_memory *m)
{
	if (m->view)
		return 0;
	m->view = memory_large(calloc(1, m->size), m->size);
	m->differs = calloc((block_count(m) + 63) / 64, sizeof(*m->differs));
	if (!m->view || !m->differs) {
		free(m->view);
		free(m->differs);
		m->view = NULL;
		m->differs = NULL;
		return -ENOMEM;
	}
	if (m->bytes)
		copy_blocks(m, m->written, m->view, m->bytes);
	return 0;
}

static void mark_view(struct state_memory *m, uint64_t offset, uint64_t size)
{
	for (uint64_t block = offset / STATE_BLOCK; block <= (offset + size - 1) / STATE_BLOCK; block++)
		m->differs[block / 64] |= 1ull << block % 64;
}

int state_view_write(struct state_memory *m, const struct delta_view *view, bool told)
{
	int error = make_view(m);

	if (error < 0)
		return error;
	delta_apply(view, m->view);
	if (m->told && told)
		delta_apply(view, m->told);
	for (uint32_t i = 0; i < view->run_count; i++)
		mark_view(m, view->runs[i].offset, view->runs[i].size);
	return 0;
}

static int return_range(
	struct state_memory *m, uint64_t start, uint64_t size, bool gently, state_changed_fn *changed, void *ctx)
{
	const unsigned char *now = m->staging + start;
	int error = 0;

	if (changed)
		error = changed(ctx, m, start, m->view + start, now, size, false);
	if (error == 0 && changed && m->told) {
		/* What was just delivered is told, too: the second walk finds what differs from the first telling alone. */
		for (uint64_t i = 0; i < size; i++)
			if (now[i] != m->view[start + i])
				m->told[start + i] = now[i];
		if (error == 0 && gently) {
			error = changed(ctx, m, start, m->told + start, now, size, true);
			memcpy(m->told + start, now, size);
		}
	}
	memcpy(m->view + start, now, size);
	mark_view(m, start, size);
	return error;
}

static int return_memory(struct state_memory *m, uint64_t end, state_changed_fn *changed, void *ctx)
{
	bool gently = m->captured_at < end; /* else some of it may be the host's by now */
	int error = make_view(m);

	for (size_t i = 0; i < m->returned.count; i++)
		for (uint64_t at = m->returned.at[i].start, end_at = m->returned.at[i].end, step; at < end_at && error == 0;
			at += step) {
			step = end_at - at < RETURN_STEP_BYTES ? end_at - at : RETURN_STEP_BYTES;
			error = return_range(m, at, step, gently, changed, ctx);
		}
	ranges_clear(&m->dirty);
	ranges_clear(&m->returned);
	return error;
}

int state_return(struct state *s, state_changed_fn *changed, void *ctx)
{
	assert(s->missing_bytes == 0);
	map_for_each(&s->memories, slot) {
		struct state_memory *m = slot->value;
		int error = m->host_visible && m->returned.count ? return_memory(m, s->end, changed, ctx) : 0;

		if (error < 0)
			return error;
	}
	return 0;
}

bool state_settle(struct state *s)
{
	bool settled = true;

	map_for_each(&s->memories, slot) {
		struct state_memory *m = slot->value;

		if (m->told && make_view(m) == 0 && memcmp(m->told, m->view, m->size) == 0) {
			free(m->told);
			m->told = NULL;
		}
		settled &= !m->told;
	}
	return settled;
}

/* The view is the checkpoint from here. */
static int commit_view(struct state_memory *m)
{
	int error = make_bytes(m);

	if (error < 0)
		return error;
	copy_blocks(m, m->differs, m->bytes, m->view);
	for (uint64_t i = 0; i < (block_count(m) + 63) / 64; i++) {
		m->written[i] |= m->differs[i];
		m->differs[i] = 0;
	}
	return 0;
}

/* --- commits --- */

/* The returned ranges of one memory become its checkpoint. */
static int commit_memory(struct state_memory *m, state_changed_fn *changed, void *ctx)
{
	int error = make_bytes(m);

	if (error < 0)
		return error;
	for (size_t i = 0; i < m->returned.count; i++) {
		uint64_t start = m->returned.at[i].start, size = m->returned.at[i].end - start;

		if (m->host_visible) {
			error = changed(ctx, m, start, m->bytes + start, m->staging + start, size, false);
			if (error < 0)
				return error;
		}
		mark_written(m, start, size);
		if (size == m->size) { /* nothing of the old bytes stays */
			unsigned char *old = m->bytes;

			m->bytes = m->staging;
			m->staging = old;
		} else {
			memcpy(m->bytes + start, m->staging + start, size);
		}
	}
	return 0;
}

int state_commit(struct state *s, state_changed_fn *changed, void *ctx)
{
	assert(s->missing_bytes == 0);
	map_for_each(&s->memories, slot) {
		struct state_memory *m = slot->value;
		int error = 0;

		commit_hashes(m);
		if ((m->view || m->told) && m->returned.count)
			error = return_memory(m, s->end, changed, ctx);
		if (error == 0 && m->view)
			error = commit_view(m);
		if (error == 0 && m->returned.count)
			error = commit_memory(m, changed, ctx);
		if (error < 0)
			return error;
		m->idle_commits = m->returned.count ? 0 : m->idle_commits + 1;
		if (m->idle_commits == IDLE_COMMITS) {
			/* Written once and only read since: the second copy is not worth its memory. */
			free(m->staging);
			m->staging = NULL;
		}
		ranges_clear(&m->dirty);
		ranges_clear(&m->returned);
	}
	return 0;
}

void state_abandon(struct state *s)
{
	s->missing_bytes = 0;
	map_for_each(&s->memories, slot) {
		struct state_memory *m = slot->value;

		ranges_clear(&m->dirty);
		ranges_clear(&m->returned);
		ranges_clear(&m->missing);
		forget_fresh(m);
		if (m->told)
			free(m->view);
		else
			m->told = m->view;
		free(m->differs);
		m->view = NULL;
		m->differs = NULL;
	}
}

int state_walk(const struct state *s, uint64_t max_block, state_block_fn *fn, void *ctx)
{
	assert(max_block >= STATE_BLOCK);
	map_for_each(&s->memories, slot) {
		const struct state_memory *m = slot->value;
		uint64_t count = block_count(m);

		if (!m->committed || !m->bytes)
			continue;
		for (uint64_t block = 0; block < count;) {
			uint64_t start = block * STATE_BLOCK, end;
			int error;

			if (!(m->written[block / 64] >> block % 64 & 1)) {
				block++;
				continue;
			}
			while (block < count && m->written[block / 64] >> block % 64 & 1 &&
				(block + 1) * STATE_BLOCK - start <= max_block)
				block++;
			end = block * STATE_BLOCK < m->size ? block * STATE_BLOCK : m->size;
			error = fn(ctx, m->id, start, m->bytes + start, end - start);
			if (error)
				return error;
		}
	}
	return 0;
}

int state_walk_hashes(const struct state *s, uint64_t max_bytes, state_block_fn *fn, void *ctx)
{
	map_for_each(&s->memories, slot) {
		const struct state_memory *m = slot->value;
		uint64_t most = max_bytes / sizeof(*m->hashes), count;

		for (uint64_t block = 0; m->committed && m->hashes && block < block_count(m); block += count) {
			int error;

			count = block_count(m) - block < most ? block_count(m) - block : most;
			error = fn(ctx, m->id, block * STATE_BLOCK, (const unsigned char *)(m->hashes + block),
				count * sizeof(*m->hashes));
			if (error)
				return error;
		}
	}
	return 0;
}
