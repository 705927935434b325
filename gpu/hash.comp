#version 450
// The hash of a window: proto/README.md 1.7, gpu/hash.h. No extension, no subgroup operation: sums commute, so any size and order
// gives the same. What CPU drivers are fast with, and a GPU does not mind: texels of four words, where a storage buffer is read word by word;
// a workgroup for each 64 KiB, so that it reads them one behind the other; four texels a round of the loop; no shared memory.
layout(local_size_x = 64) in;

layout(set = 0, binding = 0) uniform usamplerBuffer quads; // R32G32B32A32_UINT
layout(set = 0, binding = 1, std430) buffer Sums { uint sum_lo, sum_hi; };
layout(push_constant) uniform Push { uint n0, n1, first_quad, word_count, index_base; };

const uint GROUP_QUADS = 4096u, LANES = 64u, PLACE = 0x9E3779B1u;

uvec4 lo = uvec4(0), hi = uvec4(0), key;
uint at, mask;

void add()
{
	uvec4 x = texelFetch(quads, int(at)) ^ key;
	at += LANES;
	key += 4 * LANES * PLACE;
	x ^= x >> 16;
	x *= 0x85EBCA6Bu;
	x ^= x >> 13;
	lo += x * 0xC2B2AE35u;
	hi += ((x ^ mask) * 0x27D4EB2Fu) ^ (x >> 15);
}

void main()
{
	uint self = gl_LocalInvocationID.x, start = gl_WorkGroupID.x * GROUP_QUADS;
	uint quad_count = word_count / 4, left = word_count % 4;
	uint count = start < quad_count ? min(quad_count - start, GROUP_QUADS) : 0;

	mask = n1; // read once: a CPU driver does not take it out of the loop
	at = first_quad + start + self;
	key = (index_base + 4 * (start + self) + uvec4(0, 1, 2, 3)) * PLACE + n0;
	uint rounds = count / (4 * LANES);
	for (uint r = rounds; r > 0; r--) {
		add();
		add();
		add();
		add();
	}
	for (uint i = 4 * rounds * LANES + self; i < count; i += LANES)
		add();
	if (left > 0 && gl_GlobalInvocationID.x == 0) { // words of a quad that is not whole
		uvec4 before_lo = lo, before_hi = hi;
		bvec4 outside = greaterThanEqual(uvec4(0, 1, 2, 3), uvec4(left));
		at = first_quad + quad_count;
		key = (index_base + 4 * quad_count + uvec4(0, 1, 2, 3)) * PLACE + n0;
		add();
		lo = mix(lo, before_lo, outside);
		hi = mix(hi, before_hi, outside);
	}
	atomicAdd(sum_lo, lo.x + lo.y + lo.z + lo.w);
	atomicAdd(sum_hi, hi.x + hi.y + hi.z + hi.w);
}
