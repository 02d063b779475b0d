"""Scores of whole channels from scores that are divided by what a channel saves."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir import Array
from ..cost import KINDS, CostModel
from ..coupling import Coupling
from ._problem import Scores


def undivided(coupling: Coupling, found: Mapping[str, Scores], per: Mapping[str, str]) -> dict[str, Scores]:
    """Scores of whole channels: a knapsack weighs what a channel is worth against what it costs by itself.

    Args:
        found: scores by name of the score.
        per: by name of the score the kind of cost that it is divided by.
    """
    model = CostModel(coupling)
    whole: dict[str, Scores] = {}
    for metric, values in found.items():
        kind = per.get(metric, "none")
        if kind not in KINDS:
            whole[metric] = values
            continue
        share: dict[str, float] = {}
        for group in coupling.prunable:
            assert group.atom is not None
            share[group.name] = model.saving(group.atom, kind) or 1.0
        total = max(model.totals[kind], 1)
        whole[metric] = {name: _times(array, share[name]) / total for name, array in values.items()}
    return whole


def _times(array: Array, share: float) -> Array:
    return array * share
