"""Small networks, and faults that a replay could leave in their cut copies."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    """Convolutions, normalisations, a join, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.b, self.c = nn.Conv2d(12, 12, 3, padding=1), nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.act, self.head = nn.PReLU(12), nn.Linear(12, 5)
        for name in ("running_mean", "running_var"):
            getattr(self.norm, name).uniform_(0.5, 1.5)
        for parameter in (*self.norm.parameters(), *self.act.parameters()):
            nn.init.uniform_(parameter, 0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.a(x)))
        x = self.act(self.c(x)) + self.b(x)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    """Heads whose sizes and scale are attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.head_dim, self.scale = 4, 6, 0.5
        self.qkv, self.out = nn.Linear(10, 72), nn.Linear(24, 10)
        self.norm = nn.LayerNorm(10)
        self.up, self.down = nn.Linear(10, 20), nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, _ = x.shape
        parts = self.qkv(x).view(batch, count, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        y = self.mixed(parts[0], parts[1], parts[2]).transpose(1, 2)
        x = self.norm(x + self.out(y.reshape(batch, count, self.heads * self.head_dim)))
        return x + self.down(functional.gelu(self.up(x)))

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(q, k, v, scale=self.scale)


class Multihead(nn.Module):
    """Attention of torch.nn, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.attend = nn.Linear(7, 16), nn.MultiheadAttention(16, 4, batch_first=True)
        self.out = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.into(x)
        return self.out(x + self.attend(x, x, x, need_weights=False)[0])


class Parts(nn.Module):
    """Splits, groups, a shuffle, sizes written as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes, self.groups = [8, 12], 4
        self.a, self.b, self.c = nn.Linear(6, 20), nn.Linear(8, 5), nn.Linear(12, 5)
        self.norm, self.conv = nn.GroupNorm(4, 16), nn.Conv1d(5, 16, 1)
        self.mix = nn.Conv1d(16, 16, 1, groups=4)
        self.last = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x) + 0.1
        one, two = x.split(self.sizes, -1)
        y = self.b(one.tanh()) + self.c(two.sin())
        y = self.mix(self.norm(self.conv(y.transpose(1, 2))))
        y = y.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        return self.last(y.transpose(1, 2))


class Tied(nn.Module):
    """One matrix for two layers, a layer called twice, a table that is not stored, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.twice = nn.Embedding(11, 8), nn.Linear(8, 8)
        self.again, self.head = self.twice, nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("gain", torch.linspace(0.5, 1.5, 8), persistent=False)
        self.left, self.right = nn.Linear(8, 6), nn.Linear(8, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.again(torch.relu(self.twice(self.embed(idx)))) * self.gain
        return self.head(x), self.last(self.left(x) - self.right(x).tanh())


class Aside(nn.Module):
    """A head that only training mode reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 4)
        self.aside = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 4))

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.a(x))
        return (self.b(x), self.aside(x)) if self.training else self.b(x)


SAMPLES: dict[type[nn.Module], Any] = {
    Residual: torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)),
    Attention: torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(0)),
    Multihead: torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)),
    Parts: torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0)),
    Tied: torch.arange(10).reshape(2, 5),
    Aside: torch.randn(2, 6, generator=torch.Generator().manual_seed(0)),
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the cut module of a kind, given the whole one; and which check has to tell.

    Attributes:
        finds: ``code`` where the operations of the module differ, ``values`` where only their data do.
    """

    kind: type[nn.Module]
    finds: str
    inject: Callable[[Any, Any], None]

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.inject.__name__}"


FAULTS: list[Fault] = []


def fault(kind: type[nn.Module], finds: str) -> Callable[[Callable[[Any, Any], None]], Any]:
    """Enter a function in the table."""

    def enter(inject: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        FAULTS.append(Fault(kind, finds, inject))
        return inject

    return enter


def rolled(tensor: torch.Tensor, axis: int) -> None:
    """Move all entries one place on."""
    tensor.data = tensor.data.roll(1, axis)


def first(small: Any, whole: Any, path: str, name: str) -> None:
    """The first entries in the place of those that are kept."""
    owner, other = small.get_submodule(path), whole.get_submodule(path)
    have, had = getattr(owner, name), getattr(other, name)
    have.data = copy.deepcopy(had.data[tuple(map(slice, have.shape))])
