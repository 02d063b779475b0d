"""What operators that work entry by entry under broadcasting have in common.

Rule: shapes are aligned at the last axis; entries of one axis are the same index space in the result and in
every operand that is not broadcast along it.
"""

from __future__ import annotations

import numpy as np

from ._dims import Dim, Dims, Fixed, atom
from ._errors import UnsupportedError
from ._flow import Arrays, pointwise
from ._graph import Array, Shape
from ._op import Aten, Call, Onnx, Op, Rule


def broadcast_rule(call: Call) -> Rule:
    """All operands broadcast against each other into one result."""
    shapes = [shape for shape in call.shapes if shape is not None]
    result = _broadcast_shape(shapes, call)
    made = tuple(atom(size) for size in result)
    operands = tuple(None if shape is None else _aligned(shape, made) for shape in call.shapes)
    return Rule(operands, (made,))


def _broadcast_shape(shapes: list[Shape], call: Call) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise UnsupportedError(f"shapes {shapes} do not broadcast", where=call.origin) from error


def _aligned(shape: Shape, made: Dims) -> Dims:
    tail = made[len(made) - len(shape) :]
    return tuple(dim if dim.size == size else Fixed(size) for size, dim in zip(shape, tail, strict=True))


def unary_rule(call: Call) -> Rule:
    dims: tuple[Dim, ...] = tuple(atom(size) for size in call.shape(0))
    return Rule((dims, *(() for _ in call.shapes[1:])), (dims,))


def _largest(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|f(x)| <= |x|: the identity, relu and all their kin that are 1-Lipschitz with f(0) = 0."""
    present = [array for array in mags if array is not None]
    return (np.broadcast_to(np.maximum.reduce(np.broadcast_arrays(*present)), call.results[0]),)


def _summed(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(sum(array for array in mags if array is not None)),)


def _multiplied(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(mags[0]) * np.asarray(mags[1]),)


def _divided(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    below = np.asarray(mags[1])
    return (np.asarray(mags[0]) / np.where(below == 0, 1.0, below),)


def _at_most_one(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.ones(call.results[0]),)


LIPSCHITZ, SUM, PRODUCT, QUOTIENT, GATE = (
    pointwise(transfer) for transfer in (_largest, _summed, _multiplied, _divided, _at_most_one)
)
