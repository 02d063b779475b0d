"""Convolution and transposed convolution in 1, 2 or 3 dims, with groups.

Rule: data ``(batch, Prod(g, ic), *space)``, weight ``(Prod(g, oc), ic, *kernel)`` (transposed: ``(Prod(g, ic),
oc, *kernel)``), bias and result channels ``Prod(g, oc)``; ``ic`` is contracted and ``groups`` is the size of
``g``. Cutting whole groups cuts ``g`` everywhere. Depthwise is ``ic = 1``: nothing is contracted and the
channel passes through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dims, Fixed, atom, fixed, prod
from .._errors import UnsupportedError
from .._flow import Arrays, contraction
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._windows import Pads, extent, pad_spatial, same_pads, spread, taps, window_count

_NAMES = ("input", "weight", "bias")


def _geometry(call: Call) -> tuple[Shape, Shape, Pads]:
    """Stride, dilation and pads, one per spatial dim."""
    kernel = call.shape(1)[2:]
    rank = len(kernel)
    stride, dilation = spread(call.attrs.get("stride", 1), rank), spread(call.attrs.get("dilation", 1), rank)
    padding = call.attrs.get("padding", 0)
    if padding in ("same", "same_lower"):
        space = call.shape(0)[2:]
        return stride, dilation, same_pads(space, kernel, stride, dilation, upper=padding == "same")
    pads = spread(0 if padding == "valid" else padding, rank)
    half = len(pads) // 2
    pairs = zip(pads[:half], pads[half:], strict=True) if len(pads) == 2 * rank else ((p, p) for p in pads)
    return stride, dilation, tuple(pairs)


def _out_space(call: Call) -> Shape:
    stride, dilation, pads = _geometry(call)
    kernel, space = call.shape(1)[2:], call.shape(0)[2:]
    return tuple(
        window_count(n, p, extent(k, d), s)
        for n, p, k, d, s in zip(space, pads, kernel, dilation, stride, strict=True)
    )


def _transposed_space(call: Call) -> Shape:
    stride, dilation, pads = _geometry(call)
    extra = spread(call.attrs.get("output_padding", 0), len(stride))
    kernel, space = call.shape(1)[2:], call.shape(0)[2:]
    return tuple(
        (n - 1) * s - sum(p) + extent(k, d) + e
        for n, s, p, k, d, e in zip(space, stride, pads, kernel, dilation, extra, strict=True)
    )


def _relation(call: Call, transposed: bool) -> Rule:
    data, weight, groups = call.shape(0), call.shape(1), int(call.attrs.get("groups", 1))
    if len(data) != len(weight) or data[1] % groups or weight[0] % groups:
        raise UnsupportedError(
            f"convolution of data {data} with weight {weight} in {groups} groups", where=call.origin
        )
    per_group = weight[0] // groups
    inside, made = (per_group, weight[1]) if transposed else (weight[1], per_group)
    if data[1] != groups * inside:
        raise UnsupportedError(f"{data[1]} channels meet a weight for {groups * inside}", where=call.origin)
    batch, g, ic, oc = atom(data[0]), atom(groups), atom(inside), atom(made)
    space, kernel = fixed(data[2:]), fixed(weight[2:])
    out = fixed(_transposed_space(call) if transposed else _out_space(call))
    channels_in, channels_out = prod(g, ic), prod(g, oc)
    weight_dims: Dims = (channels_in, oc, *kernel) if transposed else (channels_out, ic, *kernel)
    operands = ((batch, channels_in, *space), weight_dims, (channels_out,) if call.has(2) else None)
    moved = space if transposed else out
    return Rule(
        operands[: len(call.shapes)],
        ((batch, channels_out, *out),),
        contracted=(ic, *kernel),
        sizes={"groups": g},
        work=((batch, g, oc, ic, *kernel, *moved),),
    )


def _grouped(x: Array, groups: int) -> Array:
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, -1)


def _mix(weight: Array, x: Array) -> Array:
    """Multiply (g, o, i) with (b, g, i, p); a single pair of channels is a plain product."""
    if weight.shape[1] == weight.shape[2] == 1:
        return weight * x
    return np.matmul(weight, x)


def _convolve(x: Array, weight: Array, groups: int, where: tuple[Shape, Shape, Pads, Shape]) -> Array:
    """Sum over kernel positions of a matrix product: no unrolled copy of the input."""
    stride, dilation, pads, out = where
    x = pad_spatial(x, pads)
    w = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], *weight.shape[2:])
    result = np.zeros((x.shape[0], groups, w.shape[1], int(np.prod(out))), np.result_type(x, weight))
    for at, cut in taps(weight.shape[2:], stride, dilation, out):
        result += _mix(w[(..., *at)], _grouped(x[(..., *cut)], groups))
    return result.reshape(x.shape[0], -1, *out)


def _scatter(x: Array, weight: Array, groups: int, where: tuple[Shape, Shape, Pads, Shape]) -> Array:
    """The adjoint of ``_convolve``: weight is ``(g * i, o, *kernel)``, ``out`` the unpadded target space."""
    stride, dilation, pads, out = where
    padded = tuple(n + sum(p) for n, p in zip(out, pads, strict=True))
    kernel, space = weight.shape[2:], x.shape[2:]
    reach = tuple((n - 1) * s + extent(k, d) for n, s, k, d in zip(space, stride, kernel, dilation, strict=True))
    room = tuple(max(a, b) for a, b in zip(padded, reach, strict=True))
    w = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel).swapaxes(1, 2)
    result = np.zeros((x.shape[0], groups * w.shape[1], *room), np.result_type(x, weight))
    flat = _grouped(x, groups)
    for at, cut in taps(kernel, stride, dilation, space):
        result[(..., *cut)] += _mix(w[(..., *at)], flat).reshape(x.shape[0], -1, *space)
    return result[(..., *(slice(p[0], p[0] + n) for p, n in zip(pads, out, strict=True)))]


def _biased(result: Array, bias: Array | None) -> Array:
    return result if bias is None else result + bias.reshape(-1, *(1,) * (result.ndim - 2))


def _conv(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    where = (*_geometry(call), _out_space(call))
    return _biased(_convolve(x, weight, int(call.attrs.get("groups", 1)), where), bias)


def _conv_transpose(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    where = (*_geometry(call), _transposed_space(call))
    return _biased(_scatter(x, weight, int(call.attrs.get("groups", 1)), where), bias)


def _inflow(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    """Data times the adjoint of ones: what each entry adds to the sum of the result."""
    data, weight = np.asarray(mags[0]), np.asarray(mags[1])
    ones = np.ones((1, weight.shape[0], *_out_space(call)))
    back = _scatter(ones, weight, int(call.attrs.get("groups", 1)), (*_geometry(call), call.shape(0)[2:]))
    return np.asarray(data * back)


def _inflow_transposed(op: Op, call: Call, mags: Arrays, position: int) -> Array:
    data, weight = np.asarray(mags[0]), np.asarray(mags[1])
    groups = int(call.attrs.get("groups", 1))
    ones = np.ones((1, weight.shape[1] * groups, *_transposed_space(call)))
    back = _convolve(ones, weight, groups, (*_geometry(call), call.shape(0)[2:]))
    return np.asarray(data * back)


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """``auto_pad`` in words; explicit pads are all begins, then all ends."""
    automatic = attrs.pop("auto_pad", "NOTSET")
    words = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
    if automatic in words:
        attrs["padding"] = words[automatic]
    return attrs


def _transposed_from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """``output_shape`` and ``auto_pad`` fix the pads; the odd one goes after unless SAME_LOWER."""
    automatic, target = attrs.pop("auto_pad", "NOTSET"), attrs.pop("output_shape", None)
    data, weight = shapes[0], shapes[1]
    assert data is not None and weight is not None
    rank = len(data) - 2
    stride, dilation = spread(attrs.get("stride", 1), rank), spread(attrs.get("dilation", 1), rank)
    extra = spread(attrs.get("output_padding", 0), rank)
    if target is None and automatic in ("SAME_UPPER", "SAME_LOWER"):
        target = [n * s for n, s in zip(data[2:], stride, strict=True)]
    if target is not None:
        need = [
            (n - 1) * s + extent(k, d) + e - t
            for n, s, k, d, e, t in zip(data[2:], stride, weight[2:], dilation, extra, target[-rank:], strict=True)
        ]
        small, large = [n // 2 for n in need], [n - n // 2 for n in need]
        attrs["padding"] = large + small if automatic == "SAME_LOWER" else small + large
    return attrs


_ATTRS = {"stride": "stride", "padding": "padding", "dilation": "dilation", "groups": "groups"}
_ONNX_ATTRS = {"stride": "strides", "padding": "pads", "dilation": "dilations", "groups": "group"}
_SCHEMA = ("input", "weight", "bias")
_DIMS = ("1d", "2d", "3d")

ops = (
    Op(
        "conv",
        _NAMES,
        lambda call: _relation(call, transposed=False),
        _conv,
        contraction(_inflow),
        (Aten(tuple(f"conv{d}.{form}" for d in _DIMS for form in ("default", "padding")), _SCHEMA, _ATTRS),),
        (Onnx(("Conv",), (0, 1, 2), {**_ONNX_ATTRS, "auto_pad": "auto_pad"}, fix=_from_onnx),),
        shift_out=2,
    ),
    Op(
        "conv_transpose",
        _NAMES,
        lambda call: _relation(call, transposed=True),
        _conv_transpose,
        contraction(_inflow_transposed),
        (
            Aten(
                ("conv_transpose1d.default", "conv_transpose2d.input", "conv_transpose3d.input"),
                _SCHEMA,
                {**_ATTRS, "output_padding": "output_padding"},
            ),
        ),
        (
            Onnx(
                ("ConvTranspose",),
                (0, 1, 2),
                {
                    **_ONNX_ATTRS,
                    "output_padding": "output_padding",
                    "output_shape": "output_shape",
                    "auto_pad": "auto_pad",
                },
                fix=_transposed_from_onnx,
            ),
        ),
        shift_out=2,
    ),
)
