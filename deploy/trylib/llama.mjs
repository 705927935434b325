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
let generates = false
const { completion_probabilities: list } = await context.completion(
	{ prompt, n_predict: parseInt(tokens), temperature: 1, top_k: 20, seed: 1, n_probs: 3, ignore_eos: true },
	() => {
		if (!generates) phase('generation')
		generates = true
	})
phase('end')
// The list of the completion itself: what its pieces tell may come behind its end or not at all.
for (const token of list) console.log(JSON.stringify(token))
console.log(`${list.length} tokens`)
await context.release()
