"""Pooling onto a given number of windows: window i of o over n entries goes from floor(i n / o) to
ceil((i + 1) n / o).

Rule: as for pooling; leading dims pass and positions are pinned.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .._dims import atoms
from .._errors import UnsupportedError
from .._flow import Arrays, average, bounded
from .._graph import Array, Shape
from .._moves import stay
from .._op import Aten, Call, Op, Rule
from .._plain import integers
from .._windows import spread

_REASON = "windows divide it"


def _split(call: Call) -> tuple[Shape, Shape, Shape]:
    """Leading sizes, the space and the number of windows."""
    out: Shape = call.attrs["size"]
    shape = call.shape(0)
    if len(shape) <= len(out):
        raise UnsupportedError(f"{len(out)} dims of windows over {shape}", where=call.origin)
    return shape[: -len(out)], shape[-len(out) :], out


def _rule(call: Call) -> Rule:
    lead, space, out = _split(call)
    dims = atoms(lead)
    result = (*dims, *stay(out, _REASON, call))
    operand = (*dims, *stay(space, _REASON, call))
    return Rule((operand,), (result, result) if call.attrs.get("indices") else (result,))


def _ranges(size: int, count: int) -> list[slice]:
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _mix(x: Array, axis: int, count: int, weigh: Any) -> Array:
    """Multiply one axis with the matrix that has ``weigh(width)`` for the members of each window."""
    matrix = np.zeros((x.shape[axis], count), x.dtype)
    for i, window in enumerate(_ranges(x.shape[axis], count)):
        matrix[window, i] = weigh(window.stop - window.start)
    return np.asarray(np.moveaxis(np.moveaxis(x, axis, -1) @ matrix, -1, axis))


def _mean(call: Call, x: Array) -> Array:
    """Windows are boxes, so the mean is taken one axis after the other."""
    for back, count in enumerate(reversed(call.attrs["size"]), start=1):
        x = _mix(x, x.ndim - back, count, lambda width: 1 / width)
    return x


def _largest(call: Call, x: Array) -> Array | tuple[Array, ...]:
    lead, space, out = _split(call)
    best, found = np.empty((*lead, *out), x.dtype), np.zeros((*lead, *out), np.int64)
    numbers = np.arange(int(np.prod(space))).reshape(space)
    for at in product(*(range(count) for count in out)):
        each = zip(space, out, at, strict=True)
        window: tuple[Any, ...] = (Ellipsis, *(_ranges(size, count)[i] for size, count, i in each))
        members = x[window].reshape(*lead, -1)
        place: tuple[Any, ...] = (Ellipsis, *at)
        best[place] = members.max(axis=-1)
        found[place] = numbers[window].ravel()[members.argmax(axis=-1)]
    return (best, found) if call.attrs.get("indices") else best


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|max x - max y| <= sum |x - y| over the window."""
    whole = np.asarray(mags[0])
    for back, count in enumerate(reversed(call.attrs["size"]), start=1):
        whole = _mix(whole, whole.ndim - back, count, lambda width: 1)
    return (whole, np.ones_like(whole)) if call.attrs.get("indices") else (whole,)


def _torch(names: tuple[str, ...], rank: int, indices: bool) -> Aten:
    """One number stands for all dims."""

    def fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
        size: dict[str, Any] = {"size": spread(integers(attrs["size"]), rank)}
        return {**size, "indices": True} if indices else size

    return Aten(names, attrs={"size": "output_size"}, fix=fix)


_RANKS = (1, 2, 3)

ops = (
    Op(
        "adaptive_avg_pool",
        ("input",),
        _rule,
        _mean,
        average(),
        (
            *(_torch((f"adaptive_avg_pool{rank}d.default",), rank, False) for rank in _RANKS),
            *(_torch((f"_adaptive_avg_pool{rank}d.default",), rank, False) for rank in (2, 3)),
        ),
    ),
    Op(
        "adaptive_max_pool",
        ("input",),
        _rule,
        _largest,
        bounded(_magnitude),
        tuple(_torch((f"adaptive_max_pool{rank}d.default",), rank, True) for rank in _RANKS),
    ),
)
