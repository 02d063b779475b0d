"""LayerNorm and RMSNorm: statistics over the trailing dims of each entry.

Rule: everything passes; the trailing dims hold statistics, so cutting them is inexact. ``axis`` is the first
of them and ``normalized_shape`` their sizes. ``extra`` names the further results: mean, rstd (the reciprocal
of the deviation), and for the fused residual forms ``sum``, which is what is normalised.

The data comes out with mean square 1 whatever it was: the magnitude is |scale| + |shift|.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .._broadcast import aligned
from .._dims import Dims, Fixed, atoms
from .._elementary import standardised
from .._flow import Arrays, bounded
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, host_facts, integers
from .._spelling import shape_of

_EPS = 1e-5
# What torch takes for "no eps given": the resolution of the dtype that it computes in.
_RESOLUTION = {"float64": 2.0**-52}


def _rule(call: Call, *, centred: bool) -> Rule:
    dims, axis = atoms(call.shape(0)), call.attrs["axis"]
    lead, tail = dims[:axis], dims[axis:]
    flat: Dims = (*lead, *(Fixed(1) for _ in tail))
    operands = tuple(None if shape is None else aligned(shape, dims) for shape in call.shapes)
    extra = tuple(dims if kind == "sum" else flat for kind in call.attrs.get("extra", ()))
    spread = tail if centred else ()
    return Rule(operands, (dims, *extra), statistics=tail, centred=spread, sizes={"normalized_shape": tail})


def _eps(call: Call) -> float:
    given = call.attrs.get("eps", _EPS)
    return _RESOLUTION.get(str(call.dtypes[0]), 2.0**-23) if given is None else float(given)


def _scaled(
    call: Call, x: Array, scale: Array | None, shift: Array | None, centred: bool
) -> tuple[Array, ...]:
    axes = tuple(range(call.attrs["axis"], x.ndim))
    plain, mean, rstd = standardised(x, axes, _eps(call), centred=centred)
    result = plain if scale is None else plain * scale
    result = result if shift is None else result + shift
    made = {"mean": mean, "rstd": rstd, "sum": x}
    return (result, *(made[kind] for kind in call.attrs.get("extra", ())))


def _layer_norm(
    call: Call, x: Array, scale: Array | None = None, shift: Array | None = None
) -> tuple[Array, ...]:
    return _scaled(call, x, scale, shift, centred=True)


def _rms_norm(call: Call, x: Array, scale: Array | None = None) -> tuple[Array, ...]:
    return _scaled(call, x, scale, None, centred=False)


def _residual_norm(
    call: Call, x: Array, skip: Array, *params: Array | None, centred: bool
) -> tuple[Array, ...]:
    scale, shift, bias = (params[i] if i < len(params) else None for i in range(3))
    whole = x + skip if bias is None else x + skip + bias
    return _scaled(call, whole, scale, shift, centred)


def _rms_residual(
    call: Call, x: Array, skip: Array, scale: Array | None = None, bias: Array | None = None
) -> tuple[Array, ...]:
    return _residual_norm(call, x, skip, scale, None, bias, centred=False)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    by_name = {name: mag for name, mag in zip(op.operands, mags, strict=False) if mag is not None}
    size = abs(by_name.get("scale", np.ones(()))) + abs(by_name.get("shift", np.zeros(())))
    added = sum(by_name[name] for name in ("input", "skip", "bias") if name in by_name)
    extra = (
        added if kind == "sum" else np.ones(shape)
        for kind, shape in zip(call.attrs.get("extra", ()), call.results[1:], strict=True)
    )
    return (np.broadcast_to(size, call.results[0]), *map(np.asarray, extra))


def _from_torch(
    attrs: dict[str, Any], shapes: tuple[Shape | None, ...], extra: tuple[str, ...] = ()
) -> dict[str, Any]:
    normalized = integers(attrs["normalized_shape"])
    axis = len(shape_of(shapes)) - len(normalized)
    return {"eps": attrs["eps"], "normalized_shape": normalized, "axis": axis, "extra": extra}


def _from_onnx(
    attrs: dict[str, Any], shapes: tuple[Shape | None, ...], extra: tuple[str, ...] = (), eps: float = _EPS
) -> dict[str, Any]:
    plain, _, outputs = host_facts(attrs)
    axis = axis_of(plain.get("axis", -1), len(shape_of(shapes)))
    return {"eps": plain.get("eps", eps), "axis": axis, "extra": extra[: outputs - 1]}


_SCHEMA = {"eps": "eps", "normalized_shape": "normalized_shape"}
# ``stash_type`` is the precision of the statistics inside.
_ATTRS: dict[str, str | int | tuple[str | int, ...]] = {
    "eps": "epsilon",
    "axis": "axis",
    "stash": "stash_type",
}
_SAVED = ("mean", "rstd")
_FUSED = ("mean", "rstd", "sum")
_Run = Callable[..., "tuple[Array, ...]"]
_CENTRED, _PLAIN = partial(_rule, centred=True), partial(_rule, centred=False)


def _residual(
    name: str, operands: tuple[str, ...], rule: Callable[[Call], Rule], evaluate: _Run, kind: str
) -> Op:
    """ORT's fused residual addition and normalisation over the last axis."""
    fix = partial(_from_onnx, extra=_FUSED, eps=1e-12)
    spelling = Onnx((f"com.microsoft::{kind}",), tuple(range(len(operands))), {"eps": "epsilon"}, fix=fix)
    return Op(name, operands, rule, evaluate, bounded(_magnitude), onnx=(spelling,))


ops = (
    Op(
        "layer_norm",
        ("input", "scale", "shift"),
        _CENTRED,
        _layer_norm,
        bounded(_magnitude),
        (
            Aten(("layer_norm.default",), ("input", "weight", "bias"), _SCHEMA, _from_torch),
            Aten(
                ("native_layer_norm.default",),
                ("input", "weight", "bias"),
                _SCHEMA,
                partial(_from_torch, extra=_SAVED),
            ),
        ),
        (Onnx(("LayerNormalization",), (0, 1, 2), _ATTRS, fix=partial(_from_onnx, extra=_SAVED)),),
    ),
    Op(
        "rms_norm",
        ("input", "scale"),
        _PLAIN,
        _rms_norm,
        bounded(_magnitude),
        (
            Aten(("rms_norm.default",), ("input", "weight"), _SCHEMA, _from_torch),
            Aten(
                ("_fused_rms_norm.default",),
                ("input", "weight"),
                _SCHEMA,
                partial(_from_torch, extra=("rstd",)),
            ),
        ),
        (
            Onnx(("RMSNormalization",), (0, 1), _ATTRS, fix=_from_onnx),
            # A contrib operator that ORT registers in the default domain.
            Onnx(("SimplifiedLayerNormalization",), (0, 1), _ATTRS, fix=partial(_from_onnx, extra=("rstd",))),
        ),
    ),
    _residual(
        "residual_layer_norm",
        ("input", "skip", "scale", "shift", "bias"),
        _CENTRED,
        partial(_residual_norm, centred=True),
        "SkipLayerNormalization",
    ),
    _residual(
        "residual_rms_norm",
        ("input", "skip", "scale", "bias"),
        _PLAIN,
        _rms_residual,
        "SkipSimplifiedLayerNormalization",
    ),
)
