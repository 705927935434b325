/* The command stream as an executor reads it, and everything that is decoded looked at. */
#include <stdlib.h>

#include "tests/unit/wire_round.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small ids are of any type, so that the fuzzer finds them. */
static bool any_handle(void *ctx, uint64_t id, VkObjectType type, uint64_t *ret_handle)
{
	if (id < 256) {
		*ret_handle = id;
		return id % 5 != 0;
	}
	return round_handle_of(ctx, id, type, ret_handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char memory[1 << 16];
	struct wire_arena arena = { memory, sizeof(memory), 0 };
	struct wire_reader r = { .at = data, .end = data + size, .arena = &arena, .handle = any_handle }, parameters;
	uint16_t command;
	round_walking = true;
	while (wire_next(&r, &command, &parameters) == 1) {
		bool good = round_decode(command, &parameters);
		if (arena.used > arena.size || parameters.at > parameters.end || (good && parameters.failed))
			abort();
	}
	return 0;
}
