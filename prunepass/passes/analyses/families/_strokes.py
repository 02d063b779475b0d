"""Strokes: dark marks in rows on a light ground, as on documents, signs and forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form

_TOP, _BASE, _WEIGHT = 0.28, 0.75, 0.13
"""Where marks of a common height begin and end in a row of height 1, and how thick their bars are."""
_BARS = ((_TOP, 0.55), (0.47, 0.35), (_BASE - _WEIGHT, 0.55))
"""Where bars lie, and in which share of the marks."""


@dataclass(frozen=True)
class Strokes:
    """Rows of small dark marks on a light ground, in any quarter turn, in uneven light, a little soft and noisy.

    Marks are made of upright and level bars. They stand on one line; some reach above the others, fewer below.
    """

    name: ClassVar[str] = "strokes"

    def suits(self, form: Form) -> float:
        """Return how much an input of this form may hold rows of marks, see :class:`Family`."""
        return 0.5 if form.numbers and len(form.space) == 2 and form.coloured else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """Return one sheet, see :class:`Family`."""
        turns = int(rng.integers(4))
        height, width = form.space if turns % 2 == 0 else form.space[::-1]
        ink = _rows(rng, height, width)
        for _ in range(int(rng.integers(3))):
            ink = _softened(ink, rng.uniform(0.1, 0.33))
        rows, columns = (np.linspace(-1, 1, size, dtype=np.float32) for size in form.space)
        slope = rng.normal(0, 0.08, 2)
        light = 1 + slope[0] * rows[:, None] + slope[1] * columns
        ground = rng.uniform(0.75, 1.0) + rng.normal(0, 0.02, (form.channels, 1, 1))
        dark = rng.uniform(0.0, 0.5) * ground + rng.normal(0, 0.03, (form.channels, 1, 1))
        sheet = (ground + (dark - ground) * np.rot90(ink, turns)) * light
        sheet += rng.exponential(0.015) * rng.standard_normal((form.channels, *form.space))
        return np.asarray(np.clip(sheet, 0, 1), np.float32)


def _softened(ink: Array, weight: float) -> Array:
    """Mix every entry with its neighbours along both axes."""
    for axis in (0, 1):
        whole = np.pad(ink, [(1, 1) if at == axis else (0, 0) for at in (0, 1)], mode="edge")
        before, behind = (np.take(whole, range(at, at + ink.shape[axis]), axis) for at in (0, 2))
        ink = weight * (before + behind) + (1 - 2 * weight) * ink
    return ink


def _rows(rng: np.random.Generator, height: int, width: int) -> Array:
    """Return how much ink there is at every position, from 0 to 1."""
    ink = np.zeros((height, width), np.float32)
    tall = float(np.exp(rng.uniform(np.log(height / 45), np.log(height / 12))))
    spacing, margin, y = rng.uniform(1.2, 2.0), rng.uniform(0, 0.15) * width, rng.uniform(0, 0.15) * height
    while y < height:
        size = max(3, round(tall * (rng.uniform(1.5, 3) if rng.random() < 0.08 else 1)))
        if rng.random() < 0.12:  # a gap between paragraphs
            y += size * rng.uniform(0.5, 2.5)
        start = int(margin + (rng.uniform(0, 0.1) * width if rng.random() < 0.15 else 0))
        end = int(width - margin if rng.random() < 0.7 else rng.uniform(0.25, 1) * width)
        place = ink[int(y) : int(y) + size, start : max(end, start + 1)]
        if place.size:
            place[...] = _marks(rng, size, place.shape[1])[: len(place)]
        y += size * spacing
    return ink


def _marks(rng: np.random.Generator, size: int, length: int) -> Array:
    """Return one row of marks of height ``size``, with gaps between marks and wider ones between words."""
    thick = max(1, round(size / 9))
    columns, pitch = -(-length // thick), max(2, round(size / 2 / thick))
    mark = np.cumsum(rng.random(columns) < 1 / pitch)
    marks = int(mark[-1]) + 1
    starts = np.diff(mark, prepend=0) > 0
    words = starts & (rng.random(columns) < 0.2)
    empty = starts | (np.convolve(words, np.ones(max(1, pitch // 2)))[:columns] > 0)
    level = (np.arange(size) / size)[:, None]
    top = np.where(rng.random(marks) < 0.3, 0.0, _TOP)[mark]
    base = np.where(rng.random(marks) < 0.15, 1.0, _BASE)[mark]
    cells = (level >= top) & (level < base) & (rng.random(columns) < 0.35)
    for at, share in _BARS:
        cells |= (level >= at) & (level < at + _WEIGHT) & (rng.random(marks) < share)[mark]
    return np.repeat(cells & ~empty, thick, axis=1)[:, :length].astype(np.float32)
