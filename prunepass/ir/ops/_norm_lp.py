"""Normalisation without weights: by a p-norm, by neighbouring channels, by mean and deviation.

Rule: everything passes. A norm reads zeros as nothing, so its axis is contracted and may be cut exactly; mean
and deviation are statistics; a window over neighbouring channels pins them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._broadcast import nonzero
from .._dims import Fixed, atoms
from .._flow import Arrays, Flow, bounded
from .._graph import Array, Shape
from .._op import Call, Onnx, Op, Rule
from .._origin import Pin
from .._plain import all_axes, axis_of, host_facts
from .._spelling import shape_of


def _lp_rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    return Rule((dims,), (dims,), contracted=(dims[call.attrs["axis"]],))


def _lp(call: Call, x: Array) -> Array:
    """Where everything is zero it stays zero."""
    p, axis = call.attrs["p"], call.attrs["axis"]
    norm = (np.abs(x) ** p).sum(axis=axis, keepdims=True) ** (1 / p)
    return np.asarray(x / nonzero(norm))


def _lp_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return op.run(call, mags)


def _lp_inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    return op.run(call, mags)[0]


def _lrn_rule(call: Call) -> Rule:
    shape = call.shape(0)
    pin = Pin("the norm is taken over neighbouring channels", call.origin)
    dims = (*atoms(shape[:1]), Fixed(shape[1], (pin,)), *atoms(shape[2:]))
    return Rule((dims,), (dims,))


def _lrn(call: Call, x: Array) -> Array:
    """x / (bias + alpha / size * sum of squares over ``size`` channels around) ** beta."""
    size, channels = int(call.attrs["size"]), x.shape[1]
    before = (size - 1) // 2
    padded = np.pad(x * x, [(0, 0), (before, size - 1 - before), *[(0, 0)] * (x.ndim - 2)])
    around = sum(padded[:, i : i + channels] for i in range(size))
    return np.asarray(x / (call.attrs["bias"] + call.attrs["alpha"] / size * around) ** call.attrs["beta"])


def _lrn_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """A bound by the least divisor, ``bias ** beta``."""
    return (np.asarray(mags[0]) / abs(call.attrs["bias"]) ** call.attrs["beta"],)


def _mvn_rule(call: Call) -> Rule:
    dims = atoms(call.shape(0))
    return Rule((dims,), (dims,), statistics=tuple(dims[axis] for axis in call.attrs["axes"]))


def _mvn(call: Call, x: Array) -> Array:
    axes = call.attrs["axes"]
    return np.asarray((x - x.mean(axis=axes, keepdims=True)) / (x.std(axis=axes, keepdims=True) + 1e-9))


def _one(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The data comes out with mean square 1 whatever it was."""
    return (np.ones(call.results[0]),)


def _lp_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    return {"p": int(plain.get("p", 2)), "axis": axis_of(plain.get("axis", -1), len(shape_of(shapes)))}


def _lrn_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **host_facts(attrs)[0]}


def _mvn_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    return {"axes": all_axes(plain.get("axes", (0, 2, 3)), len(shape_of(shapes)))}


_LRN_ATTRS = {"size": "size", "alpha": "alpha", "beta": "beta", "bias": "bias"}

ops = (
    Op(
        "lp_normalize",
        ("input",),
        _lp_rule,
        _lp,
        Flow(_lp_magnitude, inflow=_lp_inflow),
        onnx=(Onnx(("LpNormalization",), (0,), {"p": "p", "axis": "axis"}, fix=_lp_from_onnx),),
    ),
    Op(
        "local_response_norm",
        ("input",),
        _lrn_rule,
        _lrn,
        bounded(_lrn_magnitude),
        onnx=(Onnx(("LRN",), (0,), {**_LRN_ATTRS}, fix=_lrn_from_onnx),),
    ),
    Op(
        "mean_variance_norm",
        ("input",),
        _mvn_rule,
        _mvn,
        bounded(_one),
        onnx=(Onnx(("MeanVarianceNormalization",), (0,), {"axes": "axes"}, fix=_mvn_from_onnx),),
    ),
)
