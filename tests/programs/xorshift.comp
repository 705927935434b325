#version 450
// One round: every word mixes with the word `stride` further on and goes through xorshift32.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer From { uint from[]; };
layout(set = 0, binding = 1) buffer To { uint to[]; };
layout(push_constant) uniform Push { uint count; uint stride; };
void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i >= count)
		return;
	uint x = from[i] + from[(i + stride) % count] * 2654435761u;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	to[i] = x;
}
