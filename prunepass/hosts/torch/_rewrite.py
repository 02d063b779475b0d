"""Size arguments of one torch call rewritten so that it means a given neutral node."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import fx

from ...ir import Aten, Node, Op, UnsupportedError
from ._bind import Shape, arguments, attributes, plain, schema_of, spelled
from ._export import overload_of


def rewrite(call: fx.Node, node: Node, shapes: tuple[Shape | None, ...]) -> None:
    """Make ``call`` mean ``node``: arguments that still give the right attributes stay as they are.

    Every use is derived by itself: entries of -1 and symbolic sizes that come out right are kept, a symbolic
    size that does not is scaled, everything else is written as a number.

    Args:
        node: the neutral node after the cut.
        shapes: its operand shapes after the cut.

    Raises:
        UnsupportedError: no spelling of the operator can express the attributes.
    """
    found = spelled(call.target)
    if found is None:
        return
    op, spelling = found
    if _means(spelling, arguments(call), node, shapes):
        return
    for changes in _candidates(call, spelling, node, shapes):
        if _means(spelling, {**arguments(call), **changes}, node, shapes):
            _set(call, changes)
            return
    if not _respelled(call, op, spelling, node, shapes):
        raise UnsupportedError(
            f"'{call.target}' cannot be written with {dict(node.attrs)}",
            where=node.origin,
            advice="keep this layer",
        )


def _means(spelling: Aten, bound: Mapping[str, Any], node: Node, shapes: tuple[Shape | None, ...]) -> bool:
    try:
        return bool(attributes(spelling, bound, shapes) == dict(node.attrs))
    except UnsupportedError:
        return False


def _said(spelling: Aten, bound: Mapping[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """The attributes as the call has them; none where it means nothing any more."""
    try:
        return attributes(spelling, bound, shapes)
    except UnsupportedError:
        return {}


def _candidates(
    call: fx.Node, spelling: Aten, node: Node, shapes: tuple[Shape | None, ...]
) -> Iterator[dict[str, Any]]:
    """New argument values: first with the fewest entries touched, then all written out."""
    bound = arguments(call)
    said = _said(spelling, bound, shapes)
    wanted = {name: value for name, value in node.attrs.items() if name not in said or said[name] != value}
    whole = {argument: wanted[name] for name, argument in spelling.attrs.items() if name in wanted}
    differing = {name: value for name, value in whole.items() if plain(bound[name]) != value}
    yield {name: _patched(call, bound[name], value) for name, value in differing.items()}
    yield {name: _listed(value) for name, value in differing.items()}
    yield {name: _listed(value) for name, value in whole.items()}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _patched(call: fx.Node, old: Any, new: Any) -> Any:
    if isinstance(old, (list, tuple)) and isinstance(new, tuple) and len(old) == len(new):
        return [_entry(call, one, other) for one, other in zip(old, new, strict=True)]
    return _listed(new) if isinstance(new, tuple) else _entry(call, old, new)


def _entry(call: fx.Node, old: Any, new: Any) -> Any:
    if not isinstance(old, fx.Node):
        return old if old == -1 else new
    had = plain(old)
    if had == new or not isinstance(had, int) or not isinstance(new, int):
        return old if had == new else new
    return _scaled(call, old, had, new)


def _scaled(call: fx.Node, size: fx.Node, had: int, new: int) -> fx.Node:
    """A symbolic size that was ``had`` and must be ``new``: batch * 12 becomes batch * 12 * 8 // 12."""
    graph = call.graph
    with graph.inserting_before(call):
        grown = graph.call_function(operator.mul, (size, new))
        shrunk = graph.call_function(operator.floordiv, (grown, had))
    grown.meta["val"], shrunk.meta["val"] = had * new, new
    return shrunk


def _set(call: fx.Node, changes: Mapping[str, Any]) -> None:
    for position, argument in enumerate(schema_of(call).arguments):
        if argument.name in changes:
            if position < len(call.args) and argument.name not in call.kwargs:
                call.update_arg(position, changes[argument.name])
            else:
                call.update_kwarg(argument.name, changes[argument.name])


def _respelled(call: fx.Node, op: Op, spelling: Aten, node: Node, shapes: tuple[Shape | None, ...]) -> bool:
    """Try the operator's other overloads: ``split`` into equal parts has one that takes every size."""
    bound = arguments(call)
    data = [bound[name] for name in spelling.inputs]
    for other in op.aten:
        for target in other.targets:
            overload = overload_of(target)
            if overload is None or overload is call.target or len(other.inputs) != len(data):
                continue
            given = dict(zip(other.inputs, data, strict=True))
            given.update((arg, _listed(node.attrs.get(name))) for name, arg in other.attrs.items())
            if set(given) <= {arg.name for arg in overload._schema.arguments} and _means(
                other, given, node, shapes
            ):
                _retarget(call, overload, given)
                return True
    return False


def _retarget(call: fx.Node, overload: torch._ops.OpOverload, given: Mapping[str, Any]) -> None:
    args, kwargs = [], {}
    for argument in overload._schema.arguments:
        if argument.kwarg_only:
            kwargs.update({argument.name: given[argument.name]} if argument.name in given else {})
        else:
            args.append(
                given.get(argument.name, argument.default_value if argument.has_default_value() else None)
            )
    call.target, call.args, call.kwargs = overload, tuple(args), kwargs
