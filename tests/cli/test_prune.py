"""``prunepass prune``: what it writes and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from prunepass import Plan
from tests.cli import nets
from tests.cli.tools import files, run

QUICK = ("--score", "l2", "--budget", "macs=0.6")


@pytest.fixture
def net(tmp_path: Path) -> str:
    return nets.save(tmp_path / "net.onnx")


def test_all_outputs_are_written_and_nothing_else(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"-o": "out.onnx", "--plan-out": "p.json", "--report": "r.html", "--depfile": "out.d"}
    args = [part for option, name in outputs.items() for part in (option, tmp_path / name)]
    ran = run(capsys, "prune", net, *QUICK, *args)
    assert ran.code == 0, ran.err
    assert files(tmp_path) == {"net.onnx", *outputs.values()}
    small = onnx.load(tmp_path / "out.onnx")
    assert small.graph.initializer[0].dims[0] < nets.CHANNELS
    assert Plan.load(tmp_path / "p.json").options["budget"] == "macs=0.6"
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!doctype html>")
    assert (tmp_path / "out.d").read_text("utf-8").endswith(f"__init__.py \\\n {net}\n")
    assert "macs" in ran.out
    assert "values equal" in ran.out


def test_dry_run_does_the_work_but_writes_nothing(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *QUICK, "--dry-run")
    assert (ran.code, files(tmp_path)) == (0, {"net.onnx"})
    assert "macs" in ran.out


def test_json_is_exactly_one_document_on_stdout(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *QUICK, "--json")
    report = json.loads(ran.out)
    assert report["after"]["macs"] <= 0.6 * report["before"]["macs"]


def test_quiet_says_nothing_when_all_is_well(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *QUICK, "-q")
    assert ran == (0, "", "")


@pytest.mark.parametrize("suffix", ["json", "html", "md"])
def test_the_report_has_the_form_that_its_name_says(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    report = tmp_path / f"r.{suffix}"
    assert run(capsys, "prune", net, "-o", tmp_path / "o.onnx", *QUICK, "--report", report).code == 0
    text = report.read_text("utf-8")
    assert text.startswith({"json": "{", "html": "<!doctype html>", "md": "| "}[suffix])
    assert "conv0" in text


def test_an_output_that_would_not_change_is_left_as_it_is(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plan = tmp_path / "out.onnx", tmp_path / "p.json"
    run(capsys, "prune", net, "-o", out, *QUICK, "--plan-out", plan)
    before = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in (out, plan)]
    run(capsys, "prune", net, "-o", out, *QUICK, "--plan-out", plan)
    assert before == [(file.stat().st_ino, file.stat().st_mtime_ns) for file in (out, plan)]


def test_keep_and_a_pipeline_of_ones_own_are_heeded(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "couple | score{metric=l1} | select{budget=macs=0.6, align=4} | cut | verify"
    plan = tmp_path / "p.json"
    args = ("--pipeline", text, "--keep", "conv1", "--plan-out", plan)
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *args)
    assert ran.code == 1, "conv1 reads what conv0 makes: keeping it pins both groups"
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", "--pipeline", text, "--plan-out", plan)
    assert ran.code == 0, ran.err
    cuts = Plan.load(plan).cuts.values()
    assert cuts
    assert all((cut.size - len(cut.remove)) % 4 == 0 for cut in cuts)


def test_two_prunes_give_the_same_bytes(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in "12":
        outputs = ("--plan-out", tmp_path / f"{number}.json", "--report", tmp_path / f"r{number}.json")
        run(capsys, "prune", net, "-o", tmp_path / f"{number}.onnx", *QUICK, *outputs)
    for one, other in (("1.onnx", "2.onnx"), ("1.json", "2.json"), ("r1.json", "r2.json")):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()
