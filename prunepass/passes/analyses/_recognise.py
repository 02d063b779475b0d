"""The family of inputs that a model's own normalisations recognise: the one whose means and variances are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir import Executor, Graph
from ..cost import graph_cost
from ._drawn import Drawer, Feeds, Scaling, default_family
from ._scalings import scalings_for, usual_scaling
from ._trained_norms import mean_loss, norm_residuals, trained_norms
from .families import Family

SAMPLES = 16
_FEWER, _CLOSE = 0.5, 2
"""All families are asked with half of the samples in a usual scaling; the two closest ones with all, in any."""
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
    asked = _Asked(drawer, executor, _samples(graph, len(candidates)))
    first = {one.name: asked.loss(one, usual_scaling(drawer, executor, one), _FEWER) for one in candidates}
    close = sorted(candidates, key=lambda one: first[one.name])[:_CLOSE]
    best = {one.name: asked.best(one) for one in close}
    losses = {**first, **{name: loss for name, (loss, _, _) in best.items()}}
    _, family, scaling = min(best.values(), key=lambda found: found[0])
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

    def loss(self, family: Family, scaling: Scaling, part: float = 1.0) -> float:
        """Distance of a family in one scaling, over a part of the samples."""
        norms = trained_norms(self.drawer.graph)
        feeds = self.drawer.feeds(family, max(1, round(self.count * part)), "choice", scaling)
        return mean_loss(norm_residuals(self.executor, norms, feeds))

    def best(self, family: Family) -> tuple[float, Family, Scaling]:
        """The least distance of a family, with its scaling."""
        tried = dict.fromkeys(scalings_for(self.drawer, self.executor, family))
        return min(((self.loss(family, one), family, one) for one in tried), key=lambda found: found[0])


def _samples(graph: Graph, families: int) -> int:
    macs = max(graph_cost(graph).macs / Drawer.of(graph).size, 1.0)
    return int(min(SAMPLES, max(4, _WORK / (2 * families * macs))))
