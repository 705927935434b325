#version 450
#extension GL_EXT_multiview : require
layout(location = 0) out vec4 colour;

void main()
{
	colour = vec4(float(1 + gl_ViewIndex) / 255.0);
}
