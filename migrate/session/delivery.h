/* Records of the delivery ring as bytes (proto/delivery.h). */
#ifndef TBMESH_MIGRATE_SESSION_DELIVERY_H
#define TBMESH_MIGRATE_SESSION_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/delivery.h"
#include "proto/record.h"

uint32_t delivery_delta_size(uint32_t run_count, uint64_t byte_count);
/* Writes a DELTA of exactly that size; the bytes of the runs lie at base + offset. */
void delivery_put_delta(unsigned char *out, uint64_t memory, const struct record_run *runs, uint32_t run_count,
	uint64_t byte_count, const unsigned char *base, bool gently);
void delivery_put(unsigned char *out, enum delivery_kind kind, uint64_t subject, uint64_t value); /* a bare header */

#endif
