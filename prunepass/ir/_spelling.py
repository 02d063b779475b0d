"""Attributes of moving operators in neutral form: axes in order, targets with -1, dtypes by name."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ._errors import UnsupportedError
from ._graph import Array, Shape, is_float
from ._plain import axis_of, integers

# TensorProto.DataType of ONNX, by number.
_ONNX_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


def axes_at(axes: Any, rank: int) -> tuple[int, ...]:
    """Several axes in the order given, each counted from the front."""
    return tuple(axis_of(axis, rank) for axis in integers(axes))


def number(value: Any) -> Any:
    """A Python number from a number or from an array with one entry."""
    return np.asarray(value).reshape(-1)[0].item()


def required(attrs: dict[str, Any], name: str) -> Any:
    """An attribute that must be there; it is missing where it is computed while the model runs."""
    if attrs.get(name) is None:
        raise UnsupportedError(f"'{name}' is not constant", advice="fold constants, or fix the input sizes")
    return attrs[name]


def shape_of(shapes: tuple[Shape | None, ...], position: int = 0) -> Shape:
    """Shape of an operand that must be there."""
    shape = shapes[position] if position < len(shapes) else None
    if shape is None:
        raise UnsupportedError(f"operand {position} is missing")
    return shape


def resolved(target: tuple[int, ...], count: int) -> Shape:
    """``target`` with its -1 replaced so that it holds ``count`` entries."""
    known = prod(size for size in target if size != -1)
    return tuple((count // known if known else 0) if size == -1 else size for size in target)


def dtype_name(dtype: Any) -> str | None:
    """The numpy name of a dtype given as ONNX number, torch dtype, numpy dtype or name; None stays None."""
    if dtype is None:
        return None
    if isinstance(dtype, (int, np.integer)):
        if int(dtype) not in _ONNX_DTYPES:
            raise UnsupportedError(f"dtype number {int(dtype)} of ONNX is not supported")
        return _ONNX_DTYPES[int(dtype)]
    return str(dtype).removeprefix("torch.")


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype to compute in; types that numpy lacks are computed as float32."""
    try:
        return np.dtype(name)
    except TypeError:
        return np.dtype("float32")


def converted(array: Array, name: str | None) -> Array:
    """``array`` as dtype ``name``, except that floats are not rounded: proofs compare in one precision."""
    if name is None or (is_float(name) and is_float(array.dtype.name)):
        return array
    return array.astype(numpy_dtype(name), copy=False)
