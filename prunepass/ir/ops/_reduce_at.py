"""Variances, and reductions that tell where: argmax, max and min along one axis with their positions.

Rule: as for reductions; an axis whose positions are told is pinned, for the numbers count what stands on it.
Where a host leaves the positions out, for nobody reads them, the axis holds statistics as for any maximum.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .._flow import Arrays, Flow
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, host_facts
from .._reduction import ALONG, from_torch, reduced, reduced_count, reduced_moments, torch_spelling
from .._spelling import shape_of

_REASON = "positions along it are told"


def _variance(call: Call, x: Array) -> tuple[Array, ...]:
    """``correction`` is taken off the count; ``root`` asks for the deviation, ``mean`` for the mean too."""
    axes, keep = call.attrs["axes"], bool(call.attrs["keepdims"])
    mean = x.mean(axis=axes, keepdims=True)
    count = int(np.prod([x.shape[axis] for axis in axes]))
    freedom = max(count - call.attrs.get("correction", 1.0), 0.0)
    var = ((x - mean) ** 2).sum(axis=axes, keepdims=keep) / freedom
    spread = np.sqrt(var) if call.attrs.get("root") else var
    return (spread, mean.reshape(var.shape)) if call.attrs.get("mean") else (spread,)


def _variance_rule(call: Call) -> Rule:
    rule = reduced(call, exact=False, results=2 if call.attrs.get("mean") else 1)
    return replace(rule, centred=rule.statistics)


def _variance_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """At most the mean square, scaled as the variance is."""
    data, axes, keep = np.asarray(mags[0]), call.attrs["axes"], bool(call.attrs["keepdims"])
    count = reduced_count(call)
    square = (data**2).sum(axis=axes, keepdims=keep) / max(count - call.attrs.get("correction", 1.0), 1.0)
    spread = np.asarray(np.sqrt(square) if call.attrs.get("root") else square)
    return (spread, data.mean(axis=axes, keepdims=keep)) if call.attrs.get("mean") else (spread,)


def _variance_spelling(name: str, **extra: Any) -> tuple[Aten, ...]:
    """The three forms in which torch states what it takes off the count."""

    def fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
        taken = attrs.get("correction")
        neutral = from_torch(attrs, shapes)
        return {**neutral, "correction": 1.0 if taken is None else float(taken), **extra}

    return (
        torch_spelling(f"{name}.default", attrs={"correction": "unbiased"}, fix=fix),
        torch_spelling(f"{name}.dim", attrs={"correction": "unbiased", **ALONG}, fix=fix),
        torch_spelling(f"{name}.correction", attrs={"correction": "correction", **ALONG}, fix=fix),
    )


def _pinned(rule: Rule) -> Rule:
    return Rule(rule.operands, rule.results, pins=tuple((dim, _REASON) for dim in rule.statistics))


def _place_rule(call: Call) -> Rule:
    """Without an axis the numbers count all entries."""
    rank, axis = len(call.shape(0)), call.attrs.get("axis")
    axes = tuple(range(rank)) if axis is None else (axis,)[:rank]
    return _pinned(reduced(replace(call, attrs={**call.attrs, "axes": axes}), exact=False))


def _place(x: Array, axis: int | None, keep: bool, *, largest: bool, last: bool) -> Array:
    flat = x if x.ndim == 0 or axis is not None else x.ravel()
    if x.ndim == 0:
        return np.zeros((), np.int64)
    along = axis if axis is not None else 0
    seen = np.flip(flat, along) if last else flat
    found = seen.argmax(axis=along) if largest else seen.argmin(axis=along)
    found = np.asarray(flat.shape[along] - 1 - found if last else found)
    if not keep:
        return found
    return found.reshape((1,) * x.ndim) if axis is None else np.expand_dims(found, axis)


def _arg(call: Call, x: Array, *, largest: bool) -> Array:
    keep, last = bool(call.attrs["keepdims"]), bool(call.attrs.get("last", False))
    return _place(x, call.attrs.get("axis"), keep, largest=largest, last=last)


def _extreme_rule(call: Call) -> Rule:
    rule = reduced(call, exact=False, results=2)
    return rule if len(call.results) == 1 else _pinned(rule)


def _extreme(call: Call, x: Array, *, largest: bool) -> tuple[Array, ...]:
    if x.ndim == 0:
        return x, np.zeros((), np.int64)
    (axis,), keep = call.attrs["axes"], bool(call.attrs["keepdims"])
    values = x.max(axis=axis, keepdims=keep) if largest else x.min(axis=axis, keepdims=keep)
    return np.asarray(values), _place(x, axis, keep, largest=largest, last=False)


def _extreme_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|max x - max y| <= sum |x - y|; positions are not always read."""
    total = np.asarray(mags[0]).sum(axis=call.attrs["axes"], keepdims=bool(call.attrs["keepdims"]))
    return (total, *(np.ones(shape) for shape in call.results[1:]))


def _one(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.ones(call.results[0]),)


def _axis_from_torch(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    axis, rank = attrs.get("axis"), len(shape_of(shapes))
    return {"axis": None if axis is None else axis_of(axis, rank), "keepdims": bool(attrs.get("keepdims"))}


def _axis_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    axis = axis_of(plain.get("axis", 0), len(shape_of(shapes)))
    return {"axis": axis, "keepdims": bool(plain.get("keepdims", 1)), "last": bool(plain.get("last", 0))}


_VAR_FLOW = Flow(_variance_magnitude, reduced_moments())
_PLACE = {"axis": "axis", "keepdims": "keepdims", "last": "select_last_index"}

ops = (
    Op(
        "variance",
        ("input",),
        _variance_rule,
        _variance,
        _VAR_FLOW,
        (
            *_variance_spelling("var"),
            *_variance_spelling("std", root=True),
            *_variance_spelling("var_mean", mean=True),
            *_variance_spelling("std_mean", root=True, mean=True),
        ),
    ),
    *(
        Op(
            f"arg{word}",
            ("input",),
            _place_rule,
            partial(_arg, largest=word == "max"),
            Flow(_one),
            (
                Aten(
                    (f"arg{word}.default",),
                    attrs={"axis": "dim", "keepdims": "keepdim"},
                    fix=_axis_from_torch,
                ),
            ),
            (Onnx((f"Arg{word.capitalize()}",), (0,), {**_PLACE}, fix=_axis_from_onnx),),
        )
        for word in ("max", "min")
    ),
    *(
        Op(
            f"{word}_at",
            ("input",),
            _extreme_rule,
            partial(_extreme, largest=word == "max"),
            Flow(_extreme_magnitude),
            (torch_spelling(f"{word}.dim", attrs=ALONG),),
        )
        for word in ("max", "min")
    ),
)
