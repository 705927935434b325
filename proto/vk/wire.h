/* The command stream: Vulkan calls as bytes. The encoders and decoders are generated at build time from vk.xml and
 * commands.txt by generate.py; this header is what both sides of the generated code stand on.
 *
 * A command is: uint16 command number (enum wire_command), uint16 reserved (0), uint32 size (of all, multiple of 8), then the
 * parameters in the order of the registry, without the leading VkDevice or VkCommandBuffer, then the id of the object that it
 * creates, then zeros up to a multiple of 8. Scalars take 4 bytes, 64-bit values, size_t and handles 8; nothing else is aligned.
 * Arrays with a length parameter: elements back to back; data and strings are padded with zeros to 4; strings start with their
 * uint32 length. Pointers that may be NULL or that Vulkan may ignore: uint32 present first. Structs: members in order; sType is
 * implied where fixed; pNext: uint32 count, then each as uint32 sType + members; unknown sTypes are not encoded. Handles travel as
 * ids (uint64). VkAllocationCallbacks are never sent. VkWriteDescriptorSet carries only what its descriptorType reads, and no
 * dstSet; vkUpdateDescriptorSets sends it in front. */
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
	struct buf
		seen; /* hash of deps once they are many; freed by wire_writer_finish. A writer may be reused, deps cleared */
	size_t seen_count;
};
void wire_writer_finish(struct wire_writer *w); /* leaves out and deps, which are not the writer's */

/* Decoding (executor). Memory for decoded structs comes from a bounded arena that lives as long as one command: each decoder
 * starts it anew. */
struct wire_reader {
	const unsigned char *at, *end;
	struct wire_arena *arena;
	/* real handle of an id; false: no such object (decoding fails) */
	bool (*handle)(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle);
	/* wire_play asks this before it calls the driver: parameters is the decoded struct wire_vkCmd… of that command, and may be
	 * changed here. False: the command is not called, decoding fails. May be NULL. */
	bool (*inspect)(void *ctx, unsigned command, void *parameters);
	void *ctx;
	uint64_t created; /* out: id of the object that the command creates, 0 if none */
	bool failed;
};

struct wire_arena {
	unsigned char *base;
	size_t size, used;
};                                /* base owned by the user of the arena */
#define WIRE_MAX_ARRAY (1u << 20) /* elements; also never more than the bytes left allow */
#define WIRE_MAX_CHAIN 16

/* Bytes of the command that starts here, as it was encoded: for what nobody else wrote. */
uint32_t wire_command_size(const void *command);

/* Cuts the next command out: r moves behind it, ret_parameters stands behind its header and shares arena and handle function.
 * 1 one cut, 0 at the end, -EBADMSG. */
int wire_next(struct wire_reader *r, uint16_t *ret_command, struct wire_reader *ret_parameters);

#endif
