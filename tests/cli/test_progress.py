"""Progress: nothing for a second, then the pass that runs; a line for each pass where one asks for more."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from prunepass.cli import progress as _progress
from prunepass.cli.face import Face
from prunepass.ir import Graph
from prunepass.passes import State

EMPTY = State.start(Graph("empty", (), (), (), {}, {}))


def shown(
    patience: float, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True, verbosity: int = 0
) -> str:
    monkeypatch.setattr(_progress, "_PATIENCE", patience)
    stream, face = StringIO(), Face()
    face.verbosity = verbosity
    face.err = Console(file=stream, force_terminal=terminal, width=100)
    with _progress.progress(face) as observer:
        observer.before("select", EMPTY)
        observer._progress.refresh()
        observer.after("select", EMPTY, 1.5)
    return stream.getvalue()


def test_the_running_pass_is_shown_to_who_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "select" in shown(0.0, monkeypatch)


def test_quick_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "select" not in shown(3600.0, monkeypatch)


def test_a_log_gets_no_animation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(0.0, monkeypatch, terminal=False) == ""
    assert shown(0.0, monkeypatch, verbosity=-1) == ""


def test_each_pass_is_a_line_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(0.0, monkeypatch, terminal=False, verbosity=1)
    assert capsys.readouterr().err == "prunepass: note: select took 1.50 s\n"


def test_how_far_a_driver_is_stands_beside_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    stream, face = StringIO(), Face()
    face.err = Console(file=stream, force_terminal=True, width=100)
    with _progress.progress(face) as observer:
        observer.before("tune", EMPTY)
        observer._progress.refresh()
        before = stream.getvalue()
        observer.progress(0.25)
        observer._progress.refresh()
    assert "%" not in before and "25 %" in stream.getvalue()
