/* What may a recording read and write? Sound, because there are no buffer addresses and no updates after bind: a shader reaches
 * memory only through the descriptors of its bindings. */
#include "migrate/icd/command.h"

void icd_analyse_read(struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size)
{
	if (b && b->memory && b->host_visible)
		icd_ranges_add(&cb->captures, b->memory, b->offset + offset, size);
}

void icd_analyse_write(struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size)
{
	if (!b || !b->memory)
		return;
	icd_ranges_add(&cb->writes, b->memory, b->offset + offset, size);
	if (b->host_visible) {
		/* Captured as well: else a device write that restores the old value would not be seen. */
		icd_ranges_add(&cb->captures, b->memory, b->offset + offset, size);
		cb->writes_host = true;
	}
}

/* The part of its buffer that a shader can reach: all of it, unless robustBufferAccess2 holds it to the descriptor's range,
 * which an implementation may round up (VkPhysicalDeviceRobustness2PropertiesEXT: 4 for storage, 256 for uniform buffers). */
static void reach(const struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t range, bool writable,
	uint64_t *ret_offset, uint64_t *ret_size)
{
	*ret_offset = 0;
	*ret_size = b->size;
	if (!cb->device->bounded || cb->pipeline->unbounded || offset > b->size)
		return;
	uint64_t rounding = writable ? 4 : 256;
	uint64_t left = b->size - offset;
	*ret_offset = offset;
	*ret_size = range > left ? left : (range + rounding - 1) & ~(rounding - 1);
	if (*ret_size > left)
		*ret_size = left;
}

static void analyse_descriptor(struct icd_command_buffer *cb, const struct icd_bound_set *bound, const struct icd_binding *b,
	uint32_t element, bool writable)
{
	const struct icd_descriptor *x = &bound->set->descriptors[b->first + element];
	const struct icd_buffer *buffer = NULL;
	uint64_t offset = 0, range = 0;
	switch ((int)b->type) {
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
		writable = false;
		/* fallthrough */
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		if (x->view) {
			buffer = x->view->buffer;
			offset = x->view->offset;
			range = x->view->range;
		}
		break;
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
		writable = false;
		/* fallthrough */
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
		buffer = x->buffer;
		offset = x->offset;
		range = x->range;
		break;
	}
	if (!buffer)
		return;
	if (b->type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC || b->type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC) {
		size_t index = bound->offsets + b->first_dynamic + element;
		const uint32_t *offsets = (const uint32_t *)(const void *)cb->offsets.data;
		offset += index < cb->offsets.size / sizeof(*offsets) ? offsets[index] : 0;
	}
	reach(cb, buffer, offset, range, writable, &offset, &range);
	if (writable)
		icd_analyse_write(cb, buffer, offset, range);
	else
		icd_analyse_read(cb, buffer, offset, range);
}

void icd_analyse_dispatch(struct icd_command_buffer *cb)
{
	if (!cb->changed || !cb->pipeline)
		return;
	cb->changed = false;
	for (uint32_t i = 0; i < cb->pipeline->use_count; i++) {
		const struct icd_use *use = &cb->pipeline->uses[i];
		const struct icd_bound_set *bound = use->set < ICD_MAX_SETS ? &cb->sets[use->set] : NULL;
		if (!bound || !bound->set)
			continue;
		const struct icd_binding *b = icd_set_layout_find(bound->set->layout, use->binding);
		for (uint32_t element = 0; b && element < b->count; element++)
			analyse_descriptor(cb, bound, b, element, use->writable);
	}
}
