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
from ._knapsack import Chosen, Item, Limits, choose, give_back, kept_by
from ._latency import LatencyModel
from ._pinned import advice_of, by_reason, closed
from ._plan import Plan, plan_for
from ._terms import counted_terms
from ._widths import Grain, allowed_widths, least_widths, steps

Scores = Mapping[str, Array]

# How a group's loss grows as it empties. On a trained MobileNetV2 at 0.8 and 0.7 of the cost, plans with 2 changed
# the outputs 0.74 and 0.70 times as much as plans with 0, which empty a few groups and leave the others whole.
_CROWDING = 2


@dataclass(frozen=True, eq=False)
class Clocked:
    """What a latency budget is planned with: a model of the engine, and what was learnt from measuring.

    Attributes:
        latency: fraction of the original's time that may stay, by ``model``.
        refused: widths by group name that were measured to take too long.
        start: widths by group name that hold, to be widened as far as the model allows; else planned anew.
        offered: whether a plan that is not within ``latency`` shall be given all the same, to be measured.
    """

    model: LatencyModel
    latency: float
    refused: tuple[Mapping[str, int], ...] = ()
    start: Mapping[str, int] | None = None
    offered: bool = False


@dataclass(frozen=True)
class Policy:
    """Choose what goes until the budget is met.

    Attributes:
        budget: fractions kept, such as ``macs=0.5``.
        align: channel counts come in multiples of this.
        grain: other multiples by kind of work and dtype (``window:16``, ``dense/int8:32``); see
            :mod:`._kinds`.
        minimum: the multiple of groups that are narrower than ``align``; 0 keeps them whole.
        floor: least fraction of every group that stays.
        mode: ``global`` takes the lowest scores wherever they are (blocks of ``align`` channels compete by
            the mean of their scores), ``uniform`` takes the same fraction of every group.
        ratios: fraction kept by group-name pattern; these groups take exactly that and no part in the rest.
    """

    budget: str = "macs=0.5"
    align: int = 1
    grain: Mapping[str, float] = field(default_factory=dict)
    minimum: int = 0
    floor: float = 0.0
    mode: str = "global"
    ratios: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Budget.parse(self.budget)
        if self.mode not in _PRICES:
            raise UsageError(f"there is no mode '{self.mode}'", advice=f"there are {', '.join(_PRICES)}")
        if self.align < 1 or self.minimum < 0 or not 0 <= self.floor <= 1:
            text = f"align {self.align} must be at least 1, minimum {self.minimum} 0 or more"
            raise UsageError(f"{text}, floor {self.floor} a fraction")
        for pattern, fraction in self.ratios.items():
            if not 0 < fraction <= 1:
                raise UsageError(f"the ratio {pattern}={fraction:g} is not a fraction kept, in (0, 1]")

    @property
    def widths(self) -> Grain:
        """The multiples that widths come in."""
        return Grain(self.align, self.grain, self.minimum)

    def plan(self, coupling: Coupling, scores: Scores, clocked: Clocked | None = None) -> Plan:
        """The plan; scores by group name, larger = keep.

        Args:
            clocked: what a latency budget needs.

        Raises:
            BudgetError: it cannot be met; the text says how near it can get and why.
            UsageError: a score is not finite, or a ratio is for a group that is not there.
        """
        tracks = _tracks(self, coupling, scores)
        model = CostModel(coupling)
        original = model.cost()
        budget = Budget.parse(self.budget)
        _fix_ratios(self.ratios, tracks, model)
        held = coupling.groups or closed(coupling.graph)
        if not tracks and held and any(fraction < 1 for fraction in budget.limits.values()):
            # Else a budget would be met by there being no channels that may go, or no work that can be counted.
            raise budget.refuse(model.totals, original, _why(coupling, tracks), advice_of(coupling))
        if budget.latency is not None:
            _take_clocked(self, coupling, tracks, _need(clocked), original)
        else:
            order = _take(tracks, model, budget, original, _PRICES[self.mode])
            if not budget.met(model.totals, original):
                raise budget.refuse(model.totals, original, _why(coupling, tracks), advice_of(coupling))
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
    grain = steps(coupling, policy.widths)
    least, tracks = least_widths(coupling), []
    for group in coupling.prunable:
        assert group.atom is not None
        values = np.asarray(scores[group.name], dtype=np.float64)
        if values.shape != (group.size,) or not np.all(np.isfinite(values)):
            raise UsageError(
                f"scores of group '{group.name}' are not {group.size} finite numbers",
                advice="a score gives one number per channel, larger = keep",
            )
        order = np.argsort(values, kind="stable")
        widths = allowed_widths(group.size, grain[group.atom], policy.floor, least[group.atom])
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


def _need(clocked: Clocked | None) -> Clocked:
    if clocked is None:
        raise UsageError(
            "a latency budget needs an engine to measure on", advice="name one with backend=, or --backend"
        )
    return clocked


def _take_clocked(
    policy: Policy, coupling: Coupling, tracks: list[_Track], clocked: Clocked, original: Cost
) -> None:
    """Bring the tracks to the widths that keep the most score under the limits.

    Raises:
        BudgetError: the limits cannot be met, by the model.
    """
    items = [track.item(policy.mode) for track in tracks]
    named = {track.group.name: track.atom for track in tracks}
    limits = _limits(coupling, Budget.parse(policy.budget), clocked, original, named)
    if clocked.start is None:
        chosen = choose(items, limits)
    else:
        start = {named[name]: width for name, width in clocked.start.items()}
        wider = give_back(items, limits, start)
        chosen = Chosen(wider, met=True, kept=kept_by(items, wider))
    if not chosen.met and not (clocked.offered and limits.counted_met(chosen.widths)):
        nearest = limits.model.time(chosen.widths)
        cost = CostModel(coupling)
        cost.set_widths(chosen.widths)
        why = f"{_why(coupling, tracks)} (predicted latency={nearest:.3f})"
        raise Budget.parse(policy.budget).refuse(cost.totals, original, why, advice_of(coupling))
    for track in tracks:
        track.at = track.widths.index(chosen.widths[track.atom])


def _limits(
    coupling: Coupling, budget: Budget, clocked: Clocked, original: Cost, named: Mapping[str, Atom]
) -> Limits:
    terms = {kind: tuple(t for t in counted_terms(coupling) if t.feature == kind) for kind in budget.counted}
    counted = tuple((terms[kind], fraction * original[kind]) for kind, fraction in budget.counted.items())
    refused = tuple({named[name]: width for name, width in old.items()} for old in clocked.refused)
    return Limits(clocked.model, clocked.latency, counted, refused)


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
    held = f"{pinned} are pinned" if tracks else f"{pinned} groups are pinned"
    said = f"{held}{by_reason(coupling)}"
    if not tracks:
        return f"nothing can be pruned ({said})"
    return f"all {len(tracks)} prunable groups are at their least width and {said}"


def _options(policy: Policy) -> dict[str, object]:
    options: dict[str, object] = {"budget": policy.budget, "align": policy.align, "mode": policy.mode}
    if policy.grain:
        options["grain"] = {key: int(step) for key, step in sorted(policy.grain.items())}
    if policy.minimum:
        options["minimum"] = policy.minimum
    if policy.floor:
        options["floor"] = policy.floor
    if policy.ratios:
        options["ratios"] = dict(sorted(policy.ratios.items()))
    return options
