"""Rules and flows shared by operators with an index: axes met, dims made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ._dims import Dims, atoms
from ._errors import UnsupportedError
from ._flow import Arrays, Flow, Sampler, movement
from ._graph import Array, Shape
from ._moves import aligned, stay
from ._op import Call, Op

Axes = Callable[[Call], tuple[int, ...]]


def indexed_axes(call: Call, first: int) -> list[int]:
    """Axes of operand 0 that the index operands from position ``first`` on look into; absent ones pass."""
    axes, axis = list[int](), 0
    for position in range(first, len(call.shapes)):
        rank = len(call.shape(position)) if _is_mask(call, position) else 1
        if call.has(position):
            axes += range(axis, axis + rank)
        axis += rank
    return axes


def _is_mask(call: Call, position: int) -> bool:
    return call.has(position) and position < len(call.dtypes) and call.dtypes[position] == "bool"


def index_dims(call: Call, first: int, reason: str = "") -> tuple[tuple[Dims | None, ...], Dims]:
    """Dims of the index operands and of what they broadcast to; with a reason or a mask they stay."""
    positions = [i for i in range(first, len(call.shapes)) if call.has(i)]
    masks = [i for i in positions if _is_mask(call, i)]
    counted: list[Shape] = []
    for i in positions:
        known = call.known(i) if i in masks else None
        if i in masks and known is None:
            raise UnsupportedError("how many entries a mask takes depends on the data", where=call.origin)
        counted.append(call.shape(i) if known is None else (int(np.count_nonzero(known)),))
    shape = tuple(np.broadcast_shapes(*counted))
    made = stay(shape, reason or "a mask", call) if reason or masks else atoms(shape)

    def dims(position: int) -> Dims | None:
        if not call.has(position):
            return None
        shape = call.shape(position)
        return stay(shape, "a mask", call) if position in masks else aligned(shape, made)

    return tuple(dims(i) for i in range(first, len(call.shapes))), made


def placed(call: Call, first: int, index: Dims, rest: Dims) -> Dims:
    """Dims of an indexed array: those of the index stand where the indexed axes stood, or in front of all."""
    axes = indexed_axes(call, first)
    given = [i for i in range(first, len(call.shapes)) if call.has(i)]
    at = axes[0] if given == list(range(given[0], given[-1] + 1)) else 0
    return (*rest[:at], *index, *rest[at:])


def lookup(axes: Axes) -> Flow:
    """Operand 0 is data, all others say which of its entries along ``axes`` are taken.

    Where the indices are not constant the magnitude is the largest that could be met, and the samples of a
    constant table are drawn with the mean and the variance of its rows.
    """

    def magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
        data, indices = np.asarray(mags[0]), _indices(call)
        if indices is None:
            largest = data.max(axis=axes(call), keepdims=True, initial=0.0)
            data, indices = np.broadcast_to(largest, data.shape), _first(call)
        return op.run(call, (data, *indices))

    def moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
        data, indices = samples[0], _indices(call)
        if data is None or (indices is None and data.shape[0] != 1):
            return (None,)
        if indices is not None:
            return _moved(op, call, data, indices, sampler)
        over = tuple(axis + 1 for axis in axes(call))
        mean, variance = data.mean(axis=over, keepdims=True), data.var(axis=over, keepdims=True)
        parts = (_moved(op, call, part, _first(call), sampler)[0] for part in (mean, np.sqrt(variance)))
        return (sampler.normal(*(np.asarray(part)[0] for part in parts)),)

    return Flow(magnitude, moments)


def _indices(call: Call) -> Arrays | None:
    """Data of the index operands; None where one of them is computed at run time."""
    found = tuple(call.known(i) if call.has(i) else None for i in range(1, len(call.shapes)))
    missing = any(array is None and call.has(i) for i, array in enumerate(found, 1))
    return None if missing else found


def _first(call: Call) -> Arrays:
    """Indices that take the first entry everywhere."""
    return tuple(None if shape is None else np.zeros(shape, dtype=np.int64) for shape in call.shapes[1:])


def _moved(op: Op, call: Call, data: Array, indices: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Samples of ``data`` where the operator with these ``indices`` puts them."""
    bound = replace(op, evaluate=lambda call, array, *_: op.evaluate(call, array, *indices))
    absent = (None,) * (len(call.shapes) - 1)
    return movement().moments(
        bound, replace(call, shapes=(call.shapes[0], *absent)), (data, *absent), sampler
    )
