"""Resampling to another size: nearest, linear and cubic, in any number of dims.

Rule: an axis that keeps its size and scale passes; one that is resampled is pinned. ``axes`` are those that
the attributes speak of. ``sizes`` are their sizes afterwards and follow a cut of an axis that passes;
``scales`` say how coordinates map, and the sizes too where those are not given. ``single`` asks for the
single precision in which ONNX multiplies sizes and places entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._dims import Dim, atoms
from .._errors import UnsupportedError
from .._flow import Arrays, Flow, average
from .._graph import Array, Shape
from .._interpolation import Axis, Kind, check_kind, places, weights
from .._moves import stays
from .._op import Aten, Call, Onnx, Op, Rule
from .._plain import floats, host_facts, integers, word
from .._spelling import shape_of

_MOST_WEIGHTS = 1 << 22
_REASON = "it is resampled"
_CROP = "tf_crop_and_resize"


def _kind(call: Call) -> Kind:
    names = ("mode", "coordinates", "rounding", "cubic_a", "inside_only", "antialias")
    kind = Kind(**{name: call.attrs[name] for name in names if name in call.attrs})
    check_kind(kind)
    return kind


def _axes(call: Call) -> dict[int, Axis]:
    """Every axis that the attributes speak of, with what happens to it."""
    axes, sizes, scales = call.attrs["axes"], call.attrs.get("sizes"), call.attrs.get("scales")
    regions = call.attrs.get("regions") or ((0.0, 1.0),) * len(axes)
    kept = [call.shape(0)[axis] for axis in axes]
    if sizes is None:
        if scales is None or len(scales) != len(axes):
            raise UnsupportedError("neither sizes nor scales say how to resample", where=call.origin)
        sizes = [_times(size, scale, call) for size, scale in zip(kept, scales, strict=True)]
    each = zip(kept, sizes, scales or (None,) * len(axes), regions, strict=True)
    made = (_axis(call, size, out, scale, region) for size, out, scale, region in each)
    return dict(zip(axes, made, strict=True))


def _axis(call: Call, size: int, out: int, scale: float | None, region: tuple[float, float]) -> Axis:
    """Sizes alone say the scale."""
    factor = scale if scale is not None else out / size if size else 1.0
    if call.attrs.get("single", False):
        return Axis(size, out, factor, None, *region)
    return Axis(size, out, factor, 1 / factor if scale is not None else size / max(out, 1))


def _times(size: int, scale: float, call: Call) -> int:
    """ONNX multiplies in single precision: 10 * 0.7 is 7 there."""
    if call.attrs.get("single", False):
        return int(np.floor(np.float32(size) * np.float32(scale)))
    return int(size * scale)


def _stays(axis: Axis, kind: Kind) -> bool:
    whole = kind.coordinates != _CROP or (axis.start, axis.end) == (0.0, 1.0)
    return whole and axis.size == axis.out and axis.scale == 1.0


def _rule(call: Call) -> Rule:
    kind, before, after = _kind(call), list(atoms(call.shape(0))), list[Dim]()
    axes = _axes(call)
    for number, dim in enumerate(before):
        axis = axes.get(number)
        if axis is None or _stays(axis, kind):
            after.append(dim)
        else:
            before[number] = stays(axis.size, _REASON, call)
            after.append(stays(axis.out, _REASON, call))
    sizes = tuple(after[number] for number in call.attrs["axes"])
    follow: dict[str, Dim | tuple[Dim | int, ...]] = {} if call.attrs.get("policy") else {"sizes": sizes}
    return Rule((tuple(before),), (tuple(after),), sizes=follow)


def _resample(call: Call, x: Array, *, absolute: bool = False) -> Array:
    kind = _kind(call)
    for number, axis in _axes(call).items():
        if _stays(axis, kind):
            continue
        # The matrix of a long axis is larger than what it is applied to: some rows at a time, and what they read.
        rows = max(1, _MOST_WEIGHTS // axis.size)
        moved, dtype = np.moveaxis(x, number, -1), x.dtype
        parts = [np.zeros((*moved.shape[:-1], 0), dtype)]
        for start in range(0, axis.out, rows):
            matrix = weights(axis, kind, slice(start, start + rows))
            matrix = (np.abs(matrix) if absolute else matrix).astype(
                dtype if dtype.kind == "f" else np.float64
            )
            reads = np.flatnonzero(matrix.any(axis=0))
            near = slice(reads[0], reads[-1] + 1) if len(reads) else slice(0)
            parts.append((moved[..., near] @ matrix[:, near].T).astype(dtype, copy=False))
        x = np.moveaxis(np.concatenate(parts, axis=-1), -1, number)
    return x


def _resize(call: Call, x: Array) -> Array:
    made, kind = _resample(call, x), _kind(call)
    if kind.coordinates != _CROP:
        return made
    outside = np.zeros((1,) * x.ndim, bool)
    for number, axis in _axes(call).items():
        at = places(axis, kind.coordinates)
        beyond = (at < 0) | (at > axis.size - 1)
        outside = outside | beyond.reshape(-1, *(1,) * (x.ndim - number - 1))
    return np.where(outside, call.attrs.get("outside", 0.0), made).astype(x.dtype, copy=False)


def _magnitude(op: Op, call: Call, mags: Arrays) -> tuple[Array, ...]:
    """Cubic kernels have negative weights: their absolute values bound."""
    return (_resample(call, np.asarray(mags[0]), absolute=True),)


def _torch(name: str, rank: int, extra: dict[str, Any], overload: str) -> Aten:
    """One overload over the last ``rank`` axes: ``vec`` takes a list of scales, ``default`` one a dim."""
    letters = ("scales",) if rank == 1 else tuple(f"scales_{letter}" for letter in "dhw"[-rank:])
    listed = overload == "vec"
    attrs = {
        "sizes": "output_size",
        **({"scales": "scale_factors"} if listed else {f"s_{s}": s for s in letters}),
    }
    if "mode" in extra and extra["mode"] != "nearest":
        attrs["corners"] = "align_corners"

    def fix(raw: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
        axes = tuple(range(2, 2 + rank))
        single = tuple(raw.get(f"s_{letter}") for letter in letters)
        scales = floats(raw.get("scales")) if listed else () if None in single else floats(single)
        sizes = integers(raw.get("sizes"))
        neutral: dict[str, Any] = {**extra, "axes": axes}
        neutral |= {"sizes": sizes} if sizes else {}
        neutral |= {"scales": scales} if scales and all(scale > 0 for scale in scales) else {}
        return {**neutral, "coordinates": "align_corners"} if raw.get("corners") else neutral

    return Aten((f"{name}.{overload}",), ("input" if listed else "self",), attrs, fix)


_HALF = {"coordinates": "half_pixel"}
_NEAREST = {"mode": "nearest", "coordinates": "asymmetric", "rounding": "floor"}
_EXACT = {"mode": "nearest", **_HALF, "rounding": "round_prefer_ceil"}
_SMOOTH = {"inside_only": True, "antialias": True, **_HALF}
_TORCH: tuple[tuple[str, int, dict[str, Any]], ...] = (
    *((f"upsample_nearest{rank}d", rank, _NEAREST) for rank in (1, 2, 3)),
    *((f"_upsample_nearest_exact{rank}d", rank, _EXACT) for rank in (1, 2, 3)),
    ("upsample_linear1d", 1, {"mode": "linear", **_HALF}),
    ("upsample_bilinear2d", 2, {"mode": "linear", **_HALF}),
    ("upsample_trilinear3d", 3, {"mode": "linear", **_HALF}),
    ("upsample_bicubic2d", 2, {"mode": "cubic", **_HALF}),
    ("_upsample_bilinear2d_aa", 2, {"mode": "linear", **_SMOOTH}),
    ("_upsample_bicubic2d_aa", 2, {"mode": "cubic", "cubic_a": -0.5, **_SMOOTH}),
)


def _before_eleven(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    """The first forms of ONNX place entries without any half pixel."""
    plain, _, _ = host_facts(attrs)
    rank = tuple(range(len(shape_of(shapes))))
    mode = _mode(plain)
    return {
        **_NEAREST,
        "rounding": "simple",
        "mode": mode,
        "axes": rank,
        "scales": floats(plain["scales"]),
        "single": True,
    }


def _mode(plain: dict[str, Any]) -> str:
    mode = word(plain.get("mode", "nearest"))
    return "linear" if mode == "bilinear" else mode


def _from_onnx(attrs: dict[str, Any], shapes: tuple[Shape | None, ...]) -> dict[str, Any]:
    plain, _, _ = host_facts(attrs)
    shape = shape_of(shapes)
    axes = tuple(axis % len(shape) for axis in integers(plain.get("axes"))) or tuple(range(len(shape)))
    sizes, scales, roi = integers(plain.get("sizes")), floats(plain.get("scales")), floats(plain.get("roi"))
    policy = word(plain.get("policy", "stretch"))
    neutral: dict[str, Any] = {
        "axes": axes,
        "mode": _mode(plain),
        "coordinates": word(plain.get("coordinates", "half_pixel")),
        "rounding": word(plain.get("rounding", "round_prefer_floor")),
        "cubic_a": float(plain.get("cubic_a", -0.75)),
        "inside_only": bool(plain.get("inside_only", 0)),
        "antialias": bool(plain.get("antialias", 0)),
        "outside": float(plain.get("outside", 0.0)),
        "single": True,
    }
    if roi and neutral["coordinates"] == _CROP:
        neutral["regions"] = tuple(zip(roi[: len(axes)], roi[len(axes) :], strict=True))
    if sizes and policy != "stretch":
        return {**neutral, "policy": policy, **_one_scale(tuple(shape[axis] for axis in axes), sizes, policy)}
    return {**neutral, **({"sizes": sizes} if sizes else {"scales": scales})}


def _one_scale(kept: Shape, sizes: Shape, policy: str) -> dict[str, Any]:
    """All axes get one scale, so that none becomes larger (or smaller) than asked for."""
    ratios = [size / before for size, before in zip(sizes, kept, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return {
        "sizes": tuple(int(np.floor(before * scale + 0.5)) for before in kept),
        "scales": (scale,) * len(kept),
    }


_ONNX: dict[str, str | int | tuple[str | int, ...]] = {
    "roi": 1,
    "scales": 2,
    "sizes": 3,
    "mode": "mode",
    "coordinates": "coordinate_transformation_mode",
    "rounding": "nearest_mode",
    "cubic_a": "cubic_coeff_a",
    "inside_only": "exclude_outside",
    "antialias": "antialias",
    "outside": "extrapolation_value",
    "policy": "keep_aspect_ratio_policy",
    "axes": "axes",
}

ops = (
    Op(
        "resize",
        ("input",),
        _rule,
        _resize,
        Flow(_magnitude, average().moments),
        tuple(_torch(*form, overload) for form in _TORCH for overload in ("vec", "default")),
        (
            Onnx(("Upsample",), (0,), {"scales": (1, "scales"), "mode": "mode"}, until=9, fix=_before_eleven),
            Onnx(("Resize",), (0,), {"scales": 1, "mode": "mode"}, until=10, fix=_before_eleven),
            Onnx(("Resize",), (0,), _ONNX, since=11, fix=_from_onnx),
        ),
    ),
)
