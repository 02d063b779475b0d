"""Uses of attributes in the methods of a class, from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from ._statement import class_tree, own_bases

_Method = ast.FunctionDef | ast.AsyncFunctionDef
_BOUNDS = {"min", "max", "range", "clamp", "narrow"}


def read_elsewhere(kind: type) -> frozenset[str]:
    """Attributes of ``self`` that methods other than ``__init__`` and ``forward`` read."""
    return _read_elsewhere(kind)


@cache
def _read_elsewhere(kind: type) -> frozenset[str]:
    found = set[str]()
    for method in _methods(kind):
        if method.name not in ("__init__", "forward"):
            found.update(_own_reads(method, method))
    return frozenset(found)


def bounds(kind: type) -> frozenset[str]:
    """Attributes of ``self`` that limit something in ``forward`` or in methods that it calls.

    Ends of slices, numbers that others are less than: whatever else they are built with, they may speak of
    lengths that no example shows.
    """
    return _bounds(kind)


@cache
def _bounds(kind: type) -> frozenset[str]:
    found = set[str]()
    for method in _run_by_forward(kind):
        for node in ast.walk(method):
            if _is_bounding(node):
                found.update(_own_reads(method, node))
    return frozenset(found)


def mentioned_by_forward(kind: type) -> frozenset[str]:
    """Names of attributes, whosoever they are, in ``forward`` and in methods that it calls."""
    return _mentioned_by_forward(kind)


@cache
def _mentioned_by_forward(kind: type) -> frozenset[str]:
    nodes = (node for method in _run_by_forward(kind) for node in ast.walk(method))
    return frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute))


def _run_by_forward(kind: type) -> Iterator[_Method]:
    """``forward`` and the methods of the class that it calls."""
    methods: dict[str, list[_Method]] = {}
    for method in _methods(kind):
        methods.setdefault(method.name, []).append(method)
    seen, names = set[str](), ["forward"]
    while names:
        name = names.pop()
        for method in methods.get(name, ()) if name not in seen else ():
            names += _own_reads(method, method)
            yield method
        seen.add(name)


def _is_bounding(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        # What has to be equal is wrong at once where it is not; what is less is not.
        return not all(isinstance(sign, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)) for sign in node.ops)
    if not isinstance(node, ast.Call):
        return isinstance(node, ast.Slice)
    name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    return name in _BOUNDS


def _methods(kind: type) -> Iterator[_Method]:
    for base in own_bases(kind):
        tree = class_tree(base)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node


def _own_reads(method: _Method, node: ast.AST) -> Iterator[str]:
    """Attributes of the method's first argument that are read inside ``node``."""
    arguments = [*method.args.posonlyargs, *method.args.args]
    own = arguments[0].arg if arguments else ""
    for part in ast.walk(node):
        match part:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute, ctx=ast.Load()) if name == own:
                yield attribute
