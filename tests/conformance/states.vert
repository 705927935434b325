#version 450
layout(constant_id = 0) const float depth = 0.5;
layout(location = 0) in vec2 place;
layout(location = 0) flat out int which;

void main()
{
	which = gl_VertexIndex;
	gl_PointSize = 1.0;
	gl_Position = vec4(place, depth, 1.0);
}
