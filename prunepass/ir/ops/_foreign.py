"""The operator that stands for everything without a declaration: pinned, evaluated by its host.

Its spellings are of operators that are known to be left alone, with what to do about each.
"""

from __future__ import annotations

from .._dims import fixed
from .._errors import UnsupportedError
from .._flow import Flow
from .._graph import Array
from .._op import Call, Onnx, Op, Rule
from .._origin import Pin

_UNDECLARED = "no declaration"


def _rule(call: Call) -> Rule:
    """Every dim of every operand and result is pinned.

    ``attrs['kind']`` is the host's name of it; ``attrs['reason']`` what a declaration does not understand;
    ``attrs['random']`` whether it draws at random, ``attrs['advice']`` what to do about it, where that is known.
    """
    name, reason = f"operator '{call.attrs.get('kind', '?')}'", call.attrs.get("reason", _UNDECLARED)
    text = f"{name} has {reason}" if reason == _UNDECLARED else f"{name}: {reason}"
    pin = Pin(text, call.origin, call.attrs.get("advice", ""))
    operands = tuple(None if shape is None else fixed(shape, pin) for shape in call.shapes)
    return Rule(operands, tuple(fixed(shape, pin) for shape in call.results))


def _evaluate(call: Call, *arrays: Array | None) -> tuple[Array, ...]:
    if call.foreign is None:
        raise UnsupportedError(
            f"operator '{call.attrs.get('kind', '?')}' cannot be evaluated", where=call.origin
        )
    return call.foreign(*arrays)


_FLOAT_FIRST = "prune the float model and quantise what comes out"
_CODES = (
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"),
    *(f"com.microsoft::QLinear{kind}" for kind in ("Conv", "Add", "Mul", "Concat", "Softmax", "Where")),
    *(f"com.microsoft::QLinear{kind}" for kind in ("AveragePool", "GlobalAveragePool", "ReduceMean")),
    *(f"com.microsoft::QLinear{kind}" for kind in ("LeakyRelu", "Sigmoid")),
    *(f"com.microsoft::{kind}" for kind in ("QGemm", "QAttention", "QEmbedLayerNormalization")),
    *(f"com.microsoft::Dynamic{kind}" for kind in ("QuantizeMatMul", "QuantizeLSTM")),
    "com.microsoft::MatMulIntegerToFloat",
)
_PACKED = tuple(
    f"com.microsoft::{kind}" for kind in ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE")
)

ops = (
    Op(
        "foreign",
        (),
        _rule,
        _evaluate,
        Flow(),
        random=lambda attrs: bool(attrs.get("random")),
        onnx=(
            Onnx(
                _CODES,
                opaque="it computes with codes inside itself",
                advice=f"quantise in QDQ form (quantize_static with QuantFormat.QDQ), or {_FLOAT_FIRST}",
            ),
            Onnx(_PACKED, opaque="its weights are codes packed in blocks", advice=_FLOAT_FIRST),
        ),
    ),
)
