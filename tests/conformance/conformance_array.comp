#version 450
#extension GL_EXT_nonuniform_qualifier : require
// many[to][i] = many[from][i] * 3 + i
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) buffer Many { uint words[]; } many[];
layout(push_constant) uniform Push { uint from, to; };

void main()
{
	uint i = gl_GlobalInvocationID.x;
	many[to].words[i] = many[from].words[i] * 3 + i;
}
