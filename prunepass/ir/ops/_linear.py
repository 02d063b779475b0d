"""Linear layers and matrix products, with a weight or between two activations.

Rule: ``(.., m, k) x (.., k, n) -> (.., m, n)``; ``k`` is contracted, leading dims broadcast. A vector on
either side has no ``m`` or ``n``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .._dims import Dims, Fixed, Index, atom, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, contraction
from .._graph import Array, Shape
from .._notation import relation
from .._op import Aten, Call, Onnx, Op, Rule
from .._terms import plain_terms

_linear_rule = relation("n.. i, o.. i, o.. -> n.. o..")


def _linear(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    result = np.asarray(np.matmul(x, weight.T))
    return result if bias is None else result + bias


def _linear_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    data, weight = np.asarray(mags[0]), np.asarray(mags[1])
    if position == 1:
        return np.asarray(weight * data.sum(axis=tuple(range(data.ndim - 1))))
    return np.asarray(data * weight.sum(axis=tuple(range(weight.ndim - 1))))


def _orders(call: Call) -> tuple[Shape, Shape]:
    """For each side its axes as they are multiplied: the batch moved in front first, then the last two swapped."""
    left, right = (
        _order(call, at, bool(call.attrs.get(f"trans_{side}")), bool(call.attrs.get(f"batch_{side}")))
        for at, side in enumerate("ab")
    )
    return left, right


def _order(call: Call, position: int, flip: bool, batch: bool) -> Shape:
    axes = tuple(range(len(call.shape(position))))
    if len(axes) < 2 + batch and (flip or batch):
        raise UnsupportedError(f"a matrix product of {len(axes)} axes, transposed", where=call.origin)
    axes = (*axes[1:-1], 0, axes[-1]) if batch else axes
    return (*axes[:-2], axes[-1], axes[-2]) if flip else axes


def _back(order: Shape) -> Shape:
    """The order that undoes ``order``."""
    return tuple(order.index(axis) for axis in range(len(order)))


def _matmul_rule(call: Call) -> Rule:
    """``alpha * A' B'`` where either may be transposed, its batch too."""
    orders = _orders(call)
    a, b = (tuple(call.shape(at)[axis] for axis in order) for at, order in enumerate(orders))
    k = a[-1]
    if k != b[-2 if len(b) > 1 else -1]:
        raise UnsupportedError(f"matrix product of {a} and {b}", where=call.origin)
    inside = atom(k)
    rows: Dims = (atom(a[-2]),) if len(a) > 1 else ()
    columns: Dims = (atom(b[-1]),) if len(b) > 1 else ()
    lead = atoms(np.broadcast_shapes(a[:-2], b[:-2]))
    sides = (*_leading(lead, a[:-2]), *rows, inside), (*_leading(lead, b[:-2]), inside, *columns)
    operands = (tuple(dims[at] for at in _back(order)) for dims, order in zip(sides, orders, strict=True))
    result = (*lead, *rows, *columns)
    return Rule(tuple(operands), (result,), (inside,), work=((*result, inside),))


def _leading(lead: Dims, shape: Shape) -> Dims:
    tail = lead[len(lead) - len(shape) :]
    return tuple(dim if dim.size == size else Fixed(size) for dim, size in zip(tail, shape, strict=True))


def _matmul(call: Call, a: Array, b: Array) -> Array:
    left, right = _orders(call)
    return _scaled(np.matmul(a.transpose(left), b.transpose(right)), call.attrs.get("alpha", 1))


def _scaled(array: Array, factor: float) -> Array:
    """Times ``factor``; whole numbers stay whole where it is 1."""
    return np.asarray(array if factor == 1 else array * factor)


def _matmul_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    factors = {name: abs(call.attrs[name]) for name in ("alpha", "beta") if name in call.attrs}
    return op.run(replace(call, attrs={**call.attrs, **factors}), mags)


def _matmul_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Each entry times the sum of the row or column it meets, over everything it is broadcast to."""
    orders = _orders(call)
    a, b = (np.asarray(mag).transpose(order) for mag, order in zip(mags[:2], orders, strict=True))
    left, right = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]
    if position == 0:
        share = _fold(left * right.sum(axis=-1)[..., None, :], left.shape).reshape(a.shape)
    else:
        share = _fold(right * left.sum(axis=-2)[..., :, None], right.shape).reshape(b.shape)
    return _scaled(share.transpose(_back(orders[position])), abs(call.attrs.get("alpha", 1)))


def _fold(array: Array, shape: Shape) -> Array:
    """Sum out what broadcasting added to ``shape``."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, (have, want) in enumerate(zip(array.shape, shape, strict=True)) if have != want)
    return np.asarray(array.sum(axis=axes, keepdims=True))


def _matmul_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """The factors go into the weight and the bias, for a variance passes through the square of both."""
    factors = (1, call.attrs.get("alpha", 1), call.attrs.get("beta", 1))
    scaled = tuple(None if array is None else array * f for array, f in zip(samples, factors, strict=False))
    plain = replace(call, attrs={k: v for k, v in call.attrs.items() if k not in ("alpha", "beta")})
    return contraction(_matmul_inflow).moments(op, plain, scaled, sampler)


def _gemm_rule(call: Call) -> Rule:
    """A matrix product ``+ beta * C``; C broadcasts."""
    product = _matmul_rule(replace(call, shapes=call.shapes[:2]))
    added = _leading(product.results[0], call.shape(2)) if call.has(2) else None
    return replace(product, operands=(*product.operands, added)[: len(call.shapes)])


def _gemm(call: Call, a: Array, b: Array, c: Array | None = None) -> Array:
    result = _matmul(call, a, b)
    return result if c is None else result + _scaled(c, call.attrs.get("beta", 1))


_PRODUCT_FLOW = Flow(_matmul_magnitude, _matmul_moments, _matmul_inflow)
_Flags = dict[str, str | int | tuple[str | int, ...]]
_FLAGS: _Flags = {"trans_a": "transA", "trans_b": "transB", "alpha": "alpha"}
_GEMM_FLAGS: _Flags = {**_FLAGS, "beta": "beta"}
# ONNX Runtime's optimiser moves transpositions and factors into products.
_FUSED_FLAGS: _Flags = {**_FLAGS, "batch_a": "transBatchA", "batch_b": "transBatchB"}


def _unit_scales(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if value != 1}


def _terms(call: Call, x: Array, rows: Index, rule: Callable[[Call], Rule]) -> Array:
    """The row of the data at each position; the weight is the second operand."""
    return _scaled(plain_terms(rule(call), 0, 1, x, rows), call.attrs.get("alpha", 1))


ops = (
    Op(
        "linear",
        ("input", "weight", "bias"),
        _linear_rule,
        _linear,
        contraction(_linear_inflow),
        (Aten(("linear.default",), ("input", "weight", "bias")),),
        shift_out=2,
        terms=partial(_terms, rule=_linear_rule),
    ),
    Op(
        "matmul",
        ("input", "weight"),
        _matmul_rule,
        _matmul,
        _PRODUCT_FLOW,
        (
            Aten(("matmul.default",), ("self", "other")),
            Aten(("mm.default", "bmm.default"), ("self", "mat2")),
            Aten(("mv.default",), ("self", "vec")),
            Aten(("dot.default",), ("self", "tensor")),
        ),
        (Onnx(("MatMul",)), Onnx(("com.microsoft::FusedMatMul",), (0, 1), _FUSED_FLAGS)),
        terms=partial(_terms, rule=_matmul_rule),
    ),
    Op(
        "gemm",
        ("input", "weight", "bias"),
        _gemm_rule,
        _gemm,
        _PRODUCT_FLOW,
        (
            Aten(
                ("addmm.default",), ("mat1", "mat2", "self"), {"alpha": "alpha", "beta": "beta"}, _unit_scales
            ),
        ),
        (Onnx(("Gemm",), (0, 1, 2), _GEMM_FLAGS),),
        shift_out=2,
        terms=partial(_terms, rule=_gemm_rule),
    ),
)
