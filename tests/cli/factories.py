"""Factories that the tests of the command line name; not part of any package."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def build() -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8 * 4 * 4, 5))


def net() -> tuple[nn.Module, Any]:
    return build(), (torch.zeros(1, 3, 8, 8),)


def number() -> int:
    return 3


def broken() -> nn.Module:
    raise ZeroDivisionError("no weights")


COUNT = 3


def sized(width: int) -> nn.Module:
    return nn.Linear(width, width)


def ending() -> nn.Module:
    raise SystemExit(7)


class Optional(nn.Module):
    """A layer that reads an input which the examples do not give."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.hint = build(), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor, hint: torch.Tensor | None = None) -> torch.Tensor:
        made: torch.Tensor = self.net(x)
        return made if hint is None else made + self.hint(hint)


def optional() -> tuple[nn.Module, Any]:
    return Optional(), (torch.zeros(1, 3, 8, 8),)
