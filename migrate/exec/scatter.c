#include "migrate/exec/scatter.h"

#include "migrate/exec/link.h"
#include "migrate/exec/scatter_shader.h" /* generated from scatter.comp: scatter_shader_code */

#define GROUP_ENTRIES 64u

struct push {
	uint32_t first, count;
};

static void check(struct scatter *s, VkResult result, const char *what)
{
	if (result < 0)
		link_lost(s->jobs->link, result, "%s failed", what);
}

void scatter_init(struct scatter *s, struct jobs *j)
{
	*s = (struct scatter){ .jobs = j };
}

static void make_pipeline(struct scatter *s)
{
	const struct device *d = s->jobs->device;
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(struct push) };

	check(s,
		device_buffer_pipeline(d, scatter_shader_code, sizeof(scatter_shader_code), 0, 2, &push, &s->set_layout,
			&s->layout, &s->pipeline),
		"making the pipeline that places bytes");
}

bool scatter_has_room(const struct job *job)
{
	return job->set_count < JOB_SETS;
}

/* Sets of a job last as long as the job. */
static VkDescriptorSet take_set(struct scatter *s, struct job *job)
{
	const struct device *d = s->jobs->device;
	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 * JOB_SETS };
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = JOB_SETS,
		.poolSizeCount = 1,
		.pPoolSizes = &size,
	};
	VkDescriptorSetAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorSetCount = 1,
		.pSetLayouts = &s->set_layout,
	};
	VkDescriptorSet set;

	if (!job->sets)
		check(s, d->vk.vkCreateDescriptorPool(d->handle, &pool, NULL, &job->sets), "vkCreateDescriptorPool");
	else if (job->set_count == 0)
		check(s, d->vk.vkResetDescriptorPool(d->handle, job->sets, 0), "vkResetDescriptorPool");
	allocate.descriptorPool = job->sets;
	check(s, d->vk.vkAllocateDescriptorSets(d->handle, &allocate, &set), "vkAllocateDescriptorSets");
	job->set_count++;
	return set;
}

void scatter_record(struct scatter *s, struct job *job, const struct staging_chunk *chunk, const struct memory *m,
	uint64_t base, uint32_t start, uint32_t count)
{
	const struct device *d = s->jobs->device;
	const struct push push = { start / (uint32_t)sizeof(uint32_t), count };
	const VkDescriptorBufferInfo buffers[] = {
		{ chunk->buffer.buffer, 0, VK_WHOLE_SIZE },
		{ m->whole, base, m->size - base < SCATTER_WINDOW_BYTES ? m->size - base : SCATTER_WINDOW_BYTES },
	};
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.descriptorCount = 2,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = buffers,
	};
	VkCommandBuffer cb = job->upload;

	if (!s->pipeline)
		make_pipeline(s);
	write.dstSet = take_set(s, job);
	/* Both bindings: descriptors behind the first one's last are the next one's. */
	d->vk.vkUpdateDescriptorSets(d->handle, 1, &write, 0, NULL);
	d->vk.vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, s->pipeline);
	d->vk.vkCmdBindDescriptorSets(cb, VK_PIPELINE_BIND_POINT_COMPUTE, s->layout, 0, 1, &write.dstSet, 0, NULL);
	d->vk.vkCmdPushConstants(cb, s->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
	d->vk.vkCmdDispatch(cb, (count + GROUP_ENTRIES - 1) / GROUP_ENTRIES, 1, 1);
}
