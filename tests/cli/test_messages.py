"""The one form of every message."""

from __future__ import annotations

import pytest

from prunepass import ModelError, PrunepassError, UsageError, VerificationError
from prunepass.cli._messages import message, report
from prunepass.ir import InternalError, Origin


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("no such thing"), "prunepass: error: [usage] no such thing"),
        (ModelError("empty", where="a.onnx"), "prunepass: error: [model] a.onnx: empty"),
        (ModelError("bad", advice="mend it"), "prunepass: error: [model] bad (mend it)"),
        (
            VerificationError("differs", where=Origin("layer1.conv", "net.py:12")),
            "net.py:12: error: [proof] layer1.conv: differs",
        ),
        (
            VerificationError("differs", where="layer1.conv, net.py:12"),
            "net.py:12: error: [proof] layer1.conv: differs",
        ),
        (ModelError("differs", where=Origin("Conv.0")), "prunepass: error: [model] Conv.0: differs"),
        (ModelError("differs", where=Origin(line="net.py:3")), "net.py:3: error: [model] differs"),
    ],
)
def test_a_message_says_place_rule_what_and_what_to_do(error: PrunepassError, text: str) -> None:
    assert message(error) == text


def test_notes_follow_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    error = UsageError("no")
    error.__notes__ = ["in pass 'cut', after: couple"]
    assert report(error) == 2
    assert capsys.readouterr().err.splitlines()[1] == "prunepass: note: in pass 'cut', after: couple"


@pytest.mark.parametrize(
    ("error", "code"),
    [(FileNotFoundError(2, "No such file", "x"), 2), (ValueError("x"), 70), (InternalError("x"), 70)],
)
def test_other_errors_have_their_codes(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == code
    assert capsys.readouterr().err.startswith("prunepass: error: [")
