"""Latency budgets, targets and calibration on the command line; the clocks are perfect here."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from prunepass import Plan
from prunepass.ir import Graph
from tests.cli import nets
from tests.cli.tools import files, run
from tests.face import clockwork
from tests.face.clockwork import ClockworkBackend
from tests.face.staircase import staircase

PRUNE = ("--score", "l2", "--align", "4", "--backend", "clockwork")


def by_channels(graph: Graph) -> float:
    return staircase(graph, step=4, overhead=1)


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> ClockworkBackend:
    backend = ClockworkBackend(by_channels)
    monkeypatch.setattr("prunepass.measure._clock.compare", clockwork.compare)
    monkeypatch.setattr("prunepass.targets._calibrate.compare", clockwork.compare)
    monkeypatch.setattr("prunepass.measure._clock.ready", lambda name: backend)
    return backend


@pytest.fixture
def net(tmp_path: Path) -> str:
    return nets.save(tmp_path / "net.onnx")


def pruned(capsys: pytest.CaptureFixture[str], net: str, folder: Path, *more: str | Path) -> int:
    outputs = ("-o", folder / "out.onnx", "--plan-out", folder / "p.json")
    ran = run(capsys, "prune", net, *PRUNE, *outputs, "--budget", "latency=0.6", *more)
    assert ran.code == 0, ran.err
    return ran.code


def test_a_latency_budget_is_met_and_every_round_is_shown(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, *PRUNE, "-o", tmp_path / "o.onnx", "--budget", "latency=0.6")
    assert ran.code == 0, ran.err
    assert all(text in ran.out for text in ("predicted", "measured", "budget 0.6", "by cpu time"))


def test_the_json_has_what_was_measured(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "prune", net, *PRUNE, "--dry-run", "--json", "--budget", "latency=0.6")
    found = json.loads(ran.out)
    assert found["latency"]["measured"] <= 0.6
    assert found["timing"]["engines"][1]["name"] == "pruned"


def test_a_latency_budget_without_a_backend_is_a_usage_error(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", "--budget", "latency=0.6")
    assert ran.code == 2 and "--backend" in ran.err
    assert files(tmp_path) == {"net.onnx"}


def test_a_slower_model_is_not_written_unless_that_is_allowed(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: ClockworkBackend
) -> None:
    engine.time = lambda graph: 1e12 / by_channels(graph)
    args = ("prune", net, *PRUNE, "-o", tmp_path / "o.onnx", "--budget", "macs=0.6")
    ran = run(capsys, *args)
    assert ran.code == 1 and "[budget]" in ran.err and "slower" in ran.err
    assert files(tmp_path) == {"net.onnx"}
    assert run(capsys, *args, "--allow-slower").code == 0
    assert files(tmp_path) == {"net.onnx", "o.onnx"}


def test_options_come_from_the_configuration_too(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'backend = "clockwork"\nthreads = 2\nscore = "l2"\nalign = 4\n[budget]\nlatency = 0.7\n'
    )
    ran = run(
        capsys, "prune", net, "-o", tmp_path / "o.onnx", "--config", config, "--plan-out", tmp_path / "p"
    )
    assert ran.code == 0, ran.err
    options = Plan.load(tmp_path / "p").options
    assert (options["backend"], options["threads"], options["budget"]) == ("clockwork", 2, "latency=0.7")


def check(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, dict[str, object]]:
    args = (folder / "out.onnx", "--against", folder / "net.onnx", "--plan", folder / "p.json")
    ran = run(capsys, "check", *args, "--json", *more)
    assert ran.code in (0, 1), ran.err
    return {found["rule"]: found for found in json.loads(ran.out)["checks"]}


def test_check_holds_the_latency_budget_of_a_plan_by_measuring(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: ClockworkBackend
) -> None:
    pruned(capsys, net, tmp_path)
    found = check(capsys, tmp_path, "--backend", "clockwork")
    assert found["latency"]["holds"] and found["speed"]["holds"] and found["grain"]["holds"]
    engine.time = lambda graph: 1e6 + by_channels(graph)
    found = check(capsys, tmp_path, "--backend", "clockwork")
    assert found["speed"]["holds"] and not found["latency"]["holds"]
    assert "budget 0.6" in str(found["latency"]["text"])


def test_a_latency_budget_that_does_not_hold_is_in_the_sarif(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: ClockworkBackend
) -> None:
    pruned(capsys, net, tmp_path)
    engine.time = lambda graph: 1e6 + by_channels(graph)
    check(capsys, tmp_path, "--backend", "clockwork", "--sarif", str(tmp_path / "f.sarif"))
    (ran,) = json.loads((tmp_path / "f.sarif").read_text("utf-8"))["runs"]
    assert [result["ruleId"] for result in ran["results"]] == ["latency"]


def test_a_slack_of_the_margin_is_allowed_for_measuring_again(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: ClockworkBackend
) -> None:
    pruned(capsys, net, tmp_path)
    plan = json.loads((tmp_path / "p.json").read_text("utf-8"))
    engines = [engine.build(onnx.load(tmp_path / name)).seconds for name in ("net.onnx", "out.onnx")]
    for slack, holds in ((1.02, True), (1.04, False)):
        plan["options"]["budget"] = f"latency={engines[1] / engines[0] / slack}"
        (tmp_path / "p.json").write_text(json.dumps(plan), encoding="utf-8")
        assert check(capsys, tmp_path, "--backend", "clockwork")["latency"]["holds"] is holds


def test_check_without_a_backend_says_that_the_budget_is_measured(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pruned(capsys, net, tmp_path)
    found = check(capsys, tmp_path)
    assert found["budget"]["holds"] and "--backend" in str(found["budget"]["text"])
    assert "latency" not in found


def test_calibrate_writes_a_target_that_prune_takes(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, options = (
        tmp_path / "t.toml",
        ("--backend", "clockwork", "--quick", "--cache", tmp_path / "cache"),
    )
    ran = run(capsys, "calibrate", net, *options, "-o", target)
    assert ran.code == 0, ran.err
    assert "layers on clockwork 1.0" in ran.out
    first = target.read_bytes()
    assert run(capsys, "calibrate", net, *options, "-o", target).code == 0
    assert target.read_bytes() == first
    args = ("--budget", "macs=0.6", "--score", "l2", "--target", target, "--plan-out", tmp_path / "p.json")
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", *args)
    assert ran.code == 0, ran.err
    assert Plan.load(tmp_path / "p.json").options["target"] == "clockwork-measured"
