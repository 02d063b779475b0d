"""Bounds on how far rounding in operators moves the outputs: absolute errors that no relative one bounds.

An engine computes a sigmoid to within the last bit of 1, whatever comes out, and a difference to within that of the
numbers it takes from each other. So every operator is off by its rounding of what it works with, the larger of its
result and its magnitude (`Op.flow`), and the reference itself tells what becomes of that at the outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir import Array, Graph, Node, Op, call_of, plain_step, walk
from ..analyses import signed

# Twice what a host rounds by, for it may add in another order.
_MORE, _RUNS = 2.0, 4

Operands = tuple[Array | None, ...]


def rounding_moves(
    graph: Graph, feeds: Mapping[str, Array], rounding: Mapping[str, float]
) -> dict[str, float]:
    """By output the furthest that an entry moves when all operators round.

    Args:
        rounding: what a dtype rounds by, relative.
    """
    still = _outputs(graph, feeds, {}, 0)
    moves = dict.fromkeys(still, 0.0)
    for seed in range(_RUNS):
        for name, moved in _outputs(graph, feeds, rounding, seed).items():
            moves[name] = max(moves[name], _furthest(moved, still[name]))
    return moves


def _furthest(moved: Array, still: Array) -> float:
    if moved.dtype.kind != "f" or moved.shape != still.shape:
        return 0.0
    with np.errstate(invalid="ignore"):
        gaps = np.abs(moved - still)
    return float(np.max(gaps, where=np.isfinite(gaps), initial=0.0))


def _outputs(
    graph: Graph, feeds: Mapping[str, Array], rounding: Mapping[str, float], seed: int
) -> dict[str, Array]:
    rng = np.random.default_rng(seed)

    def step(graph: Graph, node: Node, op: Op, operands: Operands) -> tuple[Array, ...]:
        made = plain_step(graph, node, op, operands)
        return made if not rounding else tuple(_rounded(node, op, operands, made))

    def _rounded(node: Node, op: Op, operands: Operands, made: tuple[Array, ...]) -> list[Array]:
        sizes = _worked_with(graph, node, op, operands, made)
        units = [rounding.get(graph.values[name].dtype, 0.0) if name else 0.0 for name in node.outputs]
        return [_moved(array, size, unit, rng) for array, size, unit in zip(made, sizes, units, strict=False)]

    # A sum over large inputs is as far off as if they were rounded.
    given = {
        name: _moved(array, np.abs(array), rounding.get(graph.values[name].dtype, 0.0), rng)
        for name, array in feeds.items()
        if name in graph.values
    }
    wanted = set(graph.outputs)
    return {name: array for name, array in walk(graph, given, step=step, keep_all=False) if name in wanted}


def _moved(array: Array, size: Array, unit: float, rng: np.random.Generator) -> Array:
    array = np.asarray(array)
    if array.dtype.kind != "f" or not array.size or not unit:
        return array
    noise = _MORE * unit * rng.uniform(-1.0, 1.0, array.shape)
    return np.asarray(array + noise * np.where(np.isfinite(size), size, 0.0))


def _worked_with(
    graph: Graph, node: Node, op: Op, operands: Operands, made: tuple[Array, ...]
) -> list[Array]:
    """The size of what goes into each entry of the results, and at least of what comes out."""
    own = [np.abs(array) if np.asarray(array).dtype.kind == "f" else np.asarray(array) for array in made]
    read = tuple(
        array if array is None or array.dtype.kind != "f" or signed(op, at) else np.abs(array)
        for at, array in enumerate(operands)
    )
    try:
        found = op.flow.magnitude(op, call_of(graph, node), read)
    except Exception:  # magnitudes are bounds for scores, not for every value: the result's own size is left
        return own
    return [
        np.fmax(size, np.broadcast_to(np.asarray(bound, np.float64), size.shape))
        if size.dtype.kind == "f" and _fits(bound, size)
        else size
        for size, bound in zip(own, (*found, *own[len(found) :]), strict=False)
    ]


def _fits(bound: Array, size: Array) -> bool:
    try:
        return np.broadcast_shapes(np.shape(bound), size.shape) == size.shape
    except ValueError:
        return False
