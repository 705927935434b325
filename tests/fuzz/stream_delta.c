/* Payloads of WRITE and DELTA: what delta_parse admits can be applied. The first 8 bytes are the memory's size. */
#include <stdlib.h>
#include <string.h>

#include "migrate/stream/delta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int touch_run(void *ctx, uint64_t offset, uint64_t size)
{
	*(uint64_t *)ctx += offset + size;
	return 0;
}

static void apply_spans(const struct delta_spans *d, unsigned char *memory)
{
	const unsigned char *bytes = d->bytes;
	const uint64_t *mask = d->masks;
	for (uint32_t i = 0; i < d->span_count; i++) {
		for (uint64_t k = 0; k < d->spans[i].size; k += DELTA_BLOCK_BYTES)
			delta_apply_block(*mask++, bytes + k, memory + d->spans[i].offset + k);
		bytes += d->spans[i].size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t memory_size, sum = 0;
	if (size < sizeof(memory_size))
		return 0;
	memcpy(&memory_size, data, sizeof(memory_size));
	memory_size %= 1u << 16;
	data += sizeof(memory_size);
	size -= sizeof(memory_size);
	unsigned char *payload = malloc(size + 1), *memory = calloc(1, memory_size + 1),
		      *before = calloc(1, memory_size + 1);
	memcpy(payload, data, size);
	struct delta_view view;
	struct delta_spans spans;
	if (delta_parse(payload, size, memory_size, &view) == 0)
		delta_apply(&view, memory);
	if (delta_parse_spans(payload, size, memory_size, &spans) == 0)
		apply_spans(&spans, memory);
	delta_walk(before, memory, memory_size, touch_run, &sum);
	free(payload);
	free(memory);
	free(before);
	return 0;
}
