"""The standard passes; each is thin: the work is in the analysis, policy or rewrite it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import msgspec
import numpy as np

from ..ir import Graph, ModelError
from . import scores
from ._auto import AUTO, candidates, choose
from ._compensate import compensate
from ._coupling import couple
from ._cut import cut
from ._options import build
from ._proof import prove
from ._select import Policy
from ._state import State


@dataclass(frozen=True)
class Couple:
    """Find the coupled channels; leaves the fact ``coupling``."""

    name: ClassVar[str] = "couple"

    def __call__(self, state: State) -> State:
        return state.having(coupling=couple(state.graph))


@dataclass(frozen=True)
class Score:
    """Score every channel of every group; leaves the fact ``scores``.

    Attributes:
        metric: a score's name, or ``auto``: all data-free ones, among which ``select`` measures.
        options: options of that score.
    """

    name: ClassVar[str] = "score"
    metric: str = AUTO
    options: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, state: State) -> State:
        refuse_not_finite(state.graph)
        coupling = couple(state.graph)
        if self.metric == AUTO:
            return state.having(metric=AUTO, candidates=candidates(coupling))
        score = build(scores.get(self.metric), self.options)
        return state.having(metric=self.metric, candidates={self.metric: score(coupling)})


def refuse_not_finite(graph: Graph) -> None:
    """Weights that are NaN or infinite cannot be scored.

    Raises:
        ModelError: naming the first such param.
    """
    for param in graph.params.values():
        if param.trained and param.is_float and not np.all(np.isfinite(param.read())):
            raise ModelError(
                f"weight '{param.name}' holds NaN or infinite numbers",
                where=graph.name,
                advice="repair the checkpoint",
            )


@dataclass(frozen=True)
class Select(Policy):
    """Choose what goes, with the options of :class:`Policy`; leaves the facts ``plan`` and ``scores``."""

    name: ClassVar[str] = "select"

    def __call__(self, state: State) -> State:
        coupling = couple(state.graph)
        found = state.need("candidates", self.name)
        if len(found) > 1:
            choice = choose(coupling, self.plan, found)
            state, metric, plan = state.having(choice=choice), choice.metric, choice.plan
        else:
            ((metric, values),) = found.items()
            plan = self.plan(coupling, values)
        options = {**plan.options, "score": metric}
        return state.having(plan=msgspec.structs.replace(plan, options=options), scores=found[metric])


@dataclass(frozen=True)
class Compensate:
    """Move the known means of cut channels into the biases of their consumers; refines the ``plan``."""

    name: ClassVar[str] = "compensate"

    def __call__(self, state: State) -> State:
        plan = state.need("plan", self.name)
        result = compensate(couple(state.original), plan)
        state = state.having(plan=result.plan, compensation=result)
        return (
            state if state.graph is state.original else replace(state, graph=cut(state.original, result.plan))
        )


@dataclass(frozen=True)
class Cut:
    """Apply the ``plan`` to the graph."""

    name: ClassVar[str] = "cut"

    def __call__(self, state: State) -> State:
        graph: Graph = cut(state.original, state.need("plan", self.name))
        return replace(state, graph=graph)


@dataclass(frozen=True)
class Verify:
    """Prove that the cut graph equals the masked original; leaves the fact ``proof``."""

    name: ClassVar[str] = "verify"

    def __call__(self, state: State) -> State:
        return state.having(proof=prove(state.original, state.graph, state.need("plan", self.name)))
