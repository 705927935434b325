/* Core objects that are not offered: render passes. The format properties, queue family and features tell so;
 * a program that creates one anyway learns it from the least wrong code that the call may return. */
#include "migrate/icd/icd.h"

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateRenderPass(
	VkDevice device, const VkRenderPassCreateInfo *info, const VkAllocationCallbacks *allocator, VkRenderPass *ret_pass)
{
	(void)device, (void)info, (void)allocator;
	*ret_pass = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateRenderPass2(
	VkDevice device, const VkRenderPassCreateInfo2 *info, const VkAllocationCallbacks *allocator, VkRenderPass *ret_pass)
{
	(void)device, (void)info, (void)allocator;
	*ret_pass = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateFramebuffer(VkDevice device, const VkFramebufferCreateInfo *info,
	const VkAllocationCallbacks *allocator, VkFramebuffer *ret_framebuffer)
{
	(void)device, (void)info, (void)allocator;
	*ret_framebuffer = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateSamplerYcbcrConversion(VkDevice device,
	const VkSamplerYcbcrConversionCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkSamplerYcbcrConversion *ret_conversion)
{
	(void)device, (void)info, (void)allocator;
	*ret_conversion = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateGraphicsPipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
	const VkGraphicsPipelineCreateInfo *infos, const VkAllocationCallbacks *allocator, VkPipeline *ret_pipelines)
{
	(void)device, (void)cache, (void)infos, (void)allocator;
	for (uint32_t i = 0; i < count; i++)
		ret_pipelines[i] = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

/* Destroying VK_NULL_HANDLE is allowed. */
VKAPI_ATTR void VKAPI_CALL icd_DestroyRenderPass(VkDevice device, VkRenderPass pass, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)pass, (void)allocator;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroyFramebuffer(
	VkDevice device, VkFramebuffer framebuffer, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)framebuffer, (void)allocator;
}

VKAPI_ATTR void VKAPI_CALL icd_DestroySamplerYcbcrConversion(
	VkDevice device, VkSamplerYcbcrConversion conversion, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)conversion, (void)allocator;
}
