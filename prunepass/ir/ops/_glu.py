"""The gated linear unit: one half of an axis times the sigmoid of the other.

Rule: the axis is two segments of one index space, ``Sum(a, a)``: entry i of either half goes with entry i of
the result, so halves are cut alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import atom, atoms, total
from .._elementary import sigmoid
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Aten, Call, Op, Rule
from .._plain import axis_of
from .._spelling import shape_of


def _rule(call: Call) -> Rule:
    shape, axis = call.shape(0), call.attrs["axis"]
    if shape[axis] % 2:
        raise UnsupportedError(f"{shape[axis]} entries have no halves", where=call.origin)
    dims, half = atoms(shape), atom(shape[axis] // 2)
    operand = (*dims[:axis], total(half, half), *dims[axis + 1 :])
    return Rule((operand,), ((*dims[:axis], half, *dims[axis + 1 :]),))


def _glu(call: Call, x: Array) -> Array:
    value, gate = np.split(x, 2, axis=call.attrs["axis"])
    return np.asarray(value * sigmoid(gate))


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """A gate is at most 1: the half that it opens."""
    return (np.split(np.asarray(mags[0]), 2, axis=call.attrs["axis"])[0],)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Where all entries of the axis are alike so are the halves."""
    data, axis = samples[0], call.attrs["axis"]
    if data is None:
        return (None,)
    whole = data.shape[axis + 1] == call.shape(0)[axis]
    value, gate = np.split(data, 2, axis=axis + 1) if whole else (data, data)
    return (np.asarray(value * sigmoid(gate)),)


def _axis(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"axis": axis_of(attrs["axis"], len(shape_of(shapes)))}


ops = (
    Op(
        "glu",
        ("input",),
        _rule,
        _glu,
        Flow(_magnitude, _moments),
        (Aten(("glu.default",), attrs={"axis": "dim"}, fix=_axis),),
    ),
)
