"""Check of a replayed module: it computes the cut graph; else where in the user's source it does not, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import prod
from typing import Any

from torch import fx

from ...ir import Graph, Node, Origin, PrunepassError, Run, rule_of
from ._axes import axes_of_sizes, changed_axes
from ._capture import capture
from ._export import export
from ._flattened import equal_but_for_shapes
from ._mismatch import Difference, Remedy, ReplayMismatch, differences, first_difference
from ._recorded import recorded
from ._remedies import literals, place_of, remedies, row_of
from ._source import Frame, frames_of, innermost_frame

# Numbers that a run may hold at once so as to be written down.
_HELD = 1 << 26


def check_model(model: Any, example_inputs: Any, before: Graph, after: Graph) -> None:
    """Compare what ``model`` computes, in each way that it is run, with ``after``.

    One run of it is written down operator by operator; where that is not exactly ``after`` the model is captured
    again, which tells where and why it differs, and knows more of what differs in form alone.

    Raises:
        ReplayMismatch: it computes something else, or fails; with remedies for the next plan.
    """
    for run in after.runs or (Run((), ()),):
        if not run.training and _shows(model, example_inputs, after.only(run) if after.runs else after):
            continue
        try:
            module = export(model, example_inputs, training=run.training)
        except PrunepassError as error:
            raise _failure(error, before, after) from error
        _compare(module, before, after, after.only(run) if after.runs else after)


def _shows(model: Any, example_inputs: Any, want: Graph) -> bool:
    """Return whether one run of the model shows only the nodes of ``want``, and its tensors by their names."""
    made = sum(prod(value.shape) for value in want.values.values())
    module = recorded(model, example_inputs, shapes_only=made > _HELD)
    if module is None:
        return False
    with suppress(PrunepassError):
        return first_difference(want, capture(module)) is None
    return False


def check_module(module: fx.GraphModule, before: Graph, after: Graph) -> None:
    """Compare a module exported at inference with ``after``; raises as :func:`check_model`."""
    _compare(module, before, after, after.only(after.runs[0]) if after.runs else after)


def _compare(module: fx.GraphModule, before: Graph, after: Graph, want: Graph) -> None:
    captured = capture(module)
    found = list(differences(want, captured))
    if found and not equal_but_for_shapes(want, captured):
        raise _mismatch(found, module, before, after, captured)


def _mismatch(
    found: Sequence[Difference], module: fx.GraphModule, before: Graph, after: Graph, captured: Graph
) -> ReplayMismatch:
    """One error for all differences: it tells the first, and each of its remedies answers to every one."""
    first, told = _counterpart(found[0].node, before), list[tuple[Remedy, ...]]()
    text = f"{found[0].what}{_explained(found[0], before, after, _frame(module, first or found[0].node))}"
    for difference in found:
        node = _counterpart(difference.node, before)
        if node is not None:
            place = place_of(before, after, node, _frame(module, node))
            told.append(remedies(place, difference))
    mismatch = ReplayMismatch(
        text,
        node=first.name if first else "",
        where=found[0].node.origin,
        remedies=tuple(_together(told)),
    )
    mismatch.captured = captured
    return mismatch


def _together(told: Sequence[tuple[Remedy, ...]]) -> Iterator[Remedy]:
    """The first remedies of all, then the second ones; where one has no more its last stands for them."""
    for at in range(max(map(len, told), default=0)):
        some = [each[min(at, len(each) - 1)] for each in told if each]
        pins = dict.fromkeys(pin for remedy in some for pin in remedy.pins)
        ties = dict.fromkeys(tie for remedy in some for tie in remedy.ties)
        yield Remedy(tuple(pins), tuple(ties))


def _counterpart(node: Node, before: Graph) -> Node | None:
    """The captured node of that name; else one of its line or module, for code may branch on sizes."""
    tests: tuple[Callable[[Node], bool], ...] = (
        lambda other: other.name == node.name and other.op == node.op,
        lambda other: bool(node.origin.line) and other.origin.line == node.origin.line,
        lambda other: bool(node.origin.path) and other.origin.path == node.origin.path,
    )
    return next((other for test in tests for other in before.nodes if test(other)), None)


def _frame(module: fx.GraphModule, node: Node) -> Frame | None:
    """The user's line behind a neutral node, with its whole path."""
    for other in module.graph.nodes:
        frame = innermost_frame(other.meta.get("stack_trace"))
        if frame is not None and str(frame) == node.origin.line:
            return frame
    return None


def _explained(found: Difference, before: Graph, after: Graph, frame: Frame | None) -> str:
    """A sentence on the numbers that stayed as they were, and on the source line that writes them out."""
    node = next((node for node in before.nodes if node.name == found.node.name), found.node)
    old, want, got = (row_of(value) for value in (node.attrs.get(found.attr), found.want, found.got))
    if frame is None or not len(old) == len(want) == len(got):
        return ""
    stale = [i for i, (a, b, c) in enumerate(zip(old, want, got, strict=True)) if a == c != b]
    if not stale:
        return ""
    written = [i for i in stale if (found.attr, i) in literals(before, after, node, frame)]
    if written:
        return f"; size {old[written[0]]} is a literal at {frame}"
    return f"; {old[stale[0]]} does not follow the cut at {frame}"


def _failure(error: PrunepassError, before: Graph, after: Graph) -> ReplayMismatch:
    """The user's own ``forward`` raised: the lines that it passed through tell the nodes."""
    what = f"the cut model's own code fails: {error.what.rpartition('inputs: ')[2]}"
    path = error.where.path if isinstance(error.where, Origin) else ""
    for frame in frames_of(error.__cause__ or error):
        nodes = [node for node in before.nodes if node.origin.line == str(frame)]
        if nodes:
            there = [node for node in nodes if node.origin.path == path] or nodes
            node = max(there, key=lambda node: _suspicion(before, after, node, frame))
            place = place_of(before, after, node, frame)
            if place.literals:
                name, index = place.literals[0]
                what += f"; size {row_of(node.attrs[name])[index]} is a literal at {frame}"
            return ReplayMismatch(what, node=node.name, where=node.origin, remedies=remedies(place))
    return ReplayMismatch(what, where=error.where)


def _suspicion(before: Graph, after: Graph, node: Node, frame: Frame) -> tuple[bool, bool, bool]:
    """A changed size that the line writes as a number, then one that it computes, then anything changed."""
    changed = changed_axes(before, after, node)
    rule = rule_of(before, node)
    written = {
        axis
        for name, index in literals(before, after, node, frame)
        for axis in axes_of_sizes(rule, [name], {index})
    }
    sized = set(axes_of_sizes(rule, rule.sizes))
    return bool(written & set(changed)), bool(sized & set(changed)), bool(changed)
