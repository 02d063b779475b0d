"""The form of an input: how the numbers of one sample are laid out, whatever they mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ....ir import Array, Shape, is_float

_COLOURS = 4


@dataclass(frozen=True)
class Form:
    """One sample of an input.

    Attributes:
        shape: without the batch.
        dtype: of the input.
        rows: length of the table whose rows it names; 0 where it names none.
    """

    shape: Shape
    dtype: str = "float32"
    rows: int = 0

    @property
    def last(self) -> bool:
        """Return whether channels are behind the positions."""
        return len(self.shape) > 1 and self.shape[-1] <= _COLOURS < self.shape[0]

    @property
    def channels(self) -> int:
        return 1 if not self.shape else self.shape[-1 if self.last else 0]

    @property
    def space(self) -> Shape:
        """Sizes of the positions: () of a vector, one size of a signal, two of an image, three of a volume."""
        return self.shape[:-1] if self.last else self.shape[1:]

    @property
    def numbers(self) -> bool:
        """Return whether it holds measurements: floats, or bytes laid out as an image."""
        return is_float(self.dtype) or (self.dtype == "uint8" and self.coloured and len(self.space) > 1)

    @property
    def coloured(self) -> bool:
        """Return whether it has as few channels as a picture."""
        return self.channels <= _COLOURS

    def placed(self, sample: Array) -> Array:
        """A sample of shape ``(channels, *space)`` as the input holds it; bytes run from 0 to 255."""
        whole = np.moveaxis(sample, 0, -1) if self.last else sample
        if not is_float(self.dtype) and self.numbers:
            whole = np.clip(np.round(whole * 255), 0, 255)
        dtype = np.float32 if is_float(self.dtype) else np.dtype(self.dtype)
        return np.asarray(whole.reshape(self.shape), dtype, order="C")

    @property
    def size(self) -> int:
        return prod(self.shape)
