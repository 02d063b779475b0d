"""BatchNorm: per channel, with statistics that the model carries (inference) or of the batch (training).

Rule: everything shares the channel; nothing is summed over it, so cutting a channel is exact either way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts

_EPS = 1e-5


def _rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    per_channel: Dims = (dims[1],)
    operands = (dims, *(per_channel if call.has(i) else None for i in range(1, len(call.shapes))))
    extra = tuple((Fixed(0),) if kind == "empty" else per_channel for kind in call.attrs.get("extra", ()))
    over = (dims[0], *dims[2:]) if _of_batch(call) else ()
    return Rule(operands, (dims, *extra), statistics=over, centred=over)


def _of_batch(call: Call) -> bool:
    """Return whether the statistics are those of the batch: in training, and where the model carries none."""
    return bool(call.attrs.get("training", False)) or not (call.has(3) and call.has(4))


def _columns(vector: Array, rank: int) -> Array:
    return vector.reshape(-1, *(1,) * (rank - 2))


def _batch_norm(call: Call, x: Array, *params: Array | None) -> tuple[Array, ...]:
    scale, shift, mean, var = (params[i] if i < len(params) else None for i in range(4))
    axes, rank = (0, *range(2, x.ndim)), x.ndim
    if _of_batch(call):
        now_mean, now_var = x.mean(axis=axes), x.var(axis=axes)
    else:
        assert mean is not None
        assert var is not None
        now_mean, now_var = mean, var
    rstd = 1 / np.sqrt(now_var + call.attrs.get("eps", _EPS))
    slope = rstd if scale is None else rstd * scale
    offset = -now_mean * slope if shift is None else shift - now_mean * slope
    made = {"empty": np.zeros(0), "mean": now_mean, "rstd": rstd}
    new = call.attrs.get("momentum", 0.1)
    count = 1 if call.attrs.get("biased", False) else x.size // x.shape[1]
    if mean is not None and var is not None:
        made["running_mean"] = (1 - new) * mean + new * now_mean
        made["running_var"] = (1 - new) * var + new * now_var * (count / max(count - 1, 1))
    extra = (made[kind] for kind in call.attrs.get("extra", ()))
    return (x * _columns(slope, rank) + _columns(offset, rank), *extra)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The slope |gamma| / sigma, and |beta - gamma mu / sigma| where shifts are wanted (mean is signed).

    With statistics of the batch the data comes out near 1 whatever it was: |gamma| and |beta|.
    """
    x, scale, shift, mean, var = (mags[i] if i < len(mags) else None for i in range(5))
    count, rank = call.shape(0)[1], len(call.shape(0))
    gamma = np.ones(count) if scale is None else scale
    beta = np.zeros(count) if shift is None else shift
    extra = tuple(np.ones(shape) for shape in call.results[1:])
    if _of_batch(call) or mean is None or var is None:
        flat = _columns(abs(gamma) + abs(beta), rank)
        return (np.broadcast_to(flat, call.results[0]), *extra)
    slope = gamma / np.sqrt(np.asarray(var) + call.attrs.get("eps", _EPS))
    offset = abs(beta - np.asarray(mean) * slope)
    return (np.asarray(x) * _columns(abs(slope), rank) + _columns(offset, rank), *extra)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """After training the normalised data has mean 0 and variance 1: the result has shift and |scale|."""
    scale, shift = (samples[i] if i < len(samples) else None for i in (1, 2))
    count, rank = call.shape(0)[1], len(call.shape(0))
    deviation = np.ones(count) if scale is None else abs(scale[0])
    mean = np.zeros(count) if shift is None else shift[0]
    shape = (1, count, *(1,) * (rank - 2))
    extra = (None,) * (len(call.results) - 1)
    return (sampler.normal(mean.reshape(shape), deviation.reshape(shape)), *extra)


def _inference(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {**attrs, "extra": ("empty", "empty")}


def _saves(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """torch saves statistics for the backward pass, none at inference."""
    return {**attrs, "extra": ("mean", "rstd") if attrs.get("training") else ("empty", "empty")}


def _updates(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    saved = _saves(attrs, shapes)
    if not attrs.get("training"):
        saved["momentum"] = 0.0
    return {**saved, "extra": (*saved["extra"], "running_mean", "running_var")}


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """ONNX's momentum weighs the old statistics, and it updates with the variance of the batch as it is."""
    plain, opset, outputs = host_facts(attrs)
    if opset < 14 and outputs > 1:
        raise UnsupportedError("BatchNormalization in training mode before opset 14")
    training = bool(plain.get("training", 0))
    return {
        "eps": plain.get("eps", _EPS),
        "training": training,
        "momentum": 1 - plain.get("momentum", 0.9),
        "biased": True,
        "extra": ("running_mean", "running_var")[: outputs - 1],
    }


_OPERANDS = ("input", "scale", "shift", "mean", "var")
_SCHEMA = ("input", "weight", "bias", "running_mean", "running_var")
_EPS_ONLY = {"eps": "eps"}
_TRAINING = {"eps": "eps", "training": "training", "momentum": "momentum"}

ops = (
    Op(
        "batch_norm",
        _OPERANDS,
        _rule,
        _batch_norm,
        Flow(_magnitude, _moments),
        (
            Aten(("batch_norm.default",), _SCHEMA, _TRAINING),
            Aten(("_native_batch_norm_legit_no_training.default",), _SCHEMA, _EPS_ONLY, _inference),
            Aten(
                ("_native_batch_norm_legit.default", "native_batch_norm.default"), _SCHEMA, _TRAINING, _saves
            ),
            Aten(("_native_batch_norm_legit.no_stats",), _SCHEMA[:3], _TRAINING, _saves),
            Aten(("_native_batch_norm_legit_functional.default",), _SCHEMA, _TRAINING, _updates),
        ),
        (
            Onnx(
                ("BatchNormalization",),
                (0, 1, 2, 3, 4),
                {"eps": "epsilon", "momentum": "momentum", "training": "training_mode"},
                fix=_from_onnx,
            ),
        ),
        shift_in=(3, -1),
    ),
)
