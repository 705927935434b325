#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <spirv/unified1/spirv.h>

#include "gpu/hash.h"
#include "gpu/spirv.h"

#include "reflect_1_1.h"
#include "reflect_1_3.h"

static const struct spirv_variable *variable(const struct spirv_info *info, uint32_t set, uint32_t binding)
{
	for (size_t n = 0; n < info->variable_count; n++)
		if (info->variables[n].set == set && info->variables[n].binding == binding)
			return &info->variables[n];
	fail_msg("no variable %u.%u", set, binding);
	return NULL;
}

static void check_variable(const struct spirv_info *info, uint32_t set, uint32_t binding, VkDescriptorType type,
	uint32_t count, bool non_writable)
{
	const struct spirv_variable *v = variable(info, set, binding);
	assert_int_equal(v->type, type);
	assert_int_equal(v->count, count);
	assert_int_equal(v->non_writable, non_writable);
}

static bool has_capability(const struct spirv_info *info, uint32_t capability)
{
	for (size_t n = 0; n < info->capability_count; n++)
		if (info->capabilities[n] == capability)
			return true;
	return false;
}

static void variables_and_capabilities(void **state)
{
	(void)state;
	struct spirv_info info;
	assert_int_equal(spirv_reflect(reflect_1_1, sizeof(reflect_1_1), "main", NULL, &info), 0);
	assert_int_equal(info.version, 0x10300);
	assert_true(info.uses_subgroups);
	assert_true(has_capability(&info, SpvCapabilityShader));
	assert_true(has_capability(&info, SpvCapabilityGroupNonUniformArithmetic));
	assert_true(has_capability(&info, SpvCapabilityStorageBuffer16BitAccess));
	assert_false(has_capability(&info, SpvCapabilityFloat64));
	assert_int_equal(info.variable_count, 9);
	check_variable(&info, 0, 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, true);
	check_variable(&info, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, false);
	check_variable(&info, 1, 2, VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 3, true);
	check_variable(&info, 1, 3, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, true);
	check_variable(&info, 1, 4, VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, 1, false);
	check_variable(&info, 1, 5, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1, true);
	check_variable(&info, 1, 6, VK_DESCRIPTOR_TYPE_STORAGE_IMAGE, 1, false);
	check_variable(&info, 2, 7, VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1, true);
	check_variable(&info, 2, 8, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, false); /* only one member is readonly */
	spirv_info_finish(&info);
}

static void check_specialization(const uint32_t *code, size_t size)
{
	struct spirv_info info;
	assert_int_equal(spirv_reflect(code, size, NULL, NULL, &info), 0);
	assert_true(info.has_entry && info.local_size_known);
	assert_int_equal(info.local_size[0], 32);
	assert_int_equal(info.local_size[1], 2);
	assert_int_equal(info.local_size[2], 1);
	assert_int_equal(info.workgroup_bytes, (16 * 2 + 1) * 4 + 12);
	spirv_info_finish(&info);

	const uint32_t data[] = { 100, 64 };
	const VkSpecializationMapEntry map[] = { { 3, 4, 4 }, { 5, 0, 4 }, { 9, 0, 4 },
		{ 5, 6, 4 } /* out of the data: left out */ };
	const VkSpecializationInfo s = { 4, map, sizeof(data), data };
	assert_int_equal(spirv_reflect(code, size, "main", &s, &info), 0);
	assert_int_equal(info.local_size[0], 64);
	assert_int_equal(info.workgroup_bytes, (100 * 2 + 1) * 4 + 12);
	spirv_info_finish(&info);
}

static void specialization(void **state)
{
	(void)state;
	check_specialization(reflect_1_1, sizeof(reflect_1_1));
	check_specialization(reflect_1_3, sizeof(reflect_1_3));
}

static void no_such_entry(void **state)
{
	(void)state;
	struct spirv_info info;
	assert_int_equal(spirv_reflect(reflect_1_1, sizeof(reflect_1_1), "mai", NULL, &info), 0);
	assert_false(info.has_entry);
	assert_int_equal(info.local_size[0], 0);
	spirv_info_finish(&info);
}

static void plain_shader_has_fixed_size(void **state)
{
	(void)state;
	struct spirv_info info;
	assert_int_equal(spirv_reflect(hash_shader_code, hash_shader_size, "main", NULL, &info), 0);
	assert_false(info.uses_subgroups);
	assert_int_equal(info.local_size[0], 64);
	assert_int_equal(info.workgroup_bytes, 0);
	check_variable(&info, 0, 0, VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, 1, true);
	check_variable(&info, 0, 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, false); /* BufferBlock of SPIR-V 1.0 */
	spirv_info_finish(&info);
}

/* Every prefix, and every word replaced by some bad ones: no crash, no leak (ASan, in that preset). */
static void malformed(void **state)
{
	(void)state;
	struct spirv_info info;
	uint32_t *copy = malloc(sizeof(reflect_1_1));
	assert_non_null(copy);
	assert_int_equal(spirv_reflect(reflect_1_1, 16, NULL, NULL, &info), -EBADMSG);
	assert_int_equal(spirv_reflect(reflect_1_1, sizeof(reflect_1_1) - 1, NULL, NULL, &info), -EBADMSG);
	for (size_t n = 0; n < sizeof(reflect_1_1) / 4; n++) {
		uint32_t *exact = malloc(n * 4 + 1); /* so that ASan sees a read behind the end */
		assert_non_null(exact);
		memcpy(exact, reflect_1_1, n * 4);
		if (spirv_reflect(exact, n * 4, NULL, NULL, &info) == 0)
			spirv_info_finish(&info);
		free(exact);
		const uint32_t bad[] = { 0, 1, 2, 0xffffffff, reflect_1_1[n] + 1, reflect_1_1[n] ^ 0x10000, 0x7fffffff };
		for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
			memcpy(copy, reflect_1_1, sizeof(reflect_1_1));
			copy[n] = bad[b];
			if (spirv_reflect(copy, sizeof(reflect_1_1), "main", NULL, &info) == 0)
				spirv_info_finish(&info);
		}
	}
	free(copy);
}

/* An array that is its own element would never end. */
static void self_reference_is_refused(void **state)
{
	(void)state;
	struct spirv_info info;
	const uint32_t code[] = { SpvMagicNumber, 0x10300, 0, 10, 0, 3u << 16 | SpvOpTypeRuntimeArray, 2, 3,
		3u << 16 | SpvOpTypeRuntimeArray, 3, 2 };
	assert_int_equal(spirv_reflect(code, sizeof(code), NULL, NULL, &info), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_and_capabilities),
		cmocka_unit_test(specialization),
		cmocka_unit_test(no_such_entry),
		cmocka_unit_test(plain_shader_has_fixed_size),
		cmocka_unit_test(malformed),
		cmocka_unit_test(self_reference_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
