/* Can this GPU take a workload? */
#include "gpu/description.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gpu/description_tables.h"
#include "proto/record.h"

struct verdict {
	const struct description *d;
	const char *device; /* its name */
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int lacks(const struct verdict *v, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	if (v->why_size > 0)
		vsnprintf(v->why, v->why_size, format, arguments);
	va_end(arguments);
	return 0;
}

static const char *device_name(const struct description *d)
{
	const VkPhysicalDeviceProperties2 *p =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(*p));
	return p != NULL ? p->properties.deviceName : "this GPU";
}

static const VkPhysicalDeviceLimits *limits_of(const struct description *d)
{
	const VkPhysicalDeviceProperties2 *p =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(*p));
	return p != NULL ? &p->properties.limits : NULL;
}

/* Bits that the device has of a boolean (1) or flags member, in any struct that has one of that name: a feature may have been
 * asked for in Vulkan's own struct, and be there in an extension's. */
static uint32_t member_bits(const struct description *d, const char *name)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < description_member_count; i++) {
		const struct description_member *m = &description_members[i];
		if (strcmp(m->name, name) != 0)
			continue;
		const char *s = description_struct(d, m->type, m->offset + sizeof(uint32_t));
		uint32_t value = 0;
		if (s != NULL)
			memcpy(&value, s + m->offset, sizeof(value));
		bits |= value;
	}
	return bits;
}

static bool has_extension(const struct description *d, const char *name)
{
	size_t size;
	const VkExtensionProperties *e = description_find(d, DESCRIPTION_EXTENSIONS, 0, &size);
	for (size_t i = 0; e != NULL && i < size / sizeof(*e); i++)
		if (strcmp(e[i].extensionName, name) == 0)
			return true;
	return false;
}

static int covers_feature(const struct verdict *v, uint64_t type, uint64_t offset)
{
	for (size_t i = 0; i < description_member_count; i++) {
		const struct description_member *m = &description_members[i];
		if (m->type == type && m->offset == offset)
			return member_bits(v->d, m->name) != 0 ? 1
							       : lacks(v, "needs %s, which %s lacks", m->name, v->device);
	}
	return lacks(v, "needs a feature that tbmesh does not know (struct %" PRIu64 ", offset %" PRIu64 ")", type, offset);
}

/* "maxComputeWorkGroupSize[1]" and the like. The table ascends. */
static void limit_name(uint64_t offset, char *out, size_t size)
{
	const struct description_limit *l = &description_limits[0];
	for (size_t i = 0; i < description_limit_count && description_limits[i].offset <= offset; i++)
		l = &description_limits[i];
	if (l->offset == offset)
		snprintf(out, size, "%s", l->name);
	else
		snprintf(out, size, "%s[%u]", l->name, (unsigned)((offset - l->offset) / sizeof(uint32_t)));
}

static int covers_limit(const struct verdict *v, const struct gpu_need *n)
{
	const VkPhysicalDeviceLimits *limits = limits_of(v->d);
	size_t size = n->kind == NEED_LIMIT_MIN ? sizeof(uint32_t) : sizeof(VkDeviceSize);
	uint64_t have = 0;
	if (limits == NULL || n->a > sizeof(*limits) - size)
		return lacks(v, "needs a limit that tbmesh does not know (offset %" PRIu64 ")", n->a);
	if (size == sizeof(uint32_t)) {
		uint32_t narrow;
		memcpy(&narrow, (const char *)limits + n->a, sizeof(narrow));
		have = narrow;
	} else {
		memcpy(&have, (const char *)limits + n->a, sizeof(have));
	}
	bool fits = n->kind == NEED_LIMIT_ALIGN ? have != 0 && n->b % have == 0 : have >= n->b;
	if (fits)
		return 1;
	char name[64];
	limit_name(n->a, name, sizeof(name));
	return n->kind == NEED_LIMIT_ALIGN
		? lacks(v, "needs %s to divide %" PRIu64 ", but on %s it is %" PRIu64, name, n->b, v->device, have)
		: lacks(v, "needs %s of at least %" PRIu64 ", %s has %" PRIu64, name, n->b, v->device, have);
}

static int covers_subgroup_size(const struct verdict *v, uint64_t size, bool is_asked_for)
{
	const VkPhysicalDeviceSubgroupProperties *own =
		description_struct(v->d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*own));
	const VkPhysicalDeviceSubgroupSizeControlProperties *control = description_struct(
		v->d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES, sizeof(*control));
	if (is_asked_for) {
		if (control == NULL || member_bits(v->d, "subgroupSizeControl") == 0 ||
			!(control->requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT))
			return lacks(v, "needs subgroupSizeControl, which %s lacks", v->device);
		return size >= control->minSubgroupSize && size <= control->maxSubgroupSize
			? 1
			: lacks(v, "needs a subgroup size of %" PRIu64 ", %s has %u to %u", size, v->device,
				  control->minSubgroupSize, control->maxSubgroupSize);
	}
	if (own == NULL)
		return lacks(v, "needs a subgroup size of %" PRIu64 ", that of %s is not known", size, v->device);
	return own->subgroupSize == size
		? 1
		: lacks(v, "needs a subgroup size of %" PRIu64 ", %s has %u", size, v->device, own->subgroupSize);
}

static bool capability_enabled(const struct description *d, const struct description_capability *c)
{
	const VkPhysicalDeviceProperties2 *p =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(*p));
	switch (c->how) {
	case ENABLED_BY_VERSION:
		return p != NULL && p->properties.apiVersion >= c->value;
	case ENABLED_BY_EXTENSION:
		return has_extension(d, c->subject);
	case ENABLED_BY_MEMBER:
		return (member_bits(d, c->subject) & c->value) != 0;
	}
	return false;
}

static int covers_capability(const struct verdict *v, uint64_t capability)
{
	const struct description_capability *last = NULL;
	for (size_t i = 0; i < description_capability_count; i++) {
		const struct description_capability *c = &description_capabilities[i];
		if (c->capability != capability)
			continue;
		if (capability_enabled(v->d, c))
			return 1;
		last = c;
	}
	if (last == NULL)
		return lacks(v, "needs SPIR-V capability %" PRIu64 ", which tbmesh does not know", capability);
	if (last->how == ENABLED_BY_MEMBER)
		return lacks(v, "needs SPIR-V capability %s (%s), which %s lacks", last->name, last->subject, v->device);
	return lacks(v, "needs SPIR-V capability %s, which %s lacks", last->name, v->device);
}

/* All that the program allocates is put in one heap: the largest that is the device's own, or else the largest. */
static int covers_memory(const struct verdict *v, uint64_t bytes)
{
	const VkPhysicalDeviceMemoryProperties *m = description_find(v->d, DESCRIPTION_MEMORY, 0, NULL);
	uint64_t own = 0, any = 0;
	for (uint32_t i = 0; m != NULL && i < m->memoryHeapCount; i++) {
		uint64_t size = m->memoryHeaps[i].size;
		any = size > any ? size : any;
		if ((m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && size > own)
			own = size;
	}
	uint64_t have = own != 0 ? own : any;
	return have >= bytes ? 1
			     : lacks(v, "needs %.1f GiB of memory, %s has %.1f GiB", (double)bytes / (1 << 30), v->device,
				       (double)have / (1 << 30));
}

static int covers_format(const struct verdict *v, const struct gpu_need *n)
{
	size_t size;
	const struct description_format *f = description_find(v->d, DESCRIPTION_FORMATS, 0, &size);
	for (size_t i = 0; f != NULL && i < size / sizeof(*f); i++)
		if (f[i].format == n->a)
			return (f[i].properties.bufferFeatures & n->b) == n->b &&
					(f[i].properties.optimalTilingFeatures & n->c) == n->c
				? 1
				: lacks(v, "uses VkFormat %" PRIu64 " in a way that %s lacks", n->a, v->device);
	return lacks(v, "uses VkFormat %" PRIu64 ", which %s lacks", n->a, v->device);
}

static int covers_need(const struct verdict *v, const struct gpu_need *n)
{
	switch (n->kind) {
	case NEED_FEATURE:
		return covers_feature(v, n->a, n->b);
	case NEED_LIMIT_MIN:
	case NEED_LIMIT_MIN64:
	case NEED_LIMIT_ALIGN:
		return covers_limit(v, n);
	case NEED_SUBGROUP_SIZE:
		return covers_subgroup_size(v, n->a, n->b != 0);
	case NEED_SPIRV_CAPABILITY:
		return covers_capability(v, n->a);
	case NEED_EXTENSION:
		return n->text != NULL && has_extension(v->d, n->text)
			? 1
			: lacks(v, "needs %s, which %s lacks", n->text != NULL ? n->text : "an extension", v->device);
	case NEED_MEMORY:
		return covers_memory(v, n->a);
	case NEED_FORMAT:
		return covers_format(v, n);
	default: /* kinds come over the wire */
		return lacks(v, "has a need of kind %u, which tbmesh does not know", n->kind);
	}
}

int description_covers(const struct description *d, const struct gpu_need *needs, size_t count, char *why, size_t why_size)
{
	struct verdict v = { .d = d, .device = device_name(d), .why = why, .why_size = why != NULL ? why_size : 0 };
	if (v.why_size > 0)
		why[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (!covers_need(&v, &needs[i]))
			return 0;
	return 1;
}
