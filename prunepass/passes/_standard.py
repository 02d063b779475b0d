"""The standard passes; each is thin: the work is in the analysis, policy or rewrite it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..ir import Graph, UsageError
from . import scores
from ._auto import AUTO, CANDIDATES, candidates
from ._observed import AUTO_SOURCE, Asked, observed, source_named
from ._options import build
from ._state import State
from .analyses import observed_means, one_sample, refuse_not_finite, statistics
from .coupling import couple
from .proof import prove
from .rewrites import compensate, cut


@dataclass(frozen=True)
class Couple:
    """Find the coupled channels; leaves the fact ``coupling``."""

    name: ClassVar[str] = "couple"
    needs: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[tuple[str, ...]] = ("coupling",)

    def __call__(self, state: State) -> State:
        return state.having(coupling=couple(state.graph))


@dataclass(frozen=True)
class Score:
    """Score every channel of every group; leaves the fact ``scores``.

    Attributes:
        metric: a score, its name, or ``auto``: all data-free ones, among which ``select`` measures.
        options: options of the score that is named.
    """

    name: ClassVar[str] = "score"
    needs: ClassVar[tuple[str, ...]] = ()
    makes: ClassVar[tuple[str, ...]] = ("metric", "candidates", "per")
    metric: str | scores.Score = AUTO
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.options and (self.metric == AUTO or not isinstance(self.metric, str)):
            raise UsageError(
                f"options {', '.join(self.options)} belong to no score", advice="name the score that has them"
            )
        if self.metric != AUTO:
            self._score()

    def _score(self) -> scores.Score:
        return build(scores.get(self.metric), self.options) if isinstance(self.metric, str) else self.metric

    def __call__(self, state: State) -> State:
        refuse_not_finite(state.graph)
        coupling = couple(state.graph)
        if self.metric == AUTO:
            return state.having(metric=AUTO, candidates=candidates(coupling), per=_prices())
        score = self._score()
        metric = self.metric if isinstance(self.metric, str) else score.name
        per = {metric: str(getattr(score, "per", "none"))}
        needs = scores.needs_of(score)
        if needs:
            state, seen = observed(state, scores.source_of(score), needs, f"score '{metric}'")
            found = scores.judged(score, coupling, seen)
        else:
            found = scores.scored(score, coupling)
        return state.having(metric=metric, candidates={metric: found}, per=per)

    @property
    def statistics(self) -> Asked:
        """By source what the score wants to know of activations."""
        if self.metric == AUTO:
            return {}
        score = self._score()
        return {scores.source_of(score): scores.needs_of(score)}


def _prices() -> dict[str, str]:
    """The cost that each candidate of ``auto`` already divides by."""
    return {name: str(getattr(scores.get(name)(), "per", "none")) for name in CANDIDATES}


@dataclass(frozen=True)
class Compensate:
    """Move the known means of cut channels into the biases of their consumers; refines the ``plan``.

    Attributes:
        source: where means are known from: ``model``, ``synthetic``, ``data``, or ``auto``: data where the task has
            any, else the model.
    """

    name: ClassVar[str] = "compensate"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ("compensation",)
    source: str = AUTO_SOURCE

    @property
    def statistics(self) -> Asked:
        """Means of what is read."""
        return {self.source: (statistics.Mean(),)}

    def __call__(self, state: State) -> State:
        plan = state.need("plan", self.name)
        if self._done(state):
            return state
        coupling = couple(state.original)
        means = None
        if source_named(self.source, state.task, self.name) != "model":
            state, seen = observed(state, self.source, (statistics.Mean(),), self.name)
            means = observed_means(one_sample(coupling), seen)
        result = compensate(coupling, plan, means)
        state = state.having(plan=result.plan, compensation=result)
        return (
            state if state.graph is state.original else replace(state, graph=cut(state.original, result.plan))
        )

    def _done(self, state: State) -> bool:
        """Return whether the plan came with its repair."""
        before = state.compensation
        return before is not None and before.plan is state.plan


@dataclass(frozen=True)
class Cut:
    """Apply the ``plan`` to the graph."""

    name: ClassVar[str] = "cut"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ()

    def __call__(self, state: State) -> State:
        graph: Graph = cut(state.original, state.need("plan", self.name))
        return replace(state, graph=graph)


@dataclass(frozen=True)
class Verify:
    """Prove that the cut graph equals the masked original; leaves the fact ``proof``."""

    name: ClassVar[str] = "verify"
    needs: ClassVar[tuple[str, ...]] = ("plan",)
    makes: ClassVar[tuple[str, ...]] = ("proof",)

    def __call__(self, state: State) -> State:
        return state.having(proof=prove(state.original, state.graph, state.need("plan", self.name)))
