/* Asks a real device. Apart from description.c, so that what only reads descriptions needs no Vulkan loader. */
#include "gpu/description.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gpu/description_tables.h"
#include "gpu/instance.h"

#define FIRST_FORMATS ((size_t)VK_FORMAT_ASTC_12x12_SRGB_BLOCK) /* of Vulkan 1.0 */
#define MAX_FORMATS (FIRST_FORMATS + 64)

static void append(struct buf *out, enum description_kind kind, uint32_t tag, const void *data, size_t size)
{
	struct description_entry e = { .kind = (uint32_t)kind, .tag = tag, .size = (uint32_t)size };
	buf_append(out, &e, sizeof(e));
	buf_append(out, data, size);
	static const char zeros[8];
	buf_append(out, zeros, -size & 7);
}

static bool has_extension(const VkExtensionProperties *extensions, uint32_t count, const char *name)
{
	for (uint32_t i = 0; name != NULL && i < count; i++)
		if (strcmp(extensions[i].extensionName, name) == 0)
			return true;
	return false;
}

/* One query for all structs of a kind that the device may be asked for, then one entry for each. */
static int append_structs(struct buf *out, VkPhysicalDevice device, uint32_t api_version,
	const VkExtensionProperties *extensions, uint32_t extension_count, bool features)
{
	size_t room = 0;
	for (size_t i = 0; i < description_known_count; i++)
		room += (description_known[i].size + 15u) & ~15u;
	char *memory = calloc(1, room);
	if (memory == NULL)
		return -ENOMEM;
	char *at = memory;
	VkBaseOutStructure *first = NULL, *last = NULL;
	for (size_t i = 0; i < description_known_count; i++) { /* the …2 struct is the first of its kind */
		const struct description_known *k = &description_known[i];
		bool base = k->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 ||
			k->type == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
		if (k->features != features ||
			!(base || (k->core != 0 && api_version >= k->core) ||
				has_extension(extensions, extension_count, k->extensions[0]) ||
				has_extension(extensions, extension_count, k->extensions[1])))
			continue;
		VkBaseOutStructure *s = (VkBaseOutStructure *)(void *)at;
		s->sType = k->type;
		at += (k->size + 15u) & ~15u;
		if (first == NULL)
			first = s;
		else
			last->pNext = s;
		last = s;
	}
	if (features)
		vkGetPhysicalDeviceFeatures2(device, (VkPhysicalDeviceFeatures2 *)first);
	else
		vkGetPhysicalDeviceProperties2(device, (VkPhysicalDeviceProperties2 *)first);
	for (VkBaseOutStructure *s = first, *next; s != NULL; s = next) {
		next = s->pNext;
		s->pNext = NULL;
		for (size_t i = 0; i < description_known_count; i++)
			if (description_known[i].type == s->sType)
				append(out, DESCRIPTION_STRUCT, (uint32_t)s->sType, s, description_known[i].size);
	}
	free(memory);
	return 0;
}

/* The formats that a device may be asked about, one behind the other; VK_FORMAT_UNDEFINED: no more. */
static VkFormat format_at(size_t index, bool later)
{
	if (index < FIRST_FORMATS)
		return (VkFormat)(index + 1);
	return later && index < MAX_FORMATS ? gpu_format_later(index - FIRST_FORMATS) : VK_FORMAT_UNDEFINED;
}

static void append_formats(struct buf *out, VkPhysicalDevice device, bool later)
{
	struct description_format formats[MAX_FORMATS];
	size_t count = 0;
	for (VkFormat f; (f = format_at(count, later)) != VK_FORMAT_UNDEFINED; count++) {
		formats[count] = (struct description_format){ .format = (uint32_t)f };
		vkGetPhysicalDeviceFormatProperties(device, f, &formats[count].properties);
	}
	append(out, DESCRIPTION_FORMATS, 0, formats, count * sizeof(formats[0]));
}

static VkImageUsageFlags usage_of(VkFormatFeatureFlags features)
{
	VkImageUsageFlags usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	if (features & VK_FORMAT_FEATURE_SAMPLED_IMAGE_BIT)
		usage |= VK_IMAGE_USAGE_SAMPLED_BIT;
	if (features & VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT)
		usage |= VK_IMAGE_USAGE_STORAGE_BIT;
	if (features & VK_FORMAT_FEATURE_COLOR_ATTACHMENT_BIT)
		usage |= VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
	if (features & VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT)
		usage |= VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT;
	return usage;
}

static void append_images(struct buf *out, VkPhysicalDevice device, bool later)
{
	const VkFormatFeatureFlags copied = VK_FORMAT_FEATURE_TRANSFER_SRC_BIT | VK_FORMAT_FEATURE_TRANSFER_DST_BIT;
	struct description_image images[3 * MAX_FORMATS];
	size_t count = 0;
	VkFormat f;
	for (size_t i = 0; (f = format_at(i, later)) != VK_FORMAT_UNDEFINED; i++) {
		VkFormatProperties format;
		vkGetPhysicalDeviceFormatProperties(device, f, &format);
		if (!gpu_format_find(f) || (format.optimalTilingFeatures & copied) != copied)
			continue;
		VkImageUsageFlags usage = usage_of(format.optimalTilingFeatures);
		for (VkImageType type = VK_IMAGE_TYPE_1D; type <= VK_IMAGE_TYPE_3D; type++) {
			VkImageFormatProperties p, cube, plain;
			if (vkGetPhysicalDeviceImageFormatProperties(
				    device, f, type, VK_IMAGE_TILING_OPTIMAL, usage, 0, &p) != VK_SUCCESS)
				continue;
			bool cubes = type == VK_IMAGE_TYPE_2D &&
				vkGetPhysicalDeviceImageFormatProperties(device, f, type, VK_IMAGE_TILING_OPTIMAL, usage,
					VK_IMAGE_CREATE_CUBE_COMPATIBLE_BIT, &cube) == VK_SUCCESS;
			if (vkGetPhysicalDeviceImageFormatProperties(device, f, type, VK_IMAGE_TILING_OPTIMAL,
				    usage & ~(VkImageUsageFlags)VK_IMAGE_USAGE_STORAGE_BIT, 0, &plain) != VK_SUCCESS)
				plain.sampleCounts = VK_SAMPLE_COUNT_1_BIT;
			images[count++] = (struct description_image){ (uint32_t)f, (uint32_t)type, p.maxExtent,
				p.maxMipLevels, p.maxArrayLayers, cubes, p.maxResourceSize, plain.sampleCounts, 0 };
		}
	}
	append(out, DESCRIPTION_IMAGES, 0, images, count * sizeof(images[0]));
}

static bool is_power_of_two(VkDeviceSize value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* What the driver asks of buffers, whatever they are used for. */
static int measure_buffer(VkDevice device, struct description_buffer *ret)
{
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = 1,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
			VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT |
			VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
			VK_BUFFER_USAGE_INDEX_BUFFER_BIT | VK_BUFFER_USAGE_VERTEX_BUFFER_BIT |
			VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT,
	};
	VkBuffer buffer;
	VkMemoryRequirements needs;
	if (vkCreateBuffer(device, &info, NULL, &buffer) != VK_SUCCESS)
		return -EIO;
	vkGetBufferMemoryRequirements(device, buffer, &needs);
	vkDestroyBuffer(device, buffer, NULL);
	*ret = (struct description_buffer){
		.alignment = needs.alignment,
		.size_granularity = needs.size,
		.memory_type_bits = needs.memoryTypeBits,
	};
	return is_power_of_two(needs.alignment) && is_power_of_two(needs.size) ? 0 : -EIO;
}

static int append_buffer(struct buf *out, VkPhysicalDevice device, uint32_t queue_family)
{
	const float priority = 1;
	VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = queue_family,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};
	VkDevice logical;
	struct description_buffer buffer;
	if (vkCreateDevice(device, &info, NULL, &logical) != VK_SUCCESS)
		return -EIO;
	int rc = measure_buffer(logical, &buffer);
	vkDestroyDevice(logical, NULL);
	if (rc == 0)
		append(out, DESCRIPTION_BUFFER, 0, &buffer, sizeof(buffer));
	return rc;
}

static int append_queue(struct buf *out, VkPhysicalDevice device, uint32_t queue_family)
{
	uint32_t count = 0;
	vkGetPhysicalDeviceQueueFamilyProperties(device, &count, NULL);
	VkQueueFamilyProperties *families = calloc(count + 1u, sizeof(*families));
	if (families == NULL)
		return -ENOMEM;
	vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families);
	if (queue_family < count)
		append(out, DESCRIPTION_QUEUE, 0, &families[queue_family], sizeof(families[0]));
	free(families);
	return queue_family < count ? 0 : -EIO;
}

static int append_all(struct buf *out, VkPhysicalDevice device, const char *gpu_id)
{
	uint32_t queue_family, count = 0;
	VkExtensionProperties *extensions;
	int rc = gpu_queue_family(device, &queue_family);
	if (rc < 0)
		return rc;
	rc = gpu_extensions(device, &extensions, &count);
	if (rc < 0)
		return rc;
	VkPhysicalDeviceProperties properties;
	vkGetPhysicalDeviceProperties(device, &properties);
	append(out, DESCRIPTION_TEXT, DESCRIPTION_TEXT_GPU_ID, gpu_id, strlen(gpu_id));
	rc = append_structs(out, device, properties.apiVersion, extensions, count, false);
	if (rc == 0)
		rc = append_structs(out, device, properties.apiVersion, extensions, count, true);
	append(out, DESCRIPTION_EXTENSIONS, 0, extensions, count * sizeof(*extensions));
	bool later = properties.apiVersion >= VK_API_VERSION_1_3 ||
		has_extension(extensions, count, VK_EXT_4444_FORMATS_EXTENSION_NAME);
	free(extensions);
	if (rc < 0)
		return rc;
	append_formats(out, device, later);
	append_images(out, device, later);
	VkPhysicalDeviceMemoryProperties memory = { 0 }; /* the driver writes only the types and heaps that there are */
	vkGetPhysicalDeviceMemoryProperties(device, &memory);
	append(out, DESCRIPTION_MEMORY, 0, &memory, sizeof(memory));
	rc = append_queue(out, device, queue_family);
	return rc < 0 ? rc : append_buffer(out, device, queue_family);
}

static uint32_t count_entries(const unsigned char *at, const unsigned char *end)
{
	uint32_t count = 0;
	for (; at < end; count++) {
		struct description_entry e;
		memcpy(&e, at, sizeof(e));
		at += sizeof(e) + ((e.size + 7u) & ~7u);
	}
	return count;
}

/* Header and entry count for what was appended since `start`; on failure nothing is left. */
static int finish(struct buf *out, size_t start, int rc)
{
	struct description_header header = { .magic = DESCRIPTION_MAGIC, .version = 1 };
	if (rc == 0 && out->failed)
		rc = -ENOMEM;
	if (rc == 0 && out->size - start > DESCRIPTION_MAX_BYTES)
		rc = -EFBIG;
	if (rc < 0) {
		if (!out->failed)
			out->size = start;
		return rc;
	}
	header.size = (uint32_t)(out->size - start);
	header.entry_count = count_entries(out->data + start + sizeof(header), out->data + out->size);
	memcpy(out->data + start, &header, sizeof(header));
	return 0;
}

int description_make(struct buf *out, VkInstance instance, VkPhysicalDevice device, const char *gpu_id)
{
	(void)instance; /* that of the device; the loader finds it by itself */
	size_t start = out->size;
	const struct description_header header = { 0 };
	buf_append(out, &header, sizeof(header));
	return finish(out, start, append_all(out, device, gpu_id));
}

int description_make_enabled(struct buf *out, VkPhysicalDevice device, const VkPhysicalDeviceFeatures2 *features,
	const char *const *extensions, uint32_t extension_count)
{
	size_t start = out->size;
	const struct description_header header = { 0 };
	VkExtensionProperties *offered;
	uint32_t offered_count = 0;
	int rc = gpu_extensions(device, &offered, &offered_count);
	if (rc < 0)
		return rc;
	VkPhysicalDeviceProperties properties;
	vkGetPhysicalDeviceProperties(device, &properties);
	buf_append(out, &header, sizeof(header));
	rc = append_structs(out, device, properties.apiVersion, offered, offered_count, false);
	free(offered);
	for (const VkBaseInStructure *s = (const void *)features; s != NULL; s = s->pNext)
		for (size_t i = 0; i < description_known_count; i++)
			if (description_known[i].type == s->sType) {
				size_t at = out->size + sizeof(struct description_entry);
				append(out, DESCRIPTION_STRUCT, (uint32_t)s->sType, s, description_known[i].size);
				if (!out->failed)
					memset(out->data + at + offsetof(VkBaseInStructure, pNext), 0, sizeof(s->pNext));
			}
	struct buf names = { 0 };
	for (uint32_t i = 0; i < extension_count; i++) {
		VkExtensionProperties e = { 0 };
		snprintf(e.extensionName, sizeof(e.extensionName), "%s", extensions[i]);
		buf_append(&names, &e, sizeof(e));
	}
	append(out, DESCRIPTION_EXTENSIONS, 0, names.data, names.size);
	if (names.failed)
		rc = -ENOMEM;
	buf_finish(&names);
	return finish(out, start, rc);
}
