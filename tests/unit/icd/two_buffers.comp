#version 450
// Reads one buffer, writes the other; the third is bound and not used.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer In { uint in_words[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Out { uint out_words[]; };

void main()
{
	out_words[gl_GlobalInvocationID.x] = in_words[gl_GlobalInvocationID.x];
}
