#version 450
// Works on host-visible memory directly: out[i] += in[i] * factor[0]; counts rounds in tally[0].
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) readonly buffer In { uint data_in[]; };
layout(set = 0, binding = 1) buffer Out { uint data_out[]; };
layout(set = 0, binding = 2) readonly buffer Factor { uint factor[]; };
layout(set = 0, binding = 3) buffer Tally { uint tally[]; };
void main()
{
	uint i = gl_GlobalInvocationID.x;
	if (i == 0)
		tally[0] += 1;
	if (i < factor[1])
		data_out[i] += data_in[i] * factor[0];
}
