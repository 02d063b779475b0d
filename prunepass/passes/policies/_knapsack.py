"""Which width each group keeps so that the most saliency stays under a predicted time.

A multiple-choice knapsack: every group takes one of its widths, its value is the score that stays, its cost the
predicted time. HALP (Shen et al., NeurIPS 2022) solves it with times looked up for each layer, NetAdapt (Yang
et al., ECCV 2018) steps from one measured network to the next; reconstructed here with a price on time instead
of dynamic programming, because the cost of a group depends on the widths of the others (a layer costs its
inputs times its outputs): at a given price the groups take turns, each choosing its best width while the others
stand, until none moves; bisection finds the least price that meets the budget, and what is left over is given
back step by step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Atom
from ..cost import LatencyModel, Polynomial

_PRICES, _TURNS = 24, 6
_DEAREST = 1e9
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Item:
    """One group: the widths it may take, descending, and the score that stays at each."""

    atom: Atom
    widths: tuple[int, ...]
    kept: Array


@dataclass(frozen=True, eq=False)
class Limits:
    """What a choice of widths must hold.

    Attributes:
        model, latency: predicted time over the original's, and how much of it may stay.
        counted: for each other limited kind its cost and the total that may stay.
        refused: choices that were measured and took too long: nothing that is nowhere narrower is tried.
    """

    model: LatencyModel
    latency: float
    counted: tuple[tuple[Polynomial, float], ...] = ()
    refused: tuple[Mapping[Atom, int], ...] = ()

    def met(self, widths: Mapping[Atom, int]) -> bool:
        if self.model.time(widths) > self.latency * (1 + _ROUNDING):
            return False
        return not any(_covers(widths, old) for old in self.refused) and self.counted_met(widths)

    def counted_met(self, widths: Mapping[Atom, int]) -> bool:
        """Whether the limits hold that need no clock."""
        return all(cost(widths) <= most for cost, most in self.counted)

    def part(self, leaf: Atom, widths: Mapping[Atom, int | Array]) -> Array:
        """What depends on ``leaf``, each kind relative to its limit."""
        total: Array = self.model.part(leaf, widths) / self.latency
        for cost, most in self.counted:
            total = total + cost.part(leaf, widths) / most
        return total


def _covers(widths: Mapping[Atom, int], old: Mapping[Atom, int]) -> bool:
    return all(widths[leaf] >= width for leaf, width in old.items())


@dataclass(frozen=True, eq=False)
class Chosen:
    """A choice of widths: whether it holds the limits, and the score that stays."""

    widths: Mapping[Atom, int]
    met: bool
    kept: float


def choose(items: Sequence[Item], limits: Limits) -> Chosen:
    """The widths that keep the most; all at their least where even that is not within the limits."""
    least = {item.atom: item.widths[-1] for item in items}
    if not limits.met(least):
        return Chosen(least, met=False, kept=kept_by(items, least))
    best = max(_candidates(items, limits), key=lambda widths: kept_by(items, widths), default=least)
    best = give_back(items, limits, best)
    return Chosen(best, met=True, kept=kept_by(items, best))


def kept_by(items: Sequence[Item], widths: Mapping[Atom, int]) -> float:
    """The score that stays with these widths."""
    return float(sum(item.kept[item.widths.index(widths[item.atom])] for item in items))


def _candidates(items: Sequence[Item], limits: Limits) -> Iterator[dict[Atom, int]]:
    """Choices within the limits, at prices that close in on the least one."""
    full = {item.atom: item.widths[0] for item in items}
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
    """Each group in turn takes the width of most score less price times cost, until none moves."""
    widths = dict(start)
    for _ in range(_TURNS):
        moved = False
        for item in items:
            tried: dict[Atom, int | Array] = {**widths, item.atom: np.array(item.widths)}
            worth = item.kept - price * limits.part(item.atom, tried)
            chosen = item.widths[int(np.argmax(worth))]
            moved = moved or chosen != widths[item.atom]
            widths[item.atom] = chosen
        if not moved:
            break
    return widths


def give_back(items: Sequence[Item], limits: Limits, widths: Mapping[Atom, int]) -> dict[Atom, int]:
    """Widen groups by one step each, best score for its cost first, until no step is within the limits."""
    now = dict(widths)
    while True:
        steps = sorted(_steps(items, limits, now), key=lambda step: -step[0])
        before = dict(now)
        for _, item in steps:
            wider = {**now, item.atom: _wider(item, now)}
            if limits.met(wider):
                now = wider
        if now == before:
            return now


def _steps(items: Sequence[Item], limits: Limits, widths: Mapping[Atom, int]) -> Iterator[tuple[float, Item]]:
    for item in items:
        at = item.widths.index(widths[item.atom])
        if at == 0:
            continue
        both: dict[Atom, int | Array] = {**widths, item.atom: np.array(item.widths[at - 1 : at + 1])}
        wide, narrow = limits.part(item.atom, both)
        gain = float(item.kept[at - 1] - item.kept[at])
        yield gain / max(float(wide - narrow), 1e-12), item


def _wider(item: Item, widths: Mapping[Atom, int]) -> int:
    return item.widths[item.widths.index(widths[item.atom]) - 1]
