"""Random scores: what any other score has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from zlib import crc32

import numpy as np

from ...ir import check_options
from ..coupling import Coupling
from ._protocol import Scores


@dataclass(frozen=True)
class Random:
    """Uniform in [0, 1), the same on every run and machine; a group's scores depend on its name alone.

    Attributes:
        seed: another seed, other scores.
    """

    name: ClassVar[str] = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(self)

    def __call__(self, coupling: Coupling) -> Scores:
        return {
            group.name: np.random.default_rng((self.seed, crc32(group.name.encode()))).random(group.size)
            for group in coupling.prunable
        }
