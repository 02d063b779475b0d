"""Widths: how many channels each group keeps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..ir import Atom
from ..passes import Budget, CostModel, Coupling, Grain, Plan, allowed_widths, least_widths, multiples

Widths = Mapping[str, int]


def widths_of(coupling: Coupling, plan: Plan) -> dict[str, int]:
    """Channels that each prunable group keeps, by name."""
    cuts = plan.cuts
    return {
        group.name: group.size - (len(cuts[group.name].remove) if group.name in cuts else 0)
        for group in coupling.prunable
    }


def atoms_of(coupling: Coupling, widths: Widths) -> dict[Atom, int]:
    """The same by atom."""
    return {group.atom: widths[group.name] for group in coupling.prunable if group.atom is not None}


def choices_of(coupling: Coupling, grain: Grain, floor: float = 0.0) -> dict[str, list[int]]:
    """The widths that each group may take, descending, by name."""
    grains, least = multiples(coupling, grain), least_widths(coupling)
    return {
        group.name: allowed_widths(group.size, grains[group.atom], floor, least[group.atom])
        for group in coupling.prunable
        if group.atom is not None
    }


def path_between(choices: Mapping[str, list[int]], narrow: Widths, wide: Widths) -> list[dict[str, int]]:
    """Widths from ``narrow`` to ``wide``, all groups at once; none moves by more than a step from one to the next."""
    places = {name: [_place(choices[name], each[name]) for each in (narrow, wide)] for name in choices}
    count = max((abs(a - b) for a, b in places.values()), default=0)
    return (
        [
            {name: choices[name][round(a + (b - a) * at / count)] for name, (a, b) in places.items()}
            for at in range(count + 1)
        ]
        if count
        else [dict(narrow)]
    )


def _place(choices: list[int], width: int) -> int:
    return int(np.argmin(np.abs(np.asarray(choices) - width)))


def within(coupling: Coupling, budget: Budget, widths: Widths) -> bool:
    """Return whether the limits hold that need no clock."""
    model = CostModel(coupling)
    original = model.cost()
    model.set_widths(atoms_of(coupling, widths))
    return budget.met(model.totals, original)
