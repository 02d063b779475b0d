"""Choosing entry by entry: clip, where, masked_fill, and PReLU, whose slope may belong to the channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._broadcast import broadcast_rule
from .._dims import atoms
from .._flow import Arrays, Flow, Sampler, pointwise
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule


def _bounds(call: Call, low: Array | None, high: Array | None) -> tuple[Any, Any]:
    return call.attrs.get("low", low), call.attrs.get("high", high)


def _clip(call: Call, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    low, high = _bounds(call, low, high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _clip_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """No more than came in, nor than the larger bound where there are two; a positive floor is kept."""
    low, high = _bounds(call, *(call.known(i) if call.has(i) else None for i in (1, 2)))
    size = np.asarray(mags[0])
    if low is not None and high is not None:
        size = np.minimum(size, np.maximum(abs(low), abs(high)))
    return (size if low is None else np.maximum(size, low),)


def _chosen(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The larger of what may be chosen; -inf, which masks attention, is no magnitude."""
    named = zip(op.operands, mags, strict=True)
    data = [np.asarray(mag) for name, mag in named if name != "condition"]
    finite = [np.where(np.isfinite(mag), mag, 0.0) for mag in data]
    return (np.maximum.reduce(np.broadcast_arrays(*finite)),)


def _where(call: Call, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition.astype(bool), a, b)


def _fill(call: Call, x: Array, condition: Array, value: Array) -> Array:
    return np.where(condition.astype(bool), value, x)


def _prelu_rule(call: Call) -> Rule:
    """torch states one slope per channel as (C,); ONNX broadcasts it."""
    data = call.shape(0)
    if not call.attrs.get("per_channel"):
        return broadcast_rule(call)
    dims = atoms(data)
    return Rule((dims, (dims[1],)), (dims,))


def _prelu(call: Call, x: Array, slope: Array) -> Array:
    if call.attrs.get("per_channel"):
        slope = slope.reshape(*slope.shape, *(1,) * (x.ndim - 2))
    return np.where(x > 0, x, x * slope)


def _prelu_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The slope below 0 counts where it is steeper than that above."""
    slope = np.asarray(mags[1])
    if call.attrs.get("per_channel"):
        slope = slope.reshape(*slope.shape, *(1,) * (len(call.shape(0)) - 2))
    return (np.asarray(mags[0]) * np.maximum(slope, 1.0),)


def _prelu_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    if not call.attrs.get("per_channel"):
        return pointwise(_prelu_magnitude).moments(op, call, samples, sampler)
    x, slope = samples
    if x is None or slope is None:
        return (None,)
    return (np.where(x > 0, x, x * slope.reshape(len(slope), 1, -1, *(1,) * (x.ndim - 3))),)


def _per_channel(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    data, slope = shapes[0], shapes[1]
    return {"per_channel": data is not None and len(data) > 1 and slope is not None and slope != (1,)}


_PICK = ("condition", "self", "other")

ops = (
    Op(
        "clip",
        ("input", "low", "high"),
        broadcast_rule,
        _clip,
        pointwise(_clip_magnitude),
        (
            Aten(("clamp.default", "clamp.Tensor"), ("self", "min", "max")),
            Aten(("clamp_min.default",), ("self", "min")),
            Aten(("clamp_max.default",), attrs={"high": "max"}),
        ),
        (Onnx(("Clip",), (0,), {"low": "min", "high": "max"}, until=10), Onnx(("Clip",), since=11)),
    ),
    Op(
        "where",
        ("condition", "input", "other"),
        broadcast_rule,
        _where,
        pointwise(_chosen),
        (Aten(("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar"), _PICK),),
        (Onnx(("Where",)),),
    ),
    Op(
        "masked_fill",
        ("input", "condition", "value"),
        broadcast_rule,
        _fill,
        pointwise(_chosen),
        (Aten(("masked_fill.Scalar", "masked_fill.Tensor"), ("self", "mask", "value")),),
    ),
    Op(
        "prelu",
        ("input", "slope"),
        _prelu_rule,
        _prelu,
        Flow(_prelu_magnitude, _prelu_moments),
        (
            Aten(("prelu.default",), ("self", "weight"), fix=_per_channel),
            Aten(("_prelu_kernel.default",), ("self", "weight")),
        ),
        (Onnx(("PRelu",)),),
    ),
)
