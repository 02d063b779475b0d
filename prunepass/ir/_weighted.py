"""A weighted sum as a matrix product: positions of the result times the terms that each adds up.

How a weight is a matrix follows from the rule: leaves that are summed over are its columns, those that it makes its
rows, and those that data and result share its groups. Which entries of the data one position adds up is declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ._batch import batching
from ._call import call_of
from ._dims import Dim, Index, leaves
from ._graph import Array, Graph, Node
from ._op import Call, Op, Rule
from ._registry import registry
from ._terms import among, kind_of, others, parts_of, rows_at
from ._verify import rule_of


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """One node that multiplies data with a trained weight.

    Attributes:
        data, weight, bias: positions of operands.
        groups, made, terms_: sizes of the weight as a matrix for each group.
        positions: of the result, over all samples.
        samples: how many there are.
        along: axis of the result along which they lie.
    """

    op: Op
    call: Call
    rule: Rule
    data: int
    weight: int
    bias: int | None
    groups: int
    made: int
    terms_: int
    positions: int
    samples: int
    along: int | None

    def matrix(self, weight: Array) -> Array:
        """The weight as ``(groups, made, terms)``."""
        parts = self._parts()
        ordered = weight.reshape([leaf.size for leaf in parts]).transpose(self._order(parts))
        return np.asarray(ordered.reshape(self.groups, self.made, self.terms_))

    def weight_of(self, matrix: Array) -> Array:
        """The inverse of :meth:`matrix`."""
        parts = self._parts()
        order = self._order(parts)
        whole = matrix.reshape([parts[at].size for at in order])
        return np.asarray(whole.transpose(np.argsort(order)).reshape(self.call.shape(self.weight)))

    def terms(self, x: Array, rows: Index) -> Array:
        """The terms that each position adds up, ``(rows, groups, terms)``."""
        assert self.op.terms is not None
        return self.op.terms(self.call, x, rows)

    def made_at(self, result: Array, rows: Index) -> Array:
        """Entries of the result at these positions, ``(rows, groups, made)``."""
        parts, channels = parts_of(self.rule.results[0]), (*self._kind(0), *self._kind(1))
        found = rows_at(result, parts, others(parts, channels), rows, channels)
        return found.reshape(len(rows), self.groups, self.made)

    def sample_of(self, rows: Index) -> Index:
        """The sample of each position; 0 where that cannot be told."""
        if self.along is None:
            return np.zeros(len(rows), np.int64)
        dims = self.rule.results[0]
        parts = parts_of(dims)
        kept = others(parts, (*self._kind(0), *self._kind(1)))
        first = next(leaves(dims[self.along]))
        where = next((at for at, leaf in enumerate(kept) if leaf is first), None)
        if where is None:
            return np.zeros(len(rows), np.int64)
        place = np.unravel_index(rows, [leaf.size for leaf in kept])[where]
        return np.asarray(place // max(1, first.size // self.samples))

    def _parts(self) -> list[Dim]:
        return parts_of(self.rule.operands[self.weight] or ())

    def _order(self, parts: Sequence[Dim]) -> list[int]:
        return sorted(range(len(parts)), key=lambda at: (kind_of(self.rule, self.data, parts[at]), at))

    def _kind(self, kind: int) -> list[Dim]:
        return [leaf for leaf in self._parts() if kind_of(self.rule, self.data, leaf) == kind]


def weighted_sum(graph: Graph, node: Node) -> WeightedSum | None:
    """``node`` as a weighted sum; None where it is none, or its weight is no trained float param."""
    op, call, rule = registry()[node.op], call_of(graph, node), rule_of(graph, node)
    if op.terms is None or len(rule.results) != 1:
        return None
    weight = next(
        (at for at in reversed(range(len(node.inputs))) if at != op.shift_out and _trained(graph, node, at)),
        None,
    )
    data = next((at for at in range(len(node.inputs)) if node.inputs[at] in graph.values), None)
    if weight is None or data is None or rule.operands[weight] is None:
        return None
    if (op.operand(data), op.operand(weight)) != (op.operand(0), "weight"):
        return None  # a weight on the other side: the declaration of the terms is about the data there
    made = parts_of(rule.results[0])
    free = (leaf for leaf in parts_of(rule.operands[weight] or ()) if kind_of(rule, data, leaf) < 2)
    if not all(among(leaf, made) for leaf in free):
        return None  # an axis of one entry that stands for several
    sizes = [1, 1, 1]
    for leaf in parts_of(rule.operands[weight] or ()):
        sizes[kind_of(rule, data, leaf)] *= leaf.size
    total = prod(call.results[0])
    place = _sample_axis(graph, node.outputs[0])
    bias = op.shift_out if op.shift_out is not None and call.has(op.shift_out) else None
    count = total // (sizes[0] * sizes[1])
    return WeightedSum(op, call, rule, data, weight, bias, sizes[0], sizes[1], sizes[2], count, *place)


def _sample_axis(graph: Graph, name: str) -> tuple[int, int | None]:
    """Number of samples, and the axis of a value along which they lie."""
    shapes = {one: graph.values[one].shape for one in graph.inputs if graph.values[one].shape}
    samples = next((shape[0] for shape in shapes.values()), 1)
    batched = frozenset((one, 0) for one, shape in shapes.items() if shape[0] == samples)
    return samples, batching(graph, batched).axes.get(name)


def _trained(graph: Graph, node: Node, at: int) -> bool:
    param = graph.params.get(str(node.inputs[at]))
    return param is not None and param.trained and param.is_float
