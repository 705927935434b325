#version 450
// Hashes of 64 KiB blocks, one workgroup a block: the window hash of proto/README.md 1.7 with a fixed nonce, from index 0 in each block.
// No shared memory, four words at a time: see gpu/hash.comp.
layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Memory { uvec4 quads[]; };
layout(set = 0, binding = 1, std430) buffer Hashes { uint hashes[]; }; // lo, hi of each block; zero before
layout(push_constant) uniform Push { uint first_quad, quad_count, first_hash; }; // first_quad: of the first block; quad_count: behind it

const uint BLOCK_QUADS = 4096u;
const uint N0 = 0x7B5E6D21u, N1 = 0x3C9A10F7u;

void main()
{
	uint block = gl_WorkGroupID.x;
	uint start = block * BLOCK_QUADS;
	uint end = min(BLOCK_QUADS, quad_count - start);
	uvec4 lo = uvec4(0), hi = uvec4(0);

	for (uint i = gl_LocalInvocationID.x; i < end; i += gl_WorkGroupSize.x) {
		uvec4 x = quads[first_quad + start + i] ^ ((4 * i + uvec4(0, 1, 2, 3)) * 0x9E3779B1u + N0);
		x ^= x >> 16;
		x *= 0x85EBCA6Bu;
		x ^= x >> 13;
		lo += x * 0xC2B2AE35u;
		hi += ((x ^ N1) * 0x27D4EB2Fu) ^ (x >> 15);
	}
	atomicAdd(hashes[2 * (first_hash + block)], lo.x + lo.y + lo.z + lo.w);
	atomicAdd(hashes[2 * (first_hash + block) + 1], hi.x + hi.y + hi.z + hi.w);
}
