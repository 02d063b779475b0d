"""Plans that somebody edited: a gate that is gone or senseless is said, and what cannot be cut is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prunepass as pp
from prunepass import Plan
from prunepass.ir import UsageError
from tests.cli import nets
from tests.cli.tools import Ran, run


@pytest.fixture
def pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with net.onnx, out.onnx and p.json."""
    net = nets.save(tmp_path / "net.onnx")
    args = ("--score", "l2", "--budget", "macs=0.6", "--align", "4", "--plan-out", tmp_path / "p.json")
    assert run(capsys, "prune", net, "-o", tmp_path / "out.onnx", *args, "--set", "floor=0.25").code == 0
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    plan = json.loads((folder / "p.json").read_text("utf-8"))
    change(plan)
    (folder / "p.json").write_text(json.dumps(plan), encoding="utf-8")


def check(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> Ran:
    against = ("--against", folder / "net.onnx", "--plan", folder / "p.json")
    return run(capsys, "check", folder / "out.onnx", *against, *more)


def test_the_plan_as_it_was_made_passes_every_gate(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = check(capsys, pruned, "--json")
    found = {one["rule"]: one["holds"] for one in json.loads(ran.out)["checks"]}
    assert (ran.code, found) == (0, dict.fromkeys(("proof", "widths", "budget", "grain", "floor"), True))


SENSELESS = {
    "align": (-1, 0, 2.5, "wide", True, [4]),
    "budget": (0.6, "macs=-1", "macs=7", "macs", "", ["macs=0.6"]),
    "grain": ({"window": "wide"}, {"window": -8}, {"window": 0}, [8], "window:8"),
    "minimum": (-4, "few", 1.5),
    "floor": (-0.5, 2, "low"),
    "mode": (3,),
    "threads": (0, -1, "all", 0.5),
    "backend": (7,),
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, values in SENSELESS.items() for v in values])
def test_options_that_make_no_sense_are_named(
    name: str, value: object, pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(pruned, lambda plan: plan["options"].update({name: value}))
    ran = check(capsys, pruned)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("prunepass: error: [usage] ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(("name", "rule"), [("align", "grain"), ("budget", "budget")])
def test_a_gate_that_is_gone_from_the_plan_fails(
    name: str, rule: str, pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(pruned, lambda plan: plan["options"].pop(name))
    ran = check(capsys, pruned, "--json")
    failed = [one["rule"] for one in json.loads(ran.out)["checks"] if not one["holds"]]
    assert (ran.code, failed) == (1, [rule])
    assert f"error: [{rule}] the plan " in ran.err
    for left in ({}, {name: None}):
        edit(pruned, lambda plan, left=left: plan.update(options=left))
        assert check(capsys, pruned).code == 1


def test_the_floor_that_the_plan_was_made_with_holds(
    pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(pruned, lambda plan: plan["options"].update(floor=0.99))
    ran = check(capsys, pruned)
    assert ran.code == 1
    assert "error: [floor] " in ran.err and "of 16 channels, the floor is 0.99" in ran.err


def _first(plan: dict[str, Any]) -> dict[str, Any]:
    cut: dict[str, Any] = next(iter(plan["cuts"].values()))
    return cut


IMPOSSIBLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a channel beyond every size": lambda plan: _first(plan).update(remove=[0, 2**70]),
    "a negative channel": lambda plan: _first(plan).update(remove=[-1]),
    "a channel that is not there": lambda plan: _first(plan).update(remove=[99]),
    "one channel twice": lambda plan: _first(plan).update(remove=[1, 1]),
    "every channel": lambda plan: _first(plan).update(remove=list(range(16))),
    "a group of another size": lambda plan: _first(plan).update(size=2**40),
    "a group without a size": lambda plan: _first(plan).update(size=0),
    "no such group": lambda plan: plan["cuts"].update(nowhere={"size": 4, "remove": [0]}),
    "a pin of nothing": lambda plan: plan.update(pins=[["nowhere", 0, "because"]]),
    "a pin of an axis that is not there": lambda plan: plan.update(pins=[["w0", 9, "because"]]),
    "a negative axis": lambda plan: plan.update(pins=[["w0", -1, "because"]]),
    "a tie of nothing": lambda plan: plan.update(ties=[["w0", 0, "nowhere", 0, "because"]]),
    "a shift of nothing": lambda plan: plan.update(shifts={"nowhere": [1.0]}),
    "a shift of another size": lambda plan: plan.update(shifts={"b0": [1.0]}),
    "lists in lists": lambda plan: plan.update(options={"x": _nested(5000)}),
}


def _nested(depth: int) -> Any:
    inner: Any = 0
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_plan_that_cannot_be_carried_out_is_a_wrong_plan(
    case: str, pruned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # to write what is nested that deeply
    try:
        edit(pruned, IMPOSSIBLE[case])
    finally:
        sys.setrecursionlimit(limit)
    for ran in (
        check(capsys, pruned),
        run(capsys, "apply", pruned / "p.json", pruned / "net.onnx", "-o", pruned / "new.onnx"),
    ):
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert ran.err.startswith("prunepass: error: [usage] ")
    with pytest.raises(UsageError):
        pp.apply(Plan.load(pruned / "p.json"), pruned / "net.onnx")
    assert not (pruned / "new.onnx").exists()
