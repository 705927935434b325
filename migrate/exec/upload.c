#include "migrate/exec/upload.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/exec/link.h"

#define UPLOAD_REGIONS 256u /* of one call; validation layers compare each with each */
/* So many chunks are copied by a job of their own: the GPU copies while the host fills the next ones. */
#define UPLOAD_FLUSH_CHUNKS 8u
#define CHUNK_ALIGN 64u

void upload_init(struct upload *u, struct jobs *j)
{
	*u = (struct upload){ .jobs = j, .stamp = 1 };
	u->regions = malloc(UPLOAD_REGIONS * sizeof(*u->regions));
	if (!u->regions)
		link_lost(j->link, VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory");
}

static void begin(struct upload *u)
{
	const struct device *d = u->jobs->device;

	if (u->job)
		return;
	u->job = jobs_take(u->jobs);
	u->stamp++;
	jobs_begin(u->jobs, u->job->upload);
	device_full_barrier(d, u->job->upload);
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

/* Room in a staging chunk of the current job. */
static void make_room(struct upload *u, struct memory *m)
{
	if (u->chunk && u->chunk->used < STAGING_CHUNK_BYTES)
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

void upload_runs(struct upload *u, struct memory *m, const struct record_run *runs, uint32_t count, const void *bytes)
{
	const struct device *d = u->jobs->device;
	const unsigned char *from = bytes;
	uint64_t left = 0; /* bytes of the run at hand that are not placed yet */
	uint64_t at = 0;   /* where they go */
	uint32_t next = 0;

	order(u, m);
	while (next < count || left) {
		uint32_t start, room, regions = 0;

		make_room(u, m);
		start = u->chunk->used;
		room = STAGING_CHUNK_BYTES - start;
		while (room && regions < UPLOAD_REGIONS && (next < count || left)) {
			uint64_t size;

			if (!left) {
				at = runs[next].offset;
				left = runs[next].size;
				next++;
			}
			size = left < room ? left : room;
			u->regions[regions++] = (VkBufferCopy){ u->chunk->used, at, size };
			u->chunk->used += (uint32_t)size;
			room -= (uint32_t)size;
			at += size;
			left -= size;
		}
		memcpy((unsigned char *)u->chunk->buffer.map + start, from, u->chunk->used - start);
		from += u->chunk->used - start;
		d->vk.vkCmdCopyBuffer(u->job->upload, u->chunk->buffer.buffer, m->whole, regions, u->regions);
	}
	if (u->chunk) {
		u->chunk->used = (u->chunk->used + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
	}
}
