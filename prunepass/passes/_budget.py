"""Budgets: what fraction of which cost may stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir import BudgetError, UsageError
from ._cost import KINDS, Cost

_MEASURED = ("latency",)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``limits[kind]`` of the original's cost may stay, for every kind at once.

    Attributes:
        limits: kind (``macs``, ``params``, ``size``, ``channels``) -> fraction in (0, 1].
    """

    limits: Mapping[str, float]

    @staticmethod
    def parse(text: str | Mapping[str, float]) -> Budget:
        """Read ``"macs=0.5,params=0.6"``; a colon does as well, where an equals sign has a meaning already.

        Raises:
            UsageError: a kind is unknown or a fraction is not in (0, 1].
        """
        pairs = text.items() if isinstance(text, Mapping) else (_pair(part) for part in text.split(","))
        limits: dict[str, float] = {}
        for kind, fraction in pairs:
            _check(kind, fraction)
            limits[kind] = fraction
        return Budget(limits)

    def __str__(self) -> str:
        return ",".join(f"{kind}={fraction:g}" for kind, fraction in self.limits.items())

    def met(self, totals: Mapping[str, int], original: Cost) -> bool:
        """Whether every limit holds."""
        return all(totals[kind] <= fraction * original[kind] for kind, fraction in self.limits.items())

    def refuse(self, totals: Mapping[str, int], original: Cost, why: str) -> BudgetError:
        """The error that says how near the budget can be met."""
        # Of nothing, all is kept.
        kept = {kind: totals[kind] / original[kind] if original[kind] else 1.0 for kind in self.limits}
        nearest = ", ".join(f"{kind}={fraction:.3f}" for kind, fraction in kept.items())
        return BudgetError(
            f"the budget {self} cannot be met: {why}; the nearest is {nearest}",
            advice="'prunepass analyze' lists what is pinned and why; lower align or floor, or ask for less",
        )


def _pair(part: str) -> tuple[str, float]:
    kind, _, number = part.strip().replace(":", "=", 1).partition("=")
    try:
        return kind.strip(), float(number)
    except ValueError:
        raise UsageError(f"'{part.strip()}' is no budget", advice="write it as macs=0.5,params=0.6") from None


def _check(kind: str, fraction: float) -> None:
    if kind in _MEASURED:
        raise UsageError(
            f"a {kind} budget needs an engine to measure on", advice=f"use one of {', '.join(KINDS)}"
        )
    if kind not in KINDS:
        raise UsageError(f"there is no budget '{kind}'", advice=f"there are {', '.join(KINDS)}")
    if not 0 < fraction <= 1:
        raise UsageError(f"the budget {kind}={fraction:g} is not a fraction kept, in (0, 1]")
