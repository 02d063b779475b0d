"""Engines that compute nothing, for tests of how engines are treated."""

from __future__ import annotations

from typing import Any

import numpy as np

from prunepass.backends import Clock, Feeds, Layer, LayerTime, Memory, TensorSpec
from prunepass.backends._closing import Closing


class IdleBackend:
    """Builds idle engines and remembers them."""

    name = "idle"
    reads = ("onnx",)

    def __init__(self) -> None:
        self.built: list[IdleEngine] = []
        self.options: list[Any] = []

    def unavailable(self) -> str | None:
        return None

    def version(self) -> str:
        return "1.2"

    def clock(self, options: Any = None) -> Clock:
        return "cpu" if (options or {}).get("threads", 1) == 1 else "wall"

    def build(self, model: object, *, options: Any = None) -> IdleEngine:
        self.options.append(options)
        self.built.append(IdleEngine(self))
        return self.built[-1]


class IdleEngine(Closing):
    """Keeps what it was fed."""

    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, backend: IdleBackend | None = None) -> None:
        self.backend = backend or IdleBackend()
        self.inputs: tuple[TensorSpec, ...] = (TensorSpec("x", ("n", 2), "float32"),)
        self.fed: list[Feeds] = []
        self.closed = False

    def run(self, feeds: Feeds) -> dict[str, np.ndarray]:
        self.fed.append(feeds)
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
