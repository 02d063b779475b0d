"""Numbers that a forward computes from a width and that change with it, made good in the weights in front.

Attention without a written scale divides by the root of the head width, and so do layers that divide by
``x.size(-1) ** 0.5``. After a cut the number is another one. Where the operation is the same as with one operand
multiplied by a factor, and layers make that operand, the factor goes into the layers' own weights. What others
read as well ties the factors of several layers together: their logarithms are one linear system, with a row for
each tensor of each operation between the layers and the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import exp
from typing import Any

import numpy as np

from ...ir import Array, Graph, Node, Param, is_float, registry
from ._scales import Relation, compensation, relation

# What layers keep of the data that they have seen, whatever it is made of.
_KEPT = frozenset(("mean", "var"))
_LARGEST = 256
_EXACT = 1e-9
# The same number computed once in single precision and once in double.
_ROUNDED = 5e-7


def absorbed(want: Graph, got: Graph, parameters: frozenset[str]) -> Graph | None:
    """``want`` with the numbers of ``got``, its outputs kept by other weights; None where that cannot be.

    Args:
        want: the cut graph.
        got: what the module with these weights computes; nothing but such numbers may differ.
        parameters: names of the weights that may change.
    """
    if len(want.nodes) != len(got.nodes):
        return None
    changed: dict[str, Node] = {}
    nodes, params = list(want.nodes), dict(want.params)
    for at, (one, other) in enumerate(zip(want.nodes, got.nodes, strict=True)):
        attrs, numbers = _numbers(want, got, one, other)
        if attrs or numbers:
            changed[one.name] = one
            nodes[at] = replace(one, attrs={**one.attrs, **attrs})
            params.update(numbers)
    new = replace(want, nodes=tuple(nodes), params=params)
    factors: dict[str, float] = {}
    waiting = dict(changed)
    while waiting:
        region = _Region(want, new, changed, parameters)
        found = region.factors(next(iter(waiting)))
        if not found:
            return None
        factors.update(found)
        waiting = {name: node for name, node in waiting.items() if name not in region.relations}
    if not factors:
        return None
    return replace(new, params={**params, **{name: _times(params[name], f) for name, f in factors.items()}})


def _numbers(want: Graph, got: Graph, one: Node, other: Node) -> tuple[dict[str, Any], dict[str, Param]]:
    """Numbers among attributes and constant operands that ``other`` has and ``one`` lacks."""
    if one.op != other.op or len(one.inputs) != len(other.inputs):
        return {}, {}
    attrs = {
        name: other.attrs[name]
        for name, value in one.attrs.items()
        if isinstance(value, float)
        and isinstance(other.attrs.get(name), float)
        and value != other.attrs[name]
    }
    params: dict[str, Param] = {}
    for name, found in zip(one.inputs, other.inputs, strict=True):
        mine, theirs = want.params.get(str(name)), got.params.get(str(found))
        if mine is None or theirs is None or mine.trained or theirs.trained or mine.shape != theirs.shape:
            continue
        if (
            mine.is_float
            and len(want.readers[mine.name]) == 1
            and not np.array_equal(mine.read(), theirs.read())
        ):
            params[mine.name] = replace(mine, source=theirs.source)
    return attrs, params


@dataclass
class _Region:
    """The tensors around changed numbers that may be scaled, and what each node there says of their factors.

    Attributes:
        want, new: the graph with the numbers as they were and as they are.
        changed: nodes of ``want`` whose numbers change, by name; their results stay what they were.
        parameters: names of the weights that may change.
        scaled: the tensors, in the order in which they were found.
    """

    want: Graph
    new: Graph
    changed: Mapping[str, Node]
    parameters: frozenset[str]
    scaled: dict[str, None] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._nodes = {node.name: node for node in self.new.nodes}
        runs = (name for run in self.new.runs for name in run.outputs)
        self._kept = frozenset((*self.new.inputs, *self.new.outputs, *runs))

    def factors(self, start: str) -> dict[str, float]:
        """Factors of weights that keep what ``start`` and the nodes around it are for; empty: there are none."""
        if not self._grown(start):
            return {}
        weights = [name for name in self.new.params if name in self.scaled]
        values = [name for name in self.scaled if name not in self.new.params]
        # Unknowns that are left free are 0. They are looked for from the end: the first of the weights change.
        terms = [(node, at) for node, found in self.relations.items() for at in range(len(found.directions))]
        columns: dict[object, int] = {key: at for at, key in enumerate((*terms, *values, *weights))}
        rows = list(self._equations(columns))
        solution = _solved(np.array([row for row, _ in rows]), np.array([right for _, right in rows]))
        if solution is None:
            return {}
        found = {name: float(solution[columns[name]]) for name in weights}
        return {name: exp(value) for name, value in found.items() if abs(value) > _ROUNDED}

    def _grown(self, start: str) -> bool:
        """Ask every node that makes or reads what may be scaled; whether all could be asked."""
        waiting = [start]
        while waiting:
            node = self._nodes[waiting.pop(0)]
            if node.name in self.relations and not self.relations[node.name].ends:
                continue
            found = self._relation(node)
            if found is None or len(self.relations) >= _LARGEST:
                return False
            self.relations[node.name] = found
            for name in found.names():
                if name not in self.scaled and self._is_free(name):
                    self.scaled[name] = None
                    waiting += self._around(name)
        return True

    def _around(self, name: str) -> Iterator[str]:
        """The nodes that make and read a tensor."""
        made = self.new.producers.get(name)
        readers = (node for node, _ in self.new.readers.get(name, ()))
        yield from dict.fromkeys(node.name for node in ((made,) if made else ()) + tuple(readers))

    def _relation(self, node: Node) -> Relation | None:
        free = [name for i, name in enumerate(node.inputs) if name is not None and self._may(node, i, name)]
        if node.name in self.changed:
            return compensation(self.want, self.new, self.changed[node.name], node, free)
        return relation(self.new, node, free, frozenset(free) & self.scaled.keys())

    def _may(self, node: Node, position: int, name: str) -> bool:
        kept = name in self.new.params and registry()[node.op].operand(position) in _KEPT
        return not kept and self._is_free(name)

    def _is_free(self, name: str) -> bool:
        """Return whether a tensor may be scaled: computed or learned, and no input or output."""
        if name in self._kept or not is_float(self.new.tensor(name).dtype):
            return False
        param = self.new.params.get(name)
        return param is None or (param.trained and name in self.parameters)

    def _equations(self, columns: Mapping[object, int]) -> Iterator[tuple[Array, float]]:
        """For each tensor of each node: its factor is the one that the node says."""
        for node, found in self.relations.items():
            for name in {**found.names(), **dict.fromkeys(self._scaled_of(node))}:
                row = np.zeros(len(columns))
                for at, direction in enumerate(found.directions):
                    row[columns[node, at]] = direction.get(name, 0.0)
                if name in columns:
                    row[columns[name]] = -1.0
                yield row, -(found.offset or {}).get(name, 0.0)

    def _scaled_of(self, node: str) -> Iterator[str]:
        one = self._nodes[node]
        yield from (str(name) for name in (*one.inputs, *one.outputs) if name in self.scaled)


def _solved(matrix: Array, right: Array) -> Array | None:
    """A solution of linear equations with 0 for what they leave free, the last of it first; None: there is none."""
    rows, pivots = np.column_stack([matrix, right]), list[int]()
    for column in range(matrix.shape[1]):
        at = len(pivots)
        best = at + int(np.argmax(np.abs(rows[at:, column]))) if at < len(rows) else at
        if at == len(rows) or abs(rows[best, column]) < _EXACT:
            continue
        rows[[at, best]] = rows[[best, at]]
        rows[at] /= rows[at, column]
        others = np.arange(len(rows)) != at
        rows[others] -= np.outer(rows[others, column], rows[at])
        pivots.append(column)
    if np.any(np.abs(rows[len(pivots) :, -1]) > _ROUNDED):
        return None
    solution = np.zeros(matrix.shape[1])
    solution[pivots] = rows[: len(pivots), -1]
    return solution


def _times(param: Param, factor: float) -> Param:
    return replace(param, source=lambda: np.asarray(param.read() * factor))
