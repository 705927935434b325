/* Formats: what the real device has, masked to what can be carried from one GPU to another (gpu/image.h). */
#include "migrate/icd/image.h"
#include "migrate/icd/stream.h"

#include <string.h>

#define BUFFER_FEATURES                                                                                                     \
	(VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT | VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT |                          \
		VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_ATOMIC_BIT | VK_FORMAT_FEATURE_VERTEX_BUFFER_BIT)
#define TRANSFER_FEATURES (VK_FORMAT_FEATURE_TRANSFER_SRC_BIT | VK_FORMAT_FEATURE_TRANSFER_DST_BIT)
#define IMAGE_FEATURES                                                                                                      \
	(VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT | VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT |                                        \
		VK_FORMAT_FEATURE_STORAGE_IMAGE_ATOMIC_BIT | VK_FORMAT_FEATURE_SAMPLED_IMAGE_FILTER_LINEAR_BIT |            \
		VK_FORMAT_FEATURE_SAMPLED_IMAGE_FILTER_MINMAX_BIT | VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BIT |                \
		VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BLEND_BIT | VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT |             \
		VK_FORMAT_FEATURE_BLIT_SRC_BIT | VK_FORMAT_FEATURE_BLIT_DST_BIT | TRANSFER_FEATURES)
#define ATTACHMENT_USAGES                                                                                                   \
	(VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT |                                \
		VK_IMAGE_USAGE_INPUT_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSIENT_ATTACHMENT_BIT)
#define IMAGE_USAGES                                                                                                        \
	(VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT |                   \
		VK_IMAGE_USAGE_STORAGE_BIT | ATTACHMENT_USAGES)
#define IMAGE_FLAGS                                                                                                         \
	(VK_IMAGE_CREATE_MUTABLE_FORMAT_BIT | VK_IMAGE_CREATE_CUBE_COMPATIBLE_BIT | VK_IMAGE_CREATE_ALIAS_BIT |             \
		VK_IMAGE_CREATE_2D_ARRAY_COMPATIBLE_BIT | VK_IMAGE_CREATE_BLOCK_TEXEL_VIEW_COMPATIBLE_BIT |                 \
		VK_IMAGE_CREATE_EXTENDED_USAGE_BIT)

/* The host sees texels of these as they are. */
static bool has_linear(const struct gpu_format *f)
{
	return f && f->aspects == VK_IMAGE_ASPECT_COLOR_BIT && f->block_width == 1 && f->block_height == 1;
}

VkFormatProperties icd_format_properties(const struct icd_physical *p, VkFormat format)
{
	size_t size = 0;
	const struct description_format *real = description_find(&p->description, DESCRIPTION_FORMATS, 0, &size);
	VkFormatProperties ret = { 0 };
	for (size_t i = 0; real && i < size / sizeof(*real); i++) {
		if (real[i].format != (uint32_t)format)
			continue;
		ret.bufferFeatures = real[i].properties.bufferFeatures & BUFFER_FEATURES;
		VkFormatFeatureFlags image = real[i].properties.optimalTilingFeatures;
		if (gpu_format_find(format) && (image & TRANSFER_FEATURES) == TRANSFER_FEATURES)
			ret.optimalTilingFeatures = image & IMAGE_FEATURES;
		/* On the GPU they are tiled as all others; what real linear ones lack is not offered all the same. */
		if (has_linear(gpu_format_find(format)))
			ret.linearTilingFeatures = ret.optimalTilingFeatures & real[i].properties.linearTilingFeatures;
	}
	return ret;
}

static VkFormatFeatureFlags features_of(VkImageUsageFlags usage)
{
	return TRANSFER_FEATURES | (usage & VK_IMAGE_USAGE_SAMPLED_BIT ? VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT : 0) |
		(usage & VK_IMAGE_USAGE_STORAGE_BIT ? VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT : 0) |
		(usage & VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT ? VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BIT : 0) |
		(usage & VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT ? VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT : 0);
}

/* Whether it is filtered or used by atomics is not known: what this GPU has of that, another one must have. */
void icd_need_image_format(struct icd_device *d, VkFormat format, VkImageUsageFlags usage)
{
	VkFormatFeatureFlags features = features_of(usage),
			     had = icd_format_properties(d->physical, format).optimalTilingFeatures;
	if (usage & VK_IMAGE_USAGE_SAMPLED_BIT)
		features |= had & VK_FORMAT_FEATURE_SAMPLED_IMAGE_FILTER_LINEAR_BIT;
	if (usage & VK_IMAGE_USAGE_STORAGE_BIT)
		features |= had & VK_FORMAT_FEATURE_STORAGE_IMAGE_ATOMIC_BIT;
	if (usage & VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT)
		features |= had & VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BLEND_BIT;
	icd_need_image(d, format, features);
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceFormatProperties(
	VkPhysicalDevice physical, VkFormat format, VkFormatProperties *properties)
{
	*properties = icd_format_properties(ICD_FROM(icd_physical, physical), format);
}

/* What only the 64-bit flags tell: the features of the device say it for all formats. */
static VkFormatFeatureFlags2 more_features(
	VkFormatFeatureFlags features, const struct gpu_format *format, const VkPhysicalDeviceFeatures *core)
{
	VkFormatFeatureFlags2 ret = features;
	if (features & VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT) {
		if (core->shaderStorageImageReadWithoutFormat)
			ret |= VK_FORMAT_FEATURE_2_STORAGE_READ_WITHOUT_FORMAT_BIT;
		if (core->shaderStorageImageWriteWithoutFormat)
			ret |= VK_FORMAT_FEATURE_2_STORAGE_WRITE_WITHOUT_FORMAT_BIT;
	}
	if (format && (format->aspects & VK_IMAGE_ASPECT_DEPTH_BIT) && (features & VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT))
		ret |= VK_FORMAT_FEATURE_2_SAMPLED_IMAGE_DEPTH_COMPARISON_BIT;
	return ret;
}

VKAPI_ATTR void VKAPI_CALL icd_GetPhysicalDeviceFormatProperties2(
	VkPhysicalDevice physical, VkFormat format, VkFormatProperties2 *properties)
{
	const struct icd_physical *p = ICD_FROM(icd_physical, physical);
	properties->formatProperties = icd_format_properties(p, format);
	VkFormatProperties3 *more =
		(void *)(uintptr_t)icd_chain_find(properties->pNext, VK_STRUCTURE_TYPE_FORMAT_PROPERTIES_3);
	if (!more)
		return;
	VkPhysicalDeviceFeatures core;
	icd_features_fill(p, &core, NULL);
	const struct gpu_format *known = gpu_format_find(format);
	more->linearTilingFeatures = more_features(properties->formatProperties.linearTilingFeatures, known, &core);
	more->optimalTilingFeatures = more_features(properties->formatProperties.optimalTilingFeatures, known, &core);
	more->bufferFeatures = properties->formatProperties.bufferFeatures;
}

static const struct description_image *find_image(const struct icd_physical *p, VkFormat format, VkImageType type)
{
	size_t size = 0;
	const struct description_image *all = description_find(&p->description, DESCRIPTION_IMAGES, 0, &size);
	for (size_t i = 0; all && i < size / sizeof(*all); i++) {
		if (all[i].format == (uint32_t)format && all[i].type == (uint32_t)type)
			return &all[i];
	}
	return NULL;
}

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetPhysicalDeviceImageFormatProperties(VkPhysicalDevice physical, VkFormat format,
	VkImageType type, VkImageTiling tiling, VkImageUsageFlags usage, VkImageCreateFlags flags,
	VkImageFormatProperties *properties)
{
	const struct icd_physical *p = ICD_FROM(icd_physical, physical);
	const struct description_image *image = find_image(p, format, type);
	const bool linear = tiling == VK_IMAGE_TILING_LINEAR;
	const VkFormatProperties real = icd_format_properties(p, format);
	VkFormatFeatureFlags has = linear ? real.linearTilingFeatures : real.optimalTilingFeatures;
	*properties = (VkImageFormatProperties){ 0 };
	/* A use that only views of another format have is checked with the view. */
	VkFormatFeatureFlags needed = flags & VK_IMAGE_CREATE_EXTENDED_USAGE_BIT ? TRANSFER_FEATURES : features_of(usage);
	VkSampleCountFlags samples = VK_SAMPLE_COUNT_1_BIT;
	if (!(usage & VK_IMAGE_USAGE_STORAGE_BIT) && !flags && !linear && image && type == VK_IMAGE_TYPE_2D &&
		(usage & ATTACHMENT_USAGES))
		samples |= image->samples & VK_SAMPLE_COUNT_4_BIT;
	const VkImageCreateFlags beyond_linear = flags & ~(VkImageCreateFlags)VK_IMAGE_CREATE_ALIAS_BIT;
	if (!image || (linear ? beyond_linear || type != VK_IMAGE_TYPE_2D : tiling != VK_IMAGE_TILING_OPTIMAL) ||
		(has & needed) != needed || (usage & ~IMAGE_USAGES) || (flags & ~(VkImageCreateFlags)IMAGE_FLAGS) ||
		((flags & VK_IMAGE_CREATE_CUBE_COMPATIBLE_BIT) && !image->cube))
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	*properties = (VkImageFormatProperties){
		.maxExtent = { min32(image->max_extent.width, GPU_IMAGE_MAX_EXTENT),
			min32(image->max_extent.height, GPU_IMAGE_MAX_EXTENT),
			min32(image->max_extent.depth, GPU_IMAGE_MAX_EXTENT) },
		.maxMipLevels = linear ? 1 : min32(image->max_mips, GPU_IMAGE_MAX_MIPS),
		.maxArrayLayers = linear ? 1 : min32(image->max_layers, GPU_IMAGE_MAX_EXTENT),
		.sampleCounts = samples,
		.maxResourceSize = image->max_bytes,
	};
	return VK_SUCCESS;
}

VKAPI_ATTR VkResult VKAPI_CALL icd_GetPhysicalDeviceImageFormatProperties2(
	VkPhysicalDevice physical, const VkPhysicalDeviceImageFormatInfo2 *info, VkImageFormatProperties2 *properties)
{
	const VkPhysicalDeviceExternalImageFormatInfo *external =
		icd_chain_find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO);
	VkExternalImageFormatProperties *shared =
		(void *)(uintptr_t)icd_chain_find(properties->pNext, VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES);
	VkSamplerYcbcrConversionImageFormatProperties *samplers = (void *)(uintptr_t)icd_chain_find(
		properties->pNext, VK_STRUCTURE_TYPE_SAMPLER_YCBCR_CONVERSION_IMAGE_FORMAT_PROPERTIES);
	if (shared)
		shared->externalMemoryProperties = (VkExternalMemoryProperties){ 0 };
	if (samplers)
		samplers->combinedImageSamplerDescriptorCount = 1;
	properties->imageFormatProperties = (VkImageFormatProperties){ 0 };
	if (external && external->handleType)
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	return icd_GetPhysicalDeviceImageFormatProperties(physical, info->format, info->type, info->tiling, info->usage,
		info->flags, &properties->imageFormatProperties);
}
