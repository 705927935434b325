#include "migrate/session/delivery.h"

#include <string.h>

uint32_t delivery_delta_size(const struct delivery_delta *d)
{
	uint64_t size = sizeof(struct delivery_header) + sizeof(struct record_write) + d->span_count * sizeof(*d->spans) +
		d->mask_count * sizeof(*d->masks) + d->byte_count;

	return (uint32_t)((size + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1));
}

static unsigned char *put(unsigned char *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

void delivery_put_delta(unsigned char *out, const struct delivery_delta *d)
{
	const struct delivery_header header = { delivery_delta_size(d), DELIVERY_DELTA, d->memory, d->gently };
	const struct record_write write = { .run_count = d->span_count, .byte_count = d->byte_count };
	unsigned char *at = out, *end = out + header.size;

	at = put(at, &header, sizeof(header));
	at = put(at, &write, sizeof(write));
	at = put(at, d->spans, d->span_count * sizeof(*d->spans));
	at = put(at, d->masks, d->mask_count * sizeof(*d->masks));
	for (uint32_t i = 0; i < d->span_count; i++)
		at = put(at, d->base + d->spans[i].offset, d->spans[i].size);
	memset(at, 0, (size_t)(end - at));
}

void delivery_put(unsigned char *out, enum delivery_kind kind, uint64_t subject, uint64_t value)
{
	const struct delivery_header header = { sizeof(header), kind, subject, value };

	memcpy(out, &header, sizeof(header));
}
