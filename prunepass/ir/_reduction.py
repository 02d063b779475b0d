"""Rules and flows shared by operators that reduce axes.

Rule: axes that are not reduced pass; reduced ones are *contracted* where an entry of zero is the same as no
entry (sums, norms), else they hold *statistics* (means, maxima, variances). Neutral attributes are ``axes``,
counted from the front in ascending order, and ``keepdims``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from ._dims import Dim, Fixed, atoms
from ._flow import Arrays, Moments, Sampler
from ._graph import Array, Shape
from ._op import Aten, Call, Onnx, Op, Rule
from ._plain import all_axes, host_facts, integers
from ._spelling import converted, dtype_name, shape_of

Compute = Callable[["Array", "tuple[int, ...]", bool], "Array | tuple[Array, ...]"]
Fix = Callable[[dict[str, Any], "tuple[Shape | None, ...]"], dict[str, Any]]
NO_ARGUMENTS: Mapping[str, str] = MappingProxyType({})
ALONG = {"axes": "dim", "keepdims": "keepdim"}
"""What torch calls the axes of a reduction."""


def reduced(call: Call, *, exact: bool, results: int = 1) -> Rule:
    """The rule of a reduction with ``results`` results of one shape."""
    dims, axes = atoms(call.shape(0)), call.attrs["axes"]
    kept: list[Dim] = []
    for axis, dim in enumerate(dims):
        if axis not in axes:
            kept.append(dim)
        elif call.attrs["keepdims"]:
            kept.append(Fixed(1))
    over = tuple(dims[axis] for axis in axes)
    return Rule((dims,), (tuple(kept),) * results, over if exact else (), () if exact else over)


def computed(call: Call, x: Array, compute: Compute) -> Array | tuple[Array, ...]:
    """``compute`` in the dtype that the host asks for."""
    result = compute(converted(x, call.attrs.get("dtype")), call.attrs["axes"], bool(call.attrs["keepdims"]))
    if call.attrs.get("keeps_type") and isinstance(result, np.ndarray | np.generic):
        return np.asarray(result).astype(x.dtype)
    return result


def spread_back(call: Call, result: Array) -> Array:
    """The result with its reduced axes as size 1, to meet the operand again."""
    axes = call.attrs["axes"]
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(call.shape(0)))
    return np.asarray(result).reshape(shape)


def reduced_count(call: Call) -> int:
    """Number of entries that each result is made of."""
    return prod(call.shape(0)[axis] for axis in call.attrs["axes"])


def reduced_moments(alike: Callable[[int], float] | None = None) -> Moments:
    """Moments of a reduction, sample by sample.

    Args:
        alike: what the reduction of ``n`` entries that are alike is, as a factor on one of them; None where
            that is not known.
    """

    def moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
        data, axes = samples[0], call.attrs["axes"]
        unknown = (None,) * max(1, len(call.results))
        if data is None:
            return unknown
        same = [
            size for axis, size in enumerate(call.shape(0)) if axis in axes and data.shape[axis + 1] != size
        ]
        if same and alike is None:
            return unknown
        shifted = {**call.attrs, "axes": tuple(axis + 1 for axis in axes)}
        factor = alike(prod(same)) if same and alike is not None else 1.0
        return tuple(result * factor for result in op.run(replace(call, attrs=shifted), (data,)))

    return moments


def from_torch(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """No ``dim``, or none in it, means all; ``dtype`` is what the sum is made in."""
    neutral = {
        "axes": all_axes(attrs.get("axes"), len(shape_of(shapes))),
        "keepdims": bool(attrs.get("keepdims", False)),
    }
    dtype = dtype_name(attrs.get("dtype"))
    return {**neutral, "dtype": dtype} if dtype else neutral


def from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """No axes mean all, or none where ``noop_with_empty_axes``; a result has the type of the operand."""
    plain, _, _ = host_facts(attrs)
    axes = integers(plain.get("axes"))
    none = not axes and bool(plain.get("noop", 0))
    return {
        "axes": () if none else all_axes(axes, len(shape_of(shapes))),
        "keepdims": bool(plain.get("keepdims", 1)),
        "keeps_type": True,
    }


def positions_only(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """Global pooling: everything behind batch and channel."""
    plain, _, _ = host_facts(attrs)
    return {**plain, "axes": tuple(range(2, len(shape_of(shapes)))), "keepdims": True}


def torch_spelling(*targets: str, attrs: Mapping[str, str] = NO_ARGUMENTS, fix: Fix = from_torch) -> Aten:
    """Overloads of one set of arguments."""
    return Aten(targets, attrs=attrs, fix=fix)


def onnx_spelling(kind: str, fix: Fix = from_onnx) -> Onnx:
    """``axes`` moved from an attribute to an input."""
    return Onnx(
        (kind,), (0,), {"axes": (1, "axes"), "keepdims": "keepdims", "noop": "noop_with_empty_axes"}, fix=fix
    )


def global_pool(kind: str) -> Onnx:
    return Onnx((kind,), (0,), fix=positions_only)
