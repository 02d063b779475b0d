"""Padding: constant, reflected, repeated or wrapped around.

Rule: an axis padded with a constant is ``Sum(Fixed, dim, Fixed)``; where the pads are copies of entries, or
entries are cropped, the axis is pinned. Axes without pads pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .._dims import Dim, Dims, atom, total
from .._flow import Arrays, Flow, Sampler, evaluated, movement
from .._graph import Array, Shape
from .._moves import stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import integers, word
from .._spelling import axes_at, number, required, shape_of

_WORDS = {"replicate": "edge", "circular": "wrap"}


def _rule(call: Call) -> Rule:
    before, after = list[Dim](), list[Dim]()
    for size, low, high in zip(call.shape(0), call.attrs["low"], call.attrs["high"], strict=True):
        dims = _axis(call, size, low, high)
        before.append(dims[0])
        after.append(dims[1])
    return Rule((tuple(before),), (tuple(after),))


def _axis(call: Call, size: int, low: int, high: int) -> Dims:
    if low == high == 0:
        whole = atom(size)
        return whole, whole
    if call.attrs["mode"] != "constant" or min(low, high) < 0:
        reason = "padding copies or crops these entries"
        return stays(size, reason, call), stays(size + low + high, reason, call)
    whole = atom(size)
    return whole, total(*(stays(low, "padding", call), whole, stays(high, "padding", call)))


def _pad(call: Call, x: Array) -> Array:
    pairs = list(zip(call.attrs["low"], call.attrs["high"], strict=True))
    grown = [(max(low, 0), max(high, 0)) for low, high in pairs]
    mode = call.attrs["mode"]
    filled = {"constant_values": call.attrs["value"]} if mode == "constant" else {}
    x = np.pad(x, grown, mode=mode, **filled)
    cropped = zip(pairs, x.shape, strict=True)
    return x[tuple(slice(max(-low, 0), size - max(-high, 0)) for (low, high), size in cropped)]


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return tuple(np.abs(array) for array in evaluated(op, call, mags))


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """The constant takes part as a second operand that holds nothing else."""

    def fill(call: Call, x: Array, constant: Array) -> Array:
        return _pad(replace(call, attrs={**call.attrs, "value": constant.reshape(-1)[0]}), x)

    wider = replace(call, shapes=(call.shape(0), (1,)))
    constant = np.full((1, 1), float(call.attrs["value"]))
    return movement().moments(replace(op, evaluate=fill), wider, (samples[0], constant), sampler)


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _from_aten(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """torch gives (low, high) of the last axis first."""
    pads, rank = integers(attrs["pads"]), len(shape_of(shapes))
    missing = (0,) * (rank - len(pads) // 2)
    low, high = (missing + tuple(reversed(pads[start::2])) for start in (0, 1))
    value, mode = attrs.get("value"), attrs.get("mode", "constant")
    return {
        "low": low,
        "high": high,
        "mode": _WORDS.get(mode, mode),
        "value": 0 if value is None else number(value),
    }


def _reflected(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return _from_aten({**attrs, "mode": "reflect"}, shapes)


def _replicated(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    return _from_aten({**attrs, "mode": "edge"}, shapes)


def _from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """ONNX gives all begins, then all ends, of the axes it names."""
    pads, rank = integers(required(attrs, "pads")), len(shape_of(shapes))
    axes = tuple(range(rank)) if attrs.get("axes") is None else axes_at(attrs["axes"], rank)
    low, high = [0] * rank, [0] * rank
    for at, axis in enumerate(axes):
        low[axis], high[axis] = pads[at], pads[len(axes) + at]
    value = attrs.get("value")
    return {
        "low": tuple(low),
        "high": tuple(high),
        "mode": word(attrs.get("mode", "constant")),
        "value": 0 if value is None or np.size(value) == 0 else number(value),
    }


_PADDING = {"pads": "padding"}
_ONNX: dict[str, str | int | tuple[str | int, ...]] = {
    "pads": (1, "pads"),
    "value": (2, "value"),
    "axes": 3,
    "mode": "mode",
}

ops = (
    Op(
        "pad",
        ("input",),
        _rule,
        _pad,
        Flow(_magnitude, _moments),
        (
            Aten(("pad.default",), attrs={"pads": "pad", "mode": "mode", "value": "value"}, fix=_from_aten),
            Aten(("constant_pad_nd.default",), attrs={"pads": "pad", "value": "value"}, fix=_from_aten),
            Aten(tuple(f"reflection_pad{n}d.default" for n in (1, 2, 3)), attrs=_PADDING, fix=_reflected),
            Aten(tuple(f"replication_pad{n}d.default" for n in (1, 2, 3)), attrs=_PADDING, fix=_replicated),
        ),
        (Onnx(("Pad",), (0,), _ONNX, fix=_from_onnx),),
    ),
)
