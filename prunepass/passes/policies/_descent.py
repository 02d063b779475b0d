"""Groups that narrow step by step, the cheapest step first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Atom, Index
from .._plan import Plan
from ..cost import CostModel
from ._problem import Problem
from ._widths import GroupWidths

Losses = Callable[[Sequence[GroupWidths]], Array]
"""What each step of a bundle loses, the first step first."""


@dataclass
class Bundle:
    """Groups that narrow together, each as far as it goes; ``at`` is the position in their widths."""

    groups: Sequence[GroupWidths]
    at: int = 0

    def move(self, at: int) -> dict[Atom, int]:
        """Bring all groups to the position ``at``; their widths there."""
        self.at = at
        return {group.atom: group.widths[min(at, len(group.widths) - 1)] for group in self.groups}


class Descent:
    """Bundles, the order in which they take steps, and the cost where they stand."""

    def __init__(self, problem: Problem, bundles: Sequence[Sequence[GroupWidths]], losses: Losses) -> None:
        self.problem = problem
        self.bundles = [Bundle(groups) for groups in bundles]
        self.order = order_of([losses(groups) for groups in bundles])
        self.model = CostModel(problem.coupling)
        self.take(0)

    def take(self, count: int) -> None:
        """Stand where the first ``count`` steps lead."""
        widths: dict[Atom, int] = {}
        counts = np.bincount(self.order[:count], minlength=len(self.bundles))
        for bundle, at in zip(self.bundles, counts.tolist(), strict=True):
            widths.update(bundle.move(at))
        self.model.set_widths(widths)

    def first(self, reached: Callable[[], bool]) -> int:
        """The least number of steps at which something is reached that stays so; all of them where it never is.

        Costs only fall from step to step, so it is found by bisection.
        """
        few, many = -1, len(self.order)
        while many - few > 1:
            count = (few + many) // 2
            self.take(count)
            few, many = (few, count) if reached() else (count, many)
        return many

    def met(self) -> bool:
        """Return whether the budget holds here."""
        return self.problem.budget.met(self.model.totals, self.problem.original)

    def give_back(self, count: int) -> None:
        """Undo steps of the first ``count``, the last taken first, as far as the budget still holds.

        What a bundle's next step back costs only grows while others step back, and what is left only shrinks: one
        that could not step back once never can.
        """
        stuck = set[int]()
        for place in reversed(self.order[:count].tolist()):
            if place in stuck:
                continue
            bundle = self.bundles[place]
            self.model.set_widths(bundle.move(bundle.at - 1))
            if not self.met():
                self.model.set_widths(bundle.move(bundle.at + 1))
                stuck.add(place)

    def plan(self, **options: object) -> Plan:
        """The plan of where the bundles stand."""
        widths = self.model.widths
        return self.problem.plan({group.name: widths[group.atom] for group in self.problem.groups}, **options)


def descend(problem: Problem, bundles: Sequence[Sequence[GroupWidths]], losses: Losses) -> Plan:
    """Take the steps of least loss until the budget is met, and give back what it did not need.

    Raises:
        BudgetError: it cannot be met.
    """
    problem.require_choice()
    descent = Descent(problem, bundles, losses)
    count = descent.first(descent.met)
    descent.take(count)
    if not descent.met():
        raise problem.refusal()
    descent.give_back(count)
    return descent.plan()


def order_of(losses: Sequence[Array]) -> Index:
    """The bundle that takes each step, when the one of least loss goes first.

    A step waits for the largest loss before it in its bundle, hence the running maximum; of equals the first bundle
    goes first.
    """
    if not losses:
        return np.zeros(0, dtype=np.int64)
    bundle = np.repeat(np.arange(len(losses)), [len(one) for one in losses])
    waiting = np.concatenate([np.maximum.accumulate(one) for one in losses])
    return bundle[np.lexsort((bundle, waiting))]
