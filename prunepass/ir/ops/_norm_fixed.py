"""Normalisation with statistics that the model carries: BatchNorm at inference.

Rule: everything shares the channel; nothing is summed, so cutting a channel is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dims, atoms
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule

_EPS = 1e-5


def _rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    per_channel: Dims = (dims[1],)
    operands = (dims, *(per_channel if call.has(i) else None for i in range(1, len(call.shapes))))
    return Rule(operands, (dims,))


def _columns(vector: Array | None, rank: int) -> Array | None:
    return None if vector is None else vector.reshape(-1, *(1,) * (rank - 2))


def _batch_norm(
    call: Call, x: Array, scale: Array | None, shift: Array | None, mean: Array, var: Array
) -> Array:
    slope = 1 / np.sqrt(var + call.attrs.get("eps", _EPS))
    slope = slope if scale is None else slope * scale
    offset = -mean * slope if shift is None else shift - mean * slope
    rank = len(call.shape(0))
    return x * _columns(slope, rank) + _columns(offset, rank)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The slope |gamma| / sigma, and |beta - gamma mu / sigma| where shifts are wanted (mean is signed)."""
    x, scale, shift, mean, var = (mags[i] if i < len(mags) else None for i in range(5))
    slope = 1 / np.sqrt(np.asarray(var) + call.attrs.get("eps", _EPS))
    slope = slope if scale is None else slope * abs(scale)
    offset = abs((0 if shift is None else shift) - np.asarray(mean) * slope * _sign(scale))
    rank = len(call.shape(0))
    return (np.asarray(x) * _columns(slope, rank) + _columns(offset, rank),)


def _sign(scale: Array | None) -> Array | float:
    return 1.0 if scale is None else np.where(scale < 0, -1.0, 1.0)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """After training the normalised data has mean 0 and variance 1: the result has shift and |scale|."""
    scale, shift = samples[1], samples[2]
    count, rank = call.shape(0)[1], len(call.shape(0))
    deviation = np.ones(count) if scale is None else abs(scale[0])
    mean = np.zeros(count) if shift is None else shift[0]
    shape = (1, count, *(1,) * (rank - 2))
    return (sampler.normal(mean.reshape(shape), deviation.reshape(shape)),)


def _inference(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    attrs.pop("training", None)
    return attrs


_OPERANDS = ("input", "scale", "shift", "mean", "var")
_SCHEMA = ("input", "weight", "bias", "running_mean", "running_var")

ops = (
    Op(
        "batch_norm",
        _OPERANDS,
        _rule,
        _batch_norm,
        Flow(_magnitude, _moments),
        (
            Aten(("batch_norm.default",), _SCHEMA, {"eps": "eps"}, _inference),
            Aten(("_native_batch_norm_legit_no_training.default",), _SCHEMA, {"eps": "eps"}),
        ),
        (Onnx(("BatchNormalization",), (0, 1, 2, 3, 4), {"eps": "epsilon"}),),
        shift_in=(3, -1),
    ),
)
