"""What the passes of a pipeline want to know of activations, observed once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..ir import Executor, NumpyExecutor, UsageError
from ._state import Pass, State
from ._task import Task, lacks
from .analyses import SOURCES, Batches, ModelMoments, Observed, Source, Statistic, synthetic
from .coupling import couple, reads

AUTO_SOURCE = "auto"
"""Data where the task has any, else the model itself."""

Asked = Mapping[str, "tuple[Statistic, ...]"]


def asked_by(steps: Iterable[Pass]) -> Asked:
    """By source the statistics that any of the passes wants."""
    found: dict[str, dict[Statistic, None]] = {}
    for step in steps:
        asks: Asked = getattr(step, "statistics", {})
        for source, statistics in asks.items():
            found.setdefault(source, {}).update(dict.fromkeys(statistics))
    return {source: tuple(statistics) for source, statistics in found.items() if statistics}


def source_named(source: str, task: Task | None) -> str:
    """The source that a name stands for.

    Raises:
        UsageError: there is none of that name.
    """
    if source == AUTO_SOURCE:
        return "model" if task is None or task.data is None else "data"
    if source not in SOURCES:
        raise UsageError(
            f"there is no source '{source}' of statistics",
            advice=f"there are {', '.join((*SOURCES, AUTO_SOURCE))}",
        )
    return source


def source_of(source: str, task: Task | None, executor: Executor, by: str) -> Source:
    """Where statistics come from.

    Args:
        by: who wants them.

    Raises:
        UsageError: the task has no data.
    """
    if source == "model":
        return ModelMoments()
    if source == "synthetic":
        return synthetic(executor)
    if task is None or task.data is None:
        raise lacks("data", by)
    loss = None if task.loss is None else task.mean_loss
    return Batches(executor, lambda: task.feeds(executor.graph), loss)


def observed(state: State, source: str, statistics: Iterable[Statistic], by: str) -> tuple[State, Observed]:
    """The state with what a source says of every read, and that; seen once for all passes of the pipeline.

    Raises:
        UsageError: the task lacks data, or a loss; the data do not fit.
    """
    name = source_named(source, state.task)
    before = (state.seen or {}).get(name)
    if before is not None and before.has(statistics):
        return state, before
    others = (all_ for other, all_ in (state.asked or {}).items() if source_named(other, state.task) == name)
    asked = tuple(dict.fromkeys((*statistics, *(one for all_ in others for one in all_))))
    coupling = couple(state.original)
    executor = NumpyExecutor(state.original) if state.executor is None else state.executor
    found = source_of(name, state.task, executor, by)

    # A plan that is made again under more constraints reads no more than the first one.
    held: dict[Any, Observed] = executor.graph.memo(("observed", name, state.task), lambda _: {})
    if asked not in held or not held[asked].covers(coupling):
        held[asked] = found(coupling, asked)
    seen = replace(held[asked], reads=reads(coupling))
    return state.having(seen={**(state.seen or {}), name: seen}), seen
