/* Images and views: made, bound, cleared, copied in every way, read back. What shaders do with them is told by tests/programs. */
#include "conformance.h"

#include <string.h>

#define SIDE 16u
#define IMAGE_WORDS (SIDE * SIDE)

static const VkImageSubresourceRange whole = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 };
static const VkImageSubresourceLayers layer = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 };

static const VkImageCreateInfo image_info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
	.imageType = VK_IMAGE_TYPE_2D,
	.format = VK_FORMAT_R32_UINT,
	.extent = { SIDE, SIDE, 1 },
	.mipLevels = 1,
	.arrayLayers = 1,
	.samples = VK_SAMPLE_COUNT_1_BIT,
	.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_STORAGE_BIT };

static void change_layout(VkCommandBuffer c, VkImage image)
{
	const VkImageMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
		.newLayout = VK_IMAGE_LAYOUT_GENERAL,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = image,
		.subresourceRange = whole };
	VK(CmdPipelineBarrier)
	(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &barrier);
}

static VkDeviceSize requirements(VkImage image, uint32_t *ret_types)
{
	const VkImageMemoryRequirementsInfo2 asked = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_REQUIREMENTS_INFO_2,
		.image = image };
	const VkImageSparseMemoryRequirementsInfo2 sparse_asked = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_SPARSE_MEMORY_REQUIREMENTS_INFO_2, .image = image
	};
	const VkDeviceImageMemoryRequirements device_asked = { .sType = VK_STRUCTURE_TYPE_DEVICE_IMAGE_MEMORY_REQUIREMENTS,
		.pCreateInfo = &image_info };
	VkMemoryRequirements needs;
	VkMemoryRequirements2 needs2 = { .sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2 };
	uint32_t count = 9;
	VK(GetImageMemoryRequirements)(w.device, image, &needs);
	VK(GetImageMemoryRequirements2)(w.device, &asked, &needs2);
	say("image: enough %d, the same %d", needs.size >= IMAGE_WORDS * 4,
		memcmp(&needs, &needs2.memoryRequirements, sizeof(needs)) == 0);
	VK(GetImageSparseMemoryRequirements)(w.device, image, &count, NULL);
	expect(count == 0, "no sparse images"); /* Mesa of 2022 leaves the number alone */
	VK(GetImageSparseMemoryRequirements2)(w.device, &sparse_asked, &count, NULL);
	if (HAS(GetImageMemoryRequirements2KHR))
		VK(GetImageMemoryRequirements2KHR)(w.device, &asked, &needs2);
	if (HAS(GetImageSparseMemoryRequirements2KHR))
		VK(GetImageSparseMemoryRequirements2KHR)(w.device, &sparse_asked, &count, NULL);
	if (HAS(GetDeviceImageMemoryRequirementsKHR)) {
		VK(GetDeviceImageMemoryRequirementsKHR)(w.device, &device_asked, &needs2);
		say("image: the same without an image %d", needs2.memoryRequirements.size == needs.size);
	}
	/* Mesa of 2022 has none of this and ends the program. */
	if (HAS(GetDeviceImageSparseMemoryRequirementsKHR) && w.tbmesh)
		VK(GetDeviceImageSparseMemoryRequirementsKHR)(w.device, &device_asked, &count, NULL);
	*ret_types = needs.memoryTypeBits;
	return needs.size;
}

/* One by each way to bind. */
static VkImage make_image(uint32_t way, VkDeviceMemory *ret_memory)
{
	VkImage image;
	uint32_t types, type = 0;
	OK(VK(CreateImage)(w.device, &image_info, NULL, &image));
	const VkDeviceSize size = requirements(image, &types);
	while (!(types & 1u << type))
		type++;
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = size, .memoryTypeIndex = type
	};
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, ret_memory));
	const VkBindImageMemoryInfo bind = {
		.sType = VK_STRUCTURE_TYPE_BIND_IMAGE_MEMORY_INFO, .image = image, .memory = *ret_memory
	};
	if (way == 0)
		OK(VK(BindImageMemory)(w.device, image, *ret_memory, 0));
	else if (way == 1 || !HAS(BindImageMemory2KHR))
		OK(VK(BindImageMemory2)(w.device, 1, &bind));
	else
		OK(VK(BindImageMemory2KHR)(w.device, 1, &bind));
	return image;
}

static void copies2(VkCommandBuffer c, const VkImage *images, const struct buffer *source, const struct buffer *back)
{
	const VkBufferImageCopy2 part = { .sType = VK_STRUCTURE_TYPE_BUFFER_IMAGE_COPY_2,
		.imageSubresource = layer,
		.imageOffset = { 4, 8, 0 },
		.imageExtent = { 8, 4, 1 } };
	const VkBufferImageCopy2 all = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_IMAGE_COPY_2, .imageSubresource = layer, .imageExtent = { SIDE, SIDE, 1 }
	};
	const VkImageCopy2 shift = { .sType = VK_STRUCTURE_TYPE_IMAGE_COPY_2,
		.srcSubresource = layer,
		.dstSubresource = layer,
		.dstOffset = { 1, 2, 0 },
		.extent = { SIDE - 1, SIDE - 2, 1 } };
	const VkCopyBufferToImageInfo2 to = { .sType = VK_STRUCTURE_TYPE_COPY_BUFFER_TO_IMAGE_INFO_2,
		.srcBuffer = source->buffer,
		.dstImage = images[0],
		.dstImageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.regionCount = 1,
		.pRegions = &part };
	const VkCopyImageInfo2 between = { .sType = VK_STRUCTURE_TYPE_COPY_IMAGE_INFO_2,
		.srcImage = images[0],
		.srcImageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.dstImage = images[1],
		.dstImageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.regionCount = 1,
		.pRegions = &shift };
	const VkCopyImageToBufferInfo2 from = { .sType = VK_STRUCTURE_TYPE_COPY_IMAGE_TO_BUFFER_INFO_2,
		.srcImage = images[1],
		.srcImageLayout = VK_IMAGE_LAYOUT_GENERAL,
		.dstBuffer = back->buffer,
		.regionCount = 1,
		.pRegions = &all };
	VK(CmdCopyBufferToImage2KHR)(c, &to);
	full_barrier(c);
	VK(CmdCopyImage2KHR)(c, &between);
	full_barrier(c);
	VK(CmdCopyImageToBuffer2KHR)(c, &from);
}

/* Only of linear images, which need not be there. */
static void look_at_layout(void)
{
	VkImageCreateInfo info = image_info;
	const VkImageSubresource first = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0 };
	VkSubresourceLayout place;
	VkFormatProperties format;
	VkImage image;
	VK(GetPhysicalDeviceFormatProperties)(w.physical, info.format, &format);
	if (!(format.linearTilingFeatures & VK_FORMAT_FEATURE_TRANSFER_DST_BIT)) {
		remark("no linear images");
		if (w.valid_only)
			return;
		OK(VK(CreateImage)(w.device, &info, NULL, &image));
	} else {
		info.tiling = VK_IMAGE_TILING_LINEAR;
		info.usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT;
		OK(VK(CreateImage)(w.device, &info, NULL, &image));
	}
	VK(GetImageSubresourceLayout)(w.device, image, &first, &place);
	expect(place.rowPitch >= SIDE * 4, "a row has room");
	VK(DestroyImage)(w.device, image, NULL);
}

/* What the host writes into one the GPU copies, and the other way round. */
static void linear_image(void)
{
	const VkImageSubresource first = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0 };
	const VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	const VkBufferImageCopy all = { .imageSubresource = layer, .imageExtent = { SIDE, SIDE, 1 } };
	const VkBufferImageCopy part = { .imageSubresource = layer, .imageOffset = { 4, 4, 0 }, .imageExtent = { 8, 8, 1 } };
	VkImageCreateInfo info = image_info;
	VkImageFormatProperties properties;
	info.tiling = VK_IMAGE_TILING_LINEAR;
	info.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	info.initialLayout = VK_IMAGE_LAYOUT_PREINITIALIZED;
	if (VK(GetPhysicalDeviceImageFormatProperties)(
		    w.physical, info.format, info.imageType, info.tiling, info.usage, 0, &properties) != VK_SUCCESS) {
		say("image: none is linear");
		return;
	}
	VkImage image;
	VkMemoryRequirements needs;
	VkDeviceMemory memory;
	VkSubresourceLayout place;
	unsigned char *map;
	uint32_t seen = 0;
	OK(VK(CreateImage)(w.device, &info, NULL, &image));
	VK(GetImageMemoryRequirements)(w.device, image, &needs);
	const VkMemoryAllocateInfo allocate = { VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, NULL, needs.size,
		memory_type(
			needs.memoryTypeBits, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) };
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, &memory));
	OK(VK(BindImageMemory)(w.device, image, memory, 0));
	OK(VK(MapMemory)(w.device, memory, 0, VK_WHOLE_SIZE, 0, (void **)&map));
	VK(GetImageSubresourceLayout)(w.device, image, &first, &place);
	map += place.offset;
	struct buffer back = make_buffer(IMAGE_WORDS * 4, true, usage);
	for (uint32_t y = 0; y < SIDE; y++)
		for (uint32_t x = 0; x < SIDE; x++)
			memcpy(map + y * place.rowPitch + x * 4, &(uint32_t){ y * 1000 + x }, 4);
	for (uint32_t round = 0; round < 3; round++) {
		VkCommandBuffer c = begin();
		if (round == 0) {
			const VkImageMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
				.srcAccessMask = VK_ACCESS_HOST_WRITE_BIT,
				.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
				.oldLayout = VK_IMAGE_LAYOUT_PREINITIALIZED,
				.newLayout = VK_IMAGE_LAYOUT_GENERAL,
				.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
				.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
				.image = image,
				.subresourceRange = whole };
			VK(CmdPipelineBarrier)
			(c, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &barrier);
		}
		VK(CmdCopyImageToBuffer)(c, image, VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &all);
		full_barrier(c);
		VK(CmdCopyBufferToImage)(c, w.source.buffer, image, VK_IMAGE_LAYOUT_GENERAL, 1, &part);
		full_barrier(c);
		run(c);
		say("image, linear: the GPU sees %08x", sum(back.map, IMAGE_WORDS));
		seen = 0;
		for (uint32_t y = 0; y < SIDE; y++)
			seen = seen * 31 + sum((const uint32_t *)(const void *)(map + y * place.rowPitch), SIDE);
		say("image, linear: the host sees %08x", seen);
		/* Beside what the GPU wrote, and in it. */
		memcpy(map + 5 * place.rowPitch + round * 16, &(uint32_t){ 99 }, 4);
		memcpy(map + 15 * place.rowPitch, &(uint32_t){ 77 + round }, 4);
	}
	drop_buffer(&back);
	VK(DestroyImage)(w.device, image, NULL);
	VK(FreeMemory)(w.device, memory, NULL);
}

/* One image twice at one place: what a submission writes through the first, the next one reads through the second. */
static void aliases(void)
{
	const VkBufferImageCopy all = { .imageSubresource = layer, .imageExtent = { SIDE, SIDE, 1 } };
	VkImageCreateInfo info = image_info;
	VkImageFormatProperties properties;
	VkMemoryRequirements needs;
	VkDeviceMemory memory;
	VkImage images[2];
	info.flags = VK_IMAGE_CREATE_ALIAS_BIT;
	info.tiling = VK_IMAGE_TILING_LINEAR;
	info.usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT;
	info.initialLayout = VK_IMAGE_LAYOUT_PREINITIALIZED;
	VkResult known = VK(GetPhysicalDeviceImageFormatProperties)(
		w.physical, info.format, info.imageType, info.tiling, info.usage, info.flags, &properties);
	say("image, aliases: %d", known);
	if (known != VK_SUCCESS)
		return;
	for (unsigned i = 0; i < 2; i++)
		OK(VK(CreateImage)(w.device, &info, NULL, &images[i]));
	VK(GetImageMemoryRequirements)(w.device, images[0], &needs);
	const VkMemoryAllocateInfo allocate = { VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, NULL, needs.size,
		memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) };
	OK(VK(AllocateMemory)(w.device, &allocate, NULL, &memory));
	struct buffer back = make_buffer(IMAGE_WORDS * 4, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	for (unsigned i = 0; i < 2; i++)
		OK(VK(BindImageMemory)(w.device, images[i], memory, 0));
	const VkImageMemoryBarrier kept = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
		.oldLayout = VK_IMAGE_LAYOUT_PREINITIALIZED,
		.newLayout = VK_IMAGE_LAYOUT_GENERAL, /* of both: they are one */
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = images[0],
		.subresourceRange = whole };
	VkCommandBuffer c = begin();
	VK(CmdPipelineBarrier)
	(c, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0, NULL, 1, &kept);
	VK(CmdCopyBufferToImage)(c, w.source.buffer, images[0], VK_IMAGE_LAYOUT_GENERAL, 1, &all);
	full_barrier(c);
	run(c);
	c = begin();
	VK(CmdCopyImageToBuffer)(c, images[1], VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &all);
	full_barrier(c);
	run(c);
	say("image, aliases: through the second %08x", sum(back.map, IMAGE_WORDS));
	drop_buffer(&back);
	for (unsigned i = 0; i < 2; i++)
		VK(DestroyImage)(w.device, images[i], NULL);
	VK(FreeMemory)(w.device, memory, NULL);
}

void case_images(void)
{
	linear_image();
	aliases();
	VkImage images[3];
	VkDeviceMemory memories[3];
	VkImageView view;
	for (uint32_t i = 0; i < 3; i++)
		images[i] = make_image(i, &memories[i]);
	const VkImageViewCreateInfo view_info = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = images[0],
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = VK_FORMAT_R32_UINT,
		.subresourceRange = whole };
	OK(VK(CreateImageView)(w.device, &view_info, NULL, &view));
	VK(DestroyImageView)(w.device, view, NULL);
	look_at_layout();

	const VkBufferUsageFlags usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
	struct buffer back = make_buffer(IMAGE_WORDS * 4, true, usage);
	const VkClearColorValue colour = { .uint32 = { 77, 0, 0, 0 } };
	const VkBufferImageCopy all = { .imageSubresource = layer, .imageExtent = { SIDE, SIDE, 1 } };
	const VkImageCopy part = { layer, { 0, 0, 0 }, layer, { 8, 8, 0 }, { 8, 8, 1 } };
	VkCommandBuffer c = begin();
	for (uint32_t i = 0; i < 3; i++) {
		change_layout(c, images[i]);
		VK(CmdClearColorImage)(c, images[i], VK_IMAGE_LAYOUT_GENERAL, &colour, 1, &whole);
	}
	full_barrier(c);
	VK(CmdCopyBufferToImage)(c, w.source.buffer, images[0], VK_IMAGE_LAYOUT_GENERAL, 1, &all);
	full_barrier(c);
	VK(CmdCopyImage)
	(c, images[0], VK_IMAGE_LAYOUT_GENERAL, images[2], VK_IMAGE_LAYOUT_GENERAL, 1, &part);
	full_barrier(c);
	VK(CmdCopyImageToBuffer)(c, images[2], VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1, &all);
	full_barrier(c);
	run(c);
	say("image: cleared, copied: %08x", sum(back.map, IMAGE_WORDS));
	if (HAS(CmdCopyBufferToImage2KHR)) {
		c = begin();
		copies2(c, images, &w.texels, &back);
		full_barrier(c);
		run(c);
		say("image: copied again: %08x", sum(back.map, IMAGE_WORDS));
	}
	drop_buffer(&back);
	for (uint32_t i = 0; i < 3; i++) {
		VK(DestroyImage)(w.device, images[i], NULL);
		VK(FreeMemory)(w.device, memories[i], NULL);
	}
}
