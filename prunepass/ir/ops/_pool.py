"""Max, average and p-norm pooling over windows in 1, 2 or 3 dims.

Rule: leading dims pass (batch and channel), window positions are pinned; over a channel axis they say why.
``indices`` asks for where each maximum was found: within its own ``plane`` (torch) or in the whole tensor
(``flat``, ONNX), where the leading dims may not be cut for their sizes are part of every number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, average, bounded, evaluated
from .._graph import Array, Shape
from .._moves import stay
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts, integers
from .._windows import Pads, Windows, pad_spatial, padding_of, spread, windows_of

_REASON = "a window slides over it"
_FLAT = "indices into the whole tensor are made of its size"


def _windows(call: Call) -> tuple[Windows, Shape, Shape]:
    """The windows, the space that they slide over and how many there are."""
    kernel = call.attrs["kernel"]
    space = call.shape(0)[-len(kernel) :]
    windows = windows_of(call.attrs, kernel, space)
    out = windows.counts(space, ceil_mode=bool(call.attrs.get("ceil_mode", False)))
    if len(space) != len(kernel) or any(n < 1 for n in out):
        raise UnsupportedError(f"windows of {kernel} over {call.shape(0)}", where=call.origin)
    return windows, space, out


def _rule(call: Call) -> Rule:
    _, space, out = _windows(call)
    lead = atoms(call.shape(0)[: -len(space)])
    result = (*lead, *stay(out, _REASON, call))
    indices = call.attrs.get("indices")
    pins = tuple((dim, _FLAT) for dim in lead) if indices == "flat" else ()
    return Rule(
        ((*lead, *stay(space, _REASON, call)),), (result, result) if indices else (result,), pins=pins
    )


def _reach(windows: Windows, space: Shape, out: Shape) -> Pads:
    """The pads, longer at the end where a window that ceil_mode adds goes beyond them."""
    each = zip(windows.pads, space, windows.stride, windows.spans, out, strict=True)
    return tuple(
        (before, max(after, (count - 1) * stride + span - size - before))
        for (before, after), size, stride, span, count in each
    )


def _lowest(x: Array) -> Any:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def _max_pool(call: Call, x: Array) -> Array | tuple[Array, ...]:
    windows, space, out = _windows(call)
    padded = pad_spatial(x, _reach(windows, space, out), _lowest(x))
    best: Array = np.full((*x.shape[: -len(space)], *out), _lowest(x), x.dtype)
    if not call.attrs.get("indices"):
        for _, cut in windows.taps(out):
            best = np.maximum(best, padded[cut])
        return best
    found = np.full(best.shape, -1)
    for at, cut in windows.taps(out):
        number, inside = _numbers(windows, space, out, at, bool(call.attrs.get("column_major", False)))
        better = inside & ((padded[cut] > best) | (found < 0))
        best, found = np.where(better, padded[cut], best), np.where(better, number, found)
    if call.attrs["indices"] == "flat":
        planes = np.arange(int(np.prod(x.shape[: -len(space)]))) * int(np.prod(space))
        found = found + planes.reshape(*x.shape[: -len(space)], *(1,) * len(space))
    return best, found


def _numbers(
    windows: Windows, space: Shape, out: Shape, at: Shape, column_major: bool
) -> tuple[Array, Array]:
    """Number within the plane of what each window meets at one tap, and whether that is a real entry."""
    number, inside = np.zeros(out, np.int64), np.ones(out, bool)
    order = range(len(space)) if column_major else reversed(range(len(space)))
    step = 1
    for axis in order:
        place = np.arange(out[axis]) * windows.stride[axis] + at[axis] * windows.dilation[axis]
        place = (place - windows.pads[axis][0]).reshape(-1, *(1,) * (len(space) - axis - 1))
        number, inside = number + place * step, inside & (place >= 0) & (place < space[axis])
        step *= space[axis]
    return number, inside


def _window_sum(x: Array, windows: Windows, space: Shape, out: Shape) -> Array:
    padded = pad_spatial(x, _reach(windows, space, out))
    total: Array = np.zeros((*x.shape[: -len(space)], *out), x.dtype)
    for _, cut in windows.taps(out):
        total = total + padded[cut]
    return total


def _divisors(call: Call, windows: Windows, space: Shape, out: Shape) -> Array:
    """Numbers of entries that windows average: all up to the end of the pads, or only the real ones."""
    override = call.attrs.get("divisor")
    if override is not None:
        return np.full(out, float(override))
    counted = call.attrs.get("count_pads", True)
    divisors = np.ones(out)
    for axis, (before, after) in enumerate(windows.pads):
        low, high = (0, before + space[axis] + after) if counted else (before, before + space[axis])
        starts = np.arange(out[axis])[:, None] * windows.stride[axis]
        places = starts + np.arange(windows.kernel[axis]) * windows.dilation[axis]
        count = ((places >= low) & (places < high)).sum(axis=1)
        divisors = divisors * count.reshape(-1, *(1,) * (len(space) - axis - 1))
    return np.maximum(divisors, 1)


def _avg_pool(call: Call, x: Array) -> Array:
    windows, space, out = _windows(call)
    return np.asarray(_window_sum(x, windows, space, out) / _divisors(call, windows, space, out))


def _lp_pool(call: Call, x: Array) -> Array:
    p = call.attrs.get("p", 2)
    return np.asarray(_window_sum(np.abs(x) ** p, *_windows(call)) ** (1 / p))


def _max_magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """|max x - max y| <= sum |x - y|: the whole window, for any entry of it may be the largest."""
    whole = _window_sum(np.asarray(mags[0]), *_windows(call))
    return (whole, np.ones_like(whole)) if call.attrs.get("indices") else (whole,)


def _avg_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """A divisor of its own makes the mean of alike entries larger or smaller than they are."""
    (moments,) = average().moments(op, call, samples, sampler)
    divisor = call.attrs.get("divisor")
    factor = 1.0 if divisor is None else float(np.prod(call.attrs["kernel"])) / divisor
    return (None if moments is None else moments * factor,)


def _from_torch(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """No stride means the kernel's size, and one number stands for all dims."""
    rank = attrs.pop("rank")
    kernel = spread(integers(attrs["kernel"]), rank)
    stride = integers(attrs.get("stride"))
    plain = {name: value for name, value in attrs.items() if value is not None}
    for name in {"padding", "dilation"} & set(plain):
        plain[name] = spread(integers(plain[name]), rank)
    return {**plain, "kernel": kernel, "stride": spread(stride, rank) if stride else kernel}


def _torch(name: str, rank: int, attrs: dict[str, str], indices: str = "") -> Aten:
    """``name`` in ``rank`` dims."""
    extra: dict[str, Any] = {"indices": indices} if indices else {}
    return Aten(
        (name,),
        attrs=attrs,
        fix=lambda attrs, shapes: {**_from_torch({**attrs, "rank": rank}, shapes), **extra},
    )


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, outputs = host_facts(attrs)
    plain = padding_of(plain)
    for name in {"kernel", "stride", "dilation", "padding"} & set(plain):
        if not isinstance(plain[name], str):
            plain[name] = integers(plain[name])
    return {**plain, "indices": "flat"} if outputs > 1 else plain


def _average_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {"count_pads": False, **_from_onnx(attrs, shapes)}


_STEPS = {"kernel": "kernel_size", "stride": "stride", "padding": "padding", "ceil_mode": "ceil_mode"}
_DILATED = {**_STEPS, "dilation": "dilation"}
_COUNTED = {**_STEPS, "count_pads": "count_include_pad"}
_ONNX: dict[str, str | int | tuple[str | int, ...]] = {
    "kernel": "kernel_shape",
    "stride": "strides",
    "padding": "pads",
    "auto_pad": "auto_pad",
    "ceil_mode": "ceil_mode",
    "dilation": "dilations",
}
_RANKS = (1, 2, 3)

ops = (
    Op(
        "max_pool",
        ("input",),
        _rule,
        _max_pool,
        bounded(_max_magnitude),
        (
            *(_torch(f"max_pool{rank}d.default", rank, _DILATED) for rank in _RANKS),
            *(_torch(f"max_pool{rank}d_with_indices.default", rank, _DILATED, "plane") for rank in _RANKS),
        ),
        (Onnx(("MaxPool",), (0,), {**_ONNX, "column_major": "storage_order"}, fix=_from_onnx),),
    ),
    Op(
        "avg_pool",
        ("input",),
        _rule,
        _avg_pool,
        Flow(evaluated, _avg_moments),
        (
            _torch("avg_pool1d.default", 1, _COUNTED),
            *(
                _torch(f"avg_pool{rank}d.default", rank, {**_COUNTED, "divisor": "divisor_override"})
                for rank in (2, 3)
            ),
        ),
        (Onnx(("AveragePool",), (0,), {**_ONNX, "count_pads": "count_include_pad"}, fix=_average_from_onnx),),
    ),
    Op(
        "lp_pool",
        ("input",),
        _rule,
        _lp_pool,
        bounded(evaluated),
        onnx=(Onnx(("LpPool",), (0,), {**_ONNX, "p": "p"}, fix=_from_onnx),),
    ),
)
