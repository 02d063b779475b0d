"""Pointwise operators of several operands: arithmetic, comparison, logic."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from .._broadcast import GATE, LIPSCHITZ, POWER, PRODUCT, QUOTIENT, RISING, SUM, broadcast_rule
from .._flow import Arrays, Flow, pointwise
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op
from .._plain import word

_Compute = Callable[..., Any]
_NAMES = ("input", "other")
_BOTH = ("Tensor", "Scalar")
_BITS = ("Tensor", "Scalar", "Scalar_Tensor")


def _targets(names: str, overloads: tuple[str, ...] = _BOTH) -> tuple[str, ...]:
    return tuple(f"{name}.{overload}" for name in names.split() for overload in overloads)


def _binary(
    name: str, compute: _Compute, targets: tuple[str, ...] = (), onnx: str = "", flow: Flow = LIPSCHITZ
) -> Op:
    """Two operands, ``self`` and ``other``."""
    return Op(
        name,
        _NAMES,
        broadcast_rule,
        lambda call, a, b: np.asarray(compute(a, b)),
        flow,
        (Aten(targets, ("self", "other")),) if targets else (),
        (Onnx((onnx,)),) if onnx else (),
    )


def _additive(name: str, compute: _Compute, onnx: str, sign: int) -> Op:
    """torch scales the second operand of its sums by ``alpha``."""

    def evaluate(call: Call, a: Array, b: Array) -> Array:
        alpha = call.attrs.get("alpha", 1)
        return np.asarray(compute(a, b if alpha == 1 else b * alpha))

    def magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
        return (np.asarray(mags[0]) + np.asarray(mags[1]) * abs(call.attrs.get("alpha", 1)),)

    torch_names = _targets("add" if sign > 0 else "sub")
    return Op(
        name,
        _NAMES,
        broadcast_rule,
        evaluate,
        pointwise(magnitude),
        (Aten(torch_names, ("self", "other"), {"alpha": "alpha"}),),
        (Onnx((onnx,)),),
        shift_in=(1, sign),
    )


def _whole(a: Array, b: Array) -> bool:
    return a.dtype.kind in "iu" and b.dtype.kind in "iu"


def _divide(call: Call, a: Array, b: Array) -> Array:
    """``rounding`` is None for a true quotient, ``floor`` or ``trunc``; whole numbers stay exact."""
    mode = call.attrs.get("rounding")
    if mode is None or (mode == "whole" and not _whole(a, b)):
        return np.asarray(a / b)
    if _whole(a, b):
        divisor = np.where(b == 0, 1, b)
        floor = a // divisor
        return np.asarray(floor if mode == "floor" else floor + ((floor < 0) & (floor * divisor != a)))
    return np.asarray(np.floor(a / b) if mode == "floor" else np.trunc(a / b))


def _rounding(mode: str | None) -> Callable[[dict[str, Any], tuple[Shape | None, ...]], dict[str, Any]]:
    return lambda attrs, shapes: {"rounding": mode}


def _remainder(call: Call, a: Array, b: Array) -> Array:
    """The sign is that of the divisor, or of the dividend where ``truncated``."""
    return np.asarray(np.fmod(a, b) if call.attrs.get("truncated", 0) else np.mod(a, b))


def _truncated(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"truncated": 1}


def _power(call: Call, a: Array, b: Array) -> Array:
    """ONNX keeps the type of the base, torch the wider one; a whole power of a float is exact either way."""
    if a.dtype.kind == "f":
        return np.asarray(np.power(a, b.astype(a.dtype)))
    raised = np.power(a.astype(np.float64), b)
    return raised.astype(a.dtype) if call.attrs.get("keeps_type") or _whole(a, b) else raised


def _keeps_type(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"keeps_type": True}


def _shift(call: Call, a: Array, b: Array) -> Array:
    return np.asarray(np.left_shift(a, b) if call.attrs["left"] else np.right_shift(a, b))


def _direction(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"left": word(attrs["direction"]) == "LEFT"}


def _leftwards(left: bool) -> Callable[[dict[str, Any], tuple[Shape | None, ...]], dict[str, Any]]:
    return lambda attrs, shapes: {"left": left}


def _variadic(name: str, compute: _Compute, onnx: str, flow: Flow) -> Op:
    def evaluate(call: Call, *arrays: Array) -> Array:
        return np.asarray(reduce(compute, arrays))

    return Op(name, ("inputs",), broadcast_rule, evaluate, flow, onnx=(Onnx((onnx,)),))


def _mean_of(call: Call, *arrays: Array) -> Array:
    return np.asarray(reduce(np.add, arrays) / len(arrays))


_COMPARE = (
    ("equal", np.equal, "eq", "Equal"),
    ("not_equal", np.not_equal, "ne", ""),
    ("less", np.less, "lt", "Less"),
    ("less_equal", np.less_equal, "le", "LessOrEqual"),
    ("greater", np.greater, "gt", "Greater"),
    ("greater_equal", np.greater_equal, "ge", "GreaterOrEqual"),
)
_LOGIC = (
    ("logical_and", np.logical_and, "And"),
    ("logical_or", np.logical_or, "Or"),
    ("logical_xor", np.logical_xor, "Xor"),
)
_BITWISE = (
    ("bitwise_and", np.bitwise_and, "BitwiseAnd"),
    ("bitwise_or", np.bitwise_or, "BitwiseOr"),
    ("bitwise_xor", np.bitwise_xor, "BitwiseXor"),
)
_PAIR = ("self", "other")

ops: tuple[Op, ...] = (
    _additive("add", np.add, "Add", 1),
    _additive("subtract", np.subtract, "Sub", -1),
    _binary("multiply", np.multiply, _targets("mul"), "Mul", PRODUCT),
    Op(
        "divide",
        _NAMES,
        broadcast_rule,
        _divide,
        QUOTIENT,
        (
            Aten(_targets("div"), _PAIR),
            Aten(_targets("div", ("Tensor_mode", "Scalar_mode")), _PAIR, {"rounding": "rounding_mode"}),
            Aten(("floor_divide.default", "floor_divide.Scalar"), _PAIR, fix=_rounding("floor")),
        ),
        (Onnx(("Div",), fix=_rounding("whole")),),
    ),
    Op(
        "power",
        _NAMES,
        broadcast_rule,
        _power,
        POWER,
        (Aten(("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar"), ("self", "exponent")),),
        (Onnx(("Pow",), fix=_keeps_type),),
    ),
    Op(
        "remainder",
        _NAMES,
        broadcast_rule,
        _remainder,
        LIPSCHITZ,
        (
            Aten(_targets("remainder", _BITS), _PAIR),
            Aten(_targets("fmod"), _PAIR, fix=_truncated),
        ),
        (Onnx(("Mod",), attrs={"truncated": "fmod"}),),
    ),
    Op(
        "shift_bits",
        _NAMES,
        broadcast_rule,
        _shift,
        LIPSCHITZ,
        (
            Aten(_targets("bitwise_left_shift", ("Tensor", "Tensor_Scalar")), _PAIR, fix=_leftwards(True)),
            Aten(_targets("bitwise_right_shift", ("Tensor", "Tensor_Scalar")), _PAIR, fix=_leftwards(False)),
        ),
        (Onnx(("BitShift",), attrs={"direction": "direction"}, fix=_direction),),
    ),
    Op(
        "maximum",
        _NAMES,
        broadcast_rule,
        lambda call, a, b: np.maximum(a, b),
        LIPSCHITZ,
        (Aten(("maximum.default", "max.other"), _PAIR), Aten(("clamp_min.Tensor",), ("self", "min"))),
    ),
    Op(
        "minimum",
        _NAMES,
        broadcast_rule,
        lambda call, a, b: np.minimum(a, b),
        LIPSCHITZ,
        (Aten(("minimum.default", "min.other"), _PAIR), Aten(("clamp_max.Tensor",), ("self", "max"))),
    ),
    _variadic("max_of", np.maximum, "Max", LIPSCHITZ),
    _variadic("min_of", np.minimum, "Min", LIPSCHITZ),
    _variadic("sum_of", np.add, "Sum", SUM),
    Op("mean_of", ("inputs",), broadcast_rule, _mean_of, RISING, onnx=(Onnx(("Mean",)),)),
    _binary("fmax", np.fmax, ("fmax.default",)),
    _binary("fmin", np.fmin, ("fmin.default",)),
    _binary("atan2", np.arctan2, ("atan2.default",), flow=GATE),
    _binary("hypot", np.hypot, ("hypot.default",), flow=SUM),
    _binary("copysign", np.copysign, _targets("copysign")),
    _binary("log_add_exp", np.logaddexp, ("logaddexp.default",)),
    *(_binary(name, compute, _targets(aten), onnx, GATE) for name, compute, aten, onnx in _COMPARE),
    *(_binary(name, compute, (f"{name}.default",), onnx, GATE) for name, compute, onnx in _LOGIC),
    *(_binary(name, compute, _targets(name, _BITS), onnx, GATE) for name, compute, onnx in _BITWISE),
)
