"""Rules and flows shared by operators that move or make entries: dims that stay, broadcasting, constants."""

from __future__ import annotations

import numpy as np

from ._dims import Dim, Dims, Fixed, sizes
from ._errors import UnsupportedError
from ._flow import Arrays, Flow, Sampler
from ._graph import Array, Shape
from ._op import Call, Op
from ._origin import Pin


def stays(size: int, reason: str, call: Call) -> Dim:
    """An index space that may not be cut, and why; with one entry there is nothing to explain."""
    return Fixed(size, (Pin(reason, call.origin),) if size > 1 else ())


def stay(shape: Shape, reason: str, call: Call) -> Dims:
    """:func:`stays` for every size of ``shape``."""
    return tuple(stays(size, reason, call) for size in shape)


def aligned(shape: Shape, made: Dims) -> Dims:
    """Dims of ``shape`` when it is broadcast to ``made``: aligned at the last axis.

    Raises:
        UnsupportedError: it does not broadcast.
    """
    tail = made[max(len(made) - len(shape), 0) :]
    if len(tail) != len(shape) or any(
        size not in (1, dim.size) for size, dim in zip(shape, tail, strict=True)
    ):
        raise UnsupportedError(f"{shape} cannot be expanded to {sizes(made)}")
    return tuple(dim if dim.size == size else Fixed(size) for size, dim in zip(shape, tail, strict=True))


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return tuple(np.abs(np.asarray(array, float)) for array in op.run(call, mags))


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """A single sample, whatever the operands hold."""
    zeros = tuple(None if shape is None else np.zeros(shape) for shape in call.shapes)
    return tuple(array[None] for array in op.run(call, zeros))


CREATED = Flow(_magnitude, _moments)
"""What does not depend on the data of any operand."""
