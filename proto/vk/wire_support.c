#include "proto/vk/wire_support.h"

#include <errno.h>
#include <string.h>

#include "proto/vk/wire_gen.h"

#define ARENA_ALIGN 16u
#define LINEAR_DEPS 32u /* up to here a linear search is faster than a hash */

struct command_header {
	uint16_t command, reserved;
	uint32_t size;
};

/* Encoding */

void wire_writer_finish(struct wire_writer *w)
{
	buf_finish(&w->seen);
	w->seen_count = 0;
}

size_t wire_begin(struct wire_writer *w, uint16_t command)
{
	size_t start = w->out->size;
	struct command_header header = { .command = command };
	buf_append(w->out, &header, sizeof(header));
	return start;
}

void wire_end(struct wire_writer *w, size_t start)
{
	size_t size = w->out->size - start;
	size_t padding = -size & 7;
	unsigned char *room = buf_extend(w->out, padding);
	if (w->out->failed)
		return;
	if (padding > 0)
		memset(room, 0, padding);
	uint32_t total = (uint32_t)(size + padding);
	memcpy(w->out->data + start + offsetof(struct command_header, size), &total, sizeof(total));
}

void wire_put_u32(struct wire_writer *w, uint32_t value)
{
	buf_append(w->out, &value, sizeof(value));
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
	buf_append(w->out, &value, sizeof(value));
}

void wire_put_float(struct wire_writer *w, float value)
{
	buf_append(w->out, &value, sizeof(value));
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t size)
{
	if (size == 0)
		return;
	static const unsigned char zeros[4];
	buf_append(w->out, data, size);
	buf_append(w->out, zeros, -size & 3);
}

void wire_put_string(struct wire_writer *w, const char *s)
{
	size_t size = s != NULL ? strlen(s) : 0;
	wire_put_u32(w, (uint32_t)size);
	wire_put_bytes(w, s, size);
}

static size_t slot_of(uint64_t id, size_t slot_count)
{
	return (size_t)((id * 0x9E3779B97F4A7C15u) >> 32) & (slot_count - 1);
}

/* The slot that holds id, or the free one where it belongs. 0 is a free slot: it is no id. */
static uint64_t *slot_find(uint64_t *slots, size_t slot_count, uint64_t id)
{
	size_t i = slot_of(id, slot_count);
	while (slots[i] != 0 && slots[i] != id)
		i = (i + 1) & (slot_count - 1);
	return &slots[i];
}

/* Makes the hash cover all of deps, at most half full. */
static bool seen_rebuild(struct wire_writer *w, const uint64_t *ids, size_t count)
{
	size_t slot_count = 4 * LINEAR_DEPS;
	while (slot_count < 4 * count)
		slot_count *= 2;
	buf_clear(&w->seen);
	uint64_t *slots = buf_extend(&w->seen, slot_count * sizeof(*slots));
	if (slots == NULL)
		return false;
	memset(slots, 0, slot_count * sizeof(*slots));
	for (size_t i = 0; i < count; i++)
		*slot_find(slots, slot_count, ids[i]) = ids[i];
	w->seen_count = count;
	return true;
}

static void note_dep(struct wire_writer *w, uint64_t id)
{
	const uint64_t *ids = (const uint64_t *)(const void *)w->deps->data;
	size_t count = w->deps->size / sizeof(*ids);
	if (count <= LINEAR_DEPS) {
		for (size_t i = 0; i < count; i++)
			if (ids[i] == id)
				return;
		buf_append(w->deps, &id, sizeof(id));
		w->seen_count = 0; /* what the hash knows is of an older list */
		return;
	}
	size_t slot_count = w->seen.size / sizeof(uint64_t);
	if ((w->seen_count != count || 2 * count >= slot_count) && !seen_rebuild(w, ids, count)) {
		w->deps->failed = true;
		return;
	}
	slot_count = w->seen.size / sizeof(uint64_t);
	uint64_t *slot = slot_find((uint64_t *)(void *)w->seen.data, slot_count, id);
	if (*slot == id)
		return;
	*slot = id;
	w->seen_count++;
	buf_append(w->deps, &id, sizeof(id));
}

void wire_put_handle(struct wire_writer *w, uint64_t handle, VkObjectType type)
{
	uint64_t id = handle != 0 ? w->id(w->ctx, handle, type) : 0;
	wire_put_u64(w, id);
	if (id != 0 && w->deps != NULL)
		note_dep(w, id);
}

bool wire_put_present(struct wire_writer *w, bool present)
{
	wire_put_u32(w, present);
	return present;
}

struct wire_chain wire_put_chain(struct wire_writer *w)
{
	struct wire_chain chain = { .w = w, .at = w->out->size };
	wire_put_u32(w, 0);
	return chain;
}

bool wire_put_link(struct wire_chain *chain, VkStructureType type)
{
	if (chain->w->out->failed || chain->count == WIRE_MAX_CHAIN)
		return false;
	chain->count++;
	memcpy(chain->w->out->data + chain->at, &chain->count, sizeof(chain->count));
	wire_put_u32(chain->w, (uint32_t)type);
	return true;
}

/* Decoding */

uint32_t wire_command_size(const void *command)
{
	struct command_header header;
	memcpy(&header, command, sizeof(header));
	return header.size;
}

int wire_next(struct wire_reader *r, uint16_t *ret_command, struct wire_reader *ret_parameters)
{
	size_t left = (size_t)(r->end - r->at);
	if (left == 0)
		return 0;
	struct command_header header;
	if (left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, r->at, sizeof(header));
	if (header.size < sizeof(header) || header.size % 8 != 0 || header.size > left || header.reserved != 0 ||
		header.command == 0 || header.command >= WIRE_COMMAND_END)
		return -EBADMSG;
	*ret_command = header.command;
	*ret_parameters = *r;
	ret_parameters->at = r->at + sizeof(header);
	ret_parameters->end = r->at + header.size;
	ret_parameters->created = 0;
	ret_parameters->failed = false;
	r->at = ret_parameters->end;
	return 1;
}

void wire_decode_begin(struct wire_reader *r)
{
	r->arena->used = 0;
	r->created = 0;
}

/* Everything must have been read: what is left is the padding, and zero. */
bool wire_decode_end(struct wire_reader *r)
{
	if (r->end - r->at >= 8)
		r->failed = true;
	while (r->at < r->end && !r->failed)
		if (*r->at++ != 0)
			r->failed = true;
	return !r->failed;
}

void wire_get_bytes(struct wire_reader *r, void *out, size_t size)
{
	size_t left = (size_t)(r->end - r->at);
	size_t padding = -size & 3;
	if (r->failed || size > left || padding > left - size) {
		r->failed = true;
		memset(out, 0, size);
		return;
	}
	memcpy(out, r->at, size);
	r->at += size + padding;
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	uint32_t value;
	wire_get_bytes(r, &value, sizeof(value));
	return value;
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	uint64_t value;
	wire_get_bytes(r, &value, sizeof(value));
	return value;
}

float wire_get_float(struct wire_reader *r)
{
	float value;
	wire_get_bytes(r, &value, sizeof(value));
	return value;
}

void *wire_allocate(struct wire_reader *r, uint64_t count, size_t size, size_t wire_size)
{
	if (r->failed || count == 0)
		return NULL;
	size_t left = (size_t)(r->end - r->at);
	size_t start = r->arena->used + (-((uintptr_t)r->arena->base + r->arena->used) & (ARENA_ALIGN - 1));
	if (count > WIRE_MAX_ARRAY || (wire_size != 0 && count > left / wire_size) || start > r->arena->size ||
		count > (r->arena->size - start) / size) {
		r->failed = true;
		return NULL;
	}
	r->arena->used = start + (size_t)count * size;
	return r->arena->base + start;
}

const void *wire_get_data(struct wire_reader *r, uint64_t size)
{
	void *data = wire_allocate(r, size, 1, 1);
	if (data != NULL)
		wire_get_bytes(r, data, size);
	return r->failed ? NULL : data;
}

const char *wire_get_string(struct wire_reader *r)
{
	uint64_t size = wire_get_u32(r);
	if (size > (size_t)(r->end - r->at))
		r->failed = true;
	char *s = wire_allocate(r, size + 1, 1, 0);
	if (s == NULL)
		return NULL;
	wire_get_bytes(r, s, size);
	s[size] = '\0';
	if (memchr(s, '\0', size) != NULL)
		r->failed = true;
	return s;
}

uint64_t wire_get_handle(struct wire_reader *r, VkObjectType type, bool required)
{
	uint64_t id = wire_get_u64(r), handle = 0;
	if (r->failed || (id == 0 && !required))
		return 0;
	if (id == 0 || !r->handle(r->ctx, id, type, &handle)) {
		r->failed = true;
		return 0;
	}
	return handle;
}

uint64_t wire_get_id(struct wire_reader *r)
{
	r->created = wire_get_u64(r);
	if (r->created == 0)
		r->failed = true;
	return r->created;
}

bool wire_get_present(struct wire_reader *r)
{
	uint32_t present = wire_get_u32(r);
	if (present > 1)
		r->failed = true;
	return present == 1;
}

uint32_t wire_get_chain(struct wire_reader *r)
{
	uint32_t count = wire_get_u32(r);
	if (count > WIRE_MAX_CHAIN) {
		r->failed = true;
		return 0;
	}
	return count;
}

const void *wire_get_no_chain(struct wire_reader *r)
{
	if (wire_get_u32(r) != 0)
		r->failed = true;
	return NULL;
}

/* Structs by hand */

bool wire_specialization_valid(const VkSpecializationInfo *info)
{
	for (uint32_t i = 0; i < info->mapEntryCount; i++) {
		const VkSpecializationMapEntry *e = &info->pMapEntries[i];
		if (e->offset > info->dataSize || e->size > info->dataSize - e->offset)
			return false;
	}
	return true;
}

enum write_part { WRITE_NONE, WRITE_SAMPLER = 1, WRITE_VIEW = 2, WRITE_BUFFER = 4, WRITE_TEXEL = 8, WRITE_INLINE = 16 };

/* What of a VkWriteDescriptorSet a type reads; the rest is ignored by Vulkan and may be garbage. */
static unsigned write_parts(VkDescriptorType type)
{
	switch ((int)type) {
	case VK_DESCRIPTOR_TYPE_SAMPLER:
		return WRITE_SAMPLER;
	case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
		return WRITE_SAMPLER | WRITE_VIEW;
	case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
	case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
	case VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT:
		return WRITE_VIEW;
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		return WRITE_TEXEL;
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
		return WRITE_BUFFER;
	case VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK:
		return WRITE_INLINE;
	default: /* one of an extension that is not offered */
		return WRITE_NONE;
	}
}

static uint64_t bits(const void *handle)
{
	return (uint64_t)(uintptr_t)handle;
}

void wire_put_VkWriteDescriptorSet(struct wire_writer *w, const VkWriteDescriptorSet *write)
{
	unsigned parts = write_parts(write->descriptorType);
	wire_put_chain_VkWriteDescriptorSet(w, write->pNext);
	wire_put_u32(w, write->dstBinding);
	wire_put_u32(w, write->dstArrayElement);
	wire_put_u32(w, write->descriptorCount);
	wire_put_u32(w, (uint32_t)write->descriptorType);
	for (uint32_t i = 0; i < write->descriptorCount && parts != WRITE_NONE && parts != WRITE_INLINE; i++) {
		if (parts & WRITE_SAMPLER)
			wire_put_handle(w, bits(write->pImageInfo[i].sampler), VK_OBJECT_TYPE_SAMPLER);
		if (parts & WRITE_VIEW) {
			wire_put_handle(w, bits(write->pImageInfo[i].imageView), VK_OBJECT_TYPE_IMAGE_VIEW);
			wire_put_u32(w, (uint32_t)write->pImageInfo[i].imageLayout);
		}
		if (parts & WRITE_BUFFER) {
			wire_put_handle(w, bits(write->pBufferInfo[i].buffer), VK_OBJECT_TYPE_BUFFER);
			wire_put_u64(w, write->pBufferInfo[i].offset);
			wire_put_u64(w, write->pBufferInfo[i].range);
		}
		if (parts & WRITE_TEXEL)
			wire_put_handle(w, bits(write->pTexelBufferView[i]), VK_OBJECT_TYPE_BUFFER_VIEW);
	}
}

/* An inline uniform block's bytes are in the chain; nothing else may be there. */
static bool inline_block_valid(const VkWriteDescriptorSet *write, bool is_inline)
{
	const VkWriteDescriptorSetInlineUniformBlock *block = write->pNext;
	if (!is_inline)
		return block == NULL;
	return block != NULL && block->pNext == NULL && block->dataSize == write->descriptorCount &&
		block->dataSize % 4 == 0;
}

void wire_get_VkWriteDescriptorSet(struct wire_reader *r, VkWriteDescriptorSet *write)
{
	*write = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET };
	write->pNext = wire_get_chain_VkWriteDescriptorSet(r);
	write->dstBinding = wire_get_u32(r);
	write->dstArrayElement = wire_get_u32(r);
	write->descriptorCount = wire_get_u32(r);
	write->descriptorType = (VkDescriptorType)wire_get_u32(r);
	unsigned parts = write_parts(write->descriptorType);
	uint32_t count = write->descriptorCount;
	if (r->failed || parts == WRITE_NONE || count == 0 || !inline_block_valid(write, parts == WRITE_INLINE)) {
		r->failed = true;
		return;
	}
	if (parts & (WRITE_SAMPLER | WRITE_VIEW)) {
		VkDescriptorImageInfo *images = wire_allocate(r, count, sizeof(*images), 8);
		for (uint32_t i = 0; images != NULL && i < count && !r->failed; i++) {
			images[i] = (VkDescriptorImageInfo){ 0 };
			if (parts & WRITE_SAMPLER)
				images[i].sampler = (VkSampler)(uintptr_t)wire_get_handle(r, VK_OBJECT_TYPE_SAMPLER, false);
			if (parts & WRITE_VIEW) {
				images[i].imageView =
					(VkImageView)(uintptr_t)wire_get_handle(r, VK_OBJECT_TYPE_IMAGE_VIEW, false);
				images[i].imageLayout = (VkImageLayout)wire_get_u32(r);
			}
		}
		write->pImageInfo = images;
	} else if (parts == WRITE_BUFFER) {
		VkDescriptorBufferInfo *buffers = wire_allocate(r, count, sizeof(*buffers), 24);
		for (uint32_t i = 0; buffers != NULL && i < count && !r->failed; i++) {
			buffers[i].buffer = (VkBuffer)(uintptr_t)wire_get_handle(r, VK_OBJECT_TYPE_BUFFER, false);
			buffers[i].offset = wire_get_u64(r);
			buffers[i].range = wire_get_u64(r);
		}
		write->pBufferInfo = buffers;
	} else if (parts == WRITE_TEXEL) {
		VkBufferView *views = wire_allocate(r, count, sizeof(*views), 8);
		for (uint32_t i = 0; views != NULL && i < count && !r->failed; i++)
			views[i] = (VkBufferView)(uintptr_t)wire_get_handle(r, VK_OBJECT_TYPE_BUFFER_VIEW, false);
		write->pTexelBufferView = views;
	}
}

void wire_encode_vkUpdateDescriptorSets(struct wire_writer *w, const VkWriteDescriptorSet *pDescriptorWrite)
{
	size_t start = wire_begin(w, WIRE_vkUpdateDescriptorSets);
	wire_put_handle(w, bits(pDescriptorWrite->dstSet), VK_OBJECT_TYPE_DESCRIPTOR_SET);
	wire_put_VkWriteDescriptorSet(w, pDescriptorWrite);
	wire_end(w, start);
}

bool wire_decode_vkUpdateDescriptorSets(struct wire_reader *r, struct wire_vkUpdateDescriptorSets *ret)
{
	wire_decode_begin(r);
	VkDescriptorSet set = (VkDescriptorSet)(uintptr_t)wire_get_handle(r, VK_OBJECT_TYPE_DESCRIPTOR_SET, true);
	VkWriteDescriptorSet *write = wire_allocate(r, 1, sizeof(*write), 0);
	if (write == NULL)
		return false;
	wire_get_VkWriteDescriptorSet(r, write);
	write->dstSet = set;
	if (!wire_decode_end(r))
		return false;
	ret->pDescriptorWrite = write;
	return true;
}
