"""Sources of statistics: the model's own normalisations, synthetic inputs, batches of data; one interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ir import Array, Executor, UsageError
from ..coupling import Coupling, reads
from ._activations import Activations
from ._moments import trace_moments
from ._observe import Feed, Observed, Place, observe_batches, places_of
from ._sample import one_sample
from ._synthetic import synthetic_inputs
from .statistics import Mean, Statistic, Variance, asked_of

SOURCES = ("model", "synthetic", "data")
_DRAWN = 3


@dataclass(frozen=True, eq=False)
class ModelMoments:
    """Moments from normalisations with trained statistics, carried on through operators; no input is needed."""

    def __call__(self, coupling: Coupling, statistics: Sequence[Statistic]) -> Observed:
        """See :class:`Source`.

        Raises:
            UsageError: a statistic asks for more than distributions of single channels.
        """
        for one in statistics:
            if asked_of(one):
                raise UsageError(
                    f"{one} cannot be had from the model alone: it says how single channels are distributed",
                    advice="use the source data, with a task",
                )
        small = one_sample(coupling)
        places = places_of(small)
        samples = _samples(small, frozenset(str(name) for name, _ in places))
        arrays: dict[tuple[Statistic, Place], Array] = {}
        unknown = set[Place]()
        for place in places:
            found = samples.get(str(place[0]))
            if found is None:
                unknown.add(place)
                continue
            seen = _spread(found, place[1], small.graph.values[str(place[0])].shape)
            arrays.update(((one, place), one.finish(one.fold(one.start(), seen))) for one in statistics)
        return Observed("model", arrays, reads(coupling), 0, frozenset(unknown))


def _samples(coupling: Coupling, wanted: frozenset[str]) -> Mapping[str, Array | None]:
    found: dict[str, Array | None] = {}
    for met in trace_moments(coupling, wanted):
        made = zip(met.step.node.outputs, met.results, strict=False)
        found.update((name, array) for name, array in made if name in wanted)
    return found


def _spread(samples: Array, axis: int, shape: tuple[int, ...]) -> Activations:
    """Samples whose axes are 1 where all entries are alike, with every entry of the axis that is asked for."""
    whole = np.broadcast_to(samples, (*samples.shape[: axis + 1], shape[axis], *samples.shape[axis + 2 :]))
    return Activations(whole, axis + 1, samples=len(samples))


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches through an executor.

    Attributes:
        feeds: makes the batches anew each time.
        loss: of outputs and batch, where gradients are asked for.
    """

    executor: Executor
    feeds: Callable[[], Iterable[Feed]]
    loss: Callable[[Sequence[Any], Any], Any] | None = None
    source: str = "data"

    def __call__(self, coupling: Coupling, statistics: Sequence[Statistic]) -> Observed:
        """See :class:`Source`."""
        return observe_batches(
            coupling, self.executor, self.feeds(), statistics, loss=self.loss, source=self.source
        )


def synthetic(executor: Executor, count: int = _DRAWN) -> Batches:
    """Inputs that no data set was needed for, through an executor: overlapping discs for images, normal noise."""

    def feeds() -> Iterable[Feed]:
        for seed in range(count):
            inputs = synthetic_inputs(executor.graph, seed)
            yield Feed(inputs, next((len(array) for array in inputs.values() if array.ndim), 1))

    return Batches(executor, feeds, source="synthetic")


def observed_means(coupling: Coupling, seen: Observed) -> dict[str, Array | None]:
    """Mean of every value that was observed, broadcastable to it; None where the source does not know."""
    return {name: None if found is None else found[0] for name, found in _shaped(coupling, seen).items()}


def observed_samples(coupling: Coupling, seen: Observed) -> dict[str, Array]:
    """Two samples of every value, ``(2, *shape)``, that have exactly the mean and the variance that were observed."""
    found = _shaped(coupling, seen)
    return {
        name: np.stack([one[0] - np.sqrt(one[1]), one[0] + np.sqrt(one[1])])
        for name, one in found.items()
        if one is not None
    }


def _shaped(coupling: Coupling, seen: Observed) -> dict[str, tuple[Array, Array] | None]:
    found: dict[str, tuple[Array, Array] | None] = {}
    for name, axis in places_of(coupling):
        mean, variance = (seen.get(one, (name, axis)) for one in (Mean(), Variance()))
        rank = len(coupling.graph.values[name].shape)
        if mean is None:
            found.setdefault(name, None)
            continue
        along = (*(1,) * axis, -1, *(1,) * (rank - axis - 1))
        spread = np.zeros_like(mean) if variance is None else variance
        if found.get(name) is None:
            found[name] = mean.reshape(along), spread.reshape(along)
    return found
