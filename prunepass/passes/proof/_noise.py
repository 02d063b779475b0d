"""Values that depend on what a network draws at random: no two runs of a host make the same."""

from __future__ import annotations

from ...ir import Graph, registry


def random_values(graph: Graph) -> frozenset[str]:
    """Names of the values that depend on a draw."""
    found: set[str] = set()
    for node in graph.nodes:
        if registry()[node.op].random(node.attrs) or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return frozenset(found)
