/* Can this GPU take a workload? The reasons are read by people behind the GPU's name: "it" is the GPU. */
#include "gpu/description.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "gpu/description_tables.h"
#include "proto/record.h"

struct verdict {
	const struct description *d;
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

/* Plain words for what programs use often. */
static const char *words_for_member(const char *name)
{
	static const struct {
		const char *member, *words;
	} table[] = {
		{ "storageBuffer16BitAccess", "16-bit storage" },
		{ "uniformAndStorageBuffer16BitAccess", "16-bit storage in uniform buffers" },
		{ "storagePushConstant16", "16-bit push constants" },
		{ "storageBuffer8BitAccess", "8-bit storage" },
		{ "uniformAndStorageBuffer8BitAccess", "8-bit storage in uniform buffers" },
		{ "storagePushConstant8", "8-bit push constants" },
		{ "shaderFloat16", "16-bit floats" },
		{ "shaderFloat64", "64-bit floats" },
		{ "shaderInt8", "8-bit integers" },
		{ "shaderInt16", "16-bit integers" },
		{ "shaderInt64", "64-bit integers" },
		{ "shaderBufferInt64Atomics", "64-bit atomics in buffers" },
		{ "shaderSharedInt64Atomics", "64-bit atomics in shared memory" },
		{ "shaderBufferFloat32AtomicAdd", "atomic additions of floats" },
		{ "shaderIntegerDotProduct", "integer dot products" },
		{ "subgroupSizeControl", "subgroups of a chosen size" },
		{ "computeFullSubgroups", "full subgroups" },
		{ "subgroupSupportedOperations", "subgroup operations" },
		{ "descriptorBindingPartiallyBound", "partially bound descriptors" },
		{ "runtimeDescriptorArray", "runtime descriptor arrays" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].member, name) == 0)
			return table[i].words;
	return NULL;
}

static const char *words_for_limit(const char *name)
{
	static const struct {
		const char *limit, *words;
	} table[] = {
		{ "maxComputeSharedMemorySize", "bytes of shared memory" },
		{ "maxComputeWorkGroupInvocations", "invocations in a work group" },
		{ "maxPushConstantsSize", "bytes of push constants" },
		{ "maxStorageBufferRange", "bytes in a storage buffer's range" },
		{ "maxUniformBufferRange", "bytes in a uniform buffer's range" },
		{ "maxTexelBufferElements", "elements in a texel buffer" },
		{ "maxBoundDescriptorSets", "bound descriptor sets" },
		{ "maxPerStageDescriptorStorageBuffers", "storage buffers in a shader" },
		{ "maxPerStageDescriptorUniformBuffers", "uniform buffers in a shader" },
		{ "maxPerStageResources", "resources in a shader" },
		{ "maxDescriptorSetStorageBuffersDynamic", "dynamic storage buffers in a layout" },
		{ "maxDescriptorSetUniformBuffersDynamic", "dynamic uniform buffers in a layout" },
		{ "maxPerSetDescriptors", "descriptors in a set" },
		{ "maxMemoryAllocationSize", "bytes in one allocation" },
		{ "maxBufferSize", "bytes in one buffer" },
		{ "maxMemoryAllocationCount", "allocations" },
		{ "maxComputeWorkgroupSubgroups", "subgroups in a work group" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].limit, name) == 0)
			return table[i].words;
	return NULL;
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

static int lacks_member(const struct verdict *v, const char *name)
{
	const char *words = words_for_member(name);
	return words != NULL ? lacks(v, "needs %s (%s), which it lacks", words, name)
			     : lacks(v, "needs %s, which it lacks", name);
}

static int covers_feature(const struct verdict *v, uint64_t type, uint64_t offset)
{
	for (size_t i = 0; i < description_member_count; i++) {
		const struct description_member *m = &description_members[i];
		if (m->type == type && m->offset == offset)
			return member_bits(v->d, m->name) != 0 ? 1 : lacks_member(v, m->name);
	}
	return lacks(v, "needs a feature that tbmesh does not know (struct %" PRIu64 ", offset %" PRIu64 ")", type, offset);
}

static int lacks_room(const struct verdict *v, const char *name, uint64_t wanted, uint64_t have)
{
	const char *words = words_for_limit(name);
	return words != NULL ? lacks(v, "needs %" PRIu64 " %s, it has %" PRIu64, wanted, words, have)
			     : lacks(v, "needs %s of at least %" PRIu64 ", it has %" PRIu64, name, wanted, have);
}

static int lacks_alignment(const struct verdict *v, uint64_t member, uint64_t offset, uint64_t have)
{
	const char *what = member == offsetof(VkPhysicalDeviceLimits, minStorageBufferOffsetAlignment) ? "storage buffer"
		: member == offsetof(VkPhysicalDeviceLimits, minUniformBufferOffsetAlignment)          ? "uniform buffer"
												       : "texel buffer";
	return lacks(v, "uses a %s at an offset of %" PRIu64 " bytes, its alignment is %" PRIu64, what, offset, have);
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
	return n->kind == NEED_LIMIT_ALIGN ? lacks_alignment(v, n->a, n->b, have) : lacks_room(v, name, n->b, have);
}

static int covers_property(const struct verdict *v, const struct gpu_need *n)
{
	for (size_t i = 0; i < description_common_count; i++) {
		const struct description_common *c = &description_commons[i];
		if (c->type != n->a || c->offset != n->b || c->rule != COMMON_LEAST ||
			(c->kind != COMMON_U32 && c->kind != COMMON_U64))
			continue;
		const char *s = description_struct(v->d, c->type, c->offset + c->size);
		uint64_t have = UINT64_MAX;
		uint32_t small;
		if (s != NULL && c->kind == COMMON_U64)
			memcpy(&have, s + c->offset, sizeof(have));
		if (s != NULL && c->kind == COMMON_U32) {
			memcpy(&small, s + c->offset, sizeof(small));
			have = small;
		}
		return have >= n->c ? 1 : lacks_room(v, c->name, n->c, have);
	}
	return lacks(v, "needs a limit that tbmesh does not know (struct %" PRIu64 ", offset %" PRIu64 ")", n->a, n->b);
}

static int covers_binding(const struct verdict *v, uint64_t offset)
{
	const struct description_buffer *b = description_find(v->d, DESCRIPTION_BUFFER, 0, NULL);
	return b != NULL && offset % b->alignment == 0
		? 1
		: lacks(v,
			  "has a buffer at an offset of %" PRIu64
			  " bytes in its memory, its alignment of buffers is %" PRIu64,
			  offset, b != NULL ? b->alignment : 0);
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
			return lacks_member(v, "subgroupSizeControl");
		return size >= control->minSubgroupSize && size <= control->maxSubgroupSize
			? 1
			: lacks(v, "needs subgroups of %" PRIu64 ", it has %u to %u", size, control->minSubgroupSize,
				  control->maxSubgroupSize);
	}
	if (own == NULL)
		return lacks(v, "needs subgroups of %" PRIu64 ", the size of its subgroups is not known", size);
	return own->subgroupSize == size ? 1
					 : lacks(v, "needs subgroups of %" PRIu64 ", its have %u", size, own->subgroupSize);
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
		return lacks(v, "needs SPIR-V's capability %" PRIu64 ", which tbmesh does not know", capability);
	const char *words = last->how == ENABLED_BY_MEMBER ? words_for_member(last->subject) : NULL;
	if (words != NULL)
		return lacks(v, "needs %s (SPIR-V's %s), which it lacks", words, last->name);
	return lacks(v, "needs SPIR-V's %s, which it lacks", last->name);
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
	return have >= bytes
		? 1
		: lacks(v, "needs %.1f GiB of memory, it has %.1f GiB", (double)bytes / (1 << 30), (double)have / (1 << 30));
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
				: lacks(v, "uses VkFormat %" PRIu64 " in a way that it lacks", n->a);
	return lacks(v, "uses VkFormat %" PRIu64 ", which it lacks", n->a);
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
			: lacks(v, "needs %s, which it lacks", n->text != NULL ? n->text : "an extension");
	case NEED_MEMORY:
		return covers_memory(v, n->a);
	case NEED_FORMAT:
		return covers_format(v, n);
	case NEED_PROPERTY:
		return covers_property(v, n);
	case NEED_BIND_ALIGN:
		return covers_binding(v, n->a);
	default: /* kinds come over the wire */
		return lacks(v, "has a need of kind %u, which tbmesh does not know", n->kind);
	}
}

int description_covers(const struct description *d, const struct gpu_need *needs, size_t count, char *why, size_t why_size)
{
	struct verdict v = { .d = d, .why = why, .why_size = why != NULL ? why_size : 0 };
	if (v.why_size > 0)
		why[0] = '\0';
	for (size_t i = 0; i < count; i++)
		if (!covers_need(&v, &needs[i]))
			return 0;
	return 1;
}
