"""Rules and flows shared by operators that work entry by entry under broadcasting.

Rule: shapes are aligned at the last axis; entries of one axis are the same index space in the result and in
every operand that is not broadcast along it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._dims import Dims, Fixed, atoms
from ._errors import UnsupportedError
from ._flow import Arrays, Flow, evaluated, pointwise
from ._graph import Array, Attrs, Shape
from ._op import Aten, Call, Onnx, Op, Rule


def broadcast_rule(call: Call) -> Rule:
    """All operands broadcast against each other into one result."""
    shapes = [shape for shape in call.shapes if shape is not None]
    result = _broadcast_shape(shapes, call)
    made = atoms(result)
    operands = tuple(None if shape is None else aligned(shape, made) for shape in call.shapes)
    return Rule(operands, (made,))


def _broadcast_shape(shapes: list[Shape], call: Call) -> Shape:
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise UnsupportedError(f"shapes {shapes} do not broadcast", where=call.origin) from error


def aligned(shape: Shape, made: Dims) -> Dims:
    """Dims of an operand of ``shape`` that is broadcast to ``made``; an axis of size 1 is shared by all."""
    tail = made[len(made) - len(shape) :]
    return tuple(dim if dim.size == size else Fixed(size) for size, dim in zip(shape, tail, strict=True))


def unary_rule(call: Call) -> Rule:
    """One operand, one result, and nothing moves."""
    dims = atoms(call.shape(0))
    return Rule((dims,), (dims,))


def _largest(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|f(x)| <= |x|: the identity, relu and all their kin that are 1-Lipschitz with f(0) = 0."""
    present = [array for array in mags if array is not None]
    return (np.broadcast_to(np.maximum.reduce(np.broadcast_arrays(*present)), call.results[0]),)


def _summed(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(sum(array for array in mags if array is not None)),)


def _multiplied(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(mags[0]) * np.asarray(mags[1]),)


def _divided(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(mags[0]) / nonzero(np.asarray(mags[1])),)


def _at_most_one(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.ones(call.results[0]),)


def _raised(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """A constant exponent keeps its sign: x ** -0.5 is how a normalisation is spelled out."""
    base, known = np.asarray(mags[0]), call.known(1)
    exponent = np.asarray(mags[1]) if known is None else known
    return (np.where(exponent < 0, nonzero(base), base) ** exponent,)


def _log_of(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Small near 0 and slow above: the bound of log(1 + x), for log itself has none."""
    return (np.log1p(np.asarray(mags[0])),)


def nonzero(divisor: Array) -> Array:
    """A divisor: a magnitude of 0 below a fraction leaves the fraction as it is."""
    return np.where(divisor == 0, 1.0, divisor)


def steep(slope: Callable[[Attrs], float]) -> Flow:
    """|f(x) - f(0)| <= slope * |x|, the slope from the attributes."""
    return pointwise(lambda op, call, mags: (np.asarray(mags[0]) * slope(call.attrs),))


LIPSCHITZ, SUM, PRODUCT, QUOTIENT = map(pointwise, (_largest, _summed, _multiplied, _divided))
GATE, POWER, LOGARITHM, RISING = map(pointwise, (_at_most_one, _raised, _log_of, evaluated))


def unary(
    name: str,
    compute: Callable[..., Array],
    aten: str = "",
    onnx: str = "",
    flow: Flow = LIPSCHITZ,
    attrs: Mapping[str, tuple[Any, str, str]] = MappingProxyType({}),
) -> Op:
    """An operator of one operand and numbers, entry by entry.

    Args:
        compute: of the operand and the attributes in order.
        aten, onnx: names of it in torch (the ``default`` overload) and ONNX, blank between several.
        attrs: a name -> (value where the host gives none, argument of torch, attribute of ONNX); where a
            name in one of the hosts is empty that host has no such number.
    """

    def evaluate(call: Call, x: Array) -> Array:
        return compute(x, *(call.attrs.get(key, default) for key, (default, _, _) in attrs.items()))

    torch_attrs = {key: argument for key, (_, argument, _) in attrs.items() if argument}
    onnx_attrs = {key: attribute for key, (_, _, attribute) in attrs.items() if attribute}
    return Op(
        name,
        ("input",),
        unary_rule,
        evaluate,
        flow,
        (Aten(tuple(f"{target}.default" for target in aten.split()), attrs=torch_attrs),) if aten else (),
        (Onnx(tuple(onnx.split()), (0,), onnx_attrs),) if onnx else (),
    )
