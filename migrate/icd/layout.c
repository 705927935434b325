/* Descriptor set layouts, and what pipeline layouts ask of a GPU. */
#include "migrate/icd/descriptor.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>

struct icd_set_layout *icd_set_layout_ref(struct icd_set_layout *l)
{
	if (l)
		atomic_fetch_add_explicit(&l->references, 1, memory_order_relaxed);
	return l;
}

void icd_set_layout_unref(struct icd_set_layout *l)
{
	if (l && atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1)
		free(l);
}

void icd_pipeline_layout_free(struct icd_pipeline_layout *l)
{
	for (uint32_t i = 0; i < ICD_MAX_SETS; i++)
		icd_set_layout_unref(l->sets[i]);
	free(l);
}

const struct icd_binding *icd_set_layout_find(const struct icd_set_layout *l, uint32_t binding)
{
	uint32_t low = 0, high = l->binding_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (l->bindings[middle].binding < binding)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->binding_count && l->bindings[low].binding == binding ? &l->bindings[low] : NULL;
}

static int compare_bindings(const void *a, const void *b)
{
	uint32_t x = ((const struct icd_binding *)a)->binding, y = ((const struct icd_binding *)b)->binding;
	return (x > y) - (x < y);
}

static bool is_dynamic(VkDescriptorType type)
{
	return type == VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC || type == VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
}

#define F(member) ((uint32_t)offsetof(VkPhysicalDeviceVulkan12Features, descriptorBinding##member))
/* The feature that lets descriptors of a type be updated after they are bound; 0: of another struct, or none. */
static uint32_t late_feature(VkDescriptorType type)
{
	switch ((int)type) {
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
		return F(UniformBufferUpdateAfterBind);
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
		return F(StorageBufferUpdateAfterBind);
	case VK_DESCRIPTOR_TYPE_SAMPLER:
	case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
	case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
		return F(SampledImageUpdateAfterBind);
	case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
		return F(StorageImageUpdateAfterBind);
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
		return F(UniformTexelBufferUpdateAfterBind);
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		return F(StorageTexelBufferUpdateAfterBind);
	}
	return 0;
}

static void need_feature12(struct icd_device *d, uint32_t offset)
{
	icd_need_feature(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, offset);
}

static void tell_binding_flags(struct icd_device *d, VkDescriptorType type, VkDescriptorBindingFlags flags)
{
	uint32_t late = late_feature(type);
	if (flags & VK_DESCRIPTOR_BINDING_PARTIALLY_BOUND_BIT)
		need_feature12(d, F(PartiallyBound));
	if (flags & VK_DESCRIPTOR_BINDING_UPDATE_UNUSED_WHILE_PENDING_BIT)
		need_feature12(d, F(UpdateUnusedWhilePending));
	if (flags & VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT)
		need_feature12(d, F(VariableDescriptorCount));
	if (!(flags & VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT))
		return;
	if (late)
		need_feature12(d, late);
	else if (type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
		ICD_NEED_FEATURE(d, INLINE_UNIFORM_BLOCK_FEATURES, InlineUniformBlockFeatures,
			descriptorBindingInlineUniformBlockUpdateAfterBind);
}
#undef F

static VkDescriptorBindingFlags binding_flags(const VkDescriptorSetLayoutCreateInfo *info, uint32_t index)
{
	const VkDescriptorSetLayoutBindingFlagsCreateInfo *flags =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO);
	return flags && index < flags->bindingCount ? flags->pBindingFlags[index] : 0;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateDescriptorSetLayout(VkDevice device, const VkDescriptorSetLayoutCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkDescriptorSetLayout *ret_layout)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_set_layout *l = icd_object_create(sizeof(*l) + info->bindingCount * sizeof(l->bindings[0]));
	if (!l)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	l->object.id = icd_new_id(d);
	l->references = 1;
	l->binding_count = info->bindingCount;
	l->late_pool = info->flags & VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT;
	for (uint32_t i = 0; i < info->bindingCount; i++) {
		const VkDescriptorSetLayoutBinding *b = &info->pBindings[i];
		const VkDescriptorBindingFlags flags = binding_flags(info, i);
		l->variable = l->variable || (flags & VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT);
		tell_binding_flags(d, b->descriptorType, flags);
		l->bindings[i] = (struct icd_binding){
			.binding = b->binding,
			.type = b->descriptorType,
			.count = b->descriptorCount,
			.stages = b->stageFlags,
			.late = flags & VK_DESCRIPTOR_BINDING_UPDATE_AFTER_BIND_BIT,
			.immutable = b->pImmutableSamplers &&
				(b->descriptorType == VK_DESCRIPTOR_TYPE_SAMPLER ||
					b->descriptorType == VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER),
		};
	}
	qsort(l->bindings, l->binding_count, sizeof(l->bindings[0]), compare_bindings);
	for (uint32_t i = 0; i < l->binding_count; i++) {
		struct icd_binding *b = &l->bindings[i];
		if (b->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
			b->first = l->inline_bytes;
			l->inline_bytes += b->count;
			l->inline_count++;
			icd_need_limit(d, ICD_LIMIT_INLINE_BYTES, b->count);
			continue;
		}
		b->first = l->descriptor_count;
		b->first_dynamic = l->dynamic_count;
		l->descriptor_count += b->count;
		if (is_dynamic(b->type))
			l->dynamic_count += b->count;
		if ((uint32_t)b->type < ICD_POOL_TYPES)
			l->needs[b->type] += b->count;
	}
	if (info->flags & VK_DESCRIPTOR_SET_LAYOUT_CREATE_PUSH_DESCRIPTOR_BIT_KHR) {
		icd_need_extension(d, ICD_KHR_push_descriptor);
		icd_need_limit(d, ICD_LIMIT_PUSH_DESCRIPTORS, l->descriptor_count);
	}
	icd_need_limit(d, ICD_LIMIT_SET_DESCRIPTORS, l->descriptor_count);
	if (l->inline_count)
		ICD_NEED_FEATURE(d, INLINE_UNIFORM_BLOCK_FEATURES, InlineUniformBlockFeatures, inlineUniformBlock);
	wire_encode_vkCreateDescriptorSetLayout(icd_record_begin(d), info, l->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, l->object.id, 0);
	if (result != VK_SUCCESS) {
		free(l);
		return result;
	}
	*ret_layout = ICD_HANDLE(VkDescriptorSetLayout, l);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyDescriptorSetLayout(
	VkDevice device, VkDescriptorSetLayout layout, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_set_layout *l = ICD_FROM(icd_set_layout, layout);
	if (!l)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, l->object.id);
	icd_set_layout_unref(l);
}

/* What all sets of a pipeline layout may have of a type, where they are updated after they are bound. */
static uint32_t late_limit(const struct icd_physical *p, VkDescriptorType type)
{
	const VkPhysicalDeviceVulkan12Properties *l =
		description_struct(&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, sizeof(*l));
	if (!l)
		return 0;
	switch ((int)type) {
	case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
		return l->maxDescriptorSetUpdateAfterBindUniformBuffers;
	case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
		return l->maxDescriptorSetUpdateAfterBindStorageBuffers;
	case VK_DESCRIPTOR_TYPE_SAMPLER:
		return l->maxDescriptorSetUpdateAfterBindSamplers;
	case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
		return l->maxDescriptorSetUpdateAfterBindSamplers < l->maxDescriptorSetUpdateAfterBindSampledImages
			? l->maxDescriptorSetUpdateAfterBindSamplers
			: l->maxDescriptorSetUpdateAfterBindSampledImages;
	case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
	case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
		return l->maxDescriptorSetUpdateAfterBindSampledImages;
	case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
	case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
		return l->maxDescriptorSetUpdateAfterBindStorageImages;
	}
	return 0;
}

/* How many of this binding there may be, beside `others` in the set. */
static uint64_t most_of(const struct icd_physical *p, const VkDescriptorSetLayoutCreateInfo *info,
	const VkDescriptorSetLayoutBinding *b, uint64_t others)
{
	const VkPhysicalDeviceMaintenance3Properties *limits = description_struct(
		&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, sizeof(*limits));
	const VkPhysicalDeviceInlineUniformBlockProperties *blocks = description_struct(
		&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_PROPERTIES, sizeof(*blocks));
	if (b->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
		return !blocks                                                     ? 0
			: blocks->maxInlineUniformBlockSize < ICD_MAX_INLINE_BYTES ? blocks->maxInlineUniformBlockSize
										   : ICD_MAX_INLINE_BYTES;
	if ((uint32_t)b->descriptorType >= ICD_POOL_TYPES)
		return 0;
	uint64_t most = limits ? limits->maxPerSetDescriptors : 1024;
	most = most > others ? most - others : 0;
	uint64_t late = late_limit(p, b->descriptorType);
	if (info->flags & VK_DESCRIPTOR_SET_LAYOUT_CREATE_UPDATE_AFTER_BIND_POOL_BIT && late < most)
		most = late;
	return most;
}

VKAPI_ATTR void VKAPI_CALL icd_GetDescriptorSetLayoutSupport(
	VkDevice device, const VkDescriptorSetLayoutCreateInfo *info, VkDescriptorSetLayoutSupport *support)
{
	const struct icd_physical *p = ICD_FROM(icd_device, device)->physical;
	VkDescriptorSetVariableDescriptorCountLayoutSupport *variable = (void *)(uintptr_t)icd_chain_find(
		support->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_LAYOUT_SUPPORT);
	uint64_t total = 0, open = 0;
	support->supported = VK_TRUE;
	for (uint32_t i = 0; i < info->bindingCount; i++)
		if (info->pBindings[i].descriptorType != VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK)
			total += info->pBindings[i].descriptorCount;
	for (uint32_t i = 0; i < info->bindingCount; i++) {
		const VkDescriptorSetLayoutBinding *b = &info->pBindings[i];
		bool is_block = b->descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
		uint64_t most = most_of(p, info, b, is_block ? total : total - b->descriptorCount);
		if (b->descriptorCount && b->descriptorCount > most)
			support->supported = VK_FALSE;
		if (binding_flags(info, i) & VK_DESCRIPTOR_BINDING_VARIABLE_DESCRIPTOR_COUNT_BIT)
			open = most;
	}
	if (variable)
		variable->maxVariableDescriptorCount = !support->supported ? 0
			: open < UINT32_MAX                                ? (uint32_t)open
									   : UINT32_MAX;
}

/* What shaders of a stage reach (bit by bit of `stages`), and what there is in all. */
struct demand {
	uint64_t uniform, storage, sampled, images, samplers, inlined; /* in the stage */
	uint64_t all[ICD_POOL_TYPES], inlined_all;
};

static void count_set(struct demand *n, const struct icd_set_layout *l, VkShaderStageFlags stage)
{
	for (uint32_t i = 0; i < l->binding_count; i++) {
		const struct icd_binding *b = &l->bindings[i];
		if ((uint32_t)b->type < ICD_POOL_TYPES)
			n->all[b->type] += b->count;
		n->inlined_all += b->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
		if (!(b->stages & stage))
			continue;
		switch ((int)b->type) {
		case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
		case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
			n->uniform += b->count;
			break;
		case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
		case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
			n->storage += b->count;
			break;
		case VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK:
			n->inlined++;
			break;
		case VK_DESCRIPTOR_TYPE_SAMPLER:
			n->samplers += b->count;
			break;
		case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
			n->samplers += b->count;
			n->sampled += b->count;
			break;
		case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
		case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
			n->sampled += b->count;
			break;
		case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
		case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
			n->images += b->count;
			break;
		}
	}
}

/* One count, and the limits that it meets: in the stage, in all sets. */
struct demand_limits {
	enum icd_limit uniform, storage, sampled, images, samplers, inlined, resources;
	enum icd_limit all_uniform, all_uniform_dynamic, all_storage, all_storage_dynamic, all_sampled, all_images,
		all_inlined;
};
static const struct demand_limits plain_limits = { ICD_LIMIT_STAGE_UNIFORM, ICD_LIMIT_STAGE_STORAGE, ICD_LIMIT_STAGE_SAMPLED,
	ICD_LIMIT_STAGE_IMAGES, ICD_LIMIT_STAGE_SAMPLERS, ICD_LIMIT_STAGE_INLINE, ICD_LIMIT_STAGE_RESOURCES,
	ICD_LIMIT_SET_UNIFORM, ICD_LIMIT_SET_UNIFORM_DYNAMIC, ICD_LIMIT_SET_STORAGE, ICD_LIMIT_SET_STORAGE_DYNAMIC,
	ICD_LIMIT_SET_SAMPLED, ICD_LIMIT_SET_IMAGES, ICD_LIMIT_SET_INLINE };
static const struct demand_limits late_limits = { ICD_LIMIT_LATE_STAGE_UNIFORM, ICD_LIMIT_LATE_STAGE_STORAGE,
	ICD_LIMIT_LATE_STAGE_SAMPLED, ICD_LIMIT_LATE_STAGE_IMAGES, ICD_LIMIT_LATE_STAGE_SAMPLERS,
	ICD_LIMIT_LATE_STAGE_INLINE, ICD_LIMIT_LATE_STAGE_RESOURCES, ICD_LIMIT_LATE_SET_UNIFORM,
	ICD_LIMIT_LATE_SET_UNIFORM_DYNAMIC, ICD_LIMIT_LATE_SET_STORAGE, ICD_LIMIT_LATE_SET_STORAGE_DYNAMIC,
	ICD_LIMIT_LATE_SET_SAMPLED, ICD_LIMIT_LATE_SET_IMAGES, ICD_LIMIT_LATE_SET_INLINE };

static void tell_demand(struct icd_device *d, const struct demand *n, const struct demand_limits *l)
{
	const uint64_t *all = n->all;
	icd_need_limit(d, l->uniform, n->uniform);
	icd_need_limit(d, l->storage, n->storage);
	icd_need_limit(d, l->sampled, n->sampled);
	icd_need_limit(d, l->images, n->images);
	icd_need_limit(d, l->samplers, n->samplers);
	icd_need_limit(d, l->inlined, n->inlined);
	icd_need_limit(d, l->all_inlined, n->inlined_all);
	icd_need_limit(d, l->resources, n->uniform + n->storage + n->sampled + n->images);
	icd_need_limit(
		d, l->all_uniform, all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER] + all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC]);
	icd_need_limit(d, l->all_uniform_dynamic, all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC]);
	icd_need_limit(
		d, l->all_storage, all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER] + all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC]);
	icd_need_limit(d, l->all_storage_dynamic, all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC]);
	icd_need_limit(d, l->all_sampled,
		all[VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER] + all[VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE] +
			all[VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER]);
	icd_need_limit(
		d, l->all_images, all[VK_DESCRIPTOR_TYPE_STORAGE_IMAGE] + all[VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER]);
}

/* The plain limits are of sets that are not updated after they are bound, the others of all sets. */
static void tell_stage(struct icd_device *d, const struct icd_pipeline_layout *l, VkShaderStageFlags stage)
{
	struct demand plain = { 0 }, all = { 0 };
	bool late = false;
	for (uint32_t set = 0; set < l->set_count; set++) {
		if (!l->sets[set])
			continue;
		count_set(&all, l->sets[set], stage);
		if (l->sets[set]->late_pool)
			late = true;
		else
			count_set(&plain, l->sets[set], stage);
	}
	tell_demand(d, &plain, &plain_limits);
	if (late)
		tell_demand(d, &all, &late_limits);
}

void icd_layout_tell_needs(struct icd_device *d, const struct icd_pipeline_layout *l)
{
	tell_stage(d, l, VK_SHADER_STAGE_COMPUTE_BIT);
	tell_stage(d, l, VK_SHADER_STAGE_VERTEX_BIT);
	tell_stage(d, l, VK_SHADER_STAGE_FRAGMENT_BIT);
}
