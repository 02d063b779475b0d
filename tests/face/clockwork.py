"""A backend that reads ONNX and runs nothing, and a comparison of its engines by a known time: no clock is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import prunepass as pp
from prunepass.backends import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec, onnx_source
from prunepass.backends._closing import Closing
from prunepass.ir import Graph
from prunepass.measure import Comparison, Measurement, Ratio, statistics
from tests.face.staircase import staircase

ROUNDS = 100


class ClockworkBackend:
    """Engines whose seconds are ``time`` of the model's graph."""

    name = "clockwork"

    def __init__(self, time: Callable[[Graph], float] = staircase) -> None:
        self.time = time
        self.built: list[ClockworkEngine] = []

    def unavailable(self) -> str | None:
        return None

    def version(self) -> str:
        return "1.0"

    def clock(self, options: Any = None) -> Clock:
        return "cpu" if (options or {}).get("threads", 1) == 1 else "wall"

    def build(self, model: object, *, options: Any = None) -> ClockworkEngine:
        import onnx

        source = onnx_source(model)
        proto: Any = onnx.load_from_string(source) if isinstance(source, bytes) else source
        self.built.append(ClockworkEngine(self, pp.capture(proto), dict(options or {})))
        return self.built[-1]


class ClockworkEngine(Closing):
    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, backend: ClockworkBackend, graph: Graph, options: dict[str, Any]) -> None:
        self.backend, self.graph, self.options = backend, graph, options
        values = [graph.values[name] for name in graph.inputs]
        self.inputs = tuple(TensorSpec(value.name, value.shape, value.dtype) for value in values)
        self.seconds = backend.time(graph) * 1e-9
        self.closed = False

    def run(self, feeds: Feeds) -> dict[str, np.ndarray]:
        return {}

    def save(self, path: object) -> None: ...

    def layers(self) -> tuple[Layer, ...]:
        return ()

    def profile(self, feeds: Feeds | None = None, *, runs: int = 10) -> tuple[LayerTime, ...]:
        return ()

    def memory(self) -> Memory:
        return Memory()

    def close(self) -> None:
        self.closed = True


def compare(
    models: Sequence[Any], backend: Any = None, *, names: Sequence[str] = (), **timing: Any
) -> Comparison:
    """What ``prunepass.measure.compare`` would say if the clocks were perfect."""
    engines = [model if isinstance(model, ClockworkEngine) else backend.build(model) for model in models]
    first = engines[0].seconds
    rows = []
    for place, engine in enumerate(engines):
        times, ratio = statistics([engine.seconds] * 3), Ratio(*(first / engine.seconds,) * 3)
        name = names[place] if names else f"model {place}"
        rows.append(Measurement(name, 1 / engine.seconds, times, times, ratio, ratio))
    return Comparison("clockwork", "1.0", int(timing.get("threads", 1)), ROUNDS, tuple(rows))
