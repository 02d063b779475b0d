"""Attempts of a driver, and their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from ..ir import Graph
from ..measure import Comparison, LatencyReport
from ..passes import Plan, State
from ._host_check import HostCheck


class Reading(NamedTuple):
    """A candidate's time over the original's, the standard error of that relative to it, and where it is from."""

    time: float
    error: float = 0.0
    comparison: Comparison | None = None


@dataclass(frozen=True, eq=False)
class Attempt:
    """A candidate: planned, cut and replayed, and what became known of it.

    Attributes:
        state: what the pipeline left, without the proof.
        plan: what is gone since the model that was given, in its terms.
        whole: that model as captured, with the pins and ties that the plan was made under.
        graph: what ``model`` computes, with its weights as they are now.
        model: in the host's own form, apart from the user's object.
        check: how the model's outputs agree with ``graph``.
        reading: its measured time.
        accuracy: what the task's ``evaluate`` gave.
        tuned: whether its weights were trained since the cut.
        latency: how a latency budget was met.
        rejected: why it was not taken; empty otherwise.
    """

    state: State
    plan: Plan
    whole: Graph
    graph: Graph
    model: Any
    check: HostCheck | None = None
    reading: Reading | None = None
    accuracy: float | None = None
    tuned: bool = False
    latency: LatencyReport | None = None
    rejected: str = ""

    @property
    def timing(self) -> Comparison | None:
        """Original and candidate as they were measured."""
        return None if self.reading is None else self.reading.comparison


@dataclass(frozen=True, slots=True)
class Round:
    """One candidate of a driver, as the report lists it.

    Attributes:
        budget: what was asked for.
        kept: the fraction of each cost that stays.
        accuracy: what ``evaluate`` gave, None where it was not asked.
        time: measured, over the original's; None where nothing was measured.
        accepted: whether the driver went on from it.
        why: why not.
    """

    budget: str
    kept: Mapping[str, float]
    accuracy: float | None = None
    time: float | None = None
    accepted: bool = True
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [self.budget, *(f"{kind} {share:.3f}" for kind, share in self.kept.items())]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4g}")
        if self.time is not None:
            parts.append(f"time {self.time:.3f}")
        return f"{', '.join(parts)}: {'taken' if self.accepted else self.why}"
