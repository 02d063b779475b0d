"""Running build tools on copies of the examples, with this tree's prunepass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def environment(**more: str) -> dict[str, str]:
    """That of this process, with this tree's package and the scripts of this interpreter first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **more}


def copied(name: str, folder: Path, place: str = "a folder with äß") -> Path:
    """A copy of one example in ``folder/place``; its parent holds what examples share."""
    top = folder / place
    shutil.copytree(EXAMPLES / name, top / name)
    for shared in EXAMPLES.glob("*.py"):
        shutil.copy(shared, top)
    return top / name


def call(
    command: Sequence[str | Path], folder: Path, expect: int | None = 0, env: Mapping[str, str] | None = None
) -> str:
    """Everything that a command says; it must leave with ``expect`` unless that is None."""
    env = env or environment()
    ran = subprocess.run(
        [str(part) for part in command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    said = ran.stdout + ran.stderr
    assert expect is None or ran.returncode == expect, f"{ran.returncode}: {said}"
    return said


def make_model(path: Path) -> Path:
    """The examples' model."""
    import onnx

    scope: dict[str, Any] = {"__name__": "make_model"}
    file = EXAMPLES / "make_model.py"
    exec(compile(file.read_text("utf-8"), str(file), "exec"), scope)
    onnx.save(scope["classifier"](), path)
    return path


def make_plan(model: Path, path: Path, remove: int) -> Path:
    """A plan that removes the first ``remove`` channels of every group, and promises a grain of 8."""
    import prunepass as pp
    from prunepass.passes import couple
    from prunepass.passes._plan import plan_for

    coupling = couple(pp.capture(str(model)))
    cuts = {group.name: np.arange(remove) for group in coupling.prunable}
    plan_for(coupling, cuts, budget="macs=0.9", align=8).save(path)
    return path


def age(*paths: Path, seconds: float = 100.0) -> None:
    """Move what a build made into the past, so that the clock's grain does not matter."""
    for path in paths:
        stat = path.stat()
        os.utime(path, (stat.st_atime - seconds, stat.st_mtime - seconds))
