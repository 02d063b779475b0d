"""Entries change place along or between axes: roll, flip, pixel and channel shuffles.

Rule: a shuffle is a Prod whose parts are put in another order, with the factor inside pinned; a roll is a Sum
whose two segments change place. A flip has no such form and is pinned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dim, Dims, atom, atoms, prod, total
from .._errors import UnsupportedError
from .._flow import movement
from .._graph import Array, Shape
from .._moves import stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import integers, word
from .._spelling import axes_at, shape_of


def _blocks(call: Call, deep: bool) -> tuple[Dims, Dims]:
    """Dims ``(.., Prod(channel, b, b), h, w)`` and ``(.., channel, Prod(h, b), Prod(w, b))``.

    ``deep`` says which of the two operand 0 has; the block comes first where ``block_first`` is set.
    """
    *lead, channels, height, width = call.shape(0)
    size = call.attrs["block"]
    fits = channels % size**2 == 0 if deep else height % size == width % size == 0
    if not fits:
        raise UnsupportedError(f"blocks of {size} do not fit {call.shape(0)}", where=call.origin)
    reason = "these entries go between channel and space"
    down, across = stay((size, size), reason, call)
    channel = atom(channels // size**2 if deep else channels)
    rows, columns = (atom(n if deep else n // size) for n in (height, width))
    order = (down, across, channel) if call.attrs["block_first"] else (channel, down, across)
    before = atoms(lead)
    return (*before, prod(*order), rows, columns), (*before, channel, prod(rows, down), prod(columns, across))


def _to_space_rule(call: Call) -> Rule:
    deep, wide = _blocks(call, deep=True)
    return Rule((deep,), (wide,))


def _to_depth_rule(call: Call) -> Rule:
    deep, wide = _blocks(call, deep=False)
    return Rule((wide,), (deep,))


def _to_space(call: Call, x: Array) -> Array:
    *lead, channels, height, width = x.shape
    size, first = call.attrs["block"], call.attrs["block_first"]
    made = channels // size**2
    order = (size, size, made) if first else (made, size, size)
    x = x.reshape(-1, *order, height, width)
    x = x.transpose((0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3))
    return x.reshape(*lead, made, height * size, width * size)


def _to_depth(call: Call, x: Array) -> Array:
    *lead, channels, height, width = x.shape
    size = call.attrs["block"]
    x = x.reshape(-1, channels, height // size, size, width // size, size)
    x = x.transpose((0, 3, 5, 1, 2, 4) if call.attrs["block_first"] else (0, 1, 3, 5, 2, 4))
    return x.reshape(*lead, channels * size**2, height // size, width // size)


def _shuffle_rule(call: Call) -> Rule:
    batch, channels, *space = call.shape(0)
    groups = call.attrs["groups"]
    if channels % groups:
        raise UnsupportedError(f"{channels} channels do not fit {groups} groups", where=call.origin)
    outer, inner = atom(groups), atom(channels // groups)
    first, rest = atom(batch), atoms(space)
    return Rule(
        ((first, prod(outer, inner), *rest),), ((first, prod(inner, outer), *rest),), sizes={"groups": outer}
    )


def _shuffle(call: Call, x: Array) -> Array:
    grouped = x.reshape(x.shape[0], call.attrs["groups"], -1, *x.shape[2:])
    return np.swapaxes(grouped, 1, 2).reshape(x.shape)


def _roll_rule(call: Call) -> Rule:
    """Rolling by ``s`` puts the last ``s`` entries first."""
    shape, axes = call.shape(0), call.attrs["axes"]
    if not axes:
        whole = stay(shape, "a roll over all axes at once", call)
        return Rule((whole,), (whole,))
    before, after, shifts = list(atoms(shape)), list[Dim](), list[Dim]()
    after.extend(before)
    for axis, shift in zip(axes, call.attrs["shifts"], strict=True):
        head, tail = atom(shape[axis] - shift), atom(shift)
        before[axis], after[axis] = total(head, tail), total(tail, head)
        shifts.append(tail)
    return Rule((tuple(before),), (tuple(after),), sizes={"shifts": tuple(shifts)})


def _roll(call: Call, x: Array) -> Array:
    axes = call.attrs["axes"]
    return np.roll(x, call.attrs["shifts"], axis=axes) if axes else np.roll(x, call.attrs["shifts"])


def _flip_rule(call: Call) -> Rule:
    flipped, pairs = call.attrs["axes"], enumerate(call.shape(0))
    dims = tuple(stays(size, "a flip", call) if axis in flipped else atom(size) for axis, size in pairs)
    return Rule((dims,), (dims,))


def _flip(call: Call, x: Array) -> Array:
    return np.flip(x, axis=call.attrs["axes"])


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _torch_block(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"block": int(attrs["block"]), "block_first": False}


def _onnx_block(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """DCR (depth, column, row) has the block in front, CRD behind the channel."""
    return {"block": int(attrs["block"]), "block_first": word(attrs.get("mode", "DCR")) == "DCR"}


def _rolled(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """Shifts of one axis are added up and counted forward."""
    shape, shifts, axes = shape_of(shapes), integers(attrs["shifts"]), integers(attrs.get("axes") or ())
    if not axes:
        return {"shifts": shifts, "axes": ()}
    summed: dict[int, int] = {}
    for axis, shift in zip(axes_at(axes, len(shape)), shifts, strict=True):
        summed[axis] = (summed.get(axis, 0) + shift) % max(shape[axis], 1)
    return {"shifts": tuple(summed.values()), "axes": tuple(summed)}


def _flipped(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"axes": axes_at(attrs["axes"], len(shape_of(shapes)))}


_SHUFFLES = ("channel_shuffle.default", "native_channel_shuffle.default")

ops = (
    Op(
        "depth_to_space",
        ("input",),
        _to_space_rule,
        _to_space,
        movement(),
        (Aten(("pixel_shuffle.default",), attrs={"block": "upscale_factor"}, fix=_torch_block),),
        (Onnx(("DepthToSpace",), (0,), {"block": "blocksize", "mode": "mode"}, fix=_onnx_block),),
    ),
    Op(
        "space_to_depth",
        ("input",),
        _to_depth_rule,
        _to_depth,
        movement(),
        (Aten(("pixel_unshuffle.default",), attrs={"block": "downscale_factor"}, fix=_torch_block),),
        (Onnx(("SpaceToDepth",), (0,), {"block": "blocksize"}, fix=_onnx_block),),
    ),
    Op(
        "channel_shuffle",
        ("input",),
        _shuffle_rule,
        _shuffle,
        movement(),
        (Aten(_SHUFFLES, attrs={"groups": "groups"}),),
    ),
    Op(
        "roll",
        ("input",),
        _roll_rule,
        _roll,
        movement(),
        (Aten(("roll.default",), attrs={"shifts": "shifts", "axes": "dims"}, fix=_rolled),),
    ),
    Op(
        "flip",
        ("input",),
        _flip_rule,
        _flip,
        movement(),
        (Aten(("flip.default",), attrs={"axes": "dims"}, fix=_flipped),),
    ),
)
