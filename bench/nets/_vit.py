"""A small vision transformer for 8 x 8 digits, trained in about half a minute."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

_EPOCHS, _BATCH, _RATE = 60, 32, 1e-3


class _Layer(nn.Module):
    """Attention and a perceptron, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        q, k, v = (
            made(y).unflatten(2, (self.heads, -1)).transpose(1, 2) for made in (self.q, self.k, self.v)
        )
        x = x + self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    """Patches of 2 x 2, mean over tokens."""

    def __init__(self, width: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 2, 2)
        self.place = nn.Parameter(torch.zeros(1, 16, width))
        self.layers = nn.Sequential(*(_Layer(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.norm(self.layers(tokens)).mean(1))


def trained(split: Any, seed: int) -> nn.Module:
    """The network after 60 epochs of AdamW in evaluation mode."""
    torch.manual_seed(seed)
    model = Vit()
    optimizer = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.05)
    steps = _EPOCHS * -(-len(split.train) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * _RATE, total_steps=steps + 1)
    model.train()
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(split.train)).split(_BATCH):
            optimizer.zero_grad()
            made = model(split.train[rows])
            cross_entropy(made, split.train_classes[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()
