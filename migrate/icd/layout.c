/* Descriptor set layouts, and what pipeline layouts ask of a GPU. */
#include "migrate/icd/descriptor.h"
#include "migrate/icd/stream.h"

#include <stddef.h>
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

static void tell_binding_flags(struct icd_device *d, const VkDescriptorSetLayoutCreateInfo *info)
{
	const VkDescriptorSetLayoutBindingFlagsCreateInfo *flags =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_BINDING_FLAGS_CREATE_INFO);
	for (uint32_t i = 0; flags && i < flags->bindingCount; i++) {
		if (flags->pBindingFlags[i] & VK_DESCRIPTOR_BINDING_PARTIALLY_BOUND_BIT)
			icd_need(d, NEED_FEATURE, 35, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
				offsetof(VkPhysicalDeviceVulkan12Features, descriptorBindingPartiallyBound));
	}
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
	for (uint32_t i = 0; i < info->bindingCount; i++) {
		const VkDescriptorSetLayoutBinding *b = &info->pBindings[i];
		l->bindings[i] = (struct icd_binding){
			.binding = b->binding,
			.type = b->descriptorType,
			.count = b->descriptorCount,
			.stages = b->stageFlags,
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
		icd_need(d, NEED_FEATURE, 36, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_FEATURES,
			offsetof(VkPhysicalDeviceInlineUniformBlockFeatures, inlineUniformBlock));
	tell_binding_flags(d, info);
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

VKAPI_ATTR void VKAPI_CALL icd_GetDescriptorSetLayoutSupport(
	VkDevice device, const VkDescriptorSetLayoutCreateInfo *info, VkDescriptorSetLayoutSupport *support)
{
	const struct icd_physical *p = ICD_FROM(icd_device, device)->physical;
	const VkPhysicalDeviceMaintenance3Properties *limits = description_struct(
		&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, sizeof(*limits));
	const VkPhysicalDeviceInlineUniformBlockProperties *blocks = description_struct(
		&p->description, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_INLINE_UNIFORM_BLOCK_PROPERTIES, sizeof(*blocks));
	uint64_t total = 0;
	support->supported = VK_TRUE;
	for (uint32_t i = 0; i < info->bindingCount; i++) {
		if (info->pBindings[i].descriptorType == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK) {
			if (!blocks || info->pBindings[i].descriptorCount > blocks->maxInlineUniformBlockSize ||
				info->pBindings[i].descriptorCount > ICD_MAX_INLINE_BYTES)
				support->supported = VK_FALSE;
			continue;
		}
		total += info->pBindings[i].descriptorCount;
		if ((uint32_t)info->pBindings[i].descriptorType >= ICD_POOL_TYPES)
			support->supported = VK_FALSE;
	}
	if (total > (limits ? limits->maxPerSetDescriptors : 1024))
		support->supported = VK_FALSE;
	VkDescriptorSetVariableDescriptorCountLayoutSupport *variable = (void *)(uintptr_t)icd_chain_find(
		support->pNext, VK_STRUCTURE_TYPE_DESCRIPTOR_SET_VARIABLE_DESCRIPTOR_COUNT_LAYOUT_SUPPORT);
	if (variable)
		variable->maxVariableDescriptorCount = 0;
}

static void tell_stage(struct icd_device *d, const struct icd_pipeline_layout *l, VkShaderStageFlags stage)
{
	uint64_t uniform = 0, storage = 0, sampled = 0, images = 0, samplers = 0, inlined = 0; /* in the shader */
	uint64_t all[ICD_POOL_TYPES] = { 0 }, inlined_all = 0;
	for (uint32_t set = 0; set < l->set_count; set++) {
		for (uint32_t i = 0; l->sets[set] && i < l->sets[set]->binding_count; i++) {
			const struct icd_binding *b = &l->sets[set]->bindings[i];
			if ((uint32_t)b->type < ICD_POOL_TYPES)
				all[b->type] += b->count;
			inlined_all += b->type == VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK;
			if (!(b->stages & stage))
				continue;
			switch ((int)b->type) {
			case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
			case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC:
				uniform += b->count;
				break;
			case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
			case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC:
				storage += b->count;
				break;
			case VK_DESCRIPTOR_TYPE_INLINE_UNIFORM_BLOCK:
				inlined++;
				break;
			case VK_DESCRIPTOR_TYPE_SAMPLER:
				samplers += b->count;
				break;
			case VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER:
				samplers += b->count;
				sampled += b->count;
				break;
			case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
			case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
				sampled += b->count;
				break;
			case VK_DESCRIPTOR_TYPE_STORAGE_IMAGE:
			case VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER:
				images += b->count;
				break;
			}
		}
	}
	icd_need_limit(d, ICD_LIMIT_STAGE_UNIFORM, uniform);
	icd_need_limit(d, ICD_LIMIT_STAGE_STORAGE, storage);
	icd_need_limit(d, ICD_LIMIT_STAGE_SAMPLED, sampled);
	icd_need_limit(d, ICD_LIMIT_STAGE_IMAGES, images);
	icd_need_limit(d, ICD_LIMIT_STAGE_SAMPLERS, samplers);
	icd_need_limit(d, ICD_LIMIT_STAGE_INLINE, inlined);
	icd_need_limit(d, ICD_LIMIT_SET_INLINE, inlined_all);
	icd_need_limit(d, ICD_LIMIT_STAGE_RESOURCES, uniform + storage + sampled + images);
	icd_need_limit(d, ICD_LIMIT_SET_UNIFORM,
		all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER] + all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC]);
	icd_need_limit(d, ICD_LIMIT_SET_UNIFORM_DYNAMIC, all[VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC]);
	icd_need_limit(d, ICD_LIMIT_SET_STORAGE,
		all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER] + all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC]);
	icd_need_limit(d, ICD_LIMIT_SET_STORAGE_DYNAMIC, all[VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC]);
	icd_need_limit(d, ICD_LIMIT_SET_SAMPLED,
		all[VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER] + all[VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE] +
			all[VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER]);
	icd_need_limit(d, ICD_LIMIT_SET_IMAGES,
		all[VK_DESCRIPTOR_TYPE_STORAGE_IMAGE] + all[VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER]);
}

void icd_layout_tell_needs(struct icd_device *d, const struct icd_pipeline_layout *l)
{
	tell_stage(d, l, VK_SHADER_STAGE_COMPUTE_BIT);
	tell_stage(d, l, VK_SHADER_STAGE_VERTEX_BIT);
	tell_stage(d, l, VK_SHADER_STAGE_FRAGMENT_BIT);
}
