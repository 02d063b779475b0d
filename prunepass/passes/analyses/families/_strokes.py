"""Strokes: dark marks in rows on a light ground, as on documents, signs and forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form


@dataclass(frozen=True)
class Strokes:
    """Rows of small dark bars on a light ground, in any quarter turn, in uneven light and with some noise."""

    name: ClassVar[str] = "strokes"

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return 0.5 if form.numbers and len(form.space) == 2 and form.coloured else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        turns = int(rng.integers(4))
        height, width = form.space if turns % 2 == 0 else form.space[::-1]
        ink = np.rot90(_rows(rng, height, width), turns)
        rows, columns = (np.linspace(-1, 1, size, dtype=np.float32) for size in form.space)
        slope = rng.normal(0, 0.06, 2)
        light = 1 + slope[0] * rows[:, None] + slope[1] * columns
        ground = rng.uniform(0.75, 1.0) + rng.normal(0, 0.02, (form.channels, 1, 1))
        dark = rng.uniform(0.0, 0.35) + rng.normal(0, 0.03, (form.channels, 1, 1))
        page = (ground + (dark - ground) * ink) * light
        page += rng.exponential(0.02) * rng.standard_normal((form.channels, *form.space))
        return np.asarray(np.clip(page, 0, 1), np.float32)


def _rows(rng: np.random.Generator, height: int, width: int) -> Array:
    """Ink at every position, from 0 to 1."""
    ink = np.zeros((height, width), np.float32)
    tall = float(np.exp(rng.uniform(np.log(2.0), np.log(max(3.0, height / 7)))))
    margin = int(rng.uniform(0, 0.12) * width)
    y = rng.uniform(0, 0.12) * height
    while y < height:
        size = max(2, round(tall * float(np.exp(rng.normal(0, 0.15)))))
        if rng.random() < 0.9:
            end = width - margin if rng.random() < 0.7 else int(rng.uniform(0.2, 1) * width)
            _row(rng, ink[int(y) : int(y) + size, margin : max(end, margin + 1)], size)
        y += size * rng.uniform(1.3, 2.2)
    return ink


def _row(rng: np.random.Generator, place: Array, size: int) -> None:
    """Bars of one row: cells that are inked or not, with gaps between letters and between words."""
    cell = max(1, round(size / 6))
    down, along = -(-size // cell), -(-place.shape[1] // cell)
    cells = rng.random((down, along)) < 0.25
    cells |= (rng.random(along) < 0.3)[None]  # upright bars
    letters = np.cumsum(rng.random(along) < 0.22)
    cells &= (np.diff(letters, prepend=0) == 0)[None]
    words = np.cumsum(rng.random(along) < 0.07)
    cells &= (rng.random(int(words[-1]) + 1) < 0.85)[words][None]
    pixels = np.repeat(np.repeat(cells, cell, 0), cell, 1)[: place.shape[0], : place.shape[1]]
    place[...] = np.maximum(place, pixels * rng.uniform(0.7, 1.0))
