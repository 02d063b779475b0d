"""Transformers of language models: fused and grouped attention, rotary embeddings, gated MLPs, tied heads."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.zoo.parts import seeded, tokens

Sample = tuple[nn.Module, Any]


class FusedAttention(nn.Module):
    """Queries, keys and values from one weight; sizes from the width of the stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.n_head = heads
        self.n_embd = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, width = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(batch, count, self.n_head, width // self.n_head).transpose(1, 2)
        q = q.view(batch, count, self.n_head, width // self.n_head).transpose(1, 2)
        v = v.view(batch, count, self.n_head, width // self.n_head).transpose(1, 2)
        weights = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        mask = torch.tril(torch.ones(count, count, device=x.device))
        weights = functional.softmax(weights.masked_fill(mask == 0, float("-inf")), dim=-1)
        y = (weights @ v).transpose(1, 2).contiguous().view(batch, count, width)
        return self.c_proj(y)


class GptBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = FusedAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """The head's weight is the embedding's."""

    def __init__(self, vocabulary: int = 40, width: int = 24, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(16, width)
        self.blocks = nn.ModuleList(GptBlock(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        position = torch.arange(idx.shape[1], device=idx.device)
        x = self.wte(idx) + self.wpe(position)
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def gpt() -> Sample:
    return seeded(Gpt), tokens(9, 40)


class RmsNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = 1e-6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rotate_half(x: torch.Tensor) -> torch.Tensor:
    left, right = x.chunk(2, dim=-1)
    return torch.cat((-right, left), dim=-1)


def rotate_pairs(x: torch.Tensor) -> torch.Tensor:
    return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)


class GroupedAttention(nn.Module):
    """Several query heads share one head of keys and values; positions are turned in."""

    def __init__(self, width: int, heads: int, kv_heads: int, head_dim: int, strided: bool) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim, self.strided = heads, kv_heads, head_dim, strided
        self.q_proj = nn.Linear(width, heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * head_dim, bias=False)
        self.o_proj = nn.Linear(heads * head_dim, width, bias=False)
        rates = 1.0 / 100.0 ** (torch.arange(0, head_dim, 2) / head_dim)
        self.register_buffer("inv_freq", rates, persistent=False)

    def _rotary(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        angles = torch.outer(torch.arange(count).to(self.inv_freq.dtype), self.inv_freq)
        angles = (
            torch.repeat_interleave(angles, 2, dim=-1)
            if self.strided
            else torch.cat((angles, angles), dim=-1)
        )
        return angles.cos(), angles.sin()

    def _turned(self, x: torch.Tensor) -> torch.Tensor:
        cos, sin = self._rotary(x.shape[2])
        return x * cos + (rotate_pairs(x) if self.strided else rotate_half(x)) * sin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, _ = x.shape
        q = self.q_proj(x).view(batch, count, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(batch, count, self.num_kv_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(batch, count, self.num_kv_heads, self.head_dim).transpose(1, 2)
        q, k = self._turned(q), self._turned(k)
        times = self.num_heads // self.num_kv_heads
        k = k[:, :, None].expand(-1, -1, times, -1, -1).reshape(batch, self.num_heads, count, -1)
        v = v[:, :, None].expand(-1, -1, times, -1, -1).reshape(batch, self.num_heads, count, -1)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, count, -1))


class GatedMlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (
            nn.Linear(width, inner, bias=False),
            nn.Linear(width, inner, bias=False),
        )
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Decoder(nn.Module):
    def __init__(self, strided: bool, width: int = 24, vocabulary: int = 40) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.norm1, self.norm2, self.norm = RmsNorm(width), RmsNorm(width), RmsNorm(width)
        self.attn = GroupedAttention(width, heads=6, kv_heads=3, head_dim=8, strided=strided)
        self.mlp = GatedMlp(width, 40)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.embed(idx)
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.norm(x))


def grouped_query() -> Sample:
    """Rotary embedding that turns halves."""
    return seeded(lambda: Decoder(strided=False)), tokens(9, 40)


def grouped_query_strided() -> Sample:
    """Rotary embedding that turns neighbouring pairs."""
    return seeded(lambda: Decoder(strided=True)), tokens(9, 40)


class Crossing(nn.Module):
    """``nn.MultiheadAttention`` for self-attention and, with widths of its own, for cross-attention."""

    def __init__(self, width: int = 16, heads: int = 4, other: int = 12) -> None:
        super().__init__()
        self.embed = nn.Linear(10, width)
        self.memory = nn.Linear(10, other)
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(width, heads, batch_first=True, kdim=other, vdim=other)
        self.linear1, self.linear2 = nn.Linear(width, 32), nn.Linear(32, width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 5)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        x, memory = self.embed(x), self.memory(memory)
        x = x + self.self_attn(x, x, x, need_weights=False)[0]
        x = x + self.cross_attn(x, memory, memory)[0]
        x = self.norm(x + self.linear2(torch.relu(self.linear1(x))))
        return self.out(x)


def crossing() -> Sample:
    generator = torch.Generator().manual_seed(1)
    return seeded(Crossing), (
        torch.randn(2, 5, 10, generator=generator),
        torch.randn(2, 7, 10, generator=generator),
    )
