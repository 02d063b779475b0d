"""The rewrite: a graph and a plan give the smaller graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...ir import (
    Array,
    Graph,
    Kept,
    Node,
    Param,
    Value,
    cut_attrs,
    cut_entries,
    gather,
    kept_of,
    registry,
    renumbered,
    rule_of,
)
from .._plan import Plan
from ..coupling import Coupling, couple


def cut(graph: Graph, plan: Plan) -> Graph:
    """Cut what ``plan`` removes; data is read and sliced only when it is wanted.

    Returns:
        A graph with the same node and tensor names, or ``graph`` itself where nothing changes.
    """
    coupling = couple(graph)
    kept = plan.kept(coupling)
    shifted = plan.shifted(graph)
    if not kept and not shifted:
        return graph
    params = {
        name: _cut_param(coupling, kept, param, shifted.get(name)) for name, param in graph.params.items()
    }
    values = {name: _cut_value(coupling, kept, value) for name, value in graph.values.items()}
    nodes = tuple(_cut_node(coupling, kept, node) for node in graph.nodes)
    return replace(graph, nodes=nodes, values=values, params=params)


def _cut_param(coupling: Coupling, kept: Kept, param: Param, shifted: Array | None) -> Param:
    index = kept_of(coupling.dims[param.name], coupling.norm, kept)
    place = coupling.indexed.get(param.name)
    named = () if place is None else kept_of((place,), coupling.norm, kept)
    if all(keep is None for keep in (*index, *named)) and shifted is None:
        return param
    read: Callable[[], Array] = param.source if shifted is None else (lambda: shifted)
    shape = tuple(size if keep is None else len(keep) for size, keep in zip(param.shape, index, strict=True))
    return replace(param, shape=shape, source=lambda: cut_data(coupling, kept, param.name, read()))


def cut_data(coupling: Coupling, kept: Kept, name: str, data: Array) -> Array:
    """What is left of the data of the param called ``name``."""
    small = gather(data, kept_of(coupling.dims[name], coupling.norm, kept))
    place = coupling.indexed.get(name)
    return small if place is None else renumbered(small, *kept_of((place,), coupling.norm, kept))


def _cut_value(coupling: Coupling, kept: Kept, value: Value) -> Value:
    index = kept_of(coupling.dims[value.name], coupling.norm, kept)
    shape = tuple(size if keep is None else len(keep) for size, keep in zip(value.shape, index, strict=True))
    return value if shape == value.shape else replace(value, shape=shape)


def _cut_node(coupling: Coupling, kept: Kept, node: Node) -> Node:
    rule = rule_of(coupling.graph, node)
    if registry()[node.op].random(node.attrs):
        node = replace(node, entries=cut_entries(node.entries, rule.results[0], coupling.norm, kept))
    if not rule.sizes:
        return node
    attrs: Mapping[str, object] = cut_attrs(node.attrs, rule, coupling.norm, kept)
    return node if attrs == node.attrs else replace(node, attrs=attrs)
