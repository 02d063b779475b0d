"""``auto``: try every data-free score at the budget and keep the plan whose network changed least.

What is measured is the relative change of the outputs on inputs that no data set was needed for: layers of
overlapping discs (dead leaves, the classical model of natural images) where an input looks like an image,
normal noise elsewhere. Both networks run in the reference interpreter in float32.

A few synthetic inputs are a noisy judge (on a page classifier another score changed their outputs 2.3 times
less and lost 20 points more on labelled pages), and the first candidate is the only score that models what
the repair of the means leaves wrong: another one replaces it only where it changes the outputs four times
less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Array, BudgetError, Graph, evaluate
from . import scores
from ._compensate import compensate
from ._coupling import Coupling
from ._cut import cut
from ._plan import Plan

AUTO = "auto"
CANDIDATES = ("variance", "dfpc", "l2", "bn_scale")
_LEAVES = 200
_INPUTS = 3
_CLEARLY = 0.25

Scores = Mapping[str, Array]


@dataclass(frozen=True)
class Choice:
    """Which score won: its name, its plan, and the relative output change of each candidate."""

    metric: str
    plan: Plan
    changes: Mapping[str, float]


def candidates(coupling: Coupling) -> dict[str, Scores]:
    """The scores that ``auto`` chooses among."""
    return {name: scores.get(name)()(coupling) for name in CANDIDATES}


def choose(
    coupling: Coupling, policy: Callable[[Coupling, Scores], Plan], found: Mapping[str, Scores]
) -> Choice:
    """Plan with each score, repair, cut, run, and keep the least change.

    Raises:
        BudgetError: the budget cannot be met with any of them.
    """
    graph = coupling.graph
    feeds = [synthetic_inputs(graph, seed) for seed in range(_INPUTS)]
    wanted = _outputs(graph, feeds)
    plans: dict[str, Plan] = {}
    changes: dict[str, float] = {}
    failure: BudgetError | None = None
    for metric, values in found.items():
        try:
            plans[metric] = policy(coupling, values)
        except BudgetError as error:
            failure = error
            continue
        repaired = compensate(coupling, plans[metric]).plan
        changes[metric] = _change(wanted, _outputs(cut(graph, repaired), feeds))
    if failure is not None and not plans:
        raise failure
    metric = _winner(changes)
    return Choice(metric, plans[metric], changes)


def output_change(original: Graph, pruned: Graph) -> float:
    """How much the outputs differ on the synthetic inputs of :func:`choose`: 0 is nothing.

    Squared difference over squared deviation of the original's outputs, averaged over outputs, in float32.
    """
    feeds = [synthetic_inputs(original, seed) for seed in range(_INPUTS)]
    return _change(_outputs(original, feeds), _outputs(pruned, feeds))


def _winner(changes: Mapping[str, float]) -> str:
    """The first candidate, unless another one changes the outputs clearly less."""
    first, least = next(iter(changes)), min(changes, key=changes.__getitem__)
    return least if changes[least] < _CLEARLY * changes[first] else first


def _outputs(graph: Graph, feeds: Sequence[Mapping[str, Array]]) -> list[Array]:
    """Every output for all inputs, stacked."""
    runs = [evaluate(graph, feed, dtype="float32") for feed in feeds]
    names = [name for name in graph.outputs if name in runs[0]]
    return [np.stack([values[name] for values in runs]).astype(np.float64) for name in names]


def _change(wanted: list[Array], got: list[Array]) -> float:
    """Squared difference over squared deviation, averaged over outputs; infinite where not finite."""
    shares = []
    for want, have in zip(wanted, got, strict=True):
        if not want.size:
            continue
        spread = float(np.sum((want - want.mean()) ** 2)) or 1.0
        shares.append(float(np.sum((have - want) ** 2)) / spread)
    change = float(np.mean(shares)) if shares else 0.0
    return change if np.isfinite(change) else float("inf")


def synthetic_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """One synthetic input of every kind the graph reads, by name."""
    rng = np.random.default_rng(seed)
    return {
        name: _synthetic(rng, graph.values[name].shape, graph.values[name].dtype) for name in graph.inputs
    }


def _synthetic(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    if "float" not in dtype:
        return rng.integers(0, 2, shape).astype(dtype)
    if len(shape) == 4 and min(shape[1], shape[3]) <= 4:
        channels_last = shape[3] <= 4 < shape[1]
        count, size = (shape[3], shape[1:3]) if channels_last else (shape[1], shape[2:])
        images = np.stack([dead_leaves(rng, count, size) for _ in range(shape[0])])
        return np.moveaxis(images, 1, 3) if channels_last else images
    return rng.standard_normal(shape)


def dead_leaves(rng: np.random.Generator, channels: int, size: tuple[int, ...]) -> Array:
    """An image of shape (channels, *size): overlapping discs, radii of density r^-3, normal colours."""
    height, width = size
    image = np.zeros((channels, height, width))
    rows, columns = np.mgrid[:height, :width]
    largest = max(2.0, max(size) / 3)
    for _ in range(_LEAVES):
        radius = 1 / np.sqrt(rng.uniform(1 / largest**2, 1.0))
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        image[:, (rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.standard_normal((channels, 1))
    return image
