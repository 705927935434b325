#include "migrate/exec/upload.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/exec/link.h"

#define UPLOAD_REGIONS 256u /* of one call; validation layers compare each with each */
/* So many chunks are copied by a job of their own: the GPU copies while the host fills the next ones. */
#define UPLOAD_FLUSH_CHUNKS 4u
#define CHUNK_ALIGN 64u
/* So many runs of this size or less are worth a dispatch. */
#define SMALL_RUN_BYTES 64u
#define SMALL_RUNS 16u

void upload_init(struct upload *u, struct jobs *j)
{
	*u = (struct upload){ .jobs = j, .stamp = 1 };
	scatter_init(&u->scatter, j);
	u->regions = malloc(UPLOAD_REGIONS * sizeof(*u->regions));
	if (!u->regions)
		link_lost(j->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
}

static void begin(struct upload *u)
{
	if (u->job)
		return;
	u->job = jobs_take(u->jobs);
	u->stamp++;
	jobs_begin(u->jobs, u->job->upload);
}

struct job *upload_take(struct upload *u)
{
	struct job *job = u->job;

	if (!job)
		return NULL;
	device_full_barrier(u->jobs->device, job->upload);
	jobs_end(u->jobs, job->upload);
	u->job = NULL;
	u->chunk = NULL;
	u->chunk_count = 0;
	return job;
}

void upload_flush(struct upload *u)
{
	struct job *job = upload_take(u);

	if (job)
		jobs_submit(u->jobs, job, &job->upload, 1);
}

/* Makes the memory writable in the job: what was written to it before in the same job comes first. */
static void order(struct upload *u, struct memory *m)
{
	begin(u);
	if (m->write_stamp == u->stamp) {
		device_full_barrier(u->jobs->device, u->job->upload);
		u->stamp++;
	}
	m->write_stamp = u->stamp;
	m->last_ticket = u->job->ticket;
}

void upload_zero(struct upload *u, struct memory *m, uint64_t begin, uint64_t end)
{
	const struct device *d = u->jobs->device;

	order(u, m);
	d->vk.vkCmdFillBuffer(u->job->upload, m->whole, begin, end - begin, 0);
}

void upload_image(struct upload *u, struct image *i)
{
	order(u, i->memory);
	image_record_load(i, u->jobs->device, u->job->upload);
	i->last_ticket = u->job->ticket;
}

/* Room for `size` bytes in a staging chunk of the current job. */
static void make_room(struct upload *u, struct memory *m, uint32_t size)
{
	if (u->chunk && u->chunk->used + size <= STAGING_CHUNK_BYTES)
		return;
	if (u->chunk_count >= UPLOAD_FLUSH_CHUNKS) {
		upload_flush(u);
		order(u, m);
	}
	u->chunk = jobs_take_chunk(u->jobs);
	if (!u->chunk) {
		/* All staging memory is on its way. Send ours too, so that it comes back. */
		upload_flush(u);
		u->chunk = jobs_wait_chunk(u->jobs);
		order(u, m);
	}
	u->chunk->used = 0;
	u->chunk_count++;
	list_append(&u->job->chunks, &u->chunk->link);
}

/* The next piece of staging memory begins at a good place for the copy engine. */
static void align_chunk(struct upload *u)
{
	if (u->chunk)
		u->chunk->used = (u->chunk->used + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
}

static void flush_regions(struct upload *u, struct memory *m, uint32_t *count)
{
	const struct device *d = u->jobs->device;

	if (*count)
		d->vk.vkCmdCopyBuffer(u->job->upload, u->chunk->buffer.buffer, m->whole, *count, u->regions);
	*count = 0;
}

/* Copies the runs larger than `small`. */
static void copy_runs(struct upload *u, struct memory *m, const struct record_run *runs, uint32_t count,
	const unsigned char *bytes, uint64_t small)
{
	uint32_t regions = 0;

	for (uint32_t i = 0; i < count; bytes += runs[i++].size) {
		for (uint64_t done = 0; runs[i].size > small && done < runs[i].size;) {
			uint64_t size = runs[i].size - done;

			if (regions == UPLOAD_REGIONS || !u->chunk || u->chunk->used == STAGING_CHUNK_BYTES) {
				flush_regions(u, m, &regions);
				make_room(u, m, 1);
			}
			if (size > STAGING_CHUNK_BYTES - u->chunk->used)
				size = STAGING_CHUNK_BYTES - u->chunk->used;
			memcpy((unsigned char *)u->chunk->buffer.map + u->chunk->used, bytes + done, size);
			u->regions[regions++] = (VkBufferCopy){ u->chunk->used, runs[i].offset + done, size };
			u->chunk->used += (uint32_t)size;
			done += size;
		}
	}
	flush_regions(u, m, &regions);
	align_chunk(u);
}

/* Entries on their way into staging memory. */
struct placing {
	struct upload *upload;
	struct memory *memory;
	uint64_t base;         /* of the window in the memory */
	uint32_t start, count; /* of the entries collected in the chunk */
	uint64_t word;         /* of the entry at hand: byte offset in the memory */
	uint32_t mask, value;
};

static void place_collected(struct placing *p)
{
	struct upload *u = p->upload;

	if (p->count)
		scatter_record(&u->scatter, u->job, u->chunk, p->memory, p->base, p->start, p->count);
	p->count = 0;
}

/* Puts the entry at hand behind the others. */
static void place_word(struct placing *p)
{
	const uint32_t size = sizeof(struct scatter_entry);
	struct upload *u = p->upload;
	struct scatter_entry entry;

	if (!p->mask)
		return;
	if (p->count && (p->word - p->base >= SCATTER_WINDOW_BYTES || u->chunk->used + size > STAGING_CHUNK_BYTES))
		place_collected(p);
	if (!p->count) {
		if (u->job && !scatter_has_room(u->job)) {
			upload_flush(u);
			order(u, p->memory);
		}
		make_room(u, p->memory, size);
		p->base = p->word / SCATTER_WINDOW_BYTES * SCATTER_WINDOW_BYTES;
		p->start = u->chunk->used;
	}
	entry = (struct scatter_entry){ (uint32_t)((p->word - p->base) / sizeof(uint32_t)), p->mask, p->value };
	memcpy((unsigned char *)u->chunk->buffer.map + u->chunk->used, &entry, size);
	u->chunk->used += size;
	p->count++;
	p->mask = p->value = 0;
}

/* Places the runs up to `small` bytes. Runs ascend, so the bytes of a word come one after the other. */
static void place_runs(struct upload *u, struct memory *m, const struct record_run *runs, uint32_t count,
	const unsigned char *bytes, uint64_t small)
{
	struct placing p = { .upload = u, .memory = m };

	align_chunk(u);
	for (uint32_t i = 0; i < count; bytes += runs[i++].size) {
		for (uint64_t done = 0; runs[i].size <= small && done < runs[i].size; done++) {
			uint64_t at = runs[i].offset + done;
			uint32_t shift = at % sizeof(uint32_t) * 8;

			if (at - at % sizeof(uint32_t) != p.word) {
				place_word(&p);
				p.word = at - at % sizeof(uint32_t);
			}
			p.mask |= 0xFFu << shift;
			p.value |= (uint32_t)bytes[done] << shift;
		}
	}
	place_word(&p);
	place_collected(&p);
	align_chunk(u);
}

void upload_runs(struct upload *u, struct memory *m, const struct record_run *runs, uint32_t count, const void *bytes)
{
	uint32_t small = 0;

	for (uint32_t i = 0; i < count; i++)
		small += runs[i].size <= SMALL_RUN_BYTES;
	order(u, m);
	if (small < SMALL_RUNS) {
		copy_runs(u, m, runs, count, bytes, 0);
		return;
	}
	place_runs(u, m, runs, count, bytes, SMALL_RUN_BYTES);
	if (small == count)
		return;
	/* A word may be changed in both ways. */
	order(u, m);
	copy_runs(u, m, runs, count, bytes, SMALL_RUN_BYTES);
}
