"""Sums, means, extremes, products and norms over axes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .._broadcast import nonzero
from .._elementary import logsumexp
from .._flow import Arrays, Flow, evaluated
from .._graph import Array, Shape
from .._op import Call, Onnx, Op, Rule
from .._reduction import (
    ALONG,
    Compute,
    computed,
    from_onnx,
    from_torch,
    global_pool,
    onnx_spelling,
    positions_only,
    reduced,
    reduced_count,
    reduced_moments,
    spread_back,
    torch_spelling,
)

_Axes = tuple[int, ...]


def _sum(x: Array, axes: _Axes, keep: bool) -> Array:
    return np.asarray(x.sum(axis=axes, keepdims=keep))


def _mean(x: Array, axes: _Axes, keep: bool) -> Array:
    return np.asarray(x.mean(axis=axes, keepdims=keep))


def _prod(x: Array, axes: _Axes, keep: bool) -> Array:
    return np.asarray(x.prod(axis=axes, keepdims=keep))


def _extreme(x: Array, axes: _Axes, keep: bool, *, largest: bool) -> Array:
    """Of nothing it is the lowest or highest there is."""
    if 0 in (x.shape[axis] for axis in axes):
        return np.full(x.sum(axis=axes, keepdims=keep).shape, -np.inf if largest else np.inf)
    return np.asarray(x.max(axis=axes, keepdims=keep) if largest else x.min(axis=axes, keepdims=keep))


def _sum_square(x: Array, axes: _Axes, keep: bool) -> Array:
    return _sum(x * x, axes, keep)


def _log_sum(x: Array, axes: _Axes, keep: bool) -> Array:
    return np.asarray(np.log(_sum(x, axes, keep)))


def _log_sum_exp(x: Array, axes: _Axes, keep: bool) -> Array:
    return logsumexp(x, axes, keepdims=keep)


def _norm(call: Call, x: Array) -> Array:
    """The p-norm; 0 counts what is not zero, +-inf takes the largest or smallest."""
    p, axes, keep = call.attrs.get("p", 2.0), call.attrs["axes"], bool(call.attrs["keepdims"])
    if p == 0:
        return np.asarray((x != 0).sum(axis=axes, keepdims=keep).astype(x.dtype))
    if np.isinf(p):
        return _extreme(np.abs(x), axes, keep, largest=p > 0)
    made = np.asarray(_sum(np.abs(x) ** p, axes, keep) ** (1 / p))
    return made.astype(x.dtype) if call.attrs.get("keeps_type") else made


def _norm_rule(call: Call) -> Rule:
    """A zero is the same as no entry unless the smallest entries decide."""
    return reduced(call, exact=call.attrs.get("p", 2.0) >= 0)


def _as_in(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    return np.asarray(mags[0])


def _as_mean(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    return np.asarray(mags[0]) / max(reduced_count(call), 1)


def _as_square(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    return np.asarray(mags[0]) ** 2


def _as_share(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Entry by entry what it is of the sum that stands below the logarithm, whose own magnitude is 1."""
    data = np.asarray(mags[0])
    return data / nonzero(spread_back(call, data.sum(axis=call.attrs["axes"])))


def _as_norm_share(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """|x_i| ** p / norm ** (p - 1): shares of the norm that bound what it loses without the entry."""
    data, p = np.asarray(mags[0]), call.attrs.get("p", 2.0)
    if not 1 <= p < np.inf:
        return data
    return np.asarray(data**p / nonzero(spread_back(call, _norm(call, data))) ** (p - 1))


def _one(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    return tuple(np.ones(shape) for shape in call.results)


def _summed(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|max x - max y| <= sum |x - y|, for any entry may be the largest; likewise min and log-sum-exp."""
    return (_sum(np.asarray(mags[0]), call.attrs["axes"], bool(call.attrs["keepdims"])),)


def _reduction(name: str, compute: Compute, exact: bool, flow: Flow, *spellings: Any) -> Op:
    return Op(
        name,
        ("input",),
        partial(reduced, exact=exact),
        lambda call, x: computed(call, x, compute),
        flow,
        tuple(spelling for spelling in spellings if hasattr(spelling, "targets")),
        tuple(spelling for spelling in spellings if hasattr(spelling, "types")),
    )


def _norm_of(p: float) -> Any:
    def fix(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
        return {**from_onnx(attrs, shapes), "p": p}

    return fix


def _norm_from_torch(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    p = attrs.get("p")
    return {**from_torch(attrs, shapes), "p": 2.0 if p is None else float(p)}


_ALL = {"dtype": "dtype"}
_TYPED = {**ALONG, **_ALL}

ops = (
    _reduction(
        "sum",
        _sum,
        True,
        Flow(evaluated, reduced_moments(float), _as_in),
        torch_spelling("sum.default", attrs=_ALL),
        torch_spelling("sum.dim_IntList", attrs=_TYPED),
        onnx_spelling("ReduceSum"),
    ),
    _reduction(
        "mean",
        _mean,
        False,
        Flow(evaluated, reduced_moments(lambda count: 1.0), _as_mean),
        torch_spelling("mean.default", attrs=_ALL),
        torch_spelling("mean.dim", attrs=_TYPED),
        onnx_spelling("ReduceMean"),
        global_pool("GlobalAveragePool"),
    ),
    *(
        _reduction(
            f"{word}_over",
            partial(_extreme, largest=word == "max"),
            False,
            Flow(_summed, reduced_moments()),
            torch_spelling(f"a{word}.default", attrs=ALONG),
            torch_spelling(f"{word}.default"),
            onnx_spelling(f"Reduce{word.capitalize()}"),
            *((global_pool("GlobalMaxPool"),) if word == "max" else ()),
        )
        for word in ("max", "min")
    ),
    _reduction(
        "product",
        _prod,
        False,
        Flow(evaluated, reduced_moments()),
        torch_spelling("prod.default", attrs=_ALL),
        torch_spelling("prod.dim_int", attrs=_TYPED),
        onnx_spelling("ReduceProd"),
    ),
    _reduction(
        "any_of",
        lambda x, axes, keep: np.asarray(x.astype(bool).any(axis=axes, keepdims=keep)),
        True,
        Flow(_one, inflow=_as_mean),
        torch_spelling("any.default"),
        torch_spelling("any.dim", "any.dims", attrs=ALONG),
    ),
    _reduction(
        "all_of",
        lambda x, axes, keep: np.asarray(x.astype(bool).all(axis=axes, keepdims=keep)),
        False,
        Flow(_one),
        torch_spelling("all.default"),
        torch_spelling("all.dim", "all.dims", attrs=ALONG),
    ),
    _reduction(
        "sum_of_squares",
        _sum_square,
        True,
        Flow(evaluated, reduced_moments(), _as_square),
        onnx_spelling("ReduceSumSquare"),
    ),
    _reduction("log_of_sum", _log_sum, True, Flow(_one, inflow=_as_share), onnx_spelling("ReduceLogSum")),
    _reduction(
        "log_sum_exp",
        _log_sum_exp,
        False,
        Flow(_summed),
        torch_spelling("logsumexp.default", attrs=ALONG),
        onnx_spelling("ReduceLogSumExp"),
    ),
    Op(
        "norm",
        ("input",),
        _norm_rule,
        _norm,
        Flow(evaluated, reduced_moments(), _as_norm_share),
        (
            torch_spelling("linalg_vector_norm.default", fix=_norm_from_torch, attrs={"p": "ord", **ALONG}),
            torch_spelling("norm.Scalar", fix=_norm_from_torch, attrs={"p": "p"}),
            torch_spelling("norm.ScalarOpt_dim", fix=_norm_from_torch, attrs={"p": "p", **ALONG}),
        ),
        (
            onnx_spelling("ReduceL1", _norm_of(1.0)),
            onnx_spelling("ReduceL2", _norm_of(2.0)),
            Onnx(("GlobalLpPool",), (0,), {"p": "p"}, fix=positions_only),
        ),
    ),
)
