"""Networks with parts that inference does not need: random ones, and a mask made without prunepass."""

from __future__ import annotations

import copy
import random

import torch
from torch import nn

KINDS = ("plain", "training", "dropped", "nested", "optional", "flag")


class Head(nn.Module):
    """A classifier over the channels that it reads, with a layer of its own."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, hidden, 1), nn.BatchNorm2d(hidden)
        self.drop, self.fc = nn.Dropout(0.0), nn.Linear(hidden, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))


class Block(nn.Module):
    """A layer and, by its kind, something beside it that not every run reaches."""

    def __init__(self, kind: str, before: int, width: int, hidden: int) -> None:
        super().__init__()
        self.kind, self.flag = kind, False
        self.conv, self.norm = nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width)
        if kind == "optional":
            self.side: nn.Module = nn.Conv2d(2, width, 1)
        elif kind != "plain":
            self.side = Head(width, hidden)

    def forward(self, x: torch.Tensor, hint: torch.Tensor | None) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x, made = torch.relu(self.norm(self.conv(x))), []
        if self.kind == "dropped" or {"nested": self.training, "flag": self.flag}.get(self.kind):
            made = [self.side(x)]
        elif self.kind == "optional" and hint is not None:
            x = x + self.side(hint)
        return x, made


class Tower(nn.Module):
    """Blocks; what they make beside is put out in training, and dropped at inference."""

    def __init__(self, seed: int, kinds: tuple[str, ...] = KINDS) -> None:
        super().__init__()
        rng = random.Random(seed)
        chosen = [rng.choice(kinds) for _ in range(rng.randint(2, 4))]
        # All widths differ: what is pinned for its width pins nothing else.
        widths = rng.sample(range(12, 40), 2 * len(chosen) + 2)
        ins = [3, *widths]
        self.blocks = nn.ModuleList(
            Block(kind, ins[i], ins[i + 1], widths[-i - 1]) for i, kind in enumerate([*chosen, "plain"])
        )
        self.fc = nn.Linear(widths[len(chosen)], 5)

    def forward(
        self, x: torch.Tensor, hint: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        side: list[torch.Tensor] = []
        for block in self.blocks:
            x, made = block(x, hint)
            if block.kind == "training" and self.training:
                made = [block.side(x)]
            side += made
        out: torch.Tensor = self.fc(x.mean((2, 3)))
        return (out, *side) if self.training else out


def masked(model: nn.Module, small: nn.Module) -> nn.Module:
    """``model`` with zeros for the columns that ``small`` no longer has; found by the values of the weights."""
    result, layers = copy.deepcopy(model), dict(small.named_modules())
    for name, layer in result.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            weight = layers[name].weight
            assert isinstance(weight, torch.Tensor)
            gone = sorted(set(range(layer.weight.shape[1])) - set(_columns(layer.weight, weight)))
            layer.weight.data[:, gone] = 0
    return result


def _columns(large: torch.Tensor, small: torch.Tensor) -> list[int]:
    """Which columns of ``large`` are left in ``small``; no two random weights are equal."""
    places = {value: at for at, value in enumerate(large.flatten().tolist())}
    at = torch.tensor([places[value] for value in small.flatten().tolist()])
    inner = large[0, 0].numel()
    return sorted(set((at // inner % large.shape[1]).tolist()))
