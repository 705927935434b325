/* A device with 16-bit storage enabled, and a source that lies at an offset in its buffer: what decides who may take this program
 * is what it uses of them.
 * half [--rounds N] [--words N] [--wide 1] [--offset BYTES]. --wide 1: the shader uses words of 32 bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"

#include "half.comp.h"
#include "half_wide.comp.h"

static void put(void *words, bool wide, uint32_t i, uint32_t value)
{
	if (wide)
		((uint32_t *)words)[i] = value & 0xffff;
	else
		((uint16_t *)words)[i] = (uint16_t)value;
}

static uint32_t get(const void *words, bool wide, uint32_t i)
{
	return wide ? ((const uint32_t *)words)[i] : ((const uint16_t *)words)[i];
}

static void bind_source(struct minivk *v, VkDescriptorSet set, VkBuffer buffer, uint32_t offset)
{
	const VkDescriptorBufferInfo info = { buffer, offset, VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = set,
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &info,
	};
	vkUpdateDescriptorSets(v->device, 1, &write, 0, NULL);
}

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 200), words = minivk_option(argc, argv, "--words", 4096);
	uint32_t offset = minivk_option(argc, argv, "--offset", 256);
	bool wide = minivk_option(argc, argv, "--wide", 0) != 0;
	const VkPhysicalDevice16BitStorageFeatures features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
		.storageBuffer16BitAccess = VK_TRUE,
	};
	struct minivk v;
	struct minivk_buffer source, data;
	struct minivk_pipeline pipeline;
	VkDeviceSize size = (VkDeviceSize)words * (wide ? 4 : 2);

	minivk_init(&v, "half", &features);
	minivk_buffer(&v, &source, offset + size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &data, size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	if (wide)
		minivk_pipeline(&v, &pipeline, half_wide_comp, sizeof(half_wide_comp), 2, sizeof(words), 1);
	else
		minivk_pipeline(&v, &pipeline, half_comp, sizeof(half_comp), 2, sizeof(words), 1);
	VkDescriptorSet set = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &data, &data });
	bind_source(&v, set, source.buffer, offset);
	for (uint32_t i = 0; i < words; i++) {
		put((char *)source.mapped + offset, wide, i, i * 40503u + 7);
		put(data.mapped, wide, i, i);
	}
	VkFence fence = minivk_fence(&v);
	for (uint32_t r = 0; r < rounds; r++) {
		VkCommandBuffer c = minivk_begin(&v);
		minivk_barrier(c);
		vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
		vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, NULL);
		vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(words), &words);
		vkCmdDispatch(c, (words + 63) / 64, 1, 1);
		minivk_barrier(c);
		VK(vkEndCommandBuffer(c));
		minivk_submit(&v, c, fence);
		minivk_wait(&v, fence);
		vkFreeCommandBuffers(v.device, v.pool, 1, &c);
	}
	bool right = true;
	for (uint32_t i = 0; i < words; i++) {
		uint32_t x = i & 0xffff;
		for (uint32_t r = 0; r < rounds; r++)
			x = (x * 5 + i * 40503u + 7) & 0xffff;
		right &= x == get(data.mapped, wide, i);
	}
	printf("half rounds=%u words=%u hash=%016llx\n%s\n", rounds, words,
		(unsigned long long)minivk_fnv(data.mapped, size), right ? "right" : "WRONG");
	vkDestroyFence(v.device, fence, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &source);
	minivk_buffer_finish(&v, &data);
	minivk_finish(&v);
	return right ? 0 : 1;
}
