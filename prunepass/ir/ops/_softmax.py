"""Softmax and its kin.

Rule: everything passes; the axes that share one sum hold statistics: each entry depends on all, so cutting them
is inexact, as of a mean; positions stay. Of a single entry nothing is left but 1.
Before opset 13 ONNX flattens everything from ``axis`` on into one sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dims import atoms
from .._elementary import logsumexp, softmax
from .._flow import Arrays, bounded
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import axis_of, host_facts
from .._spelling import shape_of

_REASON = "softmax mixes positions"


def _rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    shared = tuple(dims[axis] for axis in call.attrs["axes"])
    mixed = tuple((dim, _REASON) for dim in shared)
    return Rule((dims,), (dims,), statistics=shared, centred=shared, mixed=mixed)


def _softmax(call: Call, x: Array) -> Array:
    return softmax(x, call.attrs["axes"])


def _log_softmax(call: Call, x: Array) -> Array:
    return x - logsumexp(x, call.attrs["axes"], keepdims=True)


def _hardmax(call: Call, x: Array) -> Array:
    """1 at the first of the largest, 0 elsewhere."""
    axes = call.attrs["axes"]
    moved = np.moveaxis(x, axes, range(x.ndim - len(axes), x.ndim))
    flat = moved.reshape(*moved.shape[: x.ndim - len(axes)], -1)
    made = np.zeros_like(flat)
    np.put_along_axis(made, flat.argmax(axis=-1)[..., None], 1, axis=-1)
    return np.moveaxis(made.reshape(moved.shape), range(x.ndim - len(axes), x.ndim), axes)


def _mean_weight(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Weights over n positions are 1/n on average, and their sum is exactly 1."""
    shape = call.shape(0)
    count = int(np.prod([shape[axis] for axis in call.attrs["axes"]]))
    return (np.full(shape, 1.0 / max(count, 1)),)


def _log_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|log softmax(x) - log softmax(0)| <= |x_i| + max |x|."""
    data = np.asarray(mags[0])
    return (data + data.max(axis=call.attrs["axes"], keepdims=True, initial=0.0),)


def _axis(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    rank = len(shape_of(shapes))
    return {"axes": (axis_of(attrs["axis"], rank),) if rank else ()}


def _axis_or_rest(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, opset, _ = host_facts(attrs)
    rank = len(shape_of(shapes))
    if opset >= 13:
        return _axis({"axis": plain.get("axis", -1)}, shapes)
    return {"axes": tuple(range(axis_of(plain.get("axis", 1), rank), rank))}


def _op(name: str, compute: Callable[[Call, Array], Array], magnitude: Any, targets: str, kind: str) -> Op:
    return Op(
        name,
        ("input",),
        _rule,
        compute,
        bounded(magnitude),
        (Aten(tuple(targets.split()), attrs={"axis": "dim"}, fix=_axis),) if targets else (),
        (Onnx((kind,), (0,), {"axis": "axis"}, fix=_axis_or_rest),),
    )


ops = (
    _op("softmax", _softmax, _mean_weight, "softmax.int _softmax.default _safe_softmax.default", "Softmax"),
    _op("log_softmax", _log_softmax, _log_magnitude, "log_softmax.int _log_softmax.default", "LogSoftmax"),
    _op("hardmax", _hardmax, _mean_weight, "", "Hardmax"),
)
