"""Whole tensors of a plan on the command line: where they are written, what depends on them, and that they move."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import prunepass._prune
from prunepass import Plan, UsageError
from prunepass.passes import Tensors
from tests.cli import nets
from tests.cli.tools import Ran, files, run

SEARCH = ("--score", "l2", "--budget", "macs=0.6")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return Path(nets.save(tmp_path / "net.onnx"))


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a prune leaves a plan that holds a whole tensor, as after several rounds."""
    prune = prunepass._prune.prune

    def with_tensors(*given: Any, **options: Any) -> Any:
        result = prune(*given, **options)
        tensors = Tensors({"b1": np.full(nets.CHANNELS, 0.25, np.float32)})
        return replace(result, plan=msgspec.structs.replace(result.plan, tensors=tensors))

    monkeypatch.setattr("prunepass._prune.prune", with_tensors)


def search(capsys: pytest.CaptureFixture[str], net: Path, folder: Path, *more: str | Path) -> Ran:
    return run(capsys, "prune", net, "-o", folder / "o.onnx", "--plan-out", folder / "p.json", *SEARCH, *more)


@pytest.mark.usefixtures("whole")
def test_a_build_names_the_file_and_apply_and_check_find_it(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(capsys, net, tmp_path, "--tensors-out", tmp_path / "p.safetensors").code == 0
    assert files(tmp_path) == {"net.onnx", "o.onnx", "p.json", "p.safetensors"}
    args = ("apply", tmp_path / "p.json", net, "-o", tmp_path / "a.onnx")
    ran = run(capsys, *args, "--depfile", tmp_path / "a.d")
    assert ran.code == 0, ran.err
    assert str(tmp_path / "p.safetensors") in (tmp_path / "a.d").read_text("utf-8")
    against = ("--against", net, "--plan", tmp_path / "p.json")
    assert run(capsys, "check", tmp_path / "a.onnx", *against).code == 0
    ran = run(capsys, *args, "--depfile", tmp_path / "p.safetensors")
    assert (ran.code, "it is an input too" in ran.err) == (2, True)


@pytest.mark.usefixtures("whole")
def test_a_plan_and_its_tensors_move_together(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(capsys, net, tmp_path).code == 0
    (tensors,) = tmp_path.glob("tensors-*.safetensors")
    first, elsewhere = tmp_path / "a.onnx", tmp_path / "else where"
    assert run(capsys, "apply", tmp_path / "p.json", net, "-o", first).code == 0
    elsewhere.mkdir()
    shutil.move(tmp_path / "p.json", elsewhere / "renamed.json")
    args = (
        "apply",
        elsewhere / "renamed.json",
        net,
        "-o",
        elsewhere / "a.onnx",
        "--depfile",
        elsewhere / "a.d",
    )
    ran = run(capsys, *args)
    assert ran.code == 2 and str(elsewhere / tensors.name) in ran.err
    assert files(elsewhere) == {"renamed.json"}
    shutil.move(tensors, elsewhere)
    assert run(capsys, *args).code == 0
    assert (elsewhere / "a.onnx").read_bytes() == first.read_bytes()
    assert str(elsewhere / tensors.name).replace(" ", r"\ ") in (elsewhere / "a.d").read_text("utf-8")


def test_a_plan_without_tensors_leaves_an_empty_file_and_says_nothing_of_it(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(capsys, net, tmp_path).code == 0
    text = (tmp_path / "p.json").read_text("utf-8")
    assert search(capsys, net, tmp_path, "--tensors-out", tmp_path / "p.safetensors").code == 0
    assert (tmp_path / "p.json").read_text("utf-8") == text
    assert (tmp_path / "p.safetensors").stat().st_size < 100


def test_a_name_of_its_own_is_kept_by_no_other_plan(tmp_path: Path) -> None:
    plan = Plan(fingerprint="0", cuts={}, tensors=Tensors({"w": np.zeros(3, np.float32)}))
    plan.save(tmp_path / "p.json", tensors="mine.safetensors")
    again = Plan.load(tmp_path / "p.json")
    assert (again, again.tensors.file) == (plan, "mine.safetensors")
    (tmp_path / "other").mkdir()
    again.save(tmp_path / "other" / "p.json")
    assert files(tmp_path / "other") == {"p.json", plan.tensors.stored.file}
    with pytest.raises(UsageError, match="a plan cannot name such a file"):
        plan.save(tmp_path / "q.json", tensors="../mine.safetensors")
    assert "q.json" not in files(tmp_path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--tensors-out", "{at}/t.safetensors"), "tensors are stored beside their plan"),
        (
            ("--plan-out", "{at}/p.json", "--tensors-out", "t.safetensors"),
            "tensors are stored beside their plan",
        ),
        (("--plan-out", "{at}/p.json", "--tensors-out", "{at}/a b.safetensors"), "cannot name such a file"),
        (("--plan-out", "{at}/p.json", "--tensors-out", "{at}/p.json"), "it is another output too"),
        (("--data", "{at}/d.npy", "--plan-out", "{at}/d.npy"), "it is an input too"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], said: str
) -> None:
    np.save(tmp_path / "d.npy", np.zeros((1, 3, 8, 8), np.float32))
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", *(part.format(at=tmp_path) for part in more))
    assert (ran.code, ran.out, files(tmp_path)) == (2, "", {"net.onnx", "d.npy"})
    assert said in ran.err
