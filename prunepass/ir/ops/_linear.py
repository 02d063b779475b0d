"""Linear layers and matrix products, with a weight or between two activations.

Rule: ``(.., m, k) x (.., k, n) -> (.., m, n)``; ``k`` is contracted, leading dims broadcast. A vector on
either side has no ``m`` or ``n``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._dims import atom, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, contraction
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._product import leading, matmul_inflow, matmul_rule


def _linear_rule(call: Call) -> Rule:
    data, weight = call.shape(0), call.shape(1)
    if data[-1] != weight[-1]:
        raise UnsupportedError(f"{data[-1]} features meet a weight for {weight[-1]}", where=call.origin)
    lead, out, inside = atoms(data[:-1]), atoms(weight[:-1]), atom(weight[-1])
    operands = ((*lead, inside), (*out, inside), out if call.has(2) else None)
    return Rule(operands[: len(call.shapes)], ((*lead, *out),), (inside,), work=((*lead, *out, inside),))


def _linear(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    result = np.asarray(np.matmul(x, weight.T))
    return result if bias is None else result + bias


def _linear_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    data, weight = np.asarray(mags[0]), np.asarray(mags[1])
    if position == 1:
        return np.asarray(weight * data.sum(axis=tuple(range(data.ndim - 1))))
    return np.asarray(data * weight.sum(axis=tuple(range(weight.ndim - 1))))


def _matmul(call: Call, a: Array, b: Array) -> Array:
    return np.asarray(np.matmul(a, b))


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
    added = leading(result, call.shape(2)) if call.has(2) else None
    return Rule((left, right, added)[: len(call.shapes)], (result,), (inside,), work=((*result, inside),))


def _gemm(call: Call, a: Array, b: Array, c: Array | None = None) -> Array:
    a = a.T if call.attrs.get("trans_a", 0) else a
    b = b.T if call.attrs.get("trans_b", 0) else b
    result = np.asarray(np.matmul(a, b)) * call.attrs.get("alpha", 1.0)
    return np.asarray(result if c is None else result + c * call.attrs.get("beta", 1.0))


def _gemm_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    factors = {name: abs(call.attrs.get(name, 1.0)) for name in ("alpha", "beta")}
    return op.run(replace(call, attrs={**call.attrs, **factors}), mags)


def _gemm_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """As for a matrix product of the two, each flipped as it says."""
    a, b = np.asarray(mags[0]), np.asarray(mags[1])
    row, column = (1 if call.attrs.get("trans_a", 0) else 0), (0 if call.attrs.get("trans_b", 0) else 1)
    if position == 1:
        met = np.expand_dims(a.sum(axis=row), column)
        return np.asarray(b * met * abs(call.attrs.get("alpha", 1.0)))
    met = np.expand_dims(b.sum(axis=column), row)
    return np.asarray(a * met * abs(call.attrs.get("alpha", 1.0)))


def _gemm_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """The factors go into the weight and the bias, for a variance passes through the square of both."""
    factors = (1.0, call.attrs.get("alpha", 1.0), call.attrs.get("beta", 1.0))
    scaled = tuple(None if array is None else array * f for array, f in zip(samples, factors, strict=False))
    plain = replace(call, attrs={**call.attrs, "alpha": 1.0, "beta": 1.0})
    return contraction(_gemm_inflow).moments(op, plain, scaled, sampler)


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
        matmul_rule,
        _matmul,
        contraction(matmul_inflow),
        (
            Aten(("matmul.default",), ("self", "other")),
            Aten(("mm.default", "bmm.default"), ("self", "mat2")),
            Aten(("mv.default",), ("self", "vec")),
            Aten(("dot.default",), ("self", "tensor")),
        ),
        (Onnx(("MatMul",)),),
    ),
    Op(
        "gemm",
        ("input", "weight", "bias"),
        _gemm_rule,
        _gemm,
        Flow(_gemm_magnitude, _gemm_moments, _gemm_inflow),
        (
            Aten(
                ("addmm.default",), ("mat1", "mat2", "self"), {"alpha": "alpha", "beta": "beta"}, _unit_scales
            ),
        ),
        (Onnx(("Gemm",), (0, 1, 2), _GEMM_FLAGS),),
        shift_out=2,
    ),
)
