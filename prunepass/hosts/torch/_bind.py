"""Calls of torch operators read through a declaration's spelling: schema arguments, operands, attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from ...ir import Aten, Op, UnsupportedError, registry
from ._inputs import dtype_name

Shape = tuple[int, ...]
Facts = tuple[Shape, str]


def spelled(target: Any) -> tuple[Op, Aten] | None:
    """Declaration and spelling of a torch operator, None where there is none."""
    if not isinstance(target, torch._ops.OpOverload):
        return None
    return registry().aten(target_name(target))


def target_name(target: torch._ops.OpOverload) -> str:
    """``conv2d.default`` for torch's own operators, ``library::name.overload`` for others."""
    space, _, packet = target._schema.name.partition("::")
    name = f"{packet}.{target._schema.overload_name or 'default'}"
    return name if space == "aten" else f"{space}::{name}"


def arguments(node: fx.Node) -> dict[str, Any]:
    """Every schema argument of the call by name, defaults filled in; values may be or hold fx nodes."""
    bound: dict[str, Any] = {}
    for position, argument in enumerate(schema_of(node).arguments):
        if argument.name in node.kwargs:
            bound[argument.name] = node.kwargs[argument.name]
        elif position < len(node.args) and not argument.kwarg_only:
            bound[argument.name] = node.args[position]
        else:
            bound[argument.name] = argument.default_value if argument.has_default_value() else None
    return bound


def schema_of(node: fx.Node) -> torch._C.FunctionSchema:
    assert isinstance(node.target, torch._ops.OpOverload)
    return node.target._schema


def concrete(value: Any) -> Any:
    """A size or number that may be symbolic, by its hint.

    Raises:
        UnsupportedError: it depends on the data.
    """
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        known = value.node.maybe_as_int() if isinstance(value, torch.SymInt) else None
        found = known if known is not None else (value.node.hint if value.node.has_hint() else None)
        if found is None:
            raise UnsupportedError(
                f"size {value} depends on the data", advice="capture with inputs whose sizes are known"
            )
        return found
    return value


def is_symbolic(value: Any) -> bool:
    """Return whether ``value`` is a size or number that other inputs may make another one."""
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return not isinstance(value, torch.SymInt) or value.node.maybe_as_int() is None
    return False


def facts(tensor: torch.Tensor) -> Facts:
    """Concrete shape and dtype name."""
    return tuple(int(concrete(size)) for size in tensor.shape), dtype_name(tensor.dtype)


def is_tensor(value: Any) -> bool:
    """Return whether ``value`` is a node that makes one tensor."""
    return isinstance(value, fx.Node) and isinstance(value.meta.get("val"), torch.Tensor)


def plain(value: Any) -> Any:
    """An argument as plain Python: sizes by their hints, lists as tuples, dtypes and the like by name."""
    if isinstance(value, fx.Node):
        return plain(value.meta.get("val"))
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if isinstance(value, (torch.device, torch.layout, torch.memory_format)):
        return str(value)
    return concrete(value)


@dataclass(frozen=True)
class Operand:
    """One operand: a tensor node, a plain number, or nothing."""

    argument: str
    value: Any


def operands(spelling: Aten, bound: Mapping[str, Any]) -> list[Operand]:
    """Operands by position; a list argument spreads over as many positions as it has entries."""
    found: list[Operand] = []
    for name in spelling.inputs:
        value = bound.get(name)
        items = value if isinstance(value, (list, tuple)) else [value]
        found.extend(Operand(name, item) for item in items)
    return found


def attributes(spelling: Aten, bound: Mapping[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """Neutral attributes of the call.

    Raises:
        UnsupportedError: the declaration does not cover this use.
    """
    raw = {name: plain(bound.get(argument)) for name, argument in spelling.attrs.items()}
    if spelling.fix is not None:
        return spelling.fix(raw, shapes)
    return {name: value for name, value in raw.items() if value is not None}
