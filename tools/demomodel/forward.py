"""The forward pass of the GGUF file in numpy, with a key/value cache: an independent second reading of what the file means."""
import numpy as np

import corpus
import gguf
from bpe import Tokenizer


class Llama:
    """dtype: the arithmetic, numpy.float32 for speed or numpy.float64 for reference values."""

    def __init__(self, path, dtype=np.float32):
        reader = gguf.Reader(path)
        meta = reader.metadata
        get = lambda key: meta["llama." + key]
        self.blocks, self.heads, self.kv_heads = get("block_count"), get("attention.head_count"), get("attention.head_count_kv")
        self.dim, self.eps = get("attention.key_length"), get("attention.layer_norm_rms_epsilon")
        self.context = get("context_length")
        self.dtype = dtype
        self.w = {name: t.astype(dtype) for name, t in reader.tensors.items()}
        angle = np.outer(np.arange(self.context), float(get("rope.freq_base")) ** (-np.arange(0, self.dim, 2) / self.dim))
        self.cos, self.sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
        merges = [tuple(m.split(" ")) for m in meta["tokenizer.ggml.merges"]]
        self.tok = Tokenizer(merges, corpus.SPECIALS)
        if self.tok.tokens != meta["tokenizer.ggml.tokens"]:
            raise ValueError("the vocabulary of the file is not the one its merges give")
        self.stops = {meta["tokenizer.ggml.eos_token_id"], meta["tokenizer.ggml.eot_token_id"]}
        self.reset()

    def reset(self):
        self.pos = 0
        shape = (self.blocks, self.context, self.kv_heads, self.dim)
        self.k, self.v = np.zeros(shape, self.dtype), np.zeros(shape, self.dtype)

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.dtype(self.eps)) * self.w[name]

    def rotate(self, x):
        """x: (positions, heads, dim), the first at self.pos; neighbouring pairs turn together."""
        cos, sin = self.cos[self.pos:self.pos + len(x), None], self.sin[self.pos:self.pos + len(x), None]
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def attention(self, x, block):
        p, n = f"blk.{block}.", len(x)
        q = self.rotate((x @ self.w[p + "attn_q.weight"].T).reshape(n, self.heads, self.dim))
        k = self.rotate((x @ self.w[p + "attn_k.weight"].T).reshape(n, self.kv_heads, self.dim))
        end = self.pos + n
        self.k[block, self.pos:end] = k
        self.v[block, self.pos:end] = (x @ self.w[p + "attn_v.weight"].T).reshape(n, self.kv_heads, self.dim)
        group = self.heads // self.kv_heads
        keys, values = np.repeat(self.k[block, :end], group, 1), np.repeat(self.v[block, :end], group, 1)
        score = np.einsum("qhd,khd->hqk", q, keys, optimize=True) / self.dtype(self.dim ** 0.5)
        future = np.arange(end)[None] > (self.pos + np.arange(n))[:, None]
        score[:, future] = -np.inf
        score = np.exp(score - score.max(-1, keepdims=True))
        score /= score.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", score, values, optimize=True).reshape(n, -1) @ self.w[p + "attn_output.weight"].T

    def feed(self, ids):
        """Logits of every position of ids, (len(ids), vocab); the cache grows by len(ids)."""
        x = self.w["token_embd.weight"][ids]
        for b in range(self.blocks):
            p = f"blk.{b}."
            x = x + self.attention(self.norm(x, p + "attn_norm.weight"), b)
            y = self.norm(x, p + "ffn_norm.weight")
            gate = y @ self.w[p + "ffn_gate.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * (y @ self.w[p + "ffn_up.weight"].T)) @ self.w[p + "ffn_down.weight"].T
        self.pos += len(ids)
        return self.norm(x, "output_norm.weight") @ self.w["token_embd.weight"].T

    def generate(self, ids, limit, temperature=0.0, rng=None):
        """Ids after the prompt ids, up to and with the first stop token or limit of them."""
        self.reset()
        out, logits = [], self.feed(ids)[-1]
        while len(out) < limit and self.pos < self.context:
            if temperature == 0:
                token = int(logits.argmax())
            else:
                p = np.exp((logits - logits.max()) / temperature)
                token = int(rng.choice(len(p), p=p.astype(np.float64) / p.sum(dtype=np.float64)))
            out.append(token)
            if token in self.stops:
                break
            logits = self.feed([token])[-1]
        return out
