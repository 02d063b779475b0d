"""Whole numbers that remember what they were computed from: attributes of modules, and sizes of tensors."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from ._source import is_user

Number: TypeAlias = "int | Fraction"
Known: TypeAlias = "Callable[[Source], Number | None]"


@dataclass(frozen=True)
class Attribute:
    """A whole number that an object of the model keeps.

    Attributes:
        path: of the module. inside: names that lead from there to the object, none for the module itself.
        name: of the attribute. index: of the entry where it is a row of numbers.
        value: before the cut.
    """

    path: str
    inside: tuple[str, ...]
    name: str
    index: int | None
    value: int


@dataclass(frozen=True)
class Made:
    """Origin of a tensor: the name of a param, or module path, source line and shape of the call that made it."""

    path: str
    line: str
    shape: tuple[int, ...]
    param: str = ""


@dataclass(frozen=True)
class Axis:
    """The size of one axis of a tensor."""

    tensor: Made
    index: int
    value: int


Source: TypeAlias = Attribute | Axis


@dataclass(frozen=True, eq=False)
class Result:
    """An operation on two numbers."""

    sign: str
    left: Expression
    right: Expression
    sources: tuple[Source, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys((*sources_of(self.left), *sources_of(self.right)))
        object.__setattr__(self, "sources", tuple(found))


Expression: TypeAlias = Attribute | Axis | Result | int

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def sources_of(expression: Expression) -> tuple[Source, ...]:
    """Attributes and axes that a number was computed from, each once."""
    if isinstance(expression, Result):
        return expression.sources
    return () if isinstance(expression, int) else (expression,)


def value_of(expression: Expression, known: Known, *, exact: bool = False) -> Number | None:
    """The number for other values of its sources; None where one is not known.

    Args:
        exact: divide as fractions, not as whole numbers.
    """
    if isinstance(expression, int):
        return expression
    if not isinstance(expression, Result):
        return known(expression)
    left, right = (value_of(side, known, exact=exact) for side in (expression.left, expression.right))
    if left is None or right is None or (right == 0 and expression.sign in ("//", "%")):
        return None
    if exact and expression.sign == "//":
        return Fraction(left) / Fraction(right)
    found: Number = _SIGNS[expression.sign](left, right)
    return found


def text_of(expression: Expression) -> str:
    """The expression as a reader would write it."""
    if isinstance(expression, int):
        return str(expression)
    if isinstance(expression, Axis):
        return f"shape[{expression.index}]"
    if isinstance(expression, Attribute):
        name = ".".join((*expression.inside, expression.name))
        return name if expression.index is None else f"{name}[{expression.index}]"
    return f"{text_of(expression.left)} {expression.sign} {text_of(expression.right)}"


@dataclass(frozen=True)
class Comparison:
    """Two numbers that the code compared, and what it was told."""

    sign: str
    left: Expression
    right: Expression
    held: bool

    def __str__(self) -> str:
        return f"{text_of(self.left)} {self.sign} {text_of(self.right)}"

    def holds(self, known: Known) -> bool | None:
        """The result of the comparison for other values of the sources; None where one is not known."""
        left, right = value_of(self.left, known), value_of(self.right, known)
        return None if left is None or right is None else bool(_COMPARED[self.sign](left, right))


class Watcher:
    """Keeps the comparisons that the model's own code makes, while it is on."""

    def __init__(self, compared: list[Comparison]) -> None:
        self.compared, self.on = compared, True

    def note(self, sign: str, left: Tracked, right: int, held: bool) -> None:
        # Torch and Python compare numbers for reasons of their own (keys of tables, for one).
        if self.on and is_user(sys._getframe(2).f_code.co_filename):
            self.compared.append(Comparison(sign, left.expression, expression_of(right), held))


class Tracked(int):
    """A whole number with its expression; arithmetic with whole numbers gives tracked numbers."""

    expression: Expression
    watcher: Watcher

    def __new__(cls, value: int, expression: Expression, watcher: Watcher) -> Tracked:
        made = super().__new__(cls, value)
        made.expression, made.watcher = expression, watcher
        return made

    __hash__ = int.__hash__

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)

    def __copy__(self) -> int:
        return int(self)

    def __deepcopy__(self, memo: object) -> int:
        return int(self)


def expression_of(value: int) -> Expression:
    """The expression that ``value`` was computed from; itself where that is not known."""
    return value.expression if isinstance(value, Tracked) else int(value)


def _arithmetic(sign: str, *, swapped: bool) -> Callable[[Tracked, object], Any]:
    operation = _SIGNS[sign]

    def compute(self: Tracked, other: object) -> Any:
        # bool is an int: ``width * self.flag`` is a number as any other.
        if not isinstance(other, int):
            return NotImplemented
        left, right = (other, self) if swapped else (self, other)
        made = operation(int(left), int(right))
        return Tracked(made, Result(sign, expression_of(left), expression_of(right)), self.watcher)

    return compute


def _comparison(sign: str) -> Callable[[Tracked, object], Any]:
    operation = _COMPARED[sign]

    def compare(self: Tracked, other: object) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        held = operation(int(self), int(other))
        self.watcher.note(sign, self, other, held)
        return held

    return compare


for _name, _sign in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    setattr(Tracked, f"__{_name}__", _comparison(_sign))
for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("floordiv", "//"), ("mod", "%")):
    setattr(Tracked, f"__{_name}__", _arithmetic(_sign, swapped=False))
    setattr(Tracked, f"__r{_name}__", _arithmetic(_sign, swapped=True))


def rows_in(value: Any) -> Iterator[tuple[int, ...]]:
    """Rows of whole numbers in the arguments of a call: side by side, or in a tuple, list or slice."""
    if isinstance(value, (list, tuple)):
        row: list[int] = []
        for item in value:
            parts = (item.start, item.stop, item.step) if isinstance(item, slice) else (item,)
            row += [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
            if isinstance(item, (list, tuple)):
                yield from rows_in(item)
        if row:
            yield tuple(row)
