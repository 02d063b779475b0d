"""Sums that only weights go into, over channels that also carry data.

A norm of a filter runs over the channels that the filter reads. Nothing of the data goes into it, so it is no
consumer of a channel's value, and yet it changes when the channel goes: the weights that stay would be rescaled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...ir import Atom, Dims, Graph, Node, Rule, Space, atoms_of, rule_of


def flowing_atoms(graph: Graph, dims: Mapping[str, Dims], static: frozenset[str]) -> frozenset[Atom]:
    """The index spaces along which some value that depends on the input has entries.

    Args:
        dims: of every tensor, in terms of final atoms.
    """
    values = dict.fromkeys(dims[name] for name in (*graph.inputs, *graph.values) if name not in static)
    return frozenset(leaf for tensor in values for dim in tensor for leaf in atoms_of(dim))


def weight_sums(
    graph: Graph, space: Space, dims: Mapping[str, Dims], static: frozenset[str]
) -> dict[str, frozenset[Atom]]:
    """By name of each node that sums over weights alone, or takes statistics of them, the flowing atoms."""
    found: dict[str, frozenset[Atom]] = {}
    flowing: frozenset[Atom] | None = None
    for node in graph.nodes:
        if static.isdisjoint(node.outputs):
            continue
        summed = frozenset(_summed(space, rule_of(graph, node)))
        if summed and flowing is None:
            flowing = flowing_atoms(graph, dims, static)
        if flowing is not None and summed & flowing:
            found[node.name] = summed & flowing
    return found


def _summed(space: Space, rule: Rule) -> Iterator[Atom]:
    for dim in (*rule.contracted, *rule.statistics):
        yield from atoms_of(space.norm(dim))


def sum_reason(node: Node) -> str:
    """The reason why a group that the node sums over is inexact."""
    return f"weights are normed or summed along these channels [{str(node.origin) or node.name}]"


def below(graph: Graph, static: frozenset[str], sources: Iterable[str]) -> frozenset[str]:
    """Static values that are computed from any of ``sources``, themselves included."""
    found = set(sources)
    for node in graph.nodes:
        if not static.isdisjoint(node.outputs) and not found.isdisjoint(n for n in node.inputs if n):
            found.update(node.outputs)
    return frozenset(found)


def used_weights(graph: Graph, static: frozenset[str], names: frozenset[str]) -> tuple[str, ...]:
    """Those of the static values ``names`` that data meets, or that are outputs, in order."""
    used = {
        name
        for node in graph.nodes
        if static.isdisjoint(node.outputs)
        for name in node.inputs
        if name is not None and name in names
    }
    used.update(names.intersection(graph.outputs))
    return tuple(name for name in graph.values if name in used)
