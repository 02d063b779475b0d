"""Whole numbers that name rows of a table: how many rows there are, as the graph itself reads them.

A lookup is what takes every number below a size of its table and fails beyond. The declarations are run to see that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...ir import Array, Graph, Node, UnsupportedError, is_float, plain_step, run_step


def rows_named(graph: Graph, name: str) -> int:
    """Length of the shortest table that the input ``name`` is looked up in; 0 where it is none."""
    waiting, met, found = [name], {name}, list[int]()
    while waiting:
        for node, position in graph.readers.get(waiting.pop(), ()):
            if any(one in graph.values for at, one in enumerate(node.inputs) if at != position):
                continue
            found.extend(_limit(graph, node, position))
            fresh = [one for one in _carried(graph, node, position) if one not in met]
            met.update(fresh)
            waiting.extend(fresh)
    return min(found, default=0)


def _limit(graph: Graph, node: Node, position: int) -> Iterator[int]:
    """The size of a table at which the node begins to refuse numbers."""
    tables = [graph.params[one] for one in node.inputs if one is not None and one in graph.params]
    sizes = {size for table in tables if is_float(table.dtype) for size in table.shape}
    for size in sorted(sizes, reverse=True):
        if _made(graph, node, position, size - 1) and not _made(graph, node, position, size):
            yield size
            return


def _carried(graph: Graph, node: Node, position: int) -> Iterator[str]:
    """Results that hold the same whole numbers."""
    made = [_made(graph, node, position, number) for number in (1, 2)]
    for name, ones, twos in zip(node.outputs, *made, strict=False):
        if not is_float(graph.values[name].dtype) and bool(np.all(ones == 1) and np.all(twos == 2)):
            yield name


def _made(graph: Graph, node: Node, position: int, number: int) -> tuple[Array, ...]:
    """Results of the node where it reads nothing but ``number``; empty where it refuses it."""
    value = graph.values[str(node.inputs[position])]
    if value.dtype == "bool":
        return ()
    given = np.full(value.shape, number, value.dtype)
    operands = tuple(
        None if name is None else given if at == position else graph.params[name].read()
        for at, name in enumerate(node.inputs)
    )
    try:
        return run_step(plain_step, graph, node, operands)
    except UnsupportedError:
        return ()
