"""Noise whose power falls with frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....ir import Array


def pink(rng: np.random.Generator, space: Sequence[int], slope: float = 1.0) -> Array:
    """Noise of amplitude ``1 / frequency ** slope`` over ``space``, of mean 0 and deviation 1."""
    white = rng.standard_normal(tuple(space), dtype=np.float32)
    if white.size < 2:
        return white
    grids = np.meshgrid(
        *(_frequencies(size, at == len(space) - 1) for at, size in enumerate(space)), indexing="ij"
    )
    frequency = np.sqrt(sum(grid * grid for grid in grids))
    frequency.flat[0] = np.inf  # no constant part
    shaped = np.fft.irfftn(np.fft.rfftn(white) / frequency**slope, s=tuple(space), axes=range(len(space)))
    return np.asarray((shaped - shaped.mean()) / max(float(shaped.std()), 1e-6), np.float32)


def _frequencies(size: int, half: bool) -> Array:
    return np.fft.rfftfreq(size) if half else np.fft.fftfreq(size)
