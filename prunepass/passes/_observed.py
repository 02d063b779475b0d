"""Statistics that the passes of a pipeline need, observed once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ..ir import Executor, NumpyExecutor, UsageError, parse_steps
from ._options import build
from ._state import Pass, State
from ._task import Task, lacks
from .analyses import SOURCES, Batches, ModelMoments, Observed, Source, Statistic, statistics, synthetic
from .coupling import couple, reads

AUTO_SOURCE = "auto"
"""Data where the task has any, else the model itself."""

Asked = Mapping[str, "tuple[Statistic, ...]"]


def asked_by(steps: Iterable[Pass]) -> Asked:
    """By source the statistics that any of the passes wants."""
    found: dict[str, dict[Statistic, None]] = {}
    for step in steps:
        asks: Asked = getattr(step, "statistics", {})
        for source, asked in asks.items():
            found.setdefault(source, {}).update(dict.fromkeys(asked))
    return {source: tuple(asked) for source, asked in found.items() if asked}


def source_named(source: str, task: Task | None, by: str) -> str:
    """The source that a name stands for.

    Args:
        by: who wants to know something of it.

    Raises:
        UsageError: there is none of that name, or the task has no data.
    """
    if source == AUTO_SOURCE:
        return "model" if task is None or task.data is None else "data"
    if source not in SOURCES:
        raise UsageError(
            f"there is no source '{source}' of statistics",
            advice=f"there are {', '.join((*SOURCES, AUTO_SOURCE))}",
        )
    if source == "data" and (task is None or task.data is None):
        raise lacks("data", by)
    return source


def source_of(source: str, task: Task | None, executor: Executor, by: str) -> Source:
    """Where statistics come from; see :func:`source_named`."""
    name = source_named(source, task, by)
    if name == "model":
        return ModelMoments()
    if name == "synthetic" or task is None:
        return synthetic(executor)
    loss = None if task.loss is None else task.mean_loss
    return Batches(executor, lambda: task.feeds(executor.graph), loss)


def statistics_named(wanted: Iterable[Statistic | str]) -> tuple[Statistic, ...]:
    """Statistics from objects and names, with options as in ``"mean_power{p=3}"``.

    Raises:
        UsageError: a name is not known, or there are none.
    """
    asked = tuple(dict.fromkeys(one for each in wanted for one in _built(each)))
    if not asked:
        raise UsageError("there is nothing to observe", advice=f"there are {', '.join(statistics.names())}")
    return asked


def _built(given: Statistic | str) -> Iterator[Statistic]:
    if isinstance(given, str):
        for name, options in parse_steps(given, "statistic"):
            yield build(statistics.get(name), options)
    elif isinstance(given, type) or not all(hasattr(given, part) for part in ("start", "fold", "finish")):
        raise UsageError(f"{given!r} is no statistic", advice="give an object, as Mean(), or its name")
    else:
        yield given


def observed(state: State, source: str, asked: Iterable[Statistic], by: str) -> tuple[State, Observed]:
    """The state with what a source says of every read, and that; seen once for all passes of the pipeline.

    Raises:
        UsageError: the task lacks data, or a loss; the data do not fit.
    """
    name = source_named(source, state.task, by)
    before = (state.seen or {}).get(name)
    if before is not None and before.has(asked):
        return state, before
    union = dict.fromkeys(asked)
    for other, more in (state.asked or {}).items():
        if source_named(other, state.task, by) == name:
            union.update(dict.fromkeys(more))
    coupling, wanted = couple(state.original), tuple(union)
    held = {} if state.task is None else state.task.seen_on(state.original)
    # A plan that is made again under more constraints reads no more than the first one.
    found = held.get((name, wanted))
    if found is None or not found.covers(coupling):
        executor = (state.executor or NumpyExecutor)(state.original)
        found = source_of(name, state.task, executor, by)(coupling, wanted)
        held[name, wanted] = found
    seen = replace(found, reads=reads(coupling))
    return state.having(seen={**(state.seen or {}), name: seen}), seen
