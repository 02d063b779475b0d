"""Leaves: objects in front of each other, as in photographs.

A ground whose power falls with frequency, and discs and boxes over it, small ones far more often than large ones,
each in its own colour and texture: the dead-leaves model of natural images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form
from ._pink import pink


@dataclass(frozen=True)
class Leaves:
    """Overlapping textured discs and boxes over a ground of pink noise.

    Attributes:
        count: of discs and boxes.
    """

    name: ClassVar[str] = "leaves"
    count: int = 160

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return (1.0 if form.coloured else 0.6) if form.numbers and len(form.space) == 2 else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        light = rng.uniform(0.3, 0.6)
        texture = pink(rng, form.space)
        image = light + _colour(rng, form.channels) * 0.1 + 0.2 * texture
        spread = rng.uniform(0.15, 0.3)
        for _ in range(self.count):
            self._leaf(rng, image, texture, (light, spread))
        return np.clip(image, 0, 1)

    def _leaf(
        self, rng: np.random.Generator, image: Array, texture: Array, light: tuple[float, float]
    ) -> None:
        height, width = texture.shape
        radius = 1 / np.sqrt(rng.uniform(1 / max(2.0, max(height, width) / 3) ** 2, 1 / 1.5**2))
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        aspect = float(np.exp(rng.normal(0, 0.4)))
        top, bottom = (int(np.clip(y + side * radius * aspect, 0, height)) for side in (-1, 1))
        left, right = (int(np.clip(x + side * radius / aspect, 0, width)) for side in (-1, 1))
        if bottom <= top or right <= left:
            return
        shape = image[:, top:bottom, left:right]
        # The texture of another place, so that neighbours do not go on in each other.
        down, along = (
            rng.integers(0, height - (bottom - top) + 1),
            rng.integers(0, width - (right - left) + 1),
        )
        grain = texture[down : down + bottom - top, along : along + right - left]
        colour = light[0] + _colour(rng, len(image)) * light[1]
        painted = colour + rng.exponential(0.06) * grain
        if rng.random() < 0.6:
            rows = (np.arange(top, bottom)[:, None] + 0.5 - y) / aspect
            columns = (np.arange(left, right) + 0.5 - x) * aspect
            painted = np.where(rows**2 + columns**2 < radius**2, painted, shape)
        shape[...] = painted


def _colour(rng: np.random.Generator, channels: int) -> Array:
    """A number for each channel; most of it is common to all of them."""
    return np.asarray(rng.normal() + 0.45 * rng.normal(size=(channels, 1, 1)), np.float32)
