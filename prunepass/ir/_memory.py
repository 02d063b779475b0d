"""Estimate of the memory that it takes to compute a graph, before it is done.

A file of a few bytes can ask for gigabytes, and the proof computes twice, in float64.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from ._errors import UnsupportedError, UsageError
from ._graph import Graph

VARIABLE = "PRUNEPASS_MEMORY"
"""Environment variable: gigabytes that values may take."""

_GIGABYTE = 1 << 30
_DEFAULT = 2.0
_WIDTH = 8


@contextmanager
def collected_later() -> Iterator[None]:
    """Look for garbage in cycles after the block, not in it: graphs are many small objects that live on.

    Whatever no cycle holds is freed at once, arrays above all.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def check_memory(graph: Graph) -> None:
    """Refuse a graph whose values do not fit: those alive at once, masked and pruned side by side.

    Raises:
        UnsupportedError: naming the largest of them. UsageError: the variable holds no number.
    """
    need, name = peak(graph)
    limit = _limit()
    if 2 * need > limit * _GIGABYTE:
        shape = graph.tensor(name).shape
        raise UnsupportedError(
            f"the proof needs {2 * need / _GIGABYTE:.3g} GB for values alive at once, '{name}' of shape {shape} "
            f"the largest; {limit:g} GB are allowed",
            where=graph.name,
            advice=f"give smaller inputs (--shape, example_inputs), or allow more with {VARIABLE}=GIGABYTES",
        )


def peak(graph: Graph) -> tuple[int, str]:
    """Most bytes of values, in float64, that are alive at one node with what it reads, and the largest of these."""
    sizes = {name: _WIDTH * prod(value.shape) for name, value in graph.values.items()}
    last: dict[str, int] = dict.fromkeys(graph.outputs, len(graph.nodes))
    for at, node in enumerate(graph.nodes):
        for name in (*node.inputs, *node.outputs):
            if name is not None:
                last[name] = max(last.get(name, at), at)
    alive = {name: sizes[name] for name in graph.inputs if name in sizes}
    total, most, largest = sum(alive.values()), 0, ""
    for at, node in enumerate(graph.nodes):
        for name in node.outputs:
            if name in sizes and name not in alive:
                alive[name] = sizes[name]
                total += sizes[name]
        # The masked walk copies what it masks.
        copied = max((sizes.get(name, 0) for name in node.inputs if name is not None), default=0)
        if total + copied // 2 > most:
            most, largest = total + copied // 2, max(alive, key=lambda name: alive[name], default="")
        for name in {name for name in (*node.inputs, *node.outputs) if name is not None and last[name] == at}:
            total -= alive.pop(name, 0)
    return most, largest


def _limit() -> float:
    text = os.environ.get(VARIABLE, "")
    try:
        limit = float(text or _DEFAULT)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise UsageError(f"{VARIABLE} is '{text}'", advice="it is a number of gigabytes, such as 8")
    return limit
