"""GELU of a sum with a bias, as ONNX Runtime's optimiser leaves it in transformers.

Rule: entry by entry; the bias has the last axis.
"""

from __future__ import annotations

from functools import partial

from .._broadcast import SUM
from .._dims import atoms
from .._elementary import gelu
from .._errors import UnsupportedError
from .._graph import Array
from .._op import Call, Onnx, Op, Rule


def _biased_rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    if call.has(1) and call.shape(1) != call.shape(0)[-1:]:
        raise UnsupportedError(f"a bias of {call.shape(1)} for {call.shape(0)}", where=call.origin)
    return Rule((dims, dims[-1:] if call.has(1) else None)[: len(call.shapes)], (dims,))


def _biased(call: Call, x: Array, bias: Array | None = None, *, form: str) -> Array:
    return gelu(x if bias is None else x + bias, form)


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
    _with_bias("biased_gelu", "BiasGelu", "none"),
    _with_bias("fast_gelu", "FastGelu", "tanh"),
)
