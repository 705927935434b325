/* Records of the delivery ring, session → ICD. Contract: proto/README.md §1.4-1.6. */
#ifndef TBMESH_PROTO_DELIVERY_H
#define TBMESH_PROTO_DELIVERY_H

#include <stdint.h>

enum delivery_kind {
	DELIVERY_DELTA = 1, /* subject = memory; payload: what the device changed, spans with masks (migrate/stream/delta.h);
	                         * value = 1: only where the host has not written since its last capture */
	DELIVERY_COMPLETE = 2,  /* subject = seq: it and all before are complete */
	DELIVERY_ALLOCATED = 3, /* subject = memory id; value = VkResult as int32 in the low half */
	DELIVERY_LOST =
		4, /* the workload is over: every wait returns VK_ERROR_DEVICE_LOST; payload: value bytes of text, why */
};

#define DELIVERY_MAX_BYTES (2u << 20)

/* 8-byte aligned; size includes header, payload and padding. */
struct delivery_header {
	uint32_t size;
	uint32_t kind; /* enum delivery_kind */
	uint64_t subject;
	uint64_t value;
};

#endif
