"""Modules that note the arguments of their constructor: it is run once more, without data, and its numbers traced.

Such a module can be built anew from its note by anyone, which is what the note is for.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ._attributes import INTERNAL
from ._expressions import Expr, made, symbol
from ._links import Link, fields_of, is_holder, is_size, row_of


class Traced(int):
    """A whole number that remembers the expression it was computed with."""

    expr: Expr

    def __copy__(self) -> Traced:
        return self

    def __deepcopy__(self, memo: Any) -> Traced:
        return self

    def __add__(self, other: Any) -> Any:
        return _traced("+", self, other, int.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return _traced("+", other, self, int.__radd__(self, other))

    def __sub__(self, other: Any) -> Any:
        return _traced("-", self, other, int.__sub__(self, other))

    def __rsub__(self, other: Any) -> Any:
        return _traced("-", other, self, int.__rsub__(self, other))

    def __mul__(self, other: Any) -> Any:
        return _traced("*", self, other, int.__mul__(self, other))

    def __rmul__(self, other: Any) -> Any:
        return _traced("*", other, self, int.__rmul__(self, other))

    def __floordiv__(self, other: Any) -> Any:
        return _traced("//", self, other, int.__floordiv__(self, other))

    def __rfloordiv__(self, other: Any) -> Any:
        return _traced("//", other, self, int.__rfloordiv__(self, other))

    def __mod__(self, other: Any) -> Any:
        return _traced("%", self, other, int.__mod__(self, other))


def _traced(sign: str, left: Any, right: Any, value: Any) -> Any:
    expr = None if value is NotImplemented else made("op", sign, _expr(left), _expr(right))
    return value if expr is None else traced(value, expr)


def _expr(value: Any) -> Expr:
    return value.expr if isinstance(value, Traced) else Expr("constant", int(value))


def traced(value: int, expr: Expr) -> Traced:
    """``value``, known as ``expr``."""
    found = Traced(value)
    found.expr = expr
    return found


def twins(model: nn.Module) -> list[Link]:
    """Links of what the outermost modules that note their arguments build with them."""
    found: list[Link] = []
    inside = set[nn.Module]()
    for path, module in model.named_modules():
        note = None if module in inside else note_of(module)
        twin = None if note is None else _rebuilt(module, note)
        if twin is not None:
            inside.update(module.modules())
            found += _links(path, module, twin)
    return found


def note_of(module: nn.Module) -> dict[str, Any] | None:
    """The mapping in which a module keeps all arguments of its constructor, None where it keeps none."""
    parameters = list(inspect.signature(type(module).__init__).parameters.values())[1:]
    names = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    for name, value in vars(module).items() if names else ():
        if name not in INTERNAL and isinstance(value, dict) and names <= value.keys():
            return {name: value[name] for name in names}
    return None


def _rebuilt(module: nn.Module, note: dict[str, Any]) -> nn.Module | None:
    """The module once more, with sizes that know what they are."""
    holder = next(v for v in vars(module).values() if isinstance(v, dict) and note.keys() <= v.keys())
    given = {name: _known(value, symbol("entry", id(holder), name)) for name, value in note.items()}
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            warnings.simplefilter("ignore")
            return type(module)(**given)
    except Exception:  # whatever a user's constructor raises: nothing is known of it then
        return None


def _known(value: Any, expr: Expr) -> Any:
    if is_size(value):
        return traced(value, expr)
    if isinstance(value, (tuple, list)):
        items = ((item, made("item", place, expr)) for place, item in enumerate(value))
        return type(value)(item if inner is None else _known(item, inner) for item, inner in items)
    return value


def _links(path: str, module: nn.Module, twin: nn.Module) -> Iterator[Link]:
    """Numbers of the module in the place of traced ones of its twin."""
    own = dict(module.named_modules())
    for inner, other in twin.named_modules():
        one = own.get(inner)
        if one is not None and type(one) is type(other):
            where = ".".join(part for part in (path, inner) if part)
            yield from _entries(one, vars(one), vars(other), where)
            for name, value in vars(one).items():
                held = vars(other).get(name)
                if is_holder(value) and type(held) is type(value):
                    place = f"{where}.{name}" if where else name
                    yield from _entries(value, fields_of(value), fields_of(held), place)


def _entries(owner: Any, values: Any, others: Any, path: str) -> Iterator[Link]:
    for name, other in others.items():
        value = values.get(name)
        if isinstance(other, Traced) and is_size(value):
            yield Link(owner, name, None, other.expr, path)
        row, old = row_of(other), row_of(value)
        if not is_size(other) and row is not None and old is not None and len(row) == len(old):
            for place, item in enumerate(row):
                if isinstance(item, Traced):
                    yield Link(owner, name, place, item.expr, path)
