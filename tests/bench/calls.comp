#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) buffer Data { uint data[]; };

void main()
{
	uint i = gl_GlobalInvocationID.x;
	data[i] = data[i] == 0 ? i + 1 : data[i] + 1;
}
