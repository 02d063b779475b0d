"""Calibration: the inputs that a repair is fitted on, those that it is judged on, and how sure their choice is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ir import Array

WELL, MANY = 0.2, 8
"""A family is recognised well by so many normalisations or more that are not farther away than this in the mean."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Inputs to fit on and inputs to judge on.

    Attributes:
        fit: feeds to fit on, by input name, each of as many samples as the graph was captured with.
        held: feeds held out from the fit, for judging.
        source: ``data``, or the family of procedural inputs; empty where there are none.
        losses: by family tried how far it is from what the normalisations were trained on.
        norms: how many normalisations said so.
        warnings: what is wrong with the inputs, for the user.
    """

    fit: tuple[Mapping[str, Array], ...] = ()
    held: tuple[Mapping[str, Array], ...] = ()
    source: str = ""
    losses: Mapping[str, float] = field(default_factory=dict)
    norms: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def sure(self) -> str:
        """Say whether these inputs are like those of the model's task: ``data``, ``well``, ``little`` or ``not``."""
        if self.source in ("data", ""):
            return "data" if self.source else "not"
        if not self.norms:
            return "not"
        return "well" if self.norms >= MANY and min(self.losses.values()) <= WELL else "little"
