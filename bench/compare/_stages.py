"""Pruning one model stage by stage, timed: what ``prune`` does in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunepass.hosts import Session
from prunepass.ir import Graph, UnsupportedError
from prunepass.passes import Coupling, Plan, Select, couple, cut
from prunepass.passes.scores import Score

from ._clock import Stopwatch


@dataclass(frozen=True)
class Cutting:
    """What it came to.

    Attributes:
        graph: as captured, with what the network's own code demanded.
        small: the cut graph. pruned: the model of the host.
        plans: how many plans it took, since the network's own code may contradict one.
    """

    graph: Graph
    coupling: Coupling
    plan: Plan
    small: Graph
    pruned: Any
    plans: int


def plan_and_cut(session: Session, policy: Select, score: Score, watch: Stopwatch) -> Cutting:
    """Stages ``plan`` (couple, score, select) and ``cut`` (cut graph and replay), until the host agrees."""
    graph, plans = session.graph, 0
    while True:
        plans += 1
        with watch.stage("plan"):
            coupling = couple(graph)
            plan = policy.plan(coupling, score(coupling))
        try:
            with watch.stage("cut"):
                small = cut(graph, plan)
                pruned = session.replay(graph, small, inplace=False)
            return Cutting(graph, coupling, plan, small, pruned, plans)
        except UnsupportedError as mismatch:
            learnt = session.constrain(graph, mismatch)
            if learnt is graph:
                raise
            graph = learnt
