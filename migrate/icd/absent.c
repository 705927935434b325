/* Core objects that are not offered: YCbCr conversions. The features tell so; a program that creates one
 * anyway learns it from the least wrong code that the call may return. */
#include "migrate/icd/icd.h"

VKAPI_ATTR VkResult VKAPI_CALL icd_CreateSamplerYcbcrConversion(VkDevice device,
	const VkSamplerYcbcrConversionCreateInfo *info, const VkAllocationCallbacks *allocator,
	VkSamplerYcbcrConversion *ret_conversion)
{
	(void)device, (void)info, (void)allocator;
	*ret_conversion = VK_NULL_HANDLE;
	return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

/* Destroying VK_NULL_HANDLE is allowed. */
VKAPI_ATTR void VKAPI_CALL icd_DestroySamplerYcbcrConversion(
	VkDevice device, VkSamplerYcbcrConversion conversion, const VkAllocationCallbacks *allocator)
{
	(void)device, (void)conversion, (void)allocator;
}
