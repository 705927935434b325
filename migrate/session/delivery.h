/* Records of the delivery ring as bytes (proto/delivery.h). */
#ifndef TBMESH_MIGRATE_SESSION_DELIVERY_H
#define TBMESH_MIGRATE_SESSION_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/delivery.h"
#include "proto/record.h"

/* What a DELTA says (migrate/stream/delta.h). The bytes of the spans lie at base + offset. */
struct delivery_delta {
	uint64_t memory;
	const struct record_run *spans;
	const uint64_t *masks;
	uint32_t span_count, mask_count;
	uint64_t byte_count; /* of all spans */
	const unsigned char *base;
	bool gently; /* only where the host has not written since its last capture */
};

uint32_t delivery_delta_size(const struct delivery_delta *d);
void delivery_put_delta(unsigned char *out, const struct delivery_delta *d); /* exactly that many bytes */
void delivery_put(unsigned char *out, enum delivery_kind kind, uint64_t subject, uint64_t value); /* a bare header */

#endif
