/* Host-visible memory that stays mapped and is bound to the shader: no copies, the host reads and writes between submissions.
 * mapped [--rounds N] [--words N]. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "mapped.comp.h"

int main(int argc, char **argv)
{
	uint32_t rounds = minivk_option(argc, argv, "--rounds", 200), words = minivk_option(argc, argv, "--words", 4096);
	struct minivk v;
	minivk_init(&v, "mapped", NULL);
	struct minivk_buffer in, out, factor, tally;
	VkDeviceSize size = (VkDeviceSize)words * 4;
	minivk_buffer(&v, &in, size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &out, size, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &factor, 8, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	minivk_buffer(&v, &tally, 4, true, VK_BUFFER_USAGE_STORAGE_BUFFER_BIT);
	struct minivk_pipeline pipeline;
	minivk_pipeline(&v, &pipeline, mapped_comp, sizeof(mapped_comp), 4, 0, 1);
	VkDescriptorSet set = minivk_set(&v, &pipeline, (const struct minivk_buffer *[]){ &in, &out, &factor, &tally });
	uint32_t *data_in = in.mapped, *data_out = out.mapped, *factors = factor.mapped, *tallies = tally.mapped;
	uint32_t *model = calloc(words, 4);
	if (!model)
		return 1;
	memset(data_in, 0, size);
	memset(data_out, 0, size);
	*tallies = 0;
	VkCommandBuffer c = minivk_begin(&v);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, NULL);
	vkCmdDispatch(c, (words + 63) / 64, 1, 1);
	minivk_barrier(c);
	VK(vkEndCommandBuffer(c));
	VkFence fence = minivk_fence(&v);
	bool right = true;
	for (uint32_t r = 1; r <= rounds && right; r++) {
		for (uint32_t i = r % 7; i < words; i += 7)
			data_in[i] = i * r + 1;
		factors[0] = r;
		factors[1] = words;
		if (r % 5 == 0) { /* the host puts the device right in one place */
			data_out[r % words] = r;
			model[r % words] = r;
		}
		minivk_submit(&v, c, fence);
		minivk_wait(&v, fence);
		for (uint32_t i = 0; i < words; i++)
			model[i] += data_in[i] * r;
		right = *tallies == r && memcmp(model, data_out, size) == 0;
		if (r % 50 == 0 || r == rounds || !right) {
			printf("mapped round=%u tally=%u hash=%016llx\n", r, *tallies,
				(unsigned long long)minivk_fnv(data_out, size));
			fflush(stdout);
		}
	}
	printf("%s\n", right ? "right" : "WRONG");
	vkDestroyFence(v.device, fence, NULL);
	minivk_pipeline_finish(&v, &pipeline);
	minivk_buffer_finish(&v, &in);
	minivk_buffer_finish(&v, &out);
	minivk_buffer_finish(&v, &factor);
	minivk_buffer_finish(&v, &tally);
	minivk_finish(&v);
	free(model);
	return right ? 0 : 1;
}
