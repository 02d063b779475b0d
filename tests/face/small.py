"""Small nets of several families, for what is done to a model more than once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from tests.backends.nets import model


class Residual(nn.Module):
    """A stem, a block that adds to it, and a head behind batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.bn = nn.BatchNorm2d(12)
        self.one, self.two = nn.Conv2d(12, 16, 1), nn.Conv2d(16, 12, 3, padding=1)
        self.fc = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.stem(x)))
        x = torch.relu(x + self.two(torch.sigmoid(self.one(x))))
        return self.fc(x.mean((2, 3)))


class Tied(nn.Module):
    """A table of words that is also the head, around two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 12)
        self.up, self.down = nn.Linear(12, 20), nn.Linear(20, 12)
        self.head = nn.Linear(12, 11, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x)
        return self.head(x + self.down(nn.functional.gelu(self.up(x))))


class Normalised(nn.Module):
    """Weights that are computed from others: a direction and a length."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 12, 3, padding=1)
        self.two = parametrizations.weight_norm(nn.Conv2d(12, 10, 3, padding=1))
        self.fc = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.two(torch.relu(self.one(x)))).mean((2, 3)))


def _image() -> Tensor:
    return torch.randn(2, 3, 6, 6)


def _words() -> Tensor:
    return torch.randint(0, 11, (2, 5))


NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "residual": (Residual, _image),
    "tied": (Tied, _words),
    "normalised": (Normalised, _image),
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    """The module called ``name`` and an input; always the same."""
    torch.manual_seed(0)
    build, example = NETS[name]
    net, x = build().eval(), example()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return net, x


def tune(net: nn.Module, x: Tensor, count: int = 2) -> None:
    """A few steps towards anything; statistics move too, and the module stays in training mode."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    net.train()
    for _ in range(count):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def joined(channels: int = 12) -> onnx.ModelProto:
    """Two layers that are added, their shared bias one tensor, and a head."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b"], ["c0"], "conv0", pads=[1] * 4),
        helper.make_node("Conv", ["x", "w1", "b"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Sigmoid", ["c0"], ["s0"], "sigmoid"),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("Conv", ["s0", "w2"], ["c2"], "conv2"),
        helper.make_node("Conv", ["r1", "w3"], ["c3"], "conv3"),
        helper.make_node("Add", ["c2", "c3"], ["a"], "add"),
        helper.make_node("GlobalAveragePool", ["a"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("MatMul", ["f", "w4"], ["y"], "head"),
    ]
    weights: dict[str, Any] = {
        "w0": rng.standard_normal((channels, 3, 3, 3)),
        "w1": rng.standard_normal((channels, 3, 3, 3)),
        "b": rng.standard_normal(channels),
        "w2": rng.standard_normal((8, channels, 1, 1)),
        "w3": rng.standard_normal((8, channels, 1, 1)),
        "w4": rng.standard_normal((8, 5)),
    }
    return model(nodes, {"x": (1, 3, 6, 6)}, {"y": (1, 5)}, **weights)
