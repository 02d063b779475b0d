"""Errors say what, where and what to do, and carry the exit code of the command line."""

from __future__ import annotations

import pytest

from prunepass.ir import (
    BackendError,
    BudgetError,
    GateError,
    InternalError,
    ModelError,
    Origin,
    Pin,
    PrunepassError,
    UnsupportedError,
    UsageError,
    VerificationError,
)

EVERY = (
    (UsageError, 2), (ModelError, 3), (UnsupportedError, 3), (GateError, 1), (BudgetError, 1), (VerificationError, 1),
    (BackendError, 4), (InternalError, 70),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "code"), EVERY)
def test_every_error_has_its_exit_code_and_one_base(kind: type[PrunepassError], code: int) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, PrunepassError)
    assert str(kind("it is wrong")) == "it is wrong"


def test_every_error_names_its_rule() -> None:
    rules = [kind.rule for kind, _ in EVERY]
    assert len(set(rules)) == len(rules)


def test_the_tree_of_errors() -> None:
    assert issubclass(UnsupportedError, ModelError)
    assert issubclass(BudgetError, GateError)
    assert issubclass(VerificationError, GateError)


@pytest.mark.parametrize(
    ("where", "advice", "text"),
    [
        (None, "", "it is wrong"),
        ("layer1.conv", "", "layer1.conv: it is wrong"),
        (None, "mend it", "it is wrong (mend it)"),
        (Origin("layer1.conv", "net.py:12"), "mend it", "layer1.conv, net.py:12: it is wrong (mend it)"),
    ],
)
def test_an_error_reads_place_fault_advice(where: Origin | str | None, advice: str, text: str) -> None:
    error = ModelError("it is wrong", where=where, advice=advice)
    assert str(error) == text
    assert (error.what, error.where, error.advice) == ("it is wrong", where, advice)


def test_a_place_that_is_not_known_is_left_out() -> None:
    assert str(ModelError("it is wrong", where=Origin())) == "it is wrong"


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin(), "because"),
        (Origin("layer1"), "because [layer1]"),
        (Origin("layer1", "net.py:3"), "because [layer1, net.py:3]"),
        (Origin(line="net.py:3"), "because [net.py:3]"),
    ],
)
def test_a_pin_tells_its_reason_and_place(origin: Origin, text: str) -> None:
    assert str(Pin("because", origin)) == text
