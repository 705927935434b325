#version 450
layout(location = 0) in vec2 place;
layout(location = 1) in vec4 colour;
layout(push_constant) uniform Round { uint round; };
layout(location = 0) flat out vec4 shade;

void main()
{
	uint turn = (round + uint(gl_InstanceIndex) * 3u) % 16u;
	vec2 shift = vec2(float(turn % 4u), float(turn / 4u)) / 4.0 - 0.5;
	gl_Position = vec4(place * 0.5 + shift, 0.25 + float((round * 7u + uint(gl_InstanceIndex) * 5u) % 32u) / 64.0, 1.0);
	shade = colour * float(1u + turn) / 16.0;
}
