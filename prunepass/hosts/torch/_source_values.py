"""Expressions for what is written in a function, as far as its source tells."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from ._expressions import Expr, constant, made, symbol

OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
}  # fmt: skip


@dataclass
class Reader(ABC):
    """A place in a function, and what is known there.

    Attributes:
        kind: the class whose object ``own`` names.
        names: what local names and attributes (``self.x``) are now.
        scope: names outside of the function.
        looping: how many loops there are around.
    """

    kind: type
    names: dict[str, Expr] = field(default_factory=dict)
    own: str = "self"
    scope: Mapping[str, Any] = field(default_factory=dict)
    looping: int = 0
    count: int = 0

    @abstractmethod
    def inline(self, function: Any, given: Sequence[Expr], keywords: Mapping[str, Expr]) -> Expr | None:
        """The value that a function returns, None where its source does not tell."""

    @abstractmethod
    def method(self, call: ast.Call, given: Sequence[Expr], keywords: Mapping[str, Expr]) -> Expr | None:
        """The value that a call returns, where it calls a method of the object itself."""

    def fresh(self) -> Expr:
        """A value of which nothing is known but that it is one value; in a loop not even that."""
        self.count += 1
        return symbol("each" if self.looping else "local", self.count)

    def value(self, node: ast.expr) -> Expr:
        return self._value(node) or self.fresh()

    def _value(self, node: ast.expr) -> Expr | None:
        match node:
            case ast.Constant(value=value):
                return constant(value)
            case ast.Name(id=name):
                return self.names.get(name) or symbol("global", self.scope.get("__name__"), name)
            case ast.Attribute(value=base, attr=name):
                if is_name(base, self.own):
                    return self.names.get(f"self.{name}") or symbol("attribute", name)
                return made("attr", name, self.value(base))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return made("op", OPERATORS[type(op)], self.value(left), self.value(right))
            case ast.Subscript(value=base, slice=ast.Constant(value=index)):
                return made("item", index, self.value(base))
            case ast.Subscript(
                value=base, slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as index))
            ):
                return made("item", -index, self.value(base))
            case ast.IfExp(test=test, body=body, orelse=other):
                return made("if", None, self.value(test), self.value(body), self.value(other))
            case ast.BoolOp(op=op, values=values):
                return made(type(op).__name__, None, *map(self.value, values))
            case ast.Compare(left=left, ops=ops, comparators=others):
                signs = " ".join(type(op).__name__ for op in ops)
                return made("compare", signs, self.value(left), *map(self.value, others))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return made("list", None, *map(self.value, elements))
            case ast.Starred(value=value):
                return made("star", None, self.value(value))
            case (
                ast.ListComp(elt=element, generators=loops) | ast.GeneratorExp(elt=element, generators=loops)
            ):
                return self._comprehension(element, loops)
            case ast.Dict(keys=keys, values=values):
                if all(isinstance(key, ast.Constant) for key in keys):
                    names = tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))
                    return made("call", "dict", *map(self.value, values), names=names)
            case ast.Call():
                return self._call_value(node)
        return None

    def _comprehension(self, element: ast.expr, loops: Sequence[ast.comprehension]) -> Expr | None:
        outer = dict(self.names)
        self.looping += 1
        for name in assigned_in([loop.target for loop in loops], self.own):
            self.names[name] = self.fresh()
        item = self.value(element)
        self.looping -= 1
        self.names = outer
        return made("list", None, Expr("each", None, (item,), size=item.size))

    def given(self, call: ast.Call) -> tuple[tuple[Expr, ...], dict[str, Expr]]:
        """Arguments and keywords of a call, unpacked where that can be seen."""
        parts = Expr("call", "", tuple(self.value(arg) for arg in call.args)).arguments()
        keywords: dict[str, Expr] = {}
        for keyword in call.keywords:
            value = self.value(keyword.value)
            keywords.update(
                {keyword.arg: value} if keyword.arg else value.keywords() if value.head == "dict" else {}
            )
        return parts, keywords

    def _call_value(self, call: ast.Call) -> Expr | None:
        given, keywords = self.given(call)
        if is_name(call.func, "getattr") and len(given) > 1 and given[1].kind == "constant":
            return made("attr", given[1].head, given[0])
        own = self.method(call, given, keywords)
        if own is not None:
            return own
        built: Expr | None = None
        called = self.resolved(call.func)
        if isinstance(called, FunctionType) and self._is_near(called):
            built = self.inline(called, given, keywords)
        if built is not None and built.kind == "call" and isinstance(built.head, type):
            return built
        head = called if isinstance(called, type) else getattr(called, "__name__", None)
        if isinstance(called, type) and called.__module__ == "builtins":
            head = called.__name__
        if head in ("tuple", "list") and len(given) == 1 and given[0].kind == "list":
            return given[0]
        return made("call", head or "", *given, *keywords.values(), names=tuple(keywords))

    def _is_near(self, function: FunctionType) -> bool:
        """Return whether a function is of the package of the class: it may build layers."""
        root = self.kind.__module__.partition(".")[0]
        return root != "torch" and function.__module__.partition(".")[0] == root

    def resolved(self, node: ast.expr) -> Any:
        """The object that a dotted name outside of the function stands for, None where it is a variable."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            builtins = self.scope.get("__builtins__", {})
            return self.scope.get(node.id, builtins.get(node.id) if isinstance(builtins, dict) else None)
        if isinstance(node, ast.Attribute):
            return getattr(self.resolved(node.value), node.attr, None)
        return None


def is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def assigned_in(body: Sequence[ast.AST], own: str) -> set[str]:
    """Names, and attributes of the module, that statements may assign."""
    found = set[str]()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and is_name(node.value, own)
            ):
                found.add(f"self.{node.attr}")
    return found
