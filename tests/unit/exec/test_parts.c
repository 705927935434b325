/* The executor's parts that need no GPU. */
#include <stdlib.h>
#include <string.h>

#include "migrate/exec/objects.h"
#include "migrate/exec/range_set.h"
#include "migrate/exec/shader_check.h"
#include "tests/unit/test.h"

#define SPACE 300u

static void test_ranges(void **state)
{
	struct range_set set = { 0 };

	(void)state;
	srand(7);
	for (int round = 0; round < 200; round++) {
		bool model[SPACE + 1] = { false };

		range_set_clear(&set);
		for (int i = 0; i < 30; i++) {
			uint64_t begin = (uint64_t)rand() % SPACE, end = begin + 1 + (uint64_t)rand() % 12;

			end = end < SPACE ? end : SPACE;
			assert_true(range_set_add(&set, begin, end));
			for (uint64_t at = begin; at < end; at++)
				model[at] = true;
			if (rand() % 3)
				continue;
			begin = (uint64_t)rand() % SPACE;
			end = begin + 1 + (uint64_t)rand() % 40;
			assert_true(range_set_cut(&set, begin, end));
			for (uint64_t at = begin; at < end && at < SPACE; at++)
				model[at] = false;
		}
		for (size_t i = 0; i < set.count; i++) {
			assert_true(set.spans[i].begin < set.spans[i].end);
			assert_true(i == 0 || set.spans[i - 1].end < set.spans[i].begin);
			for (uint64_t at = set.spans[i].begin; at < set.spans[i].end; at++) {
				assert_true(model[at]);
				model[at] = false;
			}
		}
		for (uint64_t at = 0; at < SPACE; at++)
			assert_false(model[at]);
	}
	range_set_finish(&set);
}

static void test_objects(void **state)
{
	struct objects objects = { 0 };
	bool alive[2000] = { false };

	(void)state;
	srand(11);
	assert_null(objects_find(&objects, 1));
	assert_null(objects_add(&objects, 0, VK_OBJECT_TYPE_BUFFER));
	for (int i = 0; i < 40000; i++) {
		/* Ids that meet in few slots. */
		uint64_t index = 1 + (uint64_t)rand() % 1999, id = index << 40 | index % 5;
		struct object *object = objects_find(&objects, id);

		assert_int_equal(object != NULL, alive[index]);
		if (object && rand() % 2) {
			assert_int_equal(object->id, id);
			objects_remove(&objects, object);
			alive[index] = false;
		} else if (object) {
			assert_null(objects_add(&objects, id, VK_OBJECT_TYPE_BUFFER));
		} else {
			assert_non_null(objects_add(&objects, id, VK_OBJECT_TYPE_BUFFER));
			alive[index] = true;
		}
	}
	objects_finish(&objects);
}

/* SPIRV-Tools judges what it knows; a capability beyond it is only taken when the VkDevice was made with it. */
static void test_newer_capability(void **state)
{
	const uint32_t newer = 0x00FFFFFF, module[] = { 0x07230203, 0x10000, 0, 1, 0, 2u << 16 | 17, newer };
	static const struct device nothing_enabled;
	struct shader_check check;
	char why[256] = "";

	(void)state;
	assert_true(shader_check_init(&check, &nothing_enabled, NULL));
	assert_true(shader_check_can_judge(&check, 1 /* Shader */));
	assert_true(shader_check_can_judge(&check, 61 /* GroupNonUniform */));
	assert_false(shader_check_can_judge(&check, newer));
	assert_false(shader_check_module(&check, module, sizeof(module), why, sizeof(why)));
	assert_non_null(strstr(why, "16777215"));
	shader_check_finish(&check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_newer_capability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
