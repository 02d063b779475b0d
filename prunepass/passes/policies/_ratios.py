"""Fractions kept that the user gives by group or by layer."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from ...ir import UsageError
from ..coupling import Coupling, Group

_MADE = ("produced", "carried")


def fractions_of(coupling: Coupling, ratios: Mapping[str, float]) -> dict[str, float]:
    """The fraction kept of each prunable group that ``ratios`` is about, by group name.

    A key is a group's name, and then that group alone is meant, or a name or pattern of layers, as for ``keep``: their
    groups are those whose channels they make or carry. Whole names hold before patterns, and the group's own name
    before those of its other layers; of several such keys the first one.

    Raises:
        UsageError: a key fits nothing that can be pruned; it is a slip of the pen.
    """
    if not ratios:
        return {}
    layers = {group.name: group_layers(coupling, group) for group in coupling.prunable}
    found: dict[str, tuple[int, float]] = {}
    for key, fraction in ratios.items():
        ranks = {key: 0} if key in layers else {name: _rank(name, layers[name], key) for name in layers}
        fitting = {name: rank for name, rank in ranks.items() if rank is not None}
        if not fitting:
            raise UsageError(
                f"there is no prunable group '{key}' to give a ratio",
                advice="'prunepass analyze' lists the groups; a layer or a pattern of layers does as well",
            )
        for name, rank in fitting.items():
            if name not in found or rank < found[name][0]:
                found[name] = rank, fraction
    return {name: fraction for name, (_, fraction) in found.items()}


def _rank(name: str, layers: tuple[str, ...], key: str) -> int | None:
    """The rank of ``key`` as a name of a group, 0 being its own name; None where it is none."""
    if name == key:
        return 0
    if key in layers:
        return 1
    if _fits((name,), key):
        return 2
    return 3 if _fits(layers, key) else None


def group_layers(coupling: Coupling, group: Group) -> tuple[str, ...]:
    """Names by which a group is found: its own, and those of nodes, modules and params that make or carry it."""
    nodes = {node.name: node for node in coupling.graph.nodes}
    names = {group.name: None}
    for member in group.members:
        if member.role in _MADE:
            node = nodes[member.node]
            names.update(dict.fromkeys((node.origin.path, node.name, member.tensor)))
    return tuple(name for name in names if name)


def _fits(names: tuple[str, ...], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for name in names)
