/* The command stream: Vulkan calls as bytes. The encoders and decoders are generated at build time from vk.xml and
 * commands.txt by generate.py; this header is what both sides of the generated code stand on.
 *
 * A command is: uint16 command number (enum wire_command), uint16 reserved, uint32 size (of all, multiple of 8), then the parameters
 * in the order of the registry, without the leading VkDevice. Scalars are padded to 4 bytes, 64-bit values and handles to 8. Arrays
 * with a length parameter: elements back to back; optional pointers: uint32 present. Structs: members in order; sType is implied
 * where fixed; pNext: uint32 count, then each as sType + members; unknown sTypes are not encoded. Handles travel as
 * ids (uint64). Output handles (vkCreate*): the new id. VkAllocationCallbacks are never sent. */
#ifndef TBMESH_PROTO_VK_WIRE_H
#define TBMESH_PROTO_VK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "base/buf.h"

/* Encoding (ICD). The ids of all handles met are appended to deps (without repeats) when deps is set. */
struct wire_writer {
	struct buf *out;
	struct buf *deps; /* uint64_t[], may be NULL */
	/* id of a handle; NULL handles are not asked about and become 0 */
	uint64_t (*id)(void *ctx, uint64_t handle, VkObjectType type);
	void *ctx;
};

/* Decoding (executor). Memory for decoded structs comes from a bounded arena that lives as long as one command. */
struct wire_reader {
	const unsigned char *at, *end;
	struct wire_arena *arena;
	/* real handle of an id; false: no such object (decoding fails) */
	bool (*handle)(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle);
	void *ctx;
	uint64_t created; /* out: id of the object that the command creates, 0 if none */
	bool failed;
};

struct wire_arena { unsigned char *base; size_t size, used; }; /* base owned by the user of the arena */
#define WIRE_MAX_ARRAY (1u << 20) /* elements; also never more than the bytes left allow */
#define WIRE_MAX_CHAIN 16

#endif
