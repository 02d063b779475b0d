"""Transpositions: axes change place, every axis keeps its index space."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import atoms
from .._flow import movement
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of
from .._spelling import axes_at, shape_of


def _rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    return Rule((dims,), (tuple(dims[axis] for axis in call.attrs["order"]),))


def _permute(call: Call, x: Array) -> Array:
    return np.transpose(x, call.attrs["order"])


def _ordered(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """ONNX reverses the axes where no order is given."""
    rank = len(shape_of(shapes))
    order = attrs.get("order")
    return {"order": tuple(reversed(range(rank))) if order is None else axes_at(order, rank)}


def _exchanged(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """Two axes change place; a matrix without further word is transposed, a vector is left alone."""
    order = list(range(len(shape_of(shapes))))
    if len(order) > 1:
        one, other = (axis_of(attrs.get(name, at), len(order)) for at, name in enumerate(("one", "other")))
        order[one], order[other] = order[other], order[one]
    return {"order": tuple(order)}


ops = (
    Op(
        "permute",
        ("input",),
        _rule,
        _permute,
        movement(),
        (
            Aten(("permute.default",), attrs={"order": "dims"}, fix=_ordered),
            Aten(("transpose.int",), attrs={"one": "dim0", "other": "dim1"}, fix=_exchanged),
            Aten(("t.default",), fix=_exchanged),
        ),
        (Onnx(("Transpose",), (0,), {"order": "perm"}, fix=_ordered),),
    ),
)
