"""``prunepass sweep`` and the reports that commands write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import nets
from tests.cli.tools import files, run

ROOT = Path(__file__).parents[2]
QUICK = ("--scores", "l2", "--duration", "0")

# Stops for a minute when the second candidate begins.
SLOW = """
import time
import prunepass.sweeps._make as made
prune, calls = made.prune, []
def slowly(*args, **options):
    calls.append(1)
    if len(calls) == 2:
        print("second", flush=True)
        time.sleep(60)
    return prune(*args, **options)
made.prune = slowly
from prunepass.cli import main
raise SystemExit(main())
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    pytest.importorskip("onnxruntime")
    return nets.save(tmp_path / "net.onnx")


def test_a_table_on_stdout_and_a_page_with_links_to_the_folder(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "r.html"
    ran = run(
        capsys, "sweep", net, "-o", tmp_path / "out", *QUICK, "--budgets", "0.6,0.0001", "--report", report
    )
    assert ran.code == 0, ran.err
    assert "1 of 2 candidates" in ran.out
    assert "It is no accuracy" in ran.out
    text = report.read_text("utf-8")
    assert 'href="out/macs-0.6-l2-1/model.onnx"' in text
    assert str(tmp_path) not in text
    assert (tmp_path / "out" / "macs-0.6-l2-1" / "model.onnx").is_file()


def test_json_is_exactly_one_document(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "sweep", net, "-o", tmp_path / "out", *QUICK, "--budgets", "0.6", "--json")
    data = json.loads(ran.out)
    assert data["rows"][0]["candidate"]["budget"] == "macs=0.6"
    assert data["rows"][0]["timing"]["engines"][1]["faster_cpu"]["median"] > 0


def test_a_sweep_that_made_nothing_is_exit_code_1(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "sweep", net, "-o", tmp_path / "out", *QUICK, "--budgets", "0.0001")
    assert ran.code == 1
    assert "cannot be met" in " ".join(ran.out.split())


def test_scores_with_options_are_told_apart_from_lists(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = ("--scores", "dfpc{normalize=mean}, l1", "--duration", "0", "--budgets", "0.6")
    ran = run(capsys, "sweep", net, "-o", tmp_path / "out", *scores, "--json")
    assert ran.code == 0, ran.err
    assert [row["candidate"]["score"] for row in json.loads(ran.out)["rows"]] == [
        "dfpc{normalize=mean}",
        "l1",
    ]


@pytest.mark.parametrize("options", [("--budgets", "half"), ("--aligns", "1.5"), ("--report", "r.md")])
def test_a_wrong_option_is_exit_code_2_and_makes_nothing(
    options: tuple[str, str], net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "sweep", net, "-o", tmp_path / "out", *options)
    assert ran.code == 2
    assert options[1] in ran.err
    assert files(tmp_path) == {"net.onnx"}


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_killed_sweep_leaves_a_usable_folder_and_continues(
    number: signal.Signals, code: int, net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("sweep", net, "-o", str(tmp_path / "out"), *QUICK, "--budgets", "0.8,0.6")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "second\n"
        child.send_signal(number)
        _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert "Traceback" not in said
    assert (tmp_path / "out" / "macs-0.8-l2-1" / "model.onnx").is_file()
    ran = run(capsys, *args, "-v")
    assert ran.code == 0, ran.err
    assert "pruning 1 of 2 candidates" in ran.err


@pytest.mark.parametrize("suffix", ["html", "png", "pdf"])
def test_analyze_draws_what_prune_draws(
    suffix: str, net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if suffix != "html":
        pytest.importorskip("matplotlib")
    report = tmp_path / f"r.{suffix}"
    assert run(capsys, "analyze", net, "--report", report).code == 0
    out = ("-o", tmp_path / "o.onnx", "--score", "l2")
    pruned = tmp_path / f"p.{suffix}"
    assert run(capsys, "prune", net, *out, "--report", pruned).code == 0
    magic = {"html": b"<!doctype html>", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix]
    assert report.read_bytes().startswith(magic)
    assert pruned.read_bytes().startswith(magic)
    assert files(tmp_path) == {"net.onnx", "o.onnx", report.name, pruned.name}
