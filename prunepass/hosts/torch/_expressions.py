"""Expressions that constructors compute sizes with: compared by structure, evaluated where they are arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

# A larger one is given a name of its own: nothing that people write by hand is as large.
_LARGEST = 400


@dataclass(frozen=True)
class Expr:
    """One expression.

    Attributes:
        kind: ``symbol`` (a value without a formula), ``constant``, ``op``, ``attr`` and ``item`` (of the one
            part), ``call``, ``list``, ``each`` (the part any number of times), ``star``, or the name of another
            form of syntax, which is compared and nothing more.
        head: key, value, operator, name, index, or what is called: a class, a name, "" where a variable is.
        names: of the last parts of a call, its keywords.
    """

    kind: str
    head: Any = None
    parts: tuple[Expr, ...] = ()
    names: tuple[str, ...] = ()
    size: int = field(default=1, compare=False)

    def keywords(self) -> dict[str, Expr]:
        """The named arguments of a call."""
        return dict(zip(self.names, self.parts[len(self.parts) - len(self.names) :], strict=True))

    def arguments(self) -> tuple[Expr, ...]:
        """The other arguments of a call, lists in the place of stars unpacked."""
        found: list[Expr] = []
        for part in self.parts[: len(self.parts) - len(self.names)]:
            opened = part.kind == "star" and part.parts[0].kind == "list"
            found += part.parts[0].parts if opened else (part,)
        return tuple(found)


def symbol(*key: Any) -> Expr:
    return Expr("symbol", key)


def constant(value: Any) -> Expr:
    return Expr("constant", value)


def made(kind: str, head: Any, *parts: Expr, names: tuple[str, ...] = ()) -> Expr | None:
    """An expression of parts in a normal form; None where it would be too large."""
    size = 1 + sum(part.size for part in parts)
    if size > _LARGEST:
        return None
    if kind == "op" and head in "+*":
        parts = tuple(sorted(parts, key=repr))
    if kind == "item" and parts[0].kind == "list":
        return _item(parts[0], head, size)
    return Expr(kind, head, parts, names, size)


def _item(row: Expr, index: Any, size: int) -> Expr:
    plain = all(part.kind not in ("each", "star") for part in row.parts)
    if plain and isinstance(index, int) and -len(row.parts) <= index < len(row.parts):
        return row.parts[index]
    return Expr("item", index, (row,), (), size)


def replaced(expr: Expr, new: Callable[[Expr], Expr | None]) -> Expr:
    """``expr`` with other expressions in the place of those for which ``new`` gives one."""
    found = new(expr)
    if found is not None:
        return found
    if not expr.parts:
        return expr
    parts = tuple(replaced(part, new) for part in expr.parts)
    return expr if parts == expr.parts else (made(expr.kind, expr.head, *parts, names=expr.names) or expr)


def parts_of(expr: Expr) -> Iterator[Expr]:
    """``expr`` and everything inside it."""
    yield expr
    for part in expr.parts:
        yield from parts_of(part)


def symbols_of(expr: Expr) -> set[Expr]:
    return {part for part in parts_of(expr) if part.kind == "symbol"}


def leaves_of(expr: Expr) -> set[Expr]:
    """The parts that arithmetic starts from."""
    if expr.kind == "constant":
        return set()
    if expr.kind == "default":
        return leaves_of(expr.parts[1])
    counted = expr.kind == "op" or (expr.kind == "call" and expr.head in _FUNCTIONS and not expr.names)
    return {leaf for part in expr.parts for leaf in leaves_of(part)} if counted else {expr}


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: Fraction(left) / Fraction(right),
    "//": operator.floordiv,
    "%": operator.mod,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "int": floor, "float": Fraction, "round": round, "abs": abs, "max": max, "min": min,
}  # fmt: skip


def evaluate(expr: Expr, values: Mapping[Expr, Any]) -> Any:
    """The number that ``expr`` is, given numbers for parts of it; None where they do not tell."""
    if expr in values:
        return values[expr]
    if expr.kind == "constant":
        number = isinstance(expr.head, (int, float)) and not isinstance(expr.head, bool)
        return Fraction(str(expr.head)) if number else None
    if expr.kind == "default":
        return evaluate(expr.parts[1], values)
    called = _FUNCTIONS.get(expr.head) if expr.kind == "call" and isinstance(expr.head, str) else None
    counted = _ARITHMETIC[expr.head] if expr.kind == "op" else called
    if counted is None or expr.names:
        return None
    parts = [evaluate(part, values) for part in expr.parts]
    try:
        return None if None in parts else counted(*parts)
    except (ArithmeticError, TypeError, ValueError):
        return None
