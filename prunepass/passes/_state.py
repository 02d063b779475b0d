"""The state that a pipeline hands from pass to pass, and the protocol of a pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..ir import Array, Executor, Graph, UsageError
from ._plan import Plan

if TYPE_CHECKING:
    from ._auto import Choice
    from ._calibration import Calibration
    from ._task import Task
    from .analyses import Observed, Statistic
    from .coupling import Coupling
    from .policies import DamageCurves, LatencyLimit
    from .proof import Proof
    from .rewrites import Compensation, Reconstruction

Scores = Mapping[str, Array]
_ADVICE = "a whole pipeline is: couple | score | select | compensate | cut | verify"


@dataclass(frozen=True, eq=False)
class State:
    """A graph on its way through a pipeline, and the facts that passes left; None where no pass made one yet.

    Attributes:
        original: the graph as captured; the proof is against it.
        graph: the graph as it is now.
        coupling: the coupled channels of ``original``.
        metric: name of the score, or ``auto``.
        candidates: scores by group name, by name of the score.
        per: by name of the score what it already divides by (``macs``, ``params``, ``none``).
        clocked: the limit of a latency budget.
        sensitivity: by group name the damage at fractions kept, as a driver measured it.
        plan: which channels go.
        scores: the scores that the plan was made from, by group name.
        choice: how ``auto`` chose among the candidates.
        compensation: the repair of the plan.
        reconstruction: how its weights were fitted.
        task: data, loss, evaluation and training, as far as the user gave them.
        asked: by source of statistics what passes of the pipeline want of it.
        seen: by source of statistics what was observed.
        calibration: inputs that a repair is fitted on and judged on.
        proof: that ``graph`` computes what ``original`` computes with the cut channels masked.
        progress: is told how far the pass at work is, from 0 to 1.
        executor: opens what runs ``original``, or what a cut makes of it, by the host's own operators.
        extra: facts of passes from elsewhere, by name.
    """

    original: Graph
    graph: Graph
    coupling: Coupling | None = None
    metric: str | None = None
    candidates: Mapping[str, Scores] | None = None
    per: Mapping[str, str] | None = None
    clocked: LatencyLimit | None = None
    sensitivity: DamageCurves | None = None
    plan: Plan | None = None
    scores: Scores | None = None
    choice: Choice | None = None
    compensation: Compensation | None = None
    reconstruction: Reconstruction | None = None
    proof: Proof | None = None
    task: Task | None = None
    progress: Callable[[float], None] | None = None
    executor: Callable[[Graph], Executor] | None = None
    asked: Mapping[str, tuple[Statistic, ...]] | None = None
    seen: Mapping[str, Observed] | None = None
    calibration: Calibration | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def start(graph: Graph) -> State:
        return State(graph, graph)

    def having(self, **facts: Any) -> State:
        """The same graph with more facts; those without a field of their own go to ``extra``."""
        own = {name: value for name, value in facts.items() if name in _FACTS}
        other = {name: value for name, value in facts.items() if name not in _FACTS}
        return replace(self, **own, extra={**self.extra, **other} if other else self.extra)

    def need(self, fact: str, by: str) -> Any:
        """A fact that an earlier pass must have left.

        Raises:
            UsageError: none has.
        """
        found = getattr(self, fact) if fact in _FACTS else self.extra.get(fact)
        if found is None:
            raise missing(fact, by)
        return found

    def made(self) -> frozenset[str]:
        """Names of the facts that are there."""
        own = (name for name in _FACTS if getattr(self, name) is not None)
        return frozenset((*own, *self.extra))


_FACTS = frozenset(one.name for one in fields(State)) - {"original", "graph", "extra"}


def missing(fact: str, by: str) -> UsageError:
    """A pass stands in front of the one that makes what it reads."""
    return UsageError(f"pass '{by}' needs '{fact}', which no pass before it made", advice=_ADVICE)


class Pass(Protocol):
    """A frozen dataclass from state to state; its fields are its options.

    The state's graph is verified before the first and after every pass. A pass never changes a graph, it
    returns another one; an analysis leaves the graph and adds a fact.

    A pass may declare ``needs``, names of the facts that it reads, and ``makes``, names of those that it leaves: a
    pipeline in the wrong order is then refused before any work. One that declares no ``makes`` may leave anything.
    """

    name: ClassVar[str]

    def __call__(self, state: State) -> State: ...


class Observer(Protocol):
    """Is told of every pass of a pipeline."""

    def before(self, name: str, state: State) -> None: ...

    def after(self, name: str, state: State, seconds: float) -> None: ...


def check_order(steps: tuple[Pass, ...], made: frozenset[str]) -> None:
    """Refuse passes in an order in which one lacks what it needs.

    Args:
        made: facts that are there before the first pass.

    Raises:
        UsageError: naming the pass and the fact.
    """
    there = set(made)
    for step in steps:
        needs: tuple[str, ...] = getattr(step, "needs", ())
        for fact in needs:
            if fact not in there:
                raise missing(fact, step.name)
        makes: tuple[str, ...] | None = getattr(step, "makes", None)
        if makes is None:
            return  # whatever comes after may be there
        there.update(makes)
