"""Outputs that the user lets go of: those of a backbone, whose channels other networks read."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import Graph
from .._plan import with_free

EVERY = "output"


def free_outputs(graph: Graph, names: Sequence[str]) -> Graph:
    """``graph`` with channels of these outputs to be cut; samples and positions stay.

    Args:
        names: of outputs; ``output`` stands for all of them where none is called so.

    Raises:
        UsageError: there is no such output.
    """
    found: dict[str, None] = dict.fromkeys(graph.free)
    for name in names:
        found.update(dict.fromkeys(graph.outputs if name == EVERY and name not in graph.outputs else (name,)))
    return with_free(graph, found) if names else graph
