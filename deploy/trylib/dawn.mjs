// A WebGPU computation in rounds: integers and floats in two buffers, and pictures drawn from them, read back now and then. Exit 77: no adapter, and why.
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
device.addEventListener('uncapturederror', (event) => {
	console.log(`Dawn says: ${event.error.message}`)
	process.exit(1)
})
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
// A picture that goes on from round to round, drawn with what the computation wrote, and resolved from four samples.
const side = 64
const drawing = device.createShaderModule({ code: `
@group(0) @binding(0) var<storage, read> words: array<u32>;
struct Out { @builtin(position) place: vec4f, @location(0) @interpolate(flat, either) colour: vec4f }
@vertex fn corner(@builtin(vertex_index) i: u32, @builtin(instance_index) n: u32) -> Out {
	let w = words[n * 64u + i];
	let x = f32(w & 0xffu) / 128.0 - 1.0;
	let y = f32((w >> 8u) & 0xffu) / 128.0 - 1.0;
	return Out(vec4f(x, y, f32((w >> 16u) & 0xffu) / 256.0, 1.0), unpack4x8unorm(w | 0xff000000u));
}
@fragment fn shade(@location(0) @interpolate(flat, either) colour: vec4f) -> @location(0) vec4f { return colour; }` })
const target = (format, sampleCount, usage) => device.createTexture({ size: [side, side], format, sampleCount, usage })
const attachment = GPUTextureUsage.RENDER_ATTACHMENT
const picture = target('rgba8unorm', 1, attachment | GPUTextureUsage.COPY_SRC)
const depth = target('depth32float', 1, attachment)
const samples = target('rgba8unorm', 4, attachment)
const resolved = target('rgba8unorm', 1, attachment | GPUTextureUsage.COPY_SRC)
const drawPipeline = (depthStencil, count) => device.createRenderPipeline({ layout: 'auto',
	vertex: { module: drawing }, fragment: { module: drawing, targets: [{ format: 'rgba8unorm' }] },
	primitive: { topology: 'triangle-list' }, depthStencil, multisample: { count } })
const plainDraw = drawPipeline({ format: 'depth32float', depthWriteEnabled: true, depthCompare: 'less' }, 1)
const sampledDraw = drawPipeline(undefined, 4)
const draw = (encoder, from, round) => {
	const group = (p) => device.createBindGroup({ layout: p.getBindGroupLayout(0),
		entries: [{ binding: 0, resource: { buffer: buffers[from] } }] })
	let pass = encoder.beginRenderPass({
		colorAttachments: [{ view: picture.createView(), loadOp: 'load', storeOp: 'store' }],
		depthStencilAttachment: { view: depth.createView(), depthClearValue: 1, depthLoadOp: round % 7 ? 'load' : 'clear',
			depthStoreOp: 'store' } })
	pass.setPipeline(plainDraw)
	pass.setBindGroup(0, group(plainDraw))
	pass.draw(3, 2, 0, round)
	pass.end()
	pass = encoder.beginRenderPass({ colorAttachments: [{ view: samples.createView(), resolveTarget: resolved.createView(),
		clearValue: [0, 0, 0, 1], loadOp: 'clear', storeOp: 'discard' }] })
	pass.setPipeline(sampledDraw)
	pass.setBindGroup(0, group(sampledDraw))
	pass.draw(3, 4, 0, round)
	pass.end()
}
const seen = device.createBuffer({ size: 2 * side * side * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
const hash = (buffer) => crypto.createHash('sha256').update(new Uint8Array(buffer.getMappedRange())).digest('hex')
for (let round = 0; round < parseInt(rounds); round++) {
	const encoder = device.createCommandEncoder()
	const pass = encoder.beginComputePass()
	pass.setPipeline(pipeline)
	pass.setBindGroup(0, groups[round & 1])
	pass.dispatchWorkgroups(count / 64)
	pass.end()
	draw(encoder, 1 - (round & 1), round)
	const read = round % 10 === 9
	if (read) encoder.copyTextureToBuffer({ texture: picture }, { buffer: seen, bytesPerRow: side * 4 }, [side, side])
	if (read) encoder.copyTextureToBuffer(
		{ texture: resolved }, { buffer: seen, offset: side * side * 4, bytesPerRow: side * 4 }, [side, side])
	if (read) encoder.copyBufferToBuffer(buffers[1 - (round & 1)], 0, back, 0, count * 4)
	device.queue.submit([encoder.finish()])
	if (!read) continue
	await Promise.all([back.mapAsync(GPUMapMode.READ), seen.mapAsync(GPUMapMode.READ)])
	console.log(round, hash(back), hash(seen))
	seen.unmap()
	back.unmap()
}
process.exit(0)
