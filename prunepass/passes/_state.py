"""What a pipeline hands from pass to pass, and what a pass is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from ..ir import Graph, UsageError
from ._plan import Plan


@dataclass(frozen=True, eq=False)
class State:
    """A graph on its way through a pipeline.

    Attributes:
        original: the graph as captured; the proof is against it.
        graph: the graph as it is now.
        facts: results of passes that are not graphs, by name (``scores``, ``plan``, ``proof``, ...).
    """

    original: Graph
    graph: Graph
    facts: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def start(graph: Graph) -> State:
        return State(graph, graph)

    def having(self, **facts: Any) -> State:
        """The same graph with more facts."""
        return replace(self, facts={**self.facts, **facts})

    def need(self, fact: str, by: str) -> Any:
        """A fact that an earlier pass must have left."""
        if fact not in self.facts:
            raise UsageError(
                f"pass '{by}' needs '{fact}', which no pass before it made",
                advice="a whole pipeline is: couple | score | select | compensate | cut | verify",
            )
        return self.facts[fact]

    @property
    def plan(self) -> Plan | None:
        plan: Plan | None = self.facts.get("plan")
        return plan


class Pass(Protocol):
    """A frozen dataclass from state to state; its fields are its options.

    The state's graph is verified before the first and after every pass. A pass never changes a graph, it
    returns another one; an analysis leaves the graph and adds a fact.
    """

    name: ClassVar[str]

    def __call__(self, state: State) -> State: ...


class Observer(Protocol):
    """Is told of every pass of a pipeline."""

    def before(self, name: str, state: State) -> None: ...

    def after(self, name: str, state: State, seconds: float) -> None: ...
