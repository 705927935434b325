/* VK_EXT_robustness2: descriptors of nothing read as zeros, and so does what lies behind a descriptor's range. The null descriptor is
 * written, copied to another set, and replaced by a real one and back, round by round.
 * robust [--rounds N]. Prints the hash of all results, or that the device has none of it; checks them against the CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "xorshift.comp.h"

#define WORDS 1024u
#define RANGE 256u /* words of the descriptor that is too short */
#define BYTES ((VkDeviceSize)WORDS * 4)

struct push {
	uint32_t count, stride;
};

static uint32_t mixed(uint32_t here, uint32_t there)
{
	uint32_t x = here + there * 2654435761u;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* Words that a shader may read of the source: none, a part, all. */
static uint32_t readable(uint32_t round)
{
	return round % 3 == 0 ? 0 : round % 3 == 1 ? RANGE : WORDS;
}

static void update(struct minivk *v, const VkDescriptorSet *sets, VkBuffer source, uint32_t words)
{
	const VkDescriptorBufferInfo info = { words ? source : VK_NULL_HANDLE, 0, words ? words * 4 : VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = sets[0],
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &info };
	const VkCopyDescriptorSet copy = {
		.sType = VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET, .srcSet = sets[0], .dstSet = sets[1], .descriptorCount = 1
	};
	vkUpdateDescriptorSets(v->device, 1, &write, 0, NULL);
	vkUpdateDescriptorSets(v->device, 0, NULL, 1, &copy);
}

int main(int argc, char **argv)
{
	const uint32_t rounds = minivk_option(argc, argv, "--rounds", 30);
	VkPhysicalDeviceRobustness2FeaturesEXT robust = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT,
		.robustBufferAccess2 = VK_TRUE,
		.nullDescriptor = VK_TRUE
	};
	VkPhysicalDeviceFeatures2 features = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
		.pNext = &robust,
		.features.robustBufferAccess = VK_TRUE };
	const char *const extension = VK_EXT_ROBUSTNESS_2_EXTENSION_NAME;
	struct minivk v;
	if (!minivk_init_extended(&v, "robust", &features, &extension, 1)) {
		printf("no VK_EXT_robustness2\n");
		minivk_finish(&v);
		return 0;
	}
	struct minivk_buffer source, target;
	minivk_buffer(&v, &source, BYTES, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &target, BYTES, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, xorshift_comp, sizeof(xorshift_comp), 2, sizeof(struct push), 2);
	VkDescriptorSet sets[2];
	for (int i = 0; i < 2; i++)
		sets[i] = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &source, &target });
	uint32_t *words = source.mapped, *results = target.mapped;
	uint64_t hash = 0;
	for (uint32_t r = 0; r < rounds; r++) {
		const struct push push = { WORDS, r % WORDS };
		const uint32_t end = readable(r);
		for (uint32_t i = 0; i < WORDS; i++)
			words[i] = (i + r) * 747796405u + 1;
		update(&v, sets, source.buffer, end);
		VkCommandBuffer c = minivk_begin(&v);
		vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
		vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &sets[r & 1], 0, NULL);
		vkCmdPushConstants(c, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
		vkCmdDispatch(c, WORDS / 64, 1, 1);
		minivk_barrier(c);
		minivk_run(&v, c);
		for (uint32_t i = 0; i < WORDS; i++) {
			uint32_t j = (i + push.stride) % WORDS;
			uint32_t right = mixed(i < end ? words[i] : 0, j < end ? words[j] : 0);
			if (results[i] != right) {
				fprintf(stderr, "round %u, word %u: %u instead of %u\n", r, i, results[i], right);
				return 1;
			}
		}
		hash = hash * 1099511628211u + minivk_fnv(results, BYTES);
	}
	printf("%016llx\n", (unsigned long long)hash);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &source);
	minivk_buffer_finish(&v, &target);
	minivk_finish(&v);
	return 0;
}
