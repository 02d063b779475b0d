"""Output change of the layers that read a channel, with activations observed: Wanda and STADE, structured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ir import Array, check_options
from ..analyses import SOURCES, Observed, Statistic, statistics
from ..coupling import Coupling, ReadPlace
from ._protocol import NORMALIZE, Scores, choice
from ._summed import squared_weights, summed


@dataclass(frozen=True)
class _Activation:
    """Options of both.

    Attributes:
        normalize: ``none``, or ``mean``: each group has mean 1.
        source: where statistics come from: ``data``, ``synthetic`` or ``model``.
    """

    normalize: str = "none"
    source: str = "data"

    def __post_init__(self) -> None:
        check_options(self)
        choice("normalize", self.normalize, NORMALIZE)
        choice("source", self.source, SOURCES)

    def _scored(self, coupling: Coupling, seen: Observed, statistic: Statistic) -> Scores:
        def weighed(read: ReadPlace) -> Array | None:
            found = seen.of(statistic, read)
            return None if found is None else found * squared_weights(coupling, read, seen)

        return summed(coupling, seen, weighed, self.normalize)


@dataclass(frozen=True)
class Wanda(_Activation):
    """Mean square of a channel times the squared weights that read it, summed over the layers that do.

    It is the mean square of what a layer's outputs lose with the channel (arXiv 2306.11695, where single weights are
    judged; for whole channels reconstructed as ``E[x^2] * |W|^2``). Exact for linear layers and 1x1 convolutions
    whose inputs are not correlated; larger kernels are taken as if they never met a border.
    """

    name: ClassVar[str] = "wanda"
    needs: ClassVar[tuple[Statistic, ...]] = (statistics.SecondMoment(),)

    def __call__(self, coupling: Coupling, seen: Observed) -> Scores:
        return self._scored(coupling, seen, statistics.SecondMoment())


@dataclass(frozen=True)
class Stade(_Activation):
    """Variance of a channel times the squared weights that read it, summed over the layers that do.

    What a layer's outputs lose where the channel's mean moves into a bias, as ``compensate`` does (STADE, arXiv
    2503.22451, where single weights are judged; for whole channels reconstructed as ``Var(x) * |W|^2``).
    """

    name: ClassVar[str] = "stade"
    needs: ClassVar[tuple[Statistic, ...]] = (statistics.Variance(), statistics.SecondMoment())

    def __call__(self, coupling: Coupling, seen: Observed) -> Scores:
        return self._scored(coupling, seen, statistics.Variance())
