"""Effect of a host's own rounding where numbers turn into whole codes.

A number near the middle between two codes becomes one or the other by its last bit, and no bound on the rounding
of outputs holds any more. How far outputs then move is what the reference itself tells, run again with every
number moved by more than a host rounds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...ir import Array, Graph, Node, Op, plain_step, registry, walk

# Many times what a host is off by, so that a step that the host may take is taken here as well.
_MORE, _RUNS = 64.0, 4


def makes_codes(graph: Graph) -> bool:
    """Return whether numbers turn into codes somewhere."""
    return any(registry()[node.op].flow.codes for node in graph.nodes)


def largest_moves(graph: Graph, feeds: Mapping[str, Array], eps: float) -> dict[str, float]:
    """By output how far it moves, relative to its largest magnitude, when all numbers are off by rounding.

    Args:
        eps: what a host rounds by, relative to the largest magnitude of a value.
    """
    still = _outputs(graph, feeds, 0.0, 0)
    runs = [_outputs(graph, feeds, _MORE * eps, seed) for seed in range(_RUNS)]
    return {name: max(number_difference(run[name], want) for run in runs) for name, want in still.items()}


def number_difference(got: Array, want: Array) -> float:
    """Root of the mean squared difference over the largest magnitude; codes count as numbers.

    A single step says little; many of them say that something else is wrong.
    """
    gap = np.asarray(got, np.float64) - np.asarray(want, np.float64)
    largest = float(np.max(np.abs(np.asarray(want, np.float64)), initial=0.0))
    return float(np.sqrt(np.mean(gap**2))) / max(largest, 1e-30) if gap.size else 0.0


def _outputs(graph: Graph, feeds: Mapping[str, Array], amount: float, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)

    def step(graph: Graph, node: Node, op: Op, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
        return tuple(_moved(array, amount, rng) for array in plain_step(graph, node, op, operands))

    wanted = set(graph.outputs)
    made = walk(graph, feeds, step=step, keep_all=False)
    return {name: array for name, array in made if name in wanted}


def _moved(array: Array, amount: float, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f" or not array.size:
        return array
    largest = float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))
    return np.asarray(array + amount * largest * rng.uniform(-1.0, 1.0, array.shape))
