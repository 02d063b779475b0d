"""Pipelines: passes in a row, verified and timed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from ..ir import Graph, PrunepassError, parse_steps, verify_graph
from ._observed import asked_by
from ._options import build, to_text
from ._state import Observer, Pass, State, check_order
from ._tables import passes


@dataclass(frozen=True)
class Pipeline:
    """Passes that run one after the other.

    The graph is verified before the first pass and after every one that returned another graph.
    """

    steps: tuple[Pass, ...]

    @staticmethod
    def parse(text: str) -> Pipeline:
        """Build from ``"couple | score{metric=dfpc} | select{budget=macs:0.5, align=16} | cut"``.

        Raises:
            UsageError: a pass or an option is unknown.
        """
        return Pipeline(tuple(build(passes()[name], options) for name, options in parse_steps(text)))

    def __str__(self) -> str:
        return " | ".join(to_text(step) for step in self.steps)

    def __call__(self, graph: Graph, observers: Sequence[Observer] = (), **facts: Any) -> State:
        """Run all passes on ``graph``; what a pass raises says in a note which passes ran before it.

        Args:
            facts: fields of :class:`State` that are there before the first pass, as ``task`` and ``executor``.
        """
        return self.resume(self.start(graph, **facts), observers)

    def start(self, graph: Graph, **facts: Any) -> State:
        """The state before the first pass; ``facts`` as in :meth:`__call__`.

        Raises:
            UsageError: the passes are in an order in which one lacks what it needs.
            ModelError: the graph is not sound.
        """
        state = State.start(graph).having(**facts)
        check_order(self.steps, state.made())
        verify_graph(graph)
        return state

    def resume(self, state: State, observers: Sequence[Observer] = ()) -> State:
        """Run all passes on what earlier ones left; see :meth:`__call__`."""
        done: list[str] = []
        state = state.having(asked=asked_by(self.steps))
        for step in self.steps:
            for observer in observers:
                observer.before(step.name, state)
            start = perf_counter()
            state = self._run(step, state, done)
            for observer in observers:
                observer.after(step.name, state, perf_counter() - start)
            done.append(step.name)
        return state

    def _run(self, step: Pass, state: State, done: Iterable[str]) -> State:
        try:
            after = step(state)
            if after.graph is not state.graph:
                verify_graph(after.graph)
        except PrunepassError as error:
            ran = ", ".join(done) or "none"
            note = getattr(error, "add_note", None)  # Python 3.11 and later
            if note is not None:
                note(f"in pass '{step.name}', after: {ran}")
            raise
        return after


@dataclass
class Timings:
    """An observer that keeps the seconds of every pass, in order."""

    seconds: list[tuple[str, float]]

    @staticmethod
    def fresh() -> Timings:
        return Timings([])

    def before(self, name: str, state: State) -> None:
        """Nothing to note yet."""

    def after(self, name: str, state: State, seconds: float) -> None:
        self.seconds.append((name, seconds))

    def as_dict(self) -> dict[str, Any]:
        return dict(self.seconds)
