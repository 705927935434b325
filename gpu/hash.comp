#version 450
// The hash of a window: proto/README.md 1.7, gpu/hash.h. No extension, no subgroup operation: sums commute, so any size and order
// gives the same. Four words at a time and no shared memory: that is what CPU drivers are fast with, and a GPU does not mind.
layout(local_size_x = 128) in;

layout(set = 0, binding = 0, std430) readonly buffer Words { uint words[]; };
layout(set = 0, binding = 0, std430) readonly buffer Quads { uvec4 quads[]; };
layout(set = 0, binding = 1, std430) buffer Sums { uint sum_lo, sum_hi; };
layout(push_constant) uniform Push { uint n0, n1, first_word, word_count, index_base; };

uvec4 lo = uvec4(0), hi = uvec4(0);

void add(uvec4 x, uvec4 index)
{
	x ^= index * 0x9E3779B1u + n0;
	x ^= x >> 16;
	x *= 0x85EBCA6Bu;
	x ^= x >> 13;
	lo += x * 0xC2B2AE35u;
	hi += ((x ^ n1) * 0x27D4EB2Fu) ^ (x >> 15);
}

void add_word(uint i)
{
	uvec4 before_lo = lo, before_hi = hi;
	add(uvec4(words[first_word + i], 0, 0, 0), uvec4(index_base + i, 0, 0, 0));
	lo.yzw = before_lo.yzw;
	hi.yzw = before_hi.yzw;
}

void main()
{
	uint self = gl_GlobalInvocationID.x;
	uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	uint head = min((4 - first_word % 4) % 4, word_count); // up to the first whole quad
	uint quad_count = (word_count - head) / 4;
	uint tail = head + 4 * quad_count;
	uint first_quad = (first_word + head) / 4;

	for (uint i = self; i < quad_count; i += stride)
		add(quads[first_quad + i], index_base + head + 4 * i + uvec4(0, 1, 2, 3));
	if (self < head)
		add_word(self);
	if (self < word_count - tail)
		add_word(tail + self);
	atomicAdd(sum_lo, lo.x + lo.y + lo.z + lo.w);
	atomicAdd(sum_hi, hi.x + hi.y + hi.z + hi.w);
}
