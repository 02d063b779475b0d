"""An engine whose time is a known staircase of the shapes, for tests of what is built on a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, prod
from typing import Any

from prunepass.drivers import Reading
from prunepass.ir import Array, Graph, NumpyExecutor, UnsupportedError

Time = Callable[[Graph], float]


def staircase(graph: Graph, step: int = 16, overhead: float = 2e4) -> float:
    """Multiply-accumulates of convolutions and linear layers, channels padded to ``step``, and what never shrinks."""
    total = overhead
    for node in graph.nodes:
        if node.op not in ("conv", "linear"):
            continue
        out, inside, *kernel = graph.tensor(str(node.inputs[1])).shape
        space = graph.values[node.outputs[0]].shape[2:]
        padded = [ceil(size / step) * step if size > 1 else 1 for size in (out, inside)]
        total += prod(padded) * prod(kernel) * prod(space) + 500
    return total


def cliff(graph: Graph) -> float:
    """The same, but a width that is no multiple of 4 falls off the fast path, as on ONNX Runtime."""
    widths = [graph.tensor(str(node.inputs[1])).shape[0] for node in graph.nodes if node.op == "conv"]
    return staircase(graph) * (3.0 if any(width % 4 for width in widths) else 1.0)


@dataclass
class GraphSession:
    """A session whose host is the neutral graph itself."""

    graph: Graph
    form: str = "graph"
    replayed: list[Graph] = field(default_factory=list)

    def replay(self, before: Graph, after: Graph, *, inplace: bool) -> Any:
        self.replayed.append(after)
        return after

    def constrain(self, before: Graph, mismatch: UnsupportedError) -> Graph:
        return before

    def executor(self, graph: Graph | None = None, *, dtype: str = "float32") -> NumpyExecutor:
        return NumpyExecutor(graph or self.graph, dtype)

    def undo(self) -> None:
        raise NotImplementedError

    def explain(self, model: Any, before: Graph, after: Graph, what: str) -> None:
        return None

    def run(self, model: Any, feeds: Mapping[str, Array]) -> list[Array]:
        raise NotImplementedError

    def feeds(self) -> None:
        return None


@dataclass
class Watch:
    """Measures graphs by ``time``, each relative to the original, and remembers what it measured."""

    original: Graph
    time: Time = staircase
    seen: list[float] = field(default_factory=list)

    def __call__(self, model: Graph, precise: bool) -> Reading:
        self.seen.append(self.time(model) / self.time(self.original))
        return Reading(self.seen[-1])
