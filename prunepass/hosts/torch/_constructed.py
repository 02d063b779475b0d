"""Links between sizes that constructors build with one expression, read beside the live modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ._attributes import INTERNAL
from ._configs import Configs
from ._expressions import Expr, made, parts_of, replaced, symbol, symbols_of
from ._initialiser import recipe_of
from ._links import Link, is_holder, is_size, row_of

_CONTAINERS = "torch.nn.modules.container"


def constructed(model: nn.Module) -> list[Link]:
    """Links of all numbers whose expressions the constructors' sources tell; nothing is run."""
    walk = _Walk(model)
    walk.visit()
    return walk.configs.named(walk.found)


class _Walk:
    """Modules and the expressions that they were given, from the root down.

    Attributes:
        found: what was seen.
        configs: configurations that modules keep.
    """

    def __init__(self, model: nn.Module) -> None:
        self.paths = {module: path for path, module in model.named_modules()}
        self.bound = set[nn.Module]()
        self.found: list[Link] = []
        self.configs = Configs()

    def visit(self) -> None:
        for module in self.paths:
            if module not in self.bound:
                self.bind(module, None, {})

    # Modules.

    def bind(self, module: nn.Module, given: tuple[Expr, ...] | None, keywords: Mapping[str, Expr]) -> None:
        """Note what a module keeps, given the arguments of its constructor (None: unknown)."""
        if module in self.bound:
            return
        self.bound.add(module)
        count = None if given is None else _known(given)
        recipe = recipe_of(type(module), count, tuple(keywords))
        known = {symbol("argument", place): expr for place, expr in enumerate((given or ())[:count])}
        known.update({symbol("argument", name): expr for name, expr in keywords.items()})
        known[symbol("self")] = symbol(id(module))
        for name, value in vars(module).items():
            if name not in INTERNAL and is_holder(value):
                self._hold(module, name, value, [symbol(id(module), "attribute", name)])

        def here(part: Expr) -> Expr | None:
            if part.kind != "symbol" or part.head[0] == "global":
                return None
            return known.get(part) or symbol(id(module), *part.head)

        for name, exprs in recipe.made.items():
            value = _attribute(module, name)
            self._note(module, name, value, [replaced(expr, here) for expr in exprs])
        for call in recipe.held:
            self._children(module, replaced(call, here))

    def _note(self, module: nn.Module, name: str, value: Any, exprs: list[Expr]) -> None:
        if isinstance(value, nn.Module):
            self._match(value, exprs)
        elif is_holder(value):
            self._hold(module, name, value, exprs)
        elif isinstance(value, torch.Tensor):
            for row in _rows(exprs, tuple(value.shape)):
                for axis, expr in enumerate(row):
                    self._link(module, name, axis, expr)
        elif len(exprs) == 1 and is_size(value):
            self._link(module, name, None, exprs[0])
        elif len(exprs) == 1 and row_of(value) is not None:
            self._row(module, name, [made("item", place, exprs[0]) for place in range(len(value))])

    def _row(self, module: nn.Module, name: str, row: list[Expr | None]) -> None:
        """Note a row of numbers where each is written out or known."""
        if all(expr is not None and (expr.kind == "constant" or _is_one_value(expr)) for expr in row):
            for place, expr in enumerate(row):
                self._link(module, name, place, expr)

    def _link(self, module: nn.Module, name: str, place: int | None, expr: Expr | None) -> None:
        if expr is not None and _is_one_value(expr):
            self.found.append(Link(module, name, place, expr, self.paths[module]))

    def _hold(self, module: nn.Module, name: str, value: Any, exprs: list[Expr]) -> None:
        """Note a configuration that a module keeps."""
        path = self.paths[module]
        if len(exprs) == 1 and _is_one_value(exprs[0]):
            self.configs.add(exprs[0], value, f"{path}.{name}" if path else name)

    def _match(self, module: nn.Module, exprs: list[Expr]) -> None:
        """Find the call that built a module among what it may be."""
        calls = dict.fromkeys(call for expr in exprs for call in _calls(expr, module))
        if type(module).__module__ == _CONTAINERS:
            self.bound.add(module)
            for call in calls:
                self._children(module, call)
        elif len(calls) == 1:
            call = next(iter(calls))
            self.bind(module, call.arguments(), call.keywords())

    def _children(self, container: nn.Module, call: Expr) -> None:
        """Children of a container and the list, or the keywords, that it was made of."""
        children = dict(container.named_children())
        named, items = call.keywords(), call.arguments()
        if len(items) == 1 and items[0].kind == "call" and items[0].names:
            named, items = items[0].keywords(), ()
        if len(items) == 1 and items[0].kind == "list":
            items = Expr("call", "", items[0].parts).arguments()
        if items and all(item.kind == "list" and len(item.parts) == 2 for item in items):
            items = tuple(item.parts[1] for item in items)
        in_step = len(items) == len(children) and not any(item.kind in ("each", "star") for item in items)
        for place, (name, child) in enumerate(children.items()):
            if name in named:
                self._match(child, [named[name]])
            elif items:
                self._match(child, [items[place]] if in_step else [_single(item) for item in items])


def _known(given: tuple[Expr, ...]) -> int:
    """The number of positional arguments before one that stands for any number of them."""
    return next((i for i, expr in enumerate(given) if expr.kind in ("star", "each")), len(given))


def _attribute(module: nn.Module, name: str) -> Any:
    for space in (vars(module), module._parameters, module._buffers, module._modules):
        if name in space:
            return space[name]
    return None


def _single(item: Expr) -> Expr:
    return _single(item.parts[0]) if item.kind in ("each", "star") else item


def _calls(expr: Expr, module: nn.Module) -> Iterator[Expr]:
    """Calls in an expression that may have built ``module``; outer ones first."""
    if expr.kind == "if":
        for branch in expr.parts[1:]:
            yield from _calls(branch, module)
    elif expr.kind == "call":
        if expr.head in ("", type(module)):
            yield expr
        else:
            # weight_norm(nn.Linear(...)) gives back what it was given.
            for part in expr.arguments():
                yield from _calls(part, module)


def _rows(exprs: list[Expr], shape: tuple[int, ...]) -> Iterator[tuple[Expr, ...]]:
    """The one row of numbers in a call that may be the shape of a tensor."""
    rows: dict[tuple[Expr, ...], None] = {}
    for expr in exprs:
        for call in parts_of(expr):
            given = call.arguments() if call.kind == "call" else ()
            row = given[0].parts if given and given[0].kind == "list" else given
            if len(row) == len(shape) and all(
                _may_be(part, size) for part, size in zip(row, shape, strict=True)
            ):
                rows[row] = None
    if len(rows) == 1:
        yield from rows


def _may_be(expr: Expr, size: int) -> bool:
    if expr.kind == "constant":
        return bool(expr.head == size)
    return expr.kind in ("symbol", "op", "attr", "item", "if", "call", "Or", "And")


def _is_one_value(expr: Expr) -> bool:
    """Return whether an expression has one value: it is no loop's variable, and more than a number."""
    symbols = symbols_of(expr)
    return bool(symbols) and not any("each" in part.head for part in symbols)
