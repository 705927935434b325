// Generates text, tokens drawn with a fixed seed; prints each with the probabilities of the likeliest ones to their last digit,
// so that any difference in any number shows. Which phase begins goes to stderr.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import path from 'node:path'

const [place, model, prompt, tokens] = process.argv.slice(2)
const require = createRequire(path.join(place, 'index.js'))
const { loadModel } = await import(pathToFileURL(require.resolve('@fugood/llama.node')).href)
const phase = (name) => fs.writeSync(2, `phase ${name}\n`)

phase('load')
const context = await loadModel({ model, n_ctx: 1024, n_gpu_layers: 99, n_threads: 1, lib_variant: 'vulkan', use_mmap: false })
phase('prompt')
let count = 0
const line = (piece) => JSON.stringify(Object.entries(piece))
await context.completion(
	{ prompt, n_predict: parseInt(tokens), temperature: 1, top_k: 20, seed: 1, n_probs: 3, ignore_eos: true },
	(piece) => {
		if (count++ === 0) phase('generation')
		console.log(line({ token: piece.token, probabilities: piece.completion_probabilities }))
	})
phase('end')
await new Promise((resolve) => setTimeout(resolve, 500)) // the last pieces may be told behind the completion's end
console.log(`${count} tokens`)
await context.release()
