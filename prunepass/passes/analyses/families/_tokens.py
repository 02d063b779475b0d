"""Tokens: whole numbers that name rows of a table, ones where they name nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ir import Array
from ._form import Form


@dataclass(frozen=True)
class Tokens:
    """Random rows of the table that the input is looked up in; all ones, as a mask that hides nothing, elsewhere."""

    name: ClassVar[str] = "tokens"

    def suits(self, form: Form) -> float:
        """See :class:`Family`."""
        return 0.0 if form.numbers else 1.0

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """See :class:`Family`."""
        shape = (form.channels, *form.space)
        return rng.integers(0, form.rows, shape) if form.rows else np.ones(shape, np.int64)
