"""Equality of graphs but for nodes that only write the same entries in another shape.

Code may take a short way where nothing has to be done (heads that are repeated once, a stack of one): the graphs
then differ in nodes that move no entry, and compute the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ir import Graph, Node, Shape, call_of, registry
from ._mismatch import equal_attributes, param_difference

# Entries that are moved to see whether they move; what is larger counts as moving them.
_MOST = 1 << 24

Read = tuple[str, Shape]
"""The tensor that entries were first written in, and the shape that they are read in."""


@dataclass(frozen=True)
class _Step:
    node: Node
    reads: tuple[Read | None, ...]


def equal_but_for_shapes(want: Graph, got: Graph) -> bool:
    """Return whether both graphs compute the same from the same entries, whatever shapes these go through."""
    one, other = _Flat(want), _Flat(got)
    if len(one.steps) != len(other.steps):
        return False
    names = dict(zip(want.inputs, got.inputs, strict=False))
    for ours, theirs in zip(one.steps, other.steps, strict=True):
        if not _same_node(want, got, ours.node, theirs.node) or len(ours.reads) != len(theirs.reads):
            return False
        if not all(
            _same_read(want, got, names, *pair) for pair in zip(ours.reads, theirs.reads, strict=True)
        ):
            return False
        names.update(zip(ours.node.outputs, theirs.node.outputs, strict=True))
    pairs = zip(map(one.read, want.outputs), map(other.read, got.outputs), strict=False)
    return all(_same_read(want, got, names, *pair) for pair in pairs)


class _Flat:
    """The nodes that do something, with what they read traced back through those that do not."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._roots: dict[str, str] = {}
        self.steps = list(self._walk())

    def read(self, name: str) -> Read:
        return self._roots.get(name, name), self._graph.tensor(name).shape

    def _walk(self) -> Iterator[_Step]:
        for node in self._graph.nodes:
            if keeps_order(self._graph, node):
                self._roots[node.outputs[0]] = self.read(str(node.inputs[0]))[0]
            else:
                yield _Step(node, tuple(None if name is None else self.read(name) for name in node.inputs))


def keeps_order(graph: Graph, node: Node) -> bool:
    """Return whether the one result has the entries of the one operand in the same order."""
    op = registry()[node.op]
    if not op.flow.moves or len(node.inputs) != 1 or len(node.outputs) != 1 or node.inputs[0] is None:
        return False
    shape, size = graph.tensor(node.inputs[0]).shape, int(np.prod(graph.tensor(node.inputs[0]).shape))
    if size > _MOST or size != int(np.prod(graph.values[node.outputs[0]].shape)):
        return False
    (moved,) = op.run(call_of(graph, node), (np.arange(size).reshape(shape),))
    return bool(np.array_equal(np.ravel(moved), np.arange(size)))


def _same_node(want: Graph, got: Graph, one: Node, other: Node) -> bool:
    if one.op != other.op or len(one.outputs) != len(other.outputs):
        return False
    names = one.attrs.keys() | other.attrs.keys()
    shapes = zip(one.outputs, other.outputs, strict=True)
    return all(equal_attributes(one.attrs.get(name), other.attrs.get(name)) for name in names) and all(
        want.values[ours].shape == got.values[theirs].shape for ours, theirs in shapes
    )


def _same_read(want: Graph, got: Graph, names: dict[str, str], one: Read | None, other: Read | None) -> bool:
    if one is None or other is None:
        return one is other
    if one[0] in want.params and other[0] in got.params:
        return not param_difference(want.params[one[0]], got.params[other[0]])
    return one[1] == other[1] and names.get(one[0]) == other[0]
