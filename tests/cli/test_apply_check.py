"""``apply`` replays a plan with the same bytes; ``check`` is the gate that fails when a promise does not hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

import prunepass
from prunepass import Plan
from prunepass.passes import Tensors
from tests.cli import nets
from tests.cli.tools import files, run


@pytest.fixture
def pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with net.onnx, out.onnx and p.json."""
    net = nets.save(tmp_path / "net.onnx")
    args = ("--score", "l2", "--budget", "macs=0.6", "--align", "4", "--plan-out", tmp_path / "p.json")
    assert run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *args).code == 0
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], folder: Path, out: str = "out.onnx", *more: str | Path) -> Any:
    return run(
        capsys, "check", folder / out, "--against", folder / "net.onnx", "--plan", folder / "p.json", *more
    )


def test_apply_gives_the_bytes_that_prune_gave_every_time(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.onnx", "b.onnx"):
        ran = run(capsys, "apply", pruned / "p.json", pruned / "net.onnx", "-o", pruned / name)
        assert ran.code == 0, ran.err
    first = (pruned / "a.onnx").read_bytes()
    assert first == (pruned / "b.onnx").read_bytes() == (pruned / "out.onnx").read_bytes()


def test_apply_names_the_plan_and_the_model_in_the_depfile(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("-o", pruned / "a.onnx", "--depfile", pruned / "a.d")
    assert run(capsys, "apply", pruned / "p.json", pruned / "net.onnx", *args).code == 0
    text = (pruned / "a.d").read_text("utf-8")
    target, *needs = text.split(" \\\n ")
    assert target == f"{pruned / 'a.onnx'}:"
    assert needs == [prunepass.__file__, str(pruned / "p.json"), f"{pruned / 'net.onnx'}\n"]


def test_the_depfile_names_weights_in_files_of_their_own(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = pruned / "outside.onnx"
    onnx.save(
        nets.classifier(), outside, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    args = ("-o", pruned / "a.onnx", "--depfile", pruned / "a.d")
    ran = run(capsys, "apply", pruned / "p.json", outside, *args)
    assert ran.code == 0, ran.err
    assert str(pruned / "weights.bin") in (pruned / "a.d").read_text("utf-8")
    assert {"a.onnx", "a.onnx.data"} <= files(pruned)


def test_check_passes_what_prune_made(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = check(capsys, pruned, "out.onnx", "--json", "--sarif", pruned / "s.json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["passed"]
    assert {one["rule"] for one in found["checks"]} == {"proof", "widths", "budget", "grain"}
    assert json.loads((pruned / "s.json").read_text("utf-8"))["runs"][0]["results"] == []


def test_check_fails_a_model_that_computes_something_else(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = onnx.load(pruned / "out.onnx")
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name == "b1")
    changed = onnx.numpy_helper.to_array(bias) + np.float32(0.5)
    bias.CopyFrom(onnx.numpy_helper.from_array(changed, "b1"))
    nets.save(pruned / "bent.onnx", proto)
    ran = check(capsys, pruned, "bent.onnx", "--sarif", pruned / "s.json")
    assert ran.code == 1
    assert "error: [proof]" in ran.err
    run_ = json.loads((pruned / "s.json").read_text("utf-8"))["runs"][0]
    (result,) = run_["results"]
    assert (result["ruleId"], result["level"]) == ("proof", "error")
    assert run_["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "proof"
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "bent.onnx"


def test_check_fails_the_unpruned_model_by_group_and_budget(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = check(capsys, pruned, "net.onnx", "--json")
    assert ran.code == 1
    failed = [one for one in json.loads(ran.out)["checks"] if not one["holds"]]
    cuts = Plan.load(pruned / "p.json").cuts
    assert {one["where"] for one in failed if one["rule"] == "widths"} == set(cuts)
    assert [one["text"] for one in failed if one["rule"] == "budget"] == ["macs=1.0000 of macs=0.6"]


def test_check_fails_widths_off_the_grain(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = json.loads((pruned / "p.json").read_text("utf-8"))
    name, cut = next(iter(plan["cuts"].items()))
    cut["remove"] = cut["remove"][1:]
    (pruned / "p.json").write_text(json.dumps(plan), encoding="utf-8")
    run(capsys, "apply", pruned / "p.json", pruned / "net.onnx", "-o", pruned / "odd.onnx")
    ran = check(capsys, pruned, "odd.onnx")
    assert ran.code == 1
    assert f"error: [grain] {name}: keeps " in ran.err


def test_check_measures_where_a_backend_is_named(
    pruned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunepass import measure

    monkeypatch.setattr(
        "prunepass.measure._clock.compare", lambda models, **options: _compared(measure, faster=0.8)
    )
    ran = check(capsys, pruned, "out.onnx", "--backend", "onnxruntime")
    assert ran.code == 1
    assert "error: [speed] 0.80x as fast" in ran.err


def _compared(measure: Any, faster: float) -> Any:
    stats = measure.statistics([0.001])
    ratio = measure.Ratio(faster, faster, faster)
    first = measure.Measurement("original", 1.0, stats, stats)
    second = measure.Measurement("pruned", 1.0, stats, stats, ratio, ratio)
    return measure.Comparison("onnxruntime", "1", 1, 1, (first, second))


def test_a_check_that_cannot_be_made_is_no_failed_gate(
    pruned: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (pruned / "broken.onnx").write_bytes(b"")
    assert check(capsys, pruned, "broken.onnx", "--sarif", pruned / "s.json").code == 3
    assert check(capsys, pruned, "missing.onnx").code == 2
    plan = json.loads((pruned / "p.json").read_text("utf-8"))
    (pruned / "p.json").write_text(json.dumps({**plan, "fingerprint": "0"}), encoding="utf-8")
    ran = check(capsys, pruned)
    assert (ran.code, "the plan was made for another model" in ran.err) == (2, True)
    assert "s.json" not in files(pruned)


def test_the_tensors_of_a_plan_are_an_input_of_every_command_that_reads_it(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan.load(pruned / "p.json")
    weight = next(iter(onnx.load(pruned / "net.onnx").graph.initializer))
    data = onnx.numpy_helper.to_array(weight)
    tensors = Tensors({weight.name: np.full_like(data, 0.25)})
    msgspec.structs.replace(plan, tensors=tensors).save(pruned / "p.json")
    (beside,) = pruned.glob("*.safetensors")
    args = (
        "apply",
        pruned / "p.json",
        pruned / "net.onnx",
        "-o",
        pruned / "a.onnx",
        "--depfile",
        pruned / "a.d",
    )
    assert run(capsys, *args).code == 0
    assert str(beside) in (pruned / "a.d").read_text("utf-8")
    assert check(capsys, pruned, "a.onnx").code == 0
    assert check(capsys, pruned, "out.onnx").code == 1, "it has other weights"
    assert check(capsys, pruned, "a.onnx", "--sarif", beside).code == 2
    beside.unlink()
    before = (pruned / "a.onnx").read_bytes()
    for ran in (run(capsys, *args), check(capsys, pruned, "a.onnx")):
        assert ran.code == 2 and "the tensors of the plan cannot be read" in ran.err
    assert (pruned / "a.onnx").read_bytes() == before
