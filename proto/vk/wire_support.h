/* What the generated encoders and decoders are made of. Only generated code and wire_support.c include it. */
#ifndef TBMESH_PROTO_VK_WIRE_SUPPORT_H
#define TBMESH_PROTO_VK_WIRE_SUPPORT_H

#include "proto/vk/wire.h"

struct wire_chain {
	struct wire_writer *w;
	size_t at;
	uint32_t count;
};

size_t wire_begin(struct wire_writer *w, uint16_t command); /* where the command starts in w->out */
void wire_end(struct wire_writer *w, size_t start);
void wire_put_u32(struct wire_writer *w, uint32_t value);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_float(struct wire_writer *w, float value);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t size);
void wire_put_string(struct wire_writer *w, const char *s); /* NULL is "" */
void wire_put_handle(struct wire_writer *w, uint64_t handle, VkObjectType type);
bool wire_put_present(struct wire_writer *w, bool present); /* present */
struct wire_chain wire_put_chain(struct wire_writer *w);
bool wire_put_link(struct wire_chain *chain, VkStructureType type); /* false: no room for one more */

/* All of these set r->failed when the stream is not valid, and return 0 or NULL then and ever after. */
void wire_decode_begin(struct wire_reader *r);
bool wire_decode_end(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
float wire_get_float(struct wire_reader *r);
void wire_get_bytes(struct wire_reader *r, void *out, size_t size);
const char *wire_get_string(struct wire_reader *r);
const void *wire_get_data(struct wire_reader *r, uint64_t size); /* a copy in the arena */
uint64_t wire_get_handle(struct wire_reader *r, VkObjectType type, bool required);
uint64_t wire_get_id(struct wire_reader *r); /* of the created object; also into r->created */
bool wire_get_present(struct wire_reader *r);
uint32_t wire_get_chain(struct wire_reader *r); /* count of links */
const void *wire_get_no_chain(struct wire_reader *r);
/* Room for count elements, which take at least wire_size bytes each in the stream. NULL also for none. */
void *wire_allocate(struct wire_reader *r, uint64_t count, size_t size, size_t wire_size);

bool wire_specialization_valid(const VkSpecializationInfo *info);
void wire_put_VkWriteDescriptorSet(struct wire_writer *w, const VkWriteDescriptorSet *write);
void wire_get_VkWriteDescriptorSet(struct wire_reader *r, VkWriteDescriptorSet *write);

/* Generated: the pNext chain of a struct whose members are encoded by hand. */
void wire_put_chain_VkWriteDescriptorSet(struct wire_writer *w, const void *next);
const void *wire_get_chain_VkWriteDescriptorSet(struct wire_reader *r);

#endif
