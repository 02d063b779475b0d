"""Activations, one declaration each; what they are called in the hosts stands beside what they compute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .._broadcast import GATE, steep, unary
from .._elementary import gelu, sigmoid
from .._graph import Array
from .._op import Op


def _elu(x: Array, alpha: float, scale: float, input_scale: float) -> Array:
    return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * input_scale)))


def _celu(x: Array, alpha: float) -> Array:
    return np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _softplus(x: Array, beta: float, limit: float) -> Array:
    """Above the limit torch takes the line itself."""
    return np.where(x * beta > limit, x, np.logaddexp(0, x * beta) / beta)


def _shrink(x: Array, bound: float, bias: float) -> Array:
    return np.where(x > bound, x - bias, np.where(x < -bound, x + bias, 0))


def _threshold(x: Array, limit: float, value: float) -> Array:
    return np.where(x > limit, x, value)


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772, 1.0507009873554805
_ELU = {
    "alpha": (1.0, "alpha", "alpha"),
    "scale": (1.0, "scale", ""),
    "input_scale": (1.0, "input_scale", ""),
}
_SELU = {
    "alpha": (_SELU_ALPHA, "", "alpha"),
    "scale": (_SELU_GAMMA, "", "gamma"),
    "input_scale": (1.0, "", ""),
}
_LEAKY = {"slope": (0.01, "negative_slope", "alpha")}
_LEAKY_FLOW = steep(lambda attrs: max(1.0, abs(attrs.get("slope", 0.01))))
_ELU_FLOW = steep(
    lambda attrs: (
        abs(attrs.get("scale", 1.0)) * max(1.0, abs(attrs.get("alpha", 1.0) * attrs.get("input_scale", 1.0)))
    )
)
_SELU_FLOW = steep(
    lambda attrs: abs(attrs.get("scale", _SELU_GAMMA)) * max(1.0, abs(attrs.get("alpha", _SELU_ALPHA)))
)
# Swish, GELU and Mish fall below 0 to the left: their slope goes up to 1.1, but |f(x)| <= |x| still holds.

_SLOPES = {"low": (0.125, "lower", ""), "high": (1 / 3, "upper", "")}

ops: tuple[Op, ...] = (
    unary("relu", lambda x: np.maximum(x, 0), "relu", "Relu"),
    unary("relu6", lambda x: np.minimum(np.maximum(x, 0), 6), "relu6"),
    unary(
        "hard_tanh",
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        "hardtanh",
        attrs={"low": (-1.0, "min_val", ""), "high": (1.0, "max_val", "")},
    ),
    unary("sigmoid", sigmoid, "sigmoid", "Sigmoid", GATE),
    # torch's slope is 1/6, that of ONNX is 0.2 unless stated: two declarations of one function.
    unary("hard_sigmoid", lambda x: _hard_sigmoid(x, 1 / 6, 0.5), "hardsigmoid", flow=GATE),
    unary(
        "sloped_sigmoid",
        _hard_sigmoid,
        onnx="HardSigmoid",
        flow=GATE,
        attrs={"alpha": (0.2, "", "alpha"), "beta": (0.5, "", "beta")},
    ),
    unary("hard_swish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), "hardswish", "HardSwish"),
    unary("silu", lambda x, a: x * sigmoid(a * x), "silu", "Swish", attrs={"alpha": (1.0, "", "alpha")}),
    unary(
        "quick_gelu",
        lambda x, a: x * sigmoid(a * x),
        onnx="com.microsoft::QuickGelu",
        attrs={"alpha": (1.702, "", "alpha")},
    ),
    unary("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), "mish", "Mish"),
    unary("gelu", gelu, "gelu", "Gelu", attrs={"form": ("none", "approximate", "approximate")}),
    unary("exact_gelu", lambda x: gelu(x, "none"), onnx="com.microsoft::Gelu"),
    unary("elu", _elu, "elu", "Elu", _ELU_FLOW, _ELU),
    unary("selu", lambda x: _elu(x, _SELU_ALPHA, _SELU_GAMMA, 1.0), "selu", flow=_SELU_FLOW),
    unary("scaled_elu", _elu, onnx="Selu", flow=_SELU_FLOW, attrs=_SELU),
    unary("celu", _celu, "celu", "Celu", attrs={"alpha": (1.0, "alpha", "alpha")}),
    unary(
        "leaky_relu", lambda x, a: np.where(x > 0, x, a * x), "leaky_relu", "LeakyRelu", _LEAKY_FLOW, _LEAKY
    ),
    replace(
        unary(
            "rrelu",
            lambda x, low, high, _: np.where(x > 0, x, (low + high) / 2 * x),
            "rrelu",
            attrs={**_SLOPES, "training": (False, "training", "")},
        ),
        random=lambda attrs: bool(attrs.get("training")),
    ),
    unary(
        "thresholded_relu",
        lambda x, a: np.where(x > a, x, 0),
        onnx="ThresholdedRelu",
        attrs={"alpha": (1.0, "", "alpha")},
    ),
    unary(
        "threshold",
        _threshold,
        "threshold",
        attrs={"limit": (0.0, "threshold", ""), "value": (0.0, "value", "")},
    ),
    unary(
        "softplus", _softplus, "softplus", attrs={"beta": (1.0, "beta", ""), "limit": (20.0, "threshold", "")}
    ),
    unary("soft_relu", lambda x: np.logaddexp(0, x), onnx="Softplus"),
    unary("softsign", lambda x: x / (1 + abs(x)), onnx="Softsign"),
    unary("softshrink", lambda x, b: _shrink(x, b, b), "softshrink", attrs={"bound": (0.5, "lambd", "")}),
    unary("hardshrink", lambda x, b: _shrink(x, b, 0), "hardshrink", attrs={"bound": (0.5, "lambd", "")}),
    unary("shrink", _shrink, onnx="Shrink", attrs={"bound": (0.5, "", "lambd"), "bias": (0.0, "", "bias")}),
    unary("log_sigmoid", lambda x: -np.logaddexp(0, -x), "log_sigmoid"),
    unary("tanh", np.tanh, "tanh", "Tanh"),
)
