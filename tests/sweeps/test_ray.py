"""Candidates on a Ray cluster; in a process of its own, for what Ray leaves in the one that uses it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from prunepass import Plan
from prunepass.sweeps import Candidate, Row
from prunepass.sweeps._journal import load
from prunepass.sweeps._ray import RayCrew
from prunepass.sweeps._row import Job, Setup
from prunepass.sweeps._shared import Shared
from tests.cli import nets
from tests.cli.tools import files

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'prunepass[ray]'")
def test_a_local_cluster_prunes_and_measures_every_candidate(tmp_path: Path) -> None:
    net, out = str(tmp_path / "net.onnx"), tmp_path / "out"
    # Weights in a file of their own travel too.
    onnx.save(nets.classifier(), net, save_as_external_data=True, location="net.bin", size_threshold=0)
    budgets = ("--budgets", "0.8,0.6,0.0001", "--scores", "l2", "--duration", "0")
    # What all candidates share travels: arrays from a file, a function by its name.
    np.savez(tmp_path / "data.npz", x=np.ones((4, 3, 8, 8), np.float32))
    (tmp_path / "judge.py").write_text(
        "def accuracy(model):\n    return len(model.graph.initializers)\n", "utf-8"
    )
    shared = ("--policy", "uniform{by=class}", "--data", str(tmp_path / "data.npz"))
    shared += ("--evaluate", f"{tmp_path / 'judge.py'}:accuracy")
    args = [
        sys.executable,
        "-m",
        "prunepass",
        "sweep",
        net,
        "-o",
        str(out),
        *budgets,
        *shared,
        "--ray",
        "local",
        "--json",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(args, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    journal = load(out)
    assert journal is not None
    rows = journal.rows
    assert all(rows[f"macs-{budget}-l2-1"].timing is not None for budget in ("0.8", "0.6"))
    assert rows["macs-0.6-l2-1"].accuracy == 5
    assert Plan.load(out / "macs-0.6-l2-1" / "plan.json").options["policy"] == "uniform{by=class}"
    assert rows["macs-0.0001-l2-1"].rule == "budget"
    assert {"macs-0.6-l2-1/model.onnx", "macs-0.6-l2-1/model.onnx.data"} <= files(out)


def test_a_machine_that_fails_is_a_row_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LostError(Exception):
        """A machine that lacks the user's code."""

    def get(ready: Candidate) -> Any:
        if ready.score == "l2":
            raise LostError("remote traceback\n  ModuleNotFoundError: No module named 'judge'\n")
        return Row(candidate=ready, reason="none"), {}

    stand_in = SimpleNamespace(
        cloudpickle=pickle,
        exceptions=SimpleNamespace(RayError=LostError),
        is_initialized=lambda: True,
        put=lambda value: value,
        remote=lambda **_: lambda work: SimpleNamespace(remote=lambda job, model, shared: job.candidate),
        wait=lambda left: (left[:1], left[1:]),
        get=get,
    )
    monkeypatch.setattr("prunepass.sweeps._ray._ray", lambda: stand_in)
    net, setup = Path(nets.save(tmp_path / "net.onnx")), Setup(backend="onnxruntime", version="1")
    jobs = [Job(net, tmp_path, Candidate("macs=0.5", score), setup) for score in ("l2", "l1")]
    lost, other = RayCrew("local", Shared()).prune(jobs)
    assert lost.reason == "its machine failed: ModuleNotFoundError: No module named 'judge'"
    assert not lost.final and other.reason == "none"
