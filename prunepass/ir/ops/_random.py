"""Random numbers drawn inside a network: uniform, normal, exponential, whole, and coins.

Rule: that of the fills (`_create`): an explicit shape makes fresh index spaces, sizes of that attribute; what is drawn
``like`` a tensor has that tensor's, whose data is not read. Probabilities and moments given by tensors broadcast.

The reference draws its own noise, the same for a network and for what a cut has left of it (`_draw`); a host has its.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._broadcast import broadcast_rule, unary_rule
from .._dims import atoms
from .._draw import normal_draw, uniform_draw
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import integers
from .._spelling import dtype_name, numpy_dtype, required

_Attrs = dict[str, Any]
_Shapes = tuple[Shape | None, ...]
_Law = Callable[[Call, Shape], Array]


def _uniform(call: Call, shape: Shape) -> Array:
    low, high = call.attrs["low"], call.attrs["high"]
    return np.asarray(low + (high - low) * uniform_draw(call, shape))


def _whole(call: Call, shape: Shape) -> Array:
    """From ``low`` up to and without ``end``."""
    low, end = call.attrs["low"], call.attrs["end"]
    return np.asarray(np.floor(low + (end - low) * uniform_draw(call, shape)))


def _normal(call: Call, shape: Shape) -> Array:
    return np.asarray(call.attrs["mean"] + call.attrs["deviation"] * normal_draw(call, shape))


def _exponential(call: Call, shape: Shape) -> Array:
    return np.asarray(-np.log(uniform_draw(call, shape)) / call.attrs["rate"])


def _coin(call: Call, shape: Shape) -> Array:
    return np.asarray(uniform_draw(call, shape) < call.attrs["p"], np.float64)


def _typed(call: Call, drawn: Array, like: str | None = None) -> Array:
    return drawn.astype(numpy_dtype(call.attrs.get("dtype") or like or "float32"))


def _shape_rule(call: Call) -> Rule:
    made = atoms(call.attrs["shape"])
    return Rule((None,) * len(call.shapes), (made,), sizes={"shape": made})


def _size(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The root of the mean square, by the law's numbers."""
    mean, deviation = _of_law(call)
    return (np.full(call.results[0], np.hypot(mean, deviation)),)


def _samples(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    mean, deviation = _of_law(call)
    shape = (1,) * len(call.results[0])
    return (sampler.normal(np.full(shape, mean), np.full(shape, deviation)),)


def _of_law(call: Call) -> tuple[float, float]:
    """Mean and deviation."""
    attrs = call.attrs
    if "mean" in attrs:
        return attrs["mean"], attrs["deviation"]
    if "rate" in attrs:
        return 1 / attrs["rate"], 1 / attrs["rate"]
    if "p" in attrs:
        return attrs["p"], float(np.sqrt(attrs["p"] * (1 - attrs["p"])))
    if "end" in attrs:
        low, end = attrs["low"], attrs["end"]
        return (low + end - 1) / 2, float(np.sqrt(((end - low) ** 2 - 1) / 12))
    return (attrs["low"] + attrs["high"]) / 2, (attrs["high"] - attrs["low"]) / np.sqrt(12)


def _always(attrs: Any) -> bool:
    return True


def _with(**defaults: Any) -> Callable[[_Attrs, _Shapes], _Attrs]:
    """Numbers of the law where the host gives none; its shape and dtype where it gives some."""

    def fix(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
        shape = {"shape": integers(required(attrs, "shape"))} if "shape" in attrs else {}
        given = {name: attrs[name] for name in defaults if attrs.get(name) is not None}
        law = {name: float(value) for name, value in {**defaults, **given}.items() if name != "dtype"}
        dtype = dtype_name(attrs.get("dtype")) or defaults.get("dtype")
        return {**shape, **law, **({"dtype": dtype} if dtype else {})}

    return fix


def _numbers(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    """The dtype that torch's schema gives is a number of torch's own, and always that of int64."""
    named = {**attrs, "dtype": None} if isinstance(attrs.get("dtype"), int) else attrs
    return _with(low=0.0, end=1.0, dtype="int64")(named, shapes)


def _of_shape(name: str, law: _Law, *spellings: Aten | Onnx) -> Op:
    return Op(
        name,
        (),
        _shape_rule,
        lambda call, *_: _typed(call, law(call, call.attrs["shape"])),
        Flow(_size, _samples),
        tuple(spelling for spelling in spellings if isinstance(spelling, Aten)),
        tuple(spelling for spelling in spellings if isinstance(spelling, Onnx)),
        random=_always,
    )


def _like(name: str, law: _Law, *spellings: Aten | Onnx) -> Op:
    return Op(
        name,
        ("like",),
        unary_rule,
        lambda call, like: _typed(call, law(call, like.shape), call.dtypes[0]),
        Flow(_size, _samples),
        tuple(spelling for spelling in spellings if isinstance(spelling, Aten)),
        tuple(spelling for spelling in spellings if isinstance(spelling, Onnx)),
        random=_always,
    )


def _around(call: Call, mean: Array, deviation: Array) -> Array:
    return np.asarray(mean + deviation * normal_draw(call, np.broadcast_shapes(mean.shape, deviation.shape)))


def _around_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return (np.asarray(mags[0]) + np.asarray(mags[1]),)


def _coins(call: Call, p: Array) -> Array:
    return _typed(call, uniform_draw(call, p.shape) < p, call.dtypes[0])


def _only_typed(attrs: _Attrs, shapes: _Shapes) -> _Attrs:
    dtype = dtype_name(attrs.get("dtype"))
    return {"dtype": dtype} if dtype else {}


_NONE: tuple[str, ...] = ()
_TYPE = {"dtype": "dtype"}
_SIZE = {"shape": "size", **_TYPE}
_UNIT, _STANDARD = _with(low=0.0, high=1.0), _with(mean=0.0, deviation=1.0)
_SPAN, _MOMENTS = {"low": "low", "high": "high"}, {"mean": "mean", "deviation": "scale"}
_ALIKE = _with(low=0.0, end=1.0)
_RANGE = {"low": "low", "end": "high"}
_NORMAL = {"mean": "mean", "deviation": "std"}

ops = (
    _of_shape(
        "uniform",
        _uniform,
        Aten(("rand.default",), _NONE, _SIZE, _UNIT),
        Onnx(("RandomUniform",), (), {"shape": "shape", **_SPAN, **_TYPE}, fix=_UNIT),
    ),
    _like(
        "uniform_like",
        _uniform,
        Aten(("rand_like.default",), attrs=_TYPE, fix=_UNIT),
        Aten(("uniform.default",), attrs={"low": "from", "high": "to"}, fix=_UNIT),
        Onnx(("RandomUniformLike",), (0,), {**_SPAN, **_TYPE}, fix=_UNIT),
    ),
    _of_shape(
        "normal",
        _normal,
        Aten(("randn.default",), _NONE, _SIZE, _STANDARD),
        Aten(("normal.float_float",), _NONE, {**_SIZE, **_NORMAL}, _STANDARD),
        Onnx(("RandomNormal",), (), {"shape": "shape", **_MOMENTS, **_TYPE}, fix=_STANDARD),
    ),
    _like(
        "normal_like",
        _normal,
        Aten(("randn_like.default",), attrs=_TYPE, fix=_STANDARD),
        Aten(("normal_functional.default",), attrs=_NORMAL, fix=_STANDARD),
        Onnx(("RandomNormalLike",), (0,), {**_MOMENTS, **_TYPE}, fix=_STANDARD),
    ),
    Op(
        "normal_around",
        ("mean", "deviation"),
        broadcast_rule,
        _around,
        Flow(_around_magnitude),
        (Aten(("normal.Tensor_Tensor", "normal.Tensor_float", "normal.float_Tensor"), ("mean", "std")),),
        random=_always,
    ),
    _of_shape(
        "integers",
        _whole,
        Aten(("randint.default",), _NONE, {"end": "high", **_SIZE}, _numbers),
        Aten(("randint.low",), _NONE, {**_RANGE, **_SIZE}, _numbers),
    ),
    _like(
        "integers_like",
        _whole,
        Aten(("randint_like.default",), attrs={"end": "high", **_TYPE}, fix=_ALIKE),
        Aten(("randint_like.low_dtype",), attrs={**_RANGE, **_TYPE}, fix=_ALIKE),
    ),
    _like(
        "exponential_like",
        _exponential,
        Aten(("exponential.default",), attrs={"rate": "lambd"}, fix=_with(rate=1.0)),
    ),
    _like("coins_like", _coin, Aten(("bernoulli.p",), attrs={"p": "p"}, fix=_with(p=0.5))),
    Op(
        "coins",
        ("p",),
        unary_rule,
        _coins,
        Flow(),
        (Aten(("bernoulli.default",)),),
        (Onnx(("Bernoulli",), (0,), _TYPE, fix=_only_typed),),
        random=_always,
    ),
)
