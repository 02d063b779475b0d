"""The network for one sample: the batch is an index space like any other, so it can be cut to one.

Scores and moments are the same for every sample. Where the first axis of the inputs is a dim that no weight
holds, no operator sums over or takes statistics of, and no operator pins, the machinery that cuts channels
cuts that dim to its first entry, and the analyses cost what one sample costs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ir import Atom, Dims, Graph, Index, Node, Value, atoms_of, cut_attrs, kept_of, leaves, rule_of
from ..coupling import Coupling, couple


def one_sample(coupling: Coupling) -> Coupling:
    """The coupling of the same network at batch size one; ``coupling`` where the batch cannot be told.

    Names of nodes, tensors and groups are the same, values are smaller.
    """
    result: Coupling = coupling.graph.memo("one sample", lambda _: _one_sample(coupling))
    return result


def _one_sample(coupling: Coupling) -> Coupling:
    graph = coupling.graph
    # Without boundaries nothing pins the batch; constraints of the user concern channels.
    free = couple(replace(graph, inputs=(), outputs=(), pins=(), ties=()))
    kept = {leaf: np.zeros(1, dtype=np.int64) for leaf in _batches(free, graph)}
    if not kept:
        return coupling
    values = {name: _cut_value(free, value, kept) for name, value in graph.values.items()}
    nodes = tuple(_cut_node(free, node, kept) for node in graph.nodes)
    small = couple(replace(graph, nodes=nodes, values=values))
    same = [(group.name, group.size) for group in coupling.prunable]
    return small if same == [(group.name, group.size) for group in small.prunable] else coupling


def _batches(free: Coupling, graph: Graph) -> list[Atom]:
    first = [leaf for name in graph.inputs for dim in free.dims[name][:1] for leaf in leaves(dim)]
    held = _atoms(free, *(free.dims[name] for name in graph.params))
    for node in free.graph.nodes:
        rule = rule_of(free.graph, node)
        held |= _atoms(free, rule.contracted, rule.statistics)
    return [leaf for leaf in dict.fromkeys(first) if isinstance(leaf, Atom) and leaf not in held]


def _atoms(free: Coupling, *groups: Dims) -> set[Atom]:
    return {leaf for dims in groups for dim in dims for leaf in atoms_of(free.norm(dim))}


def _cut_value(free: Coupling, value: Value, kept: dict[Atom, Index]) -> Value:
    index = kept_of(free.dims[value.name], free.norm, kept)
    shape = tuple(size if keep is None else len(keep) for size, keep in zip(value.shape, index, strict=True))
    return value if shape == value.shape else replace(value, shape=shape)


def _cut_node(free: Coupling, node: Node, kept: dict[Atom, Index]) -> Node:
    attrs = cut_attrs(node.attrs, rule_of(free.graph, node), free.norm, kept)
    return node if attrs == node.attrs else replace(node, attrs=attrs)
