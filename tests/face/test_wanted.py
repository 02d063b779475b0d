"""Options of ``prune`` from Python: what has another type is refused before any work, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import prunepass as pp
from tests.cli import nets

WRONG: list[tuple[str, Any]] = [
    ("budget", 1),
    ("budget", None),
    ("budget", {"macs": 0.5}),
    ("score", ["l1", "l2"]),
    ("score", pp.passes.scores.L2),
    ("align", "8"),
    ("align", 8.0),
    ("align", True),
    ("ratios", "conv0=0.5"),
    ("ratios", {"conv0": "half"}),
    ("ratios", [("conv0", 0.5)]),
    ("policy", 5),
    ("policy", dict),
    ("driver", ["once"]),
    ("repair", True),
    ("repair", "glue"),
    ("free", "output"),
    ("keep", "conv0"),
    ("keep", [0]),
    ("keep", None),
    ("floor", "half"),
    ("mode", 3),
    ("compensate", "no"),
    ("inplace", "no"),
    ("form", 5),
    ("pipeline", 5),
    ("pipeline", ["couple", "cut"]),
    ("target", 5),
    ("backend", 5),
    ("backend", object()),
    ("threads", "two"),
    ("observers", None),
    ("observers", [5]),
]


@pytest.fixture
def net(tmp_path: Path) -> str:
    return nets.save(tmp_path / "net.onnx")


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_option_of_another_type_is_named_with_what_it_can_be(net: str, name: str, value: Any) -> None:
    with pytest.raises(pp.UsageError, match=rf"^{name} is "):
        pp.prune(net, **{"score": "l2", name: value})


def test_a_plan_is_no_file_name(net: str) -> None:
    for call in (lambda: pp.apply("p.json", net), lambda: pp.verify(net, net, {})):  # type: ignore[arg-type]
        with pytest.raises(pp.UsageError, match="is no plan"):
            call()


def test_example_inputs_of_nothing_but_nan_prove_nothing(net: str) -> None:
    with pytest.raises(pp.ModelError, match="is NaN throughout on the example inputs"):
        pp.prune(net, {"x": np.full((1, 3, 8, 8), np.nan, np.float32)}, score="l2")


def test_a_numpy_integer_is_a_whole_number(net: str) -> None:
    plan = pp.prune(net, score="l2", align=np.int64(8)).plan  # type: ignore[arg-type]
    assert plan == pp.prune(net, score="l2", align=8).plan


def test_an_alignment_of_nothing_is_refused(net: str) -> None:
    with pytest.raises(pp.UsageError, match="align 0 must be at least 1"):
        pp.prune(net, score="l2", align=0)


@pytest.mark.parametrize("given", [None, 5, b"x", ["a"]])
def test_what_is_no_path_is_said_to_be_none(net: str, given: Any) -> None:
    plan = pp.prune(net, score="l2").plan
    for call in (plan.save, pp.Plan.load, lambda folder: pp.sweep(net, folder)):
        with pytest.raises(pp.UsageError, match="is no path"):
            call(given)


@pytest.mark.parametrize("keep", [None, 5, "conv0", [0]])
def test_analyze_takes_names_to_keep_in_a_list(net: str, keep: Any) -> None:
    with pytest.raises(pp.UsageError, match=r"^keep is a list of names"):
        pp.analyze(pp.capture(net), keep=keep)


def test_a_model_of_other_inputs_or_outputs_is_not_the_pruned_one(net: str, tmp_path: Path) -> None:
    plan = pp.prune(net, score="l2").plan
    for renamed, message in (
        ("x", "has inputs of its own: \\['other'\\]"),
        ("y", "lacks the outputs \\['y'\\]"),
    ):
        model = onnx.load(net)
        for named in (*model.graph.input, *model.graph.output):
            named.name = "other" if named.name == renamed else named.name
        for node in model.graph.node:
            node.input[:] = ["other" if name == renamed else name for name in node.input]
            node.output[:] = ["other" if name == renamed else name for name in node.output]
        onnx.save(model, tmp_path / "other.onnx")
        with pytest.raises(pp.VerificationError, match=message):
            pp.verify(net, tmp_path / "other.onnx", plan)
