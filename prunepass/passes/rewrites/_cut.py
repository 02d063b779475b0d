"""The rewrite: a graph and a plan give the smaller graph."""

from __future__ import annotations

from ...ir import Graph
from .._plan import Plan
from ..coupling import couple, narrowed


def cut(graph: Graph, plan: Plan) -> Graph:
    """Cut what ``plan`` removes; data is read and sliced only when it is wanted.

    Returns:
        A graph with the same node and tensor names, or ``graph`` itself where nothing changes.
    """
    coupling = couple(graph)
    kept, changed = plan.kept(coupling), plan.shifted(graph)
    return narrowed(coupling, kept, changed) if kept or changed else graph
