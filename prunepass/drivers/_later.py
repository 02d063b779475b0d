"""Planning on what an earlier cut has left: limits that are of the whole model, in the terms of the smaller one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import ceil, floor
from typing import Any

from ..ir import Atom, BudgetError, Graph, atoms_of
from ..passes import Budget, Coupling, Group, couple, graph_cost, with_constraints
from ._attempt import Attempt
from ._parts import Parts

_CHANNELS = "channels"
_DIGITS = 1e6


@dataclass(frozen=True)
class Later:
    """The graph that is planned on, and the passes that plan.

    Attributes:
        graph: the smaller graph; groups that are as narrow as they may become are pinned.
        parts: the pipeline with its limits in the smaller graph's terms.
    """

    graph: Graph
    parts: Parts

    @staticmethod
    def of(base: Attempt, graph: Graph, parts: Parts) -> Later:
        """Plan on ``base`` under the limits of ``parts``, which are of the whole model.

        Args:
            graph: the whole model with every pin and tie that is known by now.

        Raises:
            BudgetError: there is nothing left to cut for it.
        """
        small = replace(base.graph, pins=graph.pins, ties=graph.ties)
        settled, least = _settled(base, small, parts.policy)
        pinned = with_constraints(small, tuple(_pin(couple(small), group) for group in settled))
        budget = _relative(parts.budget, base.whole, small, sum(group.size for group in settled))
        changed: dict[str, Any] = {"budget": budget}
        if least:
            changed["floor"] = least
        if getattr(parts.policy, "ratios", None):
            changed["ratios"] = {}
        return Later(pinned, replace(parts, policy=replace(parts.policy, **changed)))  # type: ignore[type-var]


def _settled(base: Attempt, small: Graph, policy: Any) -> tuple[list[Group], float]:
    """Groups that may not become narrower, and the least fraction that the others keep."""
    share = float(getattr(policy, "floor", 0.0))
    ratios: Mapping[str, float] = getattr(policy, "ratios", {})
    if not share and not ratios:
        return [], 0.0
    whole = couple(base.whole)
    found, least = list[Group](), 0.0
    for group in couple(small).prunable:
        first = _same(whole, group)
        bound = ceil(share * first.size - 1e-9)
        if group.size <= bound or any(fnmatchcase(first.name, pattern) for pattern in ratios):
            found.append(group)
        else:
            least = max(least, bound / group.size)
    return found, least


def _same(whole: Coupling, group: Group) -> Group:
    """The group of the whole model that holds the same channels."""
    member = group.members[0]
    leaves = set(atoms_of(whole.dims[member.tensor][member.axis]))
    return next((one for one in whole.prunable if one.atom in leaves), group)


def _pin(coupling: Coupling, group: Group) -> tuple[str, int, str]:
    assert group.atom is not None
    name, axis = _place(coupling, group.atom)
    return name, axis, "as narrow as it may become"


def _relative(budget: Budget, whole: Graph, small: Graph, settled: int) -> str:
    """The budget as fractions of what is left."""
    before, after = graph_cost(whole), graph_cost(small)
    limits: dict[str, float] = {}
    for kind, fraction in budget.counted.items():
        still = settled if kind == _CHANNELS else 0
        left = (fraction * before[kind] - still) / max(after[kind] - still, 1)
        limits[kind] = min(1.0, floor(left * _DIGITS) / _DIGITS)
        if limits[kind] <= 0:
            raise BudgetError(
                f"the budget {budget} cannot be met: nothing is left to cut", advice="ask for less"
            )
    return str(Budget({**limits, **({} if budget.latency is None else {"latency": budget.latency})}))


def _place(coupling: Coupling, leaf: Atom) -> tuple[str, int]:
    """A tensor and an axis that hold the channels, by themselves where there is one."""
    places = [
        (not isinstance(dim, Atom), name, axis)
        for name, dims in coupling.dims.items()
        for axis, dim in enumerate(dims)
        if leaf in atoms_of(dim)
    ]
    _, name, axis = min(places)
    return name, axis
