#version 450
// Makes the bytes that the device will put beside the host's: source[i] = hash of (round, i).
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) buffer Source { uint source[]; };
layout(push_constant) uniform Push { uint count; uint round; };
void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i >= count)
		return;
	uint x = i * 2654435761u + round * 40503u;
	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	x ^= x >> 12;
	source[i] = x;
}
