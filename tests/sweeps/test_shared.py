"""Options that all candidates of a sweep share: they reach every prune, the journal knows them, and they travel."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prunepass as pp
from prunepass.passes.policies import Uniform
from prunepass.sweeps import page_of_sweep
from prunepass.sweeps._shared import Shared
from tests.cli import nets
from tests.cli.tools import files, run

pytest.importorskip("onnxruntime")
QUICK: dict[str, Any] = {"budgets": (0.6,), "scores": ("l2",), "duration": 0.0}
KEY = "macs-0.6-l2-1"


def widest(model: Any) -> float:
    """The channels of a model's weights: something that a cut changes."""
    return float(sum(value.shape[0] for value in model.graph.initializers.values()))


def nothing(model: Any) -> None:
    return None


@dataclass(frozen=True)
class Samples:
    """Batches of the same samples, cut and ordered as asked."""

    batch: int = 4
    turned: bool = False
    scale: float = 1.0

    def __call__(self) -> Any:
        found = np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32) * self.scale
        ordered = found[::-1].copy() if self.turned else found
        return [ordered[at : at + self.batch] for at in range(0, 8, self.batch)]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return Path(nets.save(tmp_path / "net.onnx"))


def plan(folder: Path) -> pp.Plan:
    return pp.Plan.load(folder / KEY / "plan.json")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_candidate_gets_them(net: Path, tmp_path: Path, workers: int) -> None:
    task = pp.task_of(Samples(), evaluate=widest)
    found = pp.sweep(
        net,
        tmp_path / "out",
        **{**QUICK, "budgets": (0.6, 0.7), "scores": ("wanda",)},
        policy=Uniform(by="class"),
        ratios={"conv0": 0.75},
        driver="once",
        task=task,
        workers=workers,
    )
    (row, other) = found.rows
    assert not row.reason and not other.reason
    made = pp.Plan.load(tmp_path / "out" / row.candidate.key / "plan.json")
    want = pp.prune(
        net, budget="macs=0.6", score="wanda", policy=Uniform(by="class"), ratios={"conv0": 0.75}, task=task
    )
    assert made == want.plan
    assert row.accuracy == widest(want.model) < (found.accuracy or 0)
    assert "function returns" in page_of_sweep(found).quality.meaning  # type: ignore[union-attr]


OTHER: dict[str, Callable[[], dict[str, Any]]] = {
    "policy": lambda: {"policy": "uniform{by=class}"},
    "repair": lambda: {"repair": "none"},
    "ratios": lambda: {"ratios": {"conv0": 0.75}},
    "driver": lambda: {"driver": "bisect{drop=5, rounds=1}", "task": pp.task_of(evaluate=widest)},
    "task": lambda: {"task": pp.task_of(Samples())},
}


@pytest.mark.parametrize("name", OTHER)
def test_figures_made_with_other_options_are_not_mixed(net: Path, tmp_path: Path, name: str) -> None:
    pp.sweep(net, tmp_path / "out", **QUICK)
    with pytest.raises(pp.UsageError, match=rf"the folder holds a sweep with .*{name}"):
        pp.sweep(net, tmp_path / "out", **QUICK, **OTHER[name]())


def setup(net: Path, **options: Any) -> Any:
    return Shared.of(options).setup(net)


def test_data_are_known_by_their_samples_whatever_the_order_and_the_batches(net: Path) -> None:
    first = setup(net, task=Samples())
    assert first == setup(net, task=Samples(batch=1)) == setup(net, task=Samples(batch=8, turned=True))
    assert first != setup(net, task=Samples(scale=2.0))
    labelled = [pp.task_of({"x": Samples(8)()[0], "target": np.full(8, kind)}) for kind in (0, 1)]
    assert setup(net, task=labelled[0]) != setup(net, task=labelled[1])


def test_functions_are_known_by_what_they_do_and_named_objects_by_their_options(net: Path) -> None:
    small, large = (pp.task_of(evaluate=f) for f in (lambda model: 1.0, lambda model: 2.0))
    assert setup(net, task=small) == setup(net, task=pp.task_of(evaluate=lambda model: 1.0))
    assert setup(net, task=small) != setup(net, task=large)
    assert setup(net, policy=Uniform(by="class")) == setup(net, policy="uniform{by=class}")
    assert setup(net, policy=Uniform(by="class")) != setup(net, policy=Uniform())


def test_the_same_options_go_on_and_the_journal_holds_nothing_of_the_machine(
    net: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "data.npz", x=Samples(8)()[0])
    options = {**QUICK, "task": pp.task_of(tmp_path / "data.npz", evaluate=widest)}
    first = pp.sweep(net, tmp_path / "out", **options)
    assert pp.sweep(net, tmp_path / "out", **options).to_json() == first.to_json()
    text = (tmp_path / "out" / "sweep.json").read_text("utf-8")
    assert str(tmp_path) not in text and "0x" not in text


def test_a_task_is_sent_without_what_was_observed(net: Path) -> None:
    task = pp.task_of(Samples())
    task.seen_on(pp.capture(net))["key"] = None  # type: ignore[assignment]
    sent = pickle.loads(pickle.dumps(task))
    assert not sent._seen and sent.data == task.data


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policy": "magic"}, "no policy 'magic'"),
        ({"policy": 5}, "policy is text or"),
        ({"driver": "magic"}, "no driver 'magic'"),
        ({"repair": "glue"}, "repair is one of"),
        ({"ratios": {"conv0": 2.0}}, "conv0=2 is not a fraction"),
        ({"task": pp.task_of([np.zeros((1, 4, 8, 8), np.float32)])}, "has shape"),
        ({"task": pp.task_of([np.full((1, 3, 8, 8), np.nan, np.float32)])}, "holds NaN"),
        ({"task": pp.task_of(evaluate=nothing)}, "evaluate returned None"),
        ({"task": pp.task_of(evaluate=lambda model: 1.0), "workers": 2}, "task cannot be sent"),
        ({"policy": lambda problem: None, "workers": 2}, "policy cannot be sent"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    net: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(pp.UsageError, match=said):
        pp.sweep(net, tmp_path / "out", **QUICK, **options)
    assert files(tmp_path) == {"net.onnx"}


def test_a_cluster_refuses_what_cannot_be_sent(net: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    lock = threading.Lock()
    task = pp.task_of(evaluate=lambda model: float(lock.locked()))
    with pytest.raises(pp.UsageError, match="task cannot be sent"):
        pp.sweep(net, tmp_path / "out", **QUICK, task=task, ray="local")
    assert files(tmp_path) == {"net.onnx"}


def test_the_command_line_has_them_too(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "data.npz", x=Samples(8)()[0])
    args = ("sweep", net, "-o", tmp_path / "out", "--budgets", "0.6,0.7", "--scores", "l2", "--duration", "0")
    args += ("--policy", "uniform{by=class}", "--ratio", "conv0=0.75", "--repair", "none", "--driver", "once")
    args += (
        "--data",
        tmp_path / "data.npz",
        "--evaluate",
        "tests.cli.plain:accuracy",
        "--workers",
        "2",
        "--json",
    )
    ran = run(capsys, *args)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["accuracy"], found["rows"][0]["accuracy"]) == (0.5, 0.5)
    assert plan(tmp_path / "out").options["policy"] == "uniform{by=class}"
    assert found["setup"]["ratios"] == {"conv0": 0.75}
    assert found["setup"]["task"].startswith("data 8 samples ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--policy", "magic"), "no policy 'magic'"),
        (("--ratio", "conv0=2"), "'conv0=2' is no ratio"),
        (("--data", "none.npz"), "there is no such file or folder"),
        (("--evaluate", "tests.cli.plain:broken"), "tests.cli.plain:broken: it failed: OSError: no disk"),
        (("--data", "tests.cli.plain:broken_batches"), "broken_batches: it failed: OSError: no disk"),
    ],
)
def test_wrong_options_on_the_command_line_leave_nothing(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    ran = run(capsys, "sweep", net, "-o", tmp_path / "out", *args)
    assert (ran.code, ran.out, files(tmp_path)) == (2, "", {"net.onnx"})
    assert said in ran.err
