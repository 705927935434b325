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
	if (cb->images.size)
		icd_image_uses_overwrite(&cb->images, b->memory, b->offset + offset, size);
	if (b->host_visible) {
		/* Captured as well: else a device write that restores the old value would not be seen. */
		icd_ranges_add(&cb->captures, b->memory, b->offset + offset, size);
		cb->writes_host = true;
	}
}

void icd_analyse_image_write(struct icd_command_buffer *cb, const struct icd_image *i, uint32_t mip, uint32_t mips,
	uint32_t layer, uint32_t layers)
{
	if (!i || !i->memory)
		return;
	if (i->layout.samples != 1 && (layer > 0 || layers < i->layout.layers))
		icd_analyse_image_need(cb, i); /* of which the rest stays */
	if (i->layout.samples == 1)
		icd_image_ranges(&cb->writes, i, mip, mips, layer, layers);
	icd_image_used(&cb->images, i);
}

void icd_analyse_image_need(struct icd_command_buffer *cb, const struct icd_image *i)
{
	if (i && i->memory && i->layout.samples != 1)
		icd_image_needed(&cb->images, i);
}

/* All of its buffer counts: without robustBufferAccess2, which not every GPU has, a shader may reach beyond the descriptor's range. */
static void analyse_descriptor(
	struct icd_command_buffer *cb, VkDescriptorType type, const struct icd_descriptor *x, bool writable)
{
	const struct icd_image_view *image = x->image;
	const struct icd_buffer *buffer = x->view ? x->view->buffer : x->buffer;
	bool read_only = type == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER || type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER ||
		type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC;
	if (image && writable && type == VK_DESCRIPTOR_TYPE_STORAGE_IMAGE)
		icd_analyse_image_write(cb, image->image, image->mip, image->mips, image->layer, image->layers);
	if (image)
		icd_analyse_image_need(cb, image->image);
	if (!buffer)
		return;
	if (writable && !read_only)
		icd_analyse_write(cb, buffer, 0, buffer->size);
	else
		icd_analyse_read(cb, buffer, 0, buffer->size);
}

void icd_analyse_use(struct icd_command_buffer *cb, struct icd_bound *bound)
{
	if (!bound->changed || !bound->pipeline)
		return;
	bound->changed = false;
	for (uint32_t i = 0; i < bound->pipeline->use_count; i++) {
		const struct icd_use *use = &bound->pipeline->uses[i];
		const struct icd_set *set = use->set < ICD_MAX_SETS ? bound->sets[use->set] : NULL;
		if (!set)
			continue;
		const struct icd_binding *b = icd_set_layout_find(set->layout, use->binding);
		if (b && b->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
			continue; /* it has its bytes */
		for (uint32_t element = 0; b && element < b->count; element++)
			analyse_descriptor(cb, b->type, &set->descriptors[b->first + element], use->writable);
	}
}
