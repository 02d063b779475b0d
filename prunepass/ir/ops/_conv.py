"""Convolution and transposed convolution in 1, 2 or 3 dims, with groups.

Rule: data ``(batch, Prod(g, ic), *space)``, weight ``(Prod(g, oc), ic, *kernel)`` (transposed:
``(Prod(g, ic), oc, *kernel)``), bias and result channels ``Prod(g, oc)``; ``ic`` is contracted and ``groups``
is the size of ``g``. Cutting whole groups cuts ``g`` everywhere. Depthwise is ``ic = 1``: nothing is
contracted and the channel passes through. The batch dim may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod as product
from typing import Any, NamedTuple

import numpy as np

from .._dims import Dims, Index, atom, atoms, fixed, prod
from .._errors import UnsupportedError
from .._flow import Arrays, contraction
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts, integers
from .._windows import Windows, pad_spatial, padding_of, spread, windows_of

_NAMES = ("input", "weight", "bias")


class _Plan(NamedTuple):
    """Where the windows lie: over the input, or transposed over the result, which is ``out``."""

    windows: Windows
    groups: int
    space: Shape
    out: Shape
    transposed: bool


def _plan(call: Call) -> _Plan:
    weight = call.shape(1)
    kernel, rank = weight[2:], len(weight) - 2
    space = call.shape(0)[-rank:] if rank else ()
    windows = windows_of(call.attrs, kernel, space)
    groups, transposed = int(call.attrs.get("groups", 1)), bool(call.attrs.get("transposed", False))
    if not transposed:
        return _Plan(windows, groups, space, windows.counts(space), False)
    extra = spread(call.attrs.get("output_padding", 0), rank)
    each = zip(space, windows.stride, windows.pads, windows.spans, extra, strict=True)
    out = tuple((n - 1) * s - sum(pads) + span + e for n, s, pads, span, e in each)
    return _Plan(windows, groups, space, out, True)


def _rule(call: Call) -> Rule:
    data, weight, plan = call.shape(0), call.shape(1), _plan(call)
    lead, channels = data[: -len(plan.space) - 1], data[-len(plan.space) - 1]
    per_group = weight[0] // plan.groups
    inside, made = (per_group, weight[1]) if plan.transposed else (weight[1], per_group)
    if len(lead) > 1 or weight[0] % plan.groups or channels != plan.groups * inside:
        raise UnsupportedError(
            f"convolution of data {data} with weight {weight} in {plan.groups} groups", where=call.origin
        )
    batch, g, ic, oc = atoms(lead), atom(plan.groups), atom(inside), atom(made)
    space, kernel, out = fixed(plan.space), fixed(weight[2:]), fixed(plan.out)
    channels_in, channels_out = prod(g, ic), prod(g, oc)
    weight_dims: Dims = (channels_in, oc, *kernel) if plan.transposed else (channels_out, ic, *kernel)
    operands = ((*batch, channels_in, *space), weight_dims, (channels_out,) if call.has(2) else None)
    moved = space if plan.transposed else out
    return Rule(
        operands[: len(call.shapes)],
        ((*batch, channels_out, *out),),
        contracted=(ic, *kernel),
        sizes={"groups": g},
        work=((*batch, g, oc, ic, *kernel, *moved),),
    )


def _grouped(x: Array, groups: int) -> Array:
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, product(x.shape[2:]))


def _mix(weight: Array, x: Array) -> Array:
    """Multiply (g, o, i) with (b, g, i, p); a single pair of channels is a plain product."""
    if weight.shape[1] == weight.shape[2] == 1:
        return weight * x
    # numpy multiplies strided matrices in a plain loop: contiguous ones go to BLAS.
    return np.asarray(np.matmul(np.ascontiguousarray(weight), np.ascontiguousarray(x)))


def _convolve(x: Array, weight: Array, plan: _Plan) -> Array:
    """Sum over kernel positions of a matrix product: no unrolled copy of the input."""
    out = plan.space if plan.transposed else plan.out
    x = pad_spatial(x, plan.windows.pads)
    w = weight.reshape(plan.groups, weight.shape[0] // plan.groups, *weight.shape[1:])
    result = np.zeros((x.shape[0], plan.groups, w.shape[1], product(out)), np.result_type(x, weight))
    for at, cut in plan.windows.taps(out):
        result += _mix(w[_tap(at)], _grouped(x[cut], plan.groups))
    return result.reshape(x.shape[0], weight.shape[0], *out)


def _tap(at: Shape) -> tuple[Any, ...]:
    return (Ellipsis, *at)


def _room(plan: _Plan) -> tuple[Shape, Shape]:
    """Positions that transposed windows reach from ``narrow``, and the padded space they fall into."""
    narrow, wide = (plan.space, plan.out) if plan.transposed else (plan.out, plan.space)
    padded = (n + sum(p) for n, p in zip(wide, plan.windows.pads, strict=True))
    reach = ((n - 1) * s + k for n, s, k in zip(narrow, plan.windows.stride, plan.windows.spans, strict=True))
    return narrow, tuple(max(a, b) for a, b in zip(padded, reach, strict=True))


def _scatter(x: Array, weight: Array, plan: _Plan) -> Array:
    """The adjoint of ``_convolve``: weight is ``(g * i, o, *kernel)``."""
    wide = plan.out if plan.transposed else plan.space
    narrow, room = _room(plan)
    w = weight.reshape(plan.groups, weight.shape[0] // plan.groups, *weight.shape[1:]).swapaxes(1, 2)
    result = np.zeros((x.shape[0], plan.groups * w.shape[1], *room), np.result_type(x, weight))
    flat = _grouped(x, plan.groups)
    for at, cut in plan.windows.taps(narrow):
        result[cut] += _mix(w[_tap(at)], flat).reshape(x.shape[0], result.shape[1], *narrow)
    return _inside(result, plan.windows, wide)


def _inside(x: Array, windows: Windows, wide: Shape) -> Array:
    index: tuple[Any, ...] = (
        Ellipsis,
        *(slice(p[0], p[0] + n) for p, n in zip(windows.pads, wide, strict=True)),
    )
    inside: Array = x[index]
    return inside


def _run(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    plan = _plan(call)
    batched = x.ndim == weight.ndim
    data = x if batched else x[None]
    result = _scatter(data, weight, plan) if plan.transposed else _convolve(data, weight, plan)
    if bias is not None:
        result = result + bias.reshape(-1, *(1,) * (result.ndim - 2))
    return result if batched else result[0]


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """An operand times the adjoint of ones: what each entry adds to the sum of the result."""
    data, weight, plan = np.asarray(mags[0]), np.asarray(mags[1]), _plan(call)
    if position == 1:
        return weight * _met(data if data.ndim == weight.ndim else data[None], weight, plan)
    channels = weight.shape[1] * plan.groups if plan.transposed else weight.shape[0]
    ones = np.ones((1, channels, *plan.out))
    back = _convolve(ones, weight, plan) if plan.transposed else _scatter(ones, weight, plan)
    return np.asarray(data * back.reshape(back.shape[data.ndim != weight.ndim :]))


def _met(data: Array, weight: Array, plan: _Plan) -> Array:
    """For each entry of the weight the sum of all data that it meets."""
    narrow, room = _room(plan)
    space = (0, *range(2, data.ndim))
    share = np.zeros((plan.groups, weight.shape[0] // plan.groups, *weight.shape[1:]))
    counted = np.zeros(room)
    _inside(counted, plan.windows, plan.out if plan.transposed else plan.space)[...] = 1
    padded = data if plan.transposed else pad_spatial(data, plan.windows.pads)
    for at, cut in plan.windows.taps(narrow):
        met = (data * counted[cut] if plan.transposed else padded[cut]).sum(axis=space)
        share[_tap(at)] = met.reshape(plan.groups, *((-1, 1) if plan.transposed else (1, -1)))
    return share.reshape(weight.shape)


def _transposed(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {**attrs, "transposed": True}


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """``kernel_shape`` only repeats the weight's."""
    attrs = padding_of(host_facts(attrs)[0])
    attrs.pop("kernel", None)
    return attrs


def _transposed_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """``output_shape`` and ``auto_pad`` fix the pads; the odd one goes after if SAME_UPPER, else before."""
    target = integers(attrs.pop("output_shape", None))
    attrs = {**_from_onnx(attrs, shapes), "transposed": True}
    data, weight = shapes[0], shapes[1]
    same = attrs.get("padding") in ("same", "same_lower")
    if data is None or weight is None or not (target or same):
        return attrs
    rank = len(weight) - 2
    windows = windows_of({**attrs, "padding": 0}, weight[2:], data[2:])
    extra = spread(attrs.get("output_padding", 0), rank)
    wanted = target[-rank:] if target else tuple(n * s for n, s in zip(data[2:], windows.stride, strict=True))
    each = zip(data[2:], windows.stride, windows.spans, extra, wanted, strict=True)
    need = [(n - 1) * s + span + e - t for n, s, span, e, t in each]
    small, large = [n // 2 for n in need], [n - n // 2 for n in need]
    attrs["padding"] = tuple(small + large if attrs.get("padding") == "same" else large + small)
    return attrs


_ATTRS = {"stride": "stride", "padding": "padding", "dilation": "dilation", "groups": "groups"}
_ONNX_ATTRS = {
    "stride": "strides",
    "padding": "pads",
    "dilation": "dilations",
    "groups": "group",
    "auto_pad": "auto_pad",
    "kernel": "kernel_shape",
}
_EXTRA = {"output_padding": "output_padding"}
_SCHEMA = ("input", "weight", "bias")
_PLAIN = tuple(f"conv{d}d.{form}" for d in (1, 2, 3) for form in ("default", "padding"))
_TRANSPOSED = ("conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input")
_FLOW = contraction(_inflow)


def _terms(call: Call, x: Array, rows: Index) -> Array:
    """The taps of the window at each position, channel by channel; 0 where none reaches it."""
    plan = _plan(call)
    rank = len(plan.space)
    lead = x.shape[: -rank - 1]
    wide = x if plan.transposed else pad_spatial(x, plan.windows.pads)
    last = np.moveaxis(wide, -rank - 1, -1)
    last = last.reshape(product(lead), *last.shape[len(lead) :])
    first, *places = np.unravel_index(rows, (product(lead), *plan.out))
    index, there = _taps_at(plan, places)
    where: tuple[Index, ...] = (first[:, None], *index)
    met = last[where] * there[..., None]
    grouped = met.reshape(len(rows), met.shape[1], plan.groups, -1)
    return np.asarray(grouped.transpose(0, 2, 3, 1).reshape(len(rows), plan.groups, -1))


def _taps_at(plan: _Plan, places: Sequence[Index]) -> tuple[list[Index], Array]:
    """By axis the entry of the data that each tap meets, ``(positions, taps)``, and whether there is one."""
    windows, index = plan.windows, list[Index]()
    taps = np.meshgrid(*map(np.arange, windows.kernel), indexing="ij")
    there = np.ones((len(places[0]), taps[0].size), bool)
    each = zip(places, taps, windows.stride, windows.dilation, windows.pads, plan.space, strict=True)
    for place, tap, stride, step, pads, size in each:
        if not plan.transposed:
            index.append(place[:, None] * stride + tap.ravel() * step)
            continue
        from_tap = place[:, None] + pads[0] - tap.ravel() * step
        at = from_tap // stride
        there &= (from_tap % stride == 0) & (at >= 0) & (at < size)
        index.append(np.clip(at, 0, size - 1))
    return index, there


ops = (
    Op(
        "conv",
        _NAMES,
        _rule,
        _run,
        _FLOW,
        (
            Aten(_PLAIN, _SCHEMA, _ATTRS),
            # torch's own core form covers both directions: ``transposed`` is an argument of it.
            Aten(("convolution.default",), _SCHEMA, {**_ATTRS, **_EXTRA, "transposed": "transposed"}),
        ),
        (Onnx(("Conv",), (0, 1, 2), _ONNX_ATTRS, fix=_from_onnx),),
        shift_out=2,
        terms=_terms,
    ),
    Op(
        "conv_transpose",
        _NAMES,
        _rule,
        _run,
        _FLOW,
        (Aten(_TRANSPOSED, _SCHEMA, {**_ATTRS, **_EXTRA}, _transposed),),
        (
            Onnx(
                ("ConvTranspose",),
                (0, 1, 2),
                {**_ONNX_ATTRS, **_EXTRA, "output_shape": "output_shape"},
                fix=_transposed_from_onnx,
            ),
        ),
        shift_out=2,
        terms=_terms,
    ),
)
