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

from ._expressions import Expr, made, symbol
from ._source_values import OPERATORS, Reader, assigned_in, is_name

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
class _Run(Reader):
    """A run through initialisers that follows expressions instead of values.

    Attributes:
        unsure: how many branches and loops there are around.
    """

    made: dict[str, list[Expr]] = field(default_factory=dict)
    held: list[Expr] = field(default_factory=list)
    mro: tuple[type, ...] = ()
    unsure: int = 0
    depth: int = 0
    result: Expr | None = None

    # Functions.

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

    # Statements.

    def body(self, statements: Sequence[ast.stmt]) -> bool:
        """Run statements; whether they leave the function."""
        return any(self.statement(statement) for statement in statements)

    def statement(self, node: ast.stmt) -> bool:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, self.value(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.value(value))
            case ast.AugAssign(target=target):
                self.assign(target, self._augmented(node))
            case ast.If(body=body, orelse=other):
                return self._branches(body, other)
            case ast.For(target=target, body=body) | ast.AsyncFor(target=target, body=body):
                self._loop([target, *body], body)
            case ast.While(body=body):
                self._loop(body, body)
            case ast.With(body=body):
                return self.body(body)
            case ast.Try(body=body, orelse=other):
                return self.body([*body, *other])
            case ast.Expr(value=ast.Call() as call):
                self._called(call)
            case ast.Return(value=value):
                self.result = self.value(value) if value is not None and not self.unsure else None
                return True
            case ast.Raise():
                return True
        return False

    def assign(self, target: ast.expr, value: Expr) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for place, part in enumerate(target.elts):
                self.assign(part, made("item", place, value) or self.fresh())
            return
        if value.kind == "constant" and isinstance(value.head, int) and not isinstance(value.head, bool):
            # What is built with the name has to do with it; what is built with the same number has not.
            value = self.fresh()
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Attribute) and is_name(target.value, self.own):
            self.set(target.attr, value)

    def set(self, name: str, value: Expr) -> None:
        """Assign an attribute of the module."""
        self.names[f"self.{name}"] = value
        candidates = self.made.setdefault(name, [])
        if not self.unsure:
            candidates.clear()
        if value not in candidates:
            candidates.append(value)

    def _augmented(self, node: ast.AugAssign) -> Expr:
        sign = OPERATORS.get(type(node.op))
        old = self.value(node.target)
        new = made("op", sign, old, self.value(node.value)) if sign else None
        return new or self.fresh()

    def _branches(self, body: list[ast.stmt], other: list[ast.stmt]) -> bool:
        before = dict(self.names)
        self.unsure += 1
        left = self.body(body)
        taken, self.names = self.names, before
        skipped = self.body(other)
        self.unsure -= 1
        if left or skipped:
            self.names = self.names if left else taken
            return left and skipped
        for name in {*taken, *self.names}:
            one, two = taken.get(name), self.names.get(name)
            if one != two:
                self._rename(name, self._joined(one, two))
        return False

    def _joined(self, one: Expr | None, two: Expr | None) -> Expr:
        """What a name is after two branches."""
        found = _either(one, two)
        if found is None and one is not None and two is not None:
            found = made("if", None, self.fresh(), one, two)
        return found or self.fresh()

    def _loop(self, assigning: Sequence[ast.AST], body: list[ast.stmt]) -> None:
        changed = assigned_in(assigning, self.own)
        self.unsure += 1
        self.looping += 1
        self.names.update({name: self.fresh() for name in changed})
        self.body(body)
        self.unsure -= 1
        self.looping -= 1
        self.names.update({name: self.fresh() for name in changed})

    def _called(self, call: ast.Call) -> None:
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
            self._append(base, given[0] if name == "append" else Expr("star", None, (given[0],)))
        else:
            self.method(call, given, keywords)

    def _base(self, base: ast.expr, given: Sequence[Expr], keywords: Mapping[str, Expr]) -> None:
        """``Base.__init__(self, ...)``."""
        kind = self.resolved(base)
        if isinstance(kind, type) and kind in self.kind.__mro__:
            self.initialise(self.kind.__mro__[self.kind.__mro__.index(kind) :], given, keywords)

    def _append(self, base: ast.expr, item: Expr) -> None:
        name = (
            f"self.{base.attr}" if isinstance(base, ast.Attribute) and is_name(base.value, self.own) else ""
        )
        name = base.id if isinstance(base, ast.Name) else name
        held = self.names.get(name)
        if held is not None and held.kind in ("list", "call"):
            part = Expr("each", None, (item,)) if self.unsure else item
            grown = made(held.kind, held.head, *held.parts, part) if not held.names else None
            self._rename(name, grown or self.fresh())

    def _rename(self, name: str, value: Expr) -> None:
        """Let a name be what it has become on several ways; a list that an attribute holds has all its parts."""
        self.names[name] = value
        attribute = name.partition(".")[2]
        if attribute and value.kind in ("list", "call"):
            self.made[attribute] = [value]

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


def _either(one: Expr | None, two: Expr | None) -> Expr | None:
    """What only one of two branches knows, or a list that one of them has made longer."""
    if one is None or two is None:
        return one or two
    for single, row in ((one, two), (two, one)):
        if row == Expr("list", None, (single,)):
            return row  # a number, or a row of one
    short, long = sorted((one, two), key=lambda expr: len(expr.parts))
    at = len(short.parts)
    grown = one.kind in ("list", "call") and not (one.names or two.names)
    if not grown or (one.kind, one.head) != (two.kind, two.head) or long.parts[:at] != short.parts:
        return None
    rest = (part if part.kind == "each" else Expr("each", None, (part,)) for part in long.parts[at:])
    return made(one.kind, one.head, *short.parts, *rest)
