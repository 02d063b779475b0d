"""Planning within a run: the passes up to the policy, with what the run knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Graph
from ..passes import Pipeline, State, default_judge
from ._curves import damage_curves
from ._judge import judged
from ._judging import Judging
from ._parts import Parts


class Planning(Judging):
    """The part of a run that scores groups and plans cuts."""

    pipeline: Pipeline

    @property
    def parts(self) -> Parts:
        """The pipeline as drivers run it."""
        return Parts.of(self.pipeline)

    @property
    def _known(self) -> dict[str, Any]:
        """Facts that passes know before the first one."""
        return {"executor": self.session.executor, "task": self.task, "progress": self.progress}

    def state(self, graph: Graph, **facts: Any) -> State:
        """A state in which passes go on from ``facts``."""
        return State.start(graph).having(**self._known, **facts)

    def scored(self, graph: Graph | None = None, parts: Parts | None = None) -> State:
        """The state after the passes before the policy.

        Raises:
            UsageError: the passes are in an order in which one lacks what it needs.
        """
        used, at = parts or self.parts, self.graph if graph is None else graph
        begun = used.whole.start(at, **self._known)
        return used.head.resume(begun, self.observers)

    def planned(self, state: State, parts: Parts | None = None) -> State:
        """The state after the policy, with one score."""
        used = parts or self.parts
        steps = () if used.policy is None else (used.policy,)
        return Pipeline(steps).resume(self.chosen(self.with_curves(state, used), used), self.observers)

    def with_curves(self, state: State, parts: Parts) -> State:
        """``state`` with damage curves, where the policy reads them: by ``evaluate``, else by the outputs' change."""
        if not getattr(parts.policy, "by_damage", False) or state.sensitivity is not None:
            return state

        def quality(graph: Graph) -> float:
            return self.figure(graph, lambda: self.task.evaluated(self._host_model(graph), "a policy"))

        if not self.evaluates:
            judge = default_judge(state.graph, state.executor)
            return self._curved(state, parts, lambda graph: float(judge(graph)))
        before = quality(state.graph)
        return self._curved(state, parts, lambda graph: before - quality(graph))

    def _curved(self, state: State, parts: Parts, damage: Callable[[Graph], float]) -> State:
        curves = self.told("sensitivity", lambda: damage_curves(state, parts.repair, damage, self.progress))
        return state.having(sensitivity=curves)

    def _host_model(self, graph: Graph) -> Any:
        return self.session.replay(self.graph, graph, inplace=False)

    def chosen(self, state: State, parts: Parts) -> State:
        """``state`` with one score: of several, that whose plan changes the outputs least."""
        policy = parts.policy
        if policy is None or len(state.candidates or ()) < 2:
            return state
        return self.told("judge", lambda: judged(state, policy))
