"""Symbolic execution of statements: what names and attributes are after them, as far as the source tells."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from ._expressions import Expr, made
from ._source_values import OPERATORS, Reader, assigned_in, is_name


@dataclass
class Statements(Reader):
    """A place in a function that moves on, statement by statement.

    Attributes:
        made: what each attribute may be; several where it depends on the way that is taken.
        unsure: how many branches and loops there are around.
        result: what the function returns.
    """

    made: dict[str, list[Expr]] = field(default_factory=dict)
    unsure: int = 0
    result: Expr | None = None

    @abstractmethod
    def called(self, call: ast.Call) -> None:
        """Follow a call whose result is not kept."""

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
                self.called(call)
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
        """The expression of a name after two branches."""
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

    def append(self, base: ast.expr, item: Expr) -> None:
        """Make a list longer."""
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


def _either(one: Expr | None, two: Expr | None) -> Expr | None:
    """The expression that only one of two branches knows, or the list that one of them has made longer."""
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
