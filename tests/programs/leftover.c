/* Descriptors that stay behind: a set goes on being bound although buffers, a texel view, an image with its view and a sampler that it
 * still names are long gone. That is good Vulkan as long as the shader never reads these bindings. leftover [--rounds N] [--keep 1].
 * Prints the hash of what is computed. With --keep nothing is destroyed before the end: the same results, on drivers that crash
 * otherwise, too (lavapipe 22). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "minivk.h"
#include "xorshift.comp.h"

#define WORDS 256u
#define BYTES ((VkDeviceSize)WORDS * 4)
#define SETS 4u
#define CHURN 24u

enum { FROM, TO, STORAGE, TEXEL, SAMPLED, BINDINGS };

struct push {
	uint32_t count, stride;
};

/* What a set names beside what the shader reads. */
struct extra {
	struct minivk_buffer buffer;
	VkBufferView texel;
	VkImage image;
	VkDeviceMemory image_memory;
	VkImageView view;
	VkSampler sampler;
};

struct scene {
	struct minivk v;
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkPipeline pipeline;
	VkDescriptorPool pool;
	VkDescriptorSet sets[SETS];
	struct minivk_buffer ring[2], back;
	struct extra *kept; /* --keep: what would have been destroyed; owned */
	size_t kept_count;
};

static void make_pipeline(struct scene *s)
{
	static const VkDescriptorType types[BINDINGS] = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER };
	VkDevice device = s->v.device;
	VkDescriptorSetLayoutBinding bindings[BINDINGS];
	VkDescriptorPoolSize sizes[BINDINGS];
	for (uint32_t i = 0; i < BINDINGS; i++) {
		bindings[i] = (VkDescriptorSetLayoutBinding){ i, types[i], 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL };
		sizes[i] = (VkDescriptorPoolSize){ types[i], SETS };
	}
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = BINDINGS, .pBindings = bindings
	};
	VK(vkCreateDescriptorSetLayout(device, &set, NULL, &s->set_layout));
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct push) };
	const VkPipelineLayoutCreateInfo layout = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &s->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &push };
	VK(vkCreatePipelineLayout(device, &layout, NULL, &s->layout));
	const VkShaderModuleCreateInfo shader = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(xorshift_comp),
		.pCode = xorshift_comp };
	VkShaderModule module;
	VK(vkCreateShaderModule(device, &shader, NULL, &module));
	const VkComputePipelineCreateInfo pipeline = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.module = module,
			.pName = "main" },
		.layout = s->layout };
	VK(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &pipeline, NULL, &s->pipeline));
	vkDestroyShaderModule(device, module, NULL);
	const VkDescriptorPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = SETS,
		.poolSizeCount = BINDINGS,
		.pPoolSizes = sizes };
	VK(vkCreateDescriptorPool(device, &pool, NULL, &s->pool));
	for (uint32_t i = 0; i < SETS; i++) {
		const VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
			.descriptorPool = s->pool,
			.descriptorSetCount = 1,
			.pSetLayouts = &s->set_layout };
		VK(vkAllocateDescriptorSets(device, &allocate, &s->sets[i]));
	}
}

static void make_image(struct scene *s, struct extra *e)
{
	VkDevice device = s->v.device;
	const VkImageCreateInfo image = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { 16, 16, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT };
	VK(vkCreateImage(device, &image, NULL, &e->image));
	VkMemoryRequirements need;
	vkGetImageMemoryRequirements(device, e->image, &need);
	VkMemoryAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = need.size };
	while (!(need.memoryTypeBits & 1u << allocate.memoryTypeIndex))
		allocate.memoryTypeIndex++;
	VK(vkAllocateMemory(device, &allocate, NULL, &e->image_memory));
	VK(vkBindImageMemory(device, e->image, e->image_memory, 0));
	const VkImageViewCreateInfo view = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = e->image,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = image.format,
		.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 } };
	VK(vkCreateImageView(device, &view, NULL, &e->view));
	const VkSamplerCreateInfo sampler = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO };
	VK(vkCreateSampler(device, &sampler, NULL, &e->sampler));
}

static void make_extra(struct scene *s, struct extra *e)
{
	minivk_buffer(&s->v, &e->buffer, BYTES, false,
		VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT);
	const VkBufferViewCreateInfo texel = { .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
		.buffer = e->buffer.buffer,
		.format = VK_FORMAT_R32_UINT,
		.range = VK_WHOLE_SIZE };
	VK(vkCreateBufferView(s->v.device, &texel, NULL, &e->texel));
	make_image(s, e);
}

/* Each second time memory goes first, what lies on it after. */
static void destroy_extra(struct scene *s, struct extra *e, bool memory_first)
{
	VkDevice device = s->v.device;
	if (memory_first)
		vkFreeMemory(device, e->image_memory, NULL);
	vkDestroyBufferView(device, e->texel, NULL);
	vkDestroySampler(device, e->sampler, NULL);
	if (memory_first)
		vkDestroyImage(device, e->image, NULL);
	vkDestroyImageView(device, e->view, NULL);
	if (!memory_first) {
		vkDestroyImage(device, e->image, NULL);
		vkFreeMemory(device, e->image_memory, NULL);
	}
	minivk_buffer_finish(&s->v, &e->buffer);
}

static void drop_extra(struct scene *s, struct extra *e, bool memory_first)
{
	if (s->kept)
		s->kept[s->kept_count++] = *e;
	else
		destroy_extra(s, e, memory_first);
}

static void write_set(struct scene *s, uint32_t index, const struct extra *e)
{
	const VkDescriptorBufferInfo buffers[3] = { { s->ring[index & 1].buffer, 0, VK_WHOLE_SIZE },
		{ s->ring[~index & 1].buffer, 0, VK_WHOLE_SIZE }, { e->buffer.buffer, 0, VK_WHOLE_SIZE } };
	const VkDescriptorImageInfo image = { e->sampler, e->view, VK_IMAGE_LAYOUT_GENERAL };
	VkWriteDescriptorSet writes[3] = { 0 };
	for (uint32_t i = 0; i < 3; i++) {
		writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
		writes[i].dstSet = s->sets[index];
		writes[i].descriptorCount = 1;
	}
	writes[0].dstBinding = FROM;
	writes[0].descriptorCount = 3;
	writes[0].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
	writes[0].pBufferInfo = buffers;
	writes[1].dstBinding = TEXEL;
	writes[1].descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
	writes[1].pTexelBufferView = &e->texel;
	writes[2].dstBinding = SAMPLED;
	writes[2].descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
	writes[2].pImageInfo = &image;
	vkUpdateDescriptorSets(s->v.device, 3, writes, 0, NULL);
}

static void compute(struct scene *s, uint32_t index, uint32_t stride)
{
	const struct push push = { WORDS, stride };
	VkCommandBuffer c = minivk_begin(&s->v);
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, s->pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, s->layout, 0, 1, &s->sets[index], 0, NULL);
	vkCmdPushConstants(c, s->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	vkCmdDispatch(c, (WORDS + 63) / 64, 1, 1);
	minivk_barrier(c);
	const VkBufferCopy all = { 0, 0, BYTES };
	vkCmdCopyBuffer(c, s->ring[~index & 1].buffer, s->back.buffer, 1, &all);
	minivk_barrier(c);
	minivk_run(&s->v, c);
}

int main(int argc, char **argv)
{
	const uint32_t rounds = minivk_option(argc, argv, "--rounds", 60);
	struct scene s = { 0 };
	if (minivk_option(argc, argv, "--keep", 0)) {
		s.kept = calloc((size_t)rounds * (SETS + CHURN) + 1, sizeof(*s.kept));
		if (!s.kept)
			abort();
	}
	minivk_init(&s.v, "leftover", NULL);
	make_pipeline(&s);
	for (int i = 0; i < 2; i++)
		minivk_buffer(&s.v, &s.ring[i], BYTES, false,
			VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
				VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	minivk_buffer(&s.v, &s.back, BYTES, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	VkCommandBuffer c = minivk_begin(&s.v);
	vkCmdFillBuffer(c, s.ring[0].buffer, 0, VK_WHOLE_SIZE, 1);
	minivk_barrier(c);
	minivk_run(&s.v, c);
	for (uint32_t r = 0; r < rounds; r++) {
		struct extra extra[SETS], churn[CHURN];
		/* All sets name something that lives, and are used once. */
		for (uint32_t i = 0; i < SETS; i++) {
			make_extra(&s, &extra[i]);
			write_set(&s, i, &extra[i]);
			compute(&s, i, r + i);
		}
		for (uint32_t i = 0; i < SETS; i++)
			drop_extra(&s, &extra[i], (r + i) & 1);
		/* Then they are used again and again, while others take the places of what is gone. */
		for (uint32_t i = 0; i < CHURN; i++) {
			compute(&s, i % SETS, i);
			make_extra(&s, &churn[i]);
		}
		for (uint32_t i = 0; i < CHURN; i++) {
			drop_extra(&s, &churn[i], i & 1);
			if (i % 4 == 0)
				compute(&s, (r + i / 4) % SETS, i);
		}
		if (r % 10 == 9 || r + 1 == rounds) {
			printf("round %u: %016llx\n", r, (unsigned long long)minivk_fnv(s.back.mapped, BYTES));
			fflush(stdout);
		}
	}
	vkDestroyDescriptorPool(s.v.device, s.pool, NULL);
	vkDestroyPipeline(s.v.device, s.pipeline, NULL);
	vkDestroyPipelineLayout(s.v.device, s.layout, NULL);
	vkDestroyDescriptorSetLayout(s.v.device, s.set_layout, NULL);
	for (size_t i = 0; i < s.kept_count; i++)
		destroy_extra(&s, &s.kept[i], i & 1);
	free(s.kept);
	for (int i = 0; i < 2; i++)
		minivk_buffer_finish(&s.v, &s.ring[i]);
	minivk_buffer_finish(&s.v, &s.back);
	minivk_finish(&s.v);
	return 0;
}
