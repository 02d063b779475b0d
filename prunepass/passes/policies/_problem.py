"""The problem that a policy solves: scores, a budget, and the widths that each group may keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import msgspec

from ...ir import Array, Atom, BudgetError, UsageError
from .._plan import Plan, plan_for
from ..cost import Budget, Cost, LatencyModel, Polynomial, cost_of, counted_cost
from ..coupling import Coupling
from ._pinned import advice_of, by_reason, closed
from ._ratios import fractions_of
from ._widths import Grain, GroupWidths, group_widths

Scores: TypeAlias = Mapping[str, Array]
DamageCurves: TypeAlias = "Mapping[str, Mapping[float, float]]"


class Policy(Protocol):
    """A choice of what goes; a frozen dataclass whose fields are its options, or any function.

    A policy chooses, and neither repairs nor cuts nor runs a network: what has to be measured is a fact of the
    problem. ``problem.plan`` makes a plan of the widths it chose. Where it promises less than the problem's budget,
    the options of its plan say so (``plan.options["budget"]``).

    One that weighs what a channel is worth against what it costs declares ``weighs_cost = True``: it then gets the
    scores of whole channels, not divided by what they save.
    """

    def __call__(self, problem: Problem, /) -> Plan: ...


@dataclass(frozen=True, eq=False)
class LatencyLimit:
    """A limit on latency: a model of the engine, and what was learnt from measuring.

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


@dataclass(frozen=True, eq=False)
class Problem:
    """The problem that a policy solves: groups with scores, and the limits.

    Attributes:
        coupling: the groups.
        scores: by group name a number for each channel, larger = keep.
        budget: fractions of the original's cost that may stay.
        grain: the multiples that widths come in.
        floor: least fraction of every group that stays.
        ratios: fraction kept by name or pattern of a group or of its layers; the first that fits holds.
        limit: the limit of a latency budget, None where nothing was measured.
        sensitivity: by group name the damage (drop of accuracy, say) at fractions kept, as a driver measured it.
    """

    coupling: Coupling
    scores: Scores
    budget: Budget
    grain: Grain = field(default_factory=Grain)
    floor: float = 0.0
    ratios: Mapping[str, float] = field(default_factory=dict)
    limit: LatencyLimit | None = None
    sensitivity: DamageCurves | None = None

    @cached_property
    def groups(self) -> tuple[GroupWidths, ...]:
        """The prunable groups, each with the widths that grain, floor and ratios leave it."""
        return group_widths(self.coupling, self.scores, self.grain, self.floor, self.ratios)

    @cached_property
    def cost(self) -> Mapping[str, Polynomial]:
        """The counted costs by kind, as polynomials of the widths."""
        return counted_cost(self.coupling)

    @cached_property
    def original(self) -> Cost:
        return cost_of(self.coupling)

    @property
    def allowed(self) -> dict[Atom, tuple[int, ...]]:
        """The widths that each group may keep, by atom."""
        return {group.atom: group.widths for group in self.groups}

    def least(self) -> Cost:
        """The cost where every group is as narrow as it may be."""
        return Cost(**{kind: cost.least(self.allowed) for kind, cost in self.cost.items()})

    def most(self) -> Cost:
        """The cost where every group is as wide as it may be."""
        return Cost(**{kind: cost.most(self.allowed) for kind, cost in self.cost.items()})

    def totals(self, widths: Mapping[str, int]) -> Cost:
        """The cost where the groups keep so many channels; a group that is not named keeps the most it may."""
        found = {group.atom: widths.get(group.name, group.widths[0]) for group in self.groups}
        return Cost(**{kind: cost(found) for kind, cost in self.cost.items()})

    def met(self, widths: Mapping[str, int]) -> bool:
        """Return whether these widths hold the counted part of the budget."""
        return self.budget.met(self.totals(widths), self.original)

    def plan(self, widths: Mapping[str, int], **options: object) -> Plan:
        """The plan in which each group keeps so many channels, those of the highest scores.

        A group that is not named keeps the most it may. Whether the budget is met is not looked at.

        Raises:
            UsageError: a group may not keep that many.
        """
        unknown = widths.keys() - {group.name for group in self.groups}
        if unknown:
            raise UsageError(f"there is no prunable group '{min(unknown)}' to choose a width for")
        kept = {group.name: widths.get(group.name, group.widths[0]) for group in self.groups}
        self._check_widths(kept)
        remove = {group.name: group.removed(kept[group.name]) for group in self.groups}
        return plan_for(self.coupling, remove, **options)

    def check(self, plan: Plan) -> None:
        """Hold a plan against widths and budget; the budget that it promises in its options, where it does.

        Raises:
            UsageError: it is of another model, or a group keeps a number of channels that it may not.
            BudgetError: the budget is not met.
        """
        plan.check(self.coupling.graph)
        gone = {name: len(cut.remove) for name, cut in plan.cuts.items()}
        widths = {group.name: group.size - gone.get(group.name, 0) for group in self.groups}
        self._check_widths(widths)
        budget = Budget.parse(str(plan.options.get("budget", self.budget)))
        totals = self.totals(widths)
        if not budget.met(totals, self.original):
            kept = ", ".join(f"{kind}={totals[kind] / self.original[kind]:.3f}" for kind in budget.counted)
            raise self.refusal(f"; the policy's plan keeps {kept}")

    def _check_widths(self, widths: Mapping[str, int]) -> None:
        for group in self.groups:
            if widths[group.name] not in group.widths:
                few = ", ".join(map(str, group.widths[:3])) + (", .." if len(group.widths) > 3 else "")
                raise UsageError(
                    f"group '{group.name}' may not keep {widths[group.name]} of {group.size} channels",
                    advice=f"grain, floor and ratios leave it {few}",
                )

    def require_choice(self) -> None:
        """Refuse a budget where nothing may go.

        Else it would be met by there being no channels that may go, or no work that can be counted.

        Raises:
            BudgetError: nothing may go, and something should.
        """
        held = self.coupling.groups or closed(self.coupling.graph)
        if not self.groups and held and any(fraction < 1 for fraction in self.budget.limits.values()):
            raise self.refusal()

    def refusal(self, more: str = "", least: Mapping[str, int] | None = None) -> BudgetError:
        """The error of a budget that is not met: how near it can be met, and why not nearer.

        Args:
            least: the least widths by group name where a policy may not go as far as the problem allows.
        """
        nearest = self.least() if least is None else self.totals(least)
        return self.budget.refuse(nearest, self.original, self._why() + more, advice_of(self.coupling))

    def _why(self) -> str:
        groups, prunable = self.coupling.groups, self.groups
        pinned = len(groups) - len(prunable)
        held = f"{pinned} are pinned" if prunable else f"{pinned} groups are pinned"
        said = f"{held}{by_reason(self.coupling)}"
        if not prunable:
            return f"nothing can be pruned ({said})"
        return f"all {len(prunable)} prunable groups are at their least width{self._by_ratios()} and {said}"

    def _by_ratios(self) -> str:
        """Number of groups that the user's own ratios hold, and by which."""
        held = fractions_of(self.coupling, self.ratios)
        if not held:
            return ""
        said = ", ".join(f"{key}={fraction:g}" for key, fraction in self.ratios.items())
        return f" ({len(held)} of them held by the ratios {said})"


def with_options(plan: Plan, options: Mapping[str, object]) -> Plan:
    """``plan`` that also says so of its making; what it says itself stands."""
    return msgspec.structs.replace(plan, options={**options, **plan.options})
