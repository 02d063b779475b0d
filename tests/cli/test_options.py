"""Options of ``prune`` that have a spelling of their own on the command line and in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunepass import UsageError
from prunepass._options import Options
from prunepass._prune import pipeline_of
from prunepass.cli._imported import Code
from prunepass.cli._settings import settings
from prunepass.cli._task import task_files, with_task
from tests.cli import nets
from tests.cli.tools import files, run

WRITTEN = {
    "command line": ("", ("--ratio", "conv0=0.25", "--ratio", "conv1=0.5")),
    "file": ("[ratios]\nconv0 = 0.25\nconv1 = 0.5\n", ()),
    "file and set": ("[ratios]\nconv0 = 0.75\n", ("--set", "ratios.conv0=0.25", "--set", "ratios.conv1=0.5")),
    "set over flag": ("", ("--ratio", "conv0=0.25", "--set", "ratios.conv1=0.5")),
}


@pytest.mark.parametrize("place", WRITTEN)
def test_ratios_are_the_same_from_everywhere(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, args = WRITTEN[place]
    net, config, plan = nets.save(tmp_path / "net.onnx"), tmp_path / "c.toml", tmp_path / "p.json"
    config.write_text(f"score = 'l2'\nbudget = 'macs=1'\n{text}", encoding="utf-8")
    out = ("-o", tmp_path / "o.onnx", "--plan-out", plan, "--config", config)
    ran = run(capsys, "prune", net, *out, *args)
    assert ran.code == 0, ran.err
    cuts = json.loads(plan.read_text("utf-8"))["cuts"]
    assert {name: len(cut["remove"]) for name, cut in cuts.items()} == {"conv0": 12, "conv1": 8}


def test_outputs_are_freed_from_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    shown = [run(capsys, "analyze", net, "--json", *args).out for args in ((), ("--free", "output"))]
    prunable = [{g["name"] for g in json.loads(text)["groups"] if g["prunable"]} for text in shown]
    assert prunable[0] < prunable[1]
    plans = []
    for at, args in enumerate((("--free", "y"), ("--set", "free=['output']"))):
        plan = tmp_path / f"{at}.json"
        out = ("-o", tmp_path / f"{at}.onnx", "--plan-out", plan)
        ran = run(capsys, "prune", net, *out, "--score", "l2", "--budget", "channels=0.5", *args)
        assert ran.code == 0, ran.err
        plans.append(plan.read_bytes())
    assert plans[0] == plans[1] and set(json.loads(plans[0])["cuts"]) & (prunable[1] - prunable[0])


@pytest.mark.parametrize("text", ["conv0", "=0.5", "conv0=half", "conv0=0", "conv0=2"])
def test_what_is_no_ratio_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", "--ratio", text)
    assert (ran.code, files(tmp_path)) == (2, {"net.onnx"})


def test_a_pattern_may_hold_points_underscores_and_signs(tmp_path: Path) -> None:
    found = settings(None, {"ratios": ("layer_1.*=0.5", "a=b=0.25")}, ["ratios.net_2.x=0.75"])
    assert found.ratios == {"layer_1.*": 0.5, "a=b": 0.25, "net_2.x": 0.75}


def test_names_with_options_are_text_or_a_table(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        "driver = 'iterate{step=0.1}'\n[policy]\nname = 'uniform'\nby = 'class'\n", encoding="utf-8"
    )
    found = settings(str(config), {}, ["driver.drop=0.01", "free=['output']"])
    assert (found.policy, found.driver) == ("uniform{by=class}", "iterate{step=0.1, drop=0.01}")
    assert (found.free, found.repair) == (("output",), None)
    with pytest.raises(UsageError, match="lacks 'name'"):
        settings(None, {}, ["policy.by=class"])
    for wrong in ("repair=glue", "floor=2", "align=0", "free=output"):
        with pytest.raises(UsageError):
            settings(None, {}, [wrong])


def test_a_score_of_a_table_that_names_none_is_auto() -> None:
    with pytest.raises(UsageError, match="lacks 'metric'"):
        settings(None, {}, ["score.normalize=mean"])


@pytest.mark.parametrize(
    ("assignment", "repaired"),
    [
        ("repair=none", False),
        ("compensate=false", False),
        ("repair=compensate", True),
        ("compensate=true", True),
    ],
)
def test_repair_and_compensate_are_two_names(assignment: str, repaired: bool) -> None:
    assert ("compensate" in str(pipeline_of(settings(None, {}, [assignment])))) is repaired


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("--policy", "magic"), "there is no policy 'magic'"),
        (("--driver", "magic"), "there is no driver 'magic'"),
        (("--free", "nothing"), "'nothing'"),
        (("--repair", "glue"), "'glue' is not one of"),
        (("--data", "none.npz"), "none.npz: there is no such file or folder"),
        (("--data", "tests.cli.plain:nothing"), "there is no 'nothing' in it"),
        (("--evaluate", "5"), "5: it names no function"),
        (("--evaluate", "no_such_module:f"), "cannot be imported"),
        (("--evaluate", "tests.cli.plain:COUNT"), "is a int and not callable"),
        (("--policy", "p", "--pipeline", "couple"), "exclude each other"),
        (("--policy", "uniform{of=class}"), "'uniform' has no option of"),
        (("--policy", "uniform{by=size}"), "not by 'size'"),
        (("--driver", "iterate{step=2}"), "step 2 must be in (0, 1]"),
        (("--driver", "iterate{tune=maybe}"), "option tune=maybe of 'iterate' is no bool"),
        (("--driver", "iterate", "--evaluate", "tests.cli.plain:accuracy"), "driver 'iterate' needs tune"),
        (("--driver", "bisect{drop=0.1}"), "needs evaluate"),
        (("--driver", "bisect{drop=0.1}", "--evaluate", "tests.cli.plain:batches"), "it failed: TypeError"),
        (
            ("--driver", "bisect{drop=0.1}", "--evaluate", "tests.cli.plain:nothing_said"),
            "evaluate returned None",
        ),
        (
            ("--driver", "bisect{drop=0.1}", "--evaluate", "tests.cli.plain:broken"),
            "plain:broken: it failed: OSError",
        ),
        (
            ("--score", "wanda", "--data", "tests.cli.plain:broken_batches"),
            "broken_batches: it failed: OSError",
        ),
        (("--score", "wanda"), "needs data"),
        (("--ratio", "conv0"), "'conv0' is no ratio"),
        (("--ratio", "conv0=x"), "'conv0=x' is no ratio"),
        (("--ratio", "conv0=nan"), "'conv0=nan' is no ratio"),
        (("--ratio", "conv0=0"), "'conv0=0' is no ratio"),
        (("--ratio", "conv0=0.5", "--ratio", "conv0=0.6"), "'conv0' has two ratios, 0.5 and 0.6"),
        (("--ratio", "nowhere=0.5"), "no prunable group 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    args: tuple[str, ...], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    ran = run(capsys, "prune", net, "-o", tmp_path / "o.onnx", *args)
    assert (ran.code, ran.out, files(tmp_path)) == (2, "", {"net.onnx"})
    assert what in ran.err


def test_what_evaluate_gives_of_original_and_result_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    args = ("prune", net, "--dry-run", "--score", "l2", "--evaluate", "tests.cli.plain:parameters")
    told = json.loads(run(capsys, *args, "--json").out)
    assert told["evaluation"]["after"] == told["after"]["params"] < told["before"]["params"]
    assert told["evaluation"]["before"] == told["before"]["params"]
    shown = run(capsys, *args)
    assert shown.code == 0 and "evaluate" in shown.out
    assert "evaluation" not in json.loads(run(capsys, *args[:-2], "--json").out)


def test_a_driver_that_trains_is_reached_from_flags_and_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    task = {"evaluate": "tests.cli.plain:accuracy", "tune": "tests.cli.plain:trained"}
    driver = "iterate{step=0.5}"
    (tmp_path / "c.toml").write_text(
        "".join(f'{key} = "{value}"\n' for key, value in {**task, "driver": driver}.items())
    )
    flags = [part for key, value in task.items() for part in (f"--{key}", value)]
    for args in ((*flags, "--driver", driver), ("--config", tmp_path / "c.toml")):
        ran = run(capsys, "prune", net, "--dry-run", "--json", "--score", "l2", *args)
        assert ran.code == 0, ran.err
        told = json.loads(ran.out)
        assert told["evaluation"] == {"before": 0.5, "after": 0.5} and told["rounds"]


@pytest.mark.parametrize("part", ["evaluate", "tune", "loss"])
def test_functions_of_a_task_are_checked_before_any_work(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    for name, what in (("5", "it names no function"), ("tests.cli.plain:COUNT", "not callable")):
        ran = run(capsys, "prune", net, "--dry-run", f"--{part}", name)
        assert ran.code == 2 and what in ran.err
    asked = with_task(Options(**{part: "tests.cli.plain:accuracy"}))
    assert asked.task == {part: Code("tests.cli.plain:accuracy")}


def test_a_function_gives_any_data_that_a_file_could_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nets.save(tmp_path / "net.onnx")
    for function in ("by_name", "batches"):
        args = ("--score", "wanda", "--data", f"tests.cli.plain:{function}", "--dry-run")
        ran = run(capsys, "prune", net, *args)
        assert ran.code == 0, ran.err


BAD_DATA: dict[str, tuple[Any, str]] = {
    "no sample": (np.zeros((0, 3, 8, 8), np.float32), "the data hold no batches"),
    "not a number": (np.full((2, 3, 8, 8), np.nan, np.float32), "holds NaN"),
    "another size": (np.zeros((2, 3, 9, 9), np.float32), "has shape (2, 3, 9, 9)"),
    "objects": (np.array([{}], dtype=object), "d.npy: it cannot be read"),
    "an empty folder": (None, "there are no images in it"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_are_one_error_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    net, (data, said) = nets.save(tmp_path / "net.onnx"), BAD_DATA[kind]
    if data is None:
        (tmp_path / "d.npy").mkdir()
    else:
        np.save(tmp_path / "d.npy", data, allow_pickle=True)
    outputs = ("-o", tmp_path / "o.onnx", "--plan-out", tmp_path / "p.json")
    ran = run(capsys, "prune", net, *outputs, "--score", "wanda", "--data", tmp_path / "d.npy")
    assert (ran.code, ran.out, files(tmp_path)) == (2, "", {"net.onnx", "d.npy"})
    assert said in ran.err and ran.err.count("error:") == 1


def test_a_task_is_made_of_files_and_functions(tmp_path: Path) -> None:
    from tests.cli import plain

    (tmp_path / "x.npy").write_bytes(b"")
    asked = Options(data=str(tmp_path / "x.npy"), evaluate="tests.cli.plain:accuracy")
    assert with_task(asked).task == {"data": tmp_path / "x.npy", "evaluate": Code("tests.cli.plain:accuracy")}
    assert list(task_files(with_task(asked))) == [tmp_path / "x.npy", Path(plain.__file__)]
    folder = Options(data=str(tmp_path))
    assert with_task(folder).task == {"data": tmp_path}
    assert list(task_files(with_task(folder))) == [tmp_path, tmp_path / "x.npy"]
    assert with_task(Options(data="tests.cli.plain:batches")).task == {
        "data": Code("tests.cli.plain:batches")
    }
    assert with_task(Options()).task is None
