#version 450
// data[i] = data[i] * 5 + source[i], modulo 65536; in words of 16 bits, or with WIDE of 32.
#ifdef WIDE
#define word uint
#else
#extension GL_EXT_shader_16bit_storage : require
#define word uint16_t
#endif
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer Source { word source[]; };
layout(set = 0, binding = 1) buffer Data { word data[]; };
layout(push_constant) uniform Push { uint count; };
void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i < count)
		data[i] = word((uint(data[i]) * 5u + uint(source[i])) & 0xffffu);
}
