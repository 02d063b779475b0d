"""What engines round is no fault, however small the output is beside it; faults are found all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import prunepass as pp
from prunepass.drivers._host_check import host_check
from prunepass.hosts import open_model
from prunepass.ir import Array, Graph, Param, VerificationError, evaluate
from tests.graphs import Builder
from tests.hosts.onnx.models import build, weights

ENDS: dict[str, tuple[str, float]] = {
    "sigmoid near 0": ("y = Sigmoid(h)", -9.0),
    "sigmoid nearer 0": ("y = Sigmoid(h)", -12.0),
    "sigmoid that underflows": ("y = Sigmoid(h)", -18.0),
    "one minus tanh": ("t = Tanh(h)  y = Sub(one, t)", 6.0),
    "one minus erf": ("t = Erf(h)  y = Sub(one, t)", 3.0),
    "difference of large numbers": ("t = Sub(h, large)  y = Add(t, large)", 0.0),
    "distance from a mean": ("m = ReduceMean<axes=[2, 3]>(h)  y = Sub(h, m)", 3e4),
    "tail of a softmax": ("s = Softmax<axis=1>(steep)  y = Gather<axis=1>(s, some)", 0.0),
    "chain": (
        "".join(f"r{i} = Relu(h{i})  h{i + 1} = Conv(r{i}, mix)  " for i in range(30)) + "y = Relu(h30)",
        0.0,
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_engine_is_not_accused_of_rounding(name: str) -> None:
    end, offset = ENDS[name]
    start = "h = Conv(x, w, b)  h0 = Relu(h)  steep = Mul(h, ten)"
    held = {
        "w": weights(6, 3, 3, 3) * np.float32(0.1),
        "b": np.full(6, offset, np.float32),
        "one": np.float32(1),
        "ten": np.float32(30),
        "large": np.float32(5e4),
        "some": np.array([1, 2]),
        "mix": weights(6, 6, 1, 1, seed=2) * np.float32(0.5),
    }
    model = build("(float[2, 3, 8, 8] x) => (float[d0, d1, d2, d3] y) { " + start + "  " + end + " }", held)
    session = open_model(model)
    found = host_check(session, model, session.graph)
    assert found.worst <= found.tolerance


class Quiet(nn.Module):
    """Scores far below one half."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.body(x).relu()) - 9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_quiet_output_is_pruned_in_every_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = Quiet().eval().to(dtype)
    result = pp.prune(model, torch.randn(3, 16, dtype=dtype), budget="macs=0.6", score="l2")
    assert result.report.host is not None


# Faults that a replay might make. The engine is the reference in single precision.

Fault = Callable[[np.random.Generator, str, Array], Array]


def of_another_channel(rng: np.random.Generator, name: str, data: Array) -> Array:
    """A wrong slice: one row is that of another channel."""
    at, other = rng.choice(len(data), 2, replace=False)
    return np.stack([data[other] if i == at else row for i, row in enumerate(data)])


def swapped(rng: np.random.Generator, name: str, data: Array) -> Array:
    at, other = rng.choice(len(data), 2, replace=False)
    order = np.arange(len(data))
    order[[at, other]] = other, at
    return data[order]


def stale(rng: np.random.Generator, name: str, data: Array) -> Array:
    """A factor that was meant for another width."""
    return data * np.sqrt(rng.integers(9, 16) / 16)


def off_by_a_hundredth(rng: np.random.Generator, name: str, data: Array) -> Array:
    return data * 1.01


FAULTS: list[tuple[Fault, str]] = [
    (of_another_channel, "body.weight"),
    (swapped, "body.weight"),
    (stale, "factor"),
    (off_by_a_hundredth, "head.bias"),
    (off_by_a_hundredth, "body.bias"),
]


def sigmoid(net: Builder, x: str) -> str:
    return net.add("sigmoid", x)


def difference(net: Builder, x: str) -> str:
    large = net.constant(np.float32(1e3))
    return net.add("subtract", net.add("add", x, large), large)


def softmax(net: Builder, x: str) -> str:
    return net.add("softmax", x, axes=(1,))


def plain(net: Builder, x: str) -> str:
    return x


ENDINGS = (sigmoid, difference, softmax, plain)


def network(end: Callable[[Builder, str], str], seed: int) -> Graph:
    """Two layers and a factor; behind the sigmoid scores are some ten-thousandths."""
    net = Builder(seed=seed)
    x = net.add("relu", net.linear(net.input(4, 12), 16, path="body"))
    y = net.linear(net.add("multiply", x, net.given(0.25, name="factor")), 6, path="head")
    graph = net.graph(end(net, y))
    lower = 9 if end is sigmoid else 1
    return changed(graph, "head.bias", lambda data: data - lower)


def changed(graph: Graph, name: str, change: Callable[[Array], Array]) -> Graph:
    data = np.asarray(change(graph.params[name].read()), np.float32)
    param: Param = replace(graph.params[name], source=lambda: data)
    return replace(graph, params={**graph.params, name: param})


class Engine:
    """Runs one graph and is asked about another one."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def feeds(self) -> Mapping[str, Array] | None:
        return None

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        made = evaluate(model, feeds, dtype="float32")
        return [made[name] for name in model.outputs]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_every_fault_is_found(end: Callable[[Builder, str], str], seed: int) -> None:
    graph = network(end, seed)
    host_check(Engine(graph), graph, graph)  # type: ignore[arg-type]
    for fault, name in FAULTS:
        wrong = changed(graph, name, lambda data: fault(np.random.default_rng(seed), name, data))  # noqa: B023
        with pytest.raises(VerificationError, match="example inputs"):
            host_check(Engine(graph), wrong, graph)  # type: ignore[arg-type]
