"""Probes: whole networks that are measured to fit the first model of an engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..passes import Coupling, Grain, Plan, plan_for
from ._widths import choices_of

_FRACTIONS, _FRACTIONS_WITH_TABLE = (0.75, 0.5, None, None, None), (0.6, None)
_LEAST = 0.3


def probes(coupling: Coupling, grain: Grain, *, table: bool) -> Iterator[tuple[dict[str, int], Plan]]:
    """Whole networks at equal and at random fractions, by widths and plan."""
    rng = np.random.default_rng(0)
    for fraction in _FRACTIONS_WITH_TABLE if table else _FRACTIONS:
        widths = _spread(coupling, grain, fraction, rng)
        remove = {name: np.arange(coupling.group(name).size - width) for name, width in widths.items()}
        if any(map(len, remove.values())):
            yield widths, plan_for(coupling, remove)


def _spread(
    coupling: Coupling, grain: Grain, fraction: float | None, rng: np.random.Generator
) -> dict[str, int]:
    """A width on the grain for each group, near ``fraction`` of its size, or a drawn one."""
    choices, found = choices_of(coupling, grain), dict[str, int]()
    for group in coupling.prunable:
        share = rng.uniform(_LEAST, 1.0) if fraction is None else fraction
        found[group.name] = min(choices[group.name], key=lambda width: abs(width - share * group.size))
    return found
