"""Symbolic execution of ``__init__`` from its source: nothing of it is run."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType
from typing import Any

from torch import nn

from ._expressions import Expr, symbol
from ._source_statements import Statements
from ._source_values import is_name

_CONTAINERS = "torch.nn.modules.container"
_DEPTH = 8
_REGISTER = {"register_buffer", "register_parameter", "register_module", "add_module"}


@dataclass(frozen=True)
class Recipe:
    """Assignments of an initialiser, in terms of its arguments.

    Attributes:
        made: what each attribute may be; several where it depends on the way that is taken.
        held: calls that build the children of the module itself, a container.
    """

    made: Mapping[str, tuple[Expr, ...]]
    held: tuple[Expr, ...]


def recipe_of(kind: type, count: int | None, keywords: tuple[str, ...]) -> Recipe:
    """The recipe of a class that is given ``count`` arguments and these keywords; None: it is not known what.

    Arguments are the symbols ``("argument", 0)`` and ``("argument", "name")``.
    """
    return _recipe_of(kind, count, keywords)


@cache
def _recipe_of(kind: type, count: int | None, keywords: tuple[str, ...]) -> Recipe:
    run = _Run(kind)
    given = () if count is None else tuple(symbol("argument", place) for place in range(count))
    run.initialise(kind.__mro__, given, {name: symbol("argument", name) for name in keywords})
    return Recipe({name: tuple(exprs) for name, exprs in run.made.items()}, tuple(run.held))


@cache
def _parsed(function: Any) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)


@dataclass
class _Run(Statements):
    """A run through initialisers that follows expressions instead of values."""

    held: list[Expr] = field(default_factory=list)
    mro: tuple[type, ...] = ()
    depth: int = 0

    def initialise(self, mro: Sequence[type], given: Sequence[Expr], keywords: Mapping[str, Expr]) -> None:
        """Run the first initialiser of ``mro``."""
        at = next((i for i, base in enumerate(mro) if "__init__" in vars(base)), len(mro))
        if at == len(mro) or mro[at] in (nn.Module, object):
            return
        if mro[at].__module__ == _CONTAINERS:
            self.held.append(Expr("call", mro[at], (*given, *keywords.values()), tuple(keywords)))
            return
        self.inline(
            inspect.unwrap(vars(mro[at])["__init__"]),
            (symbol("self"), *given),
            keywords,
            tuple(mro[at + 1 :]),
        )

    def inline(
        self,
        function: Any,
        given: Sequence[Expr],
        keywords: Mapping[str, Expr],
        mro: tuple[type, ...] | None = None,
    ) -> Expr | None:
        """Run the body of a function; what it returns, None where its source cannot be read."""
        tree = _parsed(function)
        if tree is None or self.depth >= _DEPTH:
            return None
        outer = (self.names, self.own, self.mro, self.scope, self.result)
        kept = {name: expr for name, expr in self.names.items() if name.startswith("self.")}
        self.names = {**kept, **self._parameters(tree.args, given, keywords)}
        positional = [*tree.args.posonlyargs, *tree.args.args]
        self.own = positional[0].arg if positional and mro is not None else ""
        self.mro = self.mro if mro is None else mro
        self.scope, self.result, self.depth = function.__globals__, None, self.depth + 1
        self.body(tree.body)
        result, after = self.result, self.names
        self.names, self.own, self.mro, self.scope, self.result = outer
        self.names = {**self.names, **{n: e for n, e in after.items() if n.startswith("self.")}}
        self.depth -= 1
        return result

    def _parameters(
        self, args: ast.arguments, given: Sequence[Expr], keywords: Mapping[str, Expr]
    ) -> dict[str, Expr]:
        positional = [arg.arg for arg in (*args.posonlyargs, *args.args)]
        stop = next((i for i, expr in enumerate(given) if expr.kind in ("star", "each")), len(given))
        found = dict(zip(positional, given[:stop], strict=False))
        rest = dict(keywords)
        for name in (*positional, *(arg.arg for arg in args.kwonlyargs)):
            found[name] = rest.pop(name) if name in rest else found.get(name) or self.fresh()
        if args.vararg:
            found[args.vararg.arg] = Expr("list", None, tuple(given[len(positional) :]))
        if args.kwarg:
            found[args.kwarg.arg] = Expr("call", "dict", tuple(rest.values()), tuple(rest))
        return found

    def called(self, call: ast.Call) -> None:
        """A call whose result is not kept."""
        given, keywords = self.given(call)
        function = call.func
        if not isinstance(function, ast.Attribute):
            return
        name, base = function.attr, function.value
        if name == "__init__" and isinstance(base, ast.Call) and is_name(base.func, "super"):
            self.initialise(self.mro, given, keywords)
        elif name == "__init__" and given and given[0] == symbol("self"):
            self._base(base, given[1:], keywords)
        elif name in _REGISTER and is_name(base, self.own) and len(given) > 1 and given[0].kind == "constant":
            self.set(str(given[0].head), given[1])
        elif name in ("append", "extend") and len(given) == 1:
            self.append(base, given[0] if name == "append" else Expr("star", None, (given[0],)))
        else:
            self.method(call, given, keywords)

    def _base(self, base: ast.expr, given: Sequence[Expr], keywords: Mapping[str, Expr]) -> None:
        """``Base.__init__(self, ...)``."""
        kind = self.resolved(base)
        if isinstance(kind, type) and kind in self.kind.__mro__:
            self.initialise(self.kind.__mro__[self.kind.__mro__.index(kind) :], given, keywords)

    def method(self, call: ast.Call, given: Sequence[Expr], keywords: Mapping[str, Expr]) -> Expr | None:
        """A call of the module's own method."""
        function = call.func
        if not (isinstance(function, ast.Attribute) and is_name(function.value, self.own)):
            return None
        for at, base in enumerate(self.kind.__mro__):
            method = vars(base).get(function.attr)
            if isinstance(method, FunctionType) and base.__module__.partition(".")[0] != "torch":
                mro = self.kind.__mro__[at + 1 :]
                return self.inline(inspect.unwrap(method), (symbol("self"), *given), keywords, mro)
        return None
