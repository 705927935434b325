#version 450
// Puts small runs of host bytes in their places, one invocation a word. No two entries of a dispatch name the same word.
layout(local_size_x = 64) in;

layout(set = 0, binding = 0, std430) readonly buffer Entries { uint entries[]; };
layout(set = 0, binding = 1, std430) buffer Memory { uint words[]; };
layout(push_constant) uniform Push { uint first, count; };

void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i >= count)
		return;
	uint at = first + 3 * i;
	uint word = entries[at], mask = entries[at + 1];
	words[word] = (words[word] & ~mask) | entries[at + 2];
}
