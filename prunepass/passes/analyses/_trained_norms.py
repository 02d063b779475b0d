"""Normalisations with trained statistics, and how far what they read is from what they were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir import Array, Executor, Graph, Node, UnsupportedError, leaves, registry, rule_of
from ._activations import Activations
from ._inputs import batched_inputs
from .statistics import Variance

_WORST = 10.0
"""What one channel adds to a distance at most: of channels that were dead in training the deviation is near 0."""


@dataclass(frozen=True, eq=False)
class TrainedNorm:
    """Trained statistics of a value that one normalisation reads.

    Attributes:
        node: its name.
        value: what it reads.
        axis: of its channels.
        mean, deviation: of each channel, as trained.
    """

    node: str
    value: str
    axis: int
    mean: Array
    deviation: Array

    def residual(self, mean: Any, deviation: Any) -> Array:
        """Differences of each channel's mean and deviation, in units of the trained one: (2, channels)."""
        return np.stack([(mean - self.mean) / self.deviation, deviation / self.deviation - 1])


def trained_norms(graph: Graph) -> tuple[TrainedNorm, ...]:
    """All that the outputs depend on, in order; those that still have the statistics of a new layer say nothing."""
    found: tuple[TrainedNorm, ...] = graph.memo("trained norms", _found)
    return found


def _found(graph: Graph) -> tuple[TrainedNorm, ...]:
    nodes = [node for node in graph.nodes if node.name in graph.needed]
    return tuple(norm for node in nodes for norm in [_norm(graph, node)] if norm is not None)


def _norm(graph: Graph, node: Node) -> TrainedNorm | None:
    op = registry()[node.op]
    places = [op.position(name) for name in ("mean", "var")]
    named = [None if at is None or at >= len(node.inputs) else node.inputs[at] for at in places]
    data = [at for at, name in enumerate(node.inputs) if name in graph.values]
    if len(data) != 1 or places[0] is None or any(name not in graph.params for name in named):
        return None
    rule = rule_of(graph, node)
    read, told = rule.operands[data[0]], rule.operands[places[0]]
    channel = [leaf for dim in told or () for leaf in leaves(dim) if leaf.size > 1]
    axes = [at for at, dim in enumerate(read or ()) if channel and list(leaves(dim)) == channel]
    mean, variance = (graph.params[str(name)].read().astype(np.float64).reshape(-1) for name in named)
    if len(axes) != 1 or (not np.any(mean) and np.all(variance == 1)):
        return None
    deviation = np.sqrt(np.maximum(variance, 0) + _floor(variance))
    return TrainedNorm(node.name, str(node.inputs[data[0]]), axes[0], mean, deviation)


def _floor(variance: Array) -> float:
    """A thousandth of the usual variance: less is as good as constant."""
    return 1e-3 * float(np.median(variance)) + 1e-12


def first_norms(graph: Graph) -> tuple[TrainedNorm, ...]:
    """Those with no other one between the inputs and them."""
    norms = {norm.node: norm for norm in trained_norms(graph)}
    behind, found = set[str](), list[TrainedNorm]()
    for node in graph.nodes:
        late = not behind.isdisjoint(name for name in node.inputs if name is not None)
        if node.name in norms and not late:
            found.append(norms[node.name])
        if node.name in norms or late:
            behind.update(node.outputs)
    return tuple(found)


def norm_residuals(
    executor: Executor, norms: Sequence[TrainedNorm], feeds: Iterable[Mapping[str, Array]]
) -> tuple[Array, ...]:
    """Residuals of each normalisation over all feeds together, see :meth:`TrainedNorm.residual`.

    Only values that normalisations read are looked at, one at a time; what is kept is a few numbers a channel.
    """
    moments, held = Variance(), dict[tuple[str, int], Any]()
    axes: dict[str, list[int]] = {}
    for norm in norms:
        axes.setdefault(norm.value, []).append(norm.axis)
    for name, tensor in _walked(executor, tuple(axes), list(feeds)):
        for axis in dict.fromkeys(axes[name]):
            seen = Activations(tensor, axis, executor.array, name=name)
            before = held[name, axis] if (name, axis) in held else moments.start()
            with np.errstate(all="ignore"):
                held[name, axis] = moments.fold(before, seen)
    found = [(norm, held[norm.value, norm.axis]) for norm in norms]
    return tuple(norm.residual(one.mean(), np.sqrt(one.variance())) for norm, one in found)


def _walked(
    executor: Executor, wanted: tuple[str, ...], feeds: Sequence[Mapping[str, Array]]
) -> Iterator[tuple[str, Any]]:
    """The wanted values of all feeds: at one go where the graph runs so many samples, else feed by feed."""
    batched = batched_inputs(executor.graph)
    if len(feeds) > 1 and batched == set(executor.graph.inputs):
        whole = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        try:
            yield from executor.walk(whole, wanted=wanted)
            return
        except UnsupportedError:  # raised before anything is run
            pass
    for feed in feeds:
        yield from executor.walk(feed, wanted=wanted)


def mean_loss(residuals: Sequence[Array]) -> float:
    """The mean over normalisations and channels of the squares; what is not finite counts as far away."""
    each = [np.nan_to_num(np.minimum((one**2).sum(axis=0), _WORST), nan=_WORST).mean() for one in residuals]
    return float(np.mean(each)) if each else float("nan")
