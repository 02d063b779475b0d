"""Running the command line inside the test's own process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from prunepass.cli import main


class Ran(NamedTuple):
    """What a command left: exit code, and both streams."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Ran:
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return Ran(code, captured.out, captured.err)


def files(folder: Path) -> set[str]:
    """Names of everything under a folder, hidden ones included."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
