"""Structural checks of a graph: run before the first pass and after every one."""

from __future__ import annotations

from ._call import call_of
from ._dims import sizes
from ._errors import ModelError, PrunepassError
from ._graph import Graph, Node
from ._op import Rule
from ._registry import registry
from ._text import excerpt


def verify_graph(graph: Graph) -> None:
    """Check names, order and shapes.

    Raises:
        ModelError: a name is made twice or read before it is made, an operator is not declared, or a
            shape is not what the operator's rule says; the text shows the node with its neighbours.
    """
    made = set(graph.params)
    for name in graph.inputs:
        _require(name in graph.values, graph, None, f"input '{name}' has no type")
        _require(name not in made, graph, None, f"'{name}' is both input and param")
        made.add(name)
    names: set[str] = set()
    for node in graph.nodes:
        _require(node.name not in names, graph, node, f"two nodes are called '{node.name}'")
        names.add(node.name)
        for read in node.inputs:
            _require(read is None or read in made, graph, node, f"'{read}' is read before it is made")
        for out in node.outputs:
            _require(out not in made, graph, node, f"'{out}' is made twice")
            _require(out in graph.values, graph, None, f"'{out}', a result of '{node.name}', has no type")
            made.add(out)
        _check_shapes(graph, node)
    for name in graph.outputs:
        _require(name in made, graph, None, f"output '{name}' is never made")


def _check_shapes(graph: Graph, node: Node) -> None:
    _require(node.op in registry().ops, graph, node, f"operator '{node.op}' is not declared")
    try:
        rule = rule_of(graph, node)
    except PrunepassError as error:
        raise ModelError(f"{error.what}\n{excerpt(graph, node, error.what)}", where=node.origin) from error
    operands = [None if name is None else graph.tensor(name).shape for name in node.inputs]
    for position, (dims, shape) in enumerate(zip(rule.operands, operands, strict=True)):
        if dims is not None and shape is not None:
            _require(
                sizes(dims) == shape,
                graph,
                node,
                f"operand {position} is {shape}, its rule says {sizes(dims)}",
            )
    for name, dims in zip(node.outputs, rule.results, strict=False):
        shape = graph.values[name].shape
        _require(sizes(dims) == shape, graph, node, f"'{name}' is {shape}, its rule says {sizes(dims)}")


def rule_of(graph: Graph, node: Node) -> Rule:
    """The rule of one node, computed once per graph object: its atoms keep their identity."""
    cache: dict[str, Rule] = graph.memo("rules", lambda _: {})
    if node.name not in cache:
        cache[node.name] = registry()[node.op].rule(call_of(graph, node))
    return cache[node.name]


def _require(holds: bool, graph: Graph, node: Node | None, message: str) -> None:
    if not holds:
        shown = message if node is None else f"{message}\n{excerpt(graph, node, message)}"
        raise ModelError(shown, where=(node.origin if node and str(node.origin) else graph.name))
