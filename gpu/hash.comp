#version 450
// The hash of a window: proto/README.md 1.7, gpu/hash.h. No extension, no subgroup operation: sums commute, so any size and order
// gives the same.
layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Words { uint words[]; };
layout(set = 0, binding = 1, std430) buffer Sums { uint sum_lo, sum_hi; };
layout(push_constant) uniform Push { uint n0, n1, first_word, word_count, index_base; };

shared uint group_lo[128], group_hi[128];

void main()
{
	uint lo = 0, hi = 0;
	uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	for (uint i = gl_GlobalInvocationID.x; i < word_count; i += stride) {
		uint x = words[first_word + i] ^ ((index_base + i) * 0x9E3779B1u + n0);
		x ^= x >> 16;
		x *= 0x85EBCA6Bu;
		x ^= x >> 13;
		lo += x * 0xC2B2AE35u;
		hi += ((x ^ n1) * 0x27D4EB2Fu) ^ (x >> 15);
	}
	uint self = gl_LocalInvocationID.x;
	group_lo[self] = lo;
	group_hi[self] = hi;
	for (uint half_size = gl_WorkGroupSize.x / 2; half_size > 0; half_size /= 2) {
		barrier();
		if (self < half_size) {
			group_lo[self] += group_lo[self + half_size];
			group_hi[self] += group_hi[self + half_size];
		}
	}
	if (self == 0) {
		atomicAdd(sum_lo, group_lo[0]);
		atomicAdd(sum_hi, group_hi[0]);
	}
}
