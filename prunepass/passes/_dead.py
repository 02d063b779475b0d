"""The budget ``dead``: what changes no output goes, in whole steps of the grain."""

from __future__ import annotations

import numpy as np

from .coupling import Coupling
from .policies import Grain, group_widths
from .rewrites import Compensation, Remove, dead_plan


def dead_in_steps(coupling: Coupling, grain: Grain, floor: float) -> Compensation:
    """The plan that takes out dead channels, as many as grain and floor let go, with the repair of what read them."""

    def chosen(coupling: Coupling, dead: Remove) -> Remove:
        marks = {group.name: np.ones(group.size) for group in coupling.prunable}
        for name, index in dead.items():
            marks[name][index] = 0
        remove: dict[str, np.ndarray] = {}
        for group in group_widths(coupling, marks, grain, floor):
            least = group.size - len(dead.get(group.name, ()))
            remove[group.name] = group.removed(min(width for width in group.widths if width >= least))
        return remove

    return dead_plan(coupling, chosen)
