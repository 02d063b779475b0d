"""Configurations: objects of the user's own that keep sizes and that modules were given."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ._expressions import Expr, made, replaced, symbol
from ._links import Link, fields_of, is_holder, is_size, row_of

_COPIES = {"deepcopy", "copy"}


class Configs:
    """Configurations of one model by the expressions that modules were given them as.

    Copies of one, made while the model was built, count as one: their entries are one value as long as they
    are equal.
    """

    def __init__(self) -> None:
        self._of_expr: dict[Expr, list[Any]] = {}
        self._of_holder: dict[int, list[Any]] = {}
        self._paths: dict[int, str] = {}

    def add(self, expr: Expr, holder: Any, path: str) -> None:
        """Note that ``expr`` is ``holder``, found at ``path``."""
        expr = _original(expr)
        self._paths.setdefault(id(holder), path)
        one, two = self._of_expr.get(expr, []), self._of_holder.get(id(holder), [holder])
        alike = one if one is two else [*one, *(other for other in two if not _among(other, one))]
        for known, other in self._of_expr.items():
            if other is one or other is two:
                self._of_expr[known] = alike
        self._of_expr[expr] = alike
        self._of_holder.update({id(other): alike for other in alike})

    def named(self, links: list[Link]) -> list[Link]:
        """``links`` in terms of what configurations keep, and a link for every entry that they speak of."""
        entries: dict[tuple[int, str], list[Link]] = {}
        values: dict[Expr, Any] = {}

        def entry(part: Expr) -> Expr | None:
            if part.kind not in ("attr", "item") or not isinstance(part.head, str):
                return None
            alike = self._find(_original(part.parts[0]))
            name = entry_name(alike[0], part.head) if alike else None
            if name is None:
                return None
            value = fields_of(alike[0]).get(name)
            key = symbol("entry", id(alike[0]), name)
            values[key] = value
            for holder in alike:
                if fields_of(holder).get(name) == value:
                    entries.setdefault((id(holder), name), list(self._entries(holder, name, key)))
            return key

        found = [link.having(decided(replaced(link.expr, entry), values)) for link in links]
        defaults: dict[Expr, dict[Expr, None]] = {}
        for link in found:
            if link.expr.kind == "default":
                defaults.setdefault(link.expr.parts[0], {})[link.expr] = None
        for link in (link for row in entries.values() for link in row):
            exprs = [link.expr] if link.current() is not None else list(defaults.get(link.expr, ()))
            found += [link.having(exprs[0])] if len(exprs) == 1 else []
        return found

    def _find(self, expr: Expr) -> list[Any]:
        """The configurations that an expression stands for."""
        found = self._of_expr.get(expr)
        if found is None and expr.kind in ("attr", "item") and isinstance(expr.head, str):
            for outer in self._find(expr.parts[0]):
                inner = fields_of(outer).get(expr.head)
                if inner is not None and is_holder(inner):
                    self.add(expr, inner, f"{self._paths[id(outer)]}.{expr.head}")
            found = self._of_expr.get(expr)
        if found is None and expr.kind == "if":
            ways = [way for way in map(self._find, expr.parts[1:]) if way]
            found = ways[0] if len(ways) == 1 else None  # the other one is nothing
        return found or []

    def _entries(self, holder: Any, name: str, key: Expr) -> Iterator[Link]:
        value = fields_of(holder).get(name)
        path = self._paths[id(holder)]
        if is_size(value) or value is None:
            yield Link(holder, name, None, key, path)
        elif isinstance(value, (tuple, list)) and row_of(value) is not None:
            for place in range(len(value)):
                yield Link(holder, name, place, made("item", place, key) or key, path)


def entry_name(holder: Any, name: str) -> str | None:
    """The name that a configuration keeps an entry under: it may give one by several."""
    fields = fields_of(holder)
    if name in fields or isinstance(holder, dict):
        return name if name in fields else None
    value: Any = getattr(holder, name, None)
    if not is_size(value):
        return None
    bumped = int(value) + 1
    try:
        twin = copy.copy(holder)
        setattr(twin, name, bumped)
    except Exception:  # whatever a user's object raises; it then has no such entry
        return None
    moved = [other for other, kept in vars(twin).items() if fields.get(other) == value != kept]
    return moved[0] if len(moved) == 1 and getattr(twin, name, None) == bumped else None


def decided(expr: Expr, values: Mapping[Expr, Any]) -> Expr:
    """``expr`` with the branch that was taken where that depends on what a configuration keeps.

    ``x if x is not None else y`` where there is no x is the expression ``default`` of both: it is y, and can be
    said with an x.
    """
    parts = tuple(decided(part, values) for part in expr.parts)
    expr = expr if parts == expr.parts else (made(expr.kind, expr.head, *parts, names=expr.names) or expr)
    if expr.kind == "Or" and len(parts) == 2 and parts[0] in values:
        return parts[0] if values[parts[0]] else Expr("default", None, parts)
    if expr.kind != "if":
        return expr
    test, body, other = expr.parts
    if test in values:
        return body if values[test] else other
    if test.kind != "compare" or test.head not in ("Is", "IsNot") or test.parts[0] not in values:
        return expr
    asked = test.parts[0]
    taken, left = (body, other) if (values[asked] is None) == (test.head == "Is") else (other, body)
    return Expr("default", None, (asked, taken)) if values[asked] is None and left == asked else taken


def _among(holder: Any, others: list[Any]) -> bool:
    return any(holder is other for other in others)


def _original(expr: Expr) -> Expr:
    """The expression that one is a copy of."""
    return replaced(expr, _uncopied)


def _uncopied(part: Expr) -> Expr | None:
    if part.kind == "call" and part.head in _COPIES and len(part.parts) == 1:
        return _original(part.parts[0])
    return None
