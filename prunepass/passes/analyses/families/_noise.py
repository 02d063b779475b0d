"""Noise: independent numbers, the family of inputs that look like nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form


@dataclass(frozen=True)
class Noise:
    """Independent normal numbers; of pictures around a middle grey."""

    name: ClassVar[str] = "noise"

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return 0.1 if form.numbers else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        drawn = rng.standard_normal((form.channels, *form.space), dtype=np.float32)
        return np.clip(0.5 + 0.2 * drawn, 0, 1) if form.coloured and len(form.space) > 1 else drawn
