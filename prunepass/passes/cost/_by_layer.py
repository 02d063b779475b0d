"""Multiply-accumulates layer by layer."""

from __future__ import annotations

from math import prod

from ...ir import Graph
from ..coupling import couple
from ._kinds import live_nodes


def macs_by_layer(graph: Graph) -> dict[str, int]:
    """Multiply-accumulates of one run by layer, in order of appearance; together they are those of the graph.

    A layer is a module or, where there are none, a node; what counts no work is left out.
    """
    coupling, found = couple(graph), dict[str, int]()
    for node, rule in live_nodes(coupling):
        if rule.work:
            layer = node.origin.path or node.name
            work = sum(prod(coupling.norm(dim).size for dim in product) for product in rule.work)
            found[layer] = found.get(layer, 0) + work
    return found
