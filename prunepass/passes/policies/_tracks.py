"""Groups on their way down, by themselves or several together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Atom, Index
from ..coupling import Group
from ._knapsack import Item

# How a group's loss grows as it empties. On a trained MobileNetV2 at 0.8 and 0.7 of the cost, plans with 2 changed
# the outputs 0.74 and 0.70 times as much as plans with 0, which empty a few groups and leave the others whole.
_CROWDING = 2


@dataclass
class Track:
    """One group on its way down: ``at`` is the position in ``widths``."""

    group: Group
    atom: Atom
    order: Index
    values: Array
    widths: list[int]
    at: int = 0

    @property
    def width(self) -> int:
        return self.widths[self.at]

    def prices(self) -> Array:
        """For each step down from here, the mean score of the channels that it would cut."""
        starts = self.group.size - np.asarray(self.widths[self.at :])
        return np.add.reduceat(self.values, starts)[:-1] / np.diff(starts)

    def item(self, mode: str) -> Item:
        """The widths with the score that stays at each; in mode ``uniform`` every group values the same."""
        sizes = np.asarray(self.widths)
        if mode == "uniform":
            # Concave and alike for all: at any one price equal fractions go.
            kept = -((1 - sizes / self.group.size) ** 2)
        else:
            total = np.concatenate([[0.0], np.cumsum(self.values[::-1])])
            kept = total[sizes]
            # Losses of one group add up only while they are small: what is left of it carries the signal alone.
            kept = -(total[-1] - kept) / (sizes / self.group.size) ** _CROWDING
        return Item(self.atom, tuple(self.widths), kept)

    def removed(self) -> Index:
        return np.sort(self.order[: self.group.size - self.width])


@dataclass
class Lot:
    """Groups that step down together, each as far as it goes."""

    tracks: list[Track]
    at: int = 0

    @property
    def longest(self) -> Track:
        return max(self.tracks, key=lambda track: len(track.widths))

    def move(self, at: int) -> dict[Atom, int]:
        """Bring all groups to the position ``at``; their widths there."""
        self.at = at
        for track in self.tracks:
            track.at = min(at, len(track.widths) - 1)
        return {track.atom: track.width for track in self.tracks}


PRICES: Mapping[str, Callable[[Track], Array]] = {
    "global": Track.prices,
    "uniform": lambda track: -np.asarray(track.widths[track.at : -1]) / track.group.size,
}


def lots_of(tracks: list[Track], mode: str) -> list[Lot]:
    """Groups by what decides about them: each by itself, in mode ``uniform`` all of one size and step at once.

    A number that a network keeps for all its layers can then be kept for them.
    """
    found: dict[Hashable, list[Track]] = {}
    for place, track in enumerate(tracks):
        free = mode == "uniform" and len(track.widths) > 1
        found.setdefault((track.group.size, track.widths[1]) if free else place, []).append(track)
    return [Lot(alike) for alike in found.values()]


def order_of(prices: list[Array]) -> Index:
    """Which lot steps down, step by step, when the cheapest next step goes first.

    A step waits for the dearest one before it in its lot, hence the running maximum; of equals the first lot
    goes first.
    """
    if not prices:
        return np.zeros(0, dtype=np.int64)
    track = np.repeat(np.arange(len(prices)), [len(steps) for steps in prices])
    waiting = np.concatenate([np.maximum.accumulate(steps) for steps in prices])
    return track[np.lexsort((track, waiting))]


def move_all(lots: list[Lot], order: Index) -> dict[Atom, int]:
    """Bring every lot to where the steps ``order`` lead; the widths there."""
    widths: dict[Atom, int] = {}
    for lot, at in zip(lots, np.bincount(order, minlength=len(lots)).tolist(), strict=True):
        widths.update(lot.move(at))
    return widths
