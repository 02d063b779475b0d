"""Small PyTorch modules for the tests of the engine."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def conv_net() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(), nn.ReLU(inplace=True), nn.Flatten()
    )


IMAGE = torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)


class Nested(nn.Module):
    """Takes and returns more than a tensor each."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, pair: Any, scale: float, *, mask: Any = None, shift: Any = None) -> Any:
        made = self.linear(pair[0]) * scale + pair[1]
        return {"logits": made * mask, "parts": (made, made + shift if shift is not None else None)}


class Counting(nn.Module):
    """Gives back a buffer that every inference changes, and writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x: Any) -> Any:
        x.mul_(2)
        self.count += 1
        return self.count, x


def exported(module: Any, *args: Any, **more: Any) -> Any:
    return torch.export.export(module.eval(), args, **more)


def free_batch() -> Any:
    return exported(conv_net(), IMAGE, dynamic_shapes=({0: torch.export.Dim("batch")},))
