"""Pins and ties for the next plan where the host's code contradicted this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...ir import Graph, Node, Tie, UnsupportedError, registry, rule_of
from ._axes import (
    Axis,
    axes_of_sizes,
    axes_with,
    changed_axes,
    is_free,
    parts_of,
    summed_axes,
    tensor_at,
)
from ._mismatch import Difference, Remedy, ReplayMismatch
from ._source import Frame
from ._statement import numbers_at

Pins = tuple[tuple[str, int, str], ...]


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
    """A place where the host's code contradicts a cut: nodes of one source line in one module, or one node.

    A line that many layers share stands in the way of those that are said to fail, not of all: where the same
    line fails in a second module, it is taken for all of them.

    Attributes:
        node: the node where it shows.
        nodes: all nodes of its source line, in its module or everywhere.
        reason: for pins and ties.
        literals: size attributes and positions in them that the source line writes as numbers.
    """

    before: Graph
    after: Graph
    node: Node
    nodes: tuple[Node, ...]
    reason: str
    literals: tuple[tuple[str, int], ...] = ()

    def everywhere(self) -> tuple[Node, ...]:
        """All nodes of the source line, in whatever module."""
        line = self.node.origin.line
        return tuple(node for node in self.before.nodes if line and node.origin.line == line) or self.nodes

    def around(self) -> tuple[Node, ...]:
        """All nodes of the module that the node belongs to."""
        path = self.node.origin.path
        return tuple(node for node in self.before.nodes if path and _inside(node.origin.path, path))


def row_of(value: Any) -> tuple[Any, ...]:
    """An attribute as a row of numbers."""
    return value if isinstance(value, tuple) else (value,)


def place_of(before: Graph, after: Graph, node: Node, frame: Frame | None) -> Place:
    """The place that ``node`` belongs to; ``frame`` is its source line with the whole path."""
    line, path = node.origin.line, node.origin.path
    reason = f"the model's own code at {line or node.name} fixes this size"
    written = literals(before, after, node, frame)
    everywhere = bool(written) or any(pin[2] == reason for pin in before.pins)
    nodes = tuple(
        other
        for other in before.nodes
        if line and other.origin.line == line and (everywhere or other.origin.path == path)
    )
    return Place(before, after, node, nodes or (node,), reason, written)


def literals(before: Graph, after: Graph, node: Node, frame: Frame | None) -> tuple[tuple[str, int], ...]:
    """Size attributes, and positions in them, that the cut changes and the source line writes as numbers."""
    found: list[tuple[str, int]] = []
    wanted = next((other for other in after.nodes if other.name == node.name), node)
    for name in rule_of(before, node).sizes if frame is not None else ():
        if frame is not None and name in node.attrs:
            old, new = row_of(node.attrs[name]), row_of(wanted.attrs.get(name))
            written = numbers_at(frame.file, frame.line, old)
            pairs = zip(old, new, written, strict=False)
            found += [(name, i) for i, (one, other, literal) in enumerate(pairs) if literal and one != other]
    return tuple(found)


def remedies(place: Place, difference: Difference | None = None) -> tuple[Remedy, ...]:
    """Ties that explain the contradiction, then pins: of what differs, of the line, of the module.

    Ties can only explain sizes, and not those that the source writes as numbers. A constant that differs was
    computed from some size, most likely one that is summed over nearby (the scale of attention).
    """
    rule = rule_of(place.before, place.node)
    is_size = difference is None or difference.attr in rule.sizes
    written = {axis for name, index in place.literals for axis in axes_of_sizes(rule, [name], {index})}
    found = [Remedy(_pins(place, place.node, written))]
    if is_size and not place.literals:
        found += [Remedy(ties=_part_ties(place)), Remedy(ties=_module_ties(place))]
    if not is_size:
        found += [Remedy(_summed_pins(place, place.nodes)), Remedy(_summed_pins(place, place.around()))]
    found.append(Remedy(_pins(place, place.node, _differing_axes(place, difference))))
    found.append(Remedy(_changed_pins(place, place.nodes)))
    found.append(Remedy(_changed_pins(place, place.around())))
    return tuple(remedy for remedy in found if remedy.pins or remedy.ties)


def equal_sizes(
    before: Graph, entries: Iterable[tuple[Node, str, int]], reason: str
) -> tuple[Remedy, Remedy]:
    """Ties between the axes whose sizes must be one number, or else pins.

    Args:
        entries: node, its size attribute, and the position of the number in it.
    """
    axes: dict[tuple[str, int], int] = {}
    for node, name, index in entries:
        rule = rule_of(before, node)
        part = parts_of(rule, name)[index]
        for axis in [] if isinstance(part, int) else axes_with(rule, part)[:1]:
            at = tensor_at(node, axis)
            if at:
                axes[at] = before.tensor(at[0]).shape[at[1]]
    first, *rest = axes or [("", 0)]
    ties = tuple(Tie(first, other, reason) for other in rest if axes[other] == axes[first])
    return Remedy(ties=ties), Remedy(tuple((name, axis, reason) for name, axis in axes))


def _inside(path: str, module: str) -> bool:
    return not module or path == module or path.startswith(f"{module}.")


def _part_ties(place: Place) -> tuple[Tie, ...]:
    """Parts of one tensor that were equal and are cut unequally: ``chunk`` and ``split(int)`` cannot do that.

    They are looked for in the module of the place and in those around it, for code fails where parts are
    used, and made equal wherever the same line runs.
    """
    found, lines = list[Tie](), {node.origin.line for node in _unequal_parts(place)}
    for node in place.before.nodes:
        for axis in _parted_axes(place.before, node) if node.origin.line in lines else ():
            first, *rest = (name for name in node.outputs if name)
            if len(_part_sizes(place.before, node, axis)) == 1:
                found += [Tie((first, axis), (name, axis), place.reason) for name in rest]
    return tuple(found)


def _unequal_parts(place: Place) -> Iterator[Node]:
    """Nodes near the place whose results were equal and no longer are."""
    for node in place.before.nodes:
        if _inside(place.node.origin.path, node.origin.path) or node in place.nodes:
            for axis in _parted_axes(place.before, node):
                old, new = (_part_sizes(graph, node, axis) for graph in (place.before, place.after))
                if len(old) == 1 < len(new):
                    yield node


def _part_sizes(graph: Graph, node: Node, axis: int) -> set[int]:
    return {graph.values[name].shape[axis] for name in node.outputs if name}


def _parted_axes(graph: Graph, node: Node) -> set[int]:
    """Axes of the results whose sizes are attributes of a node with several results."""
    if len(node.outputs) < 2:
        return set()
    rule = rule_of(graph, node)
    return {axis for side, _, axis in axes_of_sizes(rule, rule.sizes) if side == "out"}


def _module_ties(place: Place) -> tuple[Tie, ...]:
    """Columns of equal size of a module's weights: its code divides its width by a number of heads.

    That explains the line, so it holds wherever the line runs.
    """
    nodes = place.everywhere()
    rules = [rule_of(place.before, node) for node in nodes]
    if not any(is_free(part) for rule in rules for name in rule.sizes for part in parts_of(rule, name)):
        return ()
    found: dict[Tie, None] = {}
    for path in dict.fromkeys(node.origin.path for node in nodes if node.origin.path):
        first: dict[int, tuple[str, int]] = {}
        for name, axis in _summed_columns(place.before, path):
            start = first.setdefault(place.before.params[name].shape[axis], (name, axis))
            if start != (name, axis):
                found[Tie(start, (name, axis), place.reason)] = None
    return tuple(found)


def _summed_columns(graph: Graph, path: str) -> Iterator[tuple[str, int]]:
    """Axes of weights in a module that are summed over."""
    for node in graph.nodes:
        at = registry()[node.op].position("weight")
        name = node.inputs[at] if at is not None and at < len(node.inputs) else None
        if name in graph.params and _inside(node.origin.path, path):
            columns = sorted(axis for _, position, axis in summed_axes(graph, node) if position == at)
            yield from ((str(name), axis) for axis in columns)


def _differing_axes(place: Place, difference: Difference | None) -> set[Axis]:
    """The axes that the differing number is the size of."""
    rule = rule_of(place.before, place.node)
    if difference is not None and difference.attr in rule.sizes:
        return set(axes_of_sizes(rule, [difference.attr], difference.entries()))
    changed = changed_axes(place.before, place.after, place.node)
    if difference is None:
        return set(axes_of_sizes(rule, rule.sizes)) or {axis for axis in changed if axis[:2] == ("in", 0)}
    return set(changed[-1:])


def _summed_pins(place: Place, nodes: Iterable[Node]) -> Pins:
    """Axes that change and are summed over between two computed values."""
    found: dict[tuple[str, int, str], None] = {}
    for node in nodes:
        if not any(name in place.before.params for name in node.inputs):
            axes = summed_axes(place.before, node) & set(changed_axes(place.before, place.after, node))
            found.update(dict.fromkeys(_pins(place, node, axes)))
    return tuple(found)


def _pins(place: Place, node: Node, axes: Iterable[Axis]) -> Pins:
    """The same axes of every call of the operator at the place of ``node``."""
    wanted = sorted(axes)
    alike = [other for other in place.nodes if other.op == node.op and other.origin.line == node.origin.line]
    found: dict[tuple[str, int, str], None] = {}
    for other in alike or [node]:
        for at in (tensor_at(other, axis) for axis in wanted):
            if at and at[1] < len(place.before.tensor(at[0]).shape):
                found[at[0], at[1], place.reason] = None
    return tuple(found)


def _changed_pins(place: Place, nodes: Iterable[Node]) -> Pins:
    found: dict[tuple[str, int, str], None] = {}
    for node in nodes:
        for axis in changed_axes(place.before, place.after, node):
            at = tensor_at(node, axis)
            if at:
                found[at[0], at[1], place.reason] = None
    return tuple(found)
