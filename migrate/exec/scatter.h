/* Many small runs of bytes into a memory by one dispatch: drivers take a microsecond or more for each region of a copy, and a
 * program that keeps memory mapped changes thousands of them. Main thread only. */
#ifndef TBMESH_MIGRATE_EXEC_SCATTER_H
#define TBMESH_MIGRATE_EXEC_SCATTER_H

#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "migrate/exec/jobs.h"
#include "migrate/exec/memory.h"

/* What a dispatch can reach: from a multiple of it on. Vulkan's least maxStorageBufferRange is twice as much. */
#define SCATTER_WINDOW_BYTES (64ull << 20)

/* In staging memory. */
struct scatter_entry {
	uint32_t word;  /* index, from the window's start */
	uint32_t mask;  /* the bits to change */
	uint32_t value; /* zero outside of mask */
};

struct scatter {
	struct jobs *jobs;                /* set at creation */
	VkDescriptorSetLayout set_layout; /* these are made for the first dispatch */
	VkPipelineLayout layout;
	VkPipeline pipeline;
};

void scatter_init(struct scatter *s, struct jobs *j);
/* Can the job take another dispatch? */
bool scatter_has_room(const struct job *job);
/* Applies `count` entries at byte `start` of a chunk to the window of m that begins at `base`. No word may occur twice. */
void scatter_record(struct scatter *s, struct job *job, const struct staging_chunk *chunk, const struct memory *m,
	uint64_t base, uint32_t start, uint32_t count);

#endif
