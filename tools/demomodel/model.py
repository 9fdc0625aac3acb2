"""The model in PyTorch: the Llama architecture, in the order GGUF readers compute it.

Rotary embedding turns the neighbouring pairs (2i, 2i+1) of each head, which is what `llama` means in GGUF, so weights go
into the file as they are. The output matrix is the embedding matrix.
"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    vocab: int = 1280
    context: int = 1024
    width: int = 192
    blocks: int = 6
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    hidden: int = 512
    theta: float = 10000.0
    eps: float = 1e-5


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.attn_norm, self.ffn_norm = nn.RMSNorm(c.width, c.eps), nn.RMSNorm(c.width, c.eps)
        self.attn_q = nn.Linear(c.width, c.heads * c.head_dim, bias=False)
        self.attn_k = nn.Linear(c.width, c.kv_heads * c.head_dim, bias=False)
        self.attn_v = nn.Linear(c.width, c.kv_heads * c.head_dim, bias=False)
        self.attn_output = nn.Linear(c.heads * c.head_dim, c.width, bias=False)
        self.ffn_gate = nn.Linear(c.width, c.hidden, bias=False)
        self.ffn_up = nn.Linear(c.width, c.hidden, bias=False)
        self.ffn_down = nn.Linear(c.hidden, c.width, bias=False)

    def forward(self, x, cos, sin, mask):
        """x: (batch, positions, width); mask: (batch, 1, positions, positions), true where a query may look."""
        c, (b, t, _) = self.c, x.shape
        y = self.attn_norm(x)
        q = rotate(self.attn_q(y).view(b, t, c.heads, c.head_dim), cos, sin).transpose(1, 2)
        k = rotate(self.attn_k(y).view(b, t, c.kv_heads, c.head_dim), cos, sin).transpose(1, 2)
        v = self.attn_v(y).view(b, t, c.kv_heads, c.head_dim).transpose(1, 2)
        group = c.heads // c.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, -1)
        x = x + self.attn_output(o)
        y = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))


def rotate(x, cos, sin):
    """x: (batch, positions, heads, head_dim); cos, sin: (positions, 1, head_dim/2)."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.token_embd = nn.Embedding(c.vocab, c.width)
        self.blk = nn.ModuleList(Block(c) for _ in range(c.blocks))
        self.output_norm = nn.RMSNorm(c.width, c.eps)
        self._init()

    def _init(self):
        """Normal weights; the two matrices that write to the residual stream start smaller, so depth does not blow it up."""
        for name, p in self.named_parameters():
            if p.dim() == 2:
                last = name.endswith(("attn_output.weight", "ffn_down.weight"))
                std = 0.03 if name.startswith("token_embd") else p.shape[1] ** -0.5
                nn.init.normal_(p, std=std * (2 * self.c.blocks) ** -0.5 if last else std)

    def forward(self, ids, document):
        """ids, document: (batch, positions) -> logits (batch, positions, vocab). A token sees earlier ones of its document."""
        c = self.c
        angle = torch.outer(torch.arange(ids.shape[1]), c.theta ** (-torch.arange(0, c.head_dim, 2) / c.head_dim))
        cos, sin = angle.cos()[:, None], angle.sin()[:, None]
        mask = (document[:, :, None] == document[:, None]).tril()[:, None]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin, mask)
        return self.output_norm(x) @ self.token_embd.weight.T
