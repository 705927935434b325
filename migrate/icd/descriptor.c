/* Descriptor pools, sets and their contents. */
#include "migrate/icd/descriptor.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

static void descriptor_ref(const struct icd_descriptor *x)
{
	icd_buffer_ref(x->buffer);
	icd_buffer_view_ref(x->view);
	icd_image_view_ref(x->image);
	icd_sampler_ref(x->sampler);
}

static void descriptor_unref(const struct icd_descriptor *x)
{
	icd_buffer_unref(x->buffer);
	icd_buffer_view_unref(x->view);
	icd_image_view_unref(x->image);
	icd_sampler_unref(x->sampler);
}

static const struct icd_binding *last_binding(const struct icd_set_layout *l)
{
	return l->binding_count ? &l->bindings[l->binding_count - 1] : NULL;
}

uint32_t icd_set_count(const struct icd_set *s, const struct icd_binding *b)
{
	return b == last_binding(s->layout) ? s->last_count : b->count;
}

/* What a set of the layout takes of its pool. */
struct taken {
	uint32_t descriptors[ICD_POOL_TYPES], inline_bytes, inline_count, total;
};

static struct taken taken_by(const struct icd_set_layout *l, uint32_t last_count)
{
	const struct icd_binding *last = last_binding(l);
	struct taken t = { .inline_bytes = l->inline_bytes, .inline_count = l->inline_count, .total = l->descriptor_count };
	memcpy(t.descriptors, l->needs, sizeof(t.descriptors));
	if (!last)
		return t;
	uint32_t less = last->count - last_count;
	if (last->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
		t.inline_bytes -= less;
		return t;
	}
	t.total -= less;
	if ((uint32_t)last->type < ICD_POOL_TYPES)
		t.descriptors[last->type] -= less;
	return t;
}

struct icd_set *icd_set_create(struct icd_set_layout *layout, uint32_t variable_count)
{
	const struct icd_binding *last = last_binding(layout);
	uint32_t most = last ? last->count : 0;
	uint32_t last_count = layout->variable && variable_count < most ? variable_count : most;
	const struct taken t = taken_by(layout, last_count);
	struct icd_set *s = icd_object_create(sizeof(*s) + t.total * sizeof(s->descriptors[0]) + t.inline_bytes);
	if (!s)
		return NULL;
	s->last_count = last_count;
	s->descriptor_count = t.total;
	list_init(&s->link);
	s->inline_bytes = (unsigned char *)&s->descriptors[s->descriptor_count];
	s->layout = icd_set_layout_ref(layout);
	return s;
}

void icd_set_free(struct icd_set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->written_end; i++) {
		descriptor_unref(&s->descriptors[i]);
	}
	list_remove(&s->link);
	icd_set_layout_unref(s->layout);
	free(s);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateDescriptorPool(VkDevice device, const VkDescriptorPoolCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDescriptorPool *ret_pool)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_pool *p = icd_object_create(sizeof(*p));
	if (!p)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	p->object.id = icd_new_id(d);
	p->max_sets = info->maxSets;
	list_init(&p->sets);
	const VkDescriptorPoolInlineUniformBlockCreateInfo *blocks =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_INLINE_UNIFORM_BLOCK_CREATE_INFO);
	p->inline_count = blocks ? blocks->maxInlineUniformBlockBindings : 0;
	for (uint32_t i = 0; i < info->poolSizeCount; i++) {
		if ((uint32_t)info->pPoolSizes[i].type < ICD_POOL_TYPES)
			p->left[info->pPoolSizes[i].type] += info->pPoolSizes[i].descriptorCount;
		else if (info->pPoolSizes[i].type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
			p->inline_bytes += info->pPoolSizes[i].descriptorCount;
	}
	/* Resetting the pool travels as the end of each set. */
	VkDescriptorPoolCreateInfo sent = *info;
	sent.flags |= VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT;
	wire_encode_vkCreateDescriptorPool(icd_record_begin(d), &sent, p->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, p->object.id, 0);
	if (result != VK_SUCCESS) {
		free(p);
		return result;
	}
	*ret_pool = ICD_HANDLE(VkDescriptorPool, p);
	return VK_SUCCESS;
}

static void destroy_set(struct icd_device *d, struct icd_set *s)
{
	const struct taken t = taken_by(s->layout, s->last_count);
	for (uint32_t i = 0; i < ICD_POOL_TYPES; i++)
		s->pool->left[i] += t.descriptors[i];
	s->pool->inline_bytes += t.inline_bytes;
	s->pool->inline_count += t.inline_count;
	s->pool->set_count--;
	icd_record_plain(d, RECORD_DESTROY, s->object.id);
	icd_set_free(s);
}

static void destroy_sets(struct icd_device *d, struct icd_pool *p)
{
	while (!list_empty(&p->sets))
		destroy_set(d, list_entry(p->sets.next, struct icd_set, link));
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyDescriptorPool(
	VkDevice device, VkDescriptorPool pool, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_pool *p = ICD_FROM(icd_pool, pool);
	if (!p)
		return;
	destroy_sets(d, p);
	icd_record_plain(d, RECORD_DESTROY, p->object.id);
	free(p);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_ResetDescriptorPool(
	VkDevice device, VkDescriptorPool pool, VkDescriptorPoolResetFlags flags)
{
	(void)flags;
	destroy_sets(ICD_FROM(icd_device, device), ICD_FROM(icd_pool, pool));
	return VK_SUCCESS;
}

static VkResult allocate_set(
	struct icd_device *d, const VkDescriptorSetAllocateInfo *info, uint32_t index, VkDescriptorSet *ret_set)
{
	struct icd_pool *p = ICD_FROM(icd_pool, info->descriptorPool);
	struct icd_set_layout *layout = ICD_FROM(icd_set_layout, info->pSetLayouts[index]);
	const VkDescriptorSetVariableDescriptorCountAllocateInfo *counts =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_ALLOCATE_INFO);
	struct icd_set *s =
		icd_set_create(layout, counts && index < counts->descriptorSetCount ? counts->pDescriptorCounts[index] : 0);
	if (!s)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	const struct taken t = taken_by(layout, s->last_count);
	bool fits = p->set_count < p->max_sets && t.inline_bytes <= p->inline_bytes && t.inline_count <= p->inline_count;
	for (uint32_t i = 0; i < ICD_POOL_TYPES; i++)
		fits = fits && t.descriptors[i] <= p->left[i];
	if (!fits) {
		icd_set_free(s);
		return VK_ERROR_OUT_OF_POOL_MEMORY;
	}
	s->object.id = icd_new_id(d);
	s->pool = p;
	const VkDescriptorSetVariableDescriptorCountAllocateInfo own_count = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_ALLOCATE_INFO,
		.descriptorSetCount = 1,
		.pDescriptorCounts = &s->last_count,
	};
	const VkDescriptorSetAllocateInfo sent = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.pNext = layout->variable ? &own_count : NULL,
		.descriptorPool = info->descriptorPool,
		.descriptorSetCount = 1,
		.pSetLayouts = &info->pSetLayouts[index],
	};
	wire_encode_vkAllocateDescriptorSets(icd_record_begin(d), &sent, s->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, s->object.id, 0);
	if (result != VK_SUCCESS) {
		icd_set_free(s);
		return result;
	}
	for (uint32_t i = 0; i < ICD_POOL_TYPES; i++)
		p->left[i] -= t.descriptors[i];
	p->inline_bytes -= t.inline_bytes;
	p->inline_count -= t.inline_count;
	p->set_count++;
	list_append(&p->sets, &s->link);
	*ret_set = ICD_HANDLE(VkDescriptorSet, s);
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_AllocateDescriptorSets(
	VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *ret_sets)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	for (uint32_t i = 0; i < info->descriptorSetCount; i++) {
		VkResult result = allocate_set(d, info, i, &ret_sets[i]);
		if (result == VK_SUCCESS)
			continue;
		while (i > 0)
			destroy_set(d, ICD_FROM(icd_set, ret_sets[--i]));
		memset(ret_sets, 0, info->descriptorSetCount * sizeof(*ret_sets));
		return result;
	}
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_FreeDescriptorSets(
	VkDevice device, VkDescriptorPool pool, uint32_t count, const VkDescriptorSet *sets)
{
	(void)pool;
	for (uint32_t i = 0; i < count; i++) {
		if (sets[i])
			destroy_set(ICD_FROM(icd_device, device), ICD_FROM(icd_set, sets[i]));
	}
	return VK_SUCCESS;
}

static bool is_texel(VkDescriptorType type)
{
	return type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER || type == VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER;
}

static bool is_uniform(VkDescriptorType type)
{
	return type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER || type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC;
}

static bool is_buffer(VkDescriptorType type)
{
	return is_uniform(type) || type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER ||
		type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
}

bool icd_is_image(VkDescriptorType type)
{
	return type == VK_DESCRIPTOR_TYPE_SAMPLER || type == VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER ||
		type == VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE || type == VK_DESCRIPTOR_TYPE_STORAGE_IMAGE ||
		type == VK_DESCRIPTOR_TYPE_INPUT_ATTACHMENT;
}

static bool takes_sampler(const struct icd_binding *b)
{
	return !b->immutable &&
		(b->type == VK_DESCRIPTOR_TYPE_SAMPLER || b->type == VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER);
}

static void tell_buffer_needs(struct icd_device *d, VkDescriptorType type, const struct icd_descriptor *x)
{
	if (!x->buffer)
		return;
	uint64_t range = x->range == VK_WHOLE_SIZE ? x->buffer->size - x->offset : x->range;
	icd_need_limit(d, is_uniform(type) ? ICD_LIMIT_UNIFORM_RANGE : ICD_LIMIT_STORAGE_RANGE, range);
	icd_need_limit(d, is_uniform(type) ? ICD_LIMIT_UNIFORM_ALIGN : ICD_LIMIT_STORAGE_ALIGN, x->offset);
}

/* Puts x into its place. The same again is not told again. */
static VkResult store(struct icd_device *d, struct icd_set *s, const struct icd_binding *b, uint32_t element,
	const struct icd_descriptor *x)
{
	struct icd_descriptor *old = &s->descriptors[b->first + element];
	if (old->buffer == x->buffer && old->view == x->view && old->image == x->image && old->sampler == x->sampler &&
		old->offset == x->offset && old->range == x->range && (x->buffer || x->view || x->image))
		return VK_SUCCESS;
	bool shared = d && b->late; /* with submissions and with updates by other threads */
	if (shared)
		pthread_mutex_lock(&d->mutex);
	struct icd_descriptor before = *old;
	*old = *x;
	if (s->written_end <= b->first + element)
		s->written_end = b->first + element + 1;
	descriptor_ref(x);
	descriptor_unref(&before);
	if (shared)
		pthread_mutex_unlock(&d->mutex);
	if (!d)
		return VK_SUCCESS;
	if (is_buffer(b->type))
		tell_buffer_needs(d, b->type, x);
	const VkDescriptorBufferInfo buffer = { ICD_HANDLE(VkBuffer, x->buffer), x->offset, x->range };
	const VkDescriptorImageInfo image = { ICD_HANDLE(VkSampler, x->sampler), ICD_HANDLE(VkImageView, x->image),
		VK_IMAGE_LAYOUT_GENERAL };
	const VkBufferView view = ICD_HANDLE(VkBufferView, x->view);
	const VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = ICD_HANDLE(VkDescriptorSet, s),
		.dstBinding = b->binding,
		.dstArrayElement = element,
		.descriptorCount = 1,
		.descriptorType = b->type,
		.pImageInfo = &image,
		.pBufferInfo = &buffer,
		.pTexelBufferView = &view,
	};
	wire_encode_vkUpdateDescriptorSets(icd_record_begin(d), &write);
	return icd_record_end(d, RECORD_UPDATE, s->object.id, (uint64_t)b->binding << 32 | element);
}

/* A place in a set; behind a binding's last element comes the next binding's first (VkWriteDescriptorSet, "consecutive binding updates"). */
struct cursor {
	const struct icd_set *set;
	const struct icd_binding *binding, *end;
	uint32_t element;
};

static bool cursor_settle(struct cursor *c)
{
	while (c->binding && c->binding < c->end && c->element >= icd_set_count(c->set, c->binding)) {
		c->element -= icd_set_count(c->set, c->binding);
		c->binding++;
	}
	return c->binding && c->binding < c->end;
}

static struct cursor cursor_at(const struct icd_set *s, uint32_t binding, uint32_t element)
{
	return (struct cursor){ s, icd_set_layout_find(s->layout, binding), s->layout->bindings + s->layout->binding_count,
		element };
}

/* Some of an inline block's bytes changed; all of the block travel, under one key. */
static VkResult tell_inline(struct icd_device *d, struct icd_set *s, const struct icd_binding *b)
{
	const VkWriteDescriptorSetInlineUniformBlock block = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK,
		.dataSize = icd_set_count(s, b),
		.pData = s->inline_bytes + b->first,
	};
	const VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.pNext = &block,
		.dstSet = ICD_HANDLE(VkDescriptorSet, s),
		.dstBinding = b->binding,
		.descriptorCount = icd_set_count(s, b),
		.descriptorType = VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK,
	};
	wire_encode_vkUpdateDescriptorSets(icd_record_begin(d), &write);
	return icd_record_end(d, RECORD_UPDATE, s->object.id, (uint64_t)b->binding << 32);
}

/* An inline block's elements are its bytes; as with descriptors they go on in the next binding. */
static VkResult write_inline(struct icd_device *d, struct icd_set *s, struct cursor c, const void *data, uint32_t size)
{
	const unsigned char *from = data;
	VkResult result = VK_SUCCESS;
	while (size && result == VK_SUCCESS && cursor_settle(&c) &&
		c.binding->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
		uint32_t part = icd_set_count(s, c.binding) - c.element;
		part = part < size ? part : size;
		memmove(s->inline_bytes + c.binding->first + c.element, from, part);
		result = tell_inline(d, s, c.binding);
		c.element += part;
		from += part;
		size -= part;
	}
	return result;
}

VkResult icd_set_write(struct icd_device *d, struct icd_set *s, const VkWriteDescriptorSet *write)
{
	struct cursor c = cursor_at(s, write->dstBinding, write->dstArrayElement);
	VkResult result = VK_SUCCESS;
	if (write->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
		const VkWriteDescriptorSetInlineUniformBlock *block =
			icd_chain_find(write->pNext, VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK);
		return block ? write_inline(d, s, c, block->pData, block->dataSize) : VK_SUCCESS;
	}
	for (uint32_t i = 0; i < write->descriptorCount && result == VK_SUCCESS && cursor_settle(&c); i++, c.element++) {
		struct icd_descriptor x = { .written = true };
		if (is_texel(c.binding->type)) {
			x.view = ICD_FROM(icd_buffer_view, write->pTexelBufferView[i]);
		} else if (is_buffer(c.binding->type)) {
			x.buffer = ICD_FROM(icd_buffer, write->pBufferInfo[i].buffer);
			x.offset = write->pBufferInfo[i].offset;
			x.range = write->pBufferInfo[i].range;
		} else {
			/* What a type does not read may be garbage. */
			if (c.binding->type != VK_DESCRIPTOR_TYPE_SAMPLER)
				x.image = ICD_FROM(icd_image_view, write->pImageInfo[i].imageView);
			if (takes_sampler(c.binding))
				x.sampler = ICD_FROM(icd_sampler, write->pImageInfo[i].sampler);
		}
		result = store(d, s, c.binding, c.element, &x);
	}
	return result;
}

static VkResult copy_inline(struct icd_device *d, const struct icd_set *from, struct icd_set *to, struct cursor source,
	struct cursor target, uint32_t size)
{
	VkResult result = VK_SUCCESS;
	while (size && result == VK_SUCCESS && cursor_settle(&source) &&
		source.binding->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
		uint32_t part = icd_set_count(from, source.binding) - source.element;
		part = part < size ? part : size;
		result = write_inline(d, to, target, from->inline_bytes + source.binding->first + source.element, part);
		source.element += part;
		target.element += part;
		size -= part;
	}
	return result;
}

static VkResult copy_descriptors(struct icd_device *d, const VkCopyDescriptorSet *copy)
{
	struct icd_set *from = ICD_FROM(icd_set, copy->srcSet), *to = ICD_FROM(icd_set, copy->dstSet);
	struct cursor source = cursor_at(from, copy->srcBinding, copy->srcArrayElement);
	struct cursor target = cursor_at(to, copy->dstBinding, copy->dstArrayElement);
	VkResult result = VK_SUCCESS;
	if (source.binding && source.binding->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
		return copy_inline(d, from, to, source, target, copy->descriptorCount);
	for (uint32_t i = 0; i < copy->descriptorCount && result == VK_SUCCESS; i++, source.element++, target.element++) {
		if (!cursor_settle(&source) || !cursor_settle(&target))
			break;
		struct icd_descriptor x = from->descriptors[source.binding->first + source.element];
		if (!takes_sampler(target.binding))
			x.sampler = NULL;
		if (x.written)
			result = store(d, to, target.binding, target.element, &x);
	}
	return result;
}

/* The call returns nothing: what is out of memory here shows at the next submission. */
static void updated(struct icd_device *d, VkResult result)
{
	if (result != VK_SUCCESS)
		icd_lose(d, "out of memory");
}

VKAPI_ATTR void VKAPI_CALL icd_UpdateDescriptorSets(VkDevice device, uint32_t write_count,
	const VkWriteDescriptorSet *writes, uint32_t copy_count, const VkCopyDescriptorSet *copies)
{
	struct icd_device *d = ICD_FROM(icd_device, device);
	for (uint32_t i = 0; i < write_count; i++)
		updated(d, icd_set_write(d, ICD_FROM(icd_set, writes[i].dstSet), &writes[i]));
	for (uint32_t i = 0; i < copy_count; i++)
		updated(d, copy_descriptors(d, &copies[i]));
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateDescriptorUpdateTemplate(VkDevice device,
	const VkDescriptorUpdateTemplateCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkDescriptorUpdateTemplate *ret_template)
{
	(void)device, (void)allocator;
	size_t size = info->descriptorUpdateEntryCount * sizeof(VkDescriptorUpdateTemplateEntry);
	struct icd_template *t = icd_object_create(sizeof(*t) + size);
	if (!t)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	t->set = info->set;
	t->point = info->pipelineBindPoint;
	t->entry_count = info->descriptorUpdateEntryCount;
	if (size)
		memcpy(t->entries, info->pDescriptorUpdateEntries, size);
	*ret_template = ICD_HANDLE(VkDescriptorUpdateTemplate, t);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyDescriptorUpdateTemplate(
	VkDevice device, VkDescriptorUpdateTemplate template, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)allocator;
	free(ICD_FROM(icd_template, template));
}

/* Calls visit with one write for each entry and element of a template. */
static void template_expand(
	const struct icd_template *t, const void *data, void (*visit)(void *ctx, const VkWriteDescriptorSet *w), void *ctx)
{
	for (uint32_t i = 0; i < t->entry_count; i++) {
		const VkDescriptorUpdateTemplateEntry *e = &t->entries[i];
		if (e->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) { /* without a stride */
			const VkWriteDescriptorSetInlineUniformBlock block = {
				.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET_INLINE_UNIFORM_BLOCK,
				.dataSize = e->descriptorCount,
				.pData = (const char *)data + e->offset,
			};
			const VkWriteDescriptorSet write = {
				.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
				.pNext = &block,
				.dstBinding = e->dstBinding,
				.dstArrayElement = e->dstArrayElement,
				.descriptorCount = e->descriptorCount,
				.descriptorType = e->descriptorType,
			};
			visit(ctx, &write);
			continue;
		}
		for (uint32_t j = 0; j < e->descriptorCount; j++) {
			const void *at = (const char *)data + e->offset + j * e->stride;
			const VkWriteDescriptorSet write = {
				.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
				.dstBinding = e->dstBinding,
				.dstArrayElement = e->dstArrayElement + j,
				.descriptorCount = 1,
				.descriptorType = e->descriptorType,
				.pImageInfo = at,
				.pBufferInfo = at,
				.pTexelBufferView = at,
			};
			visit(ctx, &write);
		}
	}
}

struct template_update {
	struct icd_device *device;
	struct icd_set *set;
};

static void write_from_template(void *ctx, const VkWriteDescriptorSet *write)
{
	const struct template_update *u = ctx;
	updated(u->device, icd_set_write(u->device, u->set, write));
}

VKAPI_ATTR void VKAPI_CALL icd_UpdateDescriptorSetWithTemplate(
	VkDevice device, VkDescriptorSet set, VkDescriptorUpdateTemplate template, const void *data)
{
	struct template_update u = { ICD_FROM(icd_device, device), ICD_FROM(icd_set, set) };
	template_expand(ICD_FROM(icd_template, template), data, write_from_template, &u);
}
