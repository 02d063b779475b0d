"""Moments without data: samples of every value that the model's own normalisations pin down.

A normalisation with trained statistics says how its result is distributed whatever it reads; from there
samples go through activations, sums and weights by each operator's own transfer. Nothing is measured on data
and nothing is random: the samples are quantiles in a fixed order, one set for all values, so that sample
``k`` of two values belongs together and ``x * sigmoid(x)`` spelled out is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Sampler, call_of, registry
from ..coupling import Coupling, Step, drop, steps

LARGEST = 1 << 24
"""Values with more sample entries than this count as unknown: a table over positions and channels."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples of the operands and results of one node: ``(K, ...)``, ``K = 1`` for constants, None unknown."""

    step: Step
    operands: tuple[Array | None, ...]
    results: tuple[Array | None, ...]


class _Probe(Sampler):
    """Stands for the sampler where only it matters whether samples would be made."""

    def __init__(self) -> None:
        pass

    def normal(self, mean: Array, deviation: Array) -> Array:
        return np.asarray(mean)[None]


def moments(coupling: Coupling) -> Mapping[str, Array | None]:
    """Samples of every value that depends on the input, by name.

    Returns:
        Arrays of shape ``(K, *shape)`` whose axes are 1 where all entries are alike; None where nothing is
        known, as of the model's inputs.
    """
    found: dict[str, Array | None] = dict.fromkeys(coupling.graph.inputs)
    for met in trace_moments(coupling, frozenset(coupling.graph.values)):
        found.update(zip(met.step.node.outputs, met.results, strict=False))
    return found


def trace_moments(coupling: Coupling, wanted: frozenset[str]) -> Iterator[Sampled]:
    """The same node by node for the values ``wanted``; what no one needs is None and costs nothing."""
    needed = _needed(coupling, wanted)
    sampler = Sampler()
    made: dict[str, Array | None] = dict.fromkeys(coupling.graph.inputs)
    for step in steps(coupling):
        operands = tuple(_operand(step, i, name, made) for i, name in enumerate(step.node.inputs))
        results: tuple[Array | None, ...] = (None,) * len(step.node.outputs)
        if not needed.isdisjoint(step.node.outputs):
            results = _results(step, operands, sampler)
        made.update(zip(step.node.outputs, results, strict=False))
        yield Sampled(step, operands, results)
        drop(made, step.expired)


def read_values(coupling: Coupling) -> frozenset[str]:
    """Names of the values that some operator sums over by products: those whose moments are of use."""
    graph = coupling.graph
    names = (m.tensor for group in coupling.prunable for m in group.members if m.role == "read")
    return frozenset(name for name in names if name in graph.values)


def _operand(step: Step, position: int, name: str | None, made: Mapping[str, Array | None]) -> Array | None:
    static = step.static[position]
    if static is not None:
        return static[None]
    return made.get(name) if name is not None else None


def _results(step: Step, operands: tuple[Array | None, ...], sampler: Sampler) -> tuple[Array | None, ...]:
    with np.errstate(all="ignore"):
        found = step.op.flow.moments(step.op, step.call, operands, sampler)
    known: list[Array | None] = [None] * len(step.node.outputs)
    for i, array in zip(range(len(known)), found, strict=False):
        if array is not None and array.size <= LARGEST:
            known[i] = _usable(np.asarray(array))
    return tuple(known)


def _usable(samples: Array) -> Array | None:
    """Floats in float64 as long as they are finite; a condition stays what it is."""
    if samples.dtype.kind != "f":
        return samples
    return samples.astype(np.float64, copy=False) if np.all(np.isfinite(samples)) else None


def _needed(coupling: Coupling, wanted: frozenset[str]) -> frozenset[str]:
    """``wanted`` and what their samples are computed from: nothing beyond a normalisation with statistics."""
    graph, needed = coupling.graph, set(wanted)
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        op = registry()[node.op]
        params = tuple(None if name is None else graph.params.get(name) for name in node.inputs)
        known = tuple(None if param is None else param.read()[None] for param in params)
        with np.errstate(all="ignore"):
            found = op.flow.moments(op, call_of(graph, node), known, _Probe())
        if any(array is None for array in found):
            needed.update(name for name in node.inputs if name is not None)
    return frozenset(needed)


def mean_of(samples: Array) -> Array:
    """Expected value, of the samples' shape without the first axis."""
    return np.asarray(samples.mean(axis=0))


def variance_of(samples: Array) -> Array:
    """Variance, of the samples' shape without the first axis."""
    return np.asarray(samples.var(axis=0))
