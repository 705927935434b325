#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/wire_round.h"

#define ROUNDS 200

static void round_init(struct round *x, struct wire_arena *arena)
{
	*x = (struct round){ .memory = malloc(ROUND_MEMORY), .r.arena = arena };
	assert_non_null(x->memory);
	arena->base = malloc(ROUND_MEMORY);
	arena->size = ROUND_MEMORY;
	assert_non_null(arena->base);
}

static void round_clear(struct round *x)
{
	buf_clear(&x->out);
	buf_clear(&x->deps);
	x->used = 0;
	struct wire_writer w = {
		.out = &x->out, .deps = &x->deps, .id = round_id_of, .seen = x->w.seen, .seen_count = x->w.seen_count
	};
	x->w = w;
}

static void round_finish(struct round *x)
{
	wire_writer_finish(&x->w);
	buf_finish(&x->out);
	buf_finish(&x->deps);
	free(x->r.arena->base);
	free(x->memory);
}

/* Tests */

static void all_commands_round_trip(void **state)
{
	(void)state;
	struct round x;
	struct wire_arena arena = { 0 };
	round_init(&x, &arena);
	for (size_t c = 0; c < round_case_count; c++) {
		round_running = round_cases[c].name;
		for (int i = 0; i < ROUNDS; i++) {
			round_clear(&x);
			round_cases[c].run(&x);
		}
	}
	round_finish(&x);
}

/* Each cut, and each changed byte: decoding ends, and in bounds (ASan tells, in that preset). */
static void damaged_commands_are_safe(void **state)
{
	(void)state;
	struct round x;
	struct wire_arena arena = { 0 };
	round_init(&x, &arena);
	for (size_t c = 0; c < round_case_count; c++) {
		round_running = round_cases[c].name;
		round_walking = false;
		round_clear(&x);
		round_cases[c].run(&x);
		size_t size = x.out.size - 8;
		round_walking = true;
		for (size_t cut = 0; cut < size; cut += 4) {
			unsigned char *exact = malloc(cut + 1);
			assert_non_null(exact);
			memcpy(exact, x.out.data + 8, cut);
			struct wire_reader r = {
				.at = exact, .end = exact + cut, .arena = &arena, .handle = round_handle_of
			};
			assert_false(size - cut >= 8 && round_decode((unsigned)c + 1, &r)); /* the last 4 may be padding */
			free(exact);
		}
		for (size_t at = 0; at < size; at++) {
			unsigned char was = x.out.data[8 + at];
			static const unsigned char bad[] = { 0, 1, 0x7f, 0xff };
			for (size_t b = 0; b < sizeof(bad); b++) {
				x.out.data[8 + at] = bad[b];
				struct wire_reader r = { .at = x.out.data + 8,
					.end = x.out.data + x.out.size,
					.arena = &arena,
					.handle = round_handle_of };
				round_decode((unsigned)c + 1, &r);
				assert_true(arena.used <= arena.size);
			}
			x.out.data[8 + at] = was;
		}
	}
	round_walking = false;
	round_finish(&x);
}

static void encode(struct buf *out, struct buf *deps, struct wire_writer *w)
{
	*w = (struct wire_writer){ .out = out, .deps = deps, .id = round_id_of };
}

#define BUFFER(n) ((VkBuffer)(uintptr_t)((uint64_t)VK_OBJECT_TYPE_BUFFER << 16 | (n)))
#define ID(type, n) ((uint64_t)(type) << 16 | (n)) ^ ROUND_HANDLE_TO_ID

/* The form of wire.h, byte by byte. */
static void golden_bytes(void **state)
{
	(void)state;
	struct buf out = { 0 }, deps = { 0 };
	struct wire_writer w;
	round_running = "golden";
	encode(&out, &deps, &w);
	wire_encode_vkCmdCopyBuffer(&w, BUFFER(1), BUFFER(2), 1, &(VkBufferCopy){ 16, 32, 64 });
	const struct {
		uint16_t command, reserved;
		uint32_t size;
		uint64_t src, dst;
		unsigned char rest[32];
	} copy = { WIRE_vkCmdCopyBuffer, 0, 56, ID(VK_OBJECT_TYPE_BUFFER, 1), ID(VK_OBJECT_TYPE_BUFFER, 2),
		{ 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } };
	assert_int_equal(out.size, 56);
	assert_memory_equal(out.data, &copy, 56);
	const uint64_t both[] = { ID(VK_OBJECT_TYPE_BUFFER, 1), ID(VK_OBJECT_TYPE_BUFFER, 2) };
	assert_int_equal(deps.size, sizeof(both));
	assert_memory_equal(deps.data, both, sizeof(both));

	buf_clear(&out);
	wire_encode_vkCmdDispatch(&w, 1, 2, 3);
	const uint32_t dispatch[] = { WIRE_vkCmdDispatch, 24, 1, 2, 3, 0 };
	assert_int_equal(out.size, sizeof(dispatch));
	assert_memory_equal(out.data, dispatch, sizeof(dispatch));

	/* An unknown struct in the chain is left out, a known one is not; unused queue family indices are not looked at. */
	buf_clear(&out);
	VkMemoryDedicatedRequirements unknown = { .sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS };
	VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.pNext = &unknown,
		.size = 0x1000,
		.usage = 0x20,
		.queueFamilyIndexCount = 7,
		.pQueueFamilyIndices = (const uint32_t *)16 };
	wire_encode_vkCreateBuffer(&w, &info, 5);
	const uint32_t create[] = { WIRE_vkCreateBuffer, 48, 0 /* chain */, 0 /* flags */, 0x1000, 0, 0x20, 0, 7,
		0 /* present */, 5, 0 };
	assert_int_equal(out.size, sizeof(create));
	assert_memory_equal(out.data, create, sizeof(create));
	buf_finish(&out);
	buf_finish(&deps);
}

static void stages_carry_their_chain(void **state)
{
	(void)state;
	struct buf out = { 0 }, deps = { 0 };
	struct wire_writer w;
	unsigned char memory[4096];
	struct wire_arena arena = { memory, sizeof(memory), 0 };
	round_running = "vkCreateComputePipelines";
	encode(&out, &deps, &w);
	VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
		.requiredSubgroupSize = 32
	};
	const uint32_t code[] = { 0x07230203, 1, 2, 3 };
	VkShaderModuleCreateInfo module = { .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.pNext = &subgroup,
		.codeSize = sizeof(code),
		.pCode = code };
	const uint64_t data = 0x1122334455667788;
	const VkSpecializationMapEntry entries[] = { { 1, 0, 4 }, { 2, 4, 4 } };
	VkSpecializationInfo specialization = { 2, entries, 8, &data };
	VkComputePipelineCreateInfo info = { .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			.pNext = &module,
			.pName = "main",
			.stage = VK_SHADER_STAGE_COMPUTE_BIT,
			.pSpecializationInfo = &specialization },
		.layout = (VkPipelineLayout)(uintptr_t)((uint64_t)VK_OBJECT_TYPE_PIPELINE_LAYOUT << 16 | 3),
		.basePipelineHandle = (VkPipeline)(uintptr_t)16 /* ignored without DERIVATIVE */,
		.basePipelineIndex = -1 };
	wire_encode_vkCreateComputePipelines(&w, &info, 77);

	uint16_t command;
	struct wire_reader all = { .at = out.data, .end = out.data + out.size, .arena = &arena, .handle = round_handle_of },
			   r;
	struct wire_vkCreateComputePipelines got;
	assert_int_equal(wire_next(&all, &command, &r), 1);
	assert_true(wire_decode_vkCreateComputePipelines(&r, &got));
	assert_int_equal(got.id, 77);
	assert_int_equal(r.created, 77);
	const VkPipelineShaderStageCreateInfo *stage = &got.pCreateInfo->stage;
	const VkShaderModuleCreateInfo *m = stage->pNext;
	assert_int_equal(m->sType, VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
	assert_int_equal(m->codeSize, sizeof(code));
	assert_memory_equal(m->pCode, code, sizeof(code));
	const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *s = m->pNext;
	assert_int_equal(s->requiredSubgroupSize, 32);
	assert_null(s->pNext);
	assert_string_equal(stage->pName, "main");
	assert_int_equal(stage->pSpecializationInfo->pMapEntries[1].offset, 4);
	assert_memory_equal(stage->pSpecializationInfo->pData, &data, 8);
	assert_ptr_equal(got.pCreateInfo->layout, info.layout);
	assert_null(got.pCreateInfo->basePipelineHandle);
	assert_int_equal(got.pCreateInfo->basePipelineIndex, -1);

	/* A small arena, or a map entry that points out of the data, refuses it. */
	arena.size = 200;
	all.at = out.data;
	assert_int_equal(wire_next(&all, &command, &r), 1);
	assert_false(wire_decode_vkCreateComputePipelines(&r, &got));
	arena.size = sizeof(memory);
	buf_clear(&out);
	specialization.dataSize = 7;
	wire_encode_vkCreateComputePipelines(&w, &info, 77);
	all = (struct wire_reader){ .at = out.data, .end = out.data + out.size, .arena = &arena, .handle = round_handle_of };
	assert_int_equal(wire_next(&all, &command, &r), 1);
	assert_false(wire_decode_vkCreateComputePipelines(&r, &got));
	buf_finish(&out);
	buf_finish(&deps);
}

static void deps_have_no_repeats(void **state)
{
	(void)state;
	struct buf out = { 0 }, deps = { 0 };
	struct wire_writer w;
	round_running = "deps";
	encode(&out, &deps, &w);
	for (int round = 0; round < 3; round++) { /* a writer may be used for one list after the other */
		for (unsigned n = 0; n < 5000; n++)
			wire_encode_vkCmdFillBuffer(&w, BUFFER(1 + (n * 7 + (unsigned)round) % 1000), 0, 4, n);
		assert_int_equal(deps.size, 1000 * 8);
		const uint64_t *ids = (const uint64_t *)(void *)deps.data;
		for (size_t i = 0; i < 1000; i++)
			for (size_t k = 0; k < i; k++)
				assert_true(ids[i] != ids[k]);
		buf_clear(&deps);
		buf_clear(&out);
	}
	w.deps = NULL;
	wire_encode_vkCmdFillBuffer(&w, BUFFER(1), 0, 4, 0);
	assert_int_equal(deps.size, 0);
	wire_writer_finish(&w);
	buf_finish(&out);
	buf_finish(&deps);
}

static char played[256];

static VKAPI_ATTR void VKAPI_CALL play_dispatch(VkCommandBuffer cb, uint32_t x, uint32_t y, uint32_t z)
{
	snprintf(played + strlen(played), sizeof(played) - strlen(played), "dispatch %d %u %u %u; ", cb != NULL, x, y, z);
}

static VKAPI_ATTR void VKAPI_CALL play_fill(
	VkCommandBuffer cb, VkBuffer buffer, VkDeviceSize offset, VkDeviceSize size, uint32_t data)
{
	(void)cb;
	snprintf(played + strlen(played), sizeof(played) - strlen(played), "fill %d %d %d %u; ", buffer == BUFFER(9),
		(int)offset, (int)size, data);
}

static void plays_recordings(void **state)
{
	(void)state;
	struct buf out = { 0 };
	struct wire_writer w;
	unsigned char memory[256];
	struct wire_arena arena = { memory, sizeof(memory), 0 };
	const struct wire_table table = { .vkCmdDispatch = play_dispatch, .vkCmdFillBuffer = play_fill };
	VkCommandBuffer cb = (VkCommandBuffer)(uintptr_t)8;
	round_running = "play";
	encode(&out, NULL, &w);
	wire_encode_vkCmdDispatch(&w, 1, 2, 3);
	wire_encode_vkCmdFillBuffer(&w, BUFFER(9), 4, 8, 5);
	struct wire_reader r = { .at = out.data, .end = out.data + out.size, .arena = &arena, .handle = round_handle_of };
	assert_int_equal(wire_play(&r, cb, &table), 1);
	assert_int_equal(wire_play(&r, cb, &table), 1);
	assert_int_equal(wire_play(&r, cb, &table), 0);
	assert_string_equal(played, "dispatch 1 1 2 3; fill 1 4 8 5; ");
	const unsigned not_played[] = { 0, 1 };
	for (size_t i = 0; i < sizeof(not_played) / sizeof(not_played[0]); i++) {
		buf_clear(&out);
		if (not_played[i] == 0)
			wire_encode_vkDestroyBuffer(&w, BUFFER(1)); /* is not for recordings */
		else
			wire_encode_vkCmdDispatchBase(&w, 0, 0, 0, 1, 1, 1); /* the table lacks it */
		r = (struct wire_reader){
			.at = out.data, .end = out.data + out.size, .arena = &arena, .handle = round_handle_of
		};
		assert_int_equal(wire_play(&r, cb, &table), -EBADMSG);
	}
	assert_string_equal(wire_command_name(WIRE_vkCmdDispatch), "vkCmdDispatch");
	assert_string_equal(wire_command_name(0), "unknown");
	assert_string_equal(wire_command_name(60000), "unknown");
	buf_finish(&out);
}

static void bad_headers(void **state)
{
	(void)state;
	struct wire_arena arena = { 0 };
	const struct {
		uint16_t command, reserved;
		uint32_t size;
	} headers[] = {
		{ 0, 0, 8 },
		{ WIRE_COMMAND_END, 0, 8 },
		{ 1, 1, 8 },
		{ 1, 0, 0 },
		{ 1, 0, 4 },
		{ 1, 0, 12 },
		{ 1, 0, 16 },
		{ 1, 0, 0xfffffff8 },
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const unsigned char *bytes = (const unsigned char *)&headers[i];
		struct wire_reader r = { .at = bytes, .end = bytes + 8, .arena = &arena, .handle = round_handle_of }, p;
		uint16_t command;
		assert_int_equal(wire_next(&r, &command, &p), -EBADMSG);
		r.at = bytes + 3;
		assert_int_equal(wire_next(&r, &command, &p), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_commands_round_trip),
		cmocka_unit_test(damaged_commands_are_safe),
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(stages_carry_their_chain),
		cmocka_unit_test(deps_have_no_repeats),
		cmocka_unit_test(plays_recordings),
		cmocka_unit_test(bad_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
