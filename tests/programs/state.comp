#version 450
// Each word becomes a function of itself, its index and the round: all of a large state changes in one dispatch.
layout(local_size_x = 256) in;
layout(set = 0, binding = 0) buffer State { uint state[]; };
layout(set = 0, binding = 1) buffer Sum { uint sum; };
layout(push_constant) uniform Push { uint count; uint round; uint first; };
shared uint partial;
void main()
{
	if (gl_LocalInvocationIndex == 0)
		partial = 0;
	barrier();
	uint local = 0;
	for (uint i = gl_GlobalInvocationID.x; i < count; i += gl_NumWorkGroups.x * 256) {
		uint x = state[i] * 1664525u + (first + i) + round;
		state[i] = x;
		local += x;
	}
	atomicAdd(partial, local);
	barrier();
	if (gl_LocalInvocationIndex == 0)
		atomicAdd(sum, partial);
}
