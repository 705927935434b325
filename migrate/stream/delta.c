#include "migrate/stream/delta.h"

#include <errno.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK_BYTES 512u
#define WORD_BYTES sizeof(uint64_t)

static uint64_t load_word(const unsigned char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return word;
}

/* First position from at on where the arrays differ, or size. */
static uint64_t skip_equal(const unsigned char *before, const unsigned char *now, uint64_t at, uint64_t size)
{
	while (size - at >= BLOCK_BYTES && memcmp(before + at, now + at, BLOCK_BYTES) == 0)
		at += BLOCK_BYTES;
	while (size - at >= WORD_BYTES) {
		uint64_t difference = load_word(before + at) ^ load_word(now + at);
		if (difference)
			return at + (unsigned)__builtin_ctzll(difference) / 8;
		at += WORD_BYTES;
	}
	while (at < size && before[at] == now[at])
		at++;
	return at;
}

#ifdef __x86_64__
#define VECTOR_BYTES 32u

typedef char bytes_vector __attribute__((vector_size(VECTOR_BYTES)));

/* How many bytes from at on differ surely: whole vectors in front of the first one with an equal byte. */
__attribute__((target("avx2"))) static uint64_t different_vectors(
	const unsigned char *before, const unsigned char *now, uint64_t at, uint64_t size)
{
	uint64_t start = at;
	for (; size - at >= VECTOR_BYTES; at += VECTOR_BYTES) {
		bytes_vector a, b;
		memcpy(&a, before + at, sizeof(a));
		memcpy(&b, now + at, sizeof(b));
		if (__builtin_ia32_pmovmskb256(a == b))
			break;
	}
	return at - start;
}
#endif

/* First position from at on where the arrays are equal, or size. */
static uint64_t skip_different(const unsigned char *before, const unsigned char *now, uint64_t at, uint64_t size)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		at += different_vectors(before, now, at, size);
#endif
	while (size - at >= WORD_BYTES) {
		uint64_t difference = load_word(before + at) ^ load_word(now + at);
		/* The lowest set bit marks the lowest zero byte exactly; bits above it may be false. */
		uint64_t zero_bytes = (difference - 0x0101010101010101u) & ~difference & 0x8080808080808080u;
		if (zero_bytes)
			return at + (unsigned)__builtin_ctzll(zero_bytes) / 8;
		at += WORD_BYTES;
	}
	while (at < size && before[at] != now[at])
		at++;
	return at;
}

int delta_walk(const void *before, const void *now, uint64_t size, delta_run_fn *run, void *ctx)
{
	for (uint64_t at = skip_equal(before, now, 0, size); at < size;) {
		uint64_t end = skip_different(before, now, at, size);
		/* Equal by now if somebody writes the arrays meanwhile. */
		int r = end > at ? run(ctx, at, end - at) : 0;
		if (r)
			return r;
		at = skip_equal(before, now, end, size);
	}
	return 0;
}

int delta_parse(const void *payload, uint64_t size, uint64_t memory_size, struct delta_view *ret_view)
{
	const struct record_write *write = payload;
	if ((uintptr_t)payload % RECORD_ALIGN || size < sizeof(*write))
		return -EBADMSG;
	uint64_t left = size - sizeof(*write);
	if (write->run_count > left / sizeof(struct record_run))
		return -EBADMSG;
	left -= write->run_count * sizeof(struct record_run);
	if (write->byte_count > left || left - write->byte_count >= RECORD_ALIGN)
		return -EBADMSG;

	const struct record_run *runs = (const struct record_run *)(write + 1);
	uint64_t end = 0, sum = 0;
	for (uint32_t i = 0; i < write->run_count; i++) {
		if (runs[i].size == 0 || runs[i].offset < end || runs[i].offset > memory_size ||
			runs[i].size > memory_size - runs[i].offset || runs[i].size > write->byte_count - sum)
			return -EBADMSG;
		end = runs[i].offset + runs[i].size;
		sum += runs[i].size;
	}
	if (sum != write->byte_count)
		return -EBADMSG;
	*ret_view = (struct delta_view){
		.runs = runs,
		.run_count = write->run_count,
		.bytes = (const unsigned char *)(runs + write->run_count),
		.byte_count = sum,
	};
	return 0;
}

void delta_apply(const struct delta_view *view, void *memory)
{
	const unsigned char *bytes = view->bytes;
	for (uint32_t i = 0; i < view->run_count; i++) {
		memcpy((unsigned char *)memory + view->runs[i].offset, bytes, view->runs[i].size);
		bytes += view->runs[i].size;
	}
}

#ifdef __SSE2__
static uint64_t quarter_mask(const unsigned char *before, const unsigned char *now)
{
	__m128i equal = _mm_cmpeq_epi8(
		_mm_loadu_si128((const __m128i *)(const void *)before), _mm_loadu_si128((const __m128i *)(const void *)now));
	return (uint16_t)~_mm_movemask_epi8(equal);
}

static uint64_t block_mask(const unsigned char *before, const unsigned char *now)
{
	return quarter_mask(before, now) | quarter_mask(before + 16, now + 16) << 16 |
		quarter_mask(before + 32, now + 32) << 32 | quarter_mask(before + 48, now + 48) << 48;
}
#else
static uint64_t block_mask(const unsigned char *before, const unsigned char *now)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < DELTA_BLOCK_BYTES / WORD_BYTES; i++) {
		uint64_t x = load_word(before + i * WORD_BYTES) ^ load_word(now + i * WORD_BYTES);
		/* The high bit of each byte that is not zero; then these eight bits side by side. */
		x = (((x & 0x7f7f7f7f7f7f7f7fu) + 0x7f7f7f7f7f7f7f7fu) | x) & 0x8080808080808080u;
		mask |= ((x >> 7) * 0x0102040810204080u >> 56) << (8 * i);
	}
	return mask;
}
#endif

void delta_masks(const void *before, const void *now, uint64_t size, uint64_t *ret_masks)
{
	const unsigned char *a = before, *b = now;
	uint64_t whole = size / DELTA_BLOCK_BYTES;
	for (uint64_t i = 0; i < whole; i++)
		ret_masks[i] = block_mask(a + i * DELTA_BLOCK_BYTES, b + i * DELTA_BLOCK_BYTES);
	if (size % DELTA_BLOCK_BYTES == 0)
		return;
	ret_masks[whole] = 0;
	for (uint64_t at = whole * DELTA_BLOCK_BYTES; at < size; at++)
		ret_masks[whole] |= (uint64_t)(a[at] != b[at]) << at % DELTA_BLOCK_BYTES;
}

int delta_parse_spans(const void *payload, uint64_t size, uint64_t memory_size, struct delta_spans *ret_spans)
{
	const struct record_write *write = payload;
	if ((uintptr_t)payload % RECORD_ALIGN || size < sizeof(*write))
		return -EBADMSG;
	uint64_t left = size - sizeof(*write);
	if (write->run_count > left / sizeof(struct record_run))
		return -EBADMSG;
	left -= write->run_count * sizeof(struct record_run);

	const struct record_run *spans = (const struct record_run *)(write + 1);
	const uint64_t *masks = (const uint64_t *)(spans + write->run_count);
	uint64_t end = 0, sum = 0, blocks = 0;
	for (uint32_t i = 0; i < write->run_count; i++) {
		if (spans[i].size == 0 || spans[i].offset < end || spans[i].offset > memory_size ||
			spans[i].size > memory_size - spans[i].offset || spans[i].size > left - sum)
			return -EBADMSG;
		end = spans[i].offset + spans[i].size;
		sum += spans[i].size;
		blocks += delta_blocks(spans[i].size);
		if (blocks > (left - sum) / sizeof(*masks))
			return -EBADMSG;
		if (spans[i].size % DELTA_BLOCK_BYTES && masks[blocks - 1] >> spans[i].size % DELTA_BLOCK_BYTES)
			return -EBADMSG;
	}
	if (sum != write->byte_count || left - sum - blocks * sizeof(*masks) >= RECORD_ALIGN)
		return -EBADMSG;
	*ret_spans = (struct delta_spans){
		.spans = spans,
		.span_count = write->run_count,
		.masks = masks,
		.bytes = (const unsigned char *)(masks + blocks),
	};
	return 0;
}

void delta_apply_block(uint64_t mask, const unsigned char *bytes, unsigned char *to)
{
	if (mask == UINT64_MAX) {
		memcpy(to, bytes, DELTA_BLOCK_BYTES);
		return;
	}
	while (mask) {
		unsigned at = (unsigned)__builtin_ctzll(mask);
		if (at % WORD_BYTES == 0 && (mask >> at & 0xff) == 0xff) {
			memcpy(to + at, bytes + at, WORD_BYTES);
			mask &= ~((uint64_t)0xff << at);
		} else {
			to[at] = bytes[at];
			mask &= mask - 1;
		}
	}
}
