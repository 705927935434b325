#version 450
// One step of heat diffusion on a square grid, fixed border. precise: the same bits wherever + and * are IEEE.
layout(local_size_x = 16, local_size_y = 16) in;
layout(set = 0, binding = 0) readonly buffer From { float from[]; };
layout(set = 0, binding = 1) buffer To { float to[]; };
layout(push_constant) uniform Push { uint side; };
void main()
{
	uint x = gl_GlobalInvocationID.x, y = gl_GlobalInvocationID.y;
	if (x >= side || y >= side)
		return;
	uint i = y * side + x;
	precise float value = from[i];
	if (x > 0 && y > 0 && x < side - 1 && y < side - 1) {
		precise float sum = from[i - 1] + from[i + 1];
		sum = sum + from[i - side];
		sum = sum + from[i + side];
		value = value * 0.5 + sum * 0.125;
	}
	to[i] = value;
}
