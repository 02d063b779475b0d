"""Policies: from scores and a budget to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import msgspec
import numpy as np

from ...ir import Array, Atom, UsageError
from .._plan import Plan, plan_for
from ..cost import Budget, Cost, CostModel, LatencyModel, counted_cost
from ..coupling import Coupling
from ..rewrites import Compensation, Remove, dead_first, dead_plan
from ._knapsack import Chosen, Limits, choose, give_back, kept_by
from ._pinned import advice_of, by_reason, closed
from ._tracks import PRICES, Lot, Track, lots_of, move_all, order_of
from ._widths import Grain, allowed_widths, least_widths, steps

Scores = Mapping[str, Array]


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
        budget: fractions kept, such as ``macs=0.5``; ``dead`` takes out what changes no output.
        align: channel counts come in multiples of this.
        grain: other multiples by kind of work and dtype (``window:16``, ``dense/int8:32``); see
            :mod:`..cost._kinds`.
        minimum: the multiple of groups that are narrower than ``align``; 0 keeps them whole.
        floor: least fraction of every group that stays.
        mode: ``global`` takes the lowest scores wherever they are (blocks of ``align`` channels compete by
            the mean of their scores), ``uniform`` takes the same fraction of every group, and groups that have
            the same widths to choose from keep the same.
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
        if self.mode not in PRICES:
            raise UsageError(f"there is no mode '{self.mode}'", advice=f"there are {', '.join(PRICES)}")
        if self.align < 1 or self.minimum < 0 or not 0 <= self.floor <= 1:
            text = f"align {self.align} must be at least 1, minimum {self.minimum} 0 or more"
            raise UsageError(f"{text}, floor {self.floor} a fraction")
        if self.dead and (self.ratios or self.mode != "global"):
            what = "ratios" if self.ratios else f"mode {self.mode}"
            raise UsageError(
                f"the budget 'dead' takes what is dead and nothing else: {what} has no meaning there"
            )
        for pattern, fraction in self.ratios.items():
            if not 0 < fraction <= 1:
                raise UsageError(f"the ratio {pattern}={fraction:g} is not a fraction kept, in (0, 1]")

    @property
    def dead(self) -> bool:
        """Whether what changes no output goes, whatever the scores."""
        return Budget.parse(self.budget).dead

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
        if self.dead:
            return self.dead_ones(coupling).plan
        tracks = _tracks(self, coupling, dead_first(coupling, scores))
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
            lots = lots_of(tracks, self.mode)
            order = _take(lots, model, budget, original, PRICES[self.mode])
            if not budget.met(model.totals, original):
                raise budget.refuse(model.totals, original, _why(coupling, tracks), advice_of(coupling))
            _give_back(order, model, budget, original)
        remove = {track.group.name: track.removed() for track in tracks}
        return plan_for(coupling, remove, **_options(self))

    def dead_ones(self, coupling: Coupling) -> Compensation:
        """The plan of the budget ``dead``: dead channels go in whole steps of the grain, as many as fit."""

        def chosen(coupling: Coupling, dead: Remove) -> Remove:
            marks = {group.name: np.ones(group.size) for group in coupling.prunable}
            for name, index in dead.items():
                marks[name][index] = 0
            tracks = _tracks(self, coupling, marks)
            for track in tracks:
                least = track.group.size - len(dead.get(track.group.name, ()))
                track.at = max(at for at, width in enumerate(track.widths) if width >= least)
            return {track.group.name: track.removed() for track in tracks}

        found = dead_plan(coupling, chosen)
        return replace(found, plan=msgspec.structs.replace(found.plan, options=_options(self)))


def _tracks(policy: Policy, coupling: Coupling, scores: Scores) -> list[Track]:
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
        tracks.append(Track(group, group.atom, order, values[order], widths))
    return tracks


def _fix_ratios(ratios: Mapping[str, float], tracks: list[Track], model: CostModel) -> None:
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


def _fix(track: Track, fraction: float, model: CostModel) -> None:
    """Bring one group to a given fraction and leave it there."""
    wanted = fraction * track.group.size + 1e-9
    fits = [width for width in track.widths if width <= wanted] or track.widths[-1:]
    track.widths = [fits[0]] if fits else track.widths[-1:]
    track.at = 0
    model.set_width(track.atom, track.width)


def _take(
    lots: list[Lot], model: CostModel, budget: Budget, original: Cost, price: Callable[[Track], Array]
) -> list[Lot]:
    """Step down where ``price`` is lowest until the budget is met; returns the steps in order.

    Costs only fall from step to step, so the number of steps is found by bisection.
    """
    order = order_of([price(lot.longest) for lot in lots])
    few, many = -1, len(order)
    while many - few > 1:
        count = (few + many) // 2
        model.set_widths(move_all(lots, order[:count]))
        few, many = (few, count) if budget.met(model.totals, original) else (count, many)
    model.set_widths(move_all(lots, order[:many]))
    return [lots[at] for at in order[:many]]


def _need(clocked: Clocked | None) -> Clocked:
    if clocked is None:
        raise UsageError(
            "a latency budget needs an engine to measure on", advice="name one with backend=, or --backend"
        )
    return clocked


def _take_clocked(
    policy: Policy, coupling: Coupling, tracks: list[Track], clocked: Clocked, original: Cost
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
    costs = counted_cost(coupling)
    counted = tuple((costs[kind], fraction * original[kind]) for kind, fraction in budget.counted.items())
    refused = tuple({named[name]: width for name, width in old.items()} for old in clocked.refused)
    return Limits(clocked.model, clocked.latency, counted, refused)


def _give_back(order: list[Lot], model: CostModel, budget: Budget, original: Cost) -> None:
    """Undo steps, dearest last taken first, as far as the budget still holds.

    What a lot's next step back costs only grows while others step back, and what is left only shrinks: a lot
    that could not step back once never can.
    """
    stuck = set[int]()
    for lot in reversed(order):
        if id(lot) in stuck:
            continue
        model.set_widths(lot.move(lot.at - 1))
        if not budget.met(model.totals, original):
            model.set_widths(lot.move(lot.at + 1))
            stuck.add(id(lot))


def _why(coupling: Coupling, tracks: list[Track]) -> str:
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
