"""Operators that write an entry several times: expand, tile, repeat.

Rule: the number of copies is an index space of its own, for all copies are alike: tiling gives ``Prod(copies,
dim)``, repeating entry by entry ``Prod(dim, copies)``. Their number is an attribute that follows the cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atom, atoms, prod
from .._flow import movement
from .._graph import Array, Shape
from .._moves import aligned
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, integers
from .._spelling import required, shape_of


def _expand_rule(call: Call) -> Rule:
    made = atoms(call.attrs["shape"])
    return Rule((aligned(call.shape(0), made),), (made,), sizes={"shape": made})


def _expand(call: Call, x: Array) -> Array:
    return np.broadcast_to(x, call.attrs["shape"])


def _copy_rule(call: Call) -> Rule:
    """The shape is that of operand 0, the data that of operand 1."""
    made = atoms(call.shape(0))
    return Rule((made, aligned(call.shape(1), made)), (made,))


def _copy(call: Call, x: Array, source: Array) -> Array:
    return np.broadcast_to(source, x.shape).astype(x.dtype, copy=False)


def _tile_rule(call: Call) -> Rule:
    shape, copies = call.shape(0), atoms(call.attrs["repeats"])
    dims = atoms(shape)
    padded = (*(Fixed(1) for _ in range(len(copies) - len(dims))), *dims)
    made = tuple(prod(count, dim) for count, dim in zip(copies, padded, strict=True))
    return Rule((dims,), (made,), sizes={"repeats": copies})


def _tile(call: Call, x: Array) -> Array:
    return np.tile(x, call.attrs["repeats"])


def _repeat_rule(call: Call) -> Rule:
    dims, copies, axis = atoms(call.shape(0)), atom(call.attrs["repeats"]), call.attrs["axis"]
    made: Dims = (prod(*dims, copies),)
    if axis is not None:
        made = (*dims[:axis], prod(dims[axis], copies), *dims[axis + 1 :])
    return Rule((dims,), (made,), sizes={"repeats": copies})


def _repeat(call: Call, x: Array) -> Array:
    return np.repeat(x, call.attrs["repeats"], axis=call.attrs["axis"])


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _expanded_from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """-1 keeps a size."""
    target, shape = integers(attrs["shape"]), shape_of(shapes)
    old = (1,) * (len(target) - len(shape)) + shape
    return {"shape": tuple(had if size == -1 else size for size, had in zip(target, old, strict=True))}


def _expanded_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """Both sides broadcast: a target of 1 or a shorter target keeps what is there."""
    return {"shape": tuple(np.broadcast_shapes(shape_of(shapes), integers(required(attrs, "shape"))))}


def _tiled(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"repeats": integers(required(attrs, "repeats"))}


def _repeated(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    axis = attrs.get("axis")
    return {
        "repeats": int(attrs["repeats"]),
        "axis": None if axis is None else axis_of(axis, len(shape_of(shapes))),
    }


ops = (
    Op(
        "expand",
        ("input",),
        _expand_rule,
        _expand,
        movement(),
        (Aten(("expand.default",), attrs={"shape": "size"}, fix=_expanded_from_aten),),
        (Onnx(("Expand",), (0,), {"shape": 1}, fix=_expanded_from_onnx),),
    ),
    Op(
        "copy",
        ("input", "source"),
        _copy_rule,
        _copy,
        movement(),
        (Aten(("copy.default",), ("self", "src")),),
    ),
    Op(
        "tile",
        ("input",),
        _tile_rule,
        _tile,
        movement(),
        (Aten(("repeat.default",), attrs={"repeats": "repeats"}, fix=_tiled),),
        (Onnx(("Tile",), (0,), {"repeats": 1}, fix=_tiled),),
    ),
    Op(
        "repeat",
        ("input",),
        _repeat_rule,
        _repeat,
        movement(),
        (Aten(("repeat_interleave.self_int",), attrs={"repeats": "repeats", "axis": "dim"}, fix=_repeated),),
    ),
)
