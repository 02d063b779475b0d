"""The protocol of a family of procedural inputs."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from ....ir import Array
from ._form import Form


class Family(Protocol):
    """A frozen dataclass that draws samples; the same seed gives the same sample."""

    name: ClassVar[str]

    def suits(self, form: Form) -> float:
        """Likeness of an input of this form to the family: 0 if it cannot be one, 1 if it is the usual one."""
        ...

    def draw(self, rng: np.random.Generator, form: Form) -> Array:
        """One sample of shape ``(channels, *space)``; pictures mostly between 0 and 1, all else about 0."""
        ...
