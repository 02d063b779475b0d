"""Inputs to calibrate on: the user's data where there are any, else synthetic ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..ir import Array, Graph, is_float
from ._state import State
from .analyses import synthetic_inputs


@dataclass(frozen=True)
class Calibration:
    """Inputs, some of them held out.

    Attributes:
        fit: inputs by name to fit on.
        held: inputs to judge on.
        source: what they are; empty where none can be made.
        losses: by family tried the distance to the trained normalisations.
        norms: how many normalisations said so.
        warnings: what is wrong with the inputs.
    """

    fit: tuple[Mapping[str, Array], ...]
    held: tuple[Mapping[str, Array], ...]
    source: str
    losses: Mapping[str, float] = field(default_factory=dict)
    norms: int = 0
    warnings: tuple[str, ...] = ()


def calibration_of(state: State, count: int = 64, held: int = 16) -> Calibration:
    """Inputs for a graph: a part of the data of the task, or synthetic ones."""
    graph, task = state.original, state.task
    if task is not None and task.data is not None:
        fed = tuple(_first(task.feeds(graph), count))
        return Calibration(fed, (), "data")
    if not all(is_float(graph.values[name].dtype) for name in graph.inputs):
        return Calibration((), (), "")
    made = [synthetic_inputs(graph, seed) for seed in range(_times(graph, count + held))]
    return Calibration(tuple(made[: _times(graph, count)]), tuple(made[_times(graph, count) :]), "leaves")


def _first(feeds: Iterable[object], count: int) -> Iterator[Mapping[str, Array]]:
    left = count
    for feed in feeds:
        samples = feed.samples  # type: ignore[attr-defined]
        if left <= 0:
            return
        inputs: Mapping[str, Array] = feed.inputs  # type: ignore[attr-defined]
        yield (
            inputs
            if samples <= left
            else {name: array[:left] if len(array) == samples else array for name, array in inputs.items()}
        )
        left -= samples


def _times(graph: Graph, count: int) -> int:
    size = next((graph.values[name].shape[0] for name in graph.inputs if graph.values[name].shape), 1)
    return -(-count // size)
