"""Refinement of procedural inputs by gradient, towards the statistics that normalisations were trained on.

Where no family fits well, the inputs of the closest one are moved, by a few dozen steps of Adam, until the means and
variances that the normalisations read are those of training. Only hosts with gradients can do that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from ...ir import Array, Executor, Graph, UnsupportedError, UsageError, is_float
from ..cost import graph_cost
from ._activations import Activations
from ._drawn import Drawer, Feeds
from ._inputs import batched_inputs
from ._trained_norms import TrainedNorm, trained_norms

STEPS = 60
_RATE, _FADING, _FADING_SQUARES = 0.05, 0.9, 0.99
_WORK = 400e9
"""Multiply-accumulates that a refinement may take, those of gradients among them."""
_MEMORY = 1 << 30
"""Bytes of values that may be recorded."""

Opener = Callable[[Graph], Executor]


def can_refine(graph: Graph, count: int) -> bool:
    """Return whether gradients of so many samples take a bounded time and memory, and every input has samples."""
    size = Drawer.of(graph).size
    work = 3 * STEPS * count * graph_cost(graph).macs / size
    memory = 4 * sum(prod(value.shape) for value in graph.values.values()) / size * count
    floats = any(is_float(graph.values[name].dtype) for name in graph.inputs)
    whole = batched_inputs(graph) == set(graph.inputs)
    return floats and whole and work <= _WORK and memory <= _MEMORY


def refined(graph: Graph, opener: Opener, feeds: Feeds) -> Feeds | None:
    """The feeds, moved; None where the host has no gradients, or not through this graph."""
    norms = trained_norms(graph)
    names = tuple(dict.fromkeys(norm.value for norm in norms))
    executor = opener(replace(graph, outputs=names))
    whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in graph.inputs}
    moved = {name for name in graph.inputs if is_float(graph.values[name].dtype)}
    adam = {name: _Adam.of(whole[name]) for name in moved}
    loss = _loss(executor, norms, names)
    try:
        for step in range(STEPS):
            found = executor.gradients(whole, wanted=tuple(sorted(moved)), loss=loss)
            slopes = {str(name): executor.array(gradient) for name, _, gradient in found}
            for name in slopes.keys() & moved:
                whole[name] = adam[name].moved(whole[name], slopes[name], 1 - step / STEPS)
    except (UnsupportedError, UsageError):  # the latter where no input has a part in what is read
        return None
    if not all(bool(np.all(np.isfinite(whole[name]))) for name in moved):
        return None
    return _split(whole, [len(next(iter(feed.values()))) for feed in feeds])


@dataclass(eq=False)
class _Adam:
    """Adam over one array, in units of its deviation."""

    unit: float
    first: Any = 0.0
    second: Any = 0.0
    steps: int = field(default=0)

    @staticmethod
    def of(array: Array) -> _Adam:
        return _Adam(max(float(array.std()), 1e-6))

    def moved(self, array: Array, slope: Array, rate: float) -> Array:
        """The array after one step."""
        self.steps += 1
        self.first = _FADING * self.first + (1 - _FADING) * slope
        self.second = _FADING_SQUARES * self.second + (1 - _FADING_SQUARES) * slope * slope
        mean = self.first / (1 - _FADING**self.steps)
        square = self.second / (1 - _FADING_SQUARES**self.steps)
        step = mean / (np.sqrt(square) + 1e-12)
        return np.asarray(array - _RATE * rate * self.unit * step, array.dtype)


def _loss(
    executor: Executor, norms: Sequence[TrainedNorm], names: Sequence[str]
) -> Callable[[Sequence[Any]], Any]:
    told = [(norm, executor.tensor(norm.mean), executor.tensor(norm.deviation)) for norm in norms]

    def loss(outputs: Sequence[Any]) -> Any:
        made: Mapping[str, Any] = dict(zip(names, outputs, strict=True))
        return sum(_apart(made[norm.value], norm.axis, mean, deviation) for norm, mean, deviation in told)

    return loss


def _apart(tensor: Any, axis: int, mean: Any, deviation: Any) -> Any:
    """The distance of one normalisation, as tensors of the host."""
    seen = Activations(tensor, axis)
    whole, places = seen.pooled(), seen.places
    middle = whole.sum(axis=(0, 2)) / places
    apart = whole - middle.reshape(1, seen.entries, 1)
    spread = ((apart * apart).sum(axis=(0, 2)) / places + 1e-12) ** 0.5
    return (((middle - mean) / deviation) ** 2 + (spread / deviation - 1) ** 2).sum() / seen.entries


def _split(whole: Mapping[str, Array], sizes: Sequence[int]) -> Feeds:
    ends = np.cumsum(sizes)[:-1]
    parts = {name: np.split(array, ends) for name, array in whole.items()}
    return tuple({name: parts[name][at] for name in whole} for at in range(len(sizes)))
