"""Pointwise operators of one operand: activations and elementary functions, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt

import numpy as np

from .._broadcast import GATE, LIPSCHITZ, unary_rule
from .._flow import Flow
from .._graph import Array
from .._op import Aten, Call, Onnx, Op

_erf = np.vectorize(erf, otypes=[np.float64])


def normal_erf(x: Array) -> Array:
    """The error function, entry by entry (numpy has none)."""
    return _erf(x).astype(x.dtype) if x.size else x


def sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _gelu(x: Array, tanh: bool) -> Array:
    if tanh:
        return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + normal_erf(x / sqrt(2)))


def _elu(x: Array, alpha: float, scale: float, input_scale: float) -> Array:
    below = alpha * np.expm1(np.minimum(x, 0) * input_scale)
    return scale * np.where(x > 0, x, below)


def _softplus(x: Array, beta: float, threshold: float) -> Array:
    soft = np.logaddexp(0, x * beta) / beta
    return np.where(x * beta > threshold, x, soft)


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


_Compute = Callable[..., Array]


def _unary(
    name: str,
    compute: _Compute,
    aten: str = "",
    onnx: str = "",
    flow: Flow = LIPSCHITZ,
    attrs: Mapping[str, tuple[float, str, str]] | None = None,
) -> Op:
    """One activation; ``attrs`` maps a name to (default, aten argument, ONNX attribute)."""
    table = dict(attrs or {})

    def evaluate(call: Call, x: Array) -> Array:
        return compute(x, *(call.attrs.get(key, default) for key, (default, _, _) in table.items()))

    torch_attrs = {key: argument for key, (_, argument, _) in table.items() if argument}
    onnx_attrs = {key: attribute for key, (_, _, attribute) in table.items() if attribute}
    return Op(
        name,
        ("input",),
        unary_rule,
        evaluate,
        flow,
        (Aten(tuple(f"{t}.default" for t in aten.split()), attrs=torch_attrs),) if aten else (),
        (Onnx(tuple(onnx.split()), (0,), onnx_attrs),) if onnx else (),
    )


def _hard_sigmoid_spellings() -> tuple[Op, ...]:
    """torch's slope is 1/6, ONNX's default 0.2: two declarations of one function."""

    def sixth(x: Array) -> Array:
        return _hard_sigmoid(x, 1 / 6, 0.5)

    slopes = {"alpha": (0.2, "", "alpha"), "beta": (0.5, "", "beta")}
    return (
        _unary("hard_sigmoid", sixth, "hardsigmoid", flow=GATE),
        _unary("sloped_sigmoid", _hard_sigmoid, onnx="HardSigmoid", flow=GATE, attrs=slopes),
    )


_ELU = {
    "alpha": (1.0, "alpha", "alpha"),
    "scale": (1.0, "scale", ""),
    "input_scale": (1.0, "input_scale", ""),
}
_SELU = {"alpha": (1.6732632423543772, "", "alpha"), "gamma": (1.0507009873554805, "", "gamma")}

ops = (
    _unary("relu", lambda x: np.maximum(x, 0), "relu", "Relu"),
    _unary("relu6", lambda x: np.clip(x, 0, 6), "relu6"),
    _unary("hard_tanh", np.clip, "hardtanh", attrs={"low": (-1.0, "min_val", ""), "high": (1.0, "max_val", "")}),
    _unary("sigmoid", sigmoid, "sigmoid", "Sigmoid", GATE),
    *_hard_sigmoid_spellings(),
    _unary("hard_swish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), "hardswish", "HardSwish"),
    _unary("silu", lambda x: x * sigmoid(x), "silu", "Swish"),
    _unary("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), "mish", "Mish"),
    _unary(
        "gelu",
        lambda x, form: _gelu(x, form in ("tanh", b"tanh")),
        "gelu",
        "Gelu",
        attrs={"form": ("none", "approximate", "approximate")},  # type: ignore[dict-item]
    ),
    _unary("elu", _elu, "elu", "Elu", attrs=_ELU),
    _unary("selu", lambda x, a, g: g * np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))), "selu", "Selu", attrs=_SELU),
    _unary("celu", lambda x, a: np.maximum(x, 0) + np.minimum(0, a * np.expm1(np.minimum(x, 0) / a)), "celu", "Celu",
           attrs={"alpha": (1.0, "alpha", "alpha")}),
    _unary("leaky_relu", lambda x, a: np.where(x > 0, x, a * x), "leaky_relu", "LeakyRelu",
           attrs={"slope": (0.01, "negative_slope", "alpha")}),
    _unary("thresholded_relu", lambda x, a: np.where(x > a, x, 0), "", "ThresholdedRelu",
           attrs={"alpha": (1.0, "", "alpha")}),
    _unary("threshold", lambda x, t, v: np.where(x > t, x, v), "threshold",
           attrs={"threshold": (0.0, "threshold", ""), "value": (0.0, "value", "")}),
    _unary("softplus", _softplus, "softplus", "Softplus",
           attrs={"beta": (1.0, "beta", ""), "limit": (20.0, "threshold", "")}),
    _unary("softsign", lambda x: x / (1 + abs(x)), "", "Softsign"),
    _unary("softshrink", lambda x, b: np.where(x > b, x - b, np.where(x < -b, x + b, 0)), "softshrink",
           attrs={"bound": (0.5, "lambd", "")}),
    _unary("hardshrink", lambda x, b: np.where(abs(x) > b, x, 0), "hardshrink", attrs={"bound": (0.5, "lambd", "")}),
    _unary("log_sigmoid", lambda x: -np.logaddexp(0, -x), "log_sigmoid"),
    _unary("tanh", np.tanh, "tanh", "Tanh"),
    _unary("erf", normal_erf, "erf", "Erf"),
    _unary("exp", np.exp, "exp", "Exp"),
    _unary("expm1", np.expm1, "expm1"),
    _unary("log", np.log, "log", "Log"),
    _unary("log1p", np.log1p, "log1p"),
    _unary("sqrt", np.sqrt, "sqrt", "Sqrt"),
    _unary("rsqrt", lambda x: 1 / np.sqrt(x), "rsqrt"),
    _unary("reciprocal", lambda x: 1 / x, "reciprocal", "Reciprocal"),
    _unary("square", np.square, "square"),
    _unary("abs", np.abs, "abs", "Abs"),
    _unary("neg", np.negative, "neg", "Neg"),
    _unary("sign", np.sign, "sign", "Sign", GATE),
    _unary("floor", np.floor, "floor", "Floor"),
    _unary("ceil", np.ceil, "ceil", "Ceil"),
    _unary("round", np.round, "round", "Round"),
    _unary("trunc", np.trunc, "trunc"),
    _unary("sin", np.sin, "sin", "Sin", GATE),
    _unary("cos", np.cos, "cos", "Cos", GATE),
    _unary("logical_not", np.logical_not, "logical_not", "Not", GATE),
    _unary("bitwise_not", np.invert, "bitwise_not", flow=GATE),
    _unary("is_nan", np.isnan, "isnan", "IsNaN", GATE),
    _unary("is_inf", np.isinf, "isinf", "IsInf", GATE),
)
