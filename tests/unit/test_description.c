#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spirv/unified1/spirv.h>

#include "base/util.h"
#include "gpu/description.h"
#include "gpu/instance.h"
#include "proto/record.h"
#include "tests/unit/vulkan_env.h"

/* A GPU as no driver here has it, made by hand. */
static void append(struct buf *b, uint32_t kind, uint32_t tag, const void *data, size_t size)
{
	struct description_entry e = { .kind = kind, .tag = tag, .size = (uint32_t)size };
	buf_append(b, &e, sizeof(e));
	buf_append(b, data, size);
	buf_align(b, 8);
	((struct description_header *)(void *)b->data)->entry_count++;
	((struct description_header *)(void *)b->data)->size = (uint32_t)b->size;
}

static struct buf make_bytes(void)
{
	struct buf b = { 0 };
	struct description_header header = { .magic = DESCRIPTION_MAGIC, .version = 1 };
	VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.properties = { .apiVersion = VK_API_VERSION_1_1, .deviceName = "Testcard" } };
	p.properties.limits.maxComputeSharedMemorySize = 32768;
	p.properties.limits.maxComputeWorkGroupSize[1] = 256;
	p.properties.limits.minStorageBufferOffsetAlignment = 64;
	VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 };
	f.features.shaderInt64 = VK_TRUE;
	VkPhysicalDeviceShaderFloat16Int8Features f16 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, .shaderFloat16 = VK_TRUE
	};
	VkPhysicalDeviceSubgroupProperties subgroup = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
		.subgroupSize = 32,
		.supportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT };
	VkPhysicalDeviceMaintenance3Properties maintenance3 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
		.maxPerSetDescriptors = 1024,
		.maxMemoryAllocationSize = 1 << 30,
	};
	struct description_buffer buffer = { .alignment = 512, .size_granularity = 16, .memory_type_bits = 1 };
	VkExtensionProperties extensions[2] = { { VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, 1 },
		{ "VK_KHR_16bit_storage", 1 } };
	struct description_format format = { .format = VK_FORMAT_R32_UINT,
		.properties.bufferFeatures = VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT };
	VkPhysicalDeviceMemoryProperties memory = { .memoryHeapCount = 2,
		.memoryTypeCount = 1,
		.memoryHeaps = { { 1ull << 33, 0 }, { 1ull << 32, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT } } };
	buf_append(&b, &header, sizeof(header));
	append(&b, DESCRIPTION_STRUCT, p.sType, &p, sizeof(p));
	append(&b, DESCRIPTION_STRUCT, f.sType, &f, sizeof(f));
	append(&b, DESCRIPTION_STRUCT, f16.sType, &f16, sizeof(f16));
	append(&b, DESCRIPTION_STRUCT, subgroup.sType, &subgroup, sizeof(subgroup));
	append(&b, DESCRIPTION_STRUCT, maintenance3.sType, &maintenance3, sizeof(maintenance3));
	append(&b, DESCRIPTION_BUFFER, 0, &buffer, sizeof(buffer));
	append(&b, DESCRIPTION_EXTENSIONS, 0, extensions, sizeof(extensions));
	append(&b, DESCRIPTION_FORMATS, 0, &format, sizeof(format));
	append(&b, DESCRIPTION_MEMORY, 0, &memory, sizeof(memory));
	append(&b, DESCRIPTION_TEXT, DESCRIPTION_TEXT_HOST, "alpha", 5);
	assert_false(b.failed);
	return b;
}

static void reads_what_was_written(void **state)
{
	(void)state;
	struct buf b = make_bytes();
	struct description d;
	size_t size;
	assert_int_equal(description_parse(&d, b.data, b.size), 0);
	const char *host = description_find(&d, DESCRIPTION_TEXT, DESCRIPTION_TEXT_HOST, &size);
	assert_non_null(host);
	assert_int_equal(size, 5);
	assert_memory_equal(host, "alpha", 5);
	assert_null(description_find(&d, DESCRIPTION_TEXT, DESCRIPTION_TEXT_GPU_ID, NULL));
	assert_null(
		description_struct(&d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(VkPhysicalDeviceFeatures2) + 1));

	VkPhysicalDeviceVulkan12Features f12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.hostQueryReset = 7 };
	VkPhysicalDeviceShaderFloat16Int8Features f16 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, .pNext = &f12
	};
	VkPhysicalDeviceFeatures2 f = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f16 };
	description_fill_chain(&d, &f);
	assert_ptr_equal(f.pNext, &f16);
	assert_ptr_equal(f16.pNext, &f12);
	assert_int_equal(f.features.shaderInt64, VK_TRUE);
	assert_int_equal(f16.shaderFloat16, VK_TRUE);
	assert_int_equal(f16.shaderInt8, VK_FALSE);
	assert_int_equal(f12.hostQueryReset, 7); /* not in the description: left alone */
	description_finish(&d);
	buf_finish(&b);
}

static void covers(void **state)
{
	(void)state;
	struct buf b = make_bytes();
	struct description d;
	assert_int_equal(description_parse(&d, b.data, b.size), 0);
	const struct {
		struct gpu_need need;
		const char *why;
	} cases[] = {
		{ { NEED_FEATURE, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
			  offsetof(VkPhysicalDeviceFeatures2, features.shaderInt64), 0, NULL },
			"" },
		{ { NEED_FEATURE, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
			  offsetof(VkPhysicalDeviceFeatures2, features.shaderFloat64), 0, NULL },
			"needs 64-bit floats (shaderFloat64), which it lacks" },
		/* asked for in Vulkan 1.2's struct, there in the extension's */
		{ { NEED_FEATURE, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
			  offsetof(VkPhysicalDeviceVulkan12Features, shaderFloat16), 0, NULL },
			"" },
		{ { NEED_FEATURE, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, 1, 0, NULL },
			"needs a feature that tbmesh does not know (struct 51, offset 1)" },
		{ { NEED_LIMIT_MIN, offsetof(VkPhysicalDeviceLimits, maxComputeSharedMemorySize), 32768, 0, NULL }, "" },
		{ { NEED_LIMIT_MIN, offsetof(VkPhysicalDeviceLimits, maxComputeSharedMemorySize), 40000, 0, NULL },
			"needs 40000 bytes of shared memory, it has 32768" },
		{ { NEED_LIMIT_MIN, offsetof(VkPhysicalDeviceLimits, maxComputeWorkGroupSize) + 4, 257, 0, NULL },
			"needs maxComputeWorkGroupSize[1] of at least 257, it has 256" },
		{ { NEED_LIMIT_MIN64, UINT64_MAX, 1, 0, NULL },
			"needs a limit that tbmesh does not know (offset 18446744073709551615)" },
		{ { NEED_LIMIT_ALIGN, offsetof(VkPhysicalDeviceLimits, minStorageBufferOffsetAlignment), 128, 0, NULL },
			"" },
		{ { NEED_LIMIT_ALIGN, offsetof(VkPhysicalDeviceLimits, minStorageBufferOffsetAlignment), 16, 0, NULL },
			"uses a storage buffer at an offset of 16 bytes, its alignment is 64" },
		{ { NEED_SUBGROUP_SIZE, 32, 0, 0, NULL }, "" },
		{ { NEED_SUBGROUP_SIZE, 64, 0, 0, NULL }, "needs subgroups of 64, its have 32" },
		{ { NEED_SUBGROUP_SIZE, 32, 1, 0, NULL },
			"needs subgroups of a chosen size (subgroupSizeControl), which it lacks" },
		{ { NEED_SPIRV_CAPABILITY, SpvCapabilityShader, 0, 0, NULL }, "" },
		{ { NEED_SPIRV_CAPABILITY, SpvCapabilityFloat16, 0, 0, NULL }, "" },
		{ { NEED_SPIRV_CAPABILITY, SpvCapabilityGroupNonUniformArithmetic, 0, 0, NULL }, "" },
		{ { NEED_SPIRV_CAPABILITY, SpvCapabilityGroupNonUniformShuffle, 0, 0, NULL },
			"needs subgroup operations (SPIR-V's GroupNonUniformShuffle), which it lacks" },
		{ { NEED_SPIRV_CAPABILITY, SpvCapabilityFloat64, 0, 0, NULL },
			"needs 64-bit floats (SPIR-V's Float64), which it lacks" },
		{ { NEED_SPIRV_CAPABILITY, 99999, 0, 0, NULL },
			"needs SPIR-V's capability 99999, which tbmesh does not know" },
		{ { NEED_EXTENSION, 0, 0, 0, "VK_KHR_16bit_storage" }, "" },
		{ { NEED_EXTENSION, 0, 0, 0, "VK_KHR_push_descriptor" }, "needs VK_KHR_push_descriptor, which it lacks" },
		{ { NEED_MEMORY, 1ull << 32, 0, 0, NULL }, "" },
		{ { NEED_MEMORY, 3ull << 31, 0, 0, NULL }, "needs 6.0 GiB of memory, it has 4.0 GiB" },
		{ { NEED_FORMAT, VK_FORMAT_R32_UINT, VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT, 0, NULL }, "" },
		{ { NEED_FORMAT, VK_FORMAT_R32_UINT, 0, VK_FORMAT_FEATURE_STORAGE_IMAGE_BIT, NULL },
			"uses VkFormat 98 in a way that it lacks" },
		{ { NEED_PROPERTY, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
			  offsetof(VkPhysicalDeviceMaintenance3Properties, maxMemoryAllocationSize), 1 << 30, NULL },
			"" },
		{ { NEED_PROPERTY, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
			  offsetof(VkPhysicalDeviceMaintenance3Properties, maxMemoryAllocationSize), 1ull << 31, NULL },
			"needs 2147483648 bytes in one allocation, it has 1073741824" },
		{ { NEED_PROPERTY, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
			  offsetof(VkPhysicalDeviceMaintenance3Properties, maxPerSetDescriptors), 1025, NULL },
			"needs 1025 descriptors in a set, it has 1024" },
		/* has not the struct, so it names no such limit */
		{ { NEED_PROPERTY, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES,
			  offsetof(VkPhysicalDeviceMaintenance4Properties, maxBufferSize), 1ull << 40, NULL },
			"" },
		{ { NEED_PROPERTY, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, 3, 1, NULL },
			"needs a limit that tbmesh does not know (struct 1000168000, offset 3)" },
		{ { NEED_BIND_ALIGN, 512, 0, 0, NULL }, "" },
		{ { NEED_BIND_ALIGN, 256, 0, 0, NULL },
			"has a buffer at an offset of 256 bytes in its memory, its alignment of buffers is 512" },
		{ { 77, 0, 0, 0, NULL }, "has a need of kind 77, which tbmesh does not know" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char why[160];
		int yes = description_covers(&d, &cases[i].need, 1, why, sizeof(why));
		assert_string_equal(why, cases[i].why);
		assert_int_equal(yes, cases[i].why[0] == '\0');
		assert_int_equal(description_covers(&d, &cases[i].need, 1, NULL, 0), yes);
	}
	assert_int_equal(description_covers(&d, NULL, 0, NULL, 0), 1);
	description_finish(&d);
	buf_finish(&b);
}

static const VkPhysicalDeviceLimits *limits_in(const struct description *d)
{
	const VkPhysicalDeviceProperties2 *p =
		description_struct(d, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, sizeof(*p));
	assert_non_null(p);
	return &p->properties.limits;
}

/* Two cards that differ in everything that is looked at: neither has all that the other one has. */
static void in_common(void **state)
{
	(void)state;
	struct buf a = make_bytes(), b = make_bytes(), out = { 0 };
	struct description x, y, both;
	assert_int_equal(description_parse(&x, a.data, a.size), 0);
	assert_int_equal(description_parse(&y, b.data, b.size), 0);
	VkPhysicalDeviceLimits *other = (VkPhysicalDeviceLimits *)(uintptr_t)limits_in(&y);
	other->maxComputeSharedMemorySize = 16384;
	other->maxComputeWorkGroupSize[1] = 1024;
	other->minStorageBufferOffsetAlignment = 256;
	VkPhysicalDeviceFeatures2 *features = (VkPhysicalDeviceFeatures2 *)(uintptr_t)description_struct(
		&y, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(*features));
	features->features.shaderInt64 = VK_FALSE;
	features->features.shaderFloat64 = VK_TRUE;
	VkPhysicalDeviceSubgroupProperties *subgroup = (VkPhysicalDeviceSubgroupProperties *)(uintptr_t)description_struct(
		&y, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*subgroup));
	size_t size;
	VkExtensionProperties *e =
		(VkExtensionProperties *)(uintptr_t)description_find(&y, DESCRIPTION_EXTENSIONS, 0, &size);
	snprintf(e[0].extensionName, sizeof(e[0].extensionName), "VK_KHR_something_else");
	const struct description *const all[] = { &x, &y };

	assert_int_equal(description_in_common(&out, all, 2), 0);
	assert_int_equal(description_parse(&both, out.data, out.size), 0);
	assert_int_equal(limits_in(&both)->maxComputeSharedMemorySize, 16384);
	assert_int_equal(limits_in(&both)->maxComputeWorkGroupSize[1], 256);
	assert_int_equal(limits_in(&both)->minStorageBufferOffsetAlignment, 256);
	features = (VkPhysicalDeviceFeatures2 *)(uintptr_t)description_struct(
		&both, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, sizeof(*features));
	assert_false(features->features.shaderInt64 || features->features.shaderFloat64);
	e = (VkExtensionProperties *)(uintptr_t)description_find(&both, DESCRIPTION_EXTENSIONS, 0, &size);
	assert_int_equal(size, sizeof(*e));
	assert_string_equal(e[0].extensionName, "VK_KHR_16bit_storage");
	const VkPhysicalDeviceSubgroupProperties *common =
		description_struct(&both, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*common));
	assert_int_not_equal(common->supportedOperations, 0); /* of one size */
	description_finish(&both);
	buf_finish(&out);

	subgroup->subgroupSize = 64;
	assert_int_equal(description_in_common(&out, all, 2), 0);
	assert_int_equal(description_parse(&both, out.data, out.size), 0);
	common = description_struct(&both, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, sizeof(*common));
	assert_int_equal(common->supportedOperations, 0);
	description_finish(&both);
	buf_finish(&out);
	description_finish(&x);
	description_finish(&y);
	buf_finish(&a);
	buf_finish(&b);
}

/* Every prefix and every changed byte is refused or safe to read (ASan tells, in that preset). */
static void malformed(void **state)
{
	(void)state;
	struct buf b = make_bytes();
	struct description d;
	for (size_t size = 0; size < b.size; size++)
		assert_int_equal(description_parse(&d, b.data, size), -EBADMSG);
	for (size_t at = 0; at < b.size; at++) {
		const unsigned char bad[] = { 0, 1, 0x7f, 0x80, 0xff };
		unsigned char was = b.data[at];
		for (size_t i = 0; i < sizeof(bad); i++) {
			b.data[at] = bad[i];
			int rc = description_parse(&d, b.data, b.size);
			if (rc < 0) {
				assert_int_equal(rc, -EBADMSG);
				continue;
			}
			VkPhysicalDeviceProperties2 p = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2 };
			description_fill_chain(&d, &p);
			struct gpu_need needs[] = { { NEED_MEMORY, 1, 0, 0, NULL }, { NEED_EXTENSION, 0, 0, 0, "x" } };
			char why[64];
			description_covers(&d, needs, 2, why, sizeof(why));
			description_finish(&d);
		}
		b.data[at] = was;
	}
	buf_finish(&b);
}

static void real_device(void **state)
{
	const struct gpu_instance *g = *state;
	struct buf b = { 0 };
	struct description d;
	if (g == NULL)
		skip();
	assert_int_equal(description_make(&b, g->instance, g->gpus[0].device, g->gpus[0].id), 0);
	assert_int_equal(description_parse(&d, b.data, b.size), 0);
	printf("description of %s: %zu bytes\n", g->gpus[0].id, b.size);

	/* What the ICD will answer is what the driver says. */
	VkPhysicalDeviceVulkan12Properties said12 = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES };
	VkPhysicalDeviceVulkan12Properties ours12 = said12;
	VkPhysicalDeviceProperties2 said = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &said12 };
	VkPhysicalDeviceProperties2 ours = { .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &ours12 };
	vkGetPhysicalDeviceProperties2(g->gpus[0].device, &said);
	description_fill_chain(&d, &ours);
	assert_string_equal(ours.properties.deviceName, said.properties.deviceName);
	assert_memory_equal(&ours.properties.limits, &said.properties.limits, sizeof(said.properties.limits));
	assert_string_equal(ours12.driverName, said12.driverName);
	assert_int_equal(ours12.maxTimelineSemaphoreValueDifference, said12.maxTimelineSemaphoreValueDifference);

	size_t size;
	assert_non_null(description_find(&d, DESCRIPTION_EXTENSIONS, 0, &size));
	assert_true(size > 10 * sizeof(VkExtensionProperties));
	assert_non_null(description_find(&d, DESCRIPTION_QUEUE, 0, NULL));
	assert_non_null(description_find(&d, DESCRIPTION_MEMORY, 0, NULL));
	const struct description_buffer *buffer = description_find(&d, DESCRIPTION_BUFFER, 0, NULL);
	assert_non_null(buffer);
	assert_true(buffer->memory_type_bits != 0);
	struct gpu_need needs[] = { { NEED_SPIRV_CAPABILITY, SpvCapabilityInt64, 0, 0, NULL },
		{ NEED_MEMORY, 1 << 20, 0, 0, NULL } };
	assert_int_equal(description_covers(&d, needs, 2, NULL, 0), 1);
	description_finish(&d);
	buf_finish(&b);
}

static struct gpu_instance instance;

static int setup(void **state)
{
	vulkan_env();
	int rc = gpu_instance_init(&instance, "test_description");
	if (rc < 0 || instance.gpu_count == 0) {
		printf("SKIP what needs a Vulkan device: %s\n", rc < 0 ? strerror(-rc) : "there is none");
		*state = NULL;
		return 0;
	}
	*state = &instance;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gpu_instance_finish(&instance);
	return 0;
}

static void ids(void **state)
{
	const struct gpu_instance *g = *state;
	if (g == NULL)
		skip();
	for (size_t i = 0; i < g->gpu_count; i++) {
		printf("GPU %s\n", g->gpus[i].id);
		assert_ptr_equal(gpu_find(g, g->gpus[i].id), &g->gpus[i]);
	}
	assert_null(gpu_find(g, "pci-ffff:ff:1f.7"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(covers),
		cmocka_unit_test(in_common),
		cmocka_unit_test(malformed),
		cmocka_unit_test(ids),
		cmocka_unit_test(real_device),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
