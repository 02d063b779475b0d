"""An interrupted command leaves the old files and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import nets
from tests.cli.tools import files, run

ROOT = Path(__file__).parents[2]

# Prunes until it is told to stop, in the middle of writing.
SLOW = """
import sys, time
import prunepass.hosts.onnx as host
write = host.save
def save(model, path):
    write(model, path)
    print("writing", flush=True)
    time.sleep(60)
host.save = save
from prunepass.cli import main
raise SystemExit(main())
"""


@pytest.mark.parametrize("place", ["prunepass.drivers._replayed.host_check", "prunepass.hosts.onnx.save"])
def test_ctrl_c_is_exit_code_130_and_leaves_the_old_output(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    net, out = nets.save(tmp_path / "net.onnx"), tmp_path / "out.onnx"
    out.write_text("old", encoding="utf-8")
    monkeypatch.setattr(place, interrupt)
    ran = run(capsys, "prune", net, "-o", out, "--score", "l2", "--plan-out", tmp_path / "p.json")
    assert ran.code == 130
    assert "interrupted" in ran.err
    assert "Traceback" not in ran.err
    assert files(tmp_path) == {"net.onnx", "out.onnx"}
    assert out.read_text("utf-8") == "old"


def test_a_failure_while_writing_leaves_the_old_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    net, out = nets.save(tmp_path / "net.onnx"), tmp_path / "out.onnx"
    monkeypatch.setattr("prunepass.hosts.onnx.save", fail)
    ran = run(capsys, "prune", net, "-o", out, "--score", "l2", "--plan-out", tmp_path / "p.json")
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert files(tmp_path) == {"net.onnx"}


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_writing_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    net = nets.save(tmp_path / "net.onnx")
    args = [sys.executable, "-c", SLOW, "prune", net, "-o", str(tmp_path / "out.onnx"), "--score", "l2"]
    with subprocess.Popen(
        args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        assert any(name.startswith(".prunepass-") for name in files(tmp_path))
        time.sleep(0.1)
        child.send_signal(number)
        child.communicate(timeout=30)
    assert child.returncode == code
    assert files(tmp_path) == {"net.onnx"}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
