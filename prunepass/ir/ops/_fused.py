"""What ONNX Runtime's optimiser makes of several operators in transformers.

Rules: those of what was fused. A matrix product whose sides may be transposed, their batch too, and a factor; GELU of a
sum with a bias of the last axis.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from .._broadcast import SUM
from .._dims import atoms
from .._elementary import gelu
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, contraction
from .._graph import Array, Shape
from .._op import Call, Onnx, Op, Rule
from .._product import matmul_inflow, matmul_rule


def _orders(call: Call) -> tuple[Shape, Shape]:
    """For each side the axes as they are multiplied: the batch moved in front first, then the last two swapped."""
    left, right = (
        _order(
            len(call.shape(at)),
            bool(call.attrs.get(f"trans_{side}", 0)),
            bool(call.attrs.get(f"batch_{side}", 0)),
        )
        for at, side in enumerate("ab")
    )
    return left, right


def _order(rank: int, flip: bool, batch: bool) -> Shape:
    axes = tuple(range(rank))
    if rank < 2 + batch and (flip or batch):
        raise UnsupportedError(f"a matrix product of {rank} axes, transposed")
    axes = (*axes[1:-1], 0, axes[-1]) if batch else axes
    return (*axes[:-2], axes[-1], axes[-2]) if flip else axes


def _back(order: Shape) -> Shape:
    """The order that undoes ``order``."""
    return tuple(int(at) for at in np.argsort(order))


def _product_rule(call: Call) -> Rule:
    orders = _orders(call)
    shapes = tuple(tuple(call.shape(at)[axis] for axis in order) for at, order in enumerate(orders))
    rule = matmul_rule(replace(call, shapes=shapes))
    sides = zip((dims or () for dims in rule.operands), map(_back, orders), strict=True)
    return replace(rule, operands=tuple(tuple(dims[axis] for axis in order) for dims, order in sides))


def _product(call: Call, a: Array, b: Array) -> Array:
    left, right = _orders(call)
    return np.asarray(np.matmul(a.transpose(left), b.transpose(right)) * call.attrs.get("alpha", 1.0))


def _product_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return op.run(replace(call, attrs={**call.attrs, "alpha": abs(call.attrs.get("alpha", 1.0))}), mags)


def _product_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    orders = _orders(call)
    sides = tuple(np.asarray(mag).transpose(order) for mag, order in zip(mags, orders, strict=True))
    plain = replace(call, shapes=tuple(side.shape for side in sides))
    found = matmul_inflow(op, plain, sides, position) * abs(call.attrs.get("alpha", 1.0))
    return np.asarray(found.transpose(_back(orders[position])))


def _product_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """The factor goes into one side, for a variance passes through its square."""
    left, right = samples
    scaled = None if right is None else right * call.attrs.get("alpha", 1.0)
    plain = replace(call, attrs={**call.attrs, "alpha": 1.0})
    return contraction(_product_inflow).moments(op, plain, (left, scaled), sampler)


def _biased_rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    if call.has(1) and call.shape(1) != call.shape(0)[-1:]:
        raise UnsupportedError(f"a bias of {call.shape(1)} for {call.shape(0)}", where=call.origin)
    return Rule((dims, dims[-1:] if call.has(1) else None)[: len(call.shapes)], (dims,))


def _biased(call: Call, x: Array, bias: Array | None = None, *, form: str) -> Array:
    return gelu(x if bias is None else x + bias, form)


_FLAGS: dict[str, str | int | tuple[str | int, ...]] = {
    "trans_a": "transA",
    "trans_b": "transB",
    "alpha": "alpha",
    "batch_a": "transBatchA",
    "batch_b": "transBatchB",
}


def _with_bias(name: str, kind: str, form: str) -> Op:
    return Op(
        name,
        ("input", "bias"),
        _biased_rule,
        partial(_biased, form=form),
        SUM,
        onnx=(Onnx((f"com.microsoft::{kind}",), (0, 1)),),
    )


ops = (
    Op(
        "fused_matmul",
        ("input", "weight"),
        _product_rule,
        _product,
        Flow(_product_magnitude, _product_moments, _product_inflow),
        onnx=(Onnx(("com.microsoft::FusedMatMul",), (0, 1), _FLAGS),),
    ),
    _with_bias("biased_gelu", "BiasGelu", "none"),
    _with_bias("fast_gelu", "FastGelu", "tanh"),
)
