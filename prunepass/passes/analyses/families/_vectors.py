"""Vectors: entries that a few hidden factors move together, as measurements in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form


@dataclass(frozen=True)
class Vectors:
    """Half of every entry comes from hidden factors, the same for all samples; mean 0, variance 1.

    Attributes:
        factors: of how many entries there is one.
        seed: of what the factors do to the entries.
    """

    name: ClassVar[str] = "vectors"
    factors: int = 4
    seed: int = 0

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return 0.6 if form.numbers and not form.space else 0.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        hidden = max(2, form.channels // self.factors)
        mixed = np.random.default_rng(self.seed).standard_normal((form.channels, hidden))
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        own = rng.standard_normal(form.channels)
        return np.asarray(np.sqrt(0.5) * (mixed @ rng.standard_normal(hidden) + own), np.float32)
