"""Leaves: objects in front of each other, as in photographs.

A ground whose power falls with frequency, and discs and boxes over it, small ones far more often than large ones,
each in its own colour and texture: the dead-leaves model of natural images. Photographs differ more from each other
than parts of one do, and deep layers see that: how rough, busy, colourful and contrasted an image is, is drawn anew
for each.
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
        count: the largest number of discs and boxes.
    """

    name: ClassVar[str] = "leaves"
    count: int = 200

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return (1.0 if form.coloured else 0.6) if form.numbers and len(form.space) == 2 else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        style = _Style.of(rng, max(form.space) / 2)
        texture = pink(rng, form.space, rng.uniform(1.0, 2.0))
        ground = style.light + 0.15 * style.colour(rng, form.channels)
        image = np.asarray(ground + rng.uniform(0.05, 0.3) * texture, np.float32)
        for _ in range(round(_between(rng, min(5, self.count), self.count))):
            _leaf(rng, image, texture, style)
        return np.asarray(np.clip(image, 0, 1), np.float32)


@dataclass(frozen=True)
class _Style:
    """Parameters that the leaves of one image share.

    Attributes:
        light: the middle of their colours.
        contrast, chroma: how far those are from it, and channels from each other.
        grain: strength of the texture.
        boxes: share of boxes among the leaves.
        smallest, largest: their radius.
    """

    light: float
    contrast: float
    chroma: float
    grain: float
    boxes: float
    smallest: float
    largest: float

    @staticmethod
    def of(rng: np.random.Generator, largest: float) -> _Style:
        return _Style(
            light=rng.uniform(0.25, 0.65),
            contrast=rng.uniform(0.1, 0.4),
            chroma=rng.uniform(0.1, 0.8),
            grain=rng.uniform(0.02, 0.3),
            boxes=rng.uniform(),
            smallest=min(_between(rng, 1.5, 8.0), max(1.0, largest / 2)),
            largest=max(2.0, largest),
        )

    def colour(self, rng: np.random.Generator, channels: int) -> Array:
        """A number for each channel; most of it is common to all of them."""
        return np.asarray(rng.normal() + self.chroma * rng.normal(size=(channels, 1, 1)), np.float32)


def _leaf(rng: np.random.Generator, image: Array, texture: Array, style: _Style) -> None:
    """Paint one leaf over the image; the density of its radius r falls with r^-3."""
    height, width = texture.shape
    radius = 1 / np.sqrt(rng.uniform(1 / style.largest**2, 1 / style.smallest**2))
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    aspect = float(np.exp(rng.normal(0, 0.4)))
    top, bottom = (int(np.clip(y + side * radius * aspect, 0, height)) for side in (-1, 1))
    left, right = (int(np.clip(x + side * radius / aspect, 0, width)) for side in (-1, 1))
    if bottom <= top or right <= left:
        return
    place = image[:, top:bottom, left:right]
    # The texture of another place, so that neighbours do not go on in each other.
    down, along = rng.integers(0, height - (bottom - top) + 1), rng.integers(0, width - (right - left) + 1)
    grain = texture[down : down + bottom - top, along : along + right - left]
    colour = style.light + style.contrast * style.colour(rng, len(image))
    painted = colour + rng.exponential(style.grain) * grain
    if rng.random() > style.boxes:
        rows = (np.arange(top, bottom)[:, None] + 0.5 - y) / aspect
        columns = (np.arange(left, right) + 0.5 - x) * aspect
        painted = np.where(rows**2 + columns**2 < radius**2, painted, place)
    place[...] = painted


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
