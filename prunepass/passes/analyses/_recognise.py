"""The family of inputs that a model's own normalisations recognise: the one whose means and variances are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...ir import Executor, Graph
from ..cost import graph_cost
from ._drawn import Drawer, Feeds, Scaling, default_family
from ._scalings import scalings_for
from ._trained_norms import mean_loss, norm_residuals, trained_norms
from .families import Family

SAMPLES = 16
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
    count, best = _samples(graph, len(candidates)), dict[str, tuple[float, Family, Scaling]]()
    for family in candidates:
        for scaling in dict.fromkeys(scalings_for(drawer, executor, family)):
            feeds = drawer.feeds(family, count, "choice", scaling)
            loss = mean_loss(norm_residuals(executor, norms, feeds))
            if family.name not in best or loss < best[family.name][0]:
                best[family.name] = loss, family, scaling
    losses = {name: loss for name, (loss, _, _) in best.items()}
    _, family, scaling = best[min(losses, key=losses.__getitem__)]
    return Recognised(drawer, family, scaling, losses, len(norms))


def _samples(graph: Graph, families: int) -> int:
    macs = max(graph_cost(graph).macs / Drawer.of(graph).size, 1.0)
    return int(min(SAMPLES, max(4, _WORK / (2 * families * macs))))
