"""Models that are damaged: the documented exit code, a message that names the file, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import nets
from tests.cli.tools import files, run

COMMANDS = {
    "analyze": ("analyze", "{model}"),
    "prune": ("prune", "{model}", "-o", "{folder}/out.onnx", "--plan-out", "{folder}/p.json"),
}
# analyze reads no weights, so it has nothing to say of their values.
CASES = [
    (command, damage)
    for command in COMMANDS
    for damage in nets.DAMAGED
    if (command, damage) != ("analyze", "weights that are not finite")
]


@pytest.mark.parametrize(("command", "damage"), CASES)
def test_a_damaged_model_is_exit_code_3(
    command: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(nets.DAMAGED[damage]())
    args = [part.format(model=broken, folder=tmp_path) for part in COMMANDS[command]]
    ran = run(capsys, *args)
    assert (ran.code, ran.out) == (3, "")
    assert ": error: [" in ran.err
    assert "Traceback" not in ran.err
    assert files(tmp_path) == {"broken.onnx"}


@pytest.mark.parametrize("damage", ["empty file", "random bytes", "truncated"])
def test_engines_refuse_a_damaged_model_too(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(nets.DAMAGED[damage]())
    for args in (("build", broken, "-o", tmp_path / "engine"), ("bench", broken)):
        ran = run(capsys, *args, "--backend", "onnxruntime")
        assert (ran.code, ran.out) == (3, "")
        assert "error: [model]" in ran.err
    assert files(tmp_path) == {"broken.onnx"}


def test_a_message_names_the_file_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.onnx"
    empty.touch()
    ran = run(capsys, "analyze", empty)
    assert ran.err.startswith("prunepass: error: [model] ")
    assert f"{empty}: the file is empty (" in ran.err


def test_a_missing_file_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.onnx"
    for args in (("analyze", missing), ("prune", missing, "-o", tmp_path / "o.onnx"), ("bench", missing)):
        backend = ("--backend", "onnxruntime") if args[0] == "bench" else ()
        ran = run(capsys, *args, *backend)
        assert (ran.code, ran.out) == (2, "")
        assert f"{missing}: there is no such file" in ran.err
    assert files(tmp_path) == set()


def test_a_model_without_any_work_meets_every_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nets.save(tmp_path / "none.onnx", nets.nothing_in_it())
    assert run(capsys, "analyze", model).code == 0
    ran = run(capsys, "prune", model, "-o", tmp_path / "out.onnx", "--score", "l2")
    assert ran.code == 0, ran.err
    assert files(tmp_path) == {"none.onnx", "out.onnx"}


def test_nothing_to_prune_fails_the_budget_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nets.save(tmp_path / "one.onnx", nets.nothing_to_prune())
    ran = run(capsys, "prune", model, "-o", tmp_path / "out.onnx")
    assert ran.code == 1
    assert "error: [budget]" in ran.err
    assert "nothing can be pruned" in ran.err
    assert files(tmp_path) == {"one.onnx"}


def test_a_budget_that_cannot_be_met_says_how_near_it_gets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "prune", model, "-o", tmp_path / "out.onnx", "--budget", "macs=0.0001", "--align", "8")
    assert ran.code == 1
    assert "error: [budget]" in ran.err
    assert "the nearest is macs=0." in ran.err
    assert files(tmp_path) == {"net.onnx"}
