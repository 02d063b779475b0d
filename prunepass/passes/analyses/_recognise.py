"""The family of inputs that a model's own normalisations recognise: the one whose means and variances are theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ...ir import Executor, Graph
from ..cost import graph_cost
from ._drawn import Drawer, Feeds, Scaling, default_family
from ._scalings import scalings_for
from ._trained_norms import TrainedNorm, mean_loss, norm_residuals, trained_norms
from .families import Family

LEAST, MOST, POSITIONS = 16, 256, 1 << 13
_FEWER, _CLOSE = 0.4, 2
"""All families are drawn with a part of the samples and the two closest ones with all of them."""
_WORK = 40e9
"""Multiply-accumulates that the choice of a family may take: large networks are asked with fewer samples."""


@dataclass(frozen=True, eq=False)
class Recognised:
    """The family chosen for a graph.

    Attributes:
        scaling: of its samples; None for mean 0 and variance 1.
        losses: by family the distance to what the normalisations were trained on; empty where there are none.
        norms: how many normalisations were asked.
    """

    drawer: Drawer
    family: Family
    scaling: Scaling | None
    losses: Mapping[str, float]
    norms: int

    def feeds(self, count: int, side: str) -> Feeds:
        """At least ``count`` samples for one side, see :meth:`Drawer.feeds`."""
        return self.drawer.feeds(self.family, count, side, self.scaling)


def recognise(graph: Graph, executor: Executor) -> Recognised:
    """The family, and its scaling, with the least distance; the usual one of the shape where no norm can tell."""
    drawer, norms = Drawer.of(graph), trained_norms(graph)
    candidates = drawer.candidates()
    if not norms or not candidates:
        return Recognised(drawer, default_family(graph), None, {}, 0)
    asked = _Asked(drawer, executor, _samples(drawer, len(candidates)))
    scalings = {one.name: scalings_for(drawer, executor, one) for one in candidates}
    first = {one.name: asked.best(one, scalings[one.name], _FEWER) for one in candidates}
    close = sorted(first.values(), key=lambda found: found[0])[:_CLOSE]
    best = [asked.best(family, scalings[family.name]) for _, family, _ in close]
    losses = {found[1].name: found[0] for found in (*first.values(), *best)}
    _, family, scaling = min(best, key=lambda found: found[0])
    return Recognised(drawer, family, scaling, losses, len(norms))


@dataclass(frozen=True, eq=False)
class _Asked:
    """Asks the normalisations of one graph.

    Attributes:
        count: samples to ask with.
    """

    drawer: Drawer
    executor: Executor
    count: int

    def best(
        self, family: Family, scalings: Iterable[Scaling], part: float = 1.0
    ) -> tuple[float, Family, Scaling]:
        """The least distance of a family over a part of the samples, and its scaling."""
        norms, count = trained_norms(self.drawer.graph), max(2, round(self.count * part))
        return min(
            (
                (self._loss(norms, self.drawer.feeds(family, count, "choice", one)), family, one)
                for one in dict.fromkeys(scalings)
            ),
            key=lambda found: found[0],
        )

    def _loss(self, norms: Sequence[TrainedNorm], feeds: Feeds) -> float:
        return mean_loss(norm_residuals(self.executor, norms, feeds))


def _samples(drawer: Drawer, families: int) -> int:
    """As many as tell means and variances of an input: of large ones few, for their positions tell as well."""
    macs = max(graph_cost(drawer.graph).macs / drawer.size, 1.0)
    positions = max((prod(form.space) for form in drawer.forms.values() if form.numbers), default=1)
    wanted = min(max(LEAST, POSITIONS // positions), MOST)
    return int(min(wanted, max(4, _WORK / (2 * families * macs))))
