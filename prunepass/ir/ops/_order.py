"""Operators that look at the order of entries along an axis: triangles, running sums, sorting.

Rule: that axis is pinned, all others pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dims import Dims, atom
from .._flow import Arrays, Flow, Sampler, bounded, evaluated
from .._graph import Array, Shape
from .._moves import stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of
from .._spelling import converted, dtype_name, number, required, shape_of


def _pinned(call: Call, axes: tuple[int, ...], reason: str) -> Dims:
    pairs = enumerate(call.shape(0))
    return tuple(stays(size, reason, call) if axis in axes else atom(size) for axis, size in pairs)


def _triangle_rule(call: Call) -> Rule:
    rank = len(call.shape(0))
    dims = _pinned(call, (rank - 2, rank - 1), "a triangle compares row and column")
    return Rule((dims,), (dims,))


def _triangle(call: Call, x: Array) -> Array:
    return (np.triu if call.attrs["upper"] else np.tril)(x, call.attrs["diagonal"])


def _triangle_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    data = samples[0]
    if data is None:
        return (None,)
    return op.run(call, (np.broadcast_to(data, (*data.shape[:-2], *call.shape(0)[-2:])),))


def _running_rule(call: Call) -> Rule:
    dims = _pinned(call, (call.attrs["axis"],), "a running sum or product")
    return Rule((dims,), (dims,))


def _running(compute: Callable[..., Array]) -> Callable[[Call, Array], Array]:
    def evaluate(call: Call, x: Array) -> Array:
        axis, backwards = call.attrs["axis"], call.attrs.get("backwards", False)
        x = converted(x, call.attrs.get("dtype"))
        if not x.ndim:
            return x
        x = np.flip(x, axis) if backwards else x
        made = compute(x, axis=axis)
        if call.attrs.get("exclusive"):
            made = made - x
        return np.flip(made, axis) if backwards else made

    return evaluate


def _sorted_rule(call: Call) -> Rule:
    dims = _pinned(call, (call.attrs["axis"],), "entries are sorted")
    return Rule((dims,), (dims,) * len(call.attrs["made"]))


def _top_rule(call: Call) -> Rule:
    axis, count = call.attrs["axis"], call.attrs["count"]
    dims = _pinned(call, (axis,), "the largest or smallest entries are taken")
    made = (*dims[:axis], stays(count, "the largest or smallest entries are taken", call), *dims[axis + 1 :])
    return Rule((dims,), ((made if dims else ()),) * 2)


def _order_of(x: Array, axis: int, descending: bool) -> Array:
    """Places in sorted order; entries that are equal keep theirs."""
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    backwards: Array = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    return np.asarray(x.shape[axis] - 1 - backwards)


def _sort(call: Call, x: Array) -> tuple[Array, ...]:
    order = _order_of(x, call.attrs["axis"], call.attrs["descending"])
    made = {"values": np.take_along_axis(x, order, call.attrs["axis"]) if x.ndim else x, "indices": order}
    return tuple(made[name] for name in call.attrs["made"])


def _top(call: Call, x: Array) -> tuple[Array, ...]:
    axis = call.attrs["axis"]
    order = _order_of(x, axis, call.attrs["largest"])
    if not x.ndim:
        return x, order
    order = np.take(order, np.arange(call.attrs["count"]), axis=axis)
    return np.take_along_axis(x, order, axis), order


def _largest(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Any entry may land anywhere along the axis; places are as large as the axis is long."""
    data = np.asarray(mags[0])
    if not data.ndim:
        return (data, data)[: len(call.results)]
    largest = data.max(axis=call.attrs["axis"], keepdims=True, initial=0.0)
    return tuple(np.broadcast_to(largest, shape) for shape in call.results)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _lower(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"upper": False, "diagonal": int(attrs["diagonal"])}


def _upper(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"upper": True, "diagonal": int(attrs["diagonal"])}


def _triangle_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    diagonal = attrs.get("diagonal")
    return {"upper": bool(attrs.get("upper", 1)), "diagonal": 0 if diagonal is None else number(diagonal)}


def _summed(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {
        "axis": axis_of(number(required(attrs, "axis")), len(shape_of(shapes))),
        "dtype": dtype_name(attrs.get("dtype")),
        "exclusive": bool(attrs.get("exclusive", 0)),
        "backwards": bool(attrs.get("backwards", 0)),
    }


def _ordered(made: tuple[str, ...]) -> Callable[[_Attrs, _Shapes], _Attrs]:
    def fix(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
        axis = axis_of(attrs["axis"], len(shape_of(shapes)))
        return {"axis": axis, "descending": bool(attrs["descending"]), "made": made}

    return fix


def _topped(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {
        "count": number(required(attrs, "count")),
        "axis": axis_of(attrs.get("axis", -1), len(shape_of(shapes))),
        "largest": bool(attrs.get("largest", 1)),
    }


_SORT = {"axis": "dim", "descending": "descending"}
_RUNNING = {"axis": "dim", "dtype": "dtype"}
_SORTS = ("sort.default", "sort.stable")
_TOP = {"largest": "largest", "sorted": "sorted"}
_ARGSORTS = ("argsort.default", "argsort.stable")

ops = (
    Op(
        "triangle",
        ("input",),
        _triangle_rule,
        _triangle,
        Flow(evaluated, _triangle_moments),
        (
            Aten(("tril.default",), attrs={"diagonal": "diagonal"}, fix=_lower),
            Aten(("triu.default",), attrs={"diagonal": "diagonal"}, fix=_upper),
        ),
        (Onnx(("Trilu",), (0,), {"diagonal": 1, "upper": "upper"}, fix=_triangle_from_onnx),),
    ),
    Op(
        "cumulative_sum",
        ("input",),
        _running_rule,
        _running(np.cumsum),
        bounded(evaluated),
        (Aten(("cumsum.default",), attrs=_RUNNING, fix=_summed),),
        (
            Onnx(
                ("CumSum",), (0,), {"axis": 1, "exclusive": "exclusive", "backwards": "reverse"}, fix=_summed
            ),
        ),
    ),
    Op(
        "cumulative_product",
        ("input",),
        _running_rule,
        _running(np.cumprod),
        bounded(evaluated),
        (Aten(("cumprod.default",), attrs=_RUNNING, fix=_summed),),
    ),
    Op(
        "sort",
        ("input",),
        _sorted_rule,
        _sort,
        bounded(_largest),
        (
            Aten(_SORTS, attrs=_SORT, fix=_ordered(("values", "indices"))),
            Aten(_ARGSORTS, attrs=_SORT, fix=_ordered(("indices",))),
        ),
    ),
    Op(
        "top",
        ("input",),
        _top_rule,
        _top,
        bounded(_largest),
        (Aten(("topk.default",), attrs={**_TOP, "count": "k", "axis": "dim"}, fix=_topped),),
        (Onnx(("TopK",), (0,), {**_TOP, "count": (1, "k"), "axis": "axis"}, fix=_topped),),
    ),
)
