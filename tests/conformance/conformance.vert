#version 450

void main()
{
	gl_Position = vec4(float(gl_VertexIndex & 1) * 4.0 - 1.0, float(gl_VertexIndex >> 1 & 1) * 4.0 - 1.0, 0.5, 1.0);
}
