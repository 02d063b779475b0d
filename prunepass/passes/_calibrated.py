"""The calibration inputs of a pipeline, made once for all of its passes and for whoever judges its result."""

from __future__ import annotations

from ..ir import NumpyExecutor
from ._calibration import Calibration
from ._calibration_data import split_data
from ._state import State
from .analyses import recognise

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
    found = recognise(graph, (state.executor or NumpyExecutor)(graph))
    return Calibration(
        found.feeds(count, "fit"),
        found.feeds(held, "held"),
        found.family.name,
        found.losses,
        found.norms,
        warnings,
    )
