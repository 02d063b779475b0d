"""Writing entries at places that an index names.

Rule: the axes that are written by index are pinned on all sides, for a cut would change which writes happen;
all other axes are shared by the data, what is written and the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dims import Dim, atom, atoms, total
from .._errors import UnsupportedError
from .._flow import Arrays, bounded
from .._graph import Array, Shape
from .._indexing import index_dims, indexed_axes, placed
from .._moves import aligned, stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, word
from .._spelling import shape_of

_REASON = "entries are written by an index"
_Place = tuple[Any, ...]


def _overwrite(array: Array, place: _Place, new: Array) -> None:
    array[place] = new


_WRITE: dict[str, Callable[[Array, _Place, Array], None]] = {
    "none": _overwrite,
    "add": np.add.at,
    "mul": np.multiply.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


def _written(call: Call, x: Array, place: _Place, new: Array) -> Array:
    result = np.array(x)
    _WRITE[call.attrs["reduction"]](result, place, new.astype(x.dtype, copy=False))
    return result


def _along_rule(call: Call) -> Rule:
    """Index, data and updates run side by side on all other axes; the index may be the shortest."""
    data, index, updates, axis = call.shape(0), call.shape(1), call.shape(2), call.attrs["axis"]
    shared = atoms(index)

    def side(shape: Shape) -> tuple[Dim, ...]:
        return tuple(
            stays(size, _REASON, call) if at == axis else total(dim, atom(size - dim.size))
            for at, (size, dim) in enumerate(zip(shape, shared, strict=True))
        )

    whole = side(data)
    return Rule((whole, side(index), side(updates) if updates else ()), (whole,))


def _along(call: Call, x: Array, index: Array, updates: Array) -> Array:
    place: list[Array] = list(np.indices(index.shape, sparse=True))
    place[call.attrs["axis"]] = index
    if updates.ndim:
        updates = updates[tuple(slice(size) for size in index.shape)]
    return _written(call, x, tuple(place), updates)


def _nd_rule(call: Call) -> Rule:
    """The last axis of the index holds coordinates."""
    data, index, updates = call.shape(0), call.shape(1), call.shape(2)
    deep, lead = index[-1], len(index) - 1
    rest = atoms(data[deep:])
    if updates != (*index[:-1], *data[deep:]):
        raise UnsupportedError(f"updates {updates} do not fit {data} and index {index}", where=call.origin)
    whole = (*stay(data[:deep], _REASON, call), *rest)
    return Rule((whole, stay(index, _REASON, call), (*stay(updates[:lead], _REASON, call), *rest)), (whole,))


def _nd(call: Call, x: Array, index: Array, updates: Array) -> Array:
    return _written(call, x, tuple(np.moveaxis(index, -1, 0)), updates)


def _put_rule(call: Call) -> Rule:
    axes, pairs = indexed_axes(call, 2), enumerate(call.shape(0))
    whole = tuple(stays(size, _REASON, call) if axis in axes else atom(size) for axis, size in pairs)
    operands, made = index_dims(call, 2, _REASON)
    target = placed(call, 2, made, tuple(dim for axis, dim in enumerate(whole) if axis not in axes))
    return Rule((whole, aligned(call.shape(1), target), *operands), (whole,))


def _put(call: Call, x: Array, values: Array, *indices: Array | None) -> Array:
    return _written(call, x, tuple(slice(None) if index is None else index for index in indices), values)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Any entry may be written to: the data and the largest update."""
    data, new = np.asarray(mags[0]), np.asarray(mags[op.operands.index("updates")])
    return (data + new.max(initial=0.0),)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]
_REDUCTIONS = {"sum": "add", "prod": "mul", "multiply": "mul", "amax": "max", "amin": "min"}


def _along_axis(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    reduction = word(attrs.get("reduction", "none"))
    reduction = _REDUCTIONS.get(reduction, reduction)
    if reduction not in _WRITE or not attrs.get("include_self", True):
        raise UnsupportedError(f"scatter with reduction '{reduction}'")
    return {"axis": axis_of(attrs.get("axis", 0), len(shape_of(shapes))), "reduction": reduction}


def _adding(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return _along_axis({**attrs, "reduction": "add"}, shapes)


def _reduced(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"reduction": _along_axis(attrs, shapes)["reduction"]}


def _accumulated(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"reduction": "add" if attrs.get("accumulate") else "none"}


_AXIS = {"axis": "dim"}
_SOURCE = ("self", "index", "src")
_OPERANDS = ("input", "index", "updates")
_REDUCE = {**_AXIS, "reduction": "reduce", "include_self": "include_self"}

ops = (
    Op(
        "scatter_along",
        _OPERANDS,
        _along_rule,
        _along,
        bounded(_magnitude),
        (
            Aten(("scatter.src",), _SOURCE, _AXIS, _along_axis),
            Aten(("scatter.value",), ("self", "index", "value"), _AXIS, _along_axis),
            Aten(("scatter_add.default",), _SOURCE, _AXIS, _adding),
            Aten(("scatter_reduce.two",), _SOURCE, _REDUCE, _along_axis),
        ),
        (
            Onnx(
                ("ScatterElements", "Scatter"),
                (0, 1, 2),
                {"axis": "axis", "reduction": "reduction"},
                fix=_along_axis,
            ),
        ),
    ),
    Op(
        "scatter_nd",
        _OPERANDS,
        _nd_rule,
        _nd,
        bounded(_magnitude),
        onnx=(Onnx(("ScatterND",), (0, 1, 2), {"reduction": "reduction"}, fix=_reduced),),
    ),
    Op(
        "index_put",
        ("input", "updates", "index"),
        _put_rule,
        _put,
        bounded(_magnitude),
        (
            Aten(
                ("index_put.default", "_unsafe_index_put.default"),
                ("self", "values", "indices"),
                {"accumulate": "accumulate"},
                _accumulated,
            ),
        ),
    ),
)
