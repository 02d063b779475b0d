"""Rounds of a run: what was accepted and rejected, told to those who watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TypeVar

from ..ir import Graph
from ..passes import KINDS, Observer, State, graph_cost
from ._attempt import Attempt, Round

T = TypeVar("T")


class Rounds:
    """The part of a run that records rounds and shows progress."""

    graph: Graph
    observers: Sequence[Observer]
    rounds: list[Round]

    def accept(self, attempt: Attempt) -> Attempt:
        """Record that the driver goes on from here."""
        self.rounds.append(self._round(attempt))
        return attempt

    def reject(self, attempt: Attempt, why: str) -> Attempt:
        """Record that it does not."""
        refused = replace(attempt, rejected=why)
        self.rounds.append(self._round(refused))
        return refused

    def miss(self, budget: str, why: str) -> None:
        """Record that there was nothing to try."""
        self.rounds.append(Round(budget, {}, accepted=False, why=why))

    def _round(self, attempt: Attempt) -> Round:
        before, after = graph_cost(attempt.whole), graph_cost(attempt.graph)
        kept = {kind: after[kind] / before[kind] if before[kind] else 1.0 for kind in KINDS}
        time = None if attempt.reading is None else attempt.reading.time
        budget = str(attempt.plan.options.get("budget", ""))
        return Round(budget, kept, attempt.accuracy, time, not attempt.rejected, attempt.rejected)

    def progress(self, share: float) -> None:
        """Tell observers that can show it how much is done, from 0 to 1."""
        for observer in self.observers:
            show = getattr(observer, "progress", None)
            if callable(show):
                show(min(max(share, 0.0), 1.0))

    def told(self, what: str, work: Callable[[], T]) -> T:
        """Do ``work`` and tell observers of it as of a pass."""
        state, begun = State.start(self.graph), perf_counter()
        for observer in self.observers:
            observer.before(what, state)
        result = work()
        for observer in self.observers:
            observer.after(what, state, perf_counter() - begun)
        return result
