"""Sampling at given points (grid_sample) and the regular grids that are made for it (affine_grid).

Rule: batch and channel pass; positions and coordinates are pinned.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .._dims import Dim, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, Sampler
from .._graph import Array, Shape
from .._interpolation import cubic, triangle
from .._moves import stay
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import host_facts, integers, word

_SAMPLED = "points of it are sampled"
_COORDINATES = "coordinates of a grid"


def _rule(call: Call) -> Rule:
    data, grid = call.shape(0), call.shape(1)
    rank = len(data) - 2
    if rank < 1 or len(grid) != len(data) or grid[-1] != rank or grid[0] != data[0]:
        raise UnsupportedError(f"points {grid} of data {data}", where=call.origin)
    if call.attrs["mode"] not in ("linear", "nearest", "cubic"):
        raise UnsupportedError(f"sampling with mode '{call.attrs['mode']}'", where=call.origin)
    batch, channel = atoms(data[:2])
    points = stay(grid[1:], _COORDINATES, call)
    return Rule(
        ((batch, channel, *stay(data[2:], _SAMPLED, call)), (batch, *points)),
        ((batch, channel, *points[:-1]),),
    )


def _place(grid: Array, size: int, align: bool) -> Array:
    """Coordinates from -1 to 1 as places among the entries: the outer ones' middles, or their edges."""
    return np.asarray((grid + 1) / 2 * (size - 1) if align else ((grid + 1) * size - 1) / 2)


def _fold(at: Array, size: int, padding: str, align: bool) -> Array:
    """Bring places beyond the border back: to the border itself, or by reflection at it."""
    if padding == "border":
        return np.clip(at, 0, size - 1)
    if padding != "reflection":
        return at
    low, span = (0.0, size - 1.0) if align else (-0.5, float(size))
    if span <= 0:
        return np.zeros_like(at)
    away = np.abs(at - low)
    turned, rest = np.floor(away / span), np.mod(away, span)
    return np.clip(np.where(turned % 2 == 0, rest + low, span - rest + low), 0, size - 1)


def _taps(at: Array, size: int, call: Call) -> list[tuple[Array, Array]]:
    """Along one axis the entries that are met, and their weights."""
    mode, padding, align = call.attrs["mode"], call.attrs["padding"], bool(call.attrs["align"])
    if mode != "cubic":
        at = _fold(at, size, padding, align)
    if mode == "nearest":
        steps = [(np.rint(at), np.ones_like(at))]
    else:
        offsets = (0, 1) if mode == "linear" else (-1, 0, 1, 2)
        indices = [np.floor(at) + offset for offset in offsets]
        steps = [(i, triangle(i - at) if mode == "linear" else cubic(i - at, -0.75)) for i in indices]
    if mode == "cubic":
        steps = [(_fold(index, size, padding, align), weight) for index, weight in steps]
    inside = [(index >= 0) & (index <= size - 1) for index, _ in steps]
    return [
        (np.clip(index, 0, size - 1).astype(np.int64), np.where(real, weight, 0))
        for (index, weight), real in zip(steps, inside, strict=True)
    ]


def _sample(call: Call, x: Array, grid: Array) -> Array:
    """Coordinates name the last axis first."""
    space, align = x.shape[2:], bool(call.attrs["align"])
    each = [_taps(_place(grid[..., -1 - axis], size, align), size, call) for axis, size in enumerate(space)]
    last = np.moveaxis(x, 1, -1)
    batch = np.arange(len(x)).reshape(-1, *(1,) * len(space))
    result = np.zeros((*grid.shape[:-1], x.shape[1]), x.dtype)
    for taps in product(*each):
        weight = np.prod(np.stack([weight for _, weight in taps]), axis=0)
        met: tuple[Any, ...] = (batch, *(index for index, _ in taps))
        result += last[met] * weight[..., None]
    return np.moveaxis(result, -1, 1)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """No more than the largest entry of the channel; where it is sampled is not known."""
    data = np.asarray(mags[0])
    largest = data.max(axis=tuple(range(2, data.ndim)), keepdims=True)
    return (np.broadcast_to(largest, call.results[0]),)


def _moments(op: Op, call: Call, samples: Arrays, sampler: Sampler) -> tuple[Array | None, ...]:
    """Among entries that are alike it does not matter where one samples."""
    data = samples[0]
    alike = data is not None and all(size == 1 for size in data.shape[3:])
    return (data if alike else None,)


def _affine_rule(call: Call) -> Rule:
    shape, size = call.shape(0), call.attrs["size"]
    (batch,) = atoms(shape[:1])
    grid = stay((*size[2:], len(size) - 2), _COORDINATES, call)
    sizes: dict[str, tuple[Dim | int, ...]] = {"size": (batch, *size[1:])}
    return Rule(((batch, *stay(shape[1:], _COORDINATES, call)),), ((batch, *grid),), sizes={**sizes})


def _affine(call: Call, theta: Array) -> Array:
    """Every point of a regular grid from -1 to 1, times the matrix; x comes first."""
    space = call.attrs["size"][2:]
    lines = [_line(size, call) for size in space]
    points = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(space)], axis=-1)
    flat = points.reshape(1, -1, len(space) + 1) @ theta.swapaxes(1, 2)
    return np.asarray(flat.reshape(len(theta), *space, len(space))).astype(theta.dtype, copy=False)


def _line(size: int, call: Call) -> Array:
    """The hosts disagree on where a single point lies that is both corners."""
    if call.attrs["align"]:
        return np.linspace(-1, 1, size) if size > 1 else np.full(size, call.attrs.get("alone", 0.0))
    return (2 * np.arange(size) + 1) / size - 1


def _from_torch(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    return {
        "mode": ("linear", "nearest", "cubic")[attrs["mode"]],
        "padding": ("zeros", "border", "reflection")[attrs["padding"]],
        "align": bool(attrs["align"]),
    }


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    mode = word(plain.get("mode", "linear"))
    return {
        "mode": {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode),
        "padding": word(plain.get("padding", "zeros")),
        "align": bool(plain.get("align", 0)),
    }


def _sizes(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    alone = -1.0 if "opset" in attrs else 0.0
    return {"size": integers(plain["size"]), "align": bool(plain.get("align", 0)), "alone": alone}


_TORCH = {"mode": "interpolation_mode", "padding": "padding_mode", "align": "align_corners"}
_ONNX = {"mode": "mode", "padding": "padding_mode", "align": "align_corners"}
_TARGETS = ("grid_sampler.default", "grid_sampler_2d.default", "grid_sampler_3d.default")

ops = (
    Op(
        "grid_sample",
        ("input", "grid"),
        _rule,
        _sample,
        Flow(_magnitude, _moments),
        (Aten(_TARGETS, ("input", "grid"), _TORCH, _from_torch),),
        (Onnx(("GridSample",), (0, 1), {**_ONNX}, fix=_from_onnx),),
    ),
    Op(
        "affine_grid",
        ("input",),
        _affine_rule,
        _affine,
        Flow(),
        (
            Aten(
                ("affine_grid_generator.default",),
                ("theta",),
                {"size": "size", "align": "align_corners"},
                _sizes,
            ),
        ),
        (Onnx(("AffineGrid",), (0,), {"size": 1, "align": "align_corners"}, fix=_sizes),),
    ),
)
