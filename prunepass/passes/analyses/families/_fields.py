"""Smooth fields: slopes and blobs over two or three dimensions, as in medical and depth images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array, Shape
from ._form import Form
from ._pink import pink


@dataclass(frozen=True)
class Fields:
    """A slope, soft blobs and a little noise.

    Attributes:
        blobs: the largest number of them.
    """

    name: ClassVar[str] = "fields"
    blobs: int = 12

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        if not form.numbers or len(form.space) not in (2, 3):
            return 0.0
        return 1.0 if len(form.space) == 3 else 0.4

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        common = self._field(rng, form.space)
        own = np.stack([pink(rng, form.space, 2.0) for _ in range(form.channels)])
        whole = common + 0.1 * own + rng.exponential(0.02) * rng.standard_normal(own.shape)
        low, high = float(whole.min()), float(whole.max())
        return np.asarray((whole - low) / max(high - low, 1e-6), np.float32)

    def _field(self, rng: np.random.Generator, space: Shape) -> Array:
        axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in space]
        grids = np.meshgrid(*axes, indexing="ij", sparse=True)
        field = sum(rng.normal(0, 0.4) * grid for grid in grids) + 0.2 * pink(rng, space, 2.0)
        for _ in range(int(rng.integers(2, self.blobs + 1))):
            wide = np.exp(rng.uniform(np.log(0.05), np.log(0.6), len(space)))
            far = sum(((g - rng.uniform(-1, 1)) / w) ** 2 for g, w in zip(grids, wide, strict=True))
            hard = rng.uniform(1, 6)  # a bell, or a body with an edge
            field = field + rng.normal(0, 0.8) * np.exp(-(far**hard) / 2)
        return np.asarray(field)
