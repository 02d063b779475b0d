"""Candidates on a Ray cluster; in a process of its own, for what Ray leaves in the one that uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from prunepass import Plan
from prunepass.sweeps._journal import load
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
