"""Wrong options: exit code 2, before any work, with nothing written and a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

import prunepass
from tests.cli import nets
from tests.cli.tools import files, run

WRONG = {
    "unknown command": (("frobnicate",), "No such command"),
    "unknown option": (("prune", "{net}", "--frobnicate"), "--frobnicate"),
    "no output": (("prune", "{net}"), "-o OUT"),
    "unknown pass": (("prune", "{net}", "-o", "{out}", "--pipeline", "couple | magic"), "no pass 'magic'"),
    "unknown pass option": (("prune", "{net}", "-o", "{out}", "--pipeline", "cut{{deep=1}}"), "deep"),
    "unknown score": (("prune", "{net}", "-o", "{out}", "--score", "magic"), "no score 'magic'"),
    "unknown target": (("prune", "{net}", "-o", "{out}", "--target", "abacus"), "no target 'abacus'"),
    "unknown budget": (("prune", "{net}", "-o", "{out}", "--budget", "joules=0.5"), "joules"),
    "budget no fraction": (("prune", "{net}", "-o", "{out}", "--budget", "macs=50"), "fraction"),
    "align of nothing": (("prune", "{net}", "-o", "{out}", "--align", "0"), "--align"),
    "align and target": (
        ("prune", "{net}", "-o", "{out}", "--align", "8", "--target", "onnxruntime-x86"),
        "exclude each other",
    ),
    "pipeline and budget": (
        ("prune", "{net}", "-o", "{out}", "--pipeline", "couple", "--budget", "macs=0.5"),
        "exclude each other",
    ),
    "unknown layer to keep": (("prune", "{net}", "-o", "{out}", "--keep", "nothing"), "'nothing'"),
    "report of an unknown form": (("prune", "{net}", "-o", "{out}", "--report", "{folder}/r.doc"), ".html"),
    "output of an unknown form": (("prune", "{net}", "-o", "{folder}/out.engine"), ".onnx"),
    "output is the input": (("prune", "{net}", "-o", "{net}"), "it is an input too"),
    "two outputs are one": (("prune", "{net}", "-o", "{out}", "--depfile", "{out}"), "another output"),
    "output is a folder": (("prune", "{net}", "-o", "{folder}"), "it is a folder"),
    "no such folder": (("prune", "{net}", "-o", "{folder}/none/out.onnx"), "does not exist"),
    "folder is a file": (("prune", "{net}", "-o", "{net}/out.onnx"), "is no folder"),
    "plan cannot be written": (
        ("prune", "{net}", "-o", "{out}", "--plan-out", "{net}/p.json"),
        "is no folder",
    ),
    "set of nothing": (("prune", "{net}", "-o", "{out}", "--set", "align"), "--set key=value"),
    "set of an unknown key": (("prune", "{net}", "-o", "{out}", "--set", "speed=9"), "speed"),
    "shape in words": (("analyze", "{net}", "--shape", "x=wide"), "'x=wide' is no shape"),
    "shape of no input": (("analyze", "{net}", "--shape", "z=1,3,8,8"), "z"),
    "shape that does not fit": (("analyze", "{net}", "--shape", "x=1,4,8,8"), "'x'"),
    "model is a folder": (("analyze", "{folder}"), "it is a folder"),
    "model is a state dict": (("analyze", "{folder}/net.pth"), "no such file"),
    "no plan": (("apply", "{folder}/none.json", "{net}", "-o", "{out}"), "cannot read the plan"),
    "plan is a model": (("apply", "{net}", "{net}", "-o", "{out}"), "{net}"),
    "unknown backend": (("bench", "{net}", "--backend", "abacus"), "no backend 'abacus'"),
    "unknown backend option": (
        ("build", "{net}", "-o", "{out}", "--backend", "onnxruntime", "--set", "colour=red"),
        "colour",
    ),
    "engine cannot be written": (
        ("build", "{net}", "-o", "{net}/engine", "--backend", "onnxruntime"),
        "is no folder",
    ),
    "no model to time": (("bench", "--backend", "onnxruntime"), "MODEL"),
    "no factory": (("analyze", "no_such_module:make"), "no_such_module"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_exit_code_2(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"net": nets.save(tmp_path / "net.onnx"), "folder": tmp_path, "out": tmp_path / "out.onnx"}
    args, hint = WRONG[case]
    ran = run(capsys, *(part.format(**names) for part in args))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("prunepass: error: [usage] ")
    assert hint.format(**names) in ran.err
    assert files(tmp_path) == {"net.onnx"}


def test_an_output_that_cannot_be_written_is_known_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*args: object, **options: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("prunepass._prune.prune", work)
    net = nets.save(tmp_path / "net.onnx")
    assert run(capsys, "prune", net, "-o", f"{net}/out.onnx").code == 2
    assert run(capsys, "prune", net, "-o", tmp_path / "o.onnx", "--plan-out", f"{net}/p").code == 2


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("budget = ", "not TOML"),
        ("speed = 9", "speed"),
        ("align = 'wide'", "$.align"),
        ("[target]\nname = 'x'", "'target' takes a value"),
        ("align = 8\ntarget = 'onnxruntime-x86'", "exclude each other"),
        ("budget = 'joules=1'", "joules"),
    ],
)
def test_a_bad_configuration_is_exit_code_2(
    text: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, config = nets.save(tmp_path / "net.onnx"), tmp_path / "c.toml"
    config.write_text(text, encoding="utf-8")
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", "--config", config)
    assert ran.code == 2
    assert hint in ran.err
    assert files(tmp_path) == {"net.onnx", "c.toml"}


def test_a_missing_configuration_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "prune", net, "-o", tmp_path / "out.onnx", "--config", tmp_path / "none.toml")
    assert ran.code == 2
    assert "none.toml: cannot read the configuration" in ran.err


def test_a_plan_for_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, plan = nets.save(tmp_path / "net.onnx"), tmp_path / "p.json"
    run(capsys, "prune", net, "-o", tmp_path / "out.onnx", "--score", "l2", "--plan-out", plan)
    other = nets.save(tmp_path / "other.onnx", nets.nothing_to_prune())
    before = files(tmp_path)
    for args in (
        ("apply", plan, other, "-o", tmp_path / "new.onnx"),
        ("check", tmp_path / "out.onnx", "--against", other, "--plan", plan),
    ):
        ran = run(capsys, *args)
        assert ran.code == 2
        assert "the plan was made for another model" in ran.err
    assert files(tmp_path) == before


def test_a_fault_of_the_library_is_exit_code_70_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*args: object, **options: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("prunepass._analyze.capture", fault)
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "analyze", net)
    assert ran.code == 70
    assert ran.err.startswith("prunepass: error: [internal] KeyError: 'lost' (")
    assert "-v" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in run(capsys, "analyze", "-v", net).err


def test_a_backend_that_is_missing_is_exit_code_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "no such engine here (pip install it)"
    monkeypatch.setattr("prunepass.backends._onnxruntime.OnnxRuntime.unavailable", lambda self: reason)
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "bench", net, "--backend", "onnxruntime")
    assert ran.code == 4
    assert ran.err.startswith(f"prunepass: error: [backend] backend 'onnxruntime' is not available: {reason}")
    assert reason in run(capsys, "backends").out


def test_help_and_version_are_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"prunepass {prunepass.__version__}\n", "")
    for command in ("analyze", "prune", "apply", "check", "build", "bench", "backends", "passes", "demo"):
        ran = run(capsys, command, "--help")
        assert ran.code == 0
        assert "Usage: prunepass" in ran.out
