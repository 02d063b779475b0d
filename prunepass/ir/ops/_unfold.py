"""Sliding windows written out as entries, diagonals and strided views.

Rule: positions are pinned; the channel goes on as ``Prod(channel, window)``, every other axis passes.
"""

from __future__ import annotations

from math import prod as count_of
from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atom, atoms, fixed, prod
from .._errors import UnsupportedError
from .._flow import bounded, evaluated, movement
from .._graph import Array, Shape
from .._moves import stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, integers
from .._spelling import number, required, shape_of
from .._windows import Windows, pad_spatial, spread

_REASON = "sliding windows"


def _unfold_rule(call: Call) -> Rule:
    shape, axis, size, step = call.shape(0), call.attrs["axis"], call.attrs["size"], call.attrs["step"]
    dims = atoms(shape)
    moved = stays(shape[axis], _REASON, call)
    made = stays((shape[axis] - size) // step + 1, _REASON, call)
    window = stays(size, _REASON, call)
    return Rule(
        ((*dims[:axis], moved, *dims[axis + 1 :]),), ((*dims[:axis], made, *dims[axis + 1 :], window),)
    )


def _unfold(call: Call, x: Array) -> Array:
    axis, size, step = call.attrs["axis"], call.attrs["size"], call.attrs["step"]
    windows: Array = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return np.asarray(windows[(slice(None),) * axis + (slice(None, None, step),)])


def _windows(call: Call) -> Windows:
    attrs = call.attrs
    return Windows(attrs["kernel"], attrs["stride"], attrs["dilation"], attrs["pads"])


def _columns_rule(call: Call) -> Rule:
    *lead, channels, _, _ = shape = call.shape(0)
    made, channel = _windows(call).counts(shape[-2:]), atom(channels)
    before: Dims = (*atoms(lead), channel)
    columns = prod(channel, Fixed(count_of(call.attrs["kernel"])))
    return Rule(((*before, *fixed(shape[-2:])),), ((*before[:-1], columns, Fixed(count_of(made))),))


def _columns(call: Call, x: Array) -> Array:
    windows = _windows(call)
    made, padded = windows.counts(x.shape[-2:]), pad_spatial(x, windows.pads)
    stacked = np.stack([padded[cut] for _, cut in windows.taps(made)], axis=x.ndim - 2)
    return stacked.reshape(*x.shape[:-3], -1, count_of(made))


def _image_rule(call: Call) -> Rule:
    *lead, deep, positions = call.shape(0)
    window, space = count_of(call.attrs["kernel"]), call.attrs["space"]
    if deep % window or count_of(_windows(call).counts(space)) != positions:
        raise UnsupportedError(f"{call.shape(0)} are not windows of {space}", where=call.origin)
    channel, before = atom(deep // window), atoms(lead)
    columns = (*before, prod(channel, Fixed(window)), Fixed(positions))
    return Rule((columns,), ((*before, channel, *fixed(space)),))


def _image(call: Call, x: Array) -> Array:
    """Add every window up where it came from: the adjoint of writing windows out."""
    windows, space = _windows(call), call.attrs["space"]
    made, window = windows.counts(space), count_of(windows.kernel)
    *lead, deep, _ = x.shape
    parts = x.reshape(*lead, deep // window, window, *made)
    padded = tuple(size + sum(pads) for size, pads in zip(space, windows.pads, strict=True))
    result = np.zeros((*lead, deep // window, *padded), x.dtype)
    for at, (_, cut) in enumerate(windows.taps(made)):
        result[cut] += parts.take(at, axis=x.ndim - 1)
    return pad_spatial(result, tuple((-low, -high) for low, high in windows.pads))


def _strided_rule(call: Call) -> Rule:
    reason = "a view with strides of its own"
    return Rule((stay(call.shape(0), reason, call),), (stay(call.attrs["shape"], reason, call),))


def _strided(call: Call, x: Array) -> Array:
    """Strides count entries of a dense tensor, as they do in the graph's values."""
    shape, places = call.attrs["shape"], np.asarray(call.attrs["offset"])
    grid: tuple[Array, ...] = np.indices(shape, sparse=True)
    for axis, step in zip(grid, call.attrs["strides"], strict=True):
        places = places + axis * step
    return np.asarray(x.reshape(-1)[np.broadcast_to(places, shape)])


def _diagonal_rule(call: Call) -> Rule:
    """The diagonal of two axes becomes the last axis."""
    shape, axes = call.shape(0), (call.attrs["rows"], call.attrs["columns"])
    rows, columns = (shape[axis] for axis in axes)
    reason, offset = "a diagonal compares row and column", call.attrs["offset"]
    whole = tuple(
        stays(size, reason, call) if axis in axes else atom(size) for axis, size in enumerate(shape)
    )
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    rest = (dim for axis, dim in enumerate(whole) if axis not in axes)
    return Rule((whole,), ((*rest, stays(count, reason, call)),))


def _diagonal(call: Call, x: Array) -> Array:
    return np.diagonal(x, call.attrs["offset"], call.attrs["rows"], call.attrs["columns"])


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _unfolded(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {**attrs, "axis": axis_of(attrs["axis"], len(shape_of(shapes)))}


def _crossed(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    rank = len(shape_of(shapes))
    return {**attrs, "rows": axis_of(attrs["rows"], rank), "columns": axis_of(attrs["columns"], rank)}


def _from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    names = ("kernel", "dilation", "stride")
    space = {"space": integers(attrs["space"])} if "space" in attrs else {}
    pads = tuple((pad, pad) for pad in spread(integers(attrs["pads"]), 2))
    return {**{name: spread(integers(attrs[name]), 2) for name in names}, **space, "pads": pads}


def _from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    kernel, space = integers(required(attrs, "kernel")), integers(required(attrs, "space"))
    rank = len(kernel)
    pads = spread(integers(attrs.get("pads", 0)), 2 * rank)
    return {
        "kernel": kernel,
        "space": space,
        "dilation": spread(integers(attrs.get("dilation", 1)), rank),
        "stride": spread(integers(attrs.get("stride", 1)), rank),
        "pads": tuple(zip(pads[:rank], pads[rank:], strict=True)),
    }


def _with_strides(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    offset = attrs.get("offset")
    return {
        "shape": integers(attrs["shape"]),
        "strides": integers(attrs["strides"]),
        "offset": 0 if offset is None else number(offset),
    }


_WINDOW = {"kernel": "kernel_size", "dilation": "dilation", "pads": "padding", "stride": "stride"}
_DIAGONAL = {"offset": "offset", "rows": "dim1", "columns": "dim2"}
_BLOCKS: dict[str, str | int | tuple[str | int, ...]] = {
    "space": 1,
    "kernel": 2,
    "dilation": "dilations",
    "pads": "pads",
    "stride": "strides",
}

ops = (
    Op(
        "unfold",
        ("input",),
        _unfold_rule,
        _unfold,
        movement(),
        (
            Aten(
                ("unfold.default",),
                attrs={"axis": "dimension", "size": "size", "step": "step"},
                fix=_unfolded,
            ),
        ),
    ),
    Op(
        "windows_to_columns",
        ("input",),
        _columns_rule,
        _columns,
        bounded(evaluated),
        (Aten(("im2col.default",), attrs=_WINDOW, fix=_from_aten),),
    ),
    Op(
        "columns_to_image",
        ("input",),
        _image_rule,
        _image,
        bounded(evaluated),
        (Aten(("col2im.default",), attrs={**_WINDOW, "space": "output_size"}, fix=_from_aten),),
        (Onnx(("Col2Im",), (0,), _BLOCKS, fix=_from_onnx),),
    ),
    Op(
        "diagonal",
        ("input",),
        _diagonal_rule,
        _diagonal,
        movement(),
        (Aten(("diagonal.default",), attrs=_DIAGONAL, fix=_crossed),),
    ),
    Op(
        "as_strided",
        ("input",),
        _strided_rule,
        _strided,
        movement(),
        (
            Aten(
                ("as_strided.default",),
                attrs={"shape": "size", "strides": "stride", "offset": "storage_offset"},
                fix=_with_strides,
            ),
        ),
    ),
)
