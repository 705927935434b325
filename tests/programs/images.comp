#version 450
/* One round: the state (an array of layers) mixes with itself and with what is sampled of a texture with mip levels and of a
 * volume; colours derived from it go to another image. */
layout(local_size_x = 8, local_size_y = 8, local_size_z = 1) in;
layout(push_constant) uniform Push { uint round; } push;
layout(set = 0, binding = 0, r32ui) uniform uimage2DArray state;
layout(set = 0, binding = 1, rgba8) uniform writeonly image2D colour;
layout(set = 0, binding = 2) uniform sampler2D textures[2]; /* two views of one image; immutable samplers */
layout(set = 0, binding = 3) uniform texture3D volume;
layout(set = 0, binding = 4) uniform sampler plain;
layout(set = 0, binding = 5, r32ui) uniform readonly uimage2D packed; /* the texture's first level as words */

uint mix_bits(uint h)
{
	h ^= h >> 16;
	h *= 0x85EBCA6Bu;
	h ^= h >> 13;
	return h * 0xC2B2AE35u;
}

void main()
{
	ivec3 at = ivec3(gl_GlobalInvocationID), size = imageSize(state);
	if (any(greaterThanEqual(at, size)))
		return;
	vec2 where = (vec2(at.xy) + 0.5) / vec2(size.xy);
	uint h = imageLoad(state, at).x;
	h ^= packUnorm4x8(textureLod(textures[0], where, float(at.z)));
	h += packUnorm4x8(textureLod(textures[1], where.yx, 0.5));
	h ^= floatBitsToUint(textureLod(sampler3D(volume, plain), vec3(where, 0.3), 0.0).x);
	h += imageLoad(packed, at.xy).x;
	h = mix_bits(h + push.round * 0x9E3779B1u + uint(at.x + 256 * at.y + 65536 * at.z));
	imageStore(state, at, uvec4(h));
	if (at.z == 0)
		imageStore(colour, at.xy, unpackUnorm4x8(h));
}
