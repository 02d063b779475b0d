"""Elementary functions of one operand, entry by entry, one line each."""

from __future__ import annotations

import numpy as np

from .._broadcast import GATE, LIPSCHITZ, LOGARITHM, RISING, nonzero, steep, unary
from .._elementary import error_function
from .._flow import Arrays, pointwise
from .._graph import Array
from .._op import Call, Op


def _inverted(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """x * rsqrt(mean(x * x)) is how a normalisation is spelled out: its magnitude comes out near 1."""
    return op.run(call, (nonzero(np.asarray(mags[0])),))


def _is_inf(x: Array, negative: int, positive: int) -> Array:
    return (np.isposinf(x) & bool(positive)) | (np.isneginf(x) & bool(negative))


_INVERSE = pointwise(_inverted)
# exp is taken of what is at most 0 in networks (softmax, decay), so its magnitude is that of a gate.
_INFINITE = {"negative": (1, "", "detect_negative"), "positive": (1, "", "detect_positive")}

ops: tuple[Op, ...] = (
    unary("erf", error_function, "erf", "Erf", steep(lambda attrs: 2 / np.sqrt(np.pi))),
    unary("erfc", lambda x: 1 - error_function(x), "erfc", flow=steep(lambda attrs: 2 / np.sqrt(np.pi))),
    unary("exp", np.exp, "exp", "Exp", GATE),
    unary("exp2", np.exp2, "exp2", flow=GATE),
    unary("expm1", np.expm1, "expm1"),
    unary("log", np.log, "log", "Log", LOGARITHM),
    unary("log2", np.log2, "log2", flow=LOGARITHM),
    unary("log10", np.log10, "log10", flow=LOGARITHM),
    unary("log1p", np.log1p, "log1p", flow=LOGARITHM),
    unary("sqrt", np.sqrt, "sqrt", "Sqrt", RISING),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), "rsqrt", flow=_INVERSE),
    unary("reciprocal", lambda x: 1 / x, "reciprocal", "Reciprocal", _INVERSE),
    unary("square", np.square, "square", flow=RISING),
    unary("abs", np.abs, "abs", "Abs"),
    unary("neg", np.negative, "neg", "Neg"),
    unary("sign", np.sign, "sign", "Sign", GATE),
    unary("signum", np.sign, "sgn", flow=GATE),
    unary("floor", np.floor, "floor", "Floor"),
    unary("ceil", np.ceil, "ceil", "Ceil"),
    unary("round", np.round, "round", "Round"),
    unary("trunc", np.trunc, "trunc"),
    unary("frac", lambda x: x - np.trunc(x), "frac"),
    unary("sin", np.sin, "sin", "Sin", GATE),
    unary("cos", np.cos, "cos", "Cos", GATE),
    unary("tan", np.tan, "tan", "Tan"),
    unary("asin", np.arcsin, "asin", "Asin", steep(lambda attrs: np.pi / 2)),
    unary("acos", np.arccos, "acos", "Acos", steep(lambda attrs: np.pi / 2)),
    unary("atan", np.arctan, "atan", "Atan"),
    unary("sinh", np.sinh, "sinh", "Sinh", RISING),
    unary("cosh", np.cosh, "cosh", "Cosh", RISING),
    unary("asinh", np.arcsinh, "asinh", "Asinh"),
    unary("acosh", np.arccosh, "acosh", "Acosh"),
    unary("atanh", np.arctanh, "atanh", "Atanh"),
    unary("logical_not", np.logical_not, "logical_not", "Not", GATE),
    unary("bitwise_not", np.invert, "bitwise_not", "BitwiseNot", GATE),
    unary("is_nan", np.isnan, "isnan", "IsNaN", GATE),
    unary("is_inf", _is_inf, "isinf", "IsInf", GATE, _INFINITE),
    unary("is_finite", np.isfinite, "isfinite", flow=GATE),
    unary("positive", np.positive, "positive", flow=LIPSCHITZ),
)
