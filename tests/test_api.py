"""The public surface: what users and build scripts rely on, documented, and no more than that."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import prunepass as pp

ERRORS = {
    "BackendError",
    "BudgetError",
    "ModelError",
    "PrunepassError",
    "UnsupportedError",
    "UsageError",
    "VerificationError",
}
VALUES = {"Analysis", "Batch", "Observed", "Pipeline", "Plan", "Result", "Sweep", "Target", "Task"}
CALLS = {"analyze", "apply", "calibrate", "capture", "mask", "observe", "prune", "sweep", "task_of", "verify"}
MODULES = {"backends", "measure", "passes", "report", "statistics"}


def test_the_surface_is_what_is_listed() -> None:
    assert set(pp.__all__) == ERRORS | VALUES | CALLS | MODULES | {"__version__"}
    assert dir(pp) == pp.__all__ == sorted(pp.__all__)


@pytest.mark.parametrize("name", sorted(ERRORS | VALUES | CALLS | MODULES))
def test_every_public_name_tells_what_it_is(name: str) -> None:
    found = getattr(pp, name)
    text = (vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__) or ""
    # What a dataclass or a struct without a text of its own gets is its signature.
    assert text and not text.startswith(f"{name}(")


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_every_public_error_is_one_of_ours_and_tells_its_exit_code(name: str) -> None:
    error = getattr(pp, name)
    assert issubclass(error, pp.PrunepassError)
    assert name == "PrunepassError" or f"exit code {error.exit_code}" in error.__doc__


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_parameter_of_a_public_call_is_annotated(name: str) -> None:
    signature = inspect.signature(getattr(pp, name))
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'prun'"):
        _ = pp.prun


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: pp.prune(None), "None is no model"),
        (lambda: pp.analyze(3), "a int is no graph"),
        (lambda: pp.Plan.load(5), "a int is no path"),  # type: ignore[arg-type]
        (lambda: pp.backends.get("nope"), "no backend 'nope'"),
        (lambda: pp.measure.compare([]), "nothing to compare"),
        (lambda: pp.sweep("missing.onnx", "out"), "there is no such file"),
        (lambda: pp.sweep("m.onnx", "out", worker=2), "sweep has no option worker"),  # type: ignore[call-arg]
        (lambda: pp.prune("m.onnx", aline=8), "prune has no option aline"),  # type: ignore[call-arg]
    ],
)
def test_what_is_no_argument_is_an_error_of_usage_with_advice(call: Any, what: str) -> None:
    with pytest.raises(pp.UsageError, match=what) as error:
        call()
    assert error.value.advice
