// A WebGPU computation in rounds: integers and floats in two buffers, read back now and then. Exit 77: no adapter, and why.
import { createRequire } from 'node:module'
import path from 'node:path'
import crypto from 'node:crypto'

const [place, rounds] = process.argv.slice(2)
const { create, globals } = await import(createRequire(path.join(place, 'index.js')).resolve('webgpu'))
Object.assign(globalThis, globals)
const gpu = create(['backend=vulkan'])
const adapter = await gpu.requestAdapter()
if (!adapter) {
	console.log('Dawn takes none of the GPUs that it sees')
	process.exit(77)
}
const device = await adapter.requestDevice()
const count = 1 << 16
const module = device.createShaderModule({ code: `
@group(0) @binding(0) var<storage, read> before: array<u32>;
@group(0) @binding(1) var<storage, read_write> after: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
	let i = id.x;
	var x = before[i] ^ before[(i + 1u) % ${count}u];
	x ^= x << 13u; x ^= x >> 17u; x ^= x << 5u;
	let f = f32(x & 0xffffu) * 0.25 + 1.0;
	after[i] = x ^ bitcast<u32>(f);
}` })
const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
const buffers = [0, 1].map(() => device.createBuffer({ size: count * 4, usage }))
device.queue.writeBuffer(buffers[0], 0, Uint32Array.from({ length: count }, (_, i) => i * 2654435761))
const groups = [0, 1].map((from) => device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [
	{ binding: 0, resource: { buffer: buffers[from] } }, { binding: 1, resource: { buffer: buffers[1 - from] } }] }))
const back = device.createBuffer({ size: count * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
for (let round = 0; round < parseInt(rounds); round++) {
	const encoder = device.createCommandEncoder()
	const pass = encoder.beginComputePass()
	pass.setPipeline(pipeline)
	pass.setBindGroup(0, groups[round & 1])
	pass.dispatchWorkgroups(count / 64)
	pass.end()
	const read = round % 10 === 9
	if (read) encoder.copyBufferToBuffer(buffers[1 - (round & 1)], 0, back, 0, count * 4)
	device.queue.submit([encoder.finish()])
	if (!read) continue
	await back.mapAsync(GPUMapMode.READ)
	console.log(round, crypto.createHash('sha256').update(new Uint8Array(back.getMappedRange())).digest('hex'))
	back.unmap()
}
process.exit(0)
