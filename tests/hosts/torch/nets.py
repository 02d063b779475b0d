"""Small modules, each with one habit of user code."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Shared(nn.Module):
    """A tied weight, a module called twice, a buffer that is not stored, a tensor that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.twice = nn.Linear(8, 8)
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("gain", torch.linspace(0.5, 1.5, 8), persistent=False)
        self.offset = torch.linspace(-1.0, 1.0, 8)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.twice(self.embed(idx)))
        x = torch.relu(self.twice(x)) * self.gain + self.offset
        return self.head(x)


class Outputs(nn.Module):
    """Outputs of every kind: repeated, an input, a weight, none at all, a number."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(
        self, x: torch.Tensor, times: int = 2, *, extra: torch.Tensor | None = None
    ) -> dict[str, object]:
        y = self.linear(x) * times
        y = y if extra is None else y + extra
        return {"y": y, "all": (y, x, self.linear.weight), "none": None, "number": 3}


class TwoConvs(nn.Module):
    """conv, batch norm, relu, conv."""

    def __init__(self, hidden: int = 8, groups: int = 1) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, hidden, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(hidden)
        self.b = nn.Conv2d(hidden, 4, 3, padding=1, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.bn(self.a(x))))


class Heads(nn.Module):
    """Attention whose sizes are attributes; ``depth`` happens to equal ``heads``."""

    def __init__(self, width: int = 12, heads: int = 4, head_dim: int = 4) -> None:
        super().__init__()
        self.heads, self.head_dim, self.depth = heads, head_dim, 4
        self.qkv = nn.Linear(width, 3 * heads * head_dim)
        self.out = nn.Linear(heads * head_dim, width)
        self.scale = head_dim**-0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, _ = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = functional.softmax((q * self.scale) @ k.transpose(-2, -1), dim=-1)
        y = (weights @ v).transpose(1, 2).reshape(batch, count, self.heads * self.head_dim)
        return self.out(y) * self.depth


class Literal(nn.Module):
    """A size that only the source knows."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 16), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x).view(-1, 4, 4)
        y = torch.relu(y).reshape(-1, 16)
        return self.b(y)


class Contrary(nn.Module):
    """One attribute for two sizes that have nothing to do with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 8
        self.a, self.b = nn.Linear(5, 16), nn.Linear(5, 16)
        self.c, self.d = nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.a(x).view(len(x), -1, self.size).tanh().flatten(1)
        two = self.b(x).view(len(x), -1, self.size).tanh().flatten(1)
        return self.c(one) + self.d(two)


class Branching(nn.Module):
    """Asks its data which way to go."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x
        return -x


class Cache(nn.Module):
    """Writes a buffer."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 6)
        self.register_buffer("seen", torch.zeros(2, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        self.seen.add_(y)
        return y * self.seen


class Undeclared(nn.Module):
    """An operator that no declaration covers, between two layers."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.special.bessel_j0(self.a(x)))


class Choice(nn.Module):
    """A branch that is part of the graph."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, 6), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        y = torch.cond(x.sum() > 0, torch.sin, torch.cos, (y,))
        return self.b(y)


class Standardised(nn.Conv2d):
    """A convolution whose weight is standardised by a normalisation in training mode, as NFNets have it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.weight.reshape(1, self.out_channels, -1)
        weight = functional.batch_norm(flat, None, None, training=True, momentum=0.0).reshape_as(self.weight)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Reordered(nn.Module):
    """Channels in the order of a buffer: shuffled between groups, halves exchanged, or a part of them."""

    def __init__(self, order: list[int], *, select: bool = False) -> None:
        super().__init__()
        self.a, self.select = nn.Conv2d(3, 8, 3, padding=1), select
        self.b = nn.Conv2d(len(order), 4, 1)
        self.register_buffer("order", torch.tensor(order))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x))
        return self.b(x.index_select(1, self.order) if self.select else x[:, self.order])
