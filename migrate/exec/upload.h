/* Host bytes on their way to the GPU: collected in staging memory and copied in queue order, ahead of the next job's commands.
 * Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_UPLOAD_H
#define TBMESH_MIGRATE_EXEC_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "migrate/exec/image.h"
#include "migrate/exec/jobs.h"
#include "migrate/exec/memory.h"
#include "migrate/exec/scatter.h"
#include "proto/record.h"

struct upload {
	struct jobs *jobs;
	struct job *job;             /* being filled; its upload buffer is begun. NULL: nothing collected */
	struct staging_chunk *chunk; /* of job, has room */
	unsigned chunk_count;        /* of job */
	/* A memory whose write_stamp is this was written since the last barrier of the job. */
	uint64_t stamp;
	struct scatter scatter;
	VkBufferCopy *regions; /* room for UPLOAD_REGIONS; owned */
};

void upload_init(struct upload *u, struct jobs *j);
/* [begin, end) of the memory becomes zero; both are multiples of 4. */
void upload_zero(struct upload *u, struct memory *m, uint64_t begin, uint64_t end);
/* Writes runs, checked against the memory, whose bytes lie back to back. The bytes are read once. */
void upload_runs(struct upload *u, struct memory *m, const struct record_run *runs, uint32_t count, const void *bytes);
/* The image becomes what its range is. */
void upload_image(struct upload *u, struct image *i);
/* The job with everything collected, its upload buffer ended and followed by a barrier; the caller submits it. NULL: nothing. */
struct job *upload_take(struct upload *u);
/* Submits what is collected as a job of its own. */
void upload_flush(struct upload *u);

#endif
