#version 450
// One step of integers that depends on every earlier one: replays must repeat all of them, in order.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) buffer Cells { uint cells[]; };
layout(push_constant) uniform Push { uint count, factor; };

void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i < count)
		cells[i] = cells[i] * factor + i;
}
