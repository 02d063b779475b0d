"""All channels whose score is under a threshold go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import ClassVar

import numpy as np

from ...ir import UsageError, check_options
from .._plan import Plan
from ..cost import Budget
from ._descent import Descent
from ._problem import Problem
from ._widths import GroupWidths


@dataclass(frozen=True)
class Threshold:
    """Remove every channel whose score is under a threshold; the budget is the least that stays.

    The score is taken as it is given, with its own normalisation: under ``l2{normalize=mean}`` a threshold of 0.3 is
    0.3 of the mean of the channel's group, without one it is a norm, and under a score that divides by what a channel
    costs it is that quotient. Dead channels count as less than any other. Where the budget ends it before all of them
    are gone, the lowest have gone first.

    Attributes:
        at: the threshold; a channel of exactly this score stays.
    """

    name: ClassVar[str] = "threshold"
    at: float = nan

    def __post_init__(self) -> None:
        check_options(self)
        if not isfinite(self.at):
            raise UsageError(
                "the policy threshold needs a number: the score under which a channel goes",
                advice="write threshold{at=0.1}",
            )

    def __call__(self, problem: Problem) -> Plan:
        budget, original = problem.budget, problem.original
        if budget.latency is not None:
            raise UsageError("the policy threshold knows no latency budget", advice="use the policy knapsack")
        groups = [[self._under(group)] for group in problem.groups]
        descent = Descent(problem, groups, lambda one: one[0].losses())

        def kept() -> bool:
            totals = descent.model.totals
            return all(totals[kind] >= fraction * original[kind] for kind, fraction in budget.counted.items())

        count = descent.first(lambda: not kept())
        descent.take(count)
        if not kept() and count:
            descent.take(count - 1)
        return descent.plan(budget=str(Budget(dict.fromkeys(budget.limits, 1.0))), least=str(budget))

    def _under(self, group: GroupWidths) -> GroupWidths:
        """The group with the widths that take nothing but channels under the threshold."""
        least = group.size - int(np.sum(group.scores < self.at))
        fitting = tuple(width for width in group.widths if width >= least)
        return replace(group, widths=fitting or group.widths[:1])
