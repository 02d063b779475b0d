"""The schedule of a run from some values to others: its nodes, and the last read of each value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ._errors import UsageError
from ._graph import Graph, Node


@dataclass(frozen=True)
class Schedule:
    """A part of a graph in the order in which it runs.

    Attributes:
        nodes: what is run.
        reads: how often each value is read.
    """

    nodes: tuple[Node, ...]
    reads: Mapping[str, int]


def scheduled(graph: Graph, given: Collection[str], wanted: Collection[str]) -> Schedule:
    """The schedule from ``given`` to ``wanted``; nodes that only the given values need are left out.

    Raises:
        UsageError: a name is no value of the graph, or an input is read that is not given.
    """
    for name in given:
        if name not in graph.values:
            raise UsageError(f"'{name}' is given and is no value of the graph", where=graph.name)
    for name in wanted:
        if name not in graph.values and name not in graph.params:
            raise UsageError(f"'{name}' is wanted and is no value of the graph", where=graph.name)
    needed = {name for name in wanted if name not in given}
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if any(name in needed and name not in given for name in node.outputs):
            nodes.append(node)
            needed.update(name for name in node.inputs if name is not None and name not in given)
    for name in graph.inputs:
        if name in needed:
            advice = f"the model reads {', '.join(graph.inputs)}"
            raise UsageError(f"input '{name}' is missing", where=graph.name, advice=advice)
    reads: dict[str, int] = {}
    for node in nodes:
        for read in node.inputs:
            if read is not None and read in graph.values:
                reads[read] = reads.get(read, 0) + 1
    return Schedule(tuple(reversed(nodes)), reads)
