"""Change of outputs, channel by channel: one output may hold quantities of many scales.

A detector joins boxes of hundreds of pixels and scores below one; taken together the boxes drown the scores. Each
channel is therefore compared with its own deviation, and a change counts as the share of the channel that is lost:
``c / (1 + c)``, ``c`` being squared difference over squared deviation. 0 is unchanged, 1/2 as far off as the channel
moves by itself, 1 nothing left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ir import Array, Atom, Dim, Executor, Fixed, Graph, Index, NumpyExecutor, Sum, leaves
from ..analyses import grid_of
from ..coupling import Coupling, couple, produced

Axes = tuple[Index | None, ...]

# A channel that is next to constant counts by its size, one that is next to nothing by that of its neighbours.
_OF_SIZE, _OF_OTHERS, _OF_LARGEST, _LEAST = 1e-2, 1e-3, 1e-7, 1e-150


@dataclass(frozen=True, slots=True)
class ChangedOutput:
    """One output: the share lost of its channels in the mean, the median, and of the channel that lost most."""

    name: str
    mean: float
    median: float
    worst: float
    channel: int
    channels: int


@dataclass(frozen=True)
class OutputChange:
    """Change of every output that holds numbers (of all, where none does)."""

    outputs: tuple[ChangedOutput, ...] = ()

    @property
    def worst(self) -> ChangedOutput | None:
        """The output of which most is lost."""
        return max(self.outputs, key=lambda one: one.mean, default=None)

    def __float__(self) -> float:
        """The share lost of the output that lost most, its channels counting alike."""
        return 0.0 if self.worst is None else self.worst.mean

    def __str__(self) -> str:
        if self.worst is None:
            return "no outputs"
        median = float(np.median([one.median for one in self.outputs]))
        channel = max(self.outputs, key=lambda one: one.worst)
        place = f"output '{channel.name}' channel {channel.channel}"
        return f"median {median:.2g}, worst {channel.worst:.2g} at {place}"


@dataclass(frozen=True, eq=False)
class _Wanted:
    """One output of the original for all inputs.

    Attributes:
        rows: the channel that each entry belongs to.
        spread: squared deviation by channel.
    """

    name: str
    runs: tuple[Array, ...]
    rows: Index
    spread: Array

    def changed(self, got: Sequence[Array | None]) -> ChangedOutput:
        squares, counts = np.zeros(len(self.spread)), np.zeros(len(self.spread))
        for want, have in zip(self.runs, got, strict=True):
            rows = _fitting(self.rows, want)
            if have is None or have.shape != want.shape:
                squares[:] = np.inf
            else:
                squares += np.bincount(rows, _gaps(have, want).ravel(), len(squares))
            counts += np.bincount(rows, minlength=len(squares))
        seen = np.flatnonzero(counts)
        shares = _share(squares[seen] / counts[seen] / self.spread[seen])
        at = int(np.argmax(shares))
        middle = float(np.median(shares))
        return ChangedOutput(
            self.name, float(shares.mean()), middle, float(shares[at]), int(seen[at]), len(seen)
        )


class Judge:
    """Compares networks with ``graph`` on the same inputs; holds outputs and nothing else.

    Args:
        executor: opens what runs a graph; the reference where it is not given.
    """

    def __init__(
        self,
        graph: Graph,
        feeds: Sequence[Mapping[str, Array]],
        executor: Callable[[Graph], Executor] = NumpyExecutor,
    ) -> None:
        self._feeds, self._executor = feeds, executor
        runs = self._outputs(graph)
        named = {name: tuple(run[name] for run in runs) for name in graph.outputs if name in graph.values}
        full = {name: made for name, made in named.items() if all(array.size for array in made)}
        real = {name: made for name, made in full.items() if made[0].dtype.kind == "f"}
        free = _free(graph)
        self._wanted = tuple(_wanted(free, name, made) for name, made in (real or full).items())

    def __call__(self, other: Graph, left: Mapping[str, Axes] | None = None) -> OutputChange:
        """Change of the outputs of ``other``.

        Args:
            left: by name of outputs of which channels went, the entries that are left; of the others nothing is.
        """
        runs = self._outputs(other)
        axes = left or {}
        return OutputChange(
            tuple(
                one.changed(
                    [
                        _whole(run.get(one.name), want, axes.get(one.name))
                        for run, want in zip(runs, one.runs, strict=True)
                    ]
                )
                for one in self._wanted
            )
        )

    def _outputs(self, graph: Graph) -> list[dict[str, Array]]:
        """The values among the outputs, input by input."""
        executor = self._executor(graph)
        names = frozenset(name for name in graph.outputs if name in graph.values)
        return [
            {name: executor.array(tensor) for name, tensor in executor.walk(feed, wanted=names)}
            for feed in self._feeds
        ]


def _whole(have: Array | None, want: Array, left: Axes | None) -> Array | None:
    """An output of the original's size."""
    if have is None or left is None:
        return have
    whole = np.zeros_like(want)
    whole[grid_of(whole.shape, left)] = have
    return whole


def _free(graph: Graph) -> Coupling:
    """The coupling without boundaries: outputs, too, know what made their channels."""
    return couple(replace(graph, inputs=(), outputs=(), pins=(), ties=()))


def _wanted(free: Coupling, name: str, runs: tuple[Array, ...]) -> _Wanted:
    rows, groups = _channels(free, name, runs[0])
    count = len(groups)
    number, total, square, largest = (np.zeros(count) for _ in range(4))
    for run in runs:
        at = _fitting(rows, run)
        data = np.where(np.isfinite(run), run, 0).astype(np.float64).ravel()
        number += np.bincount(at, minlength=count)
        total += np.bincount(at, data, count)
        square += np.bincount(at, data**2, count)
        np.maximum.at(largest, at, np.abs(data))
    number = np.maximum(number, 1)
    size = square / number
    spread = np.maximum(size - (total / number) ** 2, _OF_SIZE**2 * size)
    if runs[0].dtype.kind != "f":  # names and counts: they are the same or not
        return _Wanted(name, runs, rows, np.ones(count))
    for group in np.unique(groups):
        own = groups == group
        least = max(_OF_OTHERS**2 * np.median(spread[own]), (_OF_LARGEST * largest[own].max()) ** 2, _LEAST)
        spread[own] = np.maximum(spread[own], least)
    return _Wanted(name, runs, rows, spread)


def _gaps(have: Array, want: Array) -> Array:
    """Squared differences; 0 where both are infinite or NaN alike, for other types whether they differ."""
    same = (have == want) | ((have != have) & (want != want))
    if want.dtype.kind != "f":
        return np.asarray(~same, np.float64)
    with np.errstate(all="ignore"):
        gaps = (have.astype(np.float64) - want) ** 2
    return np.where(same, 0.0, np.where(np.isnan(gaps), np.inf, gaps))


def _share(change: Array) -> Array:
    return np.asarray(1 - 1 / (1 + change))


def _fitting(rows: Index, run: Array) -> Index:
    """Where the size depends on the data there is one row."""
    return rows.ravel() if rows.shape == run.shape else np.zeros(run.size, np.int64)


def _channels(free: Coupling, name: str, run: Array) -> tuple[Index, Index]:
    """The channel of every entry, and by channel the segment of its axis: what was joined stays apart.

    Channels are what weights have made; where nothing is known of that, the axis whose slices differ most in scale.
    """
    dims, made = free.dims[name], produced(free)
    axes = [axis for axis, dim in enumerate(dims) if any(leaf in made for leaf in leaves(dim))]
    if tuple(dim.size for dim in dims) != run.shape:
        return np.zeros(run.shape, np.int64), np.zeros(1, np.int64)
    if not axes:
        axis = _uneven(run)
        entries = [np.zeros(size, np.int64) for size in run.shape]
        if axis is not None:
            entries[axis] = np.arange(run.shape[axis])
        segments = [np.zeros(size, np.int64) for size in run.shape]
    else:
        entries = [_numbered(dim, made) for dim in dims]
        segments = [
            _segments(dim) if axis in axes else np.zeros(dim.size, np.int64) for axis, dim in enumerate(dims)
        ]
    rows, groups = _grid(entries), _grid(segments)
    by_row = np.zeros(int(rows.max()) + 1, np.int64)
    by_row[rows.ravel()] = groups.ravel()
    return rows, by_row


def _grid(numbers: Sequence[Index]) -> Index:
    """One number for each combination of the numbers of all axes."""
    whole = np.zeros((), np.int64)
    for own in numbers:
        whole = whole[..., None] * (int(own.max()) + 1) + own
    return whole


def _numbered(dim: Dim, made: frozenset[Atom | Fixed]) -> Index:
    """The channel of each entry of a dim; positions do not count."""
    if isinstance(dim, (Atom, Fixed)):
        return np.arange(dim.size) if dim in made else np.zeros(dim.size, np.int64)
    parts = [_numbered(part, made) for part in dim.parts]
    if not isinstance(dim, Sum):
        return _grid(parts).ravel()
    starts = np.cumsum([0, *(int(part.max()) + 1 for part in parts)])
    return np.concatenate([part + start for part, start in zip(parts, starts, strict=False)])


def _segments(dim: Dim) -> Index:
    sizes = [part.size for part in dim.parts] if isinstance(dim, Sum) else [dim.size]
    return np.repeat(np.arange(len(sizes)), sizes)


def _uneven(run: Array) -> int | None:
    """The axis along which the deviation of the slices differs most, in powers; None where there is none."""
    if run.dtype.kind != "f":
        return None
    data = np.where(np.isfinite(run), run, 0).astype(np.float64)
    found = dict[int, float]()
    for axis, size in enumerate(run.shape):
        deviation = np.moveaxis(data, axis, 0).reshape(size, -1).std(axis=1)
        real = deviation[deviation > 0]
        if len(real) > 1:
            found[axis] = float(np.log(real).std())
    return max(found, key=found.__getitem__, default=None)
