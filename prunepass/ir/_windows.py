"""Sliding windows in any number of spatial dims: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any

import numpy as np

from ._graph import Array, Attrs, Shape

Pads = tuple[tuple[int, int], ...]


def spread(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for all ``rank`` spatial dims, or one for each."""
    numbers = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    return numbers * rank if len(numbers) == 1 else numbers


def extent(kernel: int, dilation: int) -> int:
    """Number of input positions that a dilated kernel spans."""
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


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over the trailing dims, one entry of each field per dim."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    pads: Pads

    @property
    def spans(self) -> Shape:
        """Number of positions that each window covers, holes of a dilated one included."""
        return tuple(extent(k, d) for k, d in zip(self.kernel, self.dilation, strict=True))

    def counts(self, space: Shape, *, ceil_mode: bool = False) -> Shape:
        """Number of windows that fit into ``space``."""
        each = zip(space, self.pads, self.spans, self.stride, strict=True)
        return tuple(window_count(n, p, span, s, ceil_mode=ceil_mode) for n, p, span, s in each)

    def taps(self, out: Shape) -> Iterator[tuple[Shape, tuple[Any, ...]]]:
        """For each kernel position the index of what it meets in all windows of the padded array."""
        for at, cut in taps(self.kernel, self.stride, self.dilation, out):
            yield at, (Ellipsis, *cut)


def taps(
    kernel: Shape, stride: Shape, dilation: Shape, out: Shape
) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
    """For each kernel position the slices of the padded input that it meets, one per spatial dim."""
    for at in product(*(range(k) for k in kernel)):
        each = zip(at, dilation, stride, out, strict=True)
        yield at, tuple(slice(p * d, p * d + (n - 1) * s + 1, s) for p, d, s, n in each)


def windows_of(attrs: Attrs, kernel: Shape, space: Shape) -> Windows:
    """The windows that the attributes ``stride``, ``dilation`` and ``padding`` describe over ``space``.

    ``padding`` is a number, one per dim, all begins followed by all ends, or ``valid``, ``same`` (the odd
    pad goes after) or ``same_lower`` (before).
    """
    rank = len(kernel)
    stride, dilation = spread(attrs.get("stride", 1), rank), spread(attrs.get("dilation", 1), rank)
    padding = attrs.get("padding", 0)
    if padding in ("same", "same_lower"):
        return Windows(
            kernel, stride, dilation, same_pads(space, kernel, stride, dilation, upper=padding == "same")
        )
    pads = spread(0 if padding == "valid" else padding, rank)
    pairs = zip(pads[:rank], pads[-rank:], strict=True) if rank else ()
    return Windows(kernel, stride, dilation, tuple(pairs))


def padding_of(attrs: dict[str, Any]) -> dict[str, Any]:
    """Replace ONNX's ``auto_pad`` by the words that ``windows_of`` knows."""
    automatic = attrs.pop("auto_pad", "NOTSET")
    automatic = automatic.decode() if isinstance(automatic, bytes) else automatic
    words = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
    return {**attrs, "padding": words[automatic]} if automatic in words else attrs


def pad_spatial(x: Array, pads: Pads, value: float = 0.0) -> Array:
    """Pad the trailing ``len(pads)`` dims; negative pads crop."""
    grown = [(max(a, 0), max(b, 0)) for a, b in pads]
    if any(a or b for a, b in grown):
        x = np.pad(x, [(0, 0)] * (x.ndim - len(pads)) + grown, constant_values=value)
    space = x.shape[x.ndim - len(pads) :]
    each = zip(space, pads, strict=True)
    crop: tuple[Any, ...] = (Ellipsis, *(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in each))
    inside: Array = x[crop]
    return inside
