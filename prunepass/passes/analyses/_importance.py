"""Importance of each value for the outputs: what flows out is shared among what flows in.

An error that is a given fraction of a value's variance stays about that fraction through layers and
normalisations. Where values are added or joined, each carries the part of the variance that it brings: an error
in a small branch is small in the sum. So importance starts as 1 at every output and goes backwards, and a value
that several nodes read has the sum of what they pass on. It neither grows nor fades with depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ...ir import Array, Graph
from ._moments import Sampled, variance_of
from ._shift import added

Shares = Mapping[int, float]


def shares_of(met: Sampled, bounds: tuple[Array | None, ...]) -> Shares:
    """Shares of the importance of a node's results, by operand that depends on the input.

    Args:
        bounds: magnitudes of the operands; squared they stand for variances that are not known.
    """
    step, data = met.step, met.step.data
    if len(data) < 2:
        return dict.fromkeys(data, 1.0)
    energy = np.ones(len(data))
    if step.op.flow.moves:
        energy = np.array([_variance(met, bounds, i) * prod(step.call.shape(i)) for i in data])
    elif added(step, data[0]) is not None:
        energy = np.array([_variance(met, bounds, i) for i in data])
    whole = float(energy.sum())
    return dict(zip(data, energy / whole if whole > 0 else np.full(len(data), 1 / len(data)), strict=True))


def _variance(met: Sampled, bounds: tuple[Array | None, ...], position: int) -> float:
    samples, bound = met.operands[position], bounds[position]
    if samples is not None:
        return float(variance_of(samples).mean())
    return 1.0 if bound is None else float(np.mean(np.square(bound, dtype=np.float64)))


def importance(graph: Graph, shares: Mapping[str, Shares]) -> Mapping[str, float]:
    """Importance of every value that reaches an output, by name; ``shares`` by node name."""
    found = dict.fromkeys(graph.outputs, 1.0)
    for node in reversed(graph.nodes):
        flows = sum(found.get(output, 0.0) for output in node.outputs)
        for position, share in shares.get(node.name, {}).items():
            name = node.inputs[position]
            if name is not None and flows:
                found[name] = found.get(name, 0.0) + flows * share
    return found
