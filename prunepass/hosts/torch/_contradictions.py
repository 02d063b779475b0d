"""Cuts that the numbers in a model's own code cannot follow: all of them at once, with what would avoid them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from ...ir import Graph, Node, Tie, rule_of
from ._axes import axes_of_sizes, tensor_at
from ._mismatch import Remedy, ReplayMismatch
from ._remedies import equal_sizes, row_of
from ._sizes import CutSizes
from ._solve import Entry, Solution, Turn, Wanted
from ._statement import numbers_at
from ._trace import Trace
from ._tracked import Attribute, Expression, text_of, value_of


def contradiction(model: nn.Module, cut: CutSizes, solution: Solution, trace: Trace) -> ReplayMismatch | None:
    """Attributes that would have to become several numbers, and sizes that the source writes as numbers.

    The remedy makes the numbers of each attribute equal, where it can, and pins what is written.
    """
    written = [entry for entry in solution.written if _is_written(entry, trace)]
    found = solution.contradictions
    if not written and not found:
        return None
    said = [_written_text(cut, *entry) for entry in written[:1]]
    ties, pins = list[Tie](), [pin for entry in written for pin in _pins(cut.before, *entry)]
    literal = tuple(dict.fromkeys(pins))
    for at, wanted in found.items():
        said.append(_text(model, at, wanted))
        entries = [entry for entries in wanted.values() for entry in entries]
        alike, whole = equal_sizes(cut.before, entries, said[-1])
        ties += alike.ties
        pins += whole.pins
    first = (written or [entries[0] for wanted in found.values() for entries in wanted.values()])[0][0]
    remedies = Remedy(literal, tuple(dict.fromkeys(ties))), Remedy(tuple(dict.fromkeys(pins)))
    return ReplayMismatch(said[0], node=first.name, where=first.origin, remedies=remedies)


def turned(before: Graph, solution: Solution) -> ReplayMismatch | None:
    """Comparisons in the code that turn out otherwise after the cut, and pins that keep them."""
    if not solution.turned:
        return None
    pins = dict.fromkeys(pin for turn in solution.turned for pin in _kept(before, turn))
    nodes = [node for turn in solution.turned for node, _, _ in turn.entries]
    return ReplayMismatch(
        f"the model's own code asks whether {solution.turned[0].comparison}, and is told otherwise after the cut",
        node=nodes[0].name if nodes else "",
        where=nodes[0].origin if nodes else None,
        remedies=(Remedy(tuple(pins)),),
    )


def _text(model: nn.Module, at: Expression, wanted: Wanted) -> str:
    places = " and ".join(
        f"{new} at {entries[0][0].origin.line}" for new, entries in wanted.items() if entries
    )
    then = f"and would have to become {places}"
    if isinstance(at, Attribute):
        kind = type(model.get_submodule(at.path)).__name__
        return f"attribute '{text_of(at)}' of {kind} is {at.value} {then}"
    return f"'{text_of(at)}' is {value_of(at, lambda source: source.value)} {then}"


def _is_written(entry: Entry, trace: Trace) -> bool:
    node, name, index = entry
    file, number = trace.files.get(node.origin.line, ""), node.origin.line.rpartition(":")[2]
    return bool(file and number.isdigit() and numbers_at(file, int(number), row_of(node.attrs[name]))[index])


def _written_text(cut: CutSizes, node: Node, name: str, index: int) -> str:
    after: Mapping[str, Any] = next(one.attrs for one in cut.after.nodes if one.name == node.name)
    old, new = row_of(node.attrs[name])[index], row_of(after[name])[index]
    return f"size {old} is a literal at {node.origin.line} and would have to become {new}"


def _pins(before: Graph, node: Node, name: str, index: int) -> Iterator[tuple[str, int, str]]:
    reason = f"the model's own code at {node.origin.line} fixes this size"
    for axis in axes_of_sizes(rule_of(before, node), [name], {index}):
        at = tensor_at(node, axis)
        if at is not None:
            yield (*at, reason)


def _kept(before: Graph, turn: Turn) -> Iterator[tuple[str, int, str]]:
    reason = f"the model's own code asks whether {turn.comparison}"
    for entry in turn.entries:
        yield from ((name, axis, reason) for name, axis, _ in _pins(before, *entry))
    for name, axis in turn.axes:
        yield name, axis, reason
