/* Images of every kind that compute programs use: storage images with layers, sampled ones with mip levels, a volume, views with
 * another format and with swizzles, immutable samplers, copies in all directions, clears; several images and a buffer share one
 * memory, and one of them the buffer's bytes. Some rounds, each of which depends on all before; prints a hash now and then and at the end.
 *   --rounds N (40)   --every N: rounds between readbacks (5) */
#include "minivk.h"

#include <stdio.h>
#include <string.h>

#include "images.comp.h"

#define SIZE 64u
#define LAYERS 3u
#define MIPS 3u
#define DEPTH 8u
#define WORDS (SIZE * SIZE * LAYERS)

static struct minivk v;
static struct {
	VkImage image;
	VkFormat format;
	VkExtent3D extent;
	uint32_t mips, layers;
	VkImageCreateFlags flags;
	VkImageUsageFlags usage;
	VkDeviceSize offset;
} images[] = {
	{ .format = VK_FORMAT_R32_UINT,
		.extent = { SIZE, SIZE, 1 },
		.mips = 1,
		.layers = LAYERS,
		.usage = VK_IMAGE_USAGE_STORAGE_BIT },
	{ .format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { SIZE, SIZE, 1 },
		.mips = 1,
		.layers = 1,
		.usage = VK_IMAGE_USAGE_STORAGE_BIT },
	{ .format = VK_FORMAT_R8G8B8A8_UNORM,
		.extent = { SIZE, SIZE, 1 },
		.mips = MIPS,
		.layers = 1,
		.flags = VK_IMAGE_CREATE_MUTABLE_FORMAT_BIT,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_STORAGE_BIT },
	{ .format = VK_FORMAT_R32_SFLOAT,
		.extent = { SIZE / 4, SIZE / 4, DEPTH },
		.mips = 1,
		.layers = 1,
		.usage = VK_IMAGE_USAGE_SAMPLED_BIT },
	/* lies over the buffer: whoever was written last is what the memory holds */
	{ .format = VK_FORMAT_R32_UINT,
		.extent = { SIZE, SIZE, 1 },
		.mips = 1,
		.layers = 1,
		.flags = VK_IMAGE_CREATE_ALIAS_BIT,
		.usage = VK_IMAGE_USAGE_STORAGE_BIT },
};
enum { STATE, COLOUR, TEXTURE, VOLUME, OVERLAY, IMAGES };

static VkDeviceMemory memory;
static VkBuffer beside; /* in the same memory */
static bool overlaid;   /* OVERLAY is what their bytes hold */
static struct minivk_buffer upload, back;
static VkImageView views[6];
static VkSampler nearest, linear;
static VkDescriptorSetLayout set_layout;
static VkPipelineLayout layout;
static VkPipeline pipeline;
static VkDescriptorPool pool;
static VkDescriptorSet set;

static VkDeviceSize align_up(VkDeviceSize at, VkDeviceSize alignment)
{
	return (at + alignment - 1) / alignment * alignment;
}

static uint32_t memory_type(uint32_t bits)
{
	for (uint32_t i = 0; i < v.memory.memoryTypeCount; i++)
		if ((bits & 1u << i) && (v.memory.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT))
			return i;
	minivk_check(VK_ERROR_FEATURE_NOT_PRESENT, "a memory type for all");
	return 0;
}

static void make_images(void)
{
	const VkFormat formats[] = { VK_FORMAT_R8G8B8A8_UNORM, VK_FORMAT_R32_UINT };
	const VkImageFormatListCreateInfo list = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_LIST_CREATE_INFO, .viewFormatCount = 2, .pViewFormats = formats
	};
	const VkBufferCreateInfo buffer = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = WORDS * 4,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	VkMemoryRequirements need;
	VK(vkCreateBuffer(v.device, &buffer, NULL, &beside));
	vkGetBufferMemoryRequirements(v.device, beside, &need);
	VkDeviceSize end = need.size;
	uint32_t bits = need.memoryTypeBits;
	VkPhysicalDeviceProperties properties;
	vkGetPhysicalDeviceProperties(v.physical, &properties);
	for (uint32_t i = 0; i < IMAGES; i++) {
		const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
			.pNext = images[i].flags & VK_IMAGE_CREATE_MUTABLE_FORMAT_BIT ? &list : NULL,
			.flags = images[i].flags,
			.imageType = images[i].extent.depth > 1 ? VK_IMAGE_TYPE_3D : VK_IMAGE_TYPE_2D,
			.format = images[i].format,
			.extent = images[i].extent,
			.mipLevels = images[i].mips,
			.arrayLayers = images[i].layers,
			.samples = VK_SAMPLE_COUNT_1_BIT,
			.usage = images[i].usage | VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT };
		VkImageFormatProperties most;
		VK(vkGetPhysicalDeviceImageFormatProperties(
			v.physical, info.format, info.imageType, info.tiling, info.usage, info.flags, &most));
		VK(vkCreateImage(v.device, &info, NULL, &images[i].image));
		vkGetImageMemoryRequirements(v.device, images[i].image, &need);
		images[i].offset = align_up(align_up(end, properties.limits.bufferImageGranularity), need.alignment);
		if (i == OVERLAY)
			images[i].offset = 0;
		else
			end = images[i].offset + need.size;
		bits &= need.memoryTypeBits;
	}
	const VkMemoryAllocateInfo allocate = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = end, .memoryTypeIndex = memory_type(bits)
	};
	VK(vkAllocateMemory(v.device, &allocate, NULL, &memory));
	VK(vkBindBufferMemory(v.device, beside, memory, 0));
	for (uint32_t i = 0; i < IMAGES; i++)
		VK(vkBindImageMemory(v.device, images[i].image, memory, images[i].offset));
}

static VkImageView make_view(uint32_t i, VkImageViewType type, VkFormat format, uint32_t mips, VkComponentMapping swizzle)
{
	const VkImageViewCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.image = images[i].image,
		.viewType = type,
		.format = format,
		.components = swizzle,
		.subresourceRange = { VK_IMAGE_ASPECT_COLOR_BIT, 0, mips, 0, VK_REMAINING_ARRAY_LAYERS } };
	VkImageView view;
	VK(vkCreateImageView(v.device, &info, NULL, &view));
	return view;
}

static VkSampler make_sampler(VkFilter filter, VkSamplerAddressMode mode)
{
	const VkSamplerCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
		.magFilter = filter,
		.minFilter = filter,
		.mipmapMode = filter == VK_FILTER_LINEAR ? VK_SAMPLER_MIPMAP_MODE_LINEAR : VK_SAMPLER_MIPMAP_MODE_NEAREST,
		.addressModeU = mode,
		.addressModeV = mode,
		.addressModeW = mode,
		.maxLod = VK_LOD_CLAMP_NONE };
	VkSampler sampler;
	VK(vkCreateSampler(v.device, &info, NULL, &sampler));
	return sampler;
}

static void make_views(void)
{
	const VkComponentMapping same = { 0 };
	const VkComponentMapping turned = { VK_COMPONENT_SWIZZLE_B, VK_COMPONENT_SWIZZLE_ONE, VK_COMPONENT_SWIZZLE_R,
		VK_COMPONENT_SWIZZLE_G };
	views[0] = make_view(STATE, VK_IMAGE_VIEW_TYPE_2D_ARRAY, VK_FORMAT_R32_UINT, 1, same);
	views[1] = make_view(COLOUR, VK_IMAGE_VIEW_TYPE_2D, VK_FORMAT_R8G8B8A8_UNORM, 1, same);
	views[2] = make_view(TEXTURE, VK_IMAGE_VIEW_TYPE_2D, VK_FORMAT_R8G8B8A8_UNORM, VK_REMAINING_MIP_LEVELS, same);
	views[3] = make_view(TEXTURE, VK_IMAGE_VIEW_TYPE_2D, VK_FORMAT_R8G8B8A8_UNORM, MIPS, turned);
	views[4] = make_view(VOLUME, VK_IMAGE_VIEW_TYPE_3D, VK_FORMAT_R32_SFLOAT, 1, same);
	views[5] = make_view(TEXTURE, VK_IMAGE_VIEW_TYPE_2D, VK_FORMAT_R32_UINT, 1, same);
	nearest = make_sampler(VK_FILTER_NEAREST, VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE);
	linear = make_sampler(VK_FILTER_LINEAR, VK_SAMPLER_ADDRESS_MODE_REPEAT);
}

static void make_pipeline(void)
{
	const VkSampler immutable[] = { nearest, linear };
	const VkShaderStageFlags stage = VK_SHADER_STAGE_COMPUTE_BIT;
	const VkDescriptorSetLayoutBinding bindings[] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 1, stage, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 1, stage, NULL },
		{ 2, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 2, stage, immutable },
		{ 3, VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, 1, stage, NULL },
		{ 4, VK_DESCRIPTOR_TYPE_SAMPLER, 1, stage, NULL },
		{ 5, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 1, stage, NULL },
	};
	const VkDescriptorSetLayoutCreateInfo set_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 6, .pBindings = bindings
	};
	VK(vkCreateDescriptorSetLayout(v.device, &set_info, NULL, &set_layout));
	const VkPushConstantRange push = { stage, 0, 4 };
	const VkPipelineLayoutCreateInfo layout_info = { .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &push };
	VK(vkCreatePipelineLayout(v.device, &layout_info, NULL, &layout));
	const VkShaderModuleCreateInfo shader = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof(images_comp), .pCode = images_comp
	};
	VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = stage, .pName = "main" },
		.layout = layout };
	VK(vkCreateShaderModule(v.device, &shader, NULL, &info.stage.module));
	VK(vkCreateComputePipelines(v.device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline));
	vkDestroyShaderModule(v.device, info.stage.module, NULL);
}

static void make_set(void)
{
	const VkDescriptorPoolSize sizes[] = { { VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 3 },
		{ VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 2 }, { VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, 1 },
		{ VK_DESCRIPTOR_TYPE_SAMPLER, 1 } };
	const VkDescriptorPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 4, .pPoolSizes = sizes
	};
	VK(vkCreateDescriptorPool(v.device, &pool_info, NULL, &pool));
	const VkDescriptorSetAllocateInfo allocate = { .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &set_layout };
	VK(vkAllocateDescriptorSets(v.device, &allocate, &set));
	const VkImageLayout general = VK_IMAGE_LAYOUT_GENERAL, read = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
	const VkDescriptorImageInfo infos[] = { { VK_NULL_HANDLE, views[0], general }, { VK_NULL_HANDLE, views[1], general },
		{ VK_NULL_HANDLE, views[2], general }, { VK_NULL_HANDLE, views[3], general },
		{ VK_NULL_HANDLE, views[4], read }, { nearest, VK_NULL_HANDLE, 0 }, { VK_NULL_HANDLE, views[5], general } };
	const struct {
		uint32_t info, count;
		VkDescriptorType type;
	} parts[] = { { 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE }, { 1, 1, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE },
		{ 2, 2, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER }, { 4, 1, VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE },
		{ 5, 1, VK_DESCRIPTOR_TYPE_SAMPLER }, { 6, 1, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE } };
	for (uint32_t i = 0; i < 6; i++) {
		const VkWriteDescriptorSet write = { .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = set,
			.dstBinding = i,
			.descriptorCount = parts[i].count,
			.descriptorType = parts[i].type,
			.pImageInfo = &infos[parts[i].info] };
		vkUpdateDescriptorSets(v.device, 1, &write, 0, NULL);
	}
}

static void move(VkCommandBuffer c, uint32_t i, VkImageLayout from, VkImageLayout to)
{
	const VkAccessFlags all = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
		VK_ACCESS_TRANSFER_WRITE_BIT;
	const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
	const VkImageMemoryBarrier barrier = { .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
		.srcAccessMask = all,
		.dstAccessMask = all,
		.oldLayout = from,
		.newLayout = to,
		.srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
		.image = images[i].image,
		.subresourceRange = {
			VK_IMAGE_ASPECT_COLOR_BIT, 0, VK_REMAINING_MIP_LEVELS, 0, VK_REMAINING_ARRAY_LAYERS } };
	vkCmdPipelineBarrier(c, stages, stages, 0, 0, NULL, 0, NULL, 1, &barrier);
}

static VkImageSubresourceLayers part(uint32_t mip, uint32_t layer, uint32_t layers)
{
	return (VkImageSubresourceLayers){ VK_IMAGE_ASPECT_COLOR_BIT, mip, layer, layers };
}

/* The volume comes from the host, the texture too, with rows farther apart than they are long; the state starts cleared. */
static void fill(void)
{
	uint32_t *words = upload.mapped;
	for (uint32_t i = 0; i < upload.size / 4; i++)
		words[i] = i * 2654435761u ^ i >> 3;
	float *slices = upload.mapped;
	for (uint32_t i = 0; i < SIZE / 4 * SIZE / 4 * DEPTH; i++)
		slices[i] = (float)(i * 37 % 1009) / 16;
	VkCommandBuffer c = minivk_begin(&v);
	for (uint32_t i = 0; i < OVERLAY; i++)
		move(c, i, VK_IMAGE_LAYOUT_UNDEFINED,
			i == VOLUME ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL : VK_IMAGE_LAYOUT_GENERAL);
	const VkBufferImageCopy volume = { .imageSubresource = part(0, 0, 1), .imageExtent = images[VOLUME].extent };
	vkCmdCopyBufferToImage(c, upload.buffer, images[VOLUME].image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &volume);
	const VkDeviceSize behind = SIZE / 4 * SIZE / 4 * DEPTH * 4;
	VkBufferImageCopy levels[MIPS];
	for (uint32_t mip = 0; mip < MIPS; mip++)
		levels[mip] = (VkBufferImageCopy){ .bufferOffset = behind + 64 * mip,
			.bufferRowLength = SIZE + 8,
			.bufferImageHeight = SIZE,
			.imageSubresource = part(mip, 0, 1),
			.imageExtent = { SIZE >> mip, SIZE >> mip, 1 } };
	vkCmdCopyBufferToImage(c, upload.buffer, images[TEXTURE].image, VK_IMAGE_LAYOUT_GENERAL, MIPS, levels);
	const VkClearColorValue seed = { .uint32 = { 0x12345678 } }, grey = { .float32 = { 0.25f, 0.5f, 0.75f, 1 } };
	const VkImageSubresourceRange all = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, VK_REMAINING_ARRAY_LAYERS };
	vkCmdClearColorImage(c, images[STATE].image, VK_IMAGE_LAYOUT_GENERAL, &seed, 1, &all);
	vkCmdClearColorImage(c, images[COLOUR].image, VK_IMAGE_LAYOUT_GENERAL, &grey, 1, &all);
	vkCmdFillBuffer(c, beside, 0, VK_WHOLE_SIZE, 0x5EED);
	move(c, VOLUME, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
	for (uint32_t i = 0; i < VOLUME; i++)
		move(c, i, VK_IMAGE_LAYOUT_GENERAL, VK_IMAGE_LAYOUT_GENERAL);
	minivk_run(&v, c);
}

/* A layer goes through the buffer that shares the memory, back into the next layer. */
static void through_buffer(VkCommandBuffer c, uint32_t round)
{
	const VkBufferImageCopy out = { .imageSubresource = part(0, round % LAYERS, 1),
		.imageExtent = images[STATE].extent };
	VkBufferImageCopy in = out;
	in.imageSubresource.baseArrayLayer = (round + 1) % LAYERS;
	in.imageExtent.height = 8;
	vkCmdCopyImageToBuffer(c, images[STATE].image, VK_IMAGE_LAYOUT_GENERAL, beside, 1, &out);
	minivk_barrier(c);
	vkCmdCopyBufferToImage(c, beside, images[STATE].image, VK_IMAGE_LAYOUT_GENERAL, 1, &in);
	minivk_barrier(c);
	overlaid = false;
}

/* Or through the image that lies over that buffer. */
static void through_overlay(VkCommandBuffer c, uint32_t round)
{
	const VkClearColorValue value = { .uint32 = { round * 0x01010101u } };
	const VkImageSubresourceRange all = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 };
	const VkImageCopy in = { part(0, round % LAYERS, 1), { 0, 16, 0 }, part(0, 0, 1), { 0, 16, 0 }, { SIZE, 32, 1 } };
	const VkImageCopy out = { part(0, 0, 1), { 0, 12, 0 }, part(0, (round + 2) % LAYERS, 1), { 8, 40, 0 },
		{ 24, 8, 1 } };
	move(c, OVERLAY, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_GENERAL);
	vkCmdClearColorImage(c, images[OVERLAY].image, VK_IMAGE_LAYOUT_GENERAL, &value, 1, &all);
	minivk_barrier(c);
	vkCmdCopyImage(
		c, images[STATE].image, VK_IMAGE_LAYOUT_GENERAL, images[OVERLAY].image, VK_IMAGE_LAYOUT_GENERAL, 1, &in);
	minivk_barrier(c);
	vkCmdCopyImage(
		c, images[OVERLAY].image, VK_IMAGE_LAYOUT_GENERAL, images[STATE].image, VK_IMAGE_LAYOUT_GENERAL, 1, &out);
	minivk_barrier(c);
	overlaid = true;
}

static void record_round(VkCommandBuffer c, uint32_t round)
{
	vkCmdBindPipeline(c, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(c, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0, NULL);
	vkCmdPushConstants(c, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &round);
	vkCmdDispatch(c, SIZE / 8, SIZE / 8, LAYERS);
	minivk_barrier(c);
	/* A part of the colours becomes texture, turned about; the smallest level is one colour. */
	const uint32_t half = SIZE / 2, x = round % 2 * half, y = round / 2 % 2 * half;
	const VkImageCopy copies[] = {
		{ part(0, 0, 1), { (int32_t)x, (int32_t)y, 0 }, part(0, 0, 1), { (int32_t)y, (int32_t)x, 0 },
			{ half, half, 1 } },
		{ part(0, 0, 1), { 0, 0, 0 }, part(1, 0, 1), { 0, 0, 0 }, { half, half, 1 } },
	};
	vkCmdCopyImage(
		c, images[COLOUR].image, VK_IMAGE_LAYOUT_GENERAL, images[TEXTURE].image, VK_IMAGE_LAYOUT_GENERAL, 2, copies);
	const VkClearColorValue colour = { .float32 = { (float)(round % 7) / 7, (float)(round % 5) / 5, 0.5f, 1 } };
	const VkImageSubresourceRange smallest = { VK_IMAGE_ASPECT_COLOR_BIT, MIPS - 1, 1, 0, 1 };
	vkCmdClearColorImage(c, images[TEXTURE].image, VK_IMAGE_LAYOUT_GENERAL, &colour, 1, &smallest);
	if (round % 4 == 3)
		through_overlay(c, round);
	through_buffer(c, round);
	if (round % 4 == 1)
		through_overlay(c, round);
}

static uint64_t read_back(void)
{
	VkCommandBuffer c = minivk_begin(&v);
	VkDeviceSize at = 0;
	minivk_barrier(c);
	move(c, VOLUME, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
	for (uint32_t i = 0; i < (overlaid ? IMAGES : OVERLAY); i++) {
		for (uint32_t mip = 0; mip < images[i].mips; mip++) {
			VkBufferImageCopy region = { .bufferOffset = at,
				.imageSubresource = part(mip, 0, images[i].layers),
				.imageExtent = images[i].extent };
			region.imageExtent.width >>= mip;
			region.imageExtent.height >>= mip;
			at += (VkDeviceSize)4 * images[i].layers * region.imageExtent.width * region.imageExtent.height *
				region.imageExtent.depth;
			vkCmdCopyImageToBuffer(c, images[i].image,
				i == VOLUME ? VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL : VK_IMAGE_LAYOUT_GENERAL, back.buffer, 1,
				&region);
		}
	}
	/* Of the buffer what is not overlaid. */
	const VkDeviceSize hidden = overlaid ? SIZE * SIZE * 4 : 0;
	const VkBufferCopy buffer = { hidden, at, WORDS * 4 - hidden };
	vkCmdCopyBuffer(c, beside, back.buffer, 1, &buffer);
	at += buffer.size;
	move(c, VOLUME, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL);
	minivk_barrier(c);
	minivk_run(&v, c);
	return minivk_fnv(back.mapped, at);
}

int main(int argc, char **argv)
{
	const uint32_t rounds = minivk_option(argc, argv, "--rounds", 40), every = minivk_option(argc, argv, "--every", 5);
	minivk_init(&v, "images", NULL);
	make_images();
	minivk_buffer(&v, &upload, 1 << 18, true, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
	minivk_buffer(&v, &back, 1 << 18, true, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
	make_views();
	make_pipeline();
	make_set();
	fill();
	for (uint32_t round = 0; round < rounds; round++) {
		VkCommandBuffer c = minivk_begin(&v);
		record_round(c, round);
		minivk_run(&v, c);
		if (every && (round + 1) % every == 0)
			printf("round %u: %016llx\n", round + 1, (unsigned long long)read_back());
		fflush(stdout);
	}
	printf("images: %016llx\n", (unsigned long long)read_back());

	for (uint32_t i = 0; i < 6; i++)
		vkDestroyImageView(v.device, views[i], NULL);
	for (uint32_t i = 0; i < IMAGES; i++)
		vkDestroyImage(v.device, images[i].image, NULL);
	vkDestroyBuffer(v.device, beside, NULL);
	vkFreeMemory(v.device, memory, NULL);
	vkDestroySampler(v.device, nearest, NULL);
	vkDestroySampler(v.device, linear, NULL);
	vkDestroyDescriptorPool(v.device, pool, NULL);
	vkDestroyPipeline(v.device, pipeline, NULL);
	vkDestroyPipelineLayout(v.device, layout, NULL);
	vkDestroyDescriptorSetLayout(v.device, set_layout, NULL);
	minivk_buffer_finish(&v, &upload);
	minivk_buffer_finish(&v, &back);
	minivk_finish(&v);
	return 0;
}
