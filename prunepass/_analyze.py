"""Capture a model, and say what is coupled in it, what is pinned and why, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ._options import check
from .drivers import GroupRow, group_rows, unread_names
from .hosts import open_model
from .ir import Graph, UsageError
from .passes import Cost, Coupling, Group, cost_of, couple, keep_matching


@dataclass(frozen=True)
class Analysis:
    """The groups of a graph and its cost.

    Attributes:
        groups: prunable ones first; each has ``name``, ``size``, ``members``, ``pins`` and ``prunable``.
        cost: multiply-accumulates, params, bytes, prunable channels.
    """

    model: str
    groups: tuple[Group, ...]
    cost: Cost
    coupling: Coupling = field(repr=False)

    def rows(self) -> tuple[GroupRow, ...]:
        return group_rows(self.coupling)

    @property
    def unread(self) -> tuple[str, ...]:
        """Tensors of the model that the example inputs do not reach; what is as wide is pinned."""
        return unread_names(self.coupling.graph)

    def to_json(self) -> str:
        """One JSON document with sorted keys."""
        groups = [_plain(group) for group in self.groups]
        data = {"model": self.model, "cost": asdict(self.cost), "groups": groups, "unread": self.unread}
        return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _plain(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "size": group.size,
        "prunable": group.prunable,
        "pins": [str(pin) for pin in group.pins],
        "inexact": list(group.inexact),
        "members": [asdict(member) for member in group.members],
    }


def capture(model: Any, example_inputs: Any = None, *, form: str = "graph") -> Graph:
    """The neutral graph of a model.

    Args:
        model, example_inputs: as for :func:`prunepass.prune`.
        form: ``module`` adds what replay onto the module needs equal.

    Raises:
        ModelError: the model is invalid or cannot be captured; says where.
    """
    return open_model(model, example_inputs, form=form).graph


def analyze(graph: Graph, *, keep: Sequence[str] = ()) -> Analysis:
    """Find the coupled channels of a captured graph.

    Args:
        keep: names or patterns of layers that shall not be touched.

    Raises:
        UsageError: it is no graph but a model, or ``keep`` is no list of names of the model.
    """
    given: Any = graph
    if not isinstance(given, Graph):
        what = f"a {type(given).__name__} is no graph"
        raise UsageError(what, advice="capture the model first: pp.analyze(pp.capture(model))")
    check("keep", keep, owner="analyze")
    coupling = couple(keep_matching(graph, keep))
    return Analysis(graph.name, coupling.groups, cost_of(coupling), coupling)
