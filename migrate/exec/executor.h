/* The workload on this GPU: what the records of the log do here. Main thread only.
 * Nothing returns an error: a device that fails and a workload that breaks the contract both end the executor by link_lost. */
#ifndef TBMESH_MIGRATE_EXEC_EXECUTOR_H
#define TBMESH_MIGRATE_EXEC_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"
#include "migrate/exec/check.h"
#include "migrate/exec/commit.h"
#include "migrate/exec/device.h"
#include "migrate/exec/image.h"
#include "migrate/exec/jobs.h"
#include "migrate/exec/link.h"
#include "migrate/exec/objects.h"
#include "migrate/exec/pipeline_cache.h"
#include "migrate/exec/placeholder.h"
#include "migrate/exec/set_pool.h"
#include "migrate/exec/shader_check.h"
#include "migrate/exec/upload.h"

struct executor {
	struct device device;
	struct link link;
	struct jobs jobs;
	struct upload upload;
	struct commit commit;
	struct objects objects;
	struct set_pools sets;
	struct pipeline_cache pipelines;
	struct placeholder placeholder;
	struct shader_check shaders;
	VkCommandPool pool; /* of the program's command buffers */
	struct wire_arena arena;
	struct buf record;        /* private copy of the record at hand */
	struct buf named;         /* const struct object *[]: what the command at hand names, in order */
	struct buf submit;        /* VkCommandBuffer[] of the submission at hand */
	struct list dirty_images; /* struct image: written since they were last stored, in order of their last submission */
	uint64_t next_seq;        /* of the next SUBMIT */
	bool seeding;             /* memory is filled with zeros at the end of the seed, where it received nothing */
	uint64_t seed_bytes;      /* memory received with the seed */
	bool seed_hashed;         /* the seed has hashes to compare with */
};

/* After the device and the link; makes all the rest. */
void executor_init(struct executor *x, const char *cache_directory);
/* One record, of the seed or of the log. */
void executor_apply(struct executor *x, const struct record_view *record);
/* The session takes the workload elsewhere: the log was stopped at this position. Returns all that may have been written, as a COMMIT
 * there would. */
void executor_leave(struct executor *x, uint64_t position, uint64_t nonce);
/* Takes the seed from the link and reports STARTED. */
void executor_seed(struct executor *x);

/* By kind; the record is private here, except that of a WRITE. */
void apply_create(struct executor *x, const struct record_view *record);
void apply_update(struct executor *x, const struct record_view *record);
void apply_destroy(struct executor *x, const struct record_view *record);
void apply_allocate(struct executor *x, const struct record_view *record);
void apply_free(struct executor *x, const struct record_view *record);
void apply_write(struct executor *x, const struct record_view *record);
void apply_copy(struct executor *x, const struct record_view *record);
void apply_submit(struct executor *x, const struct record_view *record);

/* The memory of that id; an unknown one is the workload's fault. */
struct memory *executor_memory(struct executor *x, uint64_t id);

/* What stands behind header and deps. */
static inline const unsigned char *record_payload(const struct record_view *r, uint32_t *ret_size)
{
	uint32_t start = (uint32_t)sizeof(r->header) + r->header.dep_count * (uint32_t)sizeof(uint64_t);

	*ret_size = r->header.size - start;
	return r->bytes + start;
}

/* The VkResult of a LOST frame that blames the workload: no other executor would do better. */
#define RESULT_WORKLOAD_FAULT VK_ERROR_VALIDATION_FAILED_EXT

#endif
