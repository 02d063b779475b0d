"""The graph in which each atom keeps some of its entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...ir import (
    Array,
    Graph,
    Index,
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
from ._coupling import Coupling


def narrowed(coupling: Coupling, kept: Kept, changed: Mapping[str, Array]) -> Graph:
    """The graph of ``coupling`` cut to what is ``kept``; data is read and sliced only when it is wanted.

    Args:
        changed: data of params that is put in place of their own, uncut.
    """
    graph = coupling.graph
    params = {name: _param(coupling, kept, param, changed.get(name)) for name, param in graph.params.items()}
    values = {name: _value(coupling, kept, value) for name, value in graph.values.items()}
    return replace(
        graph, nodes=tuple(_node(coupling, kept, node) for node in graph.nodes), values=values, params=params
    )


def kept_axes(coupling: Coupling, kept: Kept, name: str) -> tuple[Index | None, ...]:
    """Kept indices of every axis of a tensor; None where the whole axis stays."""
    return kept_of(coupling.dims[name], coupling.norm, kept)


def cut_data(coupling: Coupling, kept: Kept, name: str, data: Array) -> Array:
    """The kept data of the param called ``name``."""
    small = gather(data, kept_axes(coupling, kept, name))
    place = coupling.indexed.get(name)
    return small if place is None else renumbered(small, *kept_of((place,), coupling.norm, kept))


def _param(coupling: Coupling, kept: Kept, param: Param, changed: Array | None) -> Param:
    index = kept_axes(coupling, kept, param.name)
    place = coupling.indexed.get(param.name)
    named = () if place is None else kept_of((place,), coupling.norm, kept)
    if all(keep is None for keep in (*index, *named)) and changed is None:
        return param
    read: Callable[[], Array] = param.source if changed is None else (lambda: changed)
    shape = tuple(size if keep is None else len(keep) for size, keep in zip(param.shape, index, strict=True))
    return replace(param, shape=shape, source=lambda: cut_data(coupling, kept, param.name, read()))


def _value(coupling: Coupling, kept: Kept, value: Value) -> Value:
    index = kept_axes(coupling, kept, value.name)
    shape = tuple(size if keep is None else len(keep) for size, keep in zip(value.shape, index, strict=True))
    return value if shape == value.shape else replace(value, shape=shape)


def _node(coupling: Coupling, kept: Kept, node: Node) -> Node:
    rule = rule_of(coupling.graph, node)
    if registry()[node.op].random(node.attrs):
        node = replace(node, entries=cut_entries(node.entries, rule.results[0], coupling.norm, kept))
    if not rule.sizes:
        return node
    attrs: Mapping[str, object] = cut_attrs(node.attrs, rule, coupling.norm, kept)
    return node if attrs == node.attrs else replace(node, attrs=attrs)
