/* What may a recording read and write? Sound, because there are no buffer addresses: a shader reaches memory only through the
 * descriptors of its bindings. They are looked up while it is recorded; those of bindings that may be updated after they are bound,
 * when it is submitted: from then on none that it uses may change. */
#include "migrate/icd/command.h"

#define LATES_SEARCHED 256u

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
		icd_analyse_image_read(cb, i); /* of which the rest stays */
	if (i->layout.samples == 1)
		icd_image_ranges(&cb->writes, i, mip, mips, layer, layers);
	if (i->host_visible) {
		icd_ranges_add(&cb->captures, i->memory, i->offset, gpu_image_size(&i->layout));
		cb->writes_host = true;
	}
	icd_image_used(&cb->images, i);
}

void icd_analyse_image_read(struct icd_command_buffer *cb, const struct icd_image *i)
{
	if (!i || !i->memory)
		return;
	if (i->layout.samples != 1)
		icd_image_needed(&cb->images, i);
	if (i->host_visible)
		icd_ranges_add(&cb->captures, i->memory, i->offset, gpu_image_size(&i->layout));
}

/* More copies than this in one recording come back like any other writes; so do those that may go over an image. */
#define COPIES_MAX 4096u

static bool note_copy(struct icd_command_buffer *cb, const struct record_copy *copy)
{
	if (copy->size == 0 || cb->images.size || cb->copies.size / sizeof(*copy) >= COPIES_MAX)
		return false;
	buf_append(&cb->copies, copy, sizeof(*copy));
	return true;
}

void icd_analyse_copy(struct icd_command_buffer *cb, const struct icd_buffer *from, uint64_t from_offset,
	const struct icd_buffer *to, uint64_t to_offset, uint64_t size)
{
	icd_analyse_read(cb, from, from_offset, size);
	if (from && to && from->memory && from->host_visible && to->memory && !to->host_visible) {
		const struct record_copy copy = { from->memory, from->offset + from_offset, to->memory,
			to->offset + to_offset, size };
		if (note_copy(cb, &copy))
			return;
	}
	icd_analyse_write(cb, to, to_offset, size);
}

void icd_analyse_fill(
	struct icd_command_buffer *cb, const struct icd_buffer *b, uint64_t offset, uint64_t size, uint32_t word)
{
	if (b && b->memory && !b->host_visible) {
		const struct record_copy fill = { 0, word, b->memory, b->offset + offset, size };
		if (note_copy(cb, &fill))
			return;
	}
	icd_analyse_write(cb, b, offset, size);
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
		icd_analyse_image_read(cb, image->image);
	if (!buffer)
		return;
	if (writable && !read_only)
		icd_analyse_write(cb, buffer, 0, buffer->size);
	else
		icd_analyse_read(cb, buffer, 0, buffer->size);
}

/* All that were ever written: which of them a shader uses is its secret. */
static void analyse_binding(
	struct icd_command_buffer *cb, const struct icd_set *set, const struct icd_binding *b, bool writable)
{
	uint32_t end = b->first + icd_set_count(set, b);
	if (end > set->written_end)
		end = set->written_end;
	for (uint32_t i = b->first; i < end; i++)
		analyse_descriptor(cb, b->type, &set->descriptors[i], writable);
}

static void put_late(struct icd_command_buffer *cb, const struct icd_set *set, const struct icd_binding *b, bool writable)
{
	const struct icd_late late = { set, b, writable }, *all = (const struct icd_late *)(const void *)cb->lates.data;
	size_t count = cb->lates.size / sizeof(late);
	/* One that is there already is enough, unless images came in between that share its memory: that is not looked for. */
	for (size_t n = count; n > 0 && count - n < LATES_SEARCHED; n--)
		if (all[n - 1].set == set && all[n - 1].binding == b && all[n - 1].writable >= writable)
			return;
	const struct icd_image_use place = { .begin = count };
	buf_append(&cb->lates, &late, sizeof(late));
	buf_append(&cb->images, &place, sizeof(place));
}

void icd_lates_add(struct icd_command_buffer *cb, const struct icd_command_buffer *secondary)
{
	struct icd_image_use *uses = (struct icd_image_use *)(void *)cb->images.data;
	size_t base = cb->lates.size / sizeof(struct icd_late);
	if (!secondary->lates.size || cb->images.failed)
		return;
	for (size_t n = (cb->images.size - secondary->images.size) / sizeof(*uses); n < cb->images.size / sizeof(*uses); n++)
		if (!uses[n].id)
			uses[n].begin += base;
	buf_append(&cb->lates, secondary->lates.data, secondary->lates.size);
}

const struct icd_command_buffer *icd_lates_resolve(const struct icd_command_buffer *cb, struct icd_command_buffer *scratch)
{
	const struct icd_late *lates = (const struct icd_late *)(const void *)cb->lates.data;
	const struct icd_image_use *uses = (const struct icd_image_use *)(const void *)cb->images.data;
	if (!cb->lates.size)
		return cb;
	icd_ranges_clear(&scratch->captures);
	icd_ranges_clear(&scratch->writes);
	buf_clear(&scratch->images);
	icd_ranges_add_all(&scratch->captures, &cb->captures);
	icd_ranges_add_all(&scratch->writes, &cb->writes);
	scratch->writes_host = cb->writes_host;
	for (size_t n = 0; n < cb->images.size / sizeof(*uses); n++) {
		if (!uses[n].id) {
			const struct icd_late *late = &lates[uses[n].begin];
			analyse_binding(scratch, late->set, late->binding, late->writable);
			continue;
		}
		if (uses[n].memory)
			icd_image_uses_overwrite(
				&scratch->images, uses[n].memory, uses[n].begin, uses[n].end - uses[n].begin);
		buf_append(&scratch->images, &uses[n], sizeof(uses[n]));
	}
	icd_ranges_tidy(&scratch->captures);
	icd_ranges_tidy(&scratch->writes);
	return scratch;
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
		if (!b || b->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
			continue; /* it has its bytes */
		if (b->late)
			put_late(cb, set, b, use->writable);
		else
			analyse_binding(cb, set, b, use->writable);
	}
}
