"""Tones: harmonics that rise and fade over pink noise, as signals and as spectrograms of sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form
from ._pink import pink

_SIGNAL = 256
"""A vector with as many entries may be a signal."""


@dataclass(frozen=True)
class Tones:
    """Chords of a few harmonics each over pink noise.

    Attributes:
        notes: the largest number of them.
    """

    name: ClassVar[str] = "tones"
    notes: int = 6

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        if not form.numbers:
            return 0.0
        if not form.space:
            return 0.3 if form.channels >= _SIGNAL else 0.0
        return (
            {1: 1.0, 2: 0.45}.get(len(form.space), 0.0) if len(form.space) == 1 or form.channels == 1 else 0.0
        )

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        if len(form.space) == 2:
            return self._spectrogram(rng, *form.space)[None]
        length = form.space[0] if form.space else form.channels
        signal = self._signal(rng, length)
        if not form.space:
            return signal
        own = np.stack([pink(rng, form.space) for _ in range(form.channels)])
        gains = 1 + 0.3 * rng.standard_normal((form.channels, 1))
        return np.asarray(signal * gains + 0.3 * own, np.float32)

    def _signal(self, rng: np.random.Generator, length: int) -> Array:
        time = np.arange(length, dtype=np.float32)
        signal = rng.uniform(0.2, 1.0) * pink(rng, (length,))
        for _ in range(int(rng.integers(1, self.notes + 1))):
            base = np.exp(rng.uniform(np.log(2 / length), np.log(0.2)))
            for harmonic in range(1, int(rng.integers(2, 7))):
                phase = rng.uniform(0, 2 * np.pi)
                wave = np.sin(2 * np.pi * base * harmonic * time + phase)
                signal = signal + self._envelope(rng, length) * wave / harmonic
        return np.asarray(signal / max(float(signal.std()), 1e-6), np.float32)

    def _spectrogram(self, rng: np.random.Generator, bands: int, frames: int) -> Array:
        picture = 0.5 * pink(rng, (bands, frames), 0.5) - np.linspace(0, 1.5, bands)[:, None]
        rows = np.arange(bands)[:, None]
        for _ in range(int(rng.integers(1, self.notes + 1))):
            drift = np.cumsum(rng.normal(0, 0.1, frames))
            base, level = rng.uniform(2, max(3.0, bands / 4)), self._envelope(rng, frames)
            for harmonic in range(1, int(rng.integers(2, 9))):
                away = rows - harmonic * base - drift
                picture = picture + 2.5 * level * np.exp(-(away**2) / 2) / harmonic**0.5
        return np.asarray((picture - picture.mean()) / max(float(picture.std()), 1e-6), np.float32)

    def _envelope(self, rng: np.random.Generator, length: int) -> Array:
        start, fade = rng.uniform(-0.3, 0.9) * length, rng.uniform(0.05, 0.5) * length
        since = np.arange(length) - start
        return np.where(since < 0, 0.0, np.exp(-np.maximum(since, 0) / fade)) * rng.uniform(0.3, 1.0)
