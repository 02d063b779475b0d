"""Damage curves: how much the network suffers where one group alone keeps a fraction, by running it so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..ir import Graph
from ..passes import Group, Pipeline, State, couple, plan_for

_FRACTIONS = (0.75, 0.5, 0.25)

Damage = Callable[[Graph], float]


def damage_curves(
    state: State, repair: Pipeline, damage: Damage, progress: Callable[[float], None]
) -> dict[str, dict[float, float]]:
    """By group name the damage at each fraction kept; the lowest scores of the group go, and are repaired.

    Args:
        state: with scores; of several the first one's order is taken.
        repair: the passes that follow the policy.
        damage: runs a cut graph and tells how much worse it is.
    """
    coupling = couple(state.graph)
    scores = next(iter(state.need("candidates", "sensitivity").values()))
    found: dict[str, dict[float, float]] = {}
    for at, group in enumerate(coupling.prunable):
        progress(at / len(coupling.prunable))
        order = np.argsort(np.asarray(scores[group.name]), kind="stable")
        curve = found.setdefault(group.name, {})
        for kept in _widths(group):
            plan = plan_for(coupling, {group.name: order[: group.size - kept]})
            small = repair.resume(State.start(state.graph).having(plan=plan, executor=state.executor)).graph
            curve[kept / group.size] = damage(small)
    return found


def _widths(group: Group) -> Iterator[int]:
    """Widths near the fractions, each once, none of them the whole."""
    widths = dict.fromkeys(max(1, round(fraction * group.size)) for fraction in _FRACTIONS)
    return (width for width in widths if width < group.size)
