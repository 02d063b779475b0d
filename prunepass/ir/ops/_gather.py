"""Looking entries up by an index.

Rule: the axis that is looked into is pinned, for the numbers in the index would have to change with a cut;
the axes of the index go on to the result, and so do all axes of the data that are not looked into. A constant
index that takes pieces of the axis whole, or writes its rows as columns (a channel shuffle), passes them on.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .._dims import Dim, Dims, Fixed, atom, atoms, total
from .._errors import UnsupportedError
from .._graph import Array, Shape
from .._indexing import index_dims, indexed_axes, lookup, placed
from .._moves import stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of
from .._runs import looked_up
from .._spelling import shape_of

_REASON = "entries are looked up by an index"


def _axis(call: Call) -> tuple[int, ...]:
    return (call.attrs["axis"],)


def _gather_rule(call: Call) -> Rule:
    return _looked_up(call, atoms(call.shape(1)))


def _looked_up(call: Call, entries: Dims) -> Rule:
    """``entries`` are the dims of the index as they stand in the result."""
    shape, axis = call.shape(0), call.attrs["axis"]
    dims, found = atoms(shape), _constant(call, 1, shape[axis])
    whole = stays(shape[axis], _REASON, call) if found is None else found[0]
    if found is not None:
        entries = tuple(dim if dim.size == 1 else found[1] for dim in entries)
    index = entries[len(entries) - len(call.shape(1)) :]
    made = (*dims[:axis], *entries, *dims[axis + 1 :])
    read = (*dims[:axis], whole, *dims[axis + 1 :])
    return Rule((read, index), (made,), indexed={} if found is None else {1: whole})


def _constant(call: Call, position: int, size: int) -> tuple[Dim, Dim] | None:
    """Dims of the axis and of a constant index into it; the other axes of the index have one entry."""
    shape = call.shape(position)
    known = call.known(position) if prod(shape) == max(shape, default=1) and prod(shape) > 1 else None
    return None if known is None or known.dtype == bool else looked_up(known, size)


def _gather(call: Call, x: Array, index: Array) -> Array:
    return np.take(x, index, axis=call.attrs["axis"])


def _index_select_rule(call: Call) -> Rule:
    """As ``gather``; torch reads a single number as a list of one."""
    return _looked_up(call, atoms(call.shape(1)) or (Fixed(1),))


def _index_select(call: Call, x: Array, index: Array) -> Array:
    return np.take(x, index.reshape(-1), axis=call.attrs["axis"])


def _along_rule(call: Call) -> Rule:
    """Index and data run side by side on all other axes; the data may be longer there."""
    shape, index, axis = call.shape(0), call.shape(1), call.attrs["axis"]
    made = atoms(index)
    whole = tuple(
        stays(size, _REASON, call) if at == axis else total(dim, atom(size - dim.size))
        for at, (size, dim) in enumerate(zip(shape, made, strict=True))
    )
    return Rule((whole, made), (made,))


def _along(call: Call, x: Array, index: Array) -> Array:
    places: list[Array] = list(np.indices(index.shape, sparse=True))
    places[call.attrs["axis"]] = index
    return x[tuple(places)]


def _nd_axes(call: Call) -> tuple[int, ...]:
    batch = call.attrs["batch"]
    return tuple(range(batch, batch + call.shape(1)[-1]))


def _nd_rule(call: Call) -> Rule:
    """The last axis of the index holds coordinates; ``batch`` leading axes run side by side."""
    shape, index, batch = call.shape(0), call.shape(1), call.attrs["batch"]
    if shape[:batch] != index[:batch]:
        raise UnsupportedError(f"{batch} leading axes of {shape} and {index} differ", where=call.origin)
    lead, deep = atoms(index[:-1]), batch + index[-1]
    rest = atoms(shape[deep:])
    whole = (*lead[:batch], *stay(shape[batch:deep], _REASON, call), *rest)
    return Rule((whole, (*lead, stays(index[-1], "coordinates", call))), ((*lead, *rest),))


def _nd(call: Call, x: Array, index: Array) -> Array:
    batch = call.attrs["batch"]
    lead: tuple[Array, ...] = np.indices(index.shape[:batch], sparse=True)
    inner = (1,) * (index.ndim - 1 - batch)
    spread = (places.reshape(places.shape + inner) for places in lead)
    places = (*spread, *np.moveaxis(index, -1, 0))
    return np.asarray(x[places])


def _index_rule(call: Call) -> Rule:
    axes, pairs = indexed_axes(call, 1), enumerate(call.shape(0))
    alone = _alone(call, axes[0]) if len(axes) == 1 else None
    if alone is not None:
        return alone
    whole = tuple(stays(size, _REASON, call) if axis in axes else atom(size) for axis, size in pairs)
    operands, made = index_dims(call, 1)
    rest = tuple(dim for axis, dim in enumerate(whole) if axis not in axes)
    return Rule((whole, *operands), (placed(call, 1, made, rest),))


def _alone(call: Call, axis: int) -> Rule | None:
    """One constant index of one axis, into one axis."""
    if len(call.shape(axis + 1)) != 1:
        return None
    found, dims = _constant(call, axis + 1, call.shape(0)[axis]), atoms(call.shape(0))
    if found is None:
        return None
    whole, taken = found
    absent = (None,) * (len(call.shapes) - 1)
    index = (*absent[:axis], (taken,), *absent[axis + 1 :])
    read, made = ((*dims[:axis], dim, *dims[axis + 1 :]) for dim in (whole, taken))
    return Rule((read, *index), (made,), indexed={axis + 1: whole})


def _index(call: Call, x: Array, *indices: Array | None) -> Array:
    return x[tuple(slice(None) if index is None else index for index in indices)]


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _along_axis(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"axis": axis_of(attrs.get("axis", 0), len(shape_of(shapes)))}


def _batched(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"batch": int(attrs.get("batch", 0))}


_OPERANDS = ("input", "index")

ops = (
    # ONNX writes an embedding as a Gather, so what is looked into counts as a weight.
    Op(
        "gather",
        ("weight", "index"),
        _gather_rule,
        _gather,
        lookup(_axis),
        onnx=(Onnx(("Gather",), (0, 1), {"axis": "axis"}, fix=_along_axis),),
    ),
    Op(
        "index_select",
        _OPERANDS,
        _index_select_rule,
        _index_select,
        lookup(_axis),
        (Aten(("index_select.default",), ("self", "index"), {"axis": "dim"}, _along_axis),),
    ),
    Op(
        "gather_along",
        _OPERANDS,
        _along_rule,
        _along,
        lookup(_axis),
        (Aten(("gather.default",), ("self", "index"), {"axis": "dim"}, _along_axis),),
        (Onnx(("GatherElements",), (0, 1), {"axis": "axis"}, fix=_along_axis),),
    ),
    Op(
        "gather_nd",
        _OPERANDS,
        _nd_rule,
        _nd,
        lookup(_nd_axes),
        onnx=(Onnx(("GatherND",), (0, 1), {"batch": "batch_dims"}, fix=_batched),),
    ),
    Op(
        "index",
        _OPERANDS,
        _index_rule,
        _index,
        lookup(lambda call: tuple(indexed_axes(call, 1))),
        (Aten(("index.Tensor", "_unsafe_index.Tensor"), ("self", "indices")),),
    ),
)
