"""Policies: from scores and a budget to a plan."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from ..ir import Array, Atom, Index, UsageError
from ._budget import Budget
from ._cost import Cost, CostModel
from ._coupling import Coupling, Group
from ._plan import Plan, plan_for
from ._widths import allowed_widths, steps

Scores = Mapping[str, Array]


@dataclass(frozen=True)
class Policy:
    """Choose what goes until the budget is met.

    Attributes:
        budget: fractions kept, such as ``macs=0.5``.
        align: channel counts come in multiples of this.
        floor: least fraction of every group that stays.
        mode: ``global`` takes the lowest scores wherever they are (blocks of ``align`` channels compete by
            the mean of their scores), ``uniform`` takes the same fraction of every group.
        ratios: fraction kept by group-name pattern; these groups take exactly that and no part in the rest.
    """

    budget: str = "macs=0.5"
    align: int = 1
    floor: float = 0.0
    mode: str = "global"
    ratios: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Budget.parse(self.budget)
        if self.mode not in _PRICES:
            raise UsageError(f"there is no mode '{self.mode}'", advice=f"there are {', '.join(_PRICES)}")
        if self.align < 1 or not 0 <= self.floor <= 1:
            raise UsageError(f"align {self.align} must be at least 1 and floor {self.floor} a fraction")

    def plan(self, coupling: Coupling, scores: Scores) -> Plan:
        """The plan; scores by group name, larger = keep.

        Raises:
            BudgetError: it cannot be met; the text says how near it can get and why.
        """
        tracks = _tracks(self, coupling, scores)
        model = CostModel(coupling)
        original = model.cost()
        budget = Budget.parse(self.budget)
        for track in tracks:
            for pattern, fraction in self.ratios.items():
                if fnmatchcase(track.group.name, pattern):
                    _fix(track, fraction, model)
        order = _take(tracks, model, budget, original, _PRICES[self.mode])
        if not budget.met(model.totals, original):
            raise budget.refuse(model.totals, original, _why(coupling, tracks))
        _give_back(order, model, budget, original)
        remove = {track.group.name: track.removed() for track in tracks}
        return plan_for(coupling, remove, **_options(self))


@dataclass
class _Track:
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

    @property
    def done(self) -> bool:
        return self.at + 1 >= len(self.widths)

    def price(self) -> float:
        """Mean score of the channels that the next step down would cut."""
        size = self.group.size
        block = self.values[size - self.width : size - self.widths[self.at + 1]]
        return float(np.mean(block))

    def move(self, by: int, model: CostModel) -> None:
        self.at += by
        model.set_width(self.atom, self.width)

    def removed(self) -> Index:
        return np.sort(self.order[: self.group.size - self.width])


_PRICES: Mapping[str, Callable[[_Track], float]] = {
    "global": _Track.price,
    "uniform": lambda track: -track.width / track.group.size,
}


def _tracks(policy: Policy, coupling: Coupling, scores: Scores) -> list[_Track]:
    grain = steps(coupling, policy.align)
    tracks = []
    for group in coupling.prunable:
        assert group.atom is not None
        values = np.asarray(scores[group.name], dtype=np.float64)
        if values.shape != (group.size,) or not np.all(np.isfinite(values)):
            raise UsageError(
                f"scores of group '{group.name}' are not {group.size} finite numbers",
                advice="a score gives one number per channel, larger = keep",
            )
        order = np.argsort(values, kind="stable")
        widths = allowed_widths(group.size, grain[group.atom], policy.floor)
        tracks.append(_Track(group, group.atom, order, values[order], widths))
    return tracks


def _fix(track: _Track, fraction: float, model: CostModel) -> None:
    """Bring one group to a given fraction and leave it there."""
    wanted = fraction * track.group.size + 1e-9
    fits = [width for width in track.widths if width <= wanted] or track.widths[-1:]
    track.widths = [fits[0]] if fits else track.widths[-1:]
    track.at = 0
    model.set_width(track.atom, track.width)


def _take(
    tracks: list[_Track], model: CostModel, budget: Budget, original: Cost, price: Callable[[_Track], float]
) -> list[_Track]:
    """Step down where ``price`` is lowest until the budget is met; returns the steps in order."""
    heap = [(price(track), at) for at, track in enumerate(tracks) if not track.done]
    heapq.heapify(heap)
    order = list[_Track]()
    while heap and not budget.met(model.totals, original):
        track = tracks[heap[0][1]]
        track.move(1, model)
        order.append(track)
        if track.done:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (price(track), heap[0][1]))
    return order


def _give_back(order: list[_Track], model: CostModel, budget: Budget, original: Cost) -> None:
    """Undo steps, dearest last taken first, as far as the budget still holds."""
    for track in reversed(order):
        track.move(-1, model)
        if not budget.met(model.totals, original):
            track.move(1, model)


def _why(coupling: Coupling, tracks: list[_Track]) -> str:
    pinned = len(coupling.groups) - len(coupling.prunable)
    if not tracks:
        return f"nothing can be pruned ({pinned} groups are pinned)"
    return f"all {len(tracks)} prunable groups are at their least width and {pinned} are pinned"


def _options(policy: Policy) -> dict[str, object]:
    options: dict[str, object] = {"budget": policy.budget, "align": policy.align, "mode": policy.mode}
    if policy.floor:
        options["floor"] = policy.floor
    if policy.ratios:
        options["ratios"] = dict(sorted(policy.ratios.items()))
    return options
