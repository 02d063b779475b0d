"""Fills.

Rule: a fill of an explicit shape makes fresh index spaces, sizes of that attribute: it is cut like a weight.
A fill ``like`` a tensor has that tensor's. Of a tensor that only lends its dtype nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._broadcast import unary_rule
from .._dims import atoms
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._moves import CREATED
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import integers
from .._spelling import dtype_name, number, numpy_dtype, required


def _full_rule(call: Call) -> Rule:
    made = atoms(call.attrs["shape"])
    return Rule((None,) * len(call.shapes), (made,), sizes={"shape": made})


def _full(call: Call, like: Array | None = None) -> Array:
    return _filled(call, call.attrs["shape"], like)


def _full_like(call: Call, like: Array) -> Array:
    return _filled(call, like.shape, like)


def _filled(call: Call, shape: Shape, like: Array | None) -> Array:
    dtype = call.attrs.get("dtype")
    if dtype is None:
        return np.full(shape, call.attrs["value"], None if like is None else like.dtype)
    return np.full(shape, call.attrs["value"], numpy_dtype(dtype))


def _fill_rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    return Rule((dims, ()), (dims,))


def _fill(call: Call, x: Array, value: Array) -> Array:
    return np.full(x.shape, value, x.dtype)


def _fill_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.broadcast_to(np.asarray(mags[1]), call.shape(0)),)


def _fill_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    value = samples[1]
    return (None if value is None else value.reshape(-1, *(1,) * len(call.shape(0))),)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _valued(value: float | None = None, dtype: str | None = None) -> Callable[[_Attrs, _Shapes], _Attrs]:
    """The value is ``value`` or an attribute; ``dtype`` is taken where none is given."""

    def fix(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
        shape = {"shape": integers(attrs["shape"])} if "shape" in attrs else {}
        filled = number(attrs["value"]) if value is None else value
        return {**shape, "value": filled, "dtype": dtype_name(attrs.get("dtype")) or dtype}

    return fix


def _scalar(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return _valued(dtype="float32")({**attrs, "shape": ()}, shapes)


def _from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    value = np.asarray(attrs.get("value", np.zeros(1, np.float32)))
    return {"shape": integers(required(attrs, "shape")), "value": number(value), "dtype": value.dtype.name}


_NONE: tuple[str, ...] = ()
_LIKE = ("self",)
_VALUE = {"value": "fill_value", "dtype": "dtype"}
_SIZE = {"shape": "size", "dtype": "dtype"}
_DTYPE = {"dtype": "dtype"}

ops = (
    Op(
        "full",
        ("like",),
        _full_rule,
        _full,
        CREATED,
        (
            Aten(("full.default",), _NONE, {**_SIZE, **_VALUE}, _valued()),
            Aten(("zeros.default", "empty.memory_format"), _NONE, _SIZE, _valued(0, "float32")),
            Aten(("ones.default",), _NONE, _SIZE, _valued(1, "float32")),
            Aten(("scalar_tensor.default",), _NONE, {"value": "s", "dtype": "dtype"}, _scalar),
            Aten(("new_full.default",), _LIKE, {**_SIZE, **_VALUE}, _valued()),
            Aten(("new_zeros.default", "new_empty.default"), _LIKE, _SIZE, _valued(0)),
            Aten(("new_ones.default",), _LIKE, _SIZE, _valued(1)),
        ),
        (Onnx(("ConstantOfShape",), (), {"shape": 0, "value": "value"}, fix=_from_onnx),),
    ),
    Op(
        "full_like",
        ("like",),
        unary_rule,
        _full_like,
        CREATED,
        (
            Aten(("full_like.default",), _LIKE, _VALUE, _valued()),
            Aten(("zeros_like.default", "empty_like.default"), _LIKE, _DTYPE, _valued(0)),
            Aten(("ones_like.default",), _LIKE, _DTYPE, _valued(1)),
        ),
    ),
    Op(
        "fill",
        ("input", "value"),
        _fill_rule,
        _fill,
        Flow(_fill_magnitude, _fill_moments),
        (Aten(("fill.Scalar", "fill.Tensor"), ("self", "value")),),
    ),
)
