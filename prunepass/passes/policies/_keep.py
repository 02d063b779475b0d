"""Layers that the user keeps, as pins."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ...ir import Graph, UsageError
from .._plan import with_constraints


def keep_matching(graph: Graph, patterns: Sequence[str]) -> Graph:
    """``graph`` with every axis of the matching layers' params pinned.

    Args:
        patterns: names or ``*`` patterns of modules, ONNX nodes or params; ``fc`` also matches ``fc.weight``.

    Raises:
        UsageError: a pattern matches nothing.
    """
    pins: dict[tuple[str, int, str], None] = {}
    for pattern in patterns:
        found = _matching_params(graph, pattern)
        if not found and not any(_matches(param.name, pattern) for param in graph.unread):
            raise UsageError(
                f"nothing in the model is called '{pattern}'", advice="'prunepass analyze' lists the names"
            )
        for name in found:
            for axis in range(len(graph.params[name].shape)):
                pins[name, axis, f"kept by '{pattern}'"] = None
    return with_constraints(graph, tuple(pins)) if pins else graph


def _matching_params(graph: Graph, pattern: str) -> list[str]:
    """Params that match, or that a matching node reads as a weight."""
    found = dict.fromkeys(name for name in graph.params if _matches(name, pattern))
    for node in graph.nodes:
        if _matches(node.name, pattern) or _matches(node.origin.path, pattern):
            found.update(
                dict.fromkeys(name for name in node.inputs if name is not None and name in graph.params)
            )
    return list(found)


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
