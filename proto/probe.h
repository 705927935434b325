/* What `tbmesh-exec --probe` tells its node on stdout: items, each a header and `size` bytes. The node checks sizes and what is in them. */
#ifndef TBMESH_PROTO_PROBE_H
#define TBMESH_PROTO_PROBE_H

#include <stdint.h>

enum probe_item_kind {
	PROBE_DESCRIPTION = 1, /* of one device: gpu/description.h */
	PROBE_BAD_DRIVER = 2,  /* path of a Vulkan driver's manifest, '\n', what it does when it is asked for its devices */
	PROBE_DRIVERS =
		3, /* the manifests of all others, ':' between them: what executors may load. Only when there are bad ones */
	PROBE_MEMORY = 5, /* struct probe_memory: of the device of the last DESCRIPTION; only where its driver tells */
	PROBE_SLOW = 4,   /* no bytes: a bad driver may only be slow; ask again with more patience */
};
struct probe_item {
	uint32_t size;
	uint32_t kind; /* enum probe_item_kind */
};

struct probe_memory {
	uint64_t free_bytes; /* of its largest device-local heap, by VK_EXT_memory_budget when it was asked */
};

#endif
