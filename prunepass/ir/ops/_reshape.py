"""Reshape and what is one in disguise: flatten, squeeze, unsqueeze.

Rule: both shapes are read from the inside. As long as the two innermost sizes have a common factor, that
factor is one index space of both; what has none is a block that both sides group differently, and that block
alone stays as it is. Dims of size 1 carry nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd, lcm, prod
from typing import Any

import numpy as np

from .._dims import Dim, Dims, Fixed, atom, atoms
from .._dims import prod as product
from .._errors import UnsupportedError
from .._flow import movement
from .._graph import Array, Shape
from .._moves import stay, stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, integers
from .._spelling import axes_at, required, resolved, shape_of


@dataclass
class _Side:
    """One of the two shapes, consumed from its last entry on."""

    shape: Shape
    axis: int = field(init=False)
    rest: int = 1
    parts: list[list[Dim]] = field(init=False)

    def __post_init__(self) -> None:
        self.axis = len(self.shape)
        self.parts = [[] for _ in self.shape]

    def refill(self) -> bool:
        """Go on to the next axis that has entries left; False where there is none."""
        while self.rest == 1 and self.axis > 0:
            self.axis -= 1
            self.rest = self.shape[self.axis]
        return self.rest > 1

    def take(self, part: Dim) -> None:
        self.parts[self.axis].insert(0, part)
        self.rest //= part.size

    def dims(self) -> Dims:
        return tuple(product(*parts) for parts in self.parts)


def _regroup(old: Shape, new: Shape, call: Call) -> tuple[Dims, Dims]:
    if prod(old) != prod(new):
        raise UnsupportedError(f"{old} cannot be reshaped to {new}", where=call.origin)
    if 0 in old:
        return stay(old, "the tensor has no entries", call), stay(new, "the tensor has no entries", call)
    left, right = _Side(old), _Side(new)
    while left.refill() and right.refill():
        common = gcd(left.rest, right.rest)
        if common > 1:
            shared = atom(common)
            left.take(shared)
            right.take(shared)
        else:
            _freeze(left, right, call)
    return left.dims(), right.dims()


def _freeze(left: _Side, right: _Side, call: Call) -> None:
    """Take the smallest block that both sides have in common, as what may not be cut."""
    sides, blocks = (left, right), [1, 1]
    reason = f"a reshape from {list(left.shape)} to {list(right.shape)} groups these entries anew"
    want = left.rest * right.rest
    while blocks[0] != blocks[1] or blocks[0] == 1:
        for i, side in enumerate(sides):
            missing = want // blocks[i]
            if missing > 1 and side.refill():
                count = gcd(side.rest, missing)
                count = side.rest if count == 1 else count
                side.take(stays(count, reason, call))
                blocks[i] *= count
        want = lcm(*blocks)


def _reshape_rule(call: Call) -> Rule:
    before, after = _regroup(call.shape(0), call.attrs["shape"], call)
    return Rule((before,), (after,), sizes={"shape": after})


def _flat_shape(call: Call) -> Shape:
    """Axes ``start`` to ``end`` (inclusive) become one; with ``matrix`` those before become one as well."""
    shape, start, end = call.shape(0), call.attrs["start"], call.attrs["end"]
    if call.attrs.get("matrix"):
        return (prod(shape[:start]), prod(shape[start:]))
    return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


def _flatten_rule(call: Call) -> Rule:
    before, after = _regroup(call.shape(0), _flat_shape(call), call)
    return Rule((before,), (after,))


def _squeeze_rule(call: Call) -> Rule:
    shape, axes = call.shape(0), call.attrs["axes"]
    if any(shape[axis] != 1 for axis in axes):
        raise UnsupportedError(f"axes {axes} of {shape} cannot be squeezed", where=call.origin)
    dims = atoms(shape)
    return Rule((dims,), (tuple(dim for axis, dim in enumerate(dims) if axis not in axes),))


def _unsqueeze_rule(call: Call) -> Rule:
    dims, axes = atoms(call.shape(0)), call.attrs["axes"]
    rest = iter(dims)
    rank = len(dims) + len(axes)
    return Rule((dims,), (tuple(Fixed(1) if axis in axes else next(rest) for axis in range(rank)),))


def _squeeze(call: Call, x: Array) -> Array:
    return np.squeeze(x, axis=call.attrs["axes"])


def _unsqueeze(call: Call, x: Array) -> Array:
    return np.expand_dims(x, call.attrs["axes"])


_Shapes = tuple[Shape | None, ...]
_Attrs = dict[str, Any]


def _from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return {"shape": resolved(integers(attrs["shape"]), prod(shape_of(shapes)))}


def _from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """0 copies the size at that place unless ``allowzero`` is set."""
    old, target = shape_of(shapes), integers(required(attrs, "shape"))
    if not attrs.get("allowzero"):
        target = tuple(old[i] if size == 0 else size for i, size in enumerate(target))
    return {"shape": resolved(target, prod(old))}


def _flat_from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    rank = len(shape_of(shapes))
    return {"start": axis_of(attrs["start"], rank), "end": axis_of(attrs["end"], rank)}


def _flat_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """The axis may be the one behind the last."""
    rank, axis = len(shape_of(shapes)), int(attrs.get("axis", 1))
    return {"start": axis + rank if axis < 0 else axis, "end": rank - 1, "matrix": True}


def _squeezed_from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """torch leaves an axis alone that has more than one entry."""
    shape = shape_of(shapes)
    axes = axes_at(attrs["axes"], len(shape)) if shape else ()
    return {"axes": tuple(axis for axis in axes if shape[axis] == 1)}


def _squeezed_from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    shape = shape_of(shapes)
    every = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return {"axes": every if attrs.get("axes") is None else axes_at(attrs["axes"], len(shape))}


def _unsqueezed(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    axes = integers(required(attrs, "axes"))
    return {"axes": axes_at(axes, len(shape_of(shapes)) + len(axes))}


_VIEWS = ("reshape.default", "_unsafe_view.default", "view.default", "view_copy.default")

ops = (
    Op(
        "reshape",
        ("input",),
        _reshape_rule,
        lambda call, x: x.reshape(call.attrs["shape"]),
        movement(),
        (
            Aten(_VIEWS[:1], attrs={"shape": "shape"}, fix=_from_aten),
            Aten(_VIEWS[1:], attrs={"shape": "size"}, fix=_from_aten),
        ),
        (Onnx(("Reshape",), (0,), {"shape": (1, "shape"), "allowzero": "allowzero"}, fix=_from_onnx),),
    ),
    Op(
        "flatten",
        ("input",),
        _flatten_rule,
        lambda call, x: x.reshape(_flat_shape(Call(call.attrs, (x.shape,)))),
        movement(),
        (Aten(("flatten.using_ints",), attrs={"start": "start_dim", "end": "end_dim"}, fix=_flat_from_aten),),
        (Onnx(("Flatten",), (0,), {"axis": "axis"}, fix=_flat_from_onnx),),
    ),
    Op(
        "squeeze",
        ("input",),
        _squeeze_rule,
        _squeeze,
        movement(),
        (Aten(("squeeze.dims",), attrs={"axes": "dim"}, fix=_squeezed_from_aten),),
        (Onnx(("Squeeze",), (0,), {"axes": (1, "axes")}, fix=_squeezed_from_onnx),),
    ),
    Op(
        "unsqueeze",
        ("input",),
        _unsqueeze_rule,
        _unsqueeze,
        movement(),
        (Aten(("unsqueeze.default",), attrs={"axes": "dim"}, fix=_unsqueezed),),
        (Onnx(("Unsqueeze",), (0,), {"axes": (1, "axes")}, fix=_unsqueezed),),
    ),
)
