"""Observation: statistics of reads from batches that run through an executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from ...ir import Array, Executor, Graph, Spot, UsageError, batching
from ..coupling import Coupling, ReadPlace, reads
from ._activations import Activations
from ._inputs import batched_inputs
from .statistics import Statistic, asked_of, borrowed_of

Place: TypeAlias = tuple[Spot, int]
"""A value, or a single read of it where gradients are concerned, and an axis."""
_Key: TypeAlias = "tuple[Statistic, Place]"


@dataclass(frozen=True, eq=False)
class Feed:
    """One batch, ready to run.

    Attributes:
        inputs: arrays by input name.
        samples: number of samples in it.
        labels: class of each, None where there are none.
        batch: as the user gave it, for the loss.
    """

    inputs: Mapping[str, Array]
    samples: int = 1
    labels: Array | None = None
    batch: Any = None


@dataclass(frozen=True, eq=False)
class Observed:
    """Observed statistics: by statistic and read an array whose last axis is that of the read.

    Attributes:
        source: ``model``, ``synthetic`` or ``data``.
        reads: the reads of the network.
        samples: number of samples seen; 0 where the model itself was asked.
        unknown: names and axes of values of which the source says nothing.
    """

    source: str
    arrays: Mapping[_Key, Array]
    reads: tuple[ReadPlace, ...] = ()
    samples: int = 0
    unknown: frozenset[Place] = field(default_factory=frozenset)

    def __getitem__(self, key: tuple[Statistic, ReadPlace]) -> Array:
        """One statistic of one read.

        Raises:
            UsageError: it was not observed, or the source does not know.
        """
        statistic, read = key
        found = self.of(statistic, read)
        if found is None:
            why = (
                f"the source '{self.source}' does not know it"
                if read.place in self.unknown
                else "nobody asked"
            )
            raise UsageError(
                f"there is no {statistic} of '{read.value}', axis {read.axis}: {why}",
                advice="name it among the statistics to observe, or observe data",
            )
        return found

    def of(self, statistic: Statistic, read: ReadPlace) -> Array | None:
        """One statistic of one read; None where it is not known."""
        alone = read.spot, read.axis
        return self.get(statistic, alone if "loss" in asked_of(statistic) else read.place)

    def get(self, statistic: Statistic, place: Place) -> Array | None:
        """One statistic of one axis of a value; None where it is not known."""
        return self.arrays.get((statistic, place))

    def has(self, statistics: Iterable[Statistic]) -> bool:
        """Return whether every read was observed with all of these."""
        seen = {statistic for statistic, _ in self.arrays}
        return seen.issuperset(statistics) or (not self.arrays and bool(self.unknown))

    def covers(self, coupling: Coupling) -> bool:
        """Return whether every read of ``coupling`` was looked at, whatever was found out about it."""
        looked = {(read.spot, *read.place) for read in self.reads}
        return looked.issuperset((read.spot, *read.place) for read in reads(coupling))

    def of_group(self, name: str) -> tuple[ReadPlace, ...]:
        """Reads of one group."""
        return tuple(read for read in self.reads if name in read.groups)


class Source(Protocol):
    """Where statistics come from: the model itself, synthetic inputs, data."""

    def __call__(self, coupling: Coupling, statistics: Sequence[Statistic]) -> Observed: ...


def places_of(coupling: Coupling) -> tuple[tuple[str, int], ...]:
    """Names and axes of the values to look at: those that are read, and what they are multiplied with."""
    values = coupling.graph.values
    found = dict.fromkeys(
        place
        for read in reads(coupling)
        for place in (read.place, *read.others)
        if place[0] in values and place[0] not in coupling.static
    )
    return tuple(found)


def observe_batches(
    coupling: Coupling,
    executor: Executor,
    feeds: Iterable[Feed],
    statistics: Sequence[Statistic],
    *,
    loss: Callable[[Sequence[Any], Any], Any] | None = None,
    source: str = "data",
) -> Observed:
    """Fold every batch into every statistic, value by value, as the executor makes them.

    Args:
        loss: of outputs and batch, for statistics that ask for gradients.

    Raises:
        UsageError: there are no samples, or a batch lacks what a statistic asks for.
    """
    folding = _Folding.of(coupling, statistics)
    samples = 0
    for feed in feeds:
        if feed.samples:
            folding.take(executor, feed, loss)
            samples += feed.samples
    if not samples:
        raise UsageError("the data hold no samples", advice="a single one is enough to observe")
    return Observed(source, folding.finished(), reads(coupling), samples)


@dataclass
class _Folding:
    """Statistics on their way.

    Attributes:
        axes: of each value, or read, the axes to look at.
        holders: by statistic the one from whose sums it is finished.
        along: of each value the axis of its samples.
        names: of each read the value.
        given: values that are given out, which are a value and a read.
    """

    axes: Mapping[Spot, Sequence[int]]
    holders: Mapping[Statistic, Statistic]
    along: Mapping[str, int]
    names: Mapping[Spot, str]
    given: frozenset[Spot] = frozenset()
    held: dict[_Key, Any] = field(default_factory=dict)

    @staticmethod
    def of(coupling: Coupling, statistics: Sequence[Statistic]) -> _Folding:
        asked = tuple(dict.fromkeys(statistics))
        holders = {one: next((o for o in borrowed_of(one) if o in asked), one) for one in asked}
        axes: dict[Spot, list[int]] = {}
        if any(not _by_read(one) for one in asked):
            for name, axis in places_of(coupling):
                axes.setdefault(name, []).append(axis)
        looked = [read for read in reads(coupling) if read.value in coupling.graph.values]
        if any(_by_read(one) for one in asked):
            for read in looked:
                axes.setdefault(read.spot, []).append(read.axis)
        names: dict[Spot, str] = {read.spot: read.value for read in looked}
        given = frozenset[Spot](read.spot for read in looked if not read.node)
        unique = {spot: tuple(dict.fromkeys(found)) for spot, found in axes.items()}
        return _Folding(unique, holders, sample_axes(coupling.graph), names, given)

    def take(self, executor: Executor, feed: Feed, loss: Callable[[Sequence[Any], Any], Any] | None) -> None:
        """Fold one batch."""
        self._check(feed)
        for spot, tensor, gradient in self._made(executor, feed, loss):
            name = self.names.get(spot, str(spot))
            for axis in self.axes[spot]:
                self._fold(
                    spot,
                    Activations(
                        tensor,
                        axis,
                        executor.array,
                        feed.samples,
                        self.along.get(name),
                        feed.labels,
                        gradient,
                        name,
                    ),
                )

    def _made(
        self, executor: Executor, feed: Feed, loss: Callable[[Sequence[Any], Any], Any] | None
    ) -> Iterator[tuple[Spot, Any, Any]]:
        """Every wanted value with its gradient, None where nobody asked for gradients."""
        if not any(map(_by_read, self.holders)):
            walked = executor.walk(feed.inputs, wanted=[spot for spot in self.axes if isinstance(spot, str)])
            return ((name, tensor, None) for name, tensor in walked)
        if loss is None:
            raise UsageError(
                "gradients need a loss, and the task has none",
                advice="give task=pp.task_of(data, loss=f) with f(outputs, batch) -> a single number",
            )

        def lost(outputs: Sequence[Any]) -> Any:
            return loss(outputs, feed.batch)

        return executor.gradients(feed.inputs, wanted=tuple(self.axes), loss=lost)

    def _check(self, feed: Feed) -> None:
        for one in self.holders:
            if "target" in asked_of(one) and feed.labels is None:
                raise UsageError(
                    f"{one} needs the class of every sample, and a batch has no targets",
                    advice="give pairs of input and target; targets are whole numbers, one a sample",
                )

    def _fold(self, spot: Spot, seen: Activations) -> None:
        given = spot in self.given
        for holder in dict.fromkeys(self.holders.values()):
            if not given and _by_read(holder) == isinstance(spot, str):
                continue
            key = holder, (spot, seen.axis)
            before = self.held[key] if key in self.held else holder.start()
            with np.errstate(all="ignore"):
                self.held[key] = holder.fold(before, seen)

    def finished(self) -> dict[_Key, Array]:
        """Every statistic of every place."""
        with np.errstate(all="ignore"):
            return {
                (one, place): _numbers(one, one.finish(held), place)
                for one, holder in self.holders.items()
                for (kept, place), held in self.held.items()
                if kept == holder
            }


def _numbers(statistic: Statistic, found: Any, place: Place) -> Array:
    """The final value of a statistic, which may be a tensor of the host, in float64."""
    plain = found.detach() if hasattr(found, "detach") else found
    try:
        array = np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{statistic} of '{place[0]}' is no array of numbers: {error}") from error
    if found is None or not array.ndim:
        raise UsageError(
            f"{statistic} finished '{place[0]}' with {found!r}, which tells nothing of single channels",
            advice="finish(held) gives an array whose last axis is that of the read",
        )
    return array


def _by_read(statistic: Statistic) -> bool:
    """Return whether a statistic looks at gradients: those differ from read to read of one value."""
    return "loss" in asked_of(statistic)


def sample_axes(graph: Graph) -> Mapping[str, int]:
    """The axis of every value along which the samples of a batch lie."""
    return batching(graph, frozenset((name, 0) for name in batched_inputs(graph))).axes
