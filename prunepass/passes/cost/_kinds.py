"""Kind of work of a node, as its rule declares it; never by the name of its operator."""

from __future__ import annotations

from math import prod

from ...ir import Fixed, Graph, Node, Rule, registry, rule_of
from ..coupling import Coupling

DENSE, WINDOW, CHANNELWISE, PRODUCT, MOVED = KINDS_OF_WORK = (
    "dense",
    "window",
    "channelwise",
    "product",
    "moved",
)
ANY = "*"


def kind_of(coupling: Coupling, node: Node) -> str:
    """The kind of work of ``node``.

    ``dense`` sums weights over channels alone, ``window`` over channels and positions, ``channelwise`` over
    positions alone (each channel for itself), ``product`` multiplies data with data, ``moved`` counts no
    multiply-accumulates: what it costs is the memory that it reads and writes.
    """
    rule = rule_of(coupling.graph, node)
    if not rule.work:
        return MOVED
    if not any(name in coupling.graph.params or name in coupling.static for name in node.inputs):
        return PRODUCT
    # A rule writes positions of windows as Fixed from the start; what it sums over beyond them are channels.
    positions = prod(dim.size for dim in rule.contracted if isinstance(dim, Fixed))
    channels = prod(dim.size for dim in rule.contracted if not isinstance(dim, Fixed))
    if channels == 1:
        return CHANNELWISE if positions > 1 else MOVED
    return WINDOW if positions > 1 else DENSE


def dtype_of(graph: Graph, node: Node) -> str:
    """The dtype that the node computes in: that of its first result, or of the codes (of the weight, where there
    is one) that all it multiplies stands for."""
    codes = codes_read(graph, node)
    if codes:
        return graph.tensor(list(codes.values())[-1]).dtype
    return graph.tensor(node.outputs[0]).dtype if node.outputs else ""


def codes_read(graph: Graph, node: Node) -> dict[str, str]:
    """The node's factors -> the codes they stand for; empty unless it counts work and all of them do."""
    added = registry()[node.op].shift_out
    factors = [name for at, name in enumerate(node.inputs) if name is not None and at != added]
    found = {name: codes for name in factors if (codes := codes_of(graph, name)) is not None}
    return found if len(found) == len(set(factors)) and rule_of(graph, node).work else {}


def codes_of(graph: Graph, name: str) -> str | None:
    """The codes that a value stands for, also where its entries changed place since."""
    node = graph.producers.get(name)
    if node is None:
        return None
    op = registry()[node.op]
    if op.dequantizes is not None:
        return node.inputs[op.dequantizes]
    first, *others = node.inputs or (None,)
    moved = op.flow.moves and first is not None and not any(other in graph.values for other in others)
    return codes_of(graph, first) if moved and first is not None else None


def live_nodes(coupling: Coupling) -> list[tuple[Node, Rule]]:
    """Nodes that run at every inference, with their rules.

    Not those that depend on params alone, nor those whose results no output needs.
    """
    graph = coupling.graph
    return [
        (node, rule_of(graph, node))
        for node in graph.nodes
        if node.name in graph.needed and node.outputs[0] not in coupling.static
    ]
