"""Linear layers and matrix products, with a weight or between two activations.

Rule: ``(.., m, k) x (.., k, n) -> (.., m, n)``; ``k`` is contracted, leading dims broadcast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atom, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, contraction
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule


def _linear_rule(call: Call) -> Rule:
    data, weight = call.shape(0), call.shape(1)
    if data[-1] != weight[1]:
        raise UnsupportedError(f"{data[-1]} features meet a weight for {weight[1]}", where=call.origin)
    lead, out, inside = atoms(data[:-1]), atom(weight[0]), atom(weight[1])
    operands = ((*lead, inside), (out, inside), (out,) if call.has(2) else None)
    return Rule(operands[: len(call.shapes)], ((*lead, out),), (inside,), work=((*lead, out, inside),))


def _linear(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    result = np.matmul(x, weight.T)
    return result if bias is None else result + bias


def _linear_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    return np.asarray(np.asarray(mags[0]) * np.asarray(mags[1]).sum(axis=0))


def _matmul_rule(call: Call) -> Rule:
    a, b = call.shape(0), call.shape(1)
    k = a[-1]
    if k != (b[-2] if len(b) > 1 else b[0]):
        raise UnsupportedError(f"matrix product of {a} and {b}", where=call.origin)
    inside = atom(k)
    rows: Dims = (atom(a[-2]),) if len(a) > 1 else ()
    columns: Dims = (atom(b[-1]),) if len(b) > 1 else ()
    lead = atoms(np.broadcast_shapes(a[:-2], b[:-2]))
    left = (*_leading(lead, a[:-2]), *rows, inside)
    right = (*_leading(lead, b[:-2]), inside, *columns)
    result = (*lead, *rows, *columns)
    return Rule((left, right), (result,), (inside,), work=((*result, inside),))


def _leading(lead: Dims, shape: Shape) -> Dims:
    tail = lead[len(lead) - len(shape) :]
    return tuple(dim if dim.size == size else Fixed(size) for dim, size in zip(tail, shape, strict=True))


def _matmul_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Each entry times the sum of the row or column it meets, broadcast dims summed by the caller's axes."""
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


def _gemm_rule(call: Call) -> Rule:
    """``alpha * A' B' + beta * C`` where either may be transposed; C broadcasts."""
    a, b = call.shape(0), call.shape(1)
    flip_a, flip_b = bool(call.attrs.get("trans_a", 0)), bool(call.attrs.get("trans_b", 0))
    rows, inside = atom(a[1] if flip_a else a[0]), atom(a[0] if flip_a else a[1])
    columns = atom(b[0] if flip_b else b[1])
    if inside.size != (b[1] if flip_b else b[0]):
        raise UnsupportedError(f"matrix product of {a} and {b}", where=call.origin)
    left = (inside, rows) if flip_a else (rows, inside)
    right = (columns, inside) if flip_b else (inside, columns)
    result = (rows, columns)
    added = _leading(result, call.shape(2)) if call.has(2) else None
    return Rule((left, right, added)[: len(call.shapes)], (result,), (inside,), work=((*result, inside),))


def _gemm(call: Call, a: Array, b: Array, c: Array | None = None) -> Array:
    a = a.T if call.attrs.get("trans_a", 0) else a
    b = b.T if call.attrs.get("trans_b", 0) else b
    result = np.matmul(a, b) * call.attrs.get("alpha", 1.0)
    return result if c is None else result + c * call.attrs.get("beta", 1.0)


def _gemm_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    a, b = np.asarray(mags[0]), np.asarray(mags[1])
    b = b.T if call.attrs.get("trans_b", 0) else b
    share = b.sum(axis=1) * abs(call.attrs.get("alpha", 1.0))
    return np.asarray(a * (share[:, None] if call.attrs.get("trans_a", 0) else share))


_GEMM_FLAGS: dict[str, str | int | tuple[str | int, ...]] = {
    "trans_a": "transA",
    "trans_b": "transB",
    "alpha": "alpha",
    "beta": "beta",
}


def _unit_scales(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if value != 1}


ops = (
    Op(
        "linear",
        ("input", "weight", "bias"),
        _linear_rule,
        _linear,
        contraction(_linear_inflow),
        (Aten(("linear.default",), ("input", "weight", "bias")),),
        shift_out=2,
    ),
    Op(
        "matmul",
        ("input", "weight"),
        _matmul_rule,
        lambda call, a, b: np.matmul(a, b),
        contraction(_matmul_inflow),
        (
            Aten(("matmul.default",), ("self", "other")),
            Aten(("mm.default", "bmm.default"), ("self", "mat2")),
            Aten(("mv.default",), ("self", "vec")),
        ),
        (Onnx(("MatMul",)),),
    ),
    Op(
        "gemm",
        ("input", "weight", "bias"),
        _gemm_rule,
        _gemm,
        contraction(_gemm_inflow),
        (Aten(("addmm.default",), ("mat1", "mat2", "self"), {"alpha": "alpha", "beta": "beta"}, _unit_scales),),
        (Onnx(("Gemm",), (0, 1, 2), _GEMM_FLAGS),),
        shift_out=2,
    ),
)
