"""New values of the numbers that a model keeps, from what its calls need after a cut.

Every size in a call is an equation: the expression that it was computed from must give the size that the cut
needs. Equations with one unknown attribute are solved, round by round, until nothing more is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import nn

from ...ir import Node
from ._layers import sources_for
from ._sizes import CutSizes
from ._trace import Trace
from ._tracked import (
    Attribute,
    Axis,
    Comparison,
    Expression,
    Made,
    Result,
    Source,
    sources_of,
    value_of,
)

Entry = tuple[Node, str, int]
"""One number among the size attributes of an operation."""
Wanted = dict[int, list[Entry]]


@dataclass(frozen=True)
class Equation:
    """``expression`` must become ``new``; ``entry`` says where, None for a comparison in the code."""

    expression: Expression
    old: int
    new: int
    entry: Entry | None = None


@dataclass(frozen=True)
class Turn:
    """A comparison in the code that would turn out otherwise, and what the numbers in it are sizes of."""

    comparison: Comparison
    axes: tuple[tuple[str, int], ...]
    entries: tuple[Entry, ...]


@dataclass
class Solution:
    """Solved values of the numbers of a model after a cut.

    Attributes:
        wanted: by attribute its values after the cut with the entries that ask for them; more than one is a
            contradiction.
        computed: the same by expression of several sources, under a key that is equal for equal expressions.
        told: entries whose expression is known: nothing else needs to account for them.
        written: entries that change though the source writes them as numbers.
        turned: comparisons in the code that would turn out otherwise.
    """

    wanted: dict[Attribute, Wanted] = field(default_factory=dict)
    computed: dict[Any, tuple[Expression, Wanted]] = field(default_factory=dict)
    told: set[tuple[str, str, int]] = field(default_factory=set)
    written: list[Entry] = field(default_factory=list)
    turned: list[Turn] = field(default_factory=list)

    @property
    def values(self) -> dict[Attribute, int]:
        """The attributes that have one value."""
        return {at: next(iter(found)) for at, found in self.wanted.items() if len(found) == 1}

    @property
    def contradictions(self) -> dict[Expression, Wanted]:
        """Attributes, and expressions of several sources, that would have to become several numbers."""
        found: dict[Expression, Wanted] = {at: new for at, new in self.wanted.items() if len(new) > 1}
        asked = [one for at in found if isinstance(at, Attribute) for one in _entries(found[at])]
        return found | {
            expression: wanted
            for expression, wanted in self.computed.values()
            if len(wanted) > 1 and not any(entry in asked for entry in _entries(wanted))
        }


def solve(model: nn.Module, cut: CutSizes, trace: Trace) -> Solution:
    """New values of the numbers that ``model`` keeps, for the cut graph."""
    solution = Solution()
    shapes = _Shapes(cut, model)
    equations = [*_equations(cut, trace, solution), *_made_up(cut, trace)]
    _propagate(equations, shapes, solution, model)
    _propagate(list(_comparisons(trace, shapes, solution)), shapes, solution, model)
    solution.turned.extend(_turned(trace, shapes, solution, model))
    return solution


def _equations(cut: CutSizes, trace: Trace, solution: Solution) -> Iterator[Equation]:
    for changes in cut.changes.values():
        for change in changes:
            entries = change.entries()
            found = expressions_at(trace, change.node, tuple(old for old, _ in entries))
            for index, (expression, (old, new)) in enumerate(zip(found, entries, strict=True)):
                entry = (change.node, change.name, index)
                if isinstance(expression, int) and old != new:
                    solution.written.append(entry)
                elif expression is not None and not isinstance(expression, int):
                    solution.told.add((change.node.name, change.name, index))
                    if isinstance(expression, Result):
                        known = solution.computed.setdefault(_text(expression), (expression, {}))
                        known[1].setdefault(new, []).append(entry)
                    yield Equation(expression, old, new, entry)


def _made_up(cut: CutSizes, trace: Trace) -> Iterator[Equation]:
    """Tables that the code makes itself: a call somewhere in the module writes their shape, up to copies."""
    for name, old in cut.before.params.items():
        new = cut.after.params[name]
        if old.shape == new.shape or not old.origin.path:
            continue
        rows = [row for place, rows in trace.rows.items() if place[0] == old.origin.path for row in rows]
        alike = [row for row in rows if len(row) == len(old.shape) and all(map(_spreads, row, old.shape))]
        for column, size, wanted in zip(zip(*alike, strict=True), old.shape, new.shape, strict=False):
            expression = _agreed([one for one in column if _value(one) == size], prefer=True)
            if expression is not None and not isinstance(expression, int):
                yield Equation(expression, size, wanted)


def expressions_at(trace: Trace, node: Node, old: tuple[int, ...]) -> tuple[Expression | None, ...]:
    """Expressions of these numbers in the call behind ``node``; None where one is not known."""
    path, line = node.origin.path, node.origin.line
    # A decomposed call may be noted with the module that reads its result.
    while path and (path, line) not in trace.rows:
        path = path.rpartition(".")[0]
    return _fitting(trace.rows.get((path, line), []), old)


def _fitting(rows: Sequence[tuple[Expression, ...]], old: tuple[int, ...]) -> tuple[Expression | None, ...]:
    if len(old) == 1:
        return (_agreed([one for row in rows for one in row if _value(one) == old[0]], prefer=True),)
    fitting = [row for row in rows if len(row) == len(old) and all(map(_fits, row, old))]
    if not fitting:
        fitting = list(_inside(rows, old))
    if not fitting and len(set(old)) == 1:
        # One number for many equal parts.
        return _fitting(rows, old[:1]) * len(old)
    columns = zip(*fitting, strict=True)
    found = tuple(_agreed([one for one in column if _value(one) != -1]) for column in columns)
    return found or (None,) * len(old)


def _inside(rows: Sequence[tuple[Expression, ...]], old: tuple[int, ...]) -> Iterator[tuple[Expression, ...]]:
    """Shorter rows where they fit in one place only: ``unflatten`` gives a part of a shape."""
    for row in rows:
        at = [i for i in range(len(old) - len(row) + 1) if all(map(_fits, row, old[i : i + len(row)]))]
        if len(row) > 1 and len(at) == 1:
            yield (-1,) * at[0] + row + (-1,) * (len(old) - len(row) - at[0])


def _entries(wanted: Wanted) -> list[Entry]:
    return [entry for entries in wanted.values() for entry in entries]


def _agreed(found: Sequence[Expression], *, prefer: bool = False) -> Expression | None:
    """The one expression that all of them are, by sources and signs."""
    tracked = [one for one in found if not isinstance(one, int)]
    if prefer and tracked:
        found = tracked
    distinct = {_text(one): one for one in found}
    return next(iter(distinct.values())) if len(distinct) == 1 else None


def _text(expression: Expression) -> Any:
    """Something that is equal for equal expressions."""
    if not isinstance(expression, Result):
        return expression
    return (expression.sign, _text(expression.left), _text(expression.right))


def _value(expression: Expression) -> int:
    found = value_of(expression, lambda source: source.value)
    return -1 if found is None else int(found)


def _fits(expression: Expression, old: int) -> bool:
    return _value(expression) in (old, -1)


def _spreads(expression: Expression, old: int) -> bool:
    return _value(expression) in (old, 1)


class _Shapes:
    """Sizes of tensors after the cut, by what made them."""

    def __init__(self, cut: CutSizes, model: nn.Module) -> None:
        self._facts, self._model = cut, model
        self._found: dict[Made, tuple[int, ...] | None] = {}

    def size(self, axis: Axis) -> int | None:
        """None where it cannot be told which tensor it is, or tensors that look alike become unlike."""
        made = axis.tensor
        if made not in self._found:
            self._found[made] = self._shape(made)
        shape = self._found[made]
        return None if shape is None else shape[axis.index]

    def places(self, axis: Axis) -> list[tuple[str, int]]:
        """The axis in the tensors of the graph that it may be of."""
        return [(name, axis.index) for name in self._names(axis.tensor)]

    def _names(self, made: Made) -> list[str]:
        if made.param:
            return [made.param] if made.param in self._facts.before.params else []
        nodes = [node for node in self._facts.nodes.get(made.path, ()) if node.origin.line == made.line]
        values = self._facts.before.values
        return [name for node in nodes for name in node.outputs if name and values[name].shape == made.shape]

    def _shape(self, made: Made) -> tuple[int, ...] | None:
        shapes = {self._facts.after.tensor(name).shape for name in self._names(made)}
        return shapes.pop() if len(shapes) == 1 else None


def _propagate(equations: Sequence[Equation], shapes: _Shapes, solution: Solution, model: nn.Module) -> None:
    """Solve what has one unknown; what is found makes others solvable."""
    waiting = list(equations)
    while waiting:
        asked, rest = _round(waiting, shapes, solution, model)
        asked = asked or _single_moves(rest, shapes, solution, model)
        new = {attribute: wanted for attribute, wanted in asked.items() if attribute not in solution.wanted}
        solution.wanted.update(new)
        if not new:
            return
        waiting = rest


def _round(
    equations: Sequence[Equation], shapes: _Shapes, solution: Solution, model: nn.Module
) -> tuple[dict[Attribute, Wanted], list[Equation]]:
    """Solutions of equations with one unknown, and the equations that have several."""
    known, asked, rest = solution.values, dict[Attribute, Wanted](), list[Equation]()
    for equation in equations:
        unknown = [one for one in sources_of(equation.expression) if _known(one, known, shapes) is None]
        if len(unknown) > 1:
            rest.append(equation)
        elif unknown and isinstance(unknown[0], Attribute) and not _is_layers(model, unknown[0]):
            _ask(asked, unknown[0], equation, _solved(equation, unknown[0], known, shapes))
    return asked, rest


def _single_moves(
    equations: Sequence[Equation], shapes: _Shapes, solution: Solution, model: nn.Module
) -> dict[Attribute, Wanted]:
    """Of several unknown attributes the only one that can change alone to give the new number."""
    asked: dict[Attribute, Wanted] = {}
    for equation in equations:
        sources = sources_of(equation.expression)
        still = {one: one.value for one in sources if isinstance(one, Attribute)} | solution.values
        moves = [one for one in still if one in sources and one not in solution.wanted]
        moves = [one for one in moves if not _is_layers(model, one)] if equation.old != equation.new else []
        found = []
        for one in moves:
            others = {other: value for other, value in still.items() if other != one}
            found.append((one, _solved(equation, one, others, shapes)))
        able = [(one, value) for one, value in found if value is not None]
        if len(able) == 1:
            _ask(asked, able[0][0], equation, able[0][1])
    return asked


def _ask(asked: dict[Attribute, Wanted], attribute: Attribute, equation: Equation, value: int | None) -> None:
    if value is not None:
        entries = asked.setdefault(attribute, {}).setdefault(value, [])
        entries += [equation.entry] if equation.entry else []


def _known(source: Source, known: Mapping[Attribute, int], shapes: _Shapes) -> int | None:
    return shapes.size(source) if isinstance(source, Axis) else known.get(source)


def _is_layers(model: nn.Module, attribute: Attribute) -> bool:
    """Return whether the attribute is one of a layer of torch.nn, which follows the layer's weights."""
    owner = model.get_submodule(attribute.path)
    return not attribute.inside and attribute.name in sources_for(type(owner))


def _solved(
    equation: Equation, unknown: Attribute, known: Mapping[Attribute, int], shapes: _Shapes
) -> int | None:
    """The value of ``unknown`` with which the expression gives the new number; None where there is none."""

    def given(value: Any, *, exact: bool) -> Any:
        read = lambda one: value if one == unknown else _known(one, known, shapes)  # noqa: E731
        return value_of(equation.expression, read, exact=exact)

    candidates = [Fraction(unknown.value)] if equation.old == equation.new else []
    if equation.old:
        candidates.append(Fraction(unknown.value * equation.new, equation.old))
    if equation.new:
        candidates.append(Fraction(unknown.value * equation.old, equation.new))
    low, high = given(Fraction(1), exact=True), given(Fraction(2), exact=True)
    if low is not None and high is not None and low != high:
        candidates.append(1 + (equation.new - low) / Fraction(high - low))
    for value in candidates:
        if value.denominator == 1 and given(int(value), exact=False) == equation.new:
            return int(value)
    return None


def _comparisons(trace: Trace, shapes: _Shapes, solution: Solution) -> Iterator[Equation]:
    """Equations that keep equal what the code found equal: the known side gives the other one."""
    known = solution.values
    for found in trace.compared:
        if (found.sign, found.held) in (("==", True), ("!=", False)):
            for one, other in ((found.left, found.right), (found.right, found.left)):
                new = value_of(other, lambda source: _known(source, known, shapes))
                if new is not None and not isinstance(one, int):
                    yield Equation(one, _value(one), int(new))


def _turned(trace: Trace, shapes: _Shapes, solution: Solution, model: nn.Module) -> Iterator[Turn]:
    """Comparisons that would turn out otherwise: the code would do something else."""
    known = solution.values

    def given(source: Source) -> int | None:
        if isinstance(source, Attribute) and source not in known:
            return None if _is_layers(model, source) else source.value
        return _known(source, known, shapes)

    for one in dict.fromkeys(trace.compared):
        if one.holds(given) not in (None, one.held):
            sources = dict.fromkeys((*sources_of(one.left), *sources_of(one.right)))
            moved = [source for source in sources if given(source) not in (None, source.value)]
            entries = [entry for source in moved for entry in _changed(solution, source)]
            axes = [at for source in moved if isinstance(source, Axis) for at in shapes.places(source)]
            yield Turn(one, tuple(dict.fromkeys(axes)), tuple(entries))


def _changed(solution: Solution, source: Source) -> list[Entry]:
    wanted = solution.wanted.get(source, {}) if isinstance(source, Attribute) else {}
    return _entries(wanted)
