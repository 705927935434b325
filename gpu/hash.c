#include "gpu/hash.h"

#include <string.h>

#include "gpu/hash_shader.h" /* generated from hash.comp: hash_shader_code */

#define LANES 8
#define GROUP_WORDS 16384u /* as in the shader */

const size_t hash_shader_size = sizeof(hash_shader_code);

typedef uint32_t lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));

uint32_t hash_groups(uint32_t word_count)
{
	uint32_t groups = word_count / GROUP_WORDS + (word_count % GROUP_WORDS != 0);
	return groups ? groups : 1;
}

void window_hash_init(struct window_hash *h, uint64_t nonce)
{
	*h = (struct window_hash){ .n0 = (uint32_t)nonce, .n1 = (uint32_t)(nonce >> 32) };
}

/* All whole vectors of words; the compiler makes of it what the target of its caller has. */
static inline __attribute__((always_inline)) void hash_vectors(
	struct window_hash *h, const unsigned char *data, size_t count)
{
	lanes key, lo = { 0 }, hi = { 0 };
	for (uint32_t n = 0; n < LANES; n++)
		key[n] = (h->index + n) * 0x9E3779B1u + h->n0;
	for (size_t v = 0; v < count; v++, data += sizeof(lanes), key += LANES * 0x9E3779B1u) {
		lanes x;
		memcpy(&x, data, sizeof(x));
		x ^= key;
		x ^= x >> 16;
		x *= 0x85EBCA6Bu;
		x ^= x >> 13;
		lo += x * 0xC2B2AE35u;
		hi += ((x ^ h->n1) * 0x27D4EB2Fu) ^ (x >> 15);
	}
	for (uint32_t n = 0; n < LANES; n++) {
		h->lo += lo[n];
		h->hi += hi[n];
	}
	h->index += (uint32_t)(count * LANES);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void hash_vectors_avx2(struct window_hash *h, const unsigned char *data, size_t count)
{
	hash_vectors(h, data, count);
}
#endif

void window_hash_update(struct window_hash *h, const void *data, size_t size_bytes)
{
	const unsigned char *at = data, *end = at + size_bytes;
	size_t vectors = size_bytes / sizeof(lanes);
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		hash_vectors_avx2(h, at, vectors);
	else
#endif
		hash_vectors(h, at, vectors);
	for (at += vectors * sizeof(lanes); at < end; at += sizeof(uint32_t)) {
		uint32_t x;
		memcpy(&x, at, sizeof(x));
		x ^= h->index++ * 0x9E3779B1u + h->n0;
		x ^= x >> 16;
		x *= 0x85EBCA6Bu;
		x ^= x >> 13;
		h->lo += x * 0xC2B2AE35u;
		h->hi += ((x ^ h->n1) * 0x27D4EB2Fu) ^ (x >> 15);
	}
}
