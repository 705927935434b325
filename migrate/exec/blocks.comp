#version 450
// Hashes of 64 KiB blocks, one workgroup a block: the window hash of proto/README.md 1.7 with a fixed nonce, from index 0 in each block.
// Why it is of this shape: gpu/hash.comp.
layout(local_size_x = 64) in;

layout(set = 0, binding = 0) uniform usamplerBuffer quads; // R32G32B32A32_UINT
layout(set = 0, binding = 1, std430) buffer Hashes { uint hashes[]; }; // lo, hi of each block; zero before
layout(push_constant) uniform Push { uint first_quad, quad_count, first_hash; }; // first_quad: of the first block; quad_count: behind it

const uint BLOCK_QUADS = 4096u, LANES = 64u;
const uint N0 = 0x7B5E6D21u, N1 = 0x3C9A10F7u, PLACE = 0x9E3779B1u;

uvec4 lo = uvec4(0), hi = uvec4(0), key;
uint at;

void add()
{
	uvec4 x = texelFetch(quads, int(at)) ^ key;
	at += LANES;
	key += 4 * LANES * PLACE;
	x ^= x >> 16;
	x *= 0x85EBCA6Bu;
	x ^= x >> 13;
	lo += x * 0xC2B2AE35u;
	hi += ((x ^ N1) * 0x27D4EB2Fu) ^ (x >> 15);
}

void main()
{
	uint self = gl_LocalInvocationID.x;
	uint block = gl_WorkGroupID.x;
	uint start = block * BLOCK_QUADS;
	uint end = min(BLOCK_QUADS, quad_count - start);

	at = first_quad + start + self;
	key = (4 * self + uvec4(0, 1, 2, 3)) * PLACE + N0;
	uint rounds = end / (4 * LANES);
	for (uint r = rounds; r > 0; r--) {
		add();
		add();
		add();
		add();
	}
	for (uint i = 4 * rounds * LANES + self; i < end; i += LANES)
		add();
	atomicAdd(hashes[2 * (first_hash + block)], lo.x + lo.y + lo.z + lo.w);
	atomicAdd(hashes[2 * (first_hash + block) + 1], hi.x + hi.y + hi.z + hi.w);
}
