"""The user's data as calibration inputs: a sample of them, a part held out, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from ..ir import Array, Graph
from ._task import Task
from .analyses import Feeds, batched_inputs

LEAST = 4
"""Two samples to fit on and two to judge on."""
_READ = 8
"""How many times as many samples as are wanted are looked at."""
_FEW, _FEW_A_CLASS, _CLASSES = 16, 0.19, 100
_ALIKE, _SIDE = 0.95, 8

Sample = Mapping[str, Array]


def split_data(task: Task, graph: Graph, count: int, held: int) -> tuple[Feeds, Feeds, tuple[str, ...]]:
    """Feeds to fit on and feeds to judge on, of the task's data, and warnings; no feeds where there are too few data.

    Raises:
        UsageError: the data do not fit the model.
    """
    taken = _drawn(task, graph, count + held)
    skipped: tuple[str, ...] = getattr(task.data, "warnings", ())
    if len(taken) < LEAST:
        few = f"the data hold {len(taken)} samples: {LEAST} are needed to fit on some and to judge on others"
        return (), (), (*skipped, f"{few}; procedural inputs are taken instead")
    apart = min(held, max(2, len(taken) - count, len(taken) // 5))
    fit, judged = taken[:-apart], taken[-apart:]
    return _feeds(graph, fit), _feeds(graph, judged), (*skipped, *_warnings(graph, fit))


def _drawn(task: Task, graph: Graph, wanted: int) -> list[Sample]:
    """A random sample of the data, in random order, the same every time: data are often sorted by class."""
    rng, kept = np.random.default_rng(0), list[Sample]()
    for at, sample in enumerate(_samples(task, graph)):
        if at >= _READ * wanted:
            break
        place = int(rng.integers(0, at + 1))
        if len(kept) < wanted:
            kept.append(sample)
            kept[place], kept[-1] = kept[-1], kept[place]
        elif place < wanted:
            kept[place] = sample
    return kept


def _samples(task: Task, graph: Graph) -> Iterator[Sample]:
    """Single samples, each with its batch axis; inputs that have none are what they are."""
    batched = batched_inputs(graph)
    for feed in task.feeds(graph):
        for at in range(feed.samples):
            yield {
                name: np.array(array[at : at + 1]) if name in batched else array
                for name, array in feed.inputs.items()
            }


def _feeds(graph: Graph, samples: Sequence[Sample]) -> Feeds:
    """Samples in feeds as large as the capture; the first ones fill the last feed up."""
    batched = batched_inputs(graph)
    size = next((graph.values[name].shape[0] for name in graph.inputs if name in batched), 1)
    parts = [
        [samples[(start + at) % len(samples)] for at in range(size)] for start in range(0, len(samples), size)
    ]
    return tuple(
        {
            name: np.concatenate([one[name] for one in part]) if name in batched else part[0][name]
            for name in graph.inputs
        }
        for part in parts
    )


def _warnings(graph: Graph, fit: Sequence[Sample]) -> Iterator[str]:
    classes = max((prod(graph.values[name].shape[1:2]) for name in graph.outputs), default=1)
    least = max(_FEW, round(_FEW_A_CLASS * classes) if classes >= _CLASSES else 0)
    if len(fit) < least:
        yield f"{len(fit)} inputs to fit on are few: {least} or more are better for these outputs"
    alike = near_equal(fit)
    if alike > 0.25:
        yield (
            f"{alike:.0%} of the inputs are nearly equal to another one: they tell no more than one of them does; "
            "give inputs of different scenes"
        )


def near_equal(samples: Sequence[Sample]) -> float:
    """Share of the samples that correlate with an earlier one, in its coarse parts, as if they were the same."""
    rows = np.stack([np.concatenate([_coarse(array) for array in sample.values()]) for sample in samples])
    rows = rows - rows.mean(axis=0)  # what all have in common tells nothing
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    alike = np.tril(rows @ rows.T, -1).max(axis=1) > _ALIKE
    return float(alike.mean())


def _coarse(array: Array) -> Array:
    """A few numbers of one sample: the means of boxes along each long axis."""
    whole = array.astype(np.float64)
    for axis, size in enumerate(whole.shape):
        if size > 2 * _SIDE:
            edges = np.linspace(0, size, _SIDE, endpoint=False).astype(int)
            counts = np.diff([*edges, size]).reshape(-1, *(1,) * (whole.ndim - axis - 1))
            whole = np.add.reduceat(whole, edges, axis=axis) / counts
    return whole.ravel()
