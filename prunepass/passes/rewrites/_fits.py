"""A fit of one weighted sum on drawn positions of all inputs, and where its channels stand in the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Dims, Graph, Index, Node, WeightedSum
from ..analyses import along, response
from ..coupling import Step
from ._channel_fit import ChannelSums
from ._least_squares import Gram
from ._rows import Result
from ._twins import Twins

_BLOCK = 1 << 22
"""Entries of the terms that are gathered at once."""
_SMALL = 64


@dataclass(frozen=True)
class Fitted:
    """Result of the fit of one weighted sum.

    Attributes:
        matrix: weights of shape ``(groups, made, terms)``; None where they stay.
        intercept: what is added to them, ``(groups, made)``.
        ridge: strength of the pull to the old weights, 0 where there is none, None where the weights stay.
        left: share of the error that is left, outside the fit.
    """

    matrix: Array | None
    intercept: Array
    ridge: float | None
    left: float


@dataclass(frozen=True)
class Rows:
    """The drawn positions of one weighted sum, part by part.

    Attributes:
        target: what should come out, by part.
        drawn: numbers of positions.
        still: what the result holds whatever is fitted.
    """

    twins: Twins
    node: Node
    sums: Sequence[WeightedSum]
    target: Result
    drawn: Sequence[Index]
    still: Array

    def __iter__(self) -> Iterator[tuple[Array, Array, Array]]:
        """Terms, targets, and the fold of each, in blocks."""
        for chunk, (one, drawn) in enumerate(zip(self.sums, self.drawn, strict=True)):
            target = self.target(chunk)
            data = self.twins.pruned(str(self.node.inputs[one.data]), chunk)
            size = max(1, _BLOCK // (one.groups * one.terms_))
            for start in range(0, len(drawn), size):
                rows = drawn[start : start + size]
                folds = (self.twins.chunks[chunk].start + one.sample_of(rows)) % 2
                yield one.terms(data, rows), one.made_at(target, rows) - self.still, folds


def fitted(rows: Rows, start: Array, current: Array, ridges: Sequence[float], *, free: bool) -> Fitted:
    """The weights and the intercept that come nearest to the targets.

    Args:
        start: weights as they were.
        current: what was added to them.
        free: whether there is a place for an intercept.
    """
    groups, made, terms = start.shape
    if made == 1 and groups > 1 and terms <= _SMALL:
        return _gains(rows, start, current, free=free)
    gram = Gram(groups, terms, made)
    for z, t, fold in rows:
        gram.add(z, t, fold)
    found = gram.solve(start, centred=free, ridges=tuple(ridges))
    left = found.error_after / max(found.error_before, 1e-30)
    return Fitted(None if found.ridge is None else found.weight, found.intercept, found.ridge, left)


def _gains(rows: Rows, start: Array, current: Array, *, free: bool) -> Fitted:
    """One number for each filter: there are too few terms for more."""
    sums = ChannelSums(start.shape[:1])
    offset = current[:, 0] if free else 0.0
    for z, t, fold in rows:
        sums.add(np.einsum("rgk,gk->rg", z, start[:, 0]) + offset, t[..., 0], fold)
    found = sums.solve(shifted=free)
    left = found.error_after / max(found.error_before, 1e-30)
    same = bool(np.all(found.gain == 1))
    matrix = None if same else start * found.gain[:, None, None]
    intercept = (found.gain * offset + found.shift)[:, None]
    return Fitted(matrix, intercept, None if same else 0.0, left)


@dataclass(frozen=True)
class Layout:
    """Layout of a node's channels in its result.

    Attributes:
        shape: of the result, with 1 for axes of positions.
        places: by axis the coordinate of each channel, ``(groups, made)``.
    """

    base: WeightedSum
    whole: tuple[int, ...]
    shape: tuple[int, ...]
    places: tuple[Index, ...]

    @staticmethod
    def of(graph: Graph, node: Node, base: WeightedSum) -> Layout | None:
        """None where they lie mixed with positions on one axis."""
        whole = graph.values[node.outputs[0]].shape
        numbers = np.arange(int(np.prod(whole))).reshape(whole)
        at = base.made_at(numbers, np.zeros(1, np.int64))[0]
        places = np.unravel_index(at, whole)
        shape = tuple(
            size if size > 1 and int(place.max()) > int(place.min()) else 1
            for size, place in zip(whole, places, strict=True)
        )
        return Layout(base, whole, shape, places) if np.prod(shape) == at.size else None

    def amount(self, channels: Array) -> Array:
        """One number for each channel, broadcastable to the result."""
        amount = np.zeros(self.shape)
        amount[
            tuple(np.where(size > 1, place, 0) for size, place in zip(self.shape, self.places, strict=True))
        ] = channels
        return amount

    def added(self, step: Step) -> Array:
        """Bias of each channel.

        Returns:
            zeros where it has none, NaN where that cannot be told.
        """
        groups, made, at = self.base.groups, self.base.made, self.base.bias
        if at is None or not step.call.has(at):
            return np.zeros((groups, made))
        array, dims, gain = step.static[at], step.rule.operands[at], response(step, at)
        if array is None or dims is None or gain is None:
            return np.full((groups, made), np.nan)
        found = array * gain if array.size == 1 else along(array * gain, dims, step.rule.results[0])
        if found is None:
            return np.full((groups, made), np.nan)
        whole = np.broadcast_to(found, self.whole)
        return np.asarray(self.base.made_at(whole, np.zeros(1, np.int64))[0])


def axes_of(dims: Dims, within: Dims) -> tuple[int, ...] | None:
    """For each of ``dims`` the axis of a tensor of ``within`` that it is; None where one is not there."""
    found = [next((at for at, one in enumerate(within) if one is dim), -1) for dim in dims]
    return tuple(found) if found and min(found) >= 0 and len(set(found)) == len(found) else None


def by_channel(array: Array, axes: Sequence[int]) -> Array:
    """Positions as rows, and behind them the channels that ``axes`` hold."""
    moved = np.moveaxis(array, axes, range(-len(axes), 0))
    return np.asarray(moved.reshape(-1, *moved.shape[moved.ndim - len(axes) :]))


def over_result(channels: Array, axes: Sequence[int], rank: int) -> Array:
    """The inverse for one row: broadcastable to a result of that rank."""
    whole = channels.reshape(*(1,) * (rank - len(axes)), *channels.shape)
    return np.asarray(np.moveaxis(whole, range(-len(axes), 0), axes))
