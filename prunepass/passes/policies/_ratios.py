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
    groups are those whose channels they make or carry. Of several keys the first holds that fits the group's own name,
    else the first that fits another of its layers.

    Raises:
        UsageError: a key fits nothing that can be pruned; it is a slip of the pen.
    """
    if not ratios:
        return {}
    layers = {group.name: group_layers(coupling, group) for group in coupling.prunable}
    by_name, by_layer = dict[str, float](), dict[str, float]()
    for key, fraction in ratios.items():
        own = [key] if key in layers else [name for name in layers if _fits((name,), key)]
        others = [] if key in layers else [name for name, names in layers.items() if _fits(names, key)]
        if not own and not others:
            raise UsageError(
                f"there is no prunable group '{key}' to give a ratio",
                advice="'prunepass analyze' lists the groups; a layer or a pattern of layers does as well",
            )
        by_name.update((name, fraction) for name in own if name not in by_name)
        by_layer.update((name, fraction) for name in others if name not in by_layer)
    return {**by_layer, **by_name}


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
