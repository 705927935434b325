/* What the workload uses of its GPU, told in NEED records: placement looks for GPUs that have it. */
#include "migrate/icd/stream.h"

#include <stdlib.h>
#include <string.h>

struct told {
	enum need_kind kind;
	uint64_t a, b, c;
	const char *text; /* static: the same pointer is the same text */
};

struct icd_needs {
	_Atomic uint64_t limits[ICD_LIMIT_ENUM_COUNT]; /* as told; of an alignment 0 is none */
	_Atomic bool extensions[ICD_EXTENSION_COUNT];  /* told */
	/* under the device's mutex */
	struct buf told; /* struct told[] */
};

#define MIN(member)                                                                                                         \
	{                                                                                                                   \
		.kind = NEED_LIMIT_MIN, .offset = offsetof(VkPhysicalDeviceLimits, member)                                  \
	}
#define ALIGN(member)                                                                                                       \
	{                                                                                                                   \
		.kind = NEED_LIMIT_ALIGN, .offset = offsetof(VkPhysicalDeviceLimits, member)                                \
	}
#define PROPERTY(stype, s, member)                                                                                          \
	{                                                                                                                   \
		NEED_PROPERTY, offsetof(VkPhysicalDevice##s, member), VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##stype,            \
			sizeof(((VkPhysicalDevice##s *)0)->member)                                                          \
	}
static const struct {
	enum need_kind kind;
	uint32_t offset;
	VkStructureType type; /* of a property's struct */
	uint32_t size;        /* of a property */
} limits[ICD_LIMIT_ENUM_COUNT] = {
	[ICD_LIMIT_PUSH_CONSTANTS] = MIN(maxPushConstantsSize),
	[ICD_LIMIT_BOUND_SETS] = MIN(maxBoundDescriptorSets),
	[ICD_LIMIT_UNIFORM_RANGE] = MIN(maxUniformBufferRange),
	[ICD_LIMIT_STORAGE_RANGE] = MIN(maxStorageBufferRange),
	[ICD_LIMIT_TEXEL_ELEMENTS] = MIN(maxTexelBufferElements),
	[ICD_LIMIT_STAGE_UNIFORM] = MIN(maxPerStageDescriptorUniformBuffers),
	[ICD_LIMIT_STAGE_STORAGE] = MIN(maxPerStageDescriptorStorageBuffers),
	[ICD_LIMIT_STAGE_SAMPLED] = MIN(maxPerStageDescriptorSampledImages),
	[ICD_LIMIT_STAGE_IMAGES] = MIN(maxPerStageDescriptorStorageImages),
	[ICD_LIMIT_STAGE_SAMPLERS] = MIN(maxPerStageDescriptorSamplers),
	[ICD_LIMIT_STAGE_RESOURCES] = MIN(maxPerStageResources),
	[ICD_LIMIT_IMAGE_1D] = MIN(maxImageDimension1D),
	[ICD_LIMIT_IMAGE_2D] = MIN(maxImageDimension2D),
	[ICD_LIMIT_IMAGE_3D] = MIN(maxImageDimension3D),
	[ICD_LIMIT_IMAGE_CUBE] = MIN(maxImageDimensionCube),
	[ICD_LIMIT_IMAGE_LAYERS] = MIN(maxImageArrayLayers),
	[ICD_LIMIT_SHARED_MEMORY] = MIN(maxComputeSharedMemorySize),
	[ICD_LIMIT_INVOCATIONS] = MIN(maxComputeWorkGroupInvocations),
	[ICD_LIMIT_SIZE_X] = MIN(maxComputeWorkGroupSize[0]),
	[ICD_LIMIT_SIZE_Y] = MIN(maxComputeWorkGroupSize[1]),
	[ICD_LIMIT_SIZE_Z] = MIN(maxComputeWorkGroupSize[2]),
	[ICD_LIMIT_COUNT_X] = MIN(maxComputeWorkGroupCount[0]),
	[ICD_LIMIT_COUNT_Y] = MIN(maxComputeWorkGroupCount[1]),
	[ICD_LIMIT_COUNT_Z] = MIN(maxComputeWorkGroupCount[2]),
	[ICD_LIMIT_UNIFORM_ALIGN] = ALIGN(minUniformBufferOffsetAlignment),
	[ICD_LIMIT_STORAGE_ALIGN] = ALIGN(minStorageBufferOffsetAlignment),
	[ICD_LIMIT_TEXEL_ALIGN] = ALIGN(minTexelBufferOffsetAlignment),
	[ICD_LIMIT_FRAMEBUFFER_WIDTH] = MIN(maxFramebufferWidth),
	[ICD_LIMIT_FRAMEBUFFER_HEIGHT] = MIN(maxFramebufferHeight),
	[ICD_LIMIT_FRAMEBUFFER_LAYERS] = MIN(maxFramebufferLayers),
	[ICD_LIMIT_COLOR_ATTACHMENTS] = MIN(maxColorAttachments),
	[ICD_LIMIT_VERTEX_BINDINGS] = MIN(maxVertexInputBindings),
	[ICD_LIMIT_VERTEX_ATTRIBUTES] = MIN(maxVertexInputAttributes),
	[ICD_LIMIT_TIMESTAMPS] = MIN(timestampComputeAndGraphics),
	[ICD_LIMIT_SET_UNIFORM] = MIN(maxDescriptorSetUniformBuffers),
	[ICD_LIMIT_SET_UNIFORM_DYNAMIC] = MIN(maxDescriptorSetUniformBuffersDynamic),
	[ICD_LIMIT_SET_STORAGE] = MIN(maxDescriptorSetStorageBuffers),
	[ICD_LIMIT_SET_STORAGE_DYNAMIC] = MIN(maxDescriptorSetStorageBuffersDynamic),
	[ICD_LIMIT_SET_SAMPLED] = MIN(maxDescriptorSetSampledImages),
	[ICD_LIMIT_SET_IMAGES] = MIN(maxDescriptorSetStorageImages),
	[ICD_LIMIT_ALLOCATIONS] = MIN(maxMemoryAllocationCount),
	[ICD_LIMIT_ALLOCATION_SIZE] = PROPERTY(MAINTENANCE_3_PROPERTIES, Maintenance3Properties, maxMemoryAllocationSize),
	[ICD_LIMIT_BUFFER_SIZE] = PROPERTY(MAINTENANCE_4_PROPERTIES, Maintenance4Properties, maxBufferSize),
	[ICD_LIMIT_SET_DESCRIPTORS] = PROPERTY(MAINTENANCE_3_PROPERTIES, Maintenance3Properties, maxPerSetDescriptors),
	[ICD_LIMIT_PUSH_DESCRIPTORS] =
		PROPERTY(PUSH_DESCRIPTOR_PROPERTIES_KHR, PushDescriptorPropertiesKHR, maxPushDescriptors),
	[ICD_LIMIT_WORKGROUP_SUBGROUPS] =
		PROPERTY(SUBGROUP_SIZE_CONTROL_PROPERTIES, SubgroupSizeControlProperties, maxComputeWorkgroupSubgroups),
	[ICD_LIMIT_INLINE_BYTES] =
		PROPERTY(INLINE_UNIFORM_BLOCK_PROPERTIES, InlineUniformBlockProperties, maxInlineUniformBlockSize),
	[ICD_LIMIT_STAGE_INLINE] = PROPERTY(
		INLINE_UNIFORM_BLOCK_PROPERTIES, InlineUniformBlockProperties, maxPerStageDescriptorInlineUniformBlocks),
	[ICD_LIMIT_SET_INLINE] =
		PROPERTY(INLINE_UNIFORM_BLOCK_PROPERTIES, InlineUniformBlockProperties, maxDescriptorSetInlineUniformBlocks),
	[ICD_LIMIT_LATE_STAGE_UNIFORM] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageDescriptorUpdateAfterBindUniformBuffers),
	[ICD_LIMIT_LATE_STAGE_STORAGE] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageDescriptorUpdateAfterBindStorageBuffers),
	[ICD_LIMIT_LATE_STAGE_SAMPLED] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageDescriptorUpdateAfterBindSampledImages),
	[ICD_LIMIT_LATE_STAGE_IMAGES] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageDescriptorUpdateAfterBindStorageImages),
	[ICD_LIMIT_LATE_STAGE_SAMPLERS] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageDescriptorUpdateAfterBindSamplers),
	[ICD_LIMIT_LATE_STAGE_RESOURCES] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxPerStageUpdateAfterBindResources),
	[ICD_LIMIT_LATE_SET_UNIFORM] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindUniformBuffers),
	[ICD_LIMIT_LATE_SET_UNIFORM_DYNAMIC] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindUniformBuffersDynamic),
	[ICD_LIMIT_LATE_SET_STORAGE] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindStorageBuffers),
	[ICD_LIMIT_LATE_SET_STORAGE_DYNAMIC] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindStorageBuffersDynamic),
	[ICD_LIMIT_LATE_SET_SAMPLED] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindSampledImages),
	[ICD_LIMIT_LATE_SET_IMAGES] =
		PROPERTY(VULKAN_1_2_PROPERTIES, Vulkan12Properties, maxDescriptorSetUpdateAfterBindStorageImages),
	[ICD_LIMIT_LATE_STAGE_INLINE] = PROPERTY(INLINE_UNIFORM_BLOCK_PROPERTIES, InlineUniformBlockProperties,
		maxPerStageDescriptorUpdateAfterBindInlineUniformBlocks),
	[ICD_LIMIT_LATE_SET_INLINE] = PROPERTY(INLINE_UNIFORM_BLOCK_PROPERTIES, InlineUniformBlockProperties,
		maxDescriptorSetUpdateAfterBindInlineUniformBlocks),
	[ICD_LIMIT_VIEWS] = PROPERTY(VULKAN_1_1_PROPERTIES, Vulkan11Properties, maxMultiviewViewCount),
	[ICD_LIMIT_BIND_ALIGN] = { .kind = NEED_BIND_ALIGN },
};

struct icd_needs *icd_needs_create(void)
{
	return calloc(1, sizeof(struct icd_needs));
}

void icd_needs_destroy(struct icd_needs *n)
{
	if (n)
		buf_finish(&n->told);
	free(n);
}

static void tell(
	struct icd_device *d, enum need_kind kind, uint32_t index, uint64_t a, uint64_t b, uint64_t c, const char *text)
{
	struct record_need need = { .kind = kind, .text_size = text ? (uint32_t)strlen(text) : 0, .a = a, .b = b, .c = c };
	struct record_header head = { .kind = RECORD_NEED, .key = (uint64_t)kind << 32 | index };
	struct iovec parts[] = { { &need, sizeof(need) }, { (void *)(uintptr_t)text, need.text_size } };
	icd_append(d, &head, NULL, parts, ARRAY_SIZE(parts));
}

/* What the driver grants beyond its own word, another one with the same word may grant as well. */
static uint64_t at_most_offered(const struct icd_device *d, enum icd_limit limit, uint64_t value)
{
	uint32_t offset = limits[limit].offset, size = limits[limit].size, small = 0;
	const char *s = description_struct(&d->physical->description, limits[limit].type, offset + size);
	uint64_t offered = UINT64_MAX;
	if (s && size == sizeof(offered))
		memcpy(&offered, s + offset, size);
	else if (s && size == sizeof(small)) {
		memcpy(&small, s + offset, size);
		offered = small;
	}
	return value < offered ? value : offered;
}

static void tell_limit(struct icd_device *d, enum icd_limit limit, uint64_t value)
{
	uint32_t offset = limits[limit].offset;
	switch ((int)limits[limit].kind) {
	case NEED_PROPERTY:
		tell(d, NEED_PROPERTY, (uint32_t)limit, (uint64_t)limits[limit].type, offset, value, NULL);
		return;
	case NEED_BIND_ALIGN:
		tell(d, NEED_BIND_ALIGN, 0, value, 0, 0, NULL);
		return;
	}
	tell(d, limits[limit].kind, offset, offset, value, 0, NULL);
}

void icd_need_limit(struct icd_device *d, enum icd_limit limit, uint64_t value)
{
	_Atomic uint64_t *told = &d->needs->limits[limit];
	uint64_t before = atomic_load_explicit(told, memory_order_relaxed);
	bool align = limits[limit].kind == NEED_LIMIT_ALIGN || limits[limit].kind == NEED_BIND_ALIGN;
	if (value == 0)
		return; /* offset 0 suits every alignment */
	if (align)
		value &= -value;
	if (align ? before && value >= before : value <= before)
		return;
	if (limits[limit].kind == NEED_PROPERTY)
		value = at_most_offered(d, limit, value);
	pthread_mutex_lock(&d->mutex);
	before = atomic_load_explicit(told, memory_order_relaxed);
	if (align ? !before || value < before : value > before) {
		atomic_store_explicit(told, value, memory_order_relaxed);
		tell_limit(d, limit, value);
	}
	pthread_mutex_unlock(&d->mutex);
}

/* Takes n into what was told of the same thing. 0: another thing; 1: nothing new; 2: known now needs more. */
static int take(struct told *known, const struct told *n)
{
	const struct told before = *known;
	if (known->kind != n->kind || (n->kind != NEED_MEMORY && known->a != n->a) || known->text != n->text)
		return 0;
	switch ((int)n->kind) {
	case NEED_MEMORY: /* one for all */
		known->a = n->a > known->a ? n->a : known->a;
		return known->a != before.a ? 2 : 1;
	case NEED_FORMAT: /* one a format */
		known->b |= n->b;
		known->c |= n->c;
		return known->b != before.b || known->c != before.c ? 2 : 1;
	}
	return known->b == n->b && known->c == n->c;
}

/* What is told has its place among `told` as its key. */
static void tell_once(struct icd_device *d, const struct told *need)
{
	pthread_mutex_lock(&d->mutex);
	struct buf *told = &d->needs->told;
	struct told *all = (struct told *)(void *)told->data;
	size_t count = told->size / sizeof(*all), i = 0;
	int taken = 0;
	while (i < count && (taken = take(&all[i], need)) == 0)
		i++;
	if (taken != 1) {
		const struct told *n = taken ? &all[i] : need;
		tell(d, n->kind, (uint32_t)i, n->a, n->b, n->c, n->text);
	}
	if (!taken)
		buf_append(told, need, sizeof(*need));
	pthread_mutex_unlock(&d->mutex);
}

void icd_need(struct icd_device *d, enum need_kind kind, uint64_t a, uint64_t b)
{
	tell_once(d, &(struct told){ .kind = kind, .a = a, .b = b });
}

void icd_need_feature(struct icd_device *d, VkStructureType type, size_t offset)
{
	icd_need(d, NEED_FEATURE, (uint64_t)type, offset);
}

void icd_need_image(struct icd_device *d, VkFormat format, uint64_t features)
{
	tell_once(d, &(struct told){ .kind = NEED_FORMAT, .a = (uint64_t)format, .c = features });
}

void icd_need_extension(struct icd_device *d, enum icd_extension extension)
{
	_Atomic bool *told = &d->needs->extensions[extension];
	if (atomic_load_explicit(told, memory_order_acquire))
		return;
	tell_once(d, &(struct told){ .kind = NEED_EXTENSION, .text = icd_extension_name(extension) });
	atomic_store_explicit(told, true, memory_order_release);
}

void icd_need_memory(struct icd_device *d, uint64_t total)
{
	icd_need(d, NEED_MEMORY, total, 0);
}
