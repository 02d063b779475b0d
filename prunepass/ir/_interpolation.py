"""Resampling along one axis as a matrix: which entries of the input make each entry of the result.

Source of the coordinate rules: the operator ``Resize`` of ONNX (opset 19), which covers those of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from ._errors import UnsupportedError
from ._graph import Array


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis to resample.

    Attributes:
        size, out: entries before and after.
        scale: result entries per input entry; what the model states, not always ``out / size``.
        step: input entries per result entry, as torch has it; ties between neighbours hang on its rounding.
        start, end: the part that is read, in fractions of the axis, where the coordinates crop.
    """

    size: int
    out: int
    scale: float
    step: float | None = None
    start: float = 0.0
    end: float = 1.0

    def unscaled(self, x: Array) -> Array:
        """Result coordinates as input coordinates: times the step, or divided by the scale."""
        return np.asarray(x / self.scale if self.step is None else x * self.step)


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of resampling: ``mode`` is nearest, linear or cubic.

    Attributes:
        coordinates: how an entry of the result is placed on the input.
        rounding: for nearest, which neighbour.
        cubic_a: the coefficient of the cubic kernel.
        inside_only: entries beyond the border get no weight, instead of repeating the border.
        antialias: widen the kernel where the result is smaller.
    """

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    cubic_a: float = -0.75
    inside_only: bool = False
    antialias: bool = False


def places(axis: Axis, coordinates: str) -> Array:
    """Position of each entry of the result on the input; without a step in the precision of ONNX Runtime."""
    x = np.arange(axis.out, dtype=np.float32 if axis.step is None else np.float64)
    return _COORDINATES[coordinates](x, axis)


def _align_corners(x: Array, axis: Axis) -> Array:
    return x * (axis.size - 1) / (axis.out - 1) if axis.out > 1 else np.zeros_like(x)


def _symmetric(x: Array, axis: Axis) -> Array:
    """Half pixels about the middle of the axis, also where the size is not a multiple of the scale."""
    adjustment = axis.out / (axis.scale * axis.size)
    return axis.size / 2 * (1 - adjustment) + axis.unscaled(x + 0.5) - 0.5


def _crop(x: Array, axis: Axis) -> Array:
    span = axis.size - 1
    if axis.out == 1:
        return np.full_like(x, 0.5 * (axis.start + axis.end) * span)
    return axis.start * span + x * (axis.end - axis.start) * span / (axis.out - 1)


def _half_pixel(x: Array, axis: Axis) -> Array:
    return axis.unscaled(x + 0.5) - 0.5


_COORDINATES: Mapping[str, Callable[[Array, Axis], Array]] = {
    "half_pixel": _half_pixel,
    "pytorch_half_pixel": lambda x, axis: _half_pixel(x, axis) if axis.out > 1 else np.zeros_like(x),
    "half_pixel_symmetric": _symmetric,
    "align_corners": _align_corners,
    "asymmetric": lambda x, axis: axis.unscaled(x),
    "tf_half_pixel_for_nn": lambda x, axis: axis.unscaled(x + 0.5),
    "tf_crop_and_resize": _crop,
}
_ROUNDING: Mapping[str, Callable[[Array, Axis], Array]] = {
    "floor": lambda x, axis: np.floor(x),
    "ceil": lambda x, axis: np.ceil(x),
    "round_prefer_floor": lambda x, axis: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x, axis: np.floor(x + 0.5),
    # What the first form of ONNX left open, as ONNX Runtime fills it.
    "simple": lambda x, axis: np.ceil(x) if axis.scale < 1 else np.floor(x),
}


_WHOLE = slice(None)


def check_kind(kind: Kind) -> None:
    """Refuse words that are not known.

    Raises:
        UnsupportedError: a mode, coordinate rule or rounding has no meaning here.
    """
    known = {"mode": ("nearest", "linear", "cubic"), "coordinates": _COORDINATES, "rounding": _ROUNDING}
    for name, words in known.items():
        if getattr(kind, name) not in words:
            raise UnsupportedError(f"resampling with {name} '{getattr(kind, name)}'")


def triangle(distance: Array) -> Array:
    """The linear kernel."""
    return np.asarray(np.maximum(1 - np.abs(distance), 0))


def cubic(distance: Array, a: float) -> Array:
    """The cubic convolution kernel of Keys (1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def weights(axis: Axis, kind: Kind, part: slice = _WHOLE) -> Array:
    """The matrix of shape ``(out, size)`` that makes the result, or some of its rows; each sums to 1."""
    at = places(axis, kind.coordinates)[part]
    matrix = np.zeros((len(at), axis.size))
    rows = np.arange(len(at))
    if kind.mode == "nearest":
        matrix[rows, np.clip(_ROUNDING[kind.rounding](at, axis), 0, axis.size - 1).astype(np.int64)] = 1
        return matrix
    shrink = min(axis.scale, 1.0) if kind.antialias else 1.0
    reach = (1 if kind.mode == "linear" else 2) / shrink
    for step in range(floor(-reach) + 1, ceil(reach) + 1):
        index = np.floor(at) + step
        distance = (index - at) * shrink
        weight = triangle(distance) if kind.mode == "linear" else cubic(distance, kind.cubic_a)
        if kind.inside_only:
            weight = np.where((index < 0) | (index > axis.size - 1), 0, weight)
        np.add.at(matrix, (rows, np.clip(index, 0, axis.size - 1).astype(np.int64)), weight)
    total = matrix.sum(axis=1, keepdims=True)
    matrix /= np.where(total == 0, 1, total)
    return matrix
