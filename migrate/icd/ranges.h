/* A set of memory ranges. Zero-initialised is empty. After a failed allocation `failed` is set. */
#ifndef TBMESH_MIGRATE_ICD_RANGES_H
#define TBMESH_MIGRATE_ICD_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/record.h"

struct icd_ranges {
	struct record_range *items; /* owned */
	size_t count, capacity;
	size_t tidy; /* so many were left by the last tidying */
	bool failed;
};

void icd_ranges_add(struct icd_ranges *r, uint64_t memory, uint64_t offset, uint64_t size);
void icd_ranges_add_all(struct icd_ranges *r, const struct icd_ranges *other);
/* Sorts by memory and offset, unites what overlaps or touches. */
void icd_ranges_tidy(struct icd_ranges *r);
/* One range for each memory. */
void icd_ranges_coarsen(struct icd_ranges *r);
void icd_ranges_clear(struct icd_ranges *r);
void icd_ranges_finish(struct icd_ranges *r);

#endif
