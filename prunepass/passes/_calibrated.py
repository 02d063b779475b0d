"""The calibration inputs of a pipeline, made once for all of its passes and for whoever judges its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..ir import Executor, Graph, NumpyExecutor
from ._calibration import MANY, WELL, Calibration
from ._calibration_data import split_data
from ._state import State
from .analyses import can_refine, mean_loss, norm_residuals, recognise, refined, trained_norms

COUNT, HELD = 64, 16


def calibration_of(state: State, count: int = COUNT, held: int = HELD) -> Calibration:
    """Data of the task where there are enough, a part of them held out; else the family that the model recognises.

    Made once for a graph and task, and left to whoever asks next.

    Raises:
        UsageError: the data do not fit the model.
    """
    if state.calibration is not None:
        return state.calibration
    made: dict[tuple[int, int, int], tuple[object, Calibration]]
    made = state.original.memo("calibrations", lambda _: {})
    key = id(state.task), count, held
    if key not in made:
        made[key] = state.task, _made(state, count, held)
    return made[key][1]


def _made(state: State, count: int, held: int) -> Calibration:
    graph, warnings = state.original, tuple[str, ...]()
    if not graph.inputs:
        return Calibration()
    if state.task is not None and state.task.data is not None:
        fit, apart, warnings = split_data(state.task, graph, count, held)
        if fit:
            return Calibration(fit, apart, "data", warnings=warnings)
    opener = state.executor or NumpyExecutor
    found = recognise(graph, opener(graph))
    procedural = Calibration(
        found.feeds(count, "fit"),
        found.feeds(held, "held"),
        found.family.name,
        found.losses,
        found.norms,
        warnings,
    )
    return _refined(procedural, graph, opener, max(count, held))


def _refined(
    given: Calibration, graph: Graph, opener: Callable[[Graph], Executor], count: int
) -> Calibration:
    """The same moved towards the normalisations, where they are many and recognise no family well."""
    if given.norms < MANY or given.losses[given.source] <= WELL or not can_refine(graph, count):
        return given
    fit, apart = (refined(graph, opener, feeds) for feeds in (given.fit, given.held))
    if fit is None or apart is None:
        return given
    name = f"refined {given.source}"
    loss = mean_loss(norm_residuals(opener(graph), trained_norms(graph), apart))
    if loss >= given.losses[given.source]:
        return given
    return replace(given, fit=fit, held=apart, source=name, losses={**given.losses, name: loss})
