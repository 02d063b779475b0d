"""The same fraction of every group, or one number of channels for each class of like groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir import Array, Fixed, UsageError, check_options
from .._plan import Plan
from ..coupling import Coupling
from ._descent import descend
from ._knapsack import kept_scores, packed
from ._problem import Problem
from ._widths import GroupWidths

GROUP, CLASS = "group", "class"


@dataclass(frozen=True)
class Uniform:
    """Remove alike from groups that are alike.

    Attributes:
        by: ``group`` takes the same fraction of every group, whatever the scores of groups, and groups of one size and
            step keep the same number; ``class`` keeps one number for each class of like groups (those in the same
            place of repeated blocks), and classes compete by the mean of their scores.
    """

    name: ClassVar[str] = "uniform"
    by: str = GROUP

    def __post_init__(self) -> None:
        check_options(self)
        if self.by not in (GROUP, CLASS):
            raise UsageError(f"uniform goes by {GROUP} or by {CLASS}, not by '{self.by}'")

    def __call__(self, problem: Problem) -> Plan:
        if problem.budget.latency is not None:
            if self.by == GROUP:
                return packed(problem, kept_fractions)
            return packed(problem, kept_scores, self._bundles(problem))
        losses = _equal_losses if self.by == GROUP else _mean_losses
        return descend(problem, self._bundles(problem), losses)

    def _bundles(self, problem: Problem) -> list[list[GroupWidths]]:
        if self.by == GROUP:
            return _together(problem.groups, lambda group: (group.size, group.widths[1]))
        return classes(problem.coupling, problem.groups)


def classes(coupling: Coupling, groups: Sequence[GroupWidths]) -> list[list[GroupWidths]]:
    """Groups by class: equal sizes and widths, and the same use of the channels by the same kinds of layers.

    What else such layers read or make does not count: the first of several blocks often reads another width.
    """
    kinds = {node.name: node.op for node in coupling.graph.nodes}

    def use(group: GroupWidths) -> Hashable:
        found = []
        for member in group.group.members:
            weight = member.tensor in coupling.graph.params
            dims = coupling.dims[member.tensor] if weight else ()
            # Sizes that are no channels: of windows, of positions.
            still = tuple(dim.size for dim in dims if isinstance(dim, Fixed) and not dim.pins)
            found.append((kinds[member.node], member.role, member.axis, still))
        return group.size, group.widths, tuple(sorted(found))

    return _together(groups, use)


def _together(
    groups: Sequence[GroupWidths], key: Callable[[GroupWidths], Hashable]
) -> list[list[GroupWidths]]:
    """Groups of equal keys; one that has no choice stays by itself."""
    found: dict[Hashable, list[GroupWidths]] = {}
    for place, group in enumerate(groups):
        found.setdefault(key(group) if len(group.widths) > 1 else place, []).append(group)
    return list(found.values())


def _equal_losses(groups: Sequence[GroupWidths]) -> Array:
    """Steps in the order of the fraction that is left."""
    longest = max(groups, key=lambda group: len(group.widths))
    return -np.asarray(longest.widths[:-1]) / longest.size


def _mean_losses(groups: Sequence[GroupWidths]) -> Array:
    """The mean loss by channel of each step of all groups together."""
    losses: Array = np.mean([group.losses() for group in groups], axis=0)
    return losses


def kept_fractions(group: GroupWidths) -> Array:
    """A value of widths that is concave and alike for all groups: at any one price equal fractions go."""
    kept: Array = -((1 - np.asarray(group.widths) / group.size) ** 2)
    return kept
