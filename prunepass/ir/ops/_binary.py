"""Pointwise operators of several operands: arithmetic, comparison, choice, one line each."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from .._broadcast import GATE, LIPSCHITZ, PRODUCT, QUOTIENT, SUM, broadcast_rule
from .._flow import Arrays, Flow, evaluated, pointwise
from .._graph import Array
from .._op import Aten, Call, Onnx, Op, Rule

_Compute = Callable[..., Array]
_TENSOR_SCALAR = ("Tensor", "Scalar")


def _targets(names: str, overloads: tuple[str, ...] = _TENSOR_SCALAR) -> tuple[str, ...]:
    return tuple(f"{name}.{overload}" for name in names.split() for overload in overloads)


def _binary(name: str, compute: _Compute, aten: str, onnx: str, flow: Flow = LIPSCHITZ, shift: bool = False) -> Op:
    """One operator of two operands, ``self`` and ``other``."""
    return Op(
        name,
        ("input", "other"),
        broadcast_rule,
        lambda call, *arrays: compute(*arrays),
        flow,
        (Aten(_targets(aten), ("self", "other")),) if aten else (),
        (Onnx(tuple(onnx.split())),) if onnx else (),
        shift_in=(1, 1) if shift else None,
    )


def _scaled(compute: _Compute) -> _Compute:
    """torch's add and sub scale their second operand by ``alpha``."""
    return lambda call, a, b: compute(a, b if call.attrs.get("alpha", 1) == 1 else b * call.attrs["alpha"])


def _additive(name: str, compute: _Compute, aten: str, onnx: str, sign: int) -> Op:
    return Op(
        name,
        ("input", "other"),
        broadcast_rule,
        _scaled(compute),
        SUM,
        (Aten(_targets(aten), ("self", "other"), {"alpha": "alpha"}),),
        (Onnx((onnx,)),),
        shift_in=(1, sign),
    )


def _divide(call: Call, a: Array, b: Array) -> Array:
    """Integers divide towards zero as in ONNX; torch's ``div`` always gives floats and says how to round."""
    mode = call.attrs.get("rounding", "int" if a.dtype.kind in "iu" and b.dtype.kind in "iu" else None)
    if mode == "int":
        return np.trunc(a / np.where(b == 0, 1, b)).astype(a.dtype)
    quotient = a / b
    return quotient if mode is None else (np.floor if mode == "floor" else np.trunc)(quotient)


def _variadic(name: str, compute: _Compute, onnx: str, flow: Flow) -> Op:
    return Op(name, ("inputs",), broadcast_rule, lambda call, *xs: reduce(compute, xs), flow, onnx=(Onnx((onnx,)),))


def _clip(call: Call, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    low, high = call.attrs.get("low", low), call.attrs.get("high", high)
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _clip_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Between bounds nothing exceeds the larger of them."""
    return evaluated(op, call, mags)


def _prelu_rule(call: Call) -> Rule:
    """The slope is one number or one per channel, whatever its layout: torch gives it as (C,)."""
    data, slope = call.shape(0), call.shape(1)
    if len(slope) == 1 and len(data) > 1 and slope[0] == data[1] and call.attrs.get("channel_axis"):
        rule = broadcast_rule(Call(call.attrs, (data,), origin=call.origin))
        return Rule((rule.results[0], (rule.results[0][1],)), rule.results)
    return broadcast_rule(call)


def _prelu(call: Call, x: Array, slope: Array) -> Array:
    if call.attrs.get("channel_axis") and slope.size > 1:
        slope = slope.reshape(slope.shape[-1], *(1,) * (x.ndim - 2 - (slope.ndim - 1)))
    return np.where(x > 0, x, x * slope)


def _where_rule(call: Call) -> Rule:
    rule = broadcast_rule(call)
    return rule if rule.results[0] else Rule(rule.operands, ((),))


def _pow(call: Call, a: Array, b: Array) -> Array:
    return np.power(a, b.astype(a.dtype) if a.dtype.kind == "f" else b)


_COMPARE = (
    ("equal", np.equal, "eq", "Equal"),
    ("not_equal", np.not_equal, "ne", ""),
    ("less", np.less, "lt", "Less"),
    ("less_equal", np.less_equal, "le", "LessOrEqual"),
    ("greater", np.greater, "gt", "Greater"),
    ("greater_equal", np.greater_equal, "ge", "GreaterOrEqual"),
)
_LOGIC = (
    ("logical_and", np.logical_and, "logical_and.default", "And"),
    ("logical_or", np.logical_or, "logical_or.default", "Or"),
    ("logical_xor", np.logical_xor, "logical_xor.default", "Xor"),
    ("bitwise_and", np.bitwise_and, "bitwise_and.Tensor", "BitwiseAnd"),
    ("bitwise_or", np.bitwise_or, "bitwise_or.Tensor", "BitwiseOr"),
)
_CLIP_ATEN = (
    Aten(("clamp.default",), ("self", "min", "max")),
    Aten(("clamp.Tensor",), ("self", "min", "max")),
    Aten(("clamp_min.default", "clamp_min.Tensor"), ("self", "min")),
)
_ADD = _additive("add", np.add, "add", "Add", 1)

ops = (
    _ADD,
    _additive("subtract", np.subtract, "sub", "Sub", -1),
    _binary("multiply", np.multiply, "mul", "Mul", PRODUCT),
    Op(
        "divide",
        ("input", "other"),
        broadcast_rule,
        _divide,
        QUOTIENT,
        (
            Aten(_targets("div"), ("self", "other"), fix=lambda attrs, _: {"rounding": None}),
            Aten(_targets("div", ("Tensor_mode", "Scalar_mode")), ("self", "other"), {"rounding": "rounding_mode"}),
        ),
        (Onnx(("Div",)),),
    ),
    Op("power", ("input", "other"), broadcast_rule, _pow, LIPSCHITZ,
       (Aten(("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar"), ("self", "exponent")),), (Onnx(("Pow",)),)),
    _binary("remainder", np.mod, "remainder", "Mod"),
    Op("maximum", ("input", "other"), broadcast_rule, lambda call, a, b: np.maximum(a, b), LIPSCHITZ,
       (Aten(("maximum.default",), ("self", "other")),)),
    Op("minimum", ("input", "other"), broadcast_rule, lambda call, a, b: np.minimum(a, b), LIPSCHITZ,
       (Aten(("minimum.default",), ("self", "other")),)),
    _variadic("max_of", np.maximum, "Max", LIPSCHITZ),
    _variadic("min_of", np.minimum, "Min", LIPSCHITZ),
    _variadic("sum_of", np.add, "Sum", SUM),
    Op("mean_of", ("inputs",), broadcast_rule, lambda call, *xs: reduce(np.add, xs) / len(xs), SUM,
       onnx=(Onnx(("Mean",)),)),
    Op("clip", ("input", "low", "high"), broadcast_rule, _clip, pointwise(_clip_magnitude), _CLIP_ATEN,
       (Onnx(("Clip",), (0,), {"low": "min", "high": "max"}, until=10), Onnx(("Clip",), since=11))),
    Op("prelu", ("input", "slope"), _prelu_rule, _prelu, LIPSCHITZ,
       (Aten(("prelu.default", "_prelu_kernel.default"), ("self", "weight"), fix=lambda a, _: {"channel_axis": True}),),
       (Onnx(("PRelu",)),)),
    Op("where", ("condition", "input", "other"), _where_rule, lambda call, c, a, b: np.where(c.astype(bool), a, b),
       LIPSCHITZ, (Aten(("where.self", "where.ScalarOther", "where.ScalarSelf"), ("condition", "self", "other")),),
       (Onnx(("Where",)),)),
    Op("masked_fill", ("input", "condition", "value"), broadcast_rule,
       lambda call, a, c, v: np.where(c.astype(bool), v, a), LIPSCHITZ,
       (Aten(("masked_fill.Scalar", "masked_fill.Tensor"), ("self", "mask", "value")),)),
    *(_binary(name, compute, aten, onnx, GATE) for name, compute, aten, onnx in _COMPARE),
    *(Op(name, ("input", "other"), broadcast_rule, lambda call, a, b, f=compute: f(a, b), GATE,  # type: ignore[misc]
         (Aten((aten,), ("self", "other")),), (Onnx((onnx,)),)) for name, compute, aten, onnx in _LOGIC),
)
