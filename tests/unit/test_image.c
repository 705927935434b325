#include "tests/unit/test.h"

#include "gpu/image.h"

static VkImageCreateInfo make(VkFormat format, VkImageType type, VkExtent3D extent, uint32_t mips, uint32_t layers)
{
	return (VkImageCreateInfo){ .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = type,
		.format = format,
		.extent = extent,
		.mipLevels = mips,
		.arrayLayers = layers,
		.samples = VK_SAMPLE_COUNT_1_BIT };
}

/* Only what every driver copies byte by byte. */
static void formats_carried(void **state)
{
	(void)state;
	assert_int_equal(gpu_format_find(VK_FORMAT_R8G8B8A8_UNORM)->block_bytes, 4);
	assert_int_equal(gpu_format_find(VK_FORMAT_R64G64B64A64_SFLOAT)->block_bytes, 32);
	assert_int_equal(gpu_format_find(VK_FORMAT_BC1_RGB_UNORM_BLOCK)->block_width, 4);
	assert_int_equal(gpu_format_find(VK_FORMAT_ASTC_12x10_UNORM_BLOCK)->block_height, 10);
	assert_null(gpu_format_find(VK_FORMAT_UNDEFINED));
	assert_null(gpu_format_find(VK_FORMAT_R8G8B8_UNORM)); /* 3 bytes: no offset suits both it and the rest */
	assert_int_equal(gpu_format_find(VK_FORMAT_X8_D24_UNORM_PACK32)->block_bytes, 4);
	assert_int_equal(gpu_format_find(VK_FORMAT_S8_UINT)->aspects, VK_IMAGE_ASPECT_STENCIL_BIT);
	assert_null(gpu_format_find(VK_FORMAT_R10X6_UNORM_PACK16));
	assert_null(gpu_format_find(VK_FORMAT_G8_B8_R8_3PLANE_420_UNORM));
	assert_null(gpu_format_find(VK_FORMAT_MAX_ENUM));
}

static void levels_and_layers(void **state)
{
	(void)state;
	struct gpu_image i;
	const VkImageCreateInfo info = make(VK_FORMAT_R8G8_UNORM, VK_IMAGE_TYPE_2D, (VkExtent3D){ 5, 3, 1 }, 3, 2);
	assert_true(gpu_image_init(&i, &info));
	/* 2 × 30 bytes, 2 × (2 × 1 × 2), 2 × (1 × 1 × 2), each level from a multiple of 64 on */
	assert_int_equal(i.mip_offset[1], 64);
	assert_int_equal(i.mip_offset[2], 128);
	assert_int_equal(gpu_image_size(&i), 192);
	const VkSubresourceLayout l = gpu_image_layout(&i, 1, 1);
	assert_int_equal(l.offset, 64 + 4);
	assert_int_equal(l.size, 4);
	assert_int_equal(l.rowPitch, 4);

	VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES];
	assert_int_equal(gpu_image_copies(&i, 1024, regions), 3);
	assert_int_equal(regions[2].bufferOffset, 1024 + 128);
	assert_int_equal(regions[2].imageSubresource.layerCount, 2);
	/* What the copies move is what the layout says. */
	for (uint32_t mip = 0; mip < 3; mip++)
		assert_int_equal(gpu_format_copy_size(&i.format, &regions[mip]), 2 * gpu_image_layout(&i, mip, 0).size);
}

static void blocks_and_slices(void **state)
{
	(void)state;
	struct gpu_image i;
	VkImageCreateInfo info = make(VK_FORMAT_BC3_UNORM_BLOCK, VK_IMAGE_TYPE_2D, (VkExtent3D){ 10, 6, 1 }, 4, 1);
	assert_true(gpu_image_init(&i, &info));
	assert_int_equal(gpu_image_layout(&i, 0, 0).size, 3 * 2 * 16);
	assert_int_equal(gpu_image_layout(&i, 3, 0).size, 16);
	info = make(VK_FORMAT_R32_SFLOAT, VK_IMAGE_TYPE_3D, (VkExtent3D){ 8, 4, 4 }, 2, 1);
	assert_true(gpu_image_init(&i, &info));
	assert_int_equal(gpu_image_layout(&i, 0, 0).depthPitch, 8 * 4 * 4);
	assert_int_equal(gpu_image_layout(&i, 1, 0).size, 4 * 2 * 2 * 4);
}

/* Rows and slices of the buffer may be longer than those copied; what is behind the last texel is not touched. */
static void copies_with_pitch(void **state)
{
	(void)state;
	const VkBufferImageCopy region = { .bufferRowLength = 16,
		.bufferImageHeight = 8,
		.imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 2 },
		.imageExtent = { 4, 2, 1 } };
	assert_int_equal(
		gpu_format_copy_size(gpu_format_find(VK_FORMAT_R32_UINT), &region), (16 * 8 + 16 + 4) * sizeof(uint32_t));
	assert_int_equal(gpu_format_copy_size(gpu_format_find(VK_FORMAT_BC1_RGB_UNORM_BLOCK), &region), (4 * 2 + 1) * 8);
}

/* Each level's stencil lies behind its depth. */
static void depth_and_stencil(void **state)
{
	(void)state;
	struct gpu_image i;
	VkImageCreateInfo info = make(VK_FORMAT_D32_SFLOAT_S8_UINT, VK_IMAGE_TYPE_2D, (VkExtent3D){ 5, 4, 1 }, 2, 2);
	VkBufferImageCopy regions[GPU_IMAGE_MAX_COPIES];
	assert_true(gpu_image_init(&i, &info));
	assert_int_equal(gpu_image_copies(&i, 0, regions), 4);
	assert_int_equal(regions[0].imageSubresource.aspectMask, VK_IMAGE_ASPECT_DEPTH_BIT);
	assert_int_equal(gpu_format_copy_size(&i.format, &regions[0]), 2 * 5 * 4 * 4);
	assert_int_equal(regions[1].imageSubresource.aspectMask, VK_IMAGE_ASPECT_STENCIL_BIT);
	assert_int_equal(regions[1].bufferOffset, 192);
	assert_int_equal(gpu_format_copy_size(&i.format, &regions[1]), 2 * 5 * 4);
	assert_int_equal(regions[2].bufferOffset, 256);
	info = make(VK_FORMAT_R8G8B8A8_UNORM, VK_IMAGE_TYPE_2D, (VkExtent3D){ 8, 8, 1 }, 1, 1);
	info.samples = VK_SAMPLE_COUNT_4_BIT;
	assert_true(gpu_image_init(&i, &info));
	assert_int_equal(gpu_image_size(&i), 8 * 8 * 4 * 4);
	assert_int_equal(gpu_image_copies(&i, 0, regions), 0);
}

static void refused(void **state)
{
	(void)state;
	struct gpu_image i;
	const VkExtent3D small = { 4, 4, 1 };
	VkImageCreateInfo bad[] = {
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, (VkExtent3D){ 0, 4, 1 }, 1, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, (VkExtent3D){ UINT32_MAX, UINT32_MAX, 1 }, 1, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, (VkExtent3D){ 4, 4, 2 }, 1, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_1D, small, 1, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_3D, small, 1, 2),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, small, 4, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, small, 0, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, small, 40, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, small, 1, 0),
		make(VK_FORMAT_R8G8B8_UNORM, VK_IMAGE_TYPE_2D, small, 1, 1),
		make(VK_FORMAT_R8_UNORM, VK_IMAGE_TYPE_2D, small, 1, 1),
	};
	bad[10].samples = VK_SAMPLE_COUNT_8_BIT;
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		assert_false(gpu_image_init(&i, &bad[n]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_carried),
		cmocka_unit_test(levels_and_layers),
		cmocka_unit_test(blocks_and_slices),
		cmocka_unit_test(copies_with_pitch),
		cmocka_unit_test(depth_and_stencil),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
