#version 450
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_shader_16bit_storage : require
// One of everything that reflection looks at.
layout(local_size_x = 32, local_size_x_id = 3, local_size_y = 2, local_size_z = 1) in;
layout(constant_id = 5) const uint tile = 16;

layout(set = 0, binding = 0, std430) readonly buffer In { uint count; uint in_words[]; };
layout(set = 0, binding = 1, std430) buffer Out { uint out_words[]; };
layout(set = 1, binding = 2) uniform Settings { uint shift; } settings[3];
layout(set = 1, binding = 3, r32ui) uniform readonly uimageBuffer read_texels;
layout(set = 1, binding = 4, r32ui) uniform uimageBuffer texels;
layout(set = 1, binding = 5) uniform usamplerBuffer sampled_texels;
layout(set = 1, binding = 6, r32f) uniform writeonly image2D picture;
layout(set = 2, binding = 7) uniform sampler2D texture_2d;
layout(set = 2, binding = 8, std430) buffer Half { readonly float16_t halves[4]; uint rest; };

shared uint tiles[tile * 2 + 1];
shared vec3 corner;

void main()
{
	uint i = gl_GlobalInvocationID.x;
	tiles[gl_LocalInvocationID.x % tile] = in_words[i] + subgroupAdd(in_words[i]);
	corner = vec3(1.0);
	barrier();
	uint t = imageLoad(read_texels, 0).x + imageLoad(texels, 1).x + texelFetch(sampled_texels, 0).x;
	imageStore(texels, 0, uvec4(t));
	imageStore(picture, ivec2(0), texture(texture_2d, vec2(corner.x)));
	out_words[i] = tiles[0] << settings[1].shift;
	rest = uint(float(halves[0]));
}
