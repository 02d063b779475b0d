"""Functions that the tests of the command line name, without torch; not part of any package."""

from __future__ import annotations

from typing import Any

import numpy as np

COUNT = 3


def batches() -> list[Any]:
    return [np.zeros((1, 3, 8, 8), np.float32)]


def accuracy(model: Any) -> float:
    return 0.5


def by_name() -> dict[str, Any]:
    return {"x": np.zeros((4, 3, 8, 8), np.float32)}


def broken(model: Any) -> float:
    raise OSError("no disk")


def broken_batches() -> Any:
    yield from batches()
    raise OSError("no disk")


def parameters(model: Any) -> float:
    """As many entries as the initializers have."""
    return float(sum(value.const_value.size for value in model.graph.initializers.values()))


def trained(model: Any, hooks: Any) -> None:
    hooks.progress(0.5)


def nothing_said(model: Any) -> None:
    return None
