/* Command pools, command buffers, and the recording of commands. Recording takes no lock: Vulkan synchronizes by pool. */
#include "migrate/icd/command.h"
#include "migrate/icd/query.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

#define FULL_STAGES VK_PIPELINE_STAGE_ALL_COMMANDS_BIT
#define FULL_ACCESS (VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT)

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateCommandPool(VkDevice device, const VkCommandPoolCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkCommandPool *ret_pool)
{
	(void)device, (void)info, (void)allocator;
	struct icd_command_pool *p = icd_object_create(sizeof(*p));
	if (!p)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	list_init(&p->buffers);
	*ret_pool = ICD_HANDLE(VkCommandPool, p);
	return VK_SUCCESS;
}

static void clear_point(struct icd_bound *bound)
{
	for (unsigned i = 0; i < ICD_MAX_SETS; i++)
		icd_set_free(bound->pushed[i]);
	*bound = (struct icd_bound){ .changed = true };
}

static void clear_bound(struct icd_command_buffer *cb)
{
	clear_point(&cb->compute);
	clear_point(&cb->graphics);
}

static struct icd_bound *bound_at(struct icd_command_buffer *cb, VkPipelineBindPoint point)
{
	return point == VK_PIPELINE_BIND_POINT_GRAPHICS ? &cb->graphics : &cb->compute;
}

/* The recording names this layout. */
static void hold_layout(struct icd_command_buffer *cb, VkPipelineLayout handle)
{
	struct icd_pipeline_layout *l = ICD_FROM(icd_pipeline_layout, handle);
	struct icd_pipeline_layout *const *held = (struct icd_pipeline_layout *const *)(const void *)cb->layouts.data;
	for (size_t i = cb->layouts.size / sizeof(l); i > 0; i--)
		if (held[i - 1] == l)
			return;
	buf_append(&cb->layouts, &l, sizeof(l));
	if (cb->layouts.failed)
		cb->failed = true;
	else
		atomic_fetch_add(&l->references, 1);
}

static void drop_layouts(struct icd_command_buffer *cb)
{
	struct icd_pipeline_layout *const *held = (struct icd_pipeline_layout *const *)(const void *)cb->layouts.data;
	for (size_t i = 0; i < cb->layouts.size / sizeof(*held); i++)
		icd_pipeline_layout_unref(cb->device, held[i]);
	buf_clear(&cb->layouts);
}

void icd_command_buffer_reset(struct icd_command_buffer *cb)
{
	clear_bound(cb);
	drop_layouts(cb);
	icd_queries_clear(cb);
	buf_clear(&cb->commands);
	buf_clear(&cb->deps);
	buf_clear(&cb->copies);
	buf_clear(&cb->events);
	buf_clear(&cb->secondaries);
	buf_clear(&cb->images);
	buf_clear(&cb->lates);
	icd_ranges_clear(&cb->captures);
	icd_ranges_clear(&cb->writes);
	cb->failed = cb->sent = cb->writes_host = cb->in_pass = false;
	cb->view_mask = 0;
}

static void command_buffer_free(struct icd_command_buffer *cb)
{
	clear_bound(cb);
	drop_layouts(cb);
	icd_queries_clear(cb);
	wire_writer_finish(&cb->writer);
	buf_finish(&cb->commands);
	buf_finish(&cb->deps);
	buf_finish(&cb->copies);
	buf_finish(&cb->events);
	buf_finish(&cb->secondaries);
	buf_finish(&cb->images);
	buf_finish(&cb->lates);
	buf_finish(&cb->pushed_writes);
	buf_finish(&cb->pushed_images);
	buf_finish(&cb->layouts);
	buf_finish(&cb->queries);
	icd_ranges_finish(&cb->captures);
	icd_ranges_finish(&cb->writes);
	list_remove(&cb->link);
	free(cb);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_AllocateCommandBuffers(
	VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *ret_buffers)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	VkCommandBufferAllocateInfo sent = *info;
	sent.commandBufferCount = 1;
	uint32_t made = 0;
	VkResult result = VK_SUCCESS;
	while (made < info->commandBufferCount && result == VK_SUCCESS) {
		struct icd_command_buffer *cb = icd_object_create(sizeof(*cb));
		if (!cb) {
			result = VK_ERROR_OUT_OF_HOST_MEMORY;
			break;
		}
		cb->object.id = icd_new_id(d);
		cb->device = d;
		cb->secondary = info->level == VK_COMMAND_BUFFER_LEVEL_SECONDARY;
		cb->writer = (struct wire_writer){ .out = &cb->commands, .deps = &cb->deps, .id = icd_id_of };
		list_append(&ICD_FROM(icd_command_pool, info->commandPool)->buffers, &cb->link);
		wire_encode_vkAllocateCommandBuffers(icd_record_begin(d), &sent, cb->object.id);
		result = icd_record_end(d, RECORD_CREATE, cb->object.id, 0);
		ret_buffers[made++] = ICD_HANDLE(VkCommandBuffer, cb);
	}
	if (result != VK_SUCCESS) {
		icd_FreeCommandBuffers(device, info->commandPool, made, ret_buffers);
		memset(ret_buffers, 0, info->commandBufferCount * sizeof(*ret_buffers));
	}
	return result;
}

VKAPI_ATTR void VKAPI_CALL icd_FreeCommandBuffers(
	VkDevice device, VkCommandPool pool, uint32_t count, const VkCommandBuffer *buffers)
{
	(void)pool;
	for (uint32_t i = 0; i < count; i++) {
		struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, buffers[i]);
		if (!cb)
			continue;
		icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, cb->object.id);
		command_buffer_free(cb);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyCommandPool(
	VkDevice device, VkCommandPool pool, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_command_pool *p = ICD_FROM(icd_command_pool, pool);
	if (!p)
		return;
	list_for_each_safe(cb, &p->buffers, struct icd_command_buffer, link) {
		icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, cb->object.id);
		command_buffer_free(cb);
	}
	free(p);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_ResetCommandPool(VkDevice device, VkCommandPool pool, VkCommandPoolResetFlags flags)
{
	(void)device, (void)flags;
	list_for_each(cb, &ICD_FROM(icd_command_pool, pool)->buffers, struct icd_command_buffer, link)
		icd_command_buffer_reset(cb);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_TrimCommandPool(VkDevice device, VkCommandPool pool, VkCommandPoolTrimFlags flags)
{
	(void)device, (void)pool, (void)flags;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_BeginCommandBuffer(VkCommandBuffer handle, const VkCommandBufferBeginInfo *info)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_command_buffer_reset(cb);
	VkCommandBufferBeginInfo sent = { .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = info->flags };
	VkCommandBufferInheritanceInfo inherited;
	VkCommandBufferInheritanceRenderingInfo rendering;
	/* A replay runs a recording again. */
	sent.flags &= VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT |
		(cb->secondary ? VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT : 0);
	if (sent.flags & VK_COMMAND_BUFFER_USAGE_RENDER_PASS_CONTINUE_BIT) {
		icd_take_inheritance(info->pInheritanceInfo, &inherited, &rendering);
		sent.pInheritanceInfo = &inherited;
		cb->in_pass = true;
		cb->view_mask = icd_inherited_views(&inherited);
		cb->pass_start = ICD_PASS_OF_PRIMARY;
	}
	wire_encode_vkBeginCommandBuffer(&cb->writer, &sent);
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_EndCommandBuffer(VkCommandBuffer handle)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_queries_flush(cb);
	icd_ranges_tidy(&cb->captures);
	icd_ranges_tidy(&cb->writes);
	clear_bound(cb);
	if (cb->failed || cb->commands.failed || cb->deps.failed || cb->events.failed || cb->secondaries.failed ||
		cb->images.failed || cb->lates.failed || cb->copies.failed || cb->captures.failed || cb->writes.failed ||
		!icd_recording_fits(cb))
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_ResetCommandBuffer(VkCommandBuffer handle, VkCommandBufferResetFlags flags)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_command_buffer_reset(cb);
	if (flags & VK_COMMAND_BUFFER_RESET_RELEASE_RESOURCES_BIT) {
		buf_finish(&cb->commands);
		buf_finish(&cb->deps);
		icd_ranges_finish(&cb->captures);
		icd_ranges_finish(&cb->writes);
	}
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBindPipeline(VkCommandBuffer handle, VkPipelineBindPoint point, VkPipeline pipeline)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	bound_at(cb, point)->pipeline = ICD_FROM(icd_pipeline, pipeline);
	bound_at(cb, point)->changed = true;
	wire_encode_vkCmdBindPipeline(&cb->writer, point, pipeline);
}

/* The alignment of the dynamic offsets of one set. */
static void tell_offsets(struct icd_device *d, const struct icd_set_layout *l, const uint32_t *offsets)
{
	for (uint32_t i = 0; i < l->binding_count; i++) {
		const struct icd_binding *b = &l->bindings[i];
		if (b->type != VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC &&
			b->type != VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC)
			continue;
		enum icd_limit limit = b->type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC ? ICD_LIMIT_UNIFORM_ALIGN
											    : ICD_LIMIT_STORAGE_ALIGN;
		for (uint32_t j = 0; j < b->count; j++)
			icd_need_limit(d, limit, offsets[b->first_dynamic + j]);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdBindDescriptorSets(VkCommandBuffer handle, VkPipelineBindPoint point,
	VkPipelineLayout layout, uint32_t first, uint32_t count, const VkDescriptorSet *sets, uint32_t offset_count,
	const uint32_t *offsets)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	uint32_t at = 0;
	for (uint32_t i = 0; i < count && first + i < ICD_MAX_SETS; i++) {
		struct icd_set *s = ICD_FROM(icd_set, sets[i]);
		bound_at(cb, point)->sets[first + i] = s;
		if (s && s->layout->dynamic_count && s->layout->dynamic_count <= offset_count - at) {
			tell_offsets(cb->device, s->layout, offsets + at);
			at += s->layout->dynamic_count;
		}
	}
	bound_at(cb, point)->changed = true;
	hold_layout(cb, layout);
	wire_encode_vkCmdBindDescriptorSets(&cb->writer, point, layout, first, count, sets, offset_count, offsets);
}

static struct icd_set *pushed_set(
	struct icd_command_buffer *cb, struct icd_bound *bound, VkPipelineLayout layout, uint32_t set)
{
	const struct icd_pipeline_layout *l = ICD_FROM(icd_pipeline_layout, layout);
	if (set >= l->set_count || !l->sets[set])
		return NULL;
	if (!bound->pushed[set] || bound->pushed[set]->layout != l->sets[set]) {
		icd_set_free(bound->pushed[set]);
		bound->pushed[set] = icd_set_create(l->sets[set], 0);
		cb->failed |= !bound->pushed[set];
	}
	bound->sets[set] = bound->pushed[set];
	bound->changed = true;
	return bound->pushed[set];
}

static void tell_pushed(struct icd_device *d, const VkWriteDescriptorSet *w)
{
	bool uniform = w->descriptorType == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
	if (!uniform && w->descriptorType != VK_DESCRIPTOR_TYPE_STORAGE_BUFFER)
		return;
	for (uint32_t i = 0; i < w->descriptorCount; i++) {
		const VkDescriptorBufferInfo *x = &w->pBufferInfo[i];
		if (!x->buffer)
			continue;
		uint64_t range = x->range == VK_WHOLE_SIZE ? ICD_FROM(icd_buffer, x->buffer)->size - x->offset : x->range;
		icd_need_limit(d, uniform ? ICD_LIMIT_UNIFORM_RANGE : ICD_LIMIT_STORAGE_RANGE, range);
		icd_need_limit(d, uniform ? ICD_LIMIT_UNIFORM_ALIGN : ICD_LIMIT_STORAGE_ALIGN, x->offset);
	}
}

/* Appends a copy that names no layout of the program's, and no sampler where an immutable one makes it garbage. */
static void clean_pushed(struct icd_command_buffer *cb, const struct icd_set *s, const VkWriteDescriptorSet *write)
{
	const struct icd_binding *b = icd_set_layout_find(s->layout, write->dstBinding);
	buf_append(&cb->pushed_writes, write, sizeof(*write));
	for (uint32_t i = 0; icd_is_image(write->descriptorType) && i < write->descriptorCount; i++) {
		VkDescriptorImageInfo image = write->pImageInfo[i];
		image.imageLayout = VK_IMAGE_LAYOUT_GENERAL;
		if (!b || b->immutable)
			image.sampler = VK_NULL_HANDLE;
		buf_append(&cb->pushed_images, &image, sizeof(image));
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdPushDescriptorSetKHR(VkCommandBuffer handle, VkPipelineBindPoint point,
	VkPipelineLayout layout, uint32_t set, uint32_t count, const VkWriteDescriptorSet *writes)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	struct icd_set *s = pushed_set(cb, bound_at(cb, point), layout, set);
	if (!s)
		return;
	buf_clear(&cb->pushed_writes);
	buf_clear(&cb->pushed_images);
	for (uint32_t i = 0; i < count; i++) {
		tell_pushed(cb->device, &writes[i]);
		icd_set_write(NULL, s, &writes[i]);
		clean_pushed(cb, s, &writes[i]);
	}
	if (cb->pushed_writes.failed || cb->pushed_images.failed) {
		cb->failed = true;
		return;
	}
	VkWriteDescriptorSet *clean = (VkWriteDescriptorSet *)(void *)cb->pushed_writes.data;
	const VkDescriptorImageInfo *images = (const VkDescriptorImageInfo *)(const void *)cb->pushed_images.data;
	for (uint32_t i = 0; i < count; i++) {
		clean[i].pImageInfo = images;
		if (icd_is_image(clean[i].descriptorType))
			images += clean[i].descriptorCount;
	}
	hold_layout(cb, layout);
	wire_encode_vkCmdPushDescriptorSetKHR(&cb->writer, point, layout, set, count, clean);
}

static size_t info_size(VkDescriptorType type)
{
	if (icd_is_image(type))
		return sizeof(VkDescriptorImageInfo);
	return type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER || type == VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
		? sizeof(VkBufferView)
		: sizeof(VkDescriptorBufferInfo);
}

/* As one push of whole arrays: Mesa of 2022 forgets elements that an earlier push brought. */
VKAPI_ATTR void VKAPI_CALL icd_CmdPushDescriptorSetWithTemplateKHR(
	VkCommandBuffer handle, VkDescriptorUpdateTemplate template, VkPipelineLayout layout, uint32_t set, const void *data)
{
	const struct icd_template *t = ICD_FROM(icd_template, template);
	size_t size = 0;
	for (uint32_t i = 0; i < t->entry_count; i++)
		size += t->entries[i].descriptorCount * info_size(t->entries[i].descriptorType);
	VkWriteDescriptorSet *writes = calloc(t->entry_count + 1u, sizeof(*writes));
	char *infos = malloc(size + 1), *to = infos;
	if (!writes || !infos) {
		ICD_FROM(icd_command_buffer, handle)->failed = true;
		free(writes);
		free(infos);
		return;
	}
	for (uint32_t i = 0; i < t->entry_count; i++) {
		const VkDescriptorUpdateTemplateEntry *e = &t->entries[i];
		const void *first = to;
		for (uint32_t j = 0; j < e->descriptorCount; j++, to += info_size(e->descriptorType))
			memcpy(to, (const char *)data + e->offset + j * e->stride, info_size(e->descriptorType));
		writes[i] = (VkWriteDescriptorSet){ .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstBinding = e->dstBinding,
			.dstArrayElement = e->dstArrayElement,
			.descriptorCount = e->descriptorCount,
			.descriptorType = e->descriptorType,
			.pImageInfo = first,
			.pBufferInfo = first,
			.pTexelBufferView = first };
	}
	icd_CmdPushDescriptorSetKHR(handle, t->point, layout, set, t->entry_count, writes);
	free(writes);
	free(infos);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdPushConstants(VkCommandBuffer handle, VkPipelineLayout layout, VkShaderStageFlags stages,
	uint32_t offset, uint32_t size, const void *values)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	hold_layout(cb, layout);
	wire_encode_vkCmdPushConstants(&cb->writer, layout, stages, offset, size, values);
}

static void tell_groups(struct icd_device *d, uint64_t x, uint64_t y, uint64_t z)
{
	icd_need_limit(d, ICD_LIMIT_COUNT_X, x);
	icd_need_limit(d, ICD_LIMIT_COUNT_Y, y);
	icd_need_limit(d, ICD_LIMIT_COUNT_Z, z);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDispatch(VkCommandBuffer handle, uint32_t x, uint32_t y, uint32_t z)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_analyse_use(cb, &cb->compute);
	tell_groups(cb->device, x, y, z);
	wire_encode_vkCmdDispatch(&cb->writer, x, y, z);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDispatchBase(
	VkCommandBuffer handle, uint32_t base_x, uint32_t base_y, uint32_t base_z, uint32_t x, uint32_t y, uint32_t z)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_analyse_use(cb, &cb->compute);
	tell_groups(cb->device, (uint64_t)base_x + x, (uint64_t)base_y + y, (uint64_t)base_z + z);
	wire_encode_vkCmdDispatchBase(&cb->writer, base_x, base_y, base_z, x, y, z);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdDispatchIndirect(VkCommandBuffer handle, VkBuffer buffer, VkDeviceSize offset)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_analyse_use(cb, &cb->compute);
	icd_analyse_read(cb, ICD_FROM(icd_buffer, buffer), offset, sizeof(VkDispatchIndirectCommand));
	/* The counts are the GPU's secret: any that was offered. */
	const uint32_t *offered = cb->device->physical->properties.limits.maxComputeWorkGroupCount;
	tell_groups(cb->device, offered[0], offered[1], offered[2]);
	wire_encode_vkCmdDispatchIndirect(&cb->writer, buffer, offset);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetDeviceMask(VkCommandBuffer handle, uint32_t mask)
{
	(void)handle, (void)mask; /* a group of one */
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyBuffer(
	VkCommandBuffer handle, VkBuffer source, VkBuffer target, uint32_t count, const VkBufferCopy *regions)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	for (uint32_t i = 0; i < count; i++)
		icd_analyse_copy(cb, ICD_FROM(icd_buffer, source), regions[i].srcOffset, ICD_FROM(icd_buffer, target),
			regions[i].dstOffset, regions[i].size);
	wire_encode_vkCmdCopyBuffer(&cb->writer, source, target, count, regions);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdCopyBuffer2KHR(VkCommandBuffer handle, const VkCopyBufferInfo2 *info)
{
	for (uint32_t i = 0; i < info->regionCount; i++) {
		const VkBufferCopy region = { info->pRegions[i].srcOffset, info->pRegions[i].dstOffset,
			info->pRegions[i].size };
		icd_CmdCopyBuffer(handle, info->srcBuffer, info->dstBuffer, 1, &region);
	}
}

VKAPI_ATTR void VKAPI_CALL icd_CmdUpdateBuffer(
	VkCommandBuffer handle, VkBuffer target, VkDeviceSize offset, VkDeviceSize size, const void *data)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	icd_analyse_write(cb, ICD_FROM(icd_buffer, target), offset, size);
	wire_encode_vkCmdUpdateBuffer(&cb->writer, target, offset, size, data);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdFillBuffer(
	VkCommandBuffer handle, VkBuffer target, VkDeviceSize offset, VkDeviceSize size, uint32_t data)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	const struct icd_buffer *b = ICD_FROM(icd_buffer, target);
	if (size == VK_WHOLE_SIZE)
		size = (b->size - offset) & ~(VkDeviceSize)3;
	icd_analyse_fill(cb, b, offset, size, data);
	wire_encode_vkCmdFillBuffer(&cb->writer, target, offset, size, data);
}

/* Buffer and image barriers travel as memory barriers: nothing is lost on one queue, queue families differ between GPUs, and
 * executors keep images in one layout. */
static void barrier(struct icd_command_buffer *cb, VkPipelineStageFlags source, VkPipelineStageFlags target,
	VkAccessFlags source_access, VkAccessFlags target_access, VkDependencyFlags flags)
{
	const VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = source_access,
		.dstAccessMask = target_access,
	};
	wire_encode_vkCmdPipelineBarrier(&cb->writer, source ? source : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
		target ? target : VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
		cb->in_pass ? flags & VK_DEPENDENCY_BY_REGION_BIT : 0, source_access || target_access ? 1 : 0, &memory, 0,
		NULL, 0, NULL);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdPipelineBarrier(VkCommandBuffer handle, VkPipelineStageFlags source,
	VkPipelineStageFlags target, VkDependencyFlags flags, uint32_t memory_count, const VkMemoryBarrier *memory,
	uint32_t buffer_count, const VkBufferMemoryBarrier *buffers, uint32_t image_count,
	const VkImageMemoryBarrier *images)
{
	VkAccessFlags source_access = 0, target_access = 0;
	for (uint32_t i = 0; i < memory_count; i++) {
		source_access |= memory[i].srcAccessMask;
		target_access |= memory[i].dstAccessMask;
	}
	for (uint32_t i = 0; i < buffer_count; i++) {
		source_access |= buffers[i].srcAccessMask;
		target_access |= buffers[i].dstAccessMask;
	}
	for (uint32_t i = 0; i < image_count; i++) {
		source_access |= images[i].srcAccessMask;
		target_access |= images[i].dstAccessMask;
	}
	barrier(ICD_FROM(icd_command_buffer, handle), source, target, source_access, target_access, flags);
}

/* The lower halves of the 64-bit masks are the old masks; what is only in the upper ones becomes everything. */
static VkPipelineStageFlags old_stages(VkPipelineStageFlags2 stages)
{
	return stages >> 32 ? FULL_STAGES : (VkPipelineStageFlags)stages;
}

static VkAccessFlags old_access(VkAccessFlags2 access)
{
	return access >> 32 ? FULL_ACCESS : (VkAccessFlags)access;
}

VKAPI_ATTR void VKAPI_CALL icd_CmdPipelineBarrier2KHR(VkCommandBuffer handle, const VkDependencyInfo *info)
{
	VkPipelineStageFlags2 source = 0, target = 0;
	VkAccessFlags2 source_access = 0, target_access = 0;
	for (uint32_t i = 0; i < info->memoryBarrierCount; i++) {
		source |= info->pMemoryBarriers[i].srcStageMask;
		target |= info->pMemoryBarriers[i].dstStageMask;
		source_access |= info->pMemoryBarriers[i].srcAccessMask;
		target_access |= info->pMemoryBarriers[i].dstAccessMask;
	}
	for (uint32_t i = 0; i < info->bufferMemoryBarrierCount; i++) {
		source |= info->pBufferMemoryBarriers[i].srcStageMask;
		target |= info->pBufferMemoryBarriers[i].dstStageMask;
		source_access |= info->pBufferMemoryBarriers[i].srcAccessMask;
		target_access |= info->pBufferMemoryBarriers[i].dstAccessMask;
	}
	for (uint32_t i = 0; i < info->imageMemoryBarrierCount; i++) {
		source |= info->pImageMemoryBarriers[i].srcStageMask;
		target |= info->pImageMemoryBarriers[i].dstStageMask;
		source_access |= info->pImageMemoryBarriers[i].srcAccessMask;
		target_access |= info->pImageMemoryBarriers[i].dstAccessMask;
	}
	barrier(ICD_FROM(icd_command_buffer, handle), old_stages(source), old_stages(target), old_access(source_access),
		old_access(target_access), info->dependencyFlags);
}

static void use_event(struct icd_command_buffer *cb, VkEvent event, enum icd_event_action action)
{
	const struct icd_event_use use = { ICD_FROM(icd_event, event), action };
	buf_append(&cb->events, &use, sizeof(use));
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetEvent(VkCommandBuffer handle, VkEvent event, VkPipelineStageFlags stages)
{
	(void)stages;
	use_event(ICD_FROM(icd_command_buffer, handle), event, ICD_EVENT_SET);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdSetEvent2KHR(VkCommandBuffer handle, VkEvent event, const VkDependencyInfo *info)
{
	(void)info;
	use_event(ICD_FROM(icd_command_buffer, handle), event, ICD_EVENT_SET);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdResetEvent(VkCommandBuffer handle, VkEvent event, VkPipelineStageFlags stages)
{
	(void)stages;
	use_event(ICD_FROM(icd_command_buffer, handle), event, ICD_EVENT_RESET);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdResetEvent2KHR(VkCommandBuffer handle, VkEvent event, VkPipelineStageFlags2 stages)
{
	(void)stages;
	use_event(ICD_FROM(icd_command_buffer, handle), event, ICD_EVENT_RESET);
}

/* On the GPU a wait is a full barrier: what the host must set is waited for before the submission leaves the driver. */
static void wait_events(struct icd_command_buffer *cb, uint32_t count, const VkEvent *events)
{
	for (uint32_t i = 0; i < count; i++)
		use_event(cb, events[i], ICD_EVENT_WAIT);
	barrier(cb, FULL_STAGES, FULL_STAGES, FULL_ACCESS, FULL_ACCESS, 0);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdWaitEvents(VkCommandBuffer handle, uint32_t count, const VkEvent *events,
	VkPipelineStageFlags source, VkPipelineStageFlags target, uint32_t memory_count, const VkMemoryBarrier *memory,
	uint32_t buffer_count, const VkBufferMemoryBarrier *buffers, uint32_t image_count,
	const VkImageMemoryBarrier *images)
{
	(void)source, (void)target, (void)memory_count, (void)memory, (void)buffer_count, (void)buffers, (void)image_count,
		(void)images;
	wait_events(ICD_FROM(icd_command_buffer, handle), count, events);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdWaitEvents2KHR(
	VkCommandBuffer handle, uint32_t count, const VkEvent *events, const VkDependencyInfo *infos)
{
	(void)infos;
	wait_events(ICD_FROM(icd_command_buffer, handle), count, events);
}

VKAPI_ATTR void VKAPI_CALL icd_CmdExecuteCommands(VkCommandBuffer handle, uint32_t count, const VkCommandBuffer *buffers)
{
	struct icd_command_buffer *cb = ICD_FROM(icd_command_buffer, handle);
	if (!cb->in_pass) /* else nothing may read them in there */
		icd_queries_flush(cb);
	for (uint32_t i = 0; i < count; i++) {
		struct icd_command_buffer *secondary = ICD_FROM(icd_command_buffer, buffers[i]);
		icd_ranges_add_all(&cb->captures, &secondary->captures);
		icd_ranges_add_all(&cb->writes, &secondary->writes);
		const struct record_copy *copies = (const struct record_copy *)(const void *)secondary->copies.data;
		for (size_t j = 0; cb->images.size && j < secondary->copies.size / sizeof(*copies); j++)
			icd_image_uses_overwrite(&cb->images, copies[j].memory, copies[j].offset, copies[j].size);
		icd_image_uses_add(&cb->images, &secondary->images, &secondary->writes);
		icd_lates_add(cb, secondary);
		icd_queries_take(cb, secondary);
		cb->writes_host |= secondary->writes_host;
		buf_append(&cb->copies, secondary->copies.data, secondary->copies.size);
		buf_append(&cb->events, secondary->events.data, secondary->events.size);
		buf_append(&cb->secondaries, &secondary, sizeof(struct icd_command_buffer *));
	}
	/* Bound state is undefined behind it. */
	clear_bound(cb);
	wire_encode_vkCmdExecuteCommands(&cb->writer, count, buffers);
}
