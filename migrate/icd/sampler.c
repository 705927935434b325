/* VkSampler. */
#include "migrate/icd/image.h"
#include "migrate/icd/stream.h"

#include <stdlib.h>

void icd_sampler_ref(struct icd_sampler *s)
{
	if (s)
		atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void icd_sampler_unref(struct icd_sampler *s)
{
	if (s && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
		free(s);
}

/* What no SPIR-V capability tells. */
static void tell_needs(struct icd_device *d, const VkSamplerCreateInfo *info)
{
	const VkSamplerReductionModeCreateInfo *reduction =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_SAMPLER_REDUCTION_MODE_CREATE_INFO);
	if (info->anisotropyEnable)
		ICD_NEED_FEATURE(d, FEATURES_2, Features2, features.samplerAnisotropy);
	if (info->addressModeU == VK_SAMPLER_ADDRESS_MODE_MIRROR_CLAMP_TO_EDGE ||
		info->addressModeV == VK_SAMPLER_ADDRESS_MODE_MIRROR_CLAMP_TO_EDGE ||
		info->addressModeW == VK_SAMPLER_ADDRESS_MODE_MIRROR_CLAMP_TO_EDGE)
		ICD_NEED_FEATURE(d, VULKAN_1_2_FEATURES, Vulkan12Features, samplerMirrorClampToEdge);
	const VkSamplerCustomBorderColorCreateInfoEXT *border =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_SAMPLER_CUSTOM_BORDER_COLOR_CREATE_INFO_EXT);
	if (border)
		ICD_NEED_FEATURE(d, CUSTOM_BORDER_COLOR_FEATURES_EXT, CustomBorderColorFeaturesEXT, customBorderColors);
	if (border && border->format == VK_FORMAT_UNDEFINED)
		ICD_NEED_FEATURE(
			d, CUSTOM_BORDER_COLOR_FEATURES_EXT, CustomBorderColorFeaturesEXT, customBorderColorWithoutFormat);
	if (reduction && reduction->reductionMode != VK_SAMPLER_REDUCTION_MODE_WEIGHTED_AVERAGE)
		ICD_NEED_FEATURE(d, VULKAN_1_2_FEATURES, Vulkan12Features, samplerFilterMinmax);
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateSampler(
	VkDevice device, const VkSamplerCreateInfo *info, const VkAllocationCallbacks *allocator, VkSampler *ret_sampler)
{
	(void)allocator;
	struct icd_device *d = ICD_FROM(icd_device, device);
	struct icd_sampler *s = icd_object_create(sizeof(*s));
	if (!s)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	s->object.id = icd_new_id(d);
	s->references = 1;
	tell_needs(d, info);
	wire_encode_vkCreateSampler(icd_record_begin(d), info, s->object.id);
	VkResult result = icd_record_end(d, RECORD_CREATE, s->object.id, 0);
	if (result != VK_SUCCESS) {
		free(s);
		return result;
	}
	*ret_sampler = ICD_HANDLE(VkSampler, s);
	return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroySampler(VkDevice device, VkSampler sampler, const VkAllocationCallbacks *allocator)
{
	(void)allocator;
	struct icd_sampler *s = ICD_FROM(icd_sampler, sampler);
	if (!s)
		return;
	icd_record_plain(ICD_FROM(icd_device, device), RECORD_DESTROY, s->object.id);
	icd_sampler_unref(s);
}
