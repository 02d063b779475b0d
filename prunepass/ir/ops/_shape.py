"""Shapes as data, and tensors that count positions.

Rule: what is counted is pinned, for the numbers would have to change with a cut. A host that folds shape
arithmetic never shows these operators; where they remain their results are data.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atoms
from .._flow import Arrays, Flow
from .._graph import Array, Shape
from .._moves import CREATED, stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of
from .._spelling import converted, dtype_name, number, numpy_dtype, required, shape_of

_COUNTED = "its size is read as data"


def _range_rule(call: Call) -> Rule:
    """Its size is worked out without the numbers: there may be more of them than fit into memory."""
    attrs = call.attrs
    count = max(0, ceil((attrs["stop"] - attrs["start"]) / attrs["step"]))
    return Rule((), (stay((count,), "positions are counted", call),))


def _range(call: Call) -> Array:
    attrs = call.attrs
    counted = np.arange(attrs["start"], attrs["stop"], attrs["step"])
    return counted if attrs.get("dtype") is None else counted.astype(numpy_dtype(attrs["dtype"]))


def _eye_rule(call: Call) -> Rule:
    dims = stay(call.shape(0), "a diagonal compares row and column", call)
    return Rule((dims,), (dims,))


def _eye(call: Call, like: Array) -> Array:
    rows, columns = like.shape
    return converted(np.eye(rows, columns, k=call.attrs["diagonal"]), call.attrs["dtype"] or like.dtype.name)


def _one_hot_rule(call: Call) -> Rule:
    """Places of the classes are an axis of its own; operand 1 holds the values off and on."""
    dims, axis = atoms(call.shape(0)), call.attrs["axis"]
    classes = stays(call.attrs["depth"], "places of classes", call)
    operands: tuple[Dims, ...] = (dims, (Fixed(2),))
    return Rule(operands[: len(call.shapes)], ((*dims[:axis], classes, *dims[axis:]),))


def _one_hot(call: Call, index: Array, values: Array | None = None) -> Array:
    axis, depth = call.attrs["axis"], call.attrs["depth"]
    places = np.arange(depth).reshape(depth, *(1,) * (index.ndim - axis))
    found = np.expand_dims(np.where(index < 0, index + depth, index), axis) == places
    return np.asarray(found.astype(np.int64) if values is None else np.where(found, values[1], values[0]))


def _one_hot_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    values = mags[1] if len(mags) > 1 else None
    return (np.full(call.results[0], 1.0 if values is None else float(np.max(values))),)


def _shape_rule(call: Call) -> Rule:
    shape, start, end = call.shape(0), call.attrs["start"], call.attrs["end"]
    counted = stay(shape[start:end], _COUNTED, call)
    dims = (*atoms(shape[:start]), *counted, *atoms(shape[end:]))
    return Rule((dims,), ((Fixed(end - start),),), sized=(0,))


def _shape(call: Call, x: Array) -> Array:
    return np.array(x.shape[call.attrs["start"] : call.attrs["end"]], dtype=np.int64)


def _size_rule(call: Call) -> Rule:
    return Rule((stay(call.shape(0), _COUNTED, call),), ((),), sized=(0,))


def _size(call: Call, x: Array) -> Array:
    return np.array(x.size, dtype=np.int64)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _counted(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {
        "start": number(attrs.get("start", 0)),
        "stop": number(required(attrs, "stop")),
        "step": number(attrs.get("step", 1)),
        "dtype": dtype_name(attrs.get("dtype")),
    }


def _counted_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """The bounds are operands of one dtype, which is that of the result."""
    start = np.asarray(required(attrs, "start"))
    return _counted({**attrs, "start": start, "step": required(attrs, "step"), "dtype": start.dtype}, shapes)


def _diagonal(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"diagonal": int(attrs.get("diagonal", 0)), "dtype": dtype_name(attrs.get("dtype"))}


def _hot(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    axis = axis_of(attrs.get("axis", -1), len(shape_of(shapes)) + 1)
    return {"depth": number(required(attrs, "depth")), "axis": axis}


def _part(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    start, end, _ = slice(attrs.get("start", 0), attrs.get("end")).indices(len(shape_of(shapes)))
    return {"start": start, "end": max(start, end)}


_NONE: tuple[str, ...] = ()
_BOUNDS = {"stop": "end", "dtype": "dtype"}

ops = (
    Op(
        "range",
        (),
        _range_rule,
        _range,
        CREATED,
        (
            Aten(("arange.default",), _NONE, _BOUNDS, _counted),
            Aten(("arange.start",), _NONE, {**_BOUNDS, "start": "start"}, _counted),
            Aten(("arange.start_step",), _NONE, {**_BOUNDS, "start": "start", "step": "step"}, _counted),
        ),
        (Onnx(("Range",), (), {"start": 0, "stop": 1, "step": 2}, fix=_counted_from_onnx),),
    ),
    Op(
        "eye",
        ("like",),
        _eye_rule,
        _eye,
        CREATED,
        onnx=(Onnx(("EyeLike",), (0,), {"diagonal": "k", "dtype": "dtype"}, fix=_diagonal),),
    ),
    Op(
        "one_hot",
        ("input", "values"),
        _one_hot_rule,
        _one_hot,
        Flow(_one_hot_magnitude),
        (Aten(("one_hot.default",), ("self",), {"depth": "num_classes"}, _hot),),
        (Onnx(("OneHot",), (0, 2), {"depth": 1, "axis": "axis"}, fix=_hot),),
    ),
    Op(
        "shape",
        ("input",),
        _shape_rule,
        _shape,
        CREATED,
        onnx=(Onnx(("Shape",), (0,), {"start": "start", "end": "end"}, fix=_part),),
    ),
    Op("size", ("input",), _size_rule, _size, CREATED, onnx=(Onnx(("Size",), (0,)),)),
)
