"""Signals: one unwinds the stack, its echo does not, and some wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prunepass.cli._stop import Stop, stoppable
from prunepass.signals import STOPS, undisturbed
from tests.cli import nets
from tests.cli.tools import files, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """What runs the tests may ignore signals (nohup, a job in the background), and ignored ones stay ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPS)
def test_the_exit_code_is_that_of_the_signal(number: signal.Signals) -> None:
    with stoppable() as stop, pytest.raises(SystemExit):
        signal.raise_signal(number)
    assert stop.code == 128 + number


def test_an_interrupt_of_code_that_is_made_from_text_is_exit_code_130_too() -> None:
    made = "import signal; exec('signal.raise_signal(signal.SIGINT)')"
    code = f"from prunepass.cli import _stop\nwith _stop.stoppable():\n    {made}"
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert ran.returncode == 130


def test_what_comes_again_at_once_does_not_interrupt_the_cleaning_up() -> None:
    cleaned = []
    with stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        except SystemExit:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)
    assert cleaned


def test_a_command_that_does_not_stop_can_be_told_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, now = Stop(), iter((1.0, 9.0, 9.0))
    monkeypatch.setattr("prunepass.cli._stop.monotonic", lambda: next(now))
    for number in (signal.SIGINT, signal.SIGINT):
        with pytest.raises(SystemExit):
            stop(number, None)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            signal.raise_signal(signal.SIGTERM)
        assert not stop.number
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    with stoppable(), undisturbed():
        pass
    assert [signal.getsignal(number) for number in STOPS] == before


def test_signals_wait_until_outputs_have_been_renamed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunepass.cli import _files

    replace = _files._replace

    def interrupted(new: Path, old: Path) -> None:
        replace(new, old)
        signal.raise_signal(signal.SIGINT)

    net = nets.save(tmp_path / "net.onnx")
    monkeypatch.setattr(_files, "_replace", interrupted)
    ran = run(
        capsys, "prune", net, "-o", tmp_path / "o.onnx", "--plan-out", tmp_path / "p.json", "--score", "l2"
    )
    assert ran.code == 130
    assert files(tmp_path) == {"net.onnx", "o.onnx", "p.json"}


def test_an_error_that_an_interrupt_has_turned_into_is_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extensions that are interrupted while they are imported say that they are broken."""

    def broken(*args: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except SystemExit as error:
            raise ImportError("initialization failed") from error

    net = nets.save(tmp_path / "net.onnx")
    monkeypatch.setattr("prunepass.backends._onnxruntime._runtime", broken)
    ran = run(capsys, "bench", net, "--backend", "onnxruntime", "--duration", "0")
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted" in ran.err
    assert "error" not in ran.err


def test_an_engine_leaves_nothing_of_its_own_in_the_users_folders(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    home = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-m", "prunepass", "backends", "-q"]
    subprocess.run(command, check=True, env={**env, **home, "PYTHONPATH": str(ROOT)}, cwd=ROOT)
    assert files(tmp_path) == set()
