"""A multiple-choice knapsack: each group takes one of its widths so that the most value stays under some costs.

HALP (Shen et al., NeurIPS 2022) solves it with times looked up for each layer, NetAdapt (Yang et al., ECCV 2018)
steps from one measured network to the next; reconstructed here with a price on cost instead of dynamic programming,
because the cost of a group depends on the widths of the others (a layer costs its inputs times its outputs): at a
given price the groups take turns, each choosing its best width while the others stand, until none moves; bisection
finds the least price that meets the limits, and what is left over is given back step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...ir import Array, Atom
from ..cost import Number, Widths

_PRICES, _TURNS = 24, 6
_DEAREST = 1e9


@dataclass(frozen=True, eq=False)
class Item:
    """Groups that keep one number of channels: the widths they may take, descending, and the value of each."""

    atoms: tuple[Atom, ...]
    widths: tuple[int, ...]
    kept: Array


class CostOfWidths(Protocol):
    """A cost: a polynomial, or a model of latency."""

    def __call__(self, widths: Widths, /) -> Number: ...

    def part(self, leaf: Atom, widths: Widths, /) -> Number: ...


@dataclass(frozen=True, eq=False)
class Limits:
    """Constraints on a choice of widths.

    Attributes:
        costs: each with the most that may stay of it.
        refused: choices that were measured and took too long: nothing that is nowhere narrower is tried.
    """

    costs: tuple[tuple[CostOfWidths, float], ...]
    refused: tuple[Mapping[Atom, int], ...] = ()

    def met(self, widths: Mapping[Atom, int]) -> bool:
        return all(cost(widths) <= most for cost, most in self.costs) and not any(
            _covers(widths, old) for old in self.refused
        )

    def tried(self, item: Item, candidates: Sequence[int], widths: Widths) -> Array:
        """For each candidate width of an item what depends on it, each cost relative to its limit."""
        first, *others = item.atoms
        tried = {**widths, **dict.fromkeys(item.atoms, np.asarray(candidates))}
        total: Array = np.zeros(len(candidates))
        for cost, most in self.costs:
            total = total + (cost(tried) if others else cost.part(first, tried)) / most
        return total


def _covers(widths: Mapping[Atom, int], old: Mapping[Atom, int]) -> bool:
    return all(widths[leaf] >= width for leaf, width in old.items())


@dataclass(frozen=True, eq=False)
class Packed:
    """A choice of widths: whether it holds the limits, and the value that stays."""

    widths: Mapping[Atom, int]
    met: bool
    kept: float


def pack(items: Sequence[Item], limits: Limits) -> Packed:
    """The widths that keep the most; all at their least where even that is not within the limits."""
    least = {leaf: item.widths[-1] for item in items for leaf in item.atoms}
    if not limits.met(least):
        return Packed(least, met=False, kept=kept_by(items, least))
    best = max(_candidates(items, limits), key=lambda widths: kept_by(items, widths), default=least)
    best = give_back(items, limits, best)
    return Packed(best, met=True, kept=kept_by(items, best))


def kept_by(items: Sequence[Item], widths: Mapping[Atom, int]) -> float:
    """The value that stays with these widths."""
    return float(sum(item.kept[_place(item, widths)] for item in items))


def _candidates(items: Sequence[Item], limits: Limits) -> Iterator[dict[Atom, int]]:
    """Choices within the limits, at prices that close in on the least one."""
    full = {leaf: item.widths[0] for item in items for leaf in item.atoms}
    if limits.met(full):
        yield full
        return
    value = max(float(sum(abs(item.kept[0] - item.kept[-1]) for item in items)), 1e-30)
    low, high = value / _DEAREST, value * _DEAREST
    for _ in range(_PRICES * 2):
        price = float(np.sqrt(low * high))
        widths = _settled(items, limits, price, full)
        if limits.met(widths):
            yield widths
            high = price
        else:
            low = price
        if high / low < 1 + 1e-4:
            break


def _settled(
    items: Sequence[Item], limits: Limits, price: float, start: Mapping[Atom, int]
) -> dict[Atom, int]:
    """Each group in turn takes the width of most value less price times cost, until none moves."""
    widths = dict(start)
    for _ in range(_TURNS):
        moved = False
        for item in items:
            worth = item.kept - price * limits.tried(item, item.widths, widths)
            best = int(np.argmax(worth))
            moved = moved or best != _place(item, widths)
            widths.update(dict.fromkeys(item.atoms, item.widths[best]))
        if not moved:
            break
    return widths


def give_back(items: Sequence[Item], limits: Limits, widths: Mapping[Atom, int]) -> dict[Atom, int]:
    """Widen groups by one step each, most value for its cost first, until no step is within the limits."""
    now = dict(widths)
    while True:
        gains = sorted(_wider_by_one(items, limits, now), key=lambda gain: -gain[0])
        before = dict(now)
        for _, item in gains:
            wider = {**now, **dict.fromkeys(item.atoms, item.widths[_place(item, now) - 1])}
            if limits.met(wider):
                now = wider
        if now == before:
            return now


def _wider_by_one(
    items: Sequence[Item], limits: Limits, widths: Mapping[Atom, int]
) -> Iterator[tuple[float, Item]]:
    for item in items:
        at = _place(item, widths)
        if at == 0:
            continue
        wide, narrow = limits.tried(item, item.widths[at - 1 : at + 1], widths)
        gain = float(item.kept[at - 1] - item.kept[at])
        yield gain / max(float(wide - narrow), 1e-12), item


def _place(item: Item, widths: Mapping[Atom, int]) -> int:
    return item.widths.index(widths[item.atoms[0]])
