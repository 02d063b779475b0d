"""GroupNorm and InstanceNorm: statistics of each sample over groups of channels, or over single ones.

Rule: channels are ``Prod(g, c)`` and positions pass. Whole groups may be cut exactly, with ``groups`` (and
torch's ``channels``) following; cutting ``c`` inside the groups, or positions, changes the statistics. Scale
and shift go by channel, in ONNX before opset 21 by group. An instance is a group of one channel.
"""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from .._dims import Dim, Dims, atom, atoms, prod
from .._elementary import standardised
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler, bounded
from .._graph import Array, Shape
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts

_EPS = 1e-5


def _group_rule(call: Call) -> Rule:
    shape, groups = call.shape(0), int(call.attrs["groups"])
    if len(shape) < 2 or shape[1] % groups:
        raise UnsupportedError(f"{groups} groups of the channels of {shape}", where=call.origin)
    batch, g, c, space = atom(shape[0]), atom(groups), atom(shape[1] // groups), atoms(shape[2:])
    channels = prod(g, c)
    dims: Dims = (batch, channels, *space)
    params = (_param(call, i, g, channels) for i in range(1, len(call.shapes)))
    saved = ((batch, g),) * (2 if call.attrs.get("saved") else 0)
    sizes: dict[str, Dim] = {"groups": g, "channels": channels, "batch": batch, "space": prod(*space)}
    over = (c, *space)
    return Rule((dims, *params), (dims, *saved), statistics=over, centred=over, sizes=sizes)


def _param(call: Call, position: int, g: Dim, channels: Dim) -> Dims | None:
    if not call.has(position):
        return None
    size = call.shape(position)
    if size not in ((g.size,), (channels.size,)):
        raise UnsupportedError(f"a scale of {size} for {channels.size} channels", where=call.origin)
    return (channels,) if size == (channels.size,) else (g,)


def _group_norm(
    call: Call, x: Array, scale: Array | None = None, shift: Array | None = None
) -> tuple[Array, ...]:
    groups, (batch, channels) = int(call.attrs["groups"]), x.shape[:2]
    flat = x.reshape(batch, groups, product(x.shape[1:]) // max(groups, 1))
    plain, mean, rstd = standardised(flat, (2,), call.attrs.get("eps", _EPS))
    result = plain.reshape(x.shape)
    result = result if scale is None else result * _column(scale, channels, x.ndim)
    result = result if shift is None else result + _column(shift, channels, x.ndim)
    return (result, mean[..., 0], rstd[..., 0]) if call.attrs.get("saved") else (result,)


def _column(param: Array, channels: int, rank: int) -> Array:
    """One number per channel, repeated where there is one per group, ahead of the positions."""
    return np.repeat(param, channels // max(param.size, 1)).reshape(-1, *(1,) * (rank - 2))


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """The data comes out with mean square 1 whatever it was: |scale| + |shift|."""
    shape = call.shape(0)
    scale, shift = (mags[i] if i < len(mags) else None for i in (1, 2))
    size = np.ones(1) if scale is None else abs(scale)
    size = _column(size, shape[1], len(shape))
    size = size if shift is None else size + _column(abs(shift), shape[1], len(shape))
    return (np.broadcast_to(size, shape), *(np.ones(result) for result in call.results[1:]))


def _instance_rule(call: Call) -> Rule:
    shape = call.shape(0)
    if len(shape) < 2:
        raise UnsupportedError(f"no channels in {shape}", where=call.origin)
    dims = atoms(shape)
    params = ((dims[1],) if call.has(i) else None for i in range(1, len(call.shapes)))
    over = () if _carried(call) else dims[2:]
    return Rule((dims, *params), (dims,), statistics=over, centred=over)


def _carried(call: Call) -> bool:
    """Return whether the statistics are those that the model carries, as BatchNorm's are."""
    return not call.attrs.get("of_input", True) and call.has(3) and call.has(4)


def _instance_norm(call: Call, x: Array, *params: Array | None) -> Array:
    scale, shift, mean, var = (params[i] if i < len(params) else None for i in range(4))
    columns = (-1, *(1,) * (x.ndim - 2))
    eps = call.attrs.get("eps", _EPS)
    if _carried(call) and mean is not None and var is not None:
        result = (x - mean.reshape(columns)) / np.sqrt(var.reshape(columns) + eps)
    else:
        result = standardised(x, tuple(range(2, x.ndim)), eps)[0]
    result = result if scale is None else result * scale.reshape(columns)
    return np.asarray(result if shift is None else result + shift.reshape(columns))


def _instance_moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Every channel of every sample has mean 0 and variance 1, then shift and |scale|."""
    scale, shift = (samples[i] if i < len(samples) else None for i in (1, 2))
    count, rank = call.shape(0)[1], len(call.shape(0))
    deviation = np.ones(count) if scale is None else abs(scale[0])
    mean = np.zeros(count) if shift is None else shift[0]
    shape = (1, count, *(1,) * (rank - 2))
    return (sampler.normal(mean.reshape(shape), deviation.reshape(shape)),)


def _saving(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {**attrs, "saved": True}


def _named(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    return {name: value for name, value in plain.items() if name != "stash"}


_AFFINE = ("input", "scale", "shift")
_SCHEMA = ("input", "weight", "bias")

ops = (
    Op(
        "group_norm",
        _AFFINE,
        _group_rule,
        _group_norm,
        bounded(_magnitude),
        (
            Aten(("group_norm.default",), _SCHEMA, {"eps": "eps", "groups": "num_groups"}),
            Aten(
                ("native_group_norm.default",),
                _SCHEMA,
                {"eps": "eps", "groups": "group", "channels": "C", "batch": "N", "space": "HxW"},
                _saving,
            ),
        ),
        (
            Onnx(
                ("GroupNormalization",),
                (0, 1, 2),
                {"eps": "epsilon", "groups": "num_groups", "stash": "stash_type"},
                fix=_named,
            ),
        ),
    ),
    Op(
        "instance_norm",
        (*_AFFINE, "mean", "var"),
        _instance_rule,
        _instance_norm,
        Flow(_magnitude, _instance_moments),
        (
            Aten(
                ("instance_norm.default",),
                (*_SCHEMA, "running_mean", "running_var"),
                {"eps": "eps", "of_input": "use_input_stats"},
            ),
        ),
        (Onnx(("InstanceNormalization",), (0, 1, 2), {"eps": "epsilon"}),),
    ),
)
