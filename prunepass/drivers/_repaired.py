"""The outcome of a fitted repair: what was fitted on which inputs, and how far the outputs moved on others."""

from __future__ import annotations

from ..ir import NumpyExecutor
from ..passes import Judge, OutputChange, State, couple, kept_axes

_SURE = {
    "data": "of the user's data",
    "well": "recognised well by the model's {norms} normalisations",
    "little": "recognised a little by the model's {norms} normalisations",
    "not": "which nothing in the model could check",
}


def change_after(state: State) -> OutputChange | None:
    """Change of the outputs on inputs held out from the fit; without a fit that of the score that was taken."""
    inputs, plan = state.calibration, state.plan
    if state.reconstruction is None or inputs is None or not inputs.held or plan is None:
        return state.choice.change if state.choice else None
    judge = Judge(state.original, inputs.held, state.executor or NumpyExecutor)
    coupling = couple(state.original)
    kept = plan.kept(coupling)
    return judge(state.graph, {name: kept_axes(coupling, kept, name) for name in state.original.freed})


def fitted_on(state: State) -> str:
    """One line on the fit and its inputs; empty where nothing was fitted."""
    found, inputs = state.reconstruction, state.calibration
    if found is None or not found.refitted or inputs is None:
        return ""
    sure = _SURE[inputs.sure].format(norms=inputs.norms)
    source = "inputs" if inputs.source == "data" else f"inputs ({inputs.source})"
    missed = f"; {len(found.unrepaired)} layers could not be fitted" if found.unrepaired else ""
    return f"{len(found.refitted)} params fitted on {found.samples} {source} {sure}{missed}"


def input_warnings(state: State) -> tuple[str, ...]:
    """Warnings about the inputs that a repair was fitted on."""
    return state.calibration.warnings if state.calibration is not None else ()
