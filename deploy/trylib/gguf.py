"""Writes a model for llama.cpp: the Llama architecture with random weights and one token for each byte. Such a model talks
nonsense, but it computes like any other of its size, and it needs no download. Format: the GGUF specification, version 3."""

import math
import random
import struct

ALIGNMENT = 32
U32, F32, STRING, ARRAY, I32 = 4, 6, 8, 9, 5  # types of metadata values
TENSOR_F32, TENSOR_F16 = 0, 1
TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_BYTE = 1, 2, 3, 6
CONTEXT = 2048
HEAD = 64
# Bytes that are no character of their own are written out: a program that waits for the rest of a character shows nothing meanwhile.
VOCABULARY = [("<unk>", TOKEN_UNKNOWN), ("<s>", TOKEN_CONTROL), ("</s>", TOKEN_CONTROL), ("\u2581", TOKEN_NORMAL)] + \
    [(f"<0x{byte:02X}>", TOKEN_BYTE if byte < 0x80 else TOKEN_NORMAL) for byte in range(256)]
CHUNK = 1 << 22  # bytes written at once


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, value):
    if kind == STRING:
        packed = string(value)
    else:
        packed = struct.pack("<f" if kind == F32 else "<I", value)
    return string(key) + struct.pack("<I", kind) + packed


def array(key, kind, values):
    packed = b"".join(string(v) if kind == STRING else struct.pack("<f" if kind == F32 else "<i", v) for v in values)
    return string(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + packed


class Shape:
    """Of a model whose weights take about that many MiB."""

    def __init__(self, mib):
        self.layers = 4 if mib < 64 else 8
        per_layer = mib * 2**20 / 2 / self.layers  # weights; a layer has 4 w² of attention and 3 w (3 w) of feed-forward
        self.width = max(2, round(math.sqrt(per_layer / 13) / HEAD)) * HEAD
        self.inner = 3 * self.width
        self.heads = self.width // HEAD

    def tensors(self):
        """(name, dimensions, innermost first)"""
        width, inner = self.width, self.inner
        yield "token_embd.weight", (width, len(VOCABULARY))
        for layer in range(self.layers):
            yield f"blk.{layer}.attn_norm.weight", (width,)
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                yield f"blk.{layer}.{name}.weight", (width, width)
            yield f"blk.{layer}.ffn_norm.weight", (width,)
            yield f"blk.{layer}.ffn_gate.weight", (width, inner)
            yield f"blk.{layer}.ffn_up.weight", (width, inner)
            yield f"blk.{layer}.ffn_down.weight", (inner, width)
        yield "output_norm.weight", (width,)
        yield "output.weight", (width, len(VOCABULARY))


def metadata(shape):
    return [
        pair("general.architecture", STRING, "llama"),
        pair("general.name", STRING, "random weights"),
        pair("general.alignment", U32, ALIGNMENT),
        pair("llama.context_length", U32, CONTEXT),
        pair("llama.embedding_length", U32, shape.width),
        pair("llama.block_count", U32, shape.layers),
        pair("llama.feed_forward_length", U32, shape.inner),
        pair("llama.attention.head_count", U32, shape.heads),
        pair("llama.attention.head_count_kv", U32, shape.heads),
        pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        pair("llama.rope.dimension_count", U32, HEAD),
        pair("llama.vocab_size", U32, len(VOCABULARY)),
        pair("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, [token for token, _ in VOCABULARY]),
        array("tokenizer.ggml.scores", F32, [0.0] * len(VOCABULARY)),
        array("tokenizer.ggml.token_type", I32, [kind for _, kind in VOCABULARY]),
        pair("tokenizer.ggml.bos_token_id", U32, 1),
        pair("tokenizer.ggml.eos_token_id", U32, 2),
        pair("tokenizer.ggml.unknown_token_id", U32, 0),
    ]


def half_floats(source, count, inputs):
    """Random half floats of either sign, about 1/sqrt(inputs) in size, so that sums keep their size from layer to layer."""
    exponent = 15 - round(math.log2(math.sqrt(inputs)))
    table = bytes((value & 0x80) | ((exponent - (value >> 2 & 1)) << 2) | (value & 3) for value in range(256))
    data = bytearray(2 * count)
    data[0::2] = source.randbytes(count)
    data[1::2] = source.randbytes(count).translate(table)
    return data


def write(path, mib, seed=1):
    """A model of about that many MiB; the same for the same arguments."""
    shape = Shape(mib)
    infos, layout, offset = [], [], 0
    for name, dimensions in shape.tensors():
        kind = TENSOR_F32 if len(dimensions) == 1 else TENSOR_F16
        count = math.prod(dimensions)
        size = count * (4 if kind == TENSOR_F32 else 2)
        infos.append(string(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset))
        layout.append((kind, count, dimensions[0], -size % ALIGNMENT))
        offset += size + -size % ALIGNMENT
    pairs = metadata(shape)
    source = random.Random(seed)
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(pairs)) + b"".join(pairs) + b"".join(infos))
        file.write(bytes(-file.tell() % ALIGNMENT))
        for kind, count, inputs, padding in layout:
            while count:
                piece = min(count, CHUNK // 2)
                file.write(struct.pack("<f", 1.0) * piece if kind == TENSOR_F32 else half_floats(source, piece, inputs))
                count -= piece
            file.write(bytes(padding))
