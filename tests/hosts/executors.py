"""Small networks of many kinds, and how an executor is held against the one in numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from prunepass.ir import Array, Executor, Graph, Masks, NumpyExecutor, is_float
from tests.zoo.parts import conv_bn, images, seeded, tokens

# Sums of some hundred products in another order, relative to the largest entry.
ROUNDING = {"float32": 1e-4, "float64": 1e-12}


class Residual(nn.Module):
    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.stem, self.head = conv_bn(3, 8), nn.Linear(8, 5)
        self.a, self.b = conv_bn(8, 12), nn.Conv2d(12, 8, 3, padding=1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.b(functional.relu(self.a(x)))
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(functional.silu(self.deep(x)), 1), 1))


class Attention(nn.Module):
    """Its sizes are numbers read from the input; a token of its own is joined to every sample."""

    def __init__(self, width: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.token, self.norm = nn.Parameter(torch.zeros(1, 1, width)), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 20), nn.GELU(), nn.Linear(20, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, width = x.shape
        x = torch.cat([self.token.expand(batch, -1, -1), x], 1)
        q, k, v = self.qkv(self.norm(x)).reshape(batch, x.shape[1], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(batch, -1, width))
        return (x + self.mlp(x))[:, 0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(5, 7, batch_first=True), nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0])


class Joined(nn.Module):
    """Split, concatenated with its own source, and a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(12, 4, 1)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.hardswish(self.deep(self.a(x)))
        left, right = x.chunk(2, 1)
        return self.c(torch.cat([left, right, torch.sigmoid(self.b(right))], 1))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm, self.head = nn.Embedding(11, 8), nn.LayerNorm(8), nn.Linear(8, 11, bias=False)
        self.inner = nn.Linear(8, 14)
        self.back = nn.Linear(14, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        return self.head(self.norm(x + self.back(torch.tanh(self.inner(x)))))


Sample = tuple[nn.Module, Any]

NETS: Mapping[str, Callable[[], Sample]] = {
    "conv": lambda: (seeded(lambda: nn.Sequential(*conv_bn(3, 8), nn.ReLU(), *conv_bn(8, 6))), images(8)),
    "residual": lambda: (seeded(Residual), images(8)),
    "depthwise": lambda: (seeded(lambda: Residual(groups=8)), images(8)),
    "attention": lambda: (seeded(Attention), torch.randn(2, 4, 12)),
    "recurrent": lambda: (seeded(Recurrent), torch.randn(2, 4, 5)),
    "joined": lambda: (seeded(Joined), images(8)),
    "words": lambda: (seeded(Words), tokens(6, 11)),
}


def hold(executor: Executor, given: Mapping[str, Array], dtype: str, **options: Any) -> dict[str, Array]:
    """Every value of ``executor`` is that of the one in numpy; gives them."""
    graph = executor.graph
    wanted = options.pop("wanted", list(graph.values))
    got = {name: executor.array(tensor) for name, tensor in executor.walk(given, wanted=wanted, **options)}
    assert set(got) == set(wanted)
    for name, array in NumpyExecutor(graph, dtype).walk(given, wanted=wanted, **options):
        assert got[name].dtype.name == (dtype if is_float(array.dtype.name) else got[name].dtype.name), name
        scale = float(np.max(np.abs(array), initial=1e-30)) if array.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(got[name], array, 0, ROUNDING[dtype] * scale, err_msg=name)
    return got


def repeated(feeds: Mapping[str, Array], count: int, axis: int = 0) -> dict[str, Array]:
    """``count`` samples, each another one."""
    found = {}
    for name, array in feeds.items():
        whole = np.take(np.concatenate([array] * count, axis), range(count), axis)
        if array.dtype.kind == "f":
            factors = np.linspace(0.8, 1.2, count, dtype=array.dtype)
            whole = whole * factors.reshape(-1, *[1] * (array.ndim - axis - 1))
        found[name] = whole
    return found


def random_masks(graph: Graph, seed: int = 0) -> Masks:
    """A mask along the second axis of a third of all float reads."""
    rng = np.random.default_rng(seed)
    found = {}
    for node in graph.nodes:
        for position, name in enumerate(node.inputs):
            value = graph.values.get(name or "")
            if value is not None and len(value.shape) > 1 and is_float(value.dtype) and rng.random() < 0.3:
                size = value.shape[1]
                found[node.name, position] = rng.choice([0.0, 1.0, 0.5], size).reshape(
                    size, *[1] * (len(value.shape) - 2)
                )
    assert found
    return found


def other_params(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """New data for every trained float param of a graph."""
    rng = np.random.default_rng(seed)
    named = [name for name, param in graph.params.items() if param.trained and param.is_float]
    return {name: graph.params[name].read() * rng.uniform(0.5, 1.5) for name in named}
