"""Budgets: what fraction of which cost may stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ...ir import BudgetError, UsageError, number_text
from ._cost import KINDS, Cost

_ADVICE = "'prunepass analyze' lists what is pinned and why; lower align or floor, or ask for less"
LATENCY = "latency"
DEAD = "dead"
Totals: TypeAlias = "Mapping[str, int] | Cost"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``limits[kind]`` of the original's cost may stay, for every kind at once.

    Attributes:
        limits: kind (``macs``, ``params``, ``size``, ``channels``, ``latency``) -> fraction in (0, 1].
        dead: no limit at all: what changes no output goes, and nothing else.
    """

    limits: Mapping[str, float]
    dead: bool = False

    @property
    def latency(self) -> float | None:
        """The fraction of the original's time that may stay; it is measured, not counted."""
        return self.limits.get(LATENCY)

    @property
    def counted(self) -> dict[str, float]:
        """The limits on what can be counted from shapes."""
        return {kind: fraction for kind, fraction in self.limits.items() if kind != LATENCY}

    @staticmethod
    def parse(text: str | Mapping[str, float]) -> Budget:
        """Read ``"macs=0.5,params=0.6"``, or ``"dead"``; a colon does as well as an equals sign.

        Raises:
            UsageError: a kind is unknown or a fraction is not in (0, 1], or ``dead`` is not alone.
        """
        if isinstance(text, str) and text.strip() == DEAD:
            return Budget({}, dead=True)
        pairs = text.items() if isinstance(text, Mapping) else (_pair(part) for part in text.split(","))
        limits: dict[str, float] = {}
        for kind, fraction in pairs:
            _check(kind, fraction)
            limits[kind] = fraction
        return Budget(limits)

    def __str__(self) -> str:
        limits = (f"{kind}={number_text(fraction)}" for kind, fraction in self.limits.items())
        return DEAD if self.dead else ",".join(limits)

    def met(self, totals: Totals, original: Cost) -> bool:
        """Return whether every limit holds on what can be counted."""
        return all(totals[kind] <= fraction * original[kind] for kind, fraction in self.counted.items())

    def refuse(self, totals: Totals, original: Cost, why: str, advice: str = "") -> BudgetError:
        """The error that says how near the budget can be met; ``advice`` comes before what always helps."""
        # Of nothing, all is kept.
        kept = {kind: totals[kind] / original[kind] if original[kind] else 1.0 for kind in self.counted}
        near = ", ".join(f"{kind}={fraction:.3f}" for kind, fraction in kept.items())
        return BudgetError(
            f"the budget {self} cannot be met: {why}" + (f"; the nearest is {near}" if near else ""),
            advice=f"{advice}; {_ADVICE}" if advice else _ADVICE,
        )


def _pair(part: str) -> tuple[str, float]:
    _refuse_dead(part.replace(":", "=").partition("=")[0].strip())
    kind, _, number = part.strip().replace(":", "=", 1).partition("=")
    try:
        return kind.strip(), float(number)
    except ValueError:
        raise UsageError(f"'{part.strip()}' is no budget", advice="write it as macs=0.5,params=0.6") from None


def _refuse_dead(kind: str) -> None:
    if kind == DEAD:
        raise UsageError(
            "the budget 'dead' takes no fraction and no other budget beside it",
            advice="run it alone: what changes no output goes; then prune the result to the other budget",
        )


def _check(kind: str, fraction: float) -> None:
    _refuse_dead(kind)
    if kind not in (*KINDS, LATENCY):
        raise UsageError(f"there is no budget '{kind}'", advice=f"there are {', '.join((*KINDS, LATENCY))}")
    if not 0 < fraction <= 1:
        raise UsageError(f"the budget {kind}={fraction:g} is not a fraction kept, in (0, 1]")
