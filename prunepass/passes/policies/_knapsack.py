"""The most score under a budget: a multiple-choice knapsack over the widths of the groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Atom, UsageError
from .._plan import Plan
from ._packing import CostOfWidths, Item, Limits, Packed, give_back, kept_by, pack
from ._problem import LatencyLimit, Problem
from ._widths import GroupWidths

# How a group's loss grows as it empties. On a trained MobileNetV2 at 0.8 and 0.7 of the cost, plans with 2 changed
# the outputs 0.74 and 0.70 times as much as plans with 0, which empty a few groups and leave the others whole.
_CROWDING = 2
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Knapsack:
    """Keep the most score under the budget, whatever each channel costs.

    A channel is weighed against what it costs at the widths of its neighbours, under all limits at once; what is left
    of a group loses more with every channel, because it carries the signal alone: the loss of a group is the score
    that went over the square of the fraction kept, so that the plan does not empty a few groups and leave the others
    whole.
    """

    name: ClassVar[str] = "knapsack"
    weighs_cost: ClassVar[bool] = True

    def __call__(self, problem: Problem) -> Plan:
        return packed(problem, kept_scores)


def kept_scores(group: GroupWidths) -> Array:
    """The score that stays at each width of a group."""
    sizes = np.asarray(group.widths)
    total = np.concatenate([[0.0], np.cumsum(group.scores[::-1])])
    # Losses of one group add up only while they are small: what is left of it carries the signal alone.
    kept: Array = -(total[-1] - total[sizes]) / (sizes / group.size) ** _CROWDING
    return kept


def packed(
    problem: Problem,
    value: Callable[[GroupWidths], Array],
    bundles: Sequence[Sequence[GroupWidths]] | None = None,
) -> Plan:
    """The plan that keeps the most value under every limit.

    Args:
        value: what stays of a group at each of its widths.
        bundles: groups that keep the same number; each by itself unless given.

    Raises:
        BudgetError: the limits cannot be met, by the model. UsageError: a latency budget has no model.
    """
    problem.require_choice()
    bundles = [[group] for group in problem.groups] if bundles is None else bundles
    items = [
        Item(tuple(group.atom for group in groups), groups[0].widths, np.sum([*map(value, groups)], axis=0))
        for groups in bundles
    ]
    atoms = {group.name: group.atom for group in problem.groups}
    limits = limits_of(problem, atoms)
    chosen = _chosen(items, limits, problem.limit, atoms)
    widths = {group.name: chosen.widths[group.atom] for group in problem.groups}
    if not chosen.met and not (_offered(problem) and problem.met(widths)):
        raise problem.refusal(_predicted(problem, chosen.widths), widths)
    return problem.plan(widths)


def limits_of(problem: Problem, atoms: Mapping[str, Atom]) -> Limits:
    """Every limit of the problem's budget, on what is counted and on latency."""
    costs: list[tuple[CostOfWidths, float]] = []
    refused: tuple[Mapping[Atom, int], ...] = ()
    if problem.budget.latency is not None:
        limit = needed_limit(problem)
        costs.append((limit.model, limit.latency * (1 + _ROUNDING)))
        refused = tuple({atoms[name]: width for name, width in old.items()} for old in limit.refused)
    for kind, fraction in problem.budget.counted.items():
        costs.append((problem.cost[kind], fraction * problem.original[kind]))
    return Limits(tuple(costs), refused)


def needed_limit(problem: Problem) -> LatencyLimit:
    """The limit of a latency budget; raises UsageError where there is none."""
    if problem.limit is None:
        raise UsageError(
            "a latency budget needs an engine to measure on", advice="name one with backend=, or --backend"
        )
    return problem.limit


def _chosen(
    items: Sequence[Item], limits: Limits, limit: LatencyLimit | None, atoms: Mapping[str, Atom]
) -> Packed:
    if limit is None or limit.start is None:
        return pack(items, limits)
    start = {atoms[name]: width for name, width in limit.start.items()}
    wider = give_back(items, limits, start)
    return Packed(wider, met=True, kept=kept_by(items, wider))


def _offered(problem: Problem) -> bool:
    return problem.limit is not None and problem.limit.offered


def _predicted(problem: Problem, widths: Mapping[Atom, int]) -> str:
    if problem.budget.latency is None:
        return ""
    return f" (predicted latency={needed_limit(problem).model.time(widths):.3f})"
