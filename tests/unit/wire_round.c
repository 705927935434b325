#include "tests/unit/wire_round.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 88172645463325252u;
const char *round_running;
bool round_walking;

uint64_t round_random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

uint32_t round_random(uint32_t below)
{
	return (uint32_t)(round_random64() >> 33) % below;
}

float round_float(void)
{
	return (float)round_random(1000) / 8;
}

/* Handles tell their type, so that a wrong one is seen. */
uint64_t round_handle(VkObjectType type)
{
	return (uint64_t)type << 16 | (1 + round_random(60000));
}

void *round_memory(struct round *x, size_t size)
{
	size_t at = x->used;
	x->used += (size + 15) & ~(size_t)15;
	round_check(x->used <= ROUND_MEMORY, "too small memory");
	return memset(x->memory + at, 0, size);
}

void *round_bytes(struct round *x, size_t size)
{
	unsigned char *bytes = size > 0 ? round_memory(x, size) : NULL;
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)round_random64();
	return bytes;
}

const char *round_string(struct round *x)
{
	static const char *const names[] = { "", "main", "abc", "a longer name of an entry point" };
	(void)x;
	return names[round_random(4)];
}

void round_check(bool same, const char *what)
{
	if (same || round_walking)
		return;
	fprintf(stderr, "%s: %s differs\n", round_running, what);
	abort();
}

uint64_t round_id_of(void *ctx, uint64_t handle, VkObjectType type)
{
	(void)ctx;
	round_check(handle != 0 && handle >> 16 == (uint64_t)type, "encoded handle");
	return handle ^ ROUND_HANDLE_TO_ID;
}

bool round_handle_of(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle)
{
	(void)ctx;
	uint64_t handle = id ^ ROUND_HANDLE_TO_ID;
	if (handle >> 16 != (uint64_t)type)
		return false;
	*ret_handle = handle;
	return true;
}

void round_turn(struct round *x, unsigned command)
{
	uint16_t got = 0;
	struct wire_reader all = {
		.at = x->out.data, .end = x->out.data + x->out.size, .arena = x->r.arena, .handle = round_handle_of
	};
	round_check(!x->out.failed && !x->deps.failed && x->out.size % 8 == 0, "encoding");
	round_check(wire_next(&all, &got, &x->r) == 1 && got == command && all.at == all.end, "header");
	const uint64_t *ids = (const uint64_t *)(void *)x->deps.data;
	for (size_t i = 0; i < x->deps.size / 8; i++)
		for (size_t k = 0; k < i; k++)
			round_check(ids[i] != ids[k], "a dep is there twice");
}

void round_fill_VkWriteDescriptorSet(struct round *x, VkWriteDescriptorSet *v)
{
	static const VkDescriptorType types[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK };
	uint32_t count = 1 + round_random(3);
	*v = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstBinding = round_random(9),
		.dstArrayElement = round_random(9),
		.descriptorCount = count,
		.descriptorType = types[1 + round_random(9)],
		/* what the type does not read is garbage */
		.dstSet = (VkDescriptorSet)(uintptr_t)round_handle(VK_OBJECT_TYPE_DESCRIPTOR_SET),
		.pImageInfo = (const void *)16,
		.pBufferInfo = (const void *)16,
		.pTexelBufferView = (const void *)16 };
	if (round_random(5) == 0) {
		VkWriteDescriptorSetInlineUniformBlock *block = round_memory(x, sizeof(*block));
		v->descriptorType = VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
		v->descriptorCount = 4 * count;
		*block = (VkWriteDescriptorSetInlineUniformBlock){
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK,
			.dataSize = 4 * count,
			.pData = round_bytes(x, 4 * count)
		};
		v->pNext = block;
	} else if (v->descriptorType <= VK_DESCRIPTOR_TYPE_STORAGE_IMAGE) {
		VkDescriptorImageInfo *images = round_memory(x, count * sizeof(*images));
		bool sampler = v->descriptorType <= VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
		bool view = v->descriptorType != VK_DESCRIPTOR_TYPE_SAMPLER;
		for (uint32_t i = 0; i < count; i++)
			images[i] = (VkDescriptorImageInfo){
				.sampler = (VkSampler)(uintptr_t)(sampler ? round_handle(VK_OBJECT_TYPE_SAMPLER) : 16),
				.imageView = (VkImageView)(uintptr_t)(view ? round_handle(VK_OBJECT_TYPE_IMAGE_VIEW) : 16),
				.imageLayout = VK_IMAGE_LAYOUT_GENERAL
			};
		v->pImageInfo = images;
	} else if (v->descriptorType <= VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER) {
		VkBufferView *views = round_memory(x, count * sizeof(VkBufferView));
		for (uint32_t i = 0; i < count; i++)
			views[i] = (VkBufferView)(uintptr_t)round_handle(VK_OBJECT_TYPE_BUFFER_VIEW);
		v->pTexelBufferView = views;
	} else {
		VkDescriptorBufferInfo *buffers = round_memory(x, count * sizeof(*buffers));
		for (uint32_t i = 0; i < count; i++)
			buffers[i] = (VkDescriptorBufferInfo){ (VkBuffer)(uintptr_t)round_handle(VK_OBJECT_TYPE_BUFFER),
				round_random64(), round_random64() };
		v->pBufferInfo = buffers;
	}
}

void round_same_VkWriteDescriptorSet(const VkWriteDescriptorSet *a, const VkWriteDescriptorSet *b)
{
	round_check(a->dstBinding == b->dstBinding && a->dstArrayElement == b->dstArrayElement &&
			a->descriptorCount == b->descriptorCount && a->descriptorType == b->descriptorType,
		"write");
	round_check(b->dstSet == NULL || b->dstSet == a->dstSet, "dstSet");
	round_same_chain_VkWriteDescriptorSet(a->pNext, b->pNext);
	for (uint32_t i = 0; i < a->descriptorCount && a->pNext == NULL; i++) {
		if (a->descriptorType <= VK_DESCRIPTOR_TYPE_STORAGE_IMAGE) {
			bool sampler = a->descriptorType <= VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
			bool view = a->descriptorType != VK_DESCRIPTOR_TYPE_SAMPLER;
			round_check(b->pImageInfo[i].sampler == (sampler ? a->pImageInfo[i].sampler : NULL), "sampler");
			round_check(b->pImageInfo[i].imageView == (view ? a->pImageInfo[i].imageView : NULL), "imageView");
		} else if (a->descriptorType <= VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER) {
			round_check(a->pTexelBufferView[i] == b->pTexelBufferView[i], "pTexelBufferView");
		} else {
			round_check(memcmp(&a->pBufferInfo[i], &b->pBufferInfo[i], sizeof(a->pBufferInfo[i])) == 0,
				"pBufferInfo");
		}
	}
}
