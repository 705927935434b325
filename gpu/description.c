#include "gpu/description.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/description_tables.h"

#define BASE_SIZE sizeof(VkBaseOutStructure) /* sType and pNext */

static const struct description_known *known_struct(uint32_t type)
{
	for (size_t i = 0; i < description_known_count; i++)
		if ((uint32_t)description_known[i].type == type)
			return &description_known[i];
	return NULL;
}

/* Walks the entries. at: offset of the next one, starts at sizeof(header); only for bytes that check_entries has passed. */
static const struct description_entry *next_entry(const struct description *d, size_t *at)
{
	if (*at >= d->size)
		return NULL;
	const struct description_entry *e = (const void *)(d->bytes + *at);
	*at += sizeof(*e) + (((size_t)e->size + 7) & ~(size_t)7);
	return e;
}

const void *description_find(const struct description *d, enum description_kind kind, uint32_t tag, size_t *ret_size)
{
	const struct description_entry *e;
	for (size_t at = sizeof(struct description_header); (e = next_entry(d, &at)) != NULL;) {
		if (e->kind != (uint32_t)kind || e->tag != tag)
			continue;
		if (ret_size != NULL)
			*ret_size = e->size;
		return e + 1;
	}
	return NULL;
}

const void *description_struct(const struct description *d, VkStructureType type, size_t size)
{
	size_t have;
	const void *s = description_find(d, DESCRIPTION_STRUCT, (uint32_t)type, &have);
	return s != NULL && have >= size ? s : NULL;
}

/* Parsing */

static bool power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static bool terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool check_struct(const struct description_entry *e, const void *payload)
{
	VkBaseOutStructure base;
	const struct description_known *known = known_struct(e->tag);
	if (e->size < BASE_SIZE)
		return false;
	memcpy(&base, payload, sizeof(base));
	if ((uint32_t)base.sType != e->tag || base.pNext != NULL)
		return false;
	if (known == NULL)
		return true; /* of a newer peer: carried, not looked at */
	if (e->size != known->size)
		return false;
	if (known->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2) {
		const VkPhysicalDeviceProperties2 *p = payload;
		return terminated(p->properties.deviceName, sizeof(p->properties.deviceName));
	}
	if (known->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES) {
		const VkPhysicalDeviceDriverProperties *p = payload;
		return terminated(p->driverName, sizeof(p->driverName)) && terminated(p->driverInfo, sizeof(p->driverInfo));
	}
	if (known->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES) {
		const VkPhysicalDeviceVulkan12Properties *p = payload;
		return terminated(p->driverName, sizeof(p->driverName)) && terminated(p->driverInfo, sizeof(p->driverInfo));
	}
	return true;
}

static bool check_extensions(const VkExtensionProperties *e, size_t size)
{
	if (size % sizeof(*e) != 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*e); i++)
		if (!terminated(e[i].extensionName, sizeof(e[i].extensionName)))
			return false;
	return true;
}

static bool check_memory(const VkPhysicalDeviceMemoryProperties *m, size_t size)
{
	if (size != sizeof(*m) || m->memoryTypeCount > VK_MAX_MEMORY_TYPES || m->memoryHeapCount > VK_MAX_MEMORY_HEAPS)
		return false;
	for (uint32_t i = 0; i < m->memoryTypeCount; i++)
		if (m->memoryTypes[i].heapIndex >= m->memoryHeapCount)
			return false;
	return true;
}

static bool check_payload(const struct description_entry *e, const void *payload)
{
	const struct description_buffer *buffer = payload;
	switch (e->kind) {
	case DESCRIPTION_STRUCT:
		return check_struct(e, payload);
	case DESCRIPTION_EXTENSIONS:
		return check_extensions(payload, e->size);
	case DESCRIPTION_FORMATS:
		return e->size % sizeof(struct description_format) == 0;
	case DESCRIPTION_IMAGES:
		return e->size % sizeof(struct description_image) == 0;
	case DESCRIPTION_QUEUE:
		return e->size == sizeof(VkQueueFamilyProperties);
	case DESCRIPTION_MEMORY:
		return check_memory(payload, e->size);
	case DESCRIPTION_BUFFER:
		return e->size == sizeof(*buffer) && power_of_two(buffer->alignment) &&
			power_of_two(buffer->size_granularity);
	case DESCRIPTION_TEXT:
		return memchr(payload, '\0', e->size) == NULL;
	default:
		return true; /* of a newer peer */
	}
}

static bool check_entries(const unsigned char *bytes, size_t size)
{
	struct description_header header;
	if (size < sizeof(header) || size > DESCRIPTION_MAX_BYTES)
		return false;
	memcpy(&header, bytes, sizeof(header));
	if (header.magic != DESCRIPTION_MAGIC || header.version != 1 || header.size != size)
		return false;
	size_t at = sizeof(header);
	for (uint32_t i = 0; i < header.entry_count; i++) {
		const struct description_entry *e = (const void *)(bytes + at);
		if (size - at < sizeof(*e) || e->size > size - at - sizeof(*e))
			return false;
		size_t padded = ((size_t)e->size + 7) & ~(size_t)7;
		if (padded > size - at - sizeof(*e) || !check_payload(e, e + 1))
			return false;
		at += sizeof(*e) + padded;
	}
	return at == size;
}

int description_parse(struct description *d, const void *bytes, size_t size)
{
	if (size > DESCRIPTION_MAX_BYTES)
		return -EBADMSG;
	unsigned char *copy = malloc(size + 1); /* aligned for every struct, and never of size 0 */
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, bytes, size);
	if (!check_entries(copy, size)) {
		free(copy);
		return -EBADMSG;
	}
	*d = (struct description){ .bytes = copy, .size = size };
	return 0;
}

void description_finish(struct description *d)
{
	free(d->bytes);
	*d = (struct description){ 0 };
}

int description_with_text(struct buf *out, const void *bytes, size_t size, enum description_text tag, const char *text)
{
	struct description_header header;
	size_t start = out->size, length = strlen(text);
	if (!check_entries(bytes, size))
		return -EBADMSG;
	const struct description_entry entry = { .kind = DESCRIPTION_TEXT, .tag = (uint32_t)tag, .size = (uint32_t)length };
	buf_append(out, bytes, size);
	buf_append(out, &entry, sizeof(entry));
	buf_append(out, text, length);
	buf_align(out, 8);
	if (out->failed)
		return -ENOMEM;
	memcpy(&header, out->data + start, sizeof(header));
	header.size = (uint32_t)(out->size - start);
	header.entry_count++;
	memcpy(out->data + start, &header, sizeof(header));
	return 0;
}

void description_fill_chain(const struct description *d, void *chain)
{
	for (VkBaseOutStructure *s = chain; s != NULL; s = s->pNext) {
		const struct description_known *known = known_struct((uint32_t)s->sType);
		const char *stored = known != NULL ? description_struct(d, s->sType, known->size) : NULL;
		if (stored != NULL)
			memcpy((char *)s + BASE_SIZE, stored + BASE_SIZE, known->size - BASE_SIZE);
	}
}
