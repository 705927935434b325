#version 450
// sum[0] = sum[0] * 31 + input[0], and the same for each further word.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer Input { uint data[]; };
layout(set = 0, binding = 1) buffer Sum { uint sum[]; };
layout(push_constant) uniform Push { uint count; };
void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i < count)
		sum[i] = sum[i] * 31u + data[i];
}
