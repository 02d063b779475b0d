"""``prunepass prune --budget dead``: what changes no output goes, and ``check`` holds that."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from prunepass import Plan
from tests.cli import nets
from tests.cli.tools import run

DEAD = [2, 3, 11]


def silenced(path: Path) -> str:
    """The classifier with some filters of zeros and biases that no activation lets through."""
    proto = nets.classifier()
    for tensor in proto.graph.initializer:
        data = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("w0", "w1", "b0", "b1"):
            data[DEAD] = -1.0 if tensor.name.startswith("b") else 0.0
        tensor.CopyFrom(numpy_helper.from_array(data, tensor.name))
    onnx.save(proto, path)
    return str(path)


def test_what_is_dead_goes_and_the_check_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, out, plan = silenced(tmp_path / "net.onnx"), tmp_path / "out.onnx", tmp_path / "p.json"
    ran = run(capsys, "prune", net, "-o", out, "--budget", "dead", "--plan-out", plan)
    assert ran.code == 0, ran.err
    assert "6 channels changed no output" in ran.out
    assert [list(cut.remove) for cut in Plan.load(plan).cuts.values()] == [DEAD, DEAD]
    assert run(capsys, "check", out, "--against", net, "--plan", plan).code == 0
    again = run(capsys, "prune", out, "-o", tmp_path / "again.onnx", "--budget", "dead")
    assert again.code == 0 and "nothing is" in again.out


def test_the_check_tells_where_outputs_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, out, plan = nets.save(tmp_path / "net.onnx"), tmp_path / "out.onnx", tmp_path / "p.json"
    ran = run(
        capsys, "prune", net, "-o", out, "--budget", "channels=0.9", "--score", "l2", "--plan-out", plan
    )
    assert ran.code == 0, ran.err
    plan.write_text(plan.read_text("utf-8").replace("channels=0.9", "dead"), "utf-8")
    ran = run(capsys, "check", out, "--against", net, "--plan", plan)
    assert ran.code == 1 and "[budget]" in ran.err


def test_two_budgets_at_once_are_a_slip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", "--budget", "dead,macs=0.5")
    assert ran.code == 2 and "takes no fraction" in ran.err
    assert not (tmp_path / "out.onnx").exists()
