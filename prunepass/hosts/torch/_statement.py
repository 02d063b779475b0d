"""Reading the user's own source: attributes that a class reads, and numbers that a call writes out."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from torch import nn

Row = tuple[int, ...]
Item = int | Literal["computed"] | None
"""One argument of a call: the number that is written there, whether it is computed, None where that cannot be told."""

_OF_TENSORS = {"shape", "size"}


def attributes_read(kind: type) -> frozenset[str] | None:
    """Attributes that methods other than ``__init__`` mention; None where the source cannot be read."""
    return _attributes_read(kind)


@cache
def _attributes_read(kind: type) -> frozenset[str] | None:
    found: set[str] = set()
    for base in own_bases(kind):
        tree = class_tree(base)
        if tree is None:
            return None
        for method in ast.walk(tree):
            if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method.name != "__init__":
                found.update(node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute))
    return frozenset(found)


def own_bases(kind: type) -> list[type]:
    return [base for base in kind.__mro__ if base not in (nn.Module, object)]


@cache
def class_tree(kind: type) -> ast.AST | None:
    """The source of one class with the line numbers of its file."""
    try:
        lines, start = inspect.getsourcelines(kind)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    return ast.increment_lineno(tree, start - 1)


def numbers_at(file: str, line: int, sizes: Row) -> tuple[bool, ...]:
    """For a call with these numbers at that line of a file, which of them are written out."""
    tree = _file_tree(file)
    row = (None,) * len(sizes) if tree is None else _agreed(tree, line, sizes)
    return tuple(isinstance(item, int) for item in row)


@cache
def _file_tree(file: str) -> ast.AST | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None


def _agreed(tree: ast.AST, line: int, sizes: Row) -> tuple[Item, ...]:
    """Items of the one call of a line that can stand for ``sizes``; None for each where no call or several do."""
    known = _locals(_function_at(tree, line))
    rows = {row for row in _rows(tree, line, len(sizes), known) if any(item is not None for item in row)}
    fitting = [row for row in rows if all(_fits(item, size) for item, size in zip(row, sizes, strict=True))]
    return fitting[0] if len(fitting) == 1 else (None,) * len(sizes)


def _fits(item: Item, size: int) -> bool:
    return not isinstance(item, int) or item in (size, -1)


def _spans(node: ast.AST, line: int) -> bool:
    start, end = getattr(node, "lineno", 0), getattr(node, "end_lineno", None)
    return bool(start) and start <= line <= (end or start)


def _function_at(tree: ast.AST, line: int) -> ast.AST | None:
    """The innermost function around a line."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    around = [node for node in ast.walk(tree) if isinstance(node, kinds) and _spans(node, line)]
    return max(around, key=lambda node: node.lineno, default=None)


def _locals(function: ast.AST | None) -> dict[str, Item]:
    """Names that a function assigns once, and what."""
    found: dict[str, Item] = {}
    seen: set[str] = set()
    for node in ast.walk(function) if function is not None else ():
        for target, value in _assigned(node):
            names = [item.id for item in ast.walk(target) if isinstance(item, ast.Name)]
            found.update({name: None if name in seen else _item(value, {}) for name in names})
            seen.update(names)
    return found


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets and values of an assignment, one by one where both are written side by side."""
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _rows(tree: ast.AST, line: int, count: int, known: Mapping[str, Item]) -> Iterator[tuple[Item, ...]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _spans(node, line):
            for numbers in (node.args, *(a.elts for a in node.args if isinstance(a, (ast.Tuple, ast.List)))):
                row = _row(numbers, count, known)
                if row is not None:
                    yield row


def _row(numbers: list[ast.expr], count: int, known: Mapping[str, Item]) -> tuple[Item, ...] | None:
    """The arguments, aligned at the end where a starred one hides how many there are."""
    starred = [i for i, item in enumerate(numbers) if isinstance(item, ast.Starred)]
    tail = numbers[starred[-1] + 1 :] if starred else numbers
    if len(tail) > count or (not starred and len(tail) != count):
        return None
    told: list[Item] = [_item(item, known) for item in tail]
    return (*(None,) * (count - len(tail)), *told)


def _item(item: ast.expr, known: Mapping[str, Item]) -> Item:
    match item:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _item(operand, known)
            return -value if isinstance(value, int) else "computed"
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return None if None in (_item(left, known), _item(right, known)) else "computed"
        case ast.BinOp() | ast.Attribute(value=ast.Name(id="self")):
            return "computed"
    of_tensors = any(isinstance(part, ast.Attribute) and part.attr in _OF_TENSORS for part in ast.walk(item))
    return "computed" if of_tensors else None
