"""Sliding windows in any number of spatial dims: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil

import numpy as np

from ._graph import Array, Shape

Pads = tuple[tuple[int, int], ...]


def spread(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for all ``rank`` spatial dims, or one for each."""
    numbers = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    return numbers * rank if len(numbers) == 1 else numbers


def extent(kernel: int, dilation: int) -> int:
    """How many input positions a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def same_pads(sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape, *, upper: bool = True) -> Pads:
    """Pads that make the output ``ceil(size / stride)``; the odd one goes after (``upper``) or before."""
    pads = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        need = max((ceil(size / s) - 1) * s + extent(k, d) - size, 0)
        small, large = need // 2, need - need // 2
        pads.append((small, large) if upper else (large, small))
    return tuple(pads)


def window_count(size: int, pads: tuple[int, int], span: int, stride: int, *, ceil_mode: bool = False) -> int:
    """Number of windows along one dim; a rounded-up last window must start inside size + front pad."""
    room = size + sum(pads) - span
    count = (ceil(room / stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + pads[0] else count


def pad_spatial(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Pad the trailing ``len(pads)`` dims; negative pads crop."""
    grown = [(max(a, 0), max(b, 0)) for a, b in pads]
    if any(a or b for a, b in grown):
        x = np.pad(x, [(0, 0)] * (x.ndim - len(pads)) + grown, constant_values=value)
    crop = tuple(slice(max(-a, 0), x.shape[x.ndim - len(pads) + i] - max(-b, 0)) for i, (a, b) in enumerate(pads))
    return x[(..., *crop)]


def taps(kernel: Shape, stride: Shape, dilation: Shape, out: Shape) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
    """For each kernel position the slices of the padded input that it meets, one per spatial dim."""
    for at in product(*(range(k) for k in kernel)):
        yield at, tuple(
            slice(p * d, p * d + (n - 1) * s + 1, s) for p, d, s, n in zip(at, dilation, stride, out, strict=True)
        )
