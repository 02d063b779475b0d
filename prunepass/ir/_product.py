"""Matrix products: the rule and the closed form that every operator made of one shares."""

from __future__ import annotations

import numpy as np

from ._dims import Dims, Fixed, atom, atoms
from ._errors import UnsupportedError
from ._flow import Arrays
from ._graph import Array, Shape
from ._op import Call, Op, Rule


def matmul_rule(call: Call) -> Rule:
    """``(.., m, k) x (.., k, n) -> (.., m, n)``; ``k`` is contracted, leading dims broadcast."""
    a, b = call.shape(0), call.shape(1)
    k = a[-1]
    if k != b[-2 if len(b) > 1 else -1]:
        raise UnsupportedError(f"matrix product of {a} and {b}", where=call.origin)
    inside = atom(k)
    rows: Dims = (atom(a[-2]),) if len(a) > 1 else ()
    columns: Dims = (atom(b[-1]),) if len(b) > 1 else ()
    lead = atoms(np.broadcast_shapes(a[:-2], b[:-2]))
    left = (*leading(lead, a[:-2]), *rows, inside)
    right = (*leading(lead, b[:-2]), inside, *columns)
    result = (*lead, *rows, *columns)
    return Rule((left, right), (result,), (inside,), work=((*result, inside),))


def leading(lead: Dims, shape: Shape) -> Dims:
    """The last of ``lead`` as a side of ``shape`` has them: what it broadcasts is its own."""
    tail = lead[len(lead) - len(shape) :]
    return tuple(dim if dim.size == size else Fixed(size) for dim, size in zip(tail, shape, strict=True))


def matmul_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Each entry times the sum of the row or column it meets, over everything it is broadcast to."""
    a, b = np.asarray(mags[0]), np.asarray(mags[1])
    left, right = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]
    if position == 0:
        met = right.sum(axis=-1)[..., None, :]
        return _fold(left * met, left.shape).reshape(a.shape)
    met = left.sum(axis=-2)[..., :, None]
    return _fold(right * met, right.shape).reshape(b.shape)


def _fold(array: Array, shape: Shape) -> Array:
    """Sum out what broadcasting added to ``shape``."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, (have, want) in enumerate(zip(array.shape, shape, strict=True)) if have != want)
    return np.asarray(array.sum(axis=axes, keepdims=True))
