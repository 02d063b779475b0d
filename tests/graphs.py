"""Writes neutral graphs for tests: nodes by operator name, result shapes from the operator's rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from prunepass.ir import (
    Array,
    Call,
    Graph,
    Node,
    Origin,
    Param,
    Tie,
    Value,
    constant,
    is_float,
    registry,
    sizes,
)

Shape = tuple[int, ...]
Foreign = Callable[..., tuple[Array, ...]]
Pin = tuple[str, int, str]


class Builder:
    """A graph on its way: every method returns the name of the tensor it makes.

    The data of weights is drawn when it is first read, so that graphs cost nothing that are only analysed.
    """

    def __init__(self, name: str = "net", seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self.values: dict[str, Value] = {}
        self.params: dict[str, Param] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    def input(self, *shape: int, dtype: str = "float32", name: str = "") -> str:
        name = name or f"x{len(self.inputs)}"
        self.values[name] = Value(name, shape, dtype)
        self.inputs.append(name)
        return name

    def weight(self, *shape: int, low: float = -1.0, high: float = 1.0, name: str = "") -> str:
        """A trained param with entries between ``low`` and ``high``."""
        name = name or f"w{len(self.params)}"
        assert name not in self.params, f"two params are called '{name}'"
        self.params[name] = Param(
            name, shape, "float32", _drawn(shape, low, high, self.seed, len(self.params))
        )
        return name

    def given(self, data: Any, name: str = "") -> str:
        """A trained param with this data."""
        array = np.asarray(data, dtype=np.float32)
        name = name or f"w{len(self.params)}"
        self.params[name] = Param(name, array.shape, "float32", lambda: array)
        return name

    def constant(self, data: Any) -> str:
        """Data that a capture made up: a number, a table, indices."""
        name = f"c{len(self.params)}"
        self.params[name] = constant(name, np.asarray(data))
        return name

    def add(self, op: str, *inputs: str | None, node: str = "", path: str = "", **attrs: Any) -> str:
        """A node with one result, which has the node's name."""
        made = self.add_all(op, *inputs, node=node, path=path, **attrs)
        assert len(made) == 1, f"{op} has {len(made)} results"
        return made[0]

    def add_all(
        self, op: str, *inputs: str | None, node: str = "", path: str = "", **attrs: Any
    ) -> tuple[str, ...]:
        """A node with as many results as its rule says."""
        name = node or f"{op}_{len(self.nodes)}"
        tensors = [None if tensor is None else self.tensor(tensor) for tensor in inputs]
        rule = registry()[op].rule(self._call(tensors, attrs))
        dtype = next((t.dtype for t in tensors if t is not None and is_float(t.dtype)), "float32")
        outputs = tuple(name if not at else f"{name}.{at}" for at in range(len(rule.results)))
        for output, dims in zip(outputs, rule.results, strict=True):
            assert output not in self.values, f"two nodes are called '{output}'"
            self.values[output] = Value(output, sizes(dims), dtype)
        self.nodes.append(Node(name, op, inputs, outputs, attrs, Origin(path)))
        return outputs

    def add_foreign(self, kind: str, *inputs: str, result: Shape, evaluate: Foreign) -> str:
        """A node that no declaration covers, computed by ``evaluate``."""
        name = f"foreign_{len(self.nodes)}"
        self.values[name] = Value(name, result, "float32")
        self.nodes.append(Node(name, "foreign", inputs, (name,), {"kind": kind}, Origin(), evaluate))
        return name

    def _call(self, tensors: list[Value | Param | None], attrs: dict[str, Any]) -> Call:
        def known(position: int) -> Array | None:
            tensor = tensors[position] if position < len(tensors) else None
            return tensor.read() if isinstance(tensor, Param) else None

        shapes = tuple(None if tensor is None else tensor.shape for tensor in tensors)
        return Call(attrs, shapes, tuple(None if t is None else t.dtype for t in tensors), known)

    def tensor(self, name: str) -> Value | Param:
        return self.values[name] if name in self.values else self.params[name]

    def shape(self, name: str) -> Shape:
        return self.tensor(name).shape

    def graph(self, *outputs: str, pins: tuple[Pin, ...] = (), ties: tuple[Tie, ...] = ()) -> Graph:
        """The finished graph; what was built so far stays usable."""
        return Graph(
            self.name,
            tuple(self.inputs),
            outputs,
            tuple(self.nodes),
            dict(self.values),
            dict(self.params),
            ties=ties,
            pins=pins,
        )

    # Layers: an operator with its weights, named as modules name theirs.

    def conv(
        self, x: str, out: int, kernel: int = 1, *, path: str = "", bias: bool = True, **attrs: Any
    ) -> str:
        """A convolution of as many dims as ``x`` has beyond batch and channels."""
        _, channels, *space = self.shape(x)
        path, groups = path or f"conv{len(self.nodes)}", attrs.get("groups", 1)
        lead = (out, channels // groups)
        if attrs.get("transposed"):
            lead = (channels, out // groups)
        weight = self.weight(*lead, *(kernel,) * len(space), name=f"{path}.weight")
        op = "conv_transpose" if attrs.get("transposed") else "conv"
        added = self.weight(out, name=f"{path}.bias") if bias else None
        return self.add(op, x, weight, added, node=path, path=path, **attrs)

    def linear(self, x: str, out: int, *, path: str = "", bias: bool = True) -> str:
        path = path or f"linear{len(self.nodes)}"
        weight = self.weight(out, self.shape(x)[-1], name=f"{path}.weight")
        added = self.weight(out, name=f"{path}.bias") if bias else None
        return self.add("linear", x, weight, added, node=path, path=path)

    def batch_norm(self, x: str, *, path: str = "") -> str:
        path, count = path or f"bn{len(self.nodes)}", self.shape(x)[1]
        names = ("weight", "bias", "running_mean")
        params = [self.weight(count, name=f"{path}.{name}") for name in names]
        params.append(self.weight(count, low=0.5, high=1.5, name=f"{path}.running_var"))
        return self.add("batch_norm", x, *params, node=path, path=path, eps=1e-5)


def _drawn(shape: Shape, low: float, high: float, seed: int, at: int) -> Callable[[], Array]:
    memo: list[Array] = []

    def read() -> Array:
        if not memo:
            memo.append(np.random.default_rng((seed, at)).uniform(low, high, shape).astype(np.float32))
        return memo[0]

    return read


def chain(channels: int = 8, *, batch: int = 2, size: int = 4) -> Graph:
    """conv a -> bn -> relu -> conv b: one group, called ``a``."""
    net = Builder("chain")
    x = net.conv(net.input(batch, 3, size, size), channels, 3, path="a", padding=1)
    x = net.add("relu", net.batch_norm(x, path="bn"), node="relu")
    return net.graph(net.conv(x, 2, path="b"))


def residual(channels: int = 8) -> Graph:
    """A stem whose channels are tied to those of two blocks' ends; every block has channels of its own."""
    net = Builder("residual")
    x = net.conv(net.input(2, 3, 4, 4), channels, 3, path="stem", padding=1)
    for block in ("one", "two"):
        y = net.add("relu", net.conv(x, 2 * channels, path=f"{block}.a"))
        x = net.add("add", x, net.conv(y, channels, 3, path=f"{block}.b", padding=1))
    pooled = net.add("flatten", x, start=1, end=3)
    return net.graph(net.linear(pooled, 5, path="head"))
