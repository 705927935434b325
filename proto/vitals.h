/* What an executor tells the node of its own host of the GPU that it drives, without a message: it writes this page into a file that the
 * node made for it (a descriptor is inherited), at most once a second and only while the GPU works; the node looks at it once a second.
 * Counters only grow. An executor is not believed: the node checks all of it, and shows it, no more. Own endianness: one host. */
#ifndef TBMESH_PROTO_VITALS_H
#define TBMESH_PROTO_VITALS_H

#include <stdint.h>

#define VITALS_MAGIC 0x31564254u /* "TBV1" */
#define VITALS_BUCKETS 108

struct vitals_page {
	uint32_t magic, reserved;
	uint64_t submitted; /* submissions given to the GPU; of these `completed` are */
	uint64_t completed;
	/* Completed ones by how long the GPU was at each (from its submission, or the end of the one before): bucket 0 below 1 us, bucket i up to
	 * 2^(i/4) us, the last one all that took longer. */
	uint64_t latency[VITALS_BUCKETS];
	uint64_t memory_free_bytes; /* of the largest device-local heap by VK_EXT_memory_budget, at that time; 0 unknown */
	uint64_t memory_at_ns;      /* CLOCK_MONOTONIC */
};

#endif
