#version 450
layout(location = 0) flat in int which;
layout(location = 0) out vec4 colour;

void main()
{
	colour = vec4(1.0, 2.0, 1.0 + float(which), 2.0) / 255.0;
}
