/* Objects: CREATE, UPDATE, DESTROY. What travels is the program's own call; what is called is this driver's. */
#include <stdlib.h>
#include <string.h>

#include "migrate/exec/executor.h"
#include "migrate/exec/holds.h"

/* One command being decoded. */
struct decoding {
	struct executor *x;
	uint64_t subject; /* of the record: it need not be usable yet */
	bool missing;     /* it named an object that is not there */
	bool unusable;    /* it named one that nothing can be done with */
	uint64_t memory;  /* id of the memory that it named last */
	struct wire_reader reader;
	uint16_t command;
	struct recording recording;
};

static bool find_handle(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle)
{
	struct decoding *d = ctx;
	const struct object *object = objects_find(&d->x->objects, id);

	if (!object) {
		d->missing = true;
		return false;
	}
	if (object->type != type)
		return false;
	if (!object->usable && id != d->subject) {
		d->unusable = true;
		return false;
	}
	if (object->memory)
		d->memory = id;
	buf_append(&d->x->named, &object, sizeof(object));
	*ret_handle = object->handle;
	return !d->x->named.failed;
}

static bool inspect(void *ctx, unsigned command, void *parameters)
{
	struct decoding *d = ctx;

	return check_command(&d->recording, command, parameters);
}

static void begin_decoding(struct decoding *d, struct executor *x, const struct record_view *record)
{
	uint32_t size;
	const unsigned char *payload = record_payload(record, &size);

	*d = (struct decoding){ .x = x, .subject = record->header.subject };
	d->reader = (struct wire_reader){
		.at = payload,
		.end = payload + size,
		.arena = &x->arena,
		.handle = find_handle,
		.inspect = inspect,
		.ctx = d,
	};
	buf_clear(&x->named);
}

/* Cuts the only command of a record out. */
static void begin_command(struct decoding *d, struct executor *x, const struct record_view *record)
{
	struct wire_reader parameters;

	begin_decoding(d, x, record);
	if (wire_next(&d->reader, &d->command, &parameters) != 1)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a record about object %llu has no command",
			(unsigned long long)record->header.subject);
	d->reader = parameters;
}

static _Noreturn void malformed(const struct decoding *d)
{
	link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "%s for object %llu cannot be decoded%s",
		wire_command_name(d->command), (unsigned long long)d->subject,
		d->missing ? ": it names an object that is not there" : "");
}

static _Noreturn void failed(const struct decoding *d, VkResult result)
{
	link_lost(&d->x->link, result, "%s failed for object %llu", wire_command_name(d->command),
		(unsigned long long)d->subject);
}

static struct object *add(struct decoding *d, VkObjectType type, VkResult result, uint64_t handle)
{
	struct object *object;

	if (result < 0)
		failed(d, result);
	object = objects_add(&d->x->objects, d->subject, type);
	if (!object)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "%s uses the id %llu twice", wire_command_name(d->command),
			(unsigned long long)d->subject);
	object->handle = handle;
	object->usable = true;
	return object;
}

/* After a decoder said no. A strong dependency that is unusable makes this object unusable, too; all else is a fault. */
static void add_unusable(struct decoding *d, VkObjectType type)
{
	if (d->missing || !d->unusable)
		malformed(d);
	add(d, type, VK_SUCCESS, 0)->usable = false;
}

static void create_buffer(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateBuffer v;
	VkBufferCreateInfo info;
	VkBuffer buffer = VK_NULL_HANDLE;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreateBuffer(&d->reader, &v))
		malformed(d);
	info = *v.pCreateInfo;
	info.usage |= VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	/* The program's queue families are not this device's. */
	info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
	info.queueFamilyIndexCount = 0;
	result = device->vk.vkCreateBuffer(device->handle, &info, NULL, &buffer);
	object = add(d, VK_OBJECT_TYPE_BUFFER, result, (uint64_t)buffer);
	object->size = info.size;
	object->usable = false; /* until it is bound */
}

static void create_buffer_view(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateBufferView v;
	VkBufferView view = VK_NULL_HANDLE;
	const struct object *buffer;
	VkResult result;

	if (!wire_decode_vkCreateBufferView(&d->reader, &v)) {
		add_unusable(d, VK_OBJECT_TYPE_BUFFER_VIEW);
		return;
	}
	memcpy(&buffer, d->x->named.data, sizeof(buffer));
	if (v.pCreateInfo->offset >= buffer->size || v.pCreateInfo->range == 0 ||
		(v.pCreateInfo->range != VK_WHOLE_SIZE && v.pCreateInfo->range > buffer->size - v.pCreateInfo->offset))
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "buffer view %llu reaches beyond its buffer",
			(unsigned long long)d->subject);
	result = device->vk.vkCreateBufferView(device->handle, v.pCreateInfo, NULL, &view);
	holds_view(add(d, VK_OBJECT_TYPE_BUFFER_VIEW, result, (uint64_t)view), &d->x->named);
}

static void create_image(struct decoding *d)
{
	struct wire_vkCreateImage v;
	struct image *image = NULL;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreateImage(&d->reader, &v))
		malformed(d);
	result = image_create(&d->x->device, v.pCreateInfo, &image);
	object = add(d, VK_OBJECT_TYPE_IMAGE, result, image ? (uint64_t)image->handle : 0);
	object->image = image;
	image->object = object;
	object->usable = false; /* until it is bound */
}

static void create_image_view(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateImageView v;
	VkImageView view = VK_NULL_HANDLE;
	VkResult result;

	if (!wire_decode_vkCreateImageView(&d->reader, &v)) {
		add_unusable(d, VK_OBJECT_TYPE_IMAGE_VIEW);
		return;
	}
	result = device->vk.vkCreateImageView(device->handle, v.pCreateInfo, NULL, &view);
	holds_view(add(d, VK_OBJECT_TYPE_IMAGE_VIEW, result, (uint64_t)view), &d->x->named);
}

static void create_shader_module(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateShaderModule v;
	VkShaderModule module = VK_NULL_HANDLE;
	char why[400];
	VkResult result;

	if (!wire_decode_vkCreateShaderModule(&d->reader, &v))
		malformed(d);
	if (!shader_check_module(&d->x->shaders, v.pCreateInfo->pCode, v.pCreateInfo->codeSize, why, sizeof(why)))
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "shader module %llu is not valid: %s",
			(unsigned long long)d->subject, why);
	result = device->vk.vkCreateShaderModule(device->handle, v.pCreateInfo, NULL, &module);
	add(d, VK_OBJECT_TYPE_SHADER_MODULE, result, (uint64_t)module);
}

static void create_sampler(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateSampler v;
	VkSampler sampler = VK_NULL_HANDLE;
	VkResult result;

	if (!wire_decode_vkCreateSampler(&d->reader, &v))
		malformed(d);
	result = device->vk.vkCreateSampler(device->handle, v.pCreateInfo, NULL, &sampler);
	add(d, VK_OBJECT_TYPE_SAMPLER, result, (uint64_t)sampler);
}

/* In a pass of several views a query takes one place for each: none of them may lie beyond the pool's end. */
#define QUERIES_BEHIND 31u

static bool query_type_known(const struct device *device, const VkQueryPoolCreateInfo *info)
{
	const VkPhysicalDeviceFeatures2 *enabled =
		description_struct(&device->enabled, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(*enabled));

	if (info->queryType == VK_QUERY_TYPE_PIPELINE_STATISTICS)
		return enabled && enabled->features.pipelineStatisticsQuery && info->pipelineStatistics;
	return info->queryType == VK_QUERY_TYPE_TIMESTAMP || info->queryType == VK_QUERY_TYPE_OCCLUSION;
}

static void create_query_pool(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateQueryPool v;
	VkQueryPool pool = VK_NULL_HANDLE;
	VkQueryPoolCreateInfo info;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreateQueryPool(&d->reader, &v) || !query_type_known(device, v.pCreateInfo))
		malformed(d);
	info = *v.pCreateInfo;
	if (info.queryCount > UINT32_MAX - QUERIES_BEHIND)
		failed(d, VK_ERROR_OUT_OF_DEVICE_MEMORY);
	info.queryCount += QUERIES_BEHIND;
	result = device->vk.vkCreateQueryPool(device->handle, &info, NULL, &pool);
	object = add(d, VK_OBJECT_TYPE_QUERY_POOL, result, (uint64_t)pool);
	object->size = v.pCreateInfo->queryCount;
	object->values = info.queryType == VK_QUERY_TYPE_PIPELINE_STATISTICS
		? (uint32_t)__builtin_popcount(info.pipelineStatistics)
		: 1;
}

static void create_set_layout(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateDescriptorSetLayout v;
	VkDescriptorSetLayout layout = VK_NULL_HANDLE;
	struct set_need need;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreateDescriptorSetLayout(&d->reader, &v))
		malformed(d);
	result = set_need_of_layout(v.pCreateInfo, &need);
	if (result >= 0)
		result = device->vk.vkCreateDescriptorSetLayout(device->handle, v.pCreateInfo, NULL, &layout);
	object = add(d, VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT, result, (uint64_t)layout);
	object->need = malloc(sizeof(need));
	if (!object->need)
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
	*object->need = need;
	object->shape = set_shape_create(v.pCreateInfo);
	if (!object->shape)
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
}

static void create_pipeline_layout(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreatePipelineLayout v;
	VkPipelineLayout layout = VK_NULL_HANDLE;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreatePipelineLayout(&d->reader, &v))
		malformed(d);
	result = device->vk.vkCreatePipelineLayout(device->handle, v.pCreateInfo, NULL, &layout);
	object = add(d, VK_OBJECT_TYPE_PIPELINE_LAYOUT, result, (uint64_t)layout);
	object->layout = layout_shape_create(v.pCreateInfo, (const struct object *const *)(const void *)d->x->named.data,
		d->x->named.size / sizeof(const struct object *));
	if (!object->layout)
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
}

static void create_pipeline(struct decoding *d)
{
	struct pipeline_cache *cache = &d->x->pipelines;
	const struct device *device = &d->x->device;
	struct wire_vkCreateComputePipelines v;
	VkPipeline pipeline = VK_NULL_HANDLE;
	VkResult result;

	if (!wire_decode_vkCreateComputePipelines(&d->reader, &v))
		malformed(d);
	result = device->vk.vkCreateComputePipelines(device->handle, cache->handle, 1, v.pCreateInfo, NULL, &pipeline);
	add(d, VK_OBJECT_TYPE_PIPELINE, result, (uint64_t)pipeline);
	cache->changed = true;
}

/* In place of a render pass. */
static bool names_formats(const VkBaseInStructure *chain)
{
	while (chain && chain->sType != VK_STRUCTURE_TYPE_PIPELINE_RENDERING_CREATE_INFO)
		chain = chain->pNext;
	return chain;
}

static void create_graphics_pipeline(struct decoding *d)
{
	struct pipeline_cache *cache = &d->x->pipelines;
	const struct device *device = &d->x->device;
	struct wire_vkCreateGraphicsPipelines v;
	VkPipeline pipeline = VK_NULL_HANDLE;
	VkResult result;

	if (!wire_decode_vkCreateGraphicsPipelines(&d->reader, &v))
		malformed(d);
	if ((!v.pCreateInfo->renderPass && !names_formats(v.pCreateInfo->pNext)) || !v.pCreateInfo->layout ||
		!v.pCreateInfo->pRasterizationState)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT,
			"graphics pipeline %llu lacks render pass, layout or rasterization", (unsigned long long)d->subject);
	result = device->vk.vkCreateGraphicsPipelines(device->handle, cache->handle, 1, v.pCreateInfo, NULL, &pipeline);
	add(d, VK_OBJECT_TYPE_PIPELINE, result, (uint64_t)pipeline)->graphics = true;
	cache->changed = true;
}

/* References reach beyond the attachments? */
static bool refers_within(const VkAttachmentReference2 *references, uint32_t count, uint32_t attachments)
{
	for (uint32_t i = 0; references && i < count; i++)
		if (references[i].attachment != VK_ATTACHMENT_UNUSED && references[i].attachment >= attachments)
			return false;
	return true;
}

static bool pass_valid(const VkRenderPassCreateInfo2 *info)
{
	for (uint32_t i = 0; i < info->subpassCount; i++) {
		const VkSubpassDescription2 *s = &info->pSubpasses[i];
		const VkSubpassDescriptionDepthStencilResolve *resolve = s->pNext;

		if (!refers_within(s->pInputAttachments, s->inputAttachmentCount, info->attachmentCount) ||
			!refers_within(s->pColorAttachments, s->colorAttachmentCount, info->attachmentCount) ||
			!refers_within(s->pResolveAttachments, s->colorAttachmentCount, info->attachmentCount) ||
			!refers_within(s->pDepthStencilAttachment, 1, info->attachmentCount) ||
			(resolve && !refers_within(resolve->pDepthStencilResolveAttachment, 1, info->attachmentCount)))
			return false;
		for (uint32_t p = 0; p < s->preserveAttachmentCount; p++)
			if (s->pPreserveAttachments[p] >= info->attachmentCount)
				return false;
	}
	return info->subpassCount != 0;
}

static void create_render_pass(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateRenderPass2 v;
	VkRenderPass pass = VK_NULL_HANDLE;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkCreateRenderPass2(&d->reader, &v))
		malformed(d);
	if (!pass_valid(v.pCreateInfo))
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "render pass %llu refers to attachments that it has not",
			(unsigned long long)d->subject);
	result = device->vk.vkCreateRenderPass2(device->handle, v.pCreateInfo, NULL, &pass);
	object = add(d, VK_OBJECT_TYPE_RENDER_PASS, result, (uint64_t)pass);
	object->attachments = v.pCreateInfo->attachmentCount;
	for (uint32_t i = 0; i < v.pCreateInfo->attachmentCount; i++) {
		const VkAttachmentDescription2 *a = &v.pCreateInfo->pAttachments[i];

		if (a->loadOp == VK_ATTACHMENT_LOAD_OP_CLEAR || a->stencilLoadOp == VK_ATTACHMENT_LOAD_OP_CLEAR)
			object->clears = i + 1;
	}
}

/* Of a framebuffer without images: what they will be like, in copies of the caller's, as the real ones are made (image.h). False: not as
 * many as the pass has. */
static bool take_image_infos(
	struct decoding *d, const void *chain, uint32_t attachments, VkFramebufferAttachmentsCreateInfo *ret)
{
	const VkFramebufferAttachmentsCreateInfo *from = chain; /* nothing else is decoded */
	VkFramebufferAttachmentImageInfo *infos;

	if (!from || from->attachmentImageInfoCount != attachments)
		return false;
	infos = calloc(attachments + 1u, sizeof(*infos));
	if (!infos)
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
	for (uint32_t i = 0; i < attachments; i++) {
		infos[i] = from->pAttachmentImageInfos[i];
		infos[i].usage = image_real_usage(infos[i].usage);
	}
	*ret = *from;
	ret->pAttachmentImageInfos = infos;
	return true;
}

static void create_framebuffer(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkCreateFramebuffer v;
	VkFramebuffer framebuffer = VK_NULL_HANDLE;
	VkFramebufferCreateInfo info;
	VkFramebufferAttachmentsCreateInfo images;
	const struct object *pass;
	struct object *object;
	bool valid, imageless;
	VkResult result;

	if (!wire_decode_vkCreateFramebuffer(&d->reader, &v)) {
		add_unusable(d, VK_OBJECT_TYPE_FRAMEBUFFER);
		return;
	}
	memcpy(&pass, d->x->named.data, sizeof(pass));
	info = *v.pCreateInfo;
	imageless = info.flags == VK_FRAMEBUFFER_CREATE_IMAGELESS_BIT;
	valid = (imageless || info.flags == 0) && info.attachmentCount == pass->attachments;
	for (uint32_t i = 0; valid && !imageless && i < info.attachmentCount; i++)
		valid = info.pAttachments[i] != VK_NULL_HANDLE;
	if (valid && imageless)
		valid = take_image_infos(d, info.pNext, pass->attachments, &images);
	info.pNext = imageless ? &images : NULL;
	if (!valid)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "framebuffer %llu does not fit its render pass",
			(unsigned long long)d->subject);
	result = device->vk.vkCreateFramebuffer(device->handle, &info, NULL, &framebuffer);
	if (imageless)
		free((void *)(uintptr_t)images.pAttachmentImageInfos);
	object = add(d, VK_OBJECT_TYPE_FRAMEBUFFER, result, (uint64_t)framebuffer);
	object->attachments = pass->attachments;
	object->imageless = imageless;
}

/* Sets come from pools of our own: the program's is a name only. */
static void create_pool(struct decoding *d)
{
	struct wire_vkCreateDescriptorPool v;

	if (!wire_decode_vkCreateDescriptorPool(&d->reader, &v))
		malformed(d);
	add(d, VK_OBJECT_TYPE_DESCRIPTOR_POOL, VK_SUCCESS, 0);
}

/* The ids of the objects that a record names, as the ICD listed them. */
static const struct object *dependency_of_type(struct executor *x, const struct record_view *record, VkObjectType type)
{
	for (uint32_t i = 0; i < record->header.dep_count; i++) {
		const struct object *object;
		uint64_t id;

		memcpy(&id, record->bytes + sizeof(record->header) + i * sizeof(id), sizeof(id));
		object = objects_find(&x->objects, id);
		if (object && object->type == type)
			return object;
	}
	return NULL;
}

/* Nothing need be written that no shader reads; lavapipe 22 reads it all the same. */
static void clear_inline_blocks(const struct device *device, VkDescriptorSet set, const struct set_shape *shape)
{
	static const unsigned char zeros[INLINE_MAX_BYTES];
	VkWriteDescriptorSetInlineUniformBlock block = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK, .pData = zeros
	};
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.pNext = &block,
		.dstSet = set,
		.descriptorType = VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
	};

	for (uint32_t i = 0; i < shape->count; i++) {
		if (shape->bindings[i].type != VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK || !shape->bindings[i].count)
			continue;
		write.dstBinding = shape->bindings[i].binding;
		write.descriptorCount = block.dataSize = shape->bindings[i].count;
		device->vk.vkUpdateDescriptorSets(device->handle, 1, &write, 0, NULL);
	}
}

/* What a set has of a layout that leaves the number of its last descriptors open. */
static void fix_last_count(struct decoding *d, const struct object *layout, const VkDescriptorSetAllocateInfo *info,
	struct set_need *need, struct set_shape **ret_shape)
{
	const VkDescriptorSetVariableDescriptorCountAllocateInfo *own = info->pNext; /* nothing else is decoded */
	const struct shape_binding *last = &layout->shape->bindings[layout->shape->count - 1];
	uint32_t count = own && own->descriptorSetCount ? own->pDescriptorCounts[0] : 0;

	if (count > last->count)
		malformed(d);
	if (last->type < SET_CORE_TYPES)
		need->counts[last->type] -= last->count - count;
	*ret_shape = set_shape_of(layout->shape, count);
	if (!*ret_shape)
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
}

static void create_set(struct decoding *d, const struct record_view *record)
{
	const struct object *layout = dependency_of_type(d->x, record, VK_OBJECT_TYPE_DESCRIPTOR_SET_LAYOUT);
	struct wire_vkAllocateDescriptorSets v;
	VkDescriptorSetAllocateInfo info;
	VkDescriptorSet set = VK_NULL_HANDLE;
	struct set_shape *shape = NULL;
	struct set_pool *pool = NULL;
	struct object *object;
	struct set_need need;
	VkResult result;

	if (!wire_decode_vkAllocateDescriptorSets(&d->reader, &v))
		malformed(d);
	info = *v.pAllocateInfo;
	if (!layout || layout->handle != (uint64_t)info.pSetLayouts[0])
		malformed(d);
	need = *layout->need;
	if (layout->shape->variable)
		fix_last_count(d, layout, &info, &need, &shape);
	else
		info.pNext = NULL;
	result = set_pools_allocate(&d->x->sets, &need, &info, &set, &pool);
	object = add(d, VK_OBJECT_TYPE_DESCRIPTOR_SET, result, (uint64_t)set);
	object->pool = pool;
	object->shape = shape ? shape : set_shape_ref(layout->shape);
	clear_inline_blocks(&d->x->device, set, object->shape);
	if (!holds_set(object))
		failed(d, VK_ERROR_OUT_OF_HOST_MEMORY);
	if (d->x->seeding)
		result = placeholder_write(&d->x->placeholder, &d->x->device, object);
	if (result < 0)
		failed(d, result);
}

static void create_command_buffer(struct decoding *d)
{
	const struct device *device = &d->x->device;
	struct wire_vkAllocateCommandBuffers v;
	VkCommandBufferAllocateInfo info;
	VkCommandBuffer buffer = VK_NULL_HANDLE;
	struct object *object;
	VkResult result;

	if (!wire_decode_vkAllocateCommandBuffers(&d->reader, &v))
		malformed(d);
	info = *v.pAllocateInfo;
	info.commandPool = d->x->pool;
	result = device->vk.vkAllocateCommandBuffers(device->handle, &info, &buffer);
	object = add(d, VK_OBJECT_TYPE_COMMAND_BUFFER, result, (uint64_t)(uintptr_t)buffer);
	object->primary = info.level == VK_COMMAND_BUFFER_LEVEL_PRIMARY;
	object->usable = false; /* until it is recorded */
}

void apply_create(struct executor *x, const struct record_view *record)
{
	struct decoding d;

	begin_command(&d, x, record);
	switch (d.command) {
	case WIRE_vkCreateBuffer:
		create_buffer(&d);
		break;
	case WIRE_vkCreateBufferView:
		create_buffer_view(&d);
		break;
	case WIRE_vkCreateImage:
		create_image(&d);
		break;
	case WIRE_vkCreateImageView:
		create_image_view(&d);
		break;
	case WIRE_vkCreateShaderModule:
		create_shader_module(&d);
		break;
	case WIRE_vkCreateSampler:
		create_sampler(&d);
		break;
	case WIRE_vkCreateQueryPool:
		create_query_pool(&d);
		break;
	case WIRE_vkCreateDescriptorSetLayout:
		create_set_layout(&d);
		break;
	case WIRE_vkCreatePipelineLayout:
		create_pipeline_layout(&d);
		break;
	case WIRE_vkCreateComputePipelines:
		create_pipeline(&d);
		break;
	case WIRE_vkCreateGraphicsPipelines:
		create_graphics_pipeline(&d);
		break;
	case WIRE_vkCreateRenderPass2:
		create_render_pass(&d);
		break;
	case WIRE_vkCreateFramebuffer:
		create_framebuffer(&d);
		break;
	case WIRE_vkCreateDescriptorPool:
		create_pool(&d);
		break;
	case WIRE_vkAllocateDescriptorSets:
		create_set(&d, record);
		break;
	case WIRE_vkAllocateCommandBuffers:
		create_command_buffer(&d);
		break;
	default:
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "a CREATE record with %s, which is not offered",
			wire_command_name(d.command));
	}
}

static void bind_buffer(struct decoding *d, struct object *object)
{
	const struct device *device = &d->x->device;
	struct wire_vkBindBufferMemory v;
	VkMemoryRequirements needs;
	struct memory *memory;
	VkResult result;

	if (!wire_decode_vkBindBufferMemory(&d->reader, &v))
		return;
	if (object->type != VK_OBJECT_TYPE_BUFFER || (uint64_t)v.buffer != object->handle || object->usable)
		malformed(d);
	memory = executor_memory(d->x, d->memory);
	device->vk.vkGetBufferMemoryRequirements(device->handle, v.buffer, &needs);
	if (v.memoryOffset >= memory->size || object->size > memory->size - v.memoryOffset)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "buffer %llu does not fit into memory %llu",
			(unsigned long long)object->id, (unsigned long long)memory->id);
	if (v.memoryOffset % needs.alignment || v.memoryOffset > memory->real_size ||
		needs.size > memory->real_size - v.memoryOffset || !(needs.memoryTypeBits & 1u << memory->type))
		link_lost(&d->x->link, VK_ERROR_FEATURE_NOT_PRESENT,
			"%s cannot bind a buffer at offset %llu: it needs an alignment of %llu and %llu bytes",
			device->properties.deviceName, (unsigned long long)v.memoryOffset,
			(unsigned long long)needs.alignment, (unsigned long long)needs.size);
	result = device->vk.vkBindBufferMemory(device->handle, v.buffer, v.memory, v.memoryOffset);
	if (result < 0)
		failed(d, result);
	object->usable = true;
	object->bound = memory->id;
	object->offset = v.memoryOffset;
	list_for_each(image, &memory->images, struct image, link)
		memory->aliased |= image_overlaps(image, object->offset, object->size);
}

/* Does the image share bytes with another image or a buffer? */
static bool is_aliased(struct executor *x, const struct image *image)
{
	list_for_each(other, &image->memory->images, struct image, link) {
		if (other != image && image_overlaps(other, image->offset, gpu_image_size(&image->layout)))
			return true;
	}
	for (size_t i = 0; i < x->objects.capacity; i++) {
		const struct object *buffer = x->objects.slots[i];

		if (buffer && buffer->bound == image->memory->id && image_overlaps(image, buffer->offset, buffer->size))
			return true;
	}
	return false;
}

static void bind_image(struct decoding *d, struct object *object)
{
	const struct device *device = &d->x->device;
	struct wire_vkBindImageMemory v;
	struct image *image = object->image;
	struct memory *memory;
	VkResult result;

	if (!wire_decode_vkBindImageMemory(&d->reader, &v))
		return;
	if (!image || (uint64_t)v.image != object->handle || object->usable || image->memory)
		malformed(d);
	memory = executor_memory(d->x, d->memory);
	if (v.memoryOffset % GPU_IMAGE_ALIGN || v.memoryOffset > memory->size ||
		gpu_image_size(&image->layout) > memory->size - v.memoryOffset)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "image %llu does not fit into memory %llu",
			(unsigned long long)object->id, (unsigned long long)memory->id);
	result = image_bind(image, device, memory, v.memoryOffset);
	if (result < 0)
		failed(d, result);
	object->usable = true;
	memory->aliased |= is_aliased(d->x, image);
	image->hollow = d->x->seeding && image->layout.samples != 1;
	if (!d->x->seeding)
		upload_image(&d->x->upload, image);
}

static void update_set(struct decoding *d, struct object *object)
{
	const struct device *device = &d->x->device;
	struct wire_vkUpdateDescriptorSets v;
	const char *wrong;

	if (!wire_decode_vkUpdateDescriptorSets(&d->reader, &v))
		return;
	if (object->type != VK_OBJECT_TYPE_DESCRIPTOR_SET || (uint64_t)v.pDescriptorWrite->dstSet != object->handle)
		malformed(d);
	wrong = check_write(object->shape, v.pDescriptorWrite, &d->x->named);
	if (wrong)
		link_lost(&d->x->link, RESULT_WORKLOAD_FAULT, "descriptor set %llu gets %s", (unsigned long long)object->id,
			wrong);
	device->vk.vkUpdateDescriptorSets(device->handle, 1, v.pDescriptorWrite, 0, NULL);
	holds_write(d->x, object, v.pDescriptorWrite, &d->x->named);
}

/* Whatever was recorded, also in part, is gone. */
static void drop_recording(struct executor *x, struct object *object)
{
	if (object->open.next)
		x->device.vk.vkResetCommandBuffer((VkCommandBuffer)(uintptr_t)object->handle, 0);
	object->open = (struct open_recording){ 0 };
	object->usable = false;
}

/* The program's own flags are not needed: what it may do with a command buffer, it did. In a replay the same one may be on its
 * way several times. */
static void begin_recording(
	struct executor *x, struct object *object, const struct decoding *d, const struct record_part *part)
{
	const VkCommandBufferInheritanceInfo nothing = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO };
	VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
		.pInheritanceInfo = &nothing,
	};
	struct wire_reader reader = d->reader, parameters;
	struct wire_vkBeginCommandBuffer v;
	uint16_t command;
	VkResult result;
	bool in_pass;

	drop_recording(x, object);
	/* What a secondary one inherits of its render pass. */
	in_pass = !object->primary && wire_next(&reader, &command, &parameters) == 1 &&
		command == WIRE_vkBeginCommandBuffer && wire_decode_vkBeginCommandBuffer(&parameters, &v) &&
		v.pBeginInfo->pInheritanceInfo &&
		(v.pBeginInfo->pInheritanceInfo->renderPass || v.pBeginInfo->pInheritanceInfo->pNext);
	if (in_pass) {
		begin.flags |= VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT;
		begin.pInheritanceInfo = v.pBeginInfo->pInheritanceInfo;
	}
	result = x->device.vk.vkBeginCommandBuffer((VkCommandBuffer)(uintptr_t)object->handle, &begin);
	if (result < 0)
		link_lost(&x->link, result, "vkBeginCommandBuffer failed");
	object->open =
		(struct open_recording){ .serial = part->serial, .count = part->count, .next = 1, .state.in_pass = in_pass };
}

/* Takes these commands behind those that are there. What names dead objects can't be recorded. */
static void play_commands(struct executor *x, struct object *object, struct decoding *d)
{
	VkCommandBuffer buffer = (VkCommandBuffer)(uintptr_t)object->handle;
	struct wire_reader first = d->reader, parameters;
	VkResult result;
	int played;

	d->recording = (struct recording){
		.limits = &x->device.properties.limits,
		.named = &x->named,
		.primary = object->primary,
		.null_descriptors = x->device.null_descriptors,
		.state = object->open.state,
	};
	if (object->open.next == 1 && wire_next(&first, &d->command, &parameters) == 1 &&
		d->command == WIRE_vkBeginCommandBuffer)
		d->reader = first;
	do {
		buf_clear(&x->named);
		played = wire_play(&d->reader, buffer, &x->device.vk);
	} while (played > 0);
	if (d->recording.fault)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "command buffer %llu has %s", (unsigned long long)object->id,
			d->recording.fault);
	if (played < 0 && !d->missing && !d->unusable)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "the commands of command buffer %llu cannot be decoded",
			(unsigned long long)object->id);
	if (played < 0) {
		drop_recording(x, object);
		return;
	}
	object->open.state = d->recording.state;
	if (object->open.next++ < object->open.count)
		return;
	object->open = (struct open_recording){ 0 };
	result = x->device.vk.vkEndCommandBuffer(buffer);
	if (result < 0)
		link_lost(&x->link, result, "vkEndCommandBuffer failed");
	object->usable = true;
}

/* The whole, or a part (proto/README.md §1.2). */
static void record_commands(struct executor *x, struct object *object, const struct record_view *record)
{
	struct record_part part = { .count = 1 };
	struct decoding d;

	begin_decoding(&d, x, record);
	if (d.reader.at == d.reader.end) {
		if (record->header.key == 0)
			drop_recording(x, object);
		return;
	}
	if (record->header.key != 0) {
		if ((size_t)(d.reader.end - d.reader.at) < sizeof(part))
			link_lost(&x->link, RESULT_WORKLOAD_FAULT,
				"a part of the recording of command buffer %llu is too short",
				(unsigned long long)object->id);
		memcpy(&part, d.reader.at, sizeof(part));
		d.reader.at += sizeof(part);
	}
	if (record->header.key <= 1) {
		begin_recording(x, object, &d, &part);
		if (d.missing || d.unusable) {
			drop_recording(x, object);
			return;
		}
	} else if (object->open.next != record->header.key || object->open.serial != part.serial)
		return;
	play_commands(x, object, &d);
}

/* Dependencies of an UPDATE are weak: one that names an object which is gone has no effect any more. */
void apply_update(struct executor *x, const struct record_view *record)
{
	struct object *object = objects_find(&x->objects, record->header.subject);
	struct decoding d;

	if (!object)
		return;
	if (object->type == VK_OBJECT_TYPE_COMMAND_BUFFER) {
		record_commands(x, object, record);
		return;
	}
	begin_command(&d, x, record);
	switch (d.command) {
	case WIRE_vkBindBufferMemory:
		bind_buffer(&d, object);
		break;
	case WIRE_vkBindImageMemory:
		bind_image(&d, object);
		break;
	case WIRE_vkUpdateDescriptorSets:
		update_set(&d, object);
		break;
	default:
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "an UPDATE record with %s, which is not offered",
			wire_command_name(d.command));
	}
	if (d.reader.failed && !d.missing && !d.unusable)
		malformed(&d);
}

/* The program is done with it, our own copies to and from it may not be. */
static void empty_image(struct executor *x, struct image *image)
{
	if (x->upload.job && image->last_ticket == x->upload.job->ticket)
		upload_flush(&x->upload);
	jobs_wait_ticket(&x->jobs, image->last_ticket);
	image_empty(image, &x->device);
}

void apply_destroy(struct executor *x, const struct record_view *record)
{
	struct object *object = objects_find(&x->objects, record->header.subject);

	/* An object that was dead at the checkpoint is not in the seed, and its DESTROY may follow all the same. */
	if (!object)
		return;
	if (object->type == VK_OBJECT_TYPE_DEVICE_MEMORY)
		link_lost(&x->link, RESULT_WORKLOAD_FAULT, "memory %llu is destroyed like an object",
			(unsigned long long)object->id);
	if (object->image)
		empty_image(x, object->image);
	objects_take(&x->objects, object);
	holds_destroy(x, object);
}
