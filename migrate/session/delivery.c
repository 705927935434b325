#include "migrate/session/delivery.h"

#include <string.h>

uint32_t delivery_delta_size(uint32_t run_count, uint64_t byte_count)
{
	uint64_t size = sizeof(struct delivery_header) + sizeof(struct record_write) +
		run_count * sizeof(struct record_run) + byte_count;

	return (uint32_t)((size + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1));
}

void delivery_put_delta(unsigned char *out, uint64_t memory, const struct record_run *runs, uint32_t run_count,
	uint64_t byte_count, const unsigned char *base, bool gently)
{
	const struct delivery_header header = { delivery_delta_size(run_count, byte_count), DELIVERY_DELTA, memory, gently };
	const struct record_write write = { .run_count = run_count, .byte_count = byte_count };
	unsigned char *at = out, *end = out + header.size;

	memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	memcpy(at, &write, sizeof(write));
	at += sizeof(write);
	memcpy(at, runs, run_count * sizeof(*runs));
	at += run_count * sizeof(*runs);
	for (uint32_t i = 0; i < run_count; i++) {
		memcpy(at, base + runs[i].offset, runs[i].size);
		at += runs[i].size;
	}
	memset(at, 0, (size_t)(end - at));
}

void delivery_put(unsigned char *out, enum delivery_kind kind, uint64_t subject, uint64_t value)
{
	const struct delivery_header header = { sizeof(header), kind, subject, value };

	memcpy(out, &header, sizeof(header));
}
