"""First-order change of the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir import check_options
from ..analyses import Observed, Statistic, statistics
from ..coupling import Coupling
from ._protocol import NORMALIZE, Scores, choice
from ._summed import summed


@dataclass(frozen=True)
class Taylor:
    """First-order change of the loss without a channel: ``|activation * gradient|``, summed over its reads.

    Products are summed over the positions of a sample before the absolute value is taken, and averaged over samples
    after it (Molchanov et al., arXiv 1611.06440). Needs a task with data and a loss, and a host with gradients.

    Attributes:
        normalize: ``none``, or ``mean``: each group has mean 1.
    """

    name: ClassVar[str] = "taylor"
    needs: ClassVar[tuple[Statistic, ...]] = (statistics.Taylor(),)
    normalize: str = "none"

    def __post_init__(self) -> None:
        check_options(self)
        choice("normalize", self.normalize, NORMALIZE)

    def __call__(self, coupling: Coupling, seen: Observed) -> Scores:
        return summed(coupling, seen, lambda read: seen.of(statistics.Taylor(), read), self.normalize)
