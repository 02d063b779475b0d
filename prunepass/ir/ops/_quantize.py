"""Between numbers and whole codes: quantising, and back.

Rule: entry by entry, everything passes; a step or zero point for each index of one axis is that axis and is cut
with it. Codes are cut as they are, never computed anew. The step is no slope of a normalisation: it says how a
number is written, not how large a channel is.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Call, Onnx, Op, Rule
from .._plain import axis_of
from .._spelling import dtype_name, shape_of

_CODES = ("int8", "uint8", "int16", "uint16", "int32")
_DEFAULT = "uint8"


def _quantize_rule(call: Call) -> Rule:
    return _rule(call, _code_type(call))


def _dequantize_rule(call: Call) -> Rule:
    return _rule(call, str(call.dtypes[0]))


def _rule(call: Call, code: str) -> Rule:
    if code not in _CODES:
        raise UnsupportedError(f"codes of type {code}", where=call.origin)
    dims = atoms(call.shape(0))
    params = (_param(call, position, dims) for position in range(1, len(call.shapes)))
    return Rule((dims, *params), (dims,))


def _code_type(call: Call) -> str:
    """The type that is asked for, else that of the zero point."""
    return str(call.attrs.get("dtype") or (call.dtypes[2] if call.has(2) else _DEFAULT))


def _param(call: Call, position: int, dims: Dims) -> Dims | None:
    """One number for all entries, or one for each index of an axis."""
    if not call.has(position):
        return None
    shape, axis = call.shape(position), call.attrs["axis"]
    if prod(shape) == 1 and len(shape) < 2:
        return tuple(Fixed(1) for _ in shape)
    if len(shape) != 1 or axis >= len(dims) or shape[0] != dims[axis].size:
        raise UnsupportedError(f"a step of shape {shape} for {call.shape(0)}", where=call.origin)
    return (dims[axis],)


def _along(call: Call, param: Array, rank: int) -> Array:
    """A step or zero point as it meets data of ``rank`` axes."""
    if param.size == 1:
        return param.reshape(())
    return param.reshape(-1, *(1,) * (rank - 1 - int(call.attrs["axis"])))


def _quantize(call: Call, x: Array, step: Array, zero: Array | None = None) -> Array:
    """Half goes to the even code; what lies beyond the codes becomes the last one."""
    name = _code_type(call)
    codes = np.iinfo(name)
    moved = np.rint(x / _along(call, step, x.ndim))
    moved = moved if zero is None else moved + _along(call, zero, x.ndim).astype(moved.dtype)
    return np.asarray(np.clip(np.nan_to_num(moved, nan=0.0), codes.min, codes.max).astype(name))


def _dequantize(call: Call, x: Array, step: Array, zero: Array | None = None) -> Array:
    codes = x.astype(np.int64)
    codes = codes if zero is None else codes - _along(call, zero, x.ndim).astype(np.int64)
    return np.asarray(codes.astype(step.dtype) * _along(call, step, x.ndim))


def _quantize_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """In steps from what stands for zero; rounding and the ends of the codes are left out."""
    data, step = np.asarray(mags[0]), np.asarray(mags[1])
    return (data / _along(call, step, data.ndim),)


def _dequantize_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Of codes that nothing is known of the size is one."""
    data, step = np.asarray(mags[0]), np.asarray(mags[1])
    return (data * _along(call, step, data.ndim) if data.dtype.kind == "f" else np.ones(data.shape),)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Sample by sample, where step and zero point are constant."""
    data, *params = samples
    varying = any(param is not None and len(param) != 1 for param in params)
    unknown = any(param is None and call.has(position) for position, param in enumerate(params, 1))
    if data is None or varying or unknown:
        return (None,)
    shifted = replace(call, attrs={**call.attrs, "axis": int(call.attrs["axis"]) + 1})
    return op.run(shifted, (data, *(None if param is None else param[0] for param in params)))


_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]


def _from_onnx(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """``axis`` counts only where there is more than one step."""
    if attrs.get("block"):
        raise UnsupportedError(f"a step for every {attrs['block']} entries")
    step = shapes[1] if len(shapes) > 1 else None
    several = step is not None and prod(step) > 1
    axis = axis_of(attrs.get("axis", 1), len(shape_of(shapes))) if several else 0
    asked = attrs.get("dtype")
    return {"axis": axis, "dtype": dtype_name(asked)} if asked else {"axis": axis}


_NAMES = ("input", "step", "zero")
_ATTRS: dict[str, str | int | tuple[str | int, ...]] = {
    "axis": "axis",
    "block": "block_size",
    "dtype": "output_dtype",
    # Of narrow floats alone, and of how it is computed inside.
    "saturate": "saturate",
    "precision": "precision",
}


def _spelling(kind: str) -> tuple[Onnx, ...]:
    return (Onnx((kind, f"com.microsoft::{kind}"), (0, 1, 2), _ATTRS, fix=_from_onnx),)


ops = (
    Op(
        "quantize",
        _NAMES,
        _quantize_rule,
        _quantize,
        Flow(_quantize_magnitude, _moments, codes=True),
        onnx=_spelling("QuantizeLinear"),
    ),
    Op(
        "dequantize",
        _NAMES,
        _dequantize_rule,
        _dequantize,
        Flow(_dequantize_magnitude, _moments),
        onnx=_spelling("DequantizeLinear"),
        dequantizes=0,
    ),
)
