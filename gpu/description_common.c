/* What several GPUs have in common: the offer of `tbmesh run --portable`. */
#include "gpu/description.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "gpu/description_tables.h"

static uint64_t narrow(uint64_t a, uint64_t b, enum description_rule rule)
{
	switch (rule) {
	case COMMON_BOTH:
		return a & b;
	case COMMON_LEAST:
		return a < b ? a : b;
	case COMMON_GREATEST:
		return a > b ? a : b;
	case COMMON_INDEPENDENCE:
		return a == b ? a : VK_SHADER_FLOAT_CONTROLS_INDEPENDENCE_NONE;
	case COMMON_RANGE: /* of floats alone */
		break;
	}
	return a;
}

static void narrow_float(char *a, const char *b, enum description_rule rule)
{
	float x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (rule == COMMON_GREATEST ? y > x : y < x)
		memcpy(a, b, sizeof(x));
}

/* a and b: the member of both devices; a becomes what both have. */
static void narrow_member(const struct description_common *c, char *a, const char *b)
{
	size_t width = c->kind == COMMON_U64 ? sizeof(uint64_t) : sizeof(uint32_t);
	if (c->rule == COMMON_RANGE) {
		narrow_float(a, b, COMMON_GREATEST);
		narrow_float(a + sizeof(float), b + sizeof(float), COMMON_LEAST);
		return;
	}
	for (size_t at = 0; at + width <= c->size; at += width) {
		uint64_t x64, y64;
		uint32_t x, y;
		int32_t sx, sy;
		switch (c->kind) {
		case COMMON_U64:
			memcpy(&x64, a + at, sizeof(x64));
			memcpy(&y64, b + at, sizeof(y64));
			x64 = narrow(x64, y64, c->rule);
			memcpy(a + at, &x64, sizeof(x64));
			break;
		case COMMON_U32:
			memcpy(&x, a + at, sizeof(x));
			memcpy(&y, b + at, sizeof(y));
			x = (uint32_t)narrow(x, y, c->rule);
			memcpy(a + at, &x, sizeof(x));
			break;
		case COMMON_I32:
			memcpy(&sx, a + at, sizeof(sx));
			memcpy(&sy, b + at, sizeof(sy));
			if (c->rule == COMMON_GREATEST ? sy > sx : sy < sx)
				memcpy(a + at, &sy, sizeof(sy));
			break;
		case COMMON_F32:
			narrow_float(a + at, b + at, c->rule);
			break;
		}
	}
}

/* The struct in `own`, narrowed to what `other` has. False: the other one has no such struct. */
static bool narrow_struct(char *own, size_t size, VkStructureType type, const struct description *other)
{
	const char *theirs = description_struct(other, type, size);
	if (!theirs)
		return false;
	if (type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2) {
		VkPhysicalDeviceProperties *a = &((VkPhysicalDeviceProperties2 *)(void *)own)->properties;
		const VkPhysicalDeviceProperties *b =
			&((const VkPhysicalDeviceProperties2 *)(const void *)theirs)->properties;
		if (b->apiVersion < a->apiVersion)
			a->apiVersion = b->apiVersion;
	}
	bool any = false;
	for (size_t i = 0; i < description_common_count; i++) {
		const struct description_common *c = &description_commons[i];
		if (c->type != type || c->offset + c->size > size)
			continue;
		narrow_member(c, own + c->offset, theirs + c->offset);
		any = true;
	}
	return any || type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES ||
		type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_POINT_CLIPPING_PROPERTIES ||
		type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES;
}

static size_t narrow_extensions(VkExtensionProperties *own, size_t count, const struct description *other)
{
	size_t kept = 0, size = 0;
	const VkExtensionProperties *theirs = description_find(other, DESCRIPTION_EXTENSIONS, 0, &size);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; theirs && k < size / sizeof(*theirs); k++) {
			if (strcmp(own[i].extensionName, theirs[k].extensionName) != 0)
				continue;
			VkExtensionProperties both = own[i];
			if (theirs[k].specVersion < both.specVersion)
				both.specVersion = theirs[k].specVersion;
			own[kept++] = both;
			break;
		}
	return kept;
}

static void narrow_formats(struct description_format *own, size_t count, const struct description *other)
{
	size_t size = 0;
	const struct description_format *theirs = description_find(other, DESCRIPTION_FORMATS, 0, &size);
	for (size_t i = 0; i < count; i++) {
		VkFormatProperties has = { 0 };
		for (size_t k = 0; theirs && k < size / sizeof(*theirs); k++)
			if (theirs[k].format == own[i].format)
				has = theirs[k].properties;
		own[i].properties.linearTilingFeatures &= has.linearTilingFeatures;
		own[i].properties.optimalTilingFeatures &= has.optimalTilingFeatures;
		own[i].properties.bufferFeatures &= has.bufferFeatures;
	}
}

static uint64_t largest_heap(const VkPhysicalDeviceMemoryProperties *m)
{
	uint64_t local = 0, any = 0;
	for (uint32_t i = 0; i < m->memoryHeapCount; i++) {
		uint64_t size = m->memoryHeaps[i].size;
		any = size > any ? size : any;
		if ((m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && size > local)
			local = size;
	}
	return local ? local : any;
}

static void narrow_memory(VkPhysicalDeviceMemoryProperties *own, const struct description *other)
{
	const VkPhysicalDeviceMemoryProperties *theirs = description_find(other, DESCRIPTION_MEMORY, 0, NULL);
	uint64_t size = theirs ? largest_heap(theirs) : 0;
	for (uint32_t i = 0; i < own->memoryHeapCount; i++)
		if (own->memoryHeaps[i].size > size)
			own->memoryHeaps[i].size = size;
}

static void narrow_buffer(struct description_buffer *own, const struct description *other)
{
	const struct description_buffer *theirs = description_find(other, DESCRIPTION_BUFFER, 0, NULL);
	if (theirs && theirs->alignment > own->alignment)
		own->alignment = theirs->alignment;
	if (theirs && theirs->size_granularity > own->size_granularity)
		own->size_granularity = theirs->size_granularity;
}

static void narrow_queue(VkQueueFamilyProperties *own, const struct description *other)
{
	const VkQueueFamilyProperties *theirs = description_find(other, DESCRIPTION_QUEUE, 0, NULL);
	if (!theirs)
		return;
	own->queueFlags &= theirs->queueFlags;
	if (theirs->timestampValidBits < own->timestampValidBits)
		own->timestampValidBits = theirs->timestampValidBits;
}

/* Narrows one entry's payload; returns its size then, or -1 when it is not part of what they share. */
static int64_t narrow_entry(const struct description_entry *e, char *payload, const struct description *other)
{
	size_t size = e->size;
	switch (e->kind) {
	case DESCRIPTION_STRUCT:
		return narrow_struct(payload, size, (VkStructureType)e->tag, other) ? (int64_t)size : -1;
	case DESCRIPTION_EXTENSIONS:
		return (int64_t)(sizeof(VkExtensionProperties) *
			narrow_extensions((void *)payload, size / sizeof(VkExtensionProperties), other));
	case DESCRIPTION_FORMATS:
		narrow_formats((void *)payload, size / sizeof(struct description_format), other);
		return (int64_t)size;
	case DESCRIPTION_QUEUE:
		narrow_queue((void *)payload, other);
		return (int64_t)size;
	case DESCRIPTION_MEMORY:
		narrow_memory((void *)payload, other);
		return (int64_t)size;
	case DESCRIPTION_BUFFER:
		narrow_buffer((void *)payload, other);
		return (int64_t)size;
	case DESCRIPTION_TEXT:
		return (int64_t)size;
	default:
		return -1; /* of a newer peer: nobody here can tell what they share of it */
	}
}

static uint32_t subgroup_size(const struct description *d)
{
	const VkPhysicalDeviceSubgroupProperties *s =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*s));
	return s ? s->subgroupSize : 0;
}

/* Results depend on the size of subgroups: without one size there are no operations, else the program is tied to the GPUs of one. */
static void drop_subgroups(VkStructureType type, void *s)
{
	switch ((int)type) {
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES: {
		VkPhysicalDeviceSubgroupProperties *p = s;
		p->supportedOperations = 0;
		p->quadOperationsInAllStages = VK_FALSE;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES: {
		VkPhysicalDeviceVulkan11Properties *p = s;
		p->subgroupSupportedOperations = 0;
		p->subgroupQuadOperationsInAllStages = VK_FALSE;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES:
		((VkPhysicalDeviceSubgroupSizeControlProperties *)s)->requiredSubgroupSizeStages = 0;
		return;
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES: {
		VkPhysicalDeviceSubgroupSizeControlFeatures *f = s;
		f->subgroupSizeControl = f->computeFullSubgroups = VK_FALSE;
		return;
	}
	case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
		VkPhysicalDeviceVulkan13Features *f = s;
		f->subgroupSizeControl = f->computeFullSubgroups = VK_FALSE;
		return;
	}
	}
}

static int append_common(struct buf *out, const struct description_entry *e, const struct description *const *all,
	size_t count, bool same_subgroups, uint32_t *ret_entries)
{
	struct buf payload = { 0 };
	struct description_entry entry = *e;
	buf_append(&payload, e + 1, e->size);
	if (payload.failed) {
		buf_finish(&payload);
		return -ENOMEM;
	}
	int64_t size = e->size;
	for (size_t i = 1; i < count && size >= 0; i++) {
		entry.size = (uint32_t)size;
		size = narrow_entry(&entry, (char *)payload.data, all[i]);
	}
	if (size >= 0) {
		if (!same_subgroups && entry.kind == DESCRIPTION_STRUCT)
			drop_subgroups((VkStructureType)entry.tag, payload.data);
		entry.size = (uint32_t)size;
		buf_append(out, &entry, sizeof(entry));
		buf_append(out, payload.data, (size_t)size);
		buf_align(out, 8);
		(*ret_entries)++;
	}
	buf_finish(&payload);
	return out->failed ? -ENOMEM : 0;
}

int description_in_common(struct buf *out, const struct description *const *all, size_t count)
{
	struct description_header header;
	size_t start = out->size;
	uint32_t entries = 0;
	bool same = true;
	for (size_t i = 1; i < count; i++)
		same &= subgroup_size(all[i]) == subgroup_size(all[0]);
	memcpy(&header, all[0]->bytes, sizeof(header));
	buf_append(out, &header, sizeof(header));
	for (size_t at = sizeof(header), n = 0; n < header.entry_count; n++) {
		const struct description_entry *e = (const void *)(all[0]->bytes + at);
		int error = append_common(out, e, all, count, same, &entries);
		if (error < 0)
			return error;
		at += sizeof(*e) + (((size_t)e->size + 7) & ~(size_t)7);
	}
	header.entry_count = entries;
	header.size = (uint32_t)(out->size - start);
	memcpy(out->data + start, &header, sizeof(header));
	struct description check;
	int error = description_parse(&check, out->data + start, header.size);
	if (error == 0)
		description_finish(&check);
	return error;
}
