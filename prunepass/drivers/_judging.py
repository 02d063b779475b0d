"""Judgement of attempts: the clock, the task's evaluation, and its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ..hosts import Session
from ..ir import Graph, UsageError
from ..passes import Task
from ._attempt import Attempt, Reading
from ._host_check import outputs_of
from ._replayed import checked
from ._rounds import Rounds
from ._tasks import Hooks
from ._weights import Store, digest, read_weights, with_weights


class Stopwatch(Protocol):
    """Measures a candidate; ``precise`` where the figure decides."""

    def __call__(self, model: Any, precise: bool, /) -> Reading: ...


class Judging(Rounds):
    """The part of a run that measures, evaluates and trains attempts."""

    session: Session
    inputs: Any
    task: Task
    watch: Stopwatch | None
    store: Store | None
    figures: dict[tuple[int, int], tuple[Graph, float]]

    def measure(self, attempt: Attempt, *, precise: bool = True) -> Attempt:
        """Measure on the engine, against the original.

        Raises:
            UsageError: there is no engine.
        """
        return replace(attempt, reading=self.timed(attempt.model, precise=precise))

    def timed(self, model: Any, what: str = "measure", *, precise: bool = True) -> Reading:
        """The time of a model of this host over that of the original; see :meth:`measure`."""
        watch = self.watch
        if watch is None:
            raise UsageError("there is no engine to measure on", advice="name one with backend= (--backend)")
        return self.told(what, lambda: watch(model, precise))

    @property
    def evaluates(self) -> bool:
        """Return whether the task tells how good a model is."""
        return getattr(self.task, "evaluate", None) is not None

    def evaluate(self, attempt: Attempt) -> Attempt:
        """Ask the task how good the model is.

        Raises:
            UsageError: the task has no ``evaluate``, or it gave no number.
        """
        self.task.need("evaluate", "this driver")
        return replace(attempt, accuracy=self.figure(attempt.graph, lambda: self._asked(attempt)))

    def figure(self, graph: Graph, work: Callable[[], float]) -> float:
        """Quality of ``graph`` by ``evaluate``, by ``work`` where it was not asked before."""
        key = id(graph.nodes), id(graph.params)
        if key not in self.figures:
            self.figures[key] = graph, work()
        return self.figures[key][1]

    def _asked(self, attempt: Attempt) -> float:
        key = f"evaluate {digest(attempt.graph)}" if self.store else ""
        known = self.store.figure(key) if self.store else None
        if known is None:
            known = self.told("evaluate", lambda: self._evaluated(attempt))
            if self.store:
                self.store.keep_figure(key, known)
        return known

    def _evaluated(self, attempt: Attempt) -> float:
        """Quality by ``evaluate`` of a model that it leaves as it was."""
        if attempt.check is not None and attempt.check.drawn:
            return self.task.evaluated(attempt.model)
        before = outputs_of(self.session, attempt.model, attempt.graph)
        found = self.task.evaluated(attempt.model)
        after = outputs_of(self.session, attempt.model, attempt.graph)
        if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(before, after, strict=True)):
            raise UsageError(
                "evaluate changed the model: its outputs are others than before",
                advice="evaluate in evaluation mode, model.eval(), and calibrate a copy: copy.deepcopy(model)",
            )
        return found

    def tune(self, attempt: Attempt) -> Attempt:
        """Let the task train the model of ``attempt``, in place or by giving back another one of its type.

        Raises:
            UsageError: the task has no ``tune``, or it left another network.
        """
        call = self.task.need("tune", "this driver")
        key = f"tuned-{digest(attempt.graph)}" if self.store else ""
        weights = self.store.weights(key) if self.store else None
        if weights is not None:
            graph = with_weights(attempt.graph, weights)
            model = self.session.replay(self.graph, graph, inplace=False)
        else:
            model = self.told("tune", lambda: _trained(call, attempt.model, self.progress))
            weights = read_weights(self.session, model, self.inputs, attempt.graph)
            graph = with_weights(attempt.graph, weights)
            if self.store:
                self.store.keep_weights(key, weights)
        check = checked(self.session, model, self.graph, graph)
        return replace(
            attempt, graph=graph, model=model, check=check, tuned=True, accuracy=None, reading=None
        )


def _trained(tune: Callable[..., Any], model: Any, progress: Callable[[float], None]) -> Any:
    """The model that ``tune`` gave; else the one that it got.

    Raises:
        UsageError: it gave a model of another type.
    """
    made = tune(model, Hooks(progress))
    if isinstance(made, type(model)):
        return made
    if set(type(made).__mro__) & set(type(model).__mro__) - {object}:
        raise UsageError(
            f"tune got a {type(model).__name__} and gave a {type(made).__name__} back",
            advice="train the model in place and return nothing, or return it",
        )
    return model
