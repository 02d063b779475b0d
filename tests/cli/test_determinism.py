"""The same inputs give the same bytes: again, elsewhere, under other settings of the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.tools import run

ROOT = Path(__file__).parents[2]
PLACES = {
    "one": {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
    "another place/äß": {
        "PYTHONHASHSEED": "77",
        "LC_ALL": "C.UTF-8",
        "TZ": "Asia/Tokyo",
        "LANG": "de_DE.UTF-8",
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    """A folder, and the hashes of every file made in two folders below it by two processes."""
    pytest.importorskip("torch")
    top = tmp_path_factory.mktemp("made")
    processes = []
    for name, env in PLACES.items():
        command = [sys.executable, "-m", "tests.cli.reproduce", str(top / name)]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE))
    found = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return top, found


def test_two_processes_give_the_same_bytes(made: tuple[Path, list[dict[str, str]]]) -> None:
    _, (one, another) = made
    assert one == another
    assert {"in.onnx", "out.onnx", "out.onnx.data", "torch.pt2", "in.json", "in-report.json"} <= set(one)


def test_apply_gives_the_bytes_of_prune(made: tuple[Path, list[dict[str, str]]]) -> None:
    _, (one, _) = made
    for name in ("in.onnx", "out.onnx", "out.onnx.data", "torch.pt2"):
        assert one[f"{name.partition('.')[0]}/{name}"] == one[name]


def test_nothing_of_the_place_is_in_a_file(made: tuple[Path, list[dict[str, str]]]) -> None:
    top, _ = made
    for path in top.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in (str(top), str(ROOT), "reproduce.py") if word.encode() in data], path


def test_a_program_has_the_same_bytes_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--score", "l2", "--budget", "macs=0.6", "--plan-out", tmp_path / "p.json")
    factory = "tests.cli.factories:net"
    assert run(capsys, "prune", factory, "-o", tmp_path / "a.pt2", *args).code == 0
    assert run(capsys, "apply", tmp_path / "p.json", factory, "-o", tmp_path / "a-longer-name.pt2").code == 0
    assert (tmp_path / "a.pt2").read_bytes() == (tmp_path / "a-longer-name.pt2").read_bytes()
