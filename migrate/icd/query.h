/* Query pools. What a query holds lives in a buffer of ours beside the real pool: the 64-bit words of a query, its values
 * (one, or one for each pipeline statistic) and whether it is available. Recordings copy what they wrote into it; from there it travels like any host-visible memory, so that it is in
 * the checkpoint, and what a new executor's pool holds does not matter. */
#ifndef TBMESH_MIGRATE_ICD_QUERY_H
#define TBMESH_MIGRATE_ICD_QUERY_H

#include "migrate/icd/command.h"

struct icd_query_pool {
	struct icd_object object;
	uint32_t count, values; /* values: of each query */
	VkBuffer buffer;        /* owned, like its memory */
	VkDeviceMemory memory;
};

static inline VkDeviceSize icd_query_bytes(const struct icd_query_pool *p)
{
	return 8u * (p->values + (VkDeviceSize)1);
}

/* What the recording at hand knows of one pool's queries. */
enum icd_query_state {
	ICD_QUERY_UNKNOWN, /* reset elsewhere, or copied */
	ICD_QUERY_RESET,
	ICD_QUERY_WRITTEN, /* and not copied yet */
};
struct icd_query_use {
	struct icd_query_pool *pool;
	uint8_t *states; /* enum icd_query_state[pool->count]; owned */
};

/* Records the copies of what was written since the last time. Ahead of whatever else may look at the queries. */
void icd_queries_flush(struct icd_command_buffer *cb);
/* What a secondary command buffer wrote in a pass is this one's to copy. */
void icd_queries_take(struct icd_command_buffer *cb, const struct icd_command_buffer *secondary);
/* Forgets what is not copied. */
void icd_queries_clear(struct icd_command_buffer *cb);

#endif
