"""Policies: from scores and a budget to a plan."""

from __future__ import annotations

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
        for pattern, fraction in self.ratios.items():
            if not 0 < fraction <= 1:
                raise UsageError(f"the ratio {pattern}={fraction:g} is not a fraction kept, in (0, 1]")

    def plan(self, coupling: Coupling, scores: Scores) -> Plan:
        """The plan; scores by group name, larger = keep.

        Raises:
            BudgetError: it cannot be met; the text says how near it can get and why.
            UsageError: a score is not finite, or a ratio is for a group that is not there.
        """
        tracks = _tracks(self, coupling, scores)
        model = CostModel(coupling)
        original = model.cost()
        budget = Budget.parse(self.budget)
        _fix_ratios(self.ratios, tracks, model)
        if not tracks and coupling.groups and any(fraction < 1 for fraction in budget.limits.values()):
            # Else a budget on channels would be met by there being none that may go.
            raise budget.refuse(model.totals, original, _why(coupling, tracks))
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

    def prices(self) -> Array:
        """For each step down from here, the mean score of the channels that it would cut."""
        starts = self.group.size - np.asarray(self.widths[self.at :])
        return np.add.reduceat(self.values, starts)[:-1] / np.diff(starts)

    def move(self, by: int, model: CostModel) -> None:
        self.at += by
        model.set_width(self.atom, self.width)

    def removed(self) -> Index:
        return np.sort(self.order[: self.group.size - self.width])


_PRICES: Mapping[str, Callable[[_Track], Array]] = {
    "global": _Track.prices,
    "uniform": lambda track: -np.asarray(track.widths[track.at : -1]) / track.group.size,
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


def _fix_ratios(ratios: Mapping[str, float], tracks: list[_Track], model: CostModel) -> None:
    """The first pattern that fits a group holds; one that fits none is a slip of the pen."""
    patterns = dict.fromkeys(ratios, False)
    for track in tracks:
        fitting = [pattern for pattern in ratios if fnmatchcase(track.group.name, pattern)]
        patterns.update(dict.fromkeys(fitting, True))
        if fitting:
            _fix(track, ratios[fitting[0]], model)
    unused = [pattern for pattern, used in patterns.items() if not used]
    if unused:
        raise UsageError(
            f"there is no prunable group '{unused[0]}' to give a ratio",
            advice="'prunepass analyze' lists the groups",
        )


def _fix(track: _Track, fraction: float, model: CostModel) -> None:
    """Bring one group to a given fraction and leave it there."""
    wanted = fraction * track.group.size + 1e-9
    fits = [width for width in track.widths if width <= wanted] or track.widths[-1:]
    track.widths = [fits[0]] if fits else track.widths[-1:]
    track.at = 0
    model.set_width(track.atom, track.width)


def _take(
    tracks: list[_Track], model: CostModel, budget: Budget, original: Cost, price: Callable[[_Track], Array]
) -> list[_Track]:
    """Step down where ``price`` is lowest until the budget is met; returns the steps in order.

    Costs only fall from step to step, so the number of steps is found by bisection.
    """
    order = _order([price(track) for track in tracks])
    few, many = -1, len(order)
    while many - few > 1:
        count = (few + many) // 2
        _move_all(tracks, order[:count], model)
        few, many = (few, count) if budget.met(model.totals, original) else (count, many)
    _move_all(tracks, order[:many], model)
    return [tracks[at] for at in order[:many]]


def _order(prices: list[Array]) -> Index:
    """Which track steps down, step by step, when the cheapest next step goes first.

    A step waits for the dearest one before it in its track, hence the running maximum; of equals the first
    track goes first.
    """
    if not prices:
        return np.zeros(0, dtype=np.int64)
    track = np.repeat(np.arange(len(prices)), [len(steps) for steps in prices])
    waiting = np.concatenate([np.maximum.accumulate(steps) for steps in prices])
    return track[np.lexsort((track, waiting))]


def _move_all(tracks: list[_Track], order: Index, model: CostModel) -> None:
    """Bring every track to where the steps ``order`` lead."""
    for track, at in zip(tracks, np.bincount(order, minlength=len(tracks)).tolist(), strict=True):
        track.at = at
    model.set_widths({track.atom: track.width for track in tracks})


def _give_back(order: list[_Track], model: CostModel, budget: Budget, original: Cost) -> None:
    """Undo steps, dearest last taken first, as far as the budget still holds.

    What a track's next step back costs only grows while others step back, and what is left only shrinks: a
    track that could not step back once never can.
    """
    stuck = set[Atom]()
    for track in reversed(order):
        if track.atom in stuck:
            continue
        track.move(-1, model)
        if not budget.met(model.totals, original):
            track.move(1, model)
            stuck.add(track.atom)


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
