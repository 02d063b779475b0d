"""Axes of what a node reads and makes, as the rule of its operator relates them to its size attributes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ...ir import Atom, Dim, Dims, Graph, Node, Rule, atoms_of, rule_of

Axis = tuple[str, int, int]
"""``in`` or ``out``, the position of the tensor, and its axis."""


def parts_of(rule: Rule, name: str) -> tuple[Dim | int, ...]:
    """The numbers of one size attribute: dims, or plain numbers that no cut changes."""
    spec = rule.sizes[name]
    return spec if isinstance(spec, tuple) else (spec,)


def is_free(part: Dim | int) -> bool:
    """Return whether a cut may change this number."""
    return not isinstance(part, int) and next(atoms_of(part), None) is not None


def axes_of_sizes(rule: Rule, names: Iterable[str], entries: Collection[int] | None = None) -> Iterator[Axis]:
    """Axes that the size attributes ``names`` belong to, or only certain entries of them."""
    for name in names:
        for index, part in enumerate(parts_of(rule, name)):
            if not isinstance(part, int) and (entries is None or index in entries):
                yield from axes_with(rule, part)


def axes_with(rule: Rule, part: Dim) -> list[Axis]:
    """Axes of results, or where there are none of operands, that hold an atom of ``part``."""
    wanted = set(atoms_of(part))
    sides: Sequence[tuple[str, Sequence[Dims | None]]] = (("out", rule.results), ("in", rule.operands))
    for side, tensors in sides:
        found = [
            (side, position, axis)
            for position, dims in enumerate(tensors)
            for axis, dim in enumerate(dims or ())
            if wanted & set(atoms_of(dim))
        ]
        if found:
            return found
    return []


def changed_axes(before: Graph, after: Graph, node: Node) -> list[Axis]:
    """Axes of the node's operands and results that a cut makes smaller."""
    found: list[Axis] = []
    for side, names in (("in", node.inputs), ("out", node.outputs)):
        for position, name in enumerate(names):
            if name:
                pairs = zip(before.tensor(name).shape, after.tensor(name).shape, strict=True)
                found += [(side, position, axis) for axis, (old, new) in enumerate(pairs) if old != new]
    return found


def summed_axes(graph: Graph, node: Node) -> set[Axis]:
    """Axes that the node sums over."""
    rule = rule_of(graph, node)
    summed: set[Atom] = {leaf for dim in rule.contracted for leaf in atoms_of(dim)}
    return {
        ("in", position, axis)
        for position, dims in enumerate(rule.operands)
        for axis, dim in enumerate(dims or ())
        if summed & set(atoms_of(dim))
    }


def tensor_at(node: Node, at: Axis) -> tuple[str, int] | None:
    """Name of the tensor and its axis; None where the operand is absent."""
    side, position, axis = at
    names = node.inputs if side == "in" else node.outputs
    name = names[position] if position < len(names) else None
    return (name, axis) if name else None
