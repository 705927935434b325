#version 450
layout(location = 0) flat in vec4 shade;
layout(location = 0) out vec4 colour;
layout(set = 0, binding = 0) buffer Counts { uint counts[]; };

void main()
{
	atomicAdd(counts[uint(gl_FragCoord.x) / 8u], 1u);
	colour = shade;
}
