"""The table of operators: built-in families and those that other distributions add.

A distribution adds operators through the entry point group ``prunepass.ops``: a module or object with an
attribute ``ops``, a sequence of :class:`Op`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ._errors import InternalError
from ._op import Aten, Onnx, Op
from ._plugins import Table


class Registry:
    """Looks operators up by neutral name and by each host's spelling."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self._by_name: dict[str, Op] = {}
        self._aten: dict[str, tuple[Op, Aten]] = {}
        self._onnx: dict[str, list[tuple[Op, Onnx]]] = {}
        for op in ops:
            self._add(op)

    def _add(self, op: Op) -> None:
        if op.name in self._by_name:
            raise InternalError(f"operator '{op.name}' is declared twice")
        self._by_name[op.name] = op
        for aten in op.aten:
            for target in aten.targets:
                if target in self._aten:
                    raise InternalError(f"two declarations claim aten '{target}'")
                self._aten[target] = (op, aten)
        for onnx in op.onnx:
            for kind in onnx.types:
                self._onnx.setdefault(kind, []).append((op, onnx))

    @property
    def ops(self) -> Mapping[str, Op]:
        return self._by_name

    def __getitem__(self, name: str) -> Op:
        return self._by_name[name]

    def aten(self, target: str) -> tuple[Op, Aten] | None:
        """Declaration and spelling of an overload such as ``conv2d.default``."""
        return self._aten.get(target)

    def aten_targets(self) -> tuple[str, ...]:
        """Every overload that has a declaration: hosts need not decompose these."""
        return tuple(self._aten)

    def onnx(self, kind: str, opset: int) -> tuple[Op, Onnx] | None:
        """Declaration and spelling of an ONNX operator type at an opset version."""
        for op, spelling in self._onnx.get(kind, ()):
            if spelling.since <= opset <= spelling.until:
                return op, spelling
        return None


def _flaw(family: Any) -> str:
    ops = getattr(family, "ops", None)
    if isinstance(ops, Iterable) and all(isinstance(op, Op) for op in ops):
        return ""
    return "it has no sequence of prunepass.ir.Op called 'ops'"


_FAMILIES = Table("operator family", "prunepass.ops", {}, __package__, _flaw)


def _built_in() -> Iterable[Op]:
    from . import ops

    for module in sorted(iter_modules(ops.__path__), key=lambda found: found.name):
        yield from getattr(import_module(f"{ops.__name__}.{module.name}"), "ops", ())


@cache
def registry() -> Registry:
    """The one table of this process, built at first use.

    Raises:
        UsageError: a distribution that adds operators does not load, or declares what is declared already.
    """
    found = tuple(_built_in())
    made = Registry(found)
    for name in _FAMILIES:
        found = (*found, *_FAMILIES[name].ops)
        try:
            made = Registry(found)
        except InternalError as error:
            raise _FAMILIES.refusal(name, f"cannot be added: {error.what}") from error
    return made
