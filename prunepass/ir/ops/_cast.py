"""Operators that hand their operand on: copies, changes of dtype and layout.

Rule: the identity. Floats are not rounded between float types, for proofs compare in one precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._broadcast import LIPSCHITZ, unary_rule
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, pointwise
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._spelling import converted, dtype_name, required


def _keep(call: Call, x: Array) -> Array:
    return x


def _cast(call: Call, x: Array) -> Array:
    return converted(x, call.attrs.get("dtype"))


def _like(call: Call, x: Array, like: Array) -> Array:
    return converted(x, like.dtype.name)


def _like_rule(call: Call) -> Rule:
    """Of the second operand only the dtype is read."""
    passed = unary_rule(call)
    return Rule((passed.operands[0], None), passed.results)


def _cast_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Rounding towards zero makes nothing larger; what becomes a truth value is at most 1."""
    data = np.asarray(mags[0])
    return (np.minimum(data, 1.0) if call.attrs.get("dtype") == "bool" else data,)


def _like_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(mags[0]),)


def _like_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    return (None if samples[0] is None else converted(samples[0], call.dtypes[1]),)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _typed(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"dtype": dtype_name(attrs.get("dtype"))}


def _typed_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"dtype": dtype_name(required(attrs, "dtype"))}


def _at_inference(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    if attrs.get("training") is not None and bool(np.any(attrs["training"])):
        raise UnsupportedError("dropout is active", advice="capture the model in eval() mode")
    return {}


_COPIES = "clone contiguous alias alias_copy detach detach_copy lift lift_fresh lift_fresh_copy"
_CASTS = ("_to_copy.default", "to.dtype", "to.dtype_layout", "to.device")

ops = (
    Op(
        "identity",
        ("input",),
        unary_rule,
        _keep,
        LIPSCHITZ,
        (
            Aten(tuple(f"{name}.default" for name in _COPIES.split())),
            Aten(("dropout.default",), ("input",), {"training": "train"}, _at_inference),
        ),
        (Onnx(("Identity",)),),
    ),
    Op(
        "cast",
        ("input",),
        unary_rule,
        _cast,
        pointwise(_cast_magnitude),
        (Aten(_CASTS, attrs={"dtype": "dtype"}, fix=_typed),),
        (Onnx(("Cast",), (0,), {"dtype": "to"}, fix=_typed_from_onnx),),
    ),
    Op(
        "cast_like",
        ("input", "like"),
        _like_rule,
        _like,
        Flow(_like_magnitude, _like_moments),
        (Aten(("to.other", "type_as.default"), ("self", "other")),),
        (Onnx(("CastLike",)),),
    ),
)
