"""Capture a model, and say what is coupled in it, what is pinned and why, and what it costs."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from ._options import check
from .drivers import GroupRow, group_rows, unread_names
from .hosts import layer_names, open_model
from .ir import Graph, UsageError
from .passes import (
    Cost,
    Coupling,
    Group,
    Observed,
    cost_of,
    couple,
    find_group,
    free_outputs,
    keep_matching,
    source_named,
    source_of,
    statistics_named,
    task_of,
)

# What a graph was captured from, for the names of its modules.
_MODEL = "model"


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

    def group(self, name: str) -> Group:
        """A group by its name, or by that of any layer or weight that gives its channels.

        Raises:
            UsageError: there is none, or the layer gives channels of several groups.
        """
        return find_group(self.coupling, name)

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
    graph = open_model(model, example_inputs, form=form).graph
    with suppress(TypeError):  # a path cannot be referred to, nor need it be
        reference = weakref.ref(model)
        graph.memo(_MODEL, lambda _: reference)
    return graph


def analyze(graph: Graph, *, keep: Sequence[Any] = (), free: Sequence[str] = ()) -> Analysis:
    """Find the coupled channels of a captured graph.

    Args:
        keep: names or patterns of layers that shall not be touched; of a torch model also modules and classes.
        free: outputs whose channels may be cut; ``["output"]`` are all.

    Raises:
        UsageError: it is no graph but a model, or ``keep`` is no list of names of the model.
    """
    given: Any = graph
    if not isinstance(given, Graph):
        what = f"a {type(given).__name__} is no graph"
        raise UsageError(what, advice="capture the model first: pp.analyze(pp.capture(model))")
    check("keep", keep, owner="analyze")
    check("free", free, owner="analyze")
    names = layer_names(graph.memo(_MODEL, lambda _: lambda: None)(), keep)
    coupling = couple(keep_matching(free_outputs(graph, free), names))
    return Analysis(graph.name, coupling.groups, cost_of(coupling), coupling)


def observe(
    model: Any,
    example_inputs: Any = None,
    statistics: Sequence[Any] = (),
    task: Any = None,
    *,
    source: str = "auto",
) -> Observed:
    """Statistics of what every layer reads of channels that could be pruned.

    Args:
        model, example_inputs: as for :func:`prunepass.prune`.
        statistics: from :mod:`prunepass.statistics`, objects or names, ``[Mean(), "variance"]``.
        task: the data, and a loss where a statistic asks for gradients: a :class:`Task`, or whatever
            :func:`task_of` makes one of.
        source: ``model``, ``synthetic``, ``data``, or ``auto``: data where the task has any, else the model itself.

    Raises:
        UsageError: a statistic is not known, the task lacks what it asks for, or the data do not fit the model.
    """
    given, asked = None if task is None else task_of(task), statistics_named(statistics)
    name = source_named(source, given, "observe")
    session = open_model(model, example_inputs, form="graph")
    return source_of(name, given, session.executor(), "observe")(couple(session.graph), asked)
