"""The lowest scores go, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._plan import Plan
from ._descent import descend
from ._knapsack import kept_scores, packed
from ._problem import Problem


@dataclass(frozen=True)
class Lowest:
    """Remove the lowest scores wherever they are.

    Where widths come in multiples, blocks of channels compete by the mean of their scores. Under a latency budget the
    choice is that of the knapsack.
    """

    name: ClassVar[str] = "lowest"

    def __call__(self, problem: Problem) -> Plan:
        if problem.budget.latency is not None:
            return packed(problem, kept_scores)
        return descend(problem, [[group] for group in problem.groups], lambda groups: groups[0].losses())
