"""Ratios by how much the network suffers from each group's going."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir import Array, UsageError
from .._plan import Plan
from ._knapsack import packed
from ._problem import Problem
from ._widths import GroupWidths


@dataclass(frozen=True)
class Sensitivity:
    """Choose the widths of least total damage under the budget, from damage curves of the groups.

    The curves are ``problem.sensitivity``: by group the damage (a drop of accuracy, a change of the outputs) where that
    group alone keeps a fraction. Between the measured fractions a curve is linear, it never falls as more goes, and no
    group is taken below the least fraction that was measured; one without a curve stays whole.
    """

    name: ClassVar[str] = "sensitivity"
    by_damage: ClassVar[bool] = True

    def __call__(self, problem: Problem) -> Plan:
        curves = problem.sensitivity
        if curves is None:
            raise UsageError(
                "the policy sensitivity needs damage curves, and nothing measured them",
                advice="prune() measures them; in a pipeline of its own start from a state with sensitivity=",
            )
        measured = [[_measured(group, curves.get(group.name, {}))] for group in problem.groups]
        return packed(problem, lambda group: -damage(group, curves.get(group.name, {})), measured)


def _measured(group: GroupWidths, curve: Mapping[float, float]) -> GroupWidths:
    """The group with the widths that its curve tells about."""
    least = min(curve, default=1.0) * group.size - 1e-9
    fitting = tuple(width for width in group.widths if width >= least)
    return replace(group, widths=fitting or group.widths[:1])


def damage(group: GroupWidths, curve: Mapping[float, float]) -> Array:
    """The damage at each width of a group."""
    points = {1.0: 0.0, **curve}
    fractions = sorted(points)
    # What the least of a group does can only be more than what more of it does: a measurement has noise.
    most_first = np.maximum.accumulate([points[fraction] for fraction in reversed(fractions)])
    at: Array = np.interp(np.asarray(group.widths) / group.size, fractions, most_first[::-1])
    return at
