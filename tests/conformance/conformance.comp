#version 450
// target[i] = source[i] * factor + add + texels[i] + block[i % 4]
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint factor = 1;
layout(set = 0, binding = 0, std430) readonly buffer Source { uint source[]; };
layout(set = 0, binding = 1, std430) buffer Target { uint target[]; };
layout(set = 0, binding = 2, r32ui) uniform readonly uimageBuffer texels;
layout(set = 0, binding = 3, std140) uniform Block { uvec4 block; };
layout(push_constant) uniform Push { uint add; };

void main()
{
	uint i = gl_GlobalInvocationID.x;
	target[i] = source[i] * factor + add + imageLoad(texels, int(i)).x + block[i % 4];
}
