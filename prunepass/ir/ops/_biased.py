"""GELU of a sum with a bias, as ONNX Runtime's optimiser leaves it in transformers.

Rule: entry by entry; the bias has the last axis.
"""

from __future__ import annotations

from functools import partial

from .._broadcast import SUM
from .._elementary import gelu
from .._graph import Array
from .._notation import relation
from .._op import Call, Onnx, Op


def _biased(call: Call, x: Array, bias: Array | None = None, *, form: str) -> Array:
    return gelu(x if bias is None else x + bias, form)


def _with_bias(name: str, kind: str, form: str) -> Op:
    return Op(
        name,
        ("input", "bias"),
        relation("n.. c, c -> n.. c"),
        partial(_biased, form=form),
        SUM,
        onnx=(Onnx((f"com.microsoft::{kind}",), (0, 1)),),
    )


ops = (
    _with_bias("biased_gelu", "BiasGelu", "none"),
    _with_bias("fast_gelu", "FastGelu", "tanh"),
)
