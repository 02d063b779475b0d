"""The proof, node by node: each node of the cut graph against the masked node of the original, on the same operands.

The law holds for a graph where it holds for each of its nodes: if what a node reads is right, then what it makes is,
and so on from the inputs to the outputs. So the cut graph runs once, in full and in float64, and every value that
it makes is the operand of both forms of the next node; the original's gets it with other numbers in the entries that
were cut, which it must not hear. That costs less than two runs, for three reasons:

- A node that the cut has not touched, nor what it reads or makes, is the same node on the same operands.
- Along a dim that a node neither sums over nor takes a statistic of, nor mixes, nor fixes, every entry is made from
  those of the same place alone (positions of a linear layer, samples, queries), by the same rule, and the cut of
  other dims cannot tell one place from another. Some places are enough there, the first and the last among them. The
  cut graph has made them among all others: were the rule wrong, they would differ.
- Differences do not add up on the way.

What is not equal here is not refused here: whole graphs are run then, and tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...ir import (
    Array,
    Atom,
    Dim,
    Dims,
    Graph,
    Index,
    Kept,
    Node,
    Op,
    Rule,
    atoms_of,
    call_of,
    cast,
    cut_attrs,
    cut_entries,
    gather,
    kept_of,
    masked_run,
    plain_step,
    rule_of,
    walk,
)
from ..coupling import Coupling
from ._difference import relative_error

_PLACES = 8
Operands = tuple[Array | None, ...]


@dataclass(frozen=True)
class Sides:
    """The original with what is kept of it, the cut graph, and the data of params that differ from the graphs' own."""

    coupling: Coupling
    kept: Kept
    pruned: Graph
    large: Mapping[str, Array]
    small: Mapping[str, Array]


@dataclass
class Steps:
    """Nodes compared so far.

    Attributes:
        errors: largest relative error of each value that has been compared; 0 where it is the same by construction.
    """

    sides: Sides
    errors: dict[str, float] = field(default_factory=dict)

    def values(self, feeds: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Run the cut graph and compare every node on the way; yields what it makes."""
        nodes = iter(self.sides.coupling.graph.nodes)

        def step(graph: Graph, node: Node, op: Op, operands: Operands) -> tuple[Array, ...]:
            made = plain_step(graph, node, op, operands)
            self._compare(next(nodes), node, op, operands, made)
            return made

        yield from walk(self.sides.pruned, feeds, step=step, params=self.sides.small, keep_all=False)

    def _compare(self, node: Node, other: Node, op: Op, operands: Operands, made: tuple[Array, ...]) -> None:
        if self._untouched(node, other):
            self.errors.update(dict.fromkeys(node.outputs, 0.0))
            return
        graph, coupling, kept = self.sides.coupling.graph, self.sides.coupling, self.sides.kept
        rule = rule_of(graph, node)
        places = _places(coupling, kept, rule)
        read = tuple(
            None if name is None or array is None else self._operand(rule, at, name, array, places)
            for at, (name, array) in enumerate(zip(node.inputs, operands, strict=True))
        )
        call = call_of(graph, node)
        if places:
            call = replace(
                call,
                attrs=cut_attrs(call.attrs, rule, _same, places),
                shapes=tuple(None if array is None else array.shape for array in read),
                known=lambda position: read[position],
                results=tuple(_shape(dims, places) for dims in rule.results),
                entries=cut_entries(call.entries, rule.results[0], _same, places),
            )
        wanted = masked_run(op, call, rule, coupling.norm, kept, read)
        for name, dims, array, got in zip(node.outputs, rule.results, wanted, made, strict=False):
            want = gather(cast(array, "float64"), kept_of(coupling.dims[name], coupling.norm, kept))
            self.errors[name] = relative_error(
                gather(cast(got, "float64"), kept_of(dims, _same, places)), want
            )

    def _untouched(self, node: Node, other: Node) -> bool:
        """Return whether the cut graph has the same node, over values and params that nothing was cut of."""
        coupling, params = self.sides.coupling, self.sides.coupling.graph.params
        if node is not other:
            return False
        names = [name for name in (*node.inputs, *node.outputs) if name]
        same = all(params[name] is self.sides.pruned.params[name] for name in names if name in params)
        return same and not any(
            index is not None
            for name in names
            for index in kept_of(coupling.dims[name], coupling.norm, self.sides.kept)
        )

    def _operand(self, rule: Rule, at: int, name: str, array: Array, places: Kept) -> Array:
        """Operand of the original's node: the given array with other numbers in the entries that were cut."""
        graph, coupling, kept = self.sides.coupling.graph, self.sides.coupling, self.sides.kept
        dims = rule.operands[at]
        chosen = kept_of(dims, _same, places) if dims is not None else ()
        if name in graph.params:
            data = self.sides.large.get(name)
            whole = cast(graph.params[name].read() if data is None else data, "float64")
            return gather(whole, chosen)
        index = kept_of(coupling.dims[name], coupling.norm, kept)
        return _widened(gather(array, chosen), index, graph.values[name].shape)


def comparable(original: Graph, coupling: Coupling, kept: Kept, pruned: Graph) -> bool:
    """Return whether both graphs have the same nodes over values of the same names and can go side by side."""
    if len(original.nodes) != len(pruned.nodes) or original.inputs != pruned.inputs:
        return False
    pairs = list(zip(original.nodes, pruned.nodes, strict=True))
    if any(
        a.op != b.op or a.inputs != b.inputs or a.outputs != b.outputs or a.name != b.name for a, b in pairs
    ):
        return False
    # What names places of a cut dim by their numbers has other numbers in the cut graph.
    return not any(
        index is not None and node.inputs[at] not in original.params
        for node in original.nodes
        for at, dim in rule_of(original, node).indexed.items()
        for index in kept_of((dim,), coupling.norm, kept)
    )


def _same(dim: Dim) -> Dim:
    return dim


def _shape(dims: Dims, places: Kept) -> tuple[int, ...]:
    index = kept_of(dims, _same, places)
    return tuple(dim.size if keep is None else len(keep) for dim, keep in zip(dims, index, strict=True))


def _places(coupling: Coupling, kept: Kept, rule: Rule) -> dict[Atom, Index]:
    """Some entries of each dim along which the node makes every entry from those of the same place alone."""
    marked = [dim for dim, _ in (*rule.mixed, *rule.pins)]
    marked += [*rule.contracted, *rule.statistics, *rule.centred, *rule.indexed.values()]
    if not rule.results or any(_cut(coupling, kept, dim) for dim in rule.statistics):
        return {}
    tied = {leaf for dim in marked for leaf in atoms_of(dim)}
    for dims in (*rule.operands, *rule.results):
        for dim in dims or ():
            if _cut(coupling, kept, dim):
                tied.update(atoms_of(dim))
    shared = set.intersection(*({leaf for dim in dims for leaf in atoms_of(dim)} for dims in rule.results))
    rng = np.random.default_rng(2)
    found: dict[Atom, Index] = {}
    for leaf in sorted(shared - tied, key=lambda leaf: leaf.size):
        if leaf.size > _PLACES:
            inner = 1 + rng.choice(leaf.size - 2, _PLACES - 2, replace=False)
            found[leaf] = np.concatenate([[0], np.sort(inner), [leaf.size - 1]])
    return found


def _cut(coupling: Coupling, kept: Kept, dim: Dim) -> bool:
    return any(leaf in kept for leaf in atoms_of(coupling.norm(dim)))


def _widened(array: Array, index: tuple[Index | None, ...], shape: tuple[int, ...]) -> Array:
    """``array`` with other numbers of the same kind and sign in the entries that were cut of each axis."""
    for axis, keep in enumerate(index):
        if keep is None:
            continue
        whole = np.take(array, np.arange(shape[axis]) % max(len(keep), 1), axis=axis)
        if whole.dtype.kind == "f":
            whole = 1.5 * whole + _scale(array)
        at: list[object] = [slice(None)] * array.ndim
        at[axis] = keep
        whole[tuple(at)] = array  # type: ignore[index]
        array = whole
    return array


def _scale(array: Array) -> float:
    finite = array[np.isfinite(array)]
    return float(np.mean(np.abs(finite))) or 1.0 if finite.size else 1.0
