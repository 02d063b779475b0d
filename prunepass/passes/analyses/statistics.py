"""Statistics of activations: what is kept of a value while batches go by, a number for each channel of a read.

Each is a frozen dataclass; its fields are its options. Batches are folded one by one into sums in float64 that are
as large as the result, however many batches there are, and any split of the data into batches gives the same
numbers. Other distributions add statistics through the entry point group ``prunepass.statistics``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ...ir import Array, Table, UsageError, configurable
from ._activations import Activations

__all__ = [
    "Activations",
    "ByClass",
    "Covariance",
    "Mean",
    "MeanPower",
    "SecondMoment",
    "Statistic",
    "Taylor",
    "Variance",
    "get",
    "names",
]

# A class is a row of the result: what is larger is a number of something else, a time stamp say.
_MOST_CLASSES = 1 << 20


class Statistic(Protocol):
    """A frozen dataclass that folds activations.

    A statistic may also have ``asks``, names of what it needs beyond activations (``target``, ``loss``, or
    ``joint``: values of several channels of the same sample), and ``borrows``, statistics from whose sums it can be
    finished where they are asked for as well.
    """

    def start(self) -> Any:
        """The accumulator before the first batch."""
        ...

    def fold(self, held: Any, seen: Activations) -> Any:
        """The accumulator after one more batch; ``held`` may be changed in place."""
        ...

    def finish(self, held: Any) -> Array:
        """A float64 array whose last axis is that of the read."""
        ...


@dataclass
class _Moments:
    """Sums, and sums of squared differences from a number near the mean: squares of small numbers do not cancel."""

    count: int = 0
    near: Any = None
    base: Array | float = 0.0
    sums: Array | float = 0.0
    squares: Array | float = 0.0

    def add(self, seen: Activations) -> _Moments:
        whole = seen.pooled()
        if self.near is None:
            self.near = whole.sum(axis=(0, 2)) / seen.places
            self.base = seen.numbers(self.near)
        apart = whole - self.near.reshape(1, seen.entries, 1)
        self.sums = self.sums + seen.numbers(apart.sum(axis=(0, 2)))
        self.squares = self.squares + seen.numbers((apart * apart).sum(axis=(0, 2)))
        self.count += seen.places
        return self

    def mean(self) -> Array:
        return np.asarray(self.base + self.sums / self.count)

    def variance(self) -> Array:
        return np.maximum(self.squares / self.count - np.square(self.sums / self.count), 0.0)


@dataclass(frozen=True)
class Variance:
    """Variance of each channel over samples and positions, divided by their number."""

    name: ClassVar[str] = "variance"

    def start(self) -> _Moments:
        return _Moments()

    def fold(self, held: _Moments, seen: Activations) -> _Moments:
        return held.add(seen)

    def finish(self, held: _Moments) -> Array:
        return held.variance()


@dataclass(frozen=True)
class SecondMoment:
    """Mean square of each channel over samples and positions."""

    name: ClassVar[str] = "second_moment"
    borrows: ClassVar[tuple[Statistic, ...]] = (Variance(),)

    def start(self) -> _Moments:
        return _Moments()

    def fold(self, held: _Moments, seen: Activations) -> _Moments:
        return held.add(seen)

    def finish(self, held: _Moments) -> Array:
        return np.asarray(held.variance() + held.mean() ** 2)


@dataclass
class _Sums:
    """Sums of something over places, and the number of them."""

    count: int = 0
    sums: Array | float = 0.0

    def add(self, sums: Array, count: int) -> _Sums:
        self.sums = self.sums + sums
        self.count += count
        return self

    def mean(self) -> Array:
        return np.asarray(self.sums / self.count)


@dataclass(frozen=True)
class Mean:
    """Mean of each channel over samples and positions."""

    name: ClassVar[str] = "mean"
    borrows: ClassVar[tuple[Statistic, ...]] = (Variance(), SecondMoment())

    def start(self) -> _Sums:
        return _Sums()

    def fold(self, held: _Sums, seen: Activations) -> _Sums:
        return held.add(seen.numbers(seen.pooled().sum(axis=(0, 2))), seen.places)

    def finish(self, held: _Sums | _Moments) -> Array:
        return held.mean()


@dataclass(frozen=True)
class MeanPower:
    """Mean of ``|x|^p`` of each channel over samples and positions.

    Attributes:
        p: the power, above 0.
    """

    name: ClassVar[str] = "mean_power"
    p: float = 1.0

    def __post_init__(self) -> None:
        if not self.p > 0:
            raise UsageError(f"mean_power needs a power above 0, not {self.p}")

    def start(self) -> _Sums:
        return _Sums()

    def fold(self, held: _Sums, seen: Activations) -> _Sums:
        sizes = abs(seen.pooled())
        powers = sizes if self.p == 1 else sizes * sizes if self.p == 2 else sizes**self.p
        return held.add(seen.numbers(powers.sum(axis=(0, 2))), seen.places)

    def finish(self, held: _Sums) -> Array:
        return held.mean()


@dataclass
class _Products:
    """Sums of products of differences from a number near the mean."""

    count: int = 0
    near: Any = None
    sums: Array | float = 0.0
    products: Array | float = 0.0

    def add(self, seen: Activations) -> _Products:
        rows = seen.pooled().swapaxes(1, 2).reshape(seen.places, seen.entries)
        if self.near is None:
            self.near = rows.sum(axis=0) / seen.places
        apart = rows - self.near
        self.sums = self.sums + seen.numbers(apart.sum(axis=0))
        self.products = self.products + seen.numbers(apart.swapaxes(0, 1) @ apart)
        self.count += seen.places
        return self


@dataclass(frozen=True)
class Covariance:
    """Covariance of every pair of channels over samples and positions: (channels, channels)."""

    name: ClassVar[str] = "covariance"
    asks: ClassVar[tuple[str, ...]] = ("joint",)

    def start(self) -> _Products:
        return _Products()

    def fold(self, held: _Products, seen: Activations) -> _Products:
        return held.add(seen)

    def finish(self, held: _Products) -> Array:
        off = np.asarray(held.sums / held.count)
        return np.asarray(held.products / held.count - np.outer(off, off))


@dataclass(frozen=True)
class ByClass:
    """Another statistic for each class of the data by itself: (classes, ...).

    Classes are whole numbers from 0, as targets are; one of which no sample was seen has NaN.

    Attributes:
        inner: the statistic of one class.
    """

    name: ClassVar[str] = "by_class"
    inner: Statistic = Mean()

    def __post_init__(self) -> None:
        if isinstance(self.inner, ByClass):
            raise UsageError("by_class of by_class: a sample has one class", advice="name a plain statistic")

    @property
    def asks(self) -> tuple[str, ...]:
        return ("target", *asked_of(self.inner))

    @property
    def borrows(self) -> tuple[Statistic, ...]:
        return tuple(ByClass(other) for other in borrowed_of(self.inner))

    def start(self) -> dict[int, Any]:
        return {}

    def fold(self, held: dict[int, Any], seen: Activations) -> dict[int, Any]:
        labels = np.asarray(seen.labels)
        _check_classes(labels)
        for label in np.unique(labels).tolist():
            before = held[label] if label in held else self.inner.start()
            held[label] = self.inner.fold(before, seen.of(np.flatnonzero(labels == label)))
        return held

    def finish(self, held: dict[int, Any]) -> Array:
        found = {label: self.inner.finish(one) for label, one in held.items()}
        shape = next(iter(found.values())).shape
        whole = np.full((max(found) + 1, *shape), np.nan)
        for label, array in found.items():
            whole[label] = array
        return whole


def _check_classes(labels: Array) -> None:
    """Refuse what marks samples to be ignored, or is no class at all: a class is an index of the result."""
    wild = labels[(labels < 0) | (labels >= _MOST_CLASSES)]
    if wild.size:
        raise UsageError(
            f"the target {wild[0]} of a sample is no class",
            advice=f"classes are whole numbers from 0 to {_MOST_CLASSES - 1}; leave other samples out",
        )


@dataclass(frozen=True)
class Taylor:
    """First-order effect of each channel on the loss: mean over samples of ``|sum of activation * gradient|``.

    The sum runs over the positions of one sample. The loss is taken to be the mean over the samples of a batch.
    """

    name: ClassVar[str] = "taylor"
    asks: ClassVar[tuple[str, ...]] = ("loss",)

    def start(self) -> _Sums:
        return _Sums()

    def fold(self, held: _Sums, seen: Activations) -> _Sums:
        effects = seen.by_sample(seen.tensor * seen.gradient) * seen.samples
        return held.add(np.abs(effects).sum(axis=0), seen.samples)

    def finish(self, held: _Sums) -> Array:
        return held.mean()


def asked_of(statistic: Statistic) -> tuple[str, ...]:
    """Needs of a statistic beyond activations."""
    asks: tuple[str, ...] = getattr(statistic, "asks", ())
    return asks


def borrowed_of(statistic: Statistic) -> tuple[Statistic, ...]:
    """Statistics from whose sums it can be finished."""
    others: tuple[Statistic, ...] = getattr(statistic, "borrows", ())
    return others


_BUILT_IN = {
    "by_class": ".statistics:ByClass",
    "covariance": ".statistics:Covariance",
    "mean": ".statistics:Mean",
    "mean_power": ".statistics:MeanPower",
    "second_moment": ".statistics:SecondMoment",
    "taylor": ".statistics:Taylor",
    "variance": ".statistics:Variance",
}
_TABLE = Table("statistic", "prunepass.statistics", _BUILT_IN, __package__, configurable)


def names() -> tuple[str, ...]:
    """Names of all known statistics."""
    return tuple(_TABLE)


def get(name: str) -> type[Statistic]:
    """The class of the statistic called ``name``.

    Raises:
        UsageError: no statistic has that name, or the distribution that adds it is broken.
    """
    found: type[Statistic] = _TABLE[name]
    return found
