/* The hash of a window (proto/README.md 1.7), on the CPU, and the words of the shader that computes it on the GPU. */
#ifndef TBMESH_GPU_HASH_H
#define TBMESH_GPU_HASH_H

#include <stddef.h>
#include <stdint.h>

struct window_hash {
	uint32_t n0, n1;
	uint32_t index; /* of the next word */
	uint32_t lo, hi;
};

void window_hash_init(struct window_hash *h, uint64_t nonce);
/* size_bytes is a multiple of 4; data needs no alignment. Pieces in order; to hash them in any order set `index` before each. */
void window_hash_update(struct window_hash *h, const void *data, size_t size_bytes);
static inline uint64_t window_hash_value(const struct window_hash *h)
{
	return (uint64_t)h->hi << 32 | h->lo;
}

/* The compute shader. Set 0: binding 0 uniform texel buffer with the words (R32G32B32A32_UINT), binding 1 storage buffer with two
 * uint32_t {lo, hi}, which it adds to. Dispatch hash_groups(word_count) × 1 × 1. Words are read from texel first_quad on; the first
 * has index index_base. */
struct hash_push {
	uint32_t n0, n1, first_quad, word_count, index_base;
};
extern const uint32_t hash_shader_code[];
extern const size_t hash_shader_size; /* bytes */
uint32_t hash_groups(uint32_t word_count);

#endif
