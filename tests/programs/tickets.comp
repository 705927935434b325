#version 450
// Invocations take numbers from a counter: who gets which is up to the driver's threads. out[i] = the number of invocation i.
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) buffer Counter { uint counter[]; };
layout(set = 0, binding = 1) writeonly buffer Out { uint data_out[]; };
void main()
{
	data_out[gl_GlobalInvocationID.x] = atomicAdd(counter[0], 1);
}
