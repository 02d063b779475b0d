"""Joining tensors and taking them apart: the axis is a Sum of segments.

Rule: ``concat``: the result's axis is the sum of the operands' axes. ``split``: the operand's axis is the sum
of the results' axes, whose sizes are an attribute. All other axes are shared by everyone. Single entries that
are stacked or unbound are segments of size 1: there is nothing in them to cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dim, Dims, Fixed, atom, atoms, sizes, total
from .._errors import UnsupportedError
from .._flow import movement
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, integers
from .._spelling import shape_of


def _is_empty(shape: Shape, others: tuple[Shape | None, ...]) -> bool:
    """torch passes over vectors without entries, whatever the rank of the others."""
    return shape == (0,) and any(other is not None and len(other) != 1 for other in others)


def _concat_rule(call: Call) -> Rule:
    axis = call.attrs["axis"]
    joined = [shape for shape in call.shapes if shape is not None and not _is_empty(shape, call.shapes)]
    first = atoms(joined[0])
    operands: list[Dims | None] = []
    segments: list[Dim] = []
    for shape in call.shapes:
        if shape is None or _is_empty(shape, call.shapes):
            operands.append(None if shape is None else (Fixed(0),))
            continue
        if (*shape[:axis], *shape[axis + 1 :]) != sizes((*first[:axis], *first[axis + 1 :])):
            raise UnsupportedError(f"{joined} cannot be joined along axis {axis}", where=call.origin)
        segments.append(atom(shape[axis]))
        operands.append((*first[:axis], segments[-1], *first[axis + 1 :]))
    return Rule(tuple(operands), ((*first[:axis], total(*segments), *first[axis + 1 :]),))


def _concat(call: Call, *arrays: Array | None) -> Array:
    shapes = tuple(array.shape for array in arrays if array is not None)
    joined = [array for array in arrays if array is not None and not _is_empty(array.shape, shapes)]
    return np.concatenate(joined, axis=call.attrs["axis"])


def _stack_rule(call: Call) -> Rule:
    dims, axis = atoms(call.shape(0)), call.attrs["axis"]
    made = (*dims[:axis], Fixed(len(call.shapes)), *dims[axis:])
    return Rule((dims,) * len(call.shapes), (made,))


def _stack(call: Call, *arrays: Array) -> Array:
    return np.stack(arrays, axis=call.attrs["axis"])


def _split_rule(call: Call) -> Rule:
    shape, axis = call.shape(0), call.attrs["axis"]
    counts = call.attrs["sizes"]
    if sum(counts) != shape[axis]:
        raise UnsupportedError(f"{shape[axis]} entries cannot be split in {counts}", where=call.origin)
    dims, parts = atoms(shape), atoms(counts)
    made = tuple((*dims[:axis], part, *dims[axis + 1 :]) for part in parts)
    return Rule(((*dims[:axis], total(*parts), *dims[axis + 1 :]),), made, sizes={"sizes": parts})


def _split(call: Call, x: Array) -> tuple[Array, ...]:
    ends = np.cumsum(call.attrs["sizes"])[:-1]
    return tuple(np.split(x, ends, axis=call.attrs["axis"]))


def _unbind_rule(call: Call) -> Rule:
    shape, axis = call.shape(0), call.attrs["axis"]
    dims = atoms(shape)
    rest = (*dims[:axis], *dims[axis + 1 :])
    return Rule(((*dims[:axis], Fixed(shape[axis]), *dims[axis + 1 :]),), (rest,) * shape[axis])


def _unbind(call: Call, x: Array) -> tuple[Array, ...]:
    return tuple(np.moveaxis(x, call.attrs["axis"], 0))


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _joined(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    rank = max(len(shape) for shape in shapes if shape is not None)
    return {"axis": axis_of(attrs.get("axis", 0), rank)}


def _stacked(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"axis": axis_of(attrs["axis"], len(shape_of(shapes)) + 1)}


def _divided_from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"sizes": integers(attrs["sizes"]), "axis": axis_of(attrs["axis"], len(shape_of(shapes)))}


def _divided_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """Without sizes all parts are equal, except that the last one takes what is left."""
    shape = shape_of(shapes)
    axis = axis_of(attrs.get("axis", 0), len(shape))
    if attrs.get("sizes") is not None:
        return {"sizes": integers(attrs["sizes"]), "axis": axis}
    count = int(attrs.get("count") or attrs["outputs"])
    share = -(-shape[axis] // count)
    parts = tuple(max(min(share, shape[axis] - i * share), 0) for i in range(count))
    return {"sizes": parts, "axis": axis}


def _unbound(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"axis": axis_of(attrs["axis"], len(shape_of(shapes)))}


_SPLITS = tuple(
    f"{name}.default" for name in ["split_with_sizes", "split_with_sizes_copy", "unsafe_split_with_sizes"]
)

ops = (
    Op(
        "concat",
        ("inputs",),
        _concat_rule,
        _concat,
        movement(),
        (Aten(("cat.default",), ("tensors",), {"axis": "dim"}, _joined),),
        (Onnx(("Concat",), None, {"axis": "axis"}, fix=_joined),),
    ),
    Op(
        "stack",
        ("inputs",),
        _stack_rule,
        _stack,
        movement(),
        (Aten(("stack.default",), ("tensors",), {"axis": "dim"}, _stacked),),
    ),
    Op(
        "split",
        ("input",),
        _split_rule,
        _split,
        movement(),
        (Aten(_SPLITS, attrs={"sizes": "split_sizes", "axis": "dim"}, fix=_divided_from_aten),),
        (
            Onnx(
                ("Split",),
                (0,),
                {"sizes": (1, "split"), "axis": "axis", "count": "num_outputs"},
                fix=_divided_from_onnx,
            ),
        ),
    ),
    Op(
        "unbind",
        ("input",),
        _unbind_rule,
        _unbind,
        movement(),
        (Aten(("unbind.int",), attrs={"axis": "dim"}, fix=_unbound),),
    ),
)
