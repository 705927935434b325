#include "migrate/exec/check.h"

#include <stdlib.h>
#include <string.h>

#include "migrate/exec/image.h"
#include "proto/vk/wire_gen.h"

/* --- shapes --- */

struct set_shape *set_shape_create(const VkDescriptorSetLayoutCreateInfo *info)
{
	const VkDescriptorSetLayoutBindingFlagsCreateInfo *flags = info->pNext; /* nothing else is decoded */
	struct set_shape *s = calloc(1, sizeof(*s) + info->bindingCount * sizeof(s->bindings[0]));
	const struct shape_binding *last;
	uint32_t open_binding = 0;

	if (!s)
		return NULL;
	s->references = 1;
	for (uint32_t i = 0; i < info->bindingCount; i++) {
		const VkDescriptorSetLayoutBinding *b = &info->pBindings[i];
		uint32_t at = s->count++;

		for (; at > 0 && s->bindings[at - 1].binding > b->binding; at--)
			s->bindings[at] = s->bindings[at - 1];
		s->bindings[at] = (struct shape_binding){ b->binding, (uint32_t)b->descriptorType, b->descriptorCount,
			b->pImmutableSamplers != NULL };
		s->descriptors += shape_descriptors((uint32_t)b->descriptorType, b->descriptorCount);
		if (b->descriptorType == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC ||
			b->descriptorType == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC)
			s->dynamic += b->descriptorCount;
		if (flags && i < flags->bindingCount &&
			(flags->pBindingFlags[i] & VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT)) {
			s->variable = true;
			open_binding = b->binding;
		}
	}
	/* Only the last binding's number may be left open, and not of one with dynamic offsets. */
	last = info->bindingCount ? &s->bindings[s->count - 1] : NULL;
	if (s->variable &&
		(last->binding != open_binding || last->type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC ||
			last->type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC)) {
		free(s);
		return NULL;
	}
	return s;
}

struct set_shape *set_shape_of(const struct set_shape *layout, uint32_t last_count)
{
	size_t size = sizeof(*layout) + layout->count * sizeof(layout->bindings[0]);
	struct set_shape *s = malloc(size);
	struct shape_binding *last;

	if (!s)
		return NULL;
	memcpy(s, layout, size);
	s->references = 1;
	last = &s->bindings[s->count - 1];
	s->descriptors -= shape_descriptors(last->type, last->count - last_count);
	last->count = last_count;
	return s;
}

struct set_shape *set_shape_ref(struct set_shape *s)
{
	if (s)
		s->references++;
	return s;
}

void set_shape_unref(struct set_shape *s)
{
	if (s && --s->references == 0)
		free(s);
}

static bool same_shape(const struct set_shape *a, const struct set_shape *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->count != b->count || a->variable != b->variable)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->bindings[i].binding != b->bindings[i].binding || a->bindings[i].type != b->bindings[i].type ||
			(a->bindings[i].count != b->bindings[i].count && !(a->variable && i + 1 == a->count)))
			return false;
	}
	return true;
}

struct layout_shape *layout_shape_create(
	const VkPipelineLayoutCreateInfo *info, const struct object *const *layouts, size_t layout_count)
{
	struct layout_shape *s = calloc(1, sizeof(*s) + layout_count * sizeof(struct set_shape *));

	if (!s)
		return NULL;
	for (size_t i = 0; i < layout_count; i++)
		s->sets[s->set_count++] = set_shape_ref(layouts[i]->shape);
	for (uint32_t i = 0; i < info->pushConstantRangeCount; i++) {
		const VkPushConstantRange *range = &info->pPushConstantRanges[i];

		if (range->offset + range->size > s->push_end)
			s->push_end = range->offset + range->size;
	}
	return s;
}

void layout_shape_destroy(struct layout_shape *s)
{
	for (uint32_t i = 0; s && i < s->set_count; i++)
		set_shape_unref(s->sets[i]);
	free(s);
}

/* --- descriptors --- */

static size_t named_count(const struct buf *named)
{
	return named->size / sizeof(const struct object *);
}

static const struct object *named_at(const struct buf *named, size_t index)
{
	return index < named_count(named) ? ((const struct object *const *)(const void *)named->data)[index] : NULL;
}

static bool within(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

/* Descriptors behind a binding's last are the next binding's, as long as these are alike. */
static bool write_fits(const struct set_shape *shape, const VkWriteDescriptorSet *write)
{
	uint64_t first = write->dstArrayElement, left = write->descriptorCount;
	uint32_t at = 0;

	while (at < shape->count && shape->bindings[at].binding < write->dstBinding)
		at++;
	if (at == shape->count || shape->bindings[at].binding != write->dstBinding)
		return false;
	for (; left && at < shape->count; at++) {
		const struct shape_binding *b = &shape->bindings[at];
		uint64_t here;

		if (first >= b->count) {
			first -= b->count;
			continue;
		}
		if (b->type != (uint32_t)write->descriptorType)
			return false;
		here = b->count - first < left ? b->count - first : left;
		left -= here;
		first = 0;
	}
	return left == 0;
}

const char *check_write(const struct set_shape *shape, const VkWriteDescriptorSet *write, const struct buf *named)
{
	size_t at = 0;

	if (!shape || !write_fits(shape, write))
		return "descriptors that the set's layout has not";
	if (write->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
		return write->dstArrayElement % 4 ? "bytes of an inline uniform block that are not whole words" : NULL;
	if (!write->pBufferInfo)
		return NULL;
	/* The set itself may be named in front. */
	while (named_at(named, at) && named_at(named, at)->type != VK_OBJECT_TYPE_BUFFER)
		at++;
	for (uint32_t i = 0; i < write->descriptorCount; i++) {
		const VkDescriptorBufferInfo *info = &write->pBufferInfo[i];
		const struct object *buffer = info->buffer ? named_at(named, at++) : NULL;

		if (info->buffer &&
			(!buffer || info->offset >= buffer->size || info->range == 0 ||
				(info->range != VK_WHOLE_SIZE && !within(info->offset, info->range, buffer->size))))
			return "a descriptor that reaches beyond its buffer";
	}
	return NULL;
}

/* --- commands --- */

static bool fault(struct recording *r, const char *what)
{
	r->fault = what;
	return false;
}

static bool check_copy(struct recording *r, uint64_t from, uint64_t to, uint64_t size)
{
	const struct object *source = named_at(r->named, 0), *target = named_at(r->named, 1);

	if (!source || !target || size == 0 || !within(from, size, source->size) || !within(to, size, target->size))
		return fault(r, "a copy beyond the end of a buffer");
	return true;
}

static bool known_point(VkPipelineBindPoint point)
{
	return point == VK_PIPELINE_BIND_POINT_COMPUTE || point == VK_PIPELINE_BIND_POINT_GRAPHICS;
}

static bool check_bind_sets(struct recording *r, const struct wire_vkCmdBindDescriptorSets *v)
{
	const struct object *layout = named_at(r->named, 0);
	uint64_t dynamic = 0;
	size_t at = 1;

	if (!known_point(v->pipelineBindPoint) || !layout || !layout->layout ||
		!within(v->firstSet, v->descriptorSetCount, layout->layout->set_count))
		return fault(r, "descriptor sets that the pipeline layout has not");
	for (uint32_t i = 0; i < v->descriptorSetCount; i++) {
		const struct object *set = v->pDescriptorSets[i] ? named_at(r->named, at++) : NULL;

		if (!set || !same_shape(set->shape, layout->layout->sets[v->firstSet + i]))
			return fault(r, "a descriptor set that does not fit the pipeline layout");
		dynamic += set->shape->dynamic;
	}
	if (v->dynamicOffsetCount != dynamic)
		return fault(r, "another number of dynamic offsets than the descriptor sets have");
	return true;
}

static bool check_push_descriptors(struct recording *r, const struct wire_vkCmdPushDescriptorSetKHR *v)
{
	const struct object *layout = named_at(r->named, 0);
	struct buf rest = *r->named;

	if (!known_point(v->pipelineBindPoint) || !layout || !layout->layout || v->set >= layout->layout->set_count)
		return fault(r, "descriptor sets that the pipeline layout has not");
	rest.data += sizeof(layout);
	rest.size -= sizeof(layout);
	for (uint32_t i = 0; i < v->descriptorWriteCount; i++) {
		const VkWriteDescriptorSet *write = &v->pDescriptorWrites[i];
		const char *what = check_write(layout->layout->sets[v->set], write, &rest);

		if (what)
			return fault(r, what);
		/* What this write named is the next one's no more. */
		for (uint32_t d = 0; write->pBufferInfo && d < write->descriptorCount; d++) {
			while (rest.size && named_at(&rest, 0)->type != VK_OBJECT_TYPE_BUFFER) {
				rest.data += sizeof(layout);
				rest.size -= sizeof(layout);
			}
			if (write->pBufferInfo[d].buffer && rest.size) {
				rest.data += sizeof(layout);
				rest.size -= sizeof(layout);
			}
		}
	}
	return true;
}

static bool check_groups(struct recording *r, const uint32_t base[3], const uint32_t count[3])
{
	if (!r->state.has_pipeline || r->state.in_pass)
		return fault(r, "a dispatch without a pipeline, or in a render pass");
	for (int i = 0; i < 3; i++) {
		if (!within(base[i], count[i], r->limits->maxComputeWorkGroupCount[i]))
			return fault(r, "a dispatch of more work groups than there may be");
	}
	return true;
}

static bool check_indirect(struct recording *r, uint64_t offset)
{
	const struct object *buffer = named_at(r->named, 0);

	if (!r->state.has_pipeline || r->state.in_pass)
		return fault(r, "a dispatch without a pipeline, or in a render pass");
	if (!buffer || offset % 4 || !within(offset, sizeof(VkDispatchIndirectCommand), buffer->size))
		return fault(r, "an indirect dispatch from beyond the end of its buffer");
	return true;
}

static bool check_fill(struct recording *r, uint64_t offset, uint64_t size, bool may_be_whole)
{
	const struct object *buffer = named_at(r->named, 0);

	if (!buffer || offset % 4 || offset >= buffer->size ||
		(!(may_be_whole && size == VK_WHOLE_SIZE) && (size % 4 || size == 0 || !within(offset, size, buffer->size))))
		return fault(r, "a fill or update beyond the end of its buffer");
	return true;
}

static bool check_secondaries(struct recording *r)
{
	if (!r->primary)
		return fault(r, "a secondary command buffer that executes others");
	for (size_t i = 0; i < named_count(r->named); i++) {
		if (named_at(r->named, i)->primary)
			return fault(r, "a primary command buffer where a secondary one is due");
	}
	return true;
}

static bool offset_within(int32_t offset, uint32_t extent, uint32_t whole)
{
	return offset >= 0 && extent && within((uint64_t)offset, extent, whole);
}

static bool check_subresource(
	const struct image *image, const VkImageSubresourceLayers *s, VkOffset3D offset, VkExtent3D extent)
{
	VkExtent3D whole;

	if (!image || s->mipLevel >= image->layout.mips || s->layerCount == 0 ||
		!within(s->baseArrayLayer, s->layerCount, image->layout.layers))
		return false;
	whole = gpu_image_extent(&image->layout, s->mipLevel);
	return offset_within(offset.x, extent.width, whole.width) && offset_within(offset.y, extent.height, whole.height) &&
		offset_within(offset.z, extent.depth, whole.depth);
}

static bool check_image_copies(
	struct recording *r, size_t buffer_at, size_t image_at, const VkBufferImageCopy *regions, uint32_t count)
{
	const struct object *buffer = named_at(r->named, buffer_at), *image = named_at(r->named, image_at);

	for (uint32_t i = 0; i < count; i++) {
		const VkBufferImageCopy *c = &regions[i];

		if (!buffer || !image || !image->image ||
			!check_subresource(image->image, &c->imageSubresource, c->imageOffset, c->imageExtent) ||
			!within(c->bufferOffset, gpu_format_copy_size(&image->image->layout.format, c), buffer->size))
			return fault(r, "a copy beyond the end of a buffer or an image");
	}
	return true;
}

static bool check_queries(struct recording *r, uint32_t first, uint32_t count)
{
	const struct object *pool = named_at(r->named, 0);

	return pool && within(first, count, pool->size) ? true : fault(r, "queries that their pool has not");
}

/* Of the only kind that is recorded: values of 64 bits and their availability, back to back. */
static bool check_query_copies(struct recording *r, const struct wire_vkCmdCopyQueryPoolResults *v)
{
	const struct object *pool = named_at(r->named, 0), *buffer = named_at(r->named, 1);

	if (!check_queries(r, v->firstQuery, v->queryCount))
		return false;
	if (!buffer || v->stride < 8u * (pool->values + 1u) || v->queryCount > buffer->size / v->stride ||
		v->dstOffset % 8 || v->stride % 8 || !within(v->dstOffset, v->stride * v->queryCount, buffer->size))
		return fault(r, "query results beyond the end of a buffer");
	return true;
}

/* --- draws --- */

static bool check_begin_pass(struct recording *r, const VkRenderPassBeginInfo *info)
{
	const VkRenderPassAttachmentBeginInfo *views = info->pNext; /* nothing else is decoded; they are named in front */
	const uint32_t count = views ? views->attachmentCount : 0;
	const struct object *pass = named_at(r->named, count), *framebuffer = named_at(r->named, count + (size_t)1);
	bool fits = pass && framebuffer && framebuffer->attachments == pass->attachments &&
		count == (framebuffer->imageless ? pass->attachments : 0);

	for (uint32_t i = 0; fits && i < count; i++)
		fits = views->pAttachments[i] != VK_NULL_HANDLE;
	if (r->state.in_pass || !r->primary || !fits || info->clearValueCount < pass->clears ||
		(pass->clears && !info->pClearValues))
		return fault(r, "a render pass that does not fit its framebuffer or its clear values, or is in another one");
	r->state.in_pass = true;
	return true;
}

static bool check_draw(struct recording *r)
{
	if (!r->state.has_graphics || !r->state.in_pass)
		return fault(r, "a draw without a graphics pipeline or outside of a render pass");
	return true;
}

static bool check_draw_indirect(struct recording *r, uint64_t offset, uint64_t count, uint64_t stride, uint64_t size)
{
	const struct object *buffer = named_at(r->named, 0);

	if (!check_draw(r))
		return false;
	if (!buffer || offset % 4 || (count > 1 && (stride % 4 || stride < size)) ||
		(count && !within(offset, (count - 1) * stride + size, buffer->size)))
		return fault(r, "an indirect draw from beyond the end of its buffer");
	return true;
}

static bool check_draw_count(struct recording *r, uint64_t offset)
{
	const struct object *buffer = named_at(r->named, 1);

	if (!buffer) /* the same one twice is named twice */
		return fault(r, "an indirect draw without its count");
	if (offset % 4 || !within(offset, sizeof(uint32_t), buffer->size))
		return fault(r, "an indirect draw whose count is beyond the end of its buffer");
	return true;
}

static bool check_index_buffer(struct recording *r, const struct wire_vkCmdBindIndexBuffer *v)
{
	const struct object *buffer = named_at(r->named, 0);

	unsigned size = 0;

	switch ((int)v->indexType) {
	case VK_INDEX_TYPE_UINT8_EXT:
		size = 1;
		break;
	case VK_INDEX_TYPE_UINT16:
		size = 2;
		break;
	case VK_INDEX_TYPE_UINT32:
		size = 4;
		break;
	}
	if (!buffer || v->offset >= buffer->size || !size)
		return fault(r, "an index buffer of which nothing is left, or of another type");
	r->state.index_size = size;
	r->state.index_left = buffer->size - v->offset;
	return true;
}

/* sizes: NULL, all that is left. */
static bool check_vertex_buffers(struct recording *r, uint32_t first, uint32_t count, const VkBuffer *buffers,
	const VkDeviceSize *offsets, const VkDeviceSize *sizes)
{
	size_t at = 0;

	if (!within(first, count, r->limits->maxVertexInputBindings))
		return fault(r, "more vertex buffers than there may be");
	for (uint32_t i = 0; i < count; i++) {
		const struct object *buffer = buffers[i] ? named_at(r->named, at++) : NULL;

		if (!buffers[i] && !r->null_descriptors)
			return fault(r, "no vertex buffer where one is due");
		if (buffers[i] &&
			(!buffer || offsets[i] >= buffer->size ||
				(sizes && sizes[i] != VK_WHOLE_SIZE && sizes[i] > buffer->size - offsets[i])))
			return fault(r, "a vertex buffer of which nothing is left");
	}
	return true;
}

static bool check_draw_indexed(struct recording *r, const struct wire_vkCmdDrawIndexed *v)
{
	if (!check_draw(r))
		return false;
	if (!r->state.index_size ||
		!within((uint64_t)v->firstIndex * r->state.index_size, (uint64_t)v->indexCount * r->state.index_size,
			r->state.index_left))
		return fault(r, "a draw of more indices than its buffer has");
	return true;
}

static bool check_blit_side(const struct object *image, const VkImageSubresourceLayers *s, const VkOffset3D offsets[2])
{
	VkExtent3D whole;

	if (!image || !image->image || s->mipLevel >= image->image->layout.mips || s->layerCount == 0 ||
		!within(s->baseArrayLayer, s->layerCount, image->image->layout.layers))
		return false;
	whole = gpu_image_extent(&image->image->layout, s->mipLevel);
	for (int i = 0; i < 2; i++) {
		if (offsets[i].x < 0 || offsets[i].y < 0 || offsets[i].z < 0 || (uint32_t)offsets[i].x > whole.width ||
			(uint32_t)offsets[i].y > whole.height || (uint32_t)offsets[i].z > whole.depth)
			return false;
	}
	return true;
}

static bool check_begin_rendering(struct recording *r, const VkRenderingInfo *info)
{
	const VkRect2D *area = &info->renderArea;

	if (r->state.in_pass || info->colorAttachmentCount > r->limits->maxColorAttachments)
		return fault(r, "a pass in another one, or of more attachments than there may be");
	for (size_t i = 0; i < named_count(r->named); i++) {
		const struct object *view = named_at(r->named, i);
		const struct image *image = view->under ? view->under->image : NULL;

		if (!image || area->offset.x < 0 || area->offset.y < 0 ||
			!within((uint64_t)area->offset.x, area->extent.width, image->layout.extent.width) ||
			!within((uint64_t)area->offset.y, area->extent.height, image->layout.extent.height) ||
			(info->viewMask &&
				info->viewMask >> 1 >> (image->layout.layers - 1 > 31 ? 31 : image->layout.layers - 1)))
			return fault(r, "a pass beyond the edge of its attachments");
	}
	r->state.in_pass = r->state.in_rendering = true;
	return true;
}

static bool check_graphics(struct recording *r, unsigned command, const void *parameters)
{
	switch ((enum wire_command)command) {
	case WIRE_vkCmdBeginRendering:
		return check_begin_rendering(r, ((const struct wire_vkCmdBeginRendering *)parameters)->pRenderingInfo);
	case WIRE_vkCmdEndRendering:
		if (!r->state.in_rendering)
			return fault(r, "the end of a pass that has not begun");
		r->state.in_pass = r->state.in_rendering = false;
		return true;
	case WIRE_vkCmdBeginRenderPass:
		return check_begin_pass(r, ((const struct wire_vkCmdBeginRenderPass *)parameters)->pRenderPassBegin);
	case WIRE_vkCmdEndRenderPass:
	case WIRE_vkCmdNextSubpass:
		if (!r->state.in_pass || r->state.in_rendering || !r->primary)
			return fault(r, "the end of a render pass that has not begun");
		r->state.in_pass = command == WIRE_vkCmdNextSubpass;
		return true;
	case WIRE_vkCmdClearAttachments:
		return r->state.in_pass || fault(r, "cleared attachments outside of a render pass");
	case WIRE_vkCmdBindIndexBuffer:
		return check_index_buffer(r, parameters);
	case WIRE_vkCmdBindVertexBuffers: {
		const struct wire_vkCmdBindVertexBuffers *v = parameters;

		return check_vertex_buffers(r, v->firstBinding, v->bindingCount, v->pBuffers, v->pOffsets, NULL);
	}
	case WIRE_vkCmdBindVertexBuffers2: {
		const struct wire_vkCmdBindVertexBuffers2 *v = parameters;

		return check_vertex_buffers(r, v->firstBinding, v->bindingCount, v->pBuffers, v->pOffsets, v->pSizes);
	}
	case WIRE_vkCmdSetViewportWithCount:
		return ((const struct wire_vkCmdSetViewportWithCount *)parameters)->viewportCount == 1 ||
			fault(r, "another number of viewports than there may be");
	case WIRE_vkCmdSetColorWriteEnableEXT:
		return ((const struct wire_vkCmdSetColorWriteEnableEXT *)parameters)->attachmentCount <=
			r->limits->maxColorAttachments ||
			fault(r, "more attachments than there may be");
	case WIRE_vkCmdSetScissorWithCount:
		return ((const struct wire_vkCmdSetScissorWithCount *)parameters)->scissorCount == 1 ||
			fault(r, "another number of scissors than there may be");
	case WIRE_vkCmdSetViewport: {
		const struct wire_vkCmdSetViewport *v = parameters;

		return within(v->firstViewport, v->viewportCount, 1) || fault(r, "more viewports than there may be");
	}
	case WIRE_vkCmdSetScissor: {
		const struct wire_vkCmdSetScissor *v = parameters;

		return within(v->firstScissor, v->scissorCount, 1) || fault(r, "more scissors than there may be");
	}
	case WIRE_vkCmdDraw:
		return check_draw(r);
	case WIRE_vkCmdDrawIndexed:
		return check_draw_indexed(r, parameters);
	case WIRE_vkCmdDrawIndirect: {
		const struct wire_vkCmdDrawIndirect *v = parameters;

		return check_draw_indirect(r, v->offset, v->drawCount, v->stride, sizeof(VkDrawIndirectCommand));
	}
	case WIRE_vkCmdDrawIndexedIndirect: {
		const struct wire_vkCmdDrawIndexedIndirect *v = parameters;

		return (r->state.index_size || fault(r, "an indexed draw without an index buffer")) &&
			check_draw_indirect(r, v->offset, v->drawCount, v->stride, sizeof(VkDrawIndexedIndirectCommand));
	}
	case WIRE_vkCmdDrawIndirectCount: {
		const struct wire_vkCmdDrawIndirectCount *v = parameters;

		return check_draw_count(r, v->countBufferOffset) &&
			check_draw_indirect(r, v->offset, v->maxDrawCount, v->stride, sizeof(VkDrawIndirectCommand));
	}
	case WIRE_vkCmdDrawIndexedIndirectCount: {
		const struct wire_vkCmdDrawIndexedIndirectCount *v = parameters;

		return (r->state.index_size || fault(r, "an indexed draw without an index buffer")) &&
			check_draw_count(r, v->countBufferOffset) &&
			check_draw_indirect(r, v->offset, v->maxDrawCount, v->stride, sizeof(VkDrawIndexedIndirectCommand));
	}
	case WIRE_vkCmdBlitImage: {
		const struct wire_vkCmdBlitImage *v = parameters;

		for (uint32_t i = 0; i < v->regionCount; i++)
			if (!check_blit_side(
				    named_at(r->named, 0), &v->pRegions[i].srcSubresource, v->pRegions[i].srcOffsets) ||
				!check_blit_side(
					named_at(r->named, 1), &v->pRegions[i].dstSubresource, v->pRegions[i].dstOffsets))
				return fault(r, "a blit beyond the end of an image");
		return true;
	}
	case WIRE_vkCmdResolveImage: {
		const struct wire_vkCmdResolveImage *v = parameters;
		const struct object *from = named_at(r->named, 0), *to = named_at(r->named, 1);

		for (uint32_t i = 0; i < v->regionCount; i++) {
			const VkImageResolve *c = &v->pRegions[i];

			if (!from || !to || !check_subresource(from->image, &c->srcSubresource, c->srcOffset, c->extent) ||
				!check_subresource(to->image, &c->dstSubresource, c->dstOffset, c->extent))
				return fault(r, "a resolve beyond the end of an image");
		}
		return true;
	}
	default: /* the driver bounds these, or nothing is written by them */
		return true;
	}
}

bool check_command(struct recording *r, unsigned command, const void *parameters)
{
	switch ((enum wire_command)command) {
	case WIRE_vkCmdBindPipeline: {
		const struct wire_vkCmdBindPipeline *v = parameters;

		const struct object *pipeline = named_at(r->named, 0);

		if (!known_point(v->pipelineBindPoint) || !pipeline ||
			pipeline->graphics != (v->pipelineBindPoint == VK_PIPELINE_BIND_POINT_GRAPHICS))
			return fault(r, "a pipeline bound to a point that is not its own");
		if (pipeline->graphics)
			r->state.has_graphics = true;
		else
			r->state.has_pipeline = true;
		return true;
	}
	case WIRE_vkCmdBindDescriptorSets:
		return check_bind_sets(r, parameters);
	case WIRE_vkCmdPushDescriptorSetKHR:
		return check_push_descriptors(r, parameters);
	case WIRE_vkCmdPushConstants: {
		const struct wire_vkCmdPushConstants *v = parameters;
		const struct object *layout = named_at(r->named, 0);

		if (!layout || !layout->layout || !within(v->offset, v->size, layout->layout->push_end))
			return fault(r, "push constants that the pipeline layout has not");
		return true;
	}
	case WIRE_vkCmdDispatch: {
		const struct wire_vkCmdDispatch *v = parameters;

		return check_groups(r, (uint32_t[3]){ 0 }, (uint32_t[3]){ v->groupCountX, v->groupCountY, v->groupCountZ });
	}
	case WIRE_vkCmdDispatchBase: {
		const struct wire_vkCmdDispatchBase *v = parameters;

		return check_groups(r, (uint32_t[3]){ v->baseGroupX, v->baseGroupY, v->baseGroupZ },
			(uint32_t[3]){ v->groupCountX, v->groupCountY, v->groupCountZ });
	}
	case WIRE_vkCmdDispatchIndirect:
		return check_indirect(r, ((const struct wire_vkCmdDispatchIndirect *)parameters)->offset);
	case WIRE_vkCmdCopyBuffer: {
		const struct wire_vkCmdCopyBuffer *v = parameters;

		for (uint32_t i = 0; i < v->regionCount; i++)
			if (!check_copy(r, v->pRegions[i].srcOffset, v->pRegions[i].dstOffset, v->pRegions[i].size))
				return false;
		return true;
	}
	case WIRE_vkCmdCopyBuffer2: {
		const VkCopyBufferInfo2 *v = ((const struct wire_vkCmdCopyBuffer2 *)parameters)->pCopyBufferInfo;

		for (uint32_t i = 0; i < v->regionCount; i++)
			if (!check_copy(r, v->pRegions[i].srcOffset, v->pRegions[i].dstOffset, v->pRegions[i].size))
				return false;
		return true;
	}
	case WIRE_vkCmdFillBuffer: {
		const struct wire_vkCmdFillBuffer *v = parameters;

		return check_fill(r, v->dstOffset, v->size, true);
	}
	case WIRE_vkCmdUpdateBuffer: {
		const struct wire_vkCmdUpdateBuffer *v = parameters;

		return check_fill(r, v->dstOffset, v->dataSize, false);
	}
	case WIRE_vkCmdExecuteCommands:
		return check_secondaries(r);
	case WIRE_vkCmdResetQueryPool: {
		const struct wire_vkCmdResetQueryPool *v = parameters;

		return check_queries(r, v->firstQuery, v->queryCount);
	}
	case WIRE_vkCmdWriteTimestamp:
		return check_queries(r, ((const struct wire_vkCmdWriteTimestamp *)parameters)->query, 1);
	case WIRE_vkCmdCopyQueryPoolResults:
		return check_query_copies(r, parameters);
	case WIRE_vkCmdBeginQuery:
		return check_queries(r, ((const struct wire_vkCmdBeginQuery *)parameters)->query, 1);
	case WIRE_vkCmdEndQuery:
		return check_queries(r, ((const struct wire_vkCmdEndQuery *)parameters)->query, 1);
	case WIRE_vkCmdWriteTimestamp2:
		return fault(r, "a query command that no driver of ours records");
	case WIRE_vkCmdCopyBufferToImage: {
		const struct wire_vkCmdCopyBufferToImage *v = parameters;

		return check_image_copies(r, 0, 1, v->pRegions, v->regionCount);
	}
	case WIRE_vkCmdCopyImageToBuffer: {
		const struct wire_vkCmdCopyImageToBuffer *v = parameters;

		return check_image_copies(r, 1, 0, v->pRegions, v->regionCount);
	}
	case WIRE_vkCmdCopyImage: {
		const struct wire_vkCmdCopyImage *v = parameters;
		const struct object *from = named_at(r->named, 0), *to = named_at(r->named, 1);

		for (uint32_t i = 0; i < v->regionCount; i++) {
			const VkImageCopy *c = &v->pRegions[i];

			/* In texels of the source; blocks of another size and layers as slices are the driver's to judge. */
			if (!from || !to || !check_subresource(from->image, &c->srcSubresource, c->srcOffset, c->extent) ||
				!to->image || c->dstSubresource.mipLevel >= to->image->layout.mips)
				return fault(r, "a copy beyond the end of an image");
		}
		return true;
	}
	default:
		return check_graphics(r, command, parameters);
	}
}
