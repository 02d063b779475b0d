"""What to demand of the next plan when the host's code contradicted this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...ir import Dim, Dims, Graph, Node, Rule, Tie, UnsupportedError, atoms_of, registry, rule_of
from ._mismatch import Difference, Remedy, ReplayMismatch
from ._source import Frame
from ._statement import numbers_at

Axis = tuple[str, int, int]  # "in" or "out", position, axis


def constrain(before: Graph, mismatch: UnsupportedError) -> Graph:
    """``before`` with the first remedy of ``mismatch`` that demands anything new; else ``before`` itself.

    Pins of a place supersede the ties that were tried for it.
    """
    for remedy in mismatch.remedies if isinstance(mismatch, ReplayMismatch) else ():
        pins = tuple(pin for pin in remedy.pins if pin not in before.pins)
        ties = tuple(tie for tie in remedy.ties if tie not in before.ties)
        if pins or ties:
            reasons = {reason for _, _, reason in pins}
            kept = tuple(tie for tie in before.ties if tie.reason not in reasons)
            return replace(before, pins=(*before.pins, *pins), ties=(*kept, *ties))
    return before


@dataclass(frozen=True)
class Place:
    """Where the host's code contradicts a cut: nodes of one source line, or one node.

    Attributes:
        node: the node where it shows.
        literal: whether the source line writes the size as a number.
    """

    before: Graph
    after: Graph
    node: Node
    nodes: tuple[Node, ...]
    reason: str
    literal: bool = False


def place_of(before: Graph, after: Graph, node: Node, frame: Frame | None) -> Place:
    """The place that ``node`` belongs to; ``frame`` is its source line with the whole path."""
    line = node.origin.line
    nodes = tuple(other for other in before.nodes if line and other.origin.line == line) or (node,)
    reason = f"the model's own code at {line or node.name} fixes this size"
    return Place(before, after, node, nodes, reason, bool(literal_sizes(before, node, frame)))


def literal_sizes(graph: Graph, node: Node, frame: Frame | None) -> tuple[int, ...]:
    """Sizes of a node that a cut may change and that the source line writes as numbers."""
    if frame is None:
        return ()
    found = []
    for value, free in _sizes(graph, node):
        written = numbers_at(frame.file, frame.line, len(value))
        found += [size for size, number, part in zip(value, written, free, strict=True) if part and size == number]
    return tuple(found)


def _sizes(graph: Graph, node: Node) -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    """Size attributes of a node, and which of their entries a cut may change."""
    for name, spec in rule_of(graph, node).sizes.items():
        value = node.attrs.get(name)
        parts = spec if isinstance(spec, tuple) else (spec,)
        values = value if isinstance(value, tuple) else (value,)
        if len(parts) == len(values):
            yield values, tuple(not isinstance(part, int) and any(True for _ in atoms_of(part)) for part in parts)


def remedies(place: Place, difference: Difference | None = None) -> tuple[Remedy, ...]:
    """Ties that explain the contradiction, then pins: of what differs, of what changes at the line, in the module."""
    found = [] if place.literal else [Remedy(ties=_part_ties(place)), Remedy(ties=_module_ties(place))]
    found.append(Remedy(_pins(place, _narrow(place, difference))))
    found.append(Remedy(_changed_pins(place, place.nodes)))
    path = place.node.origin.path
    around = [node for node in place.before.nodes if path and _inside(node.origin.path, path)]
    found.append(Remedy(_changed_pins(place, around)))
    return tuple(remedy for remedy in found if remedy.pins or remedy.ties)


def _inside(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.")


def _part_ties(place: Place) -> tuple[Tie, ...]:
    """Parts of one tensor that were equal and are to be cut unequally: ``chunk`` and ``split(int)`` cannot."""
    found = []
    for node in place.nodes:
        for axis in _parted_axes(place.before, node):
            first = place.before.values[node.outputs[0]].shape[axis]
            for name in node.outputs[1:]:
                if name and place.before.values[name].shape[axis] == first:
                    found.append(Tie((node.outputs[0], axis), (name, axis), place.reason))
    return tuple(found)


def _parted_axes(graph: Graph, node: Node) -> set[int]:
    """Axes of the results whose sizes are attributes of a node with several results."""
    if len(node.outputs) < 2:
        return set()
    rule = rule_of(graph, node)
    return {axis for side, _, axis in _size_axes(rule, None) if side == "out"}


def _module_ties(place: Place) -> tuple[Tie, ...]:
    """Columns of equal size of the weights in one module: code that divides its width by a number of heads."""
    if not any(any(free) for node in place.nodes for _, free in _sizes(place.before, node)):
        return ()
    found: dict[Tie, None] = {}
    for path in dict.fromkeys(node.origin.path for node in place.nodes if node.origin.path):
        first: dict[int, tuple[str, int]] = {}
        for name, axis in _contracted_columns(place.before, path):
            size = place.before.params[name].shape[axis]
            start = first.setdefault(size, (name, axis))
            if start != (name, axis):
                found[Tie(start, (name, axis), place.reason)] = None
    return tuple(found)


def _contracted_columns(graph: Graph, path: str) -> Iterator[tuple[str, int]]:
    for node in graph.nodes:
        at = registry()[node.op].position("weight")
        if at is None or at >= len(node.inputs) or not _inside(node.origin.path, path):
            continue
        name, rule = node.inputs[at], rule_of(graph, node)
        dims = rule.operands[at]
        if name in graph.params and dims is not None:
            summed = {leaf for dim in rule.contracted for leaf in atoms_of(dim)}
            yield from ((str(name), axis) for axis, dim in enumerate(dims) if summed & set(atoms_of(dim)))


def _narrow(place: Place, difference: Difference | None) -> set[Axis]:
    """The axes that the differing number is the size of."""
    node, rule = place.node, rule_of(place.before, place.node)
    if difference is not None and difference.attr in rule.sizes:
        return set(_size_axes(rule, difference))
    if difference is None:
        return set(_size_axes(rule, None))
    changed = list(_changed_axes(place, node))
    summed = {leaf for dim in rule.contracted for leaf in atoms_of(dim)}
    inner = [axis for axis in changed if summed & set(atoms_of(_dim(rule, axis)))]
    return set(inner or changed[-1:])


def _size_axes(rule: Rule, difference: Difference | None) -> Iterator[Axis]:
    """Axes of results, or else of operands, that the size attributes (or the entries that differ) belong to."""
    for name, spec in rule.sizes.items():
        if difference is not None and difference.attr != name:
            continue
        parts = spec if isinstance(spec, tuple) else (spec,)
        for index, part in enumerate(parts):
            if not isinstance(part, int) and (difference is None or _differs(difference, index)):
                yield from _axes_with(rule, part)


def _differs(difference: Difference, index: int) -> bool:
    want, got = difference.want, difference.got
    if isinstance(want, tuple) and isinstance(got, tuple) and len(want) == len(got):
        return bool(want[index] != got[index])
    return True


def _axes_with(rule: Rule, part: Dim) -> Iterator[Axis]:
    wanted = set(atoms_of(part))
    sides: Sequence[tuple[str, Sequence[Dims | None]]] = (("out", rule.results), ("in", rule.operands))
    for side, tensors in sides:
        found = [
            (side, position, axis)
            for position, dims in enumerate(tensors)
            for axis, dim in enumerate(dims or ())
            if wanted & set(atoms_of(dim))
        ]
        yield from found
        if found:
            return


def _dim(rule: Rule, at: Axis) -> Dim:
    side, position, axis = at
    dims = (rule.operands if side == "in" else rule.results)[position]
    assert dims is not None
    return dims[axis]


def _changed_axes(place: Place, node: Node) -> Iterator[Axis]:
    rule = rule_of(place.before, node)
    for side, names, tensors in (("in", node.inputs, rule.operands), ("out", node.outputs, rule.results)):
        for position, (name, dims) in enumerate(zip(names, tensors, strict=False)):
            if name and dims is not None:
                old, new = place.before.tensor(name).shape, place.after.tensor(name).shape
                yield from ((side, position, axis) for axis, size in enumerate(old) if new[axis] != size)


def _pins(place: Place, axes: Iterable[Axis]) -> tuple[tuple[str, int, str], ...]:
    """The same axes of every call of the same operator at the place: other layers run the same code."""
    wanted = sorted(axes)
    alike = [node for node in place.nodes if node.op == place.node.op] or [place.node]
    found: dict[tuple[str, int, str], None] = {}
    for node in alike:
        for side, position, axis in wanted:
            names = node.inputs if side == "in" else node.outputs
            name = names[position] if position < len(names) else None
            if name and axis < len(place.before.tensor(name).shape):
                found[name, axis, place.reason] = None
    return tuple(found)


def _changed_pins(place: Place, nodes: Sequence[Node]) -> tuple[tuple[str, int, str], ...]:
    found: dict[tuple[str, int, str], None] = {}
    for node in nodes:
        for side, position, axis in _changed_axes(place, node):
            name = (node.inputs if side == "in" else node.outputs)[position]
            found[str(name), axis, place.reason] = None
    return tuple(found)
