"""Targets: built-in ones and files, in one form."""

from __future__ import annotations

from pathlib import Path

import pytest

import prunepass as pp
from prunepass.cli._check import _grain
from prunepass.cli._promised import promised
from prunepass.targets._targets import GrainRow, LayerRow, Target, target_for, target_of, targets, to_toml
from tests.cli import nets

WHOLE = Target(
    name="mine",
    backend="onnxruntime",
    version="1.2",
    options={"threads": 2, "optimization": "all"},
    grain=(GrainRow(preferred=8, minimum=4), GrainRow(kind="window", dtype="int8", preferred=32)),
    layers={"b" * 16: LayerRow(kind="dense", widths=((8, 8), (16, 8)), microseconds=(1.5, 2.25))},
)


def written(folder: Path, text: str) -> Path:
    file = folder / "target.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("target", [WHOLE, *map(target_of, targets())], ids=lambda target: target.name)
def test_a_target_is_the_same_after_writing_and_reading(target: Target, tmp_path: Path) -> None:
    text = to_toml(target)
    assert target_of(written(tmp_path, text)) == target
    assert to_toml(target_of(written(tmp_path, text))) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('name = "x"', "missing required field `backend`"),
        ('name = "x"\nbackend = "y"\nalign = 8', "unknown field `align`"),
        ('name = "x"\nbackend = "y"\n[[grain]]\npreferred = 0', ">= 1"),
        ('name = "x"\nbackend = "y"\n[[grain]]\nkind = "conv"', "no kind of work 'conv'"),
        (
            'name = "x"\nbackend = "y"\n[layers.a]\nkind="dense"\nwidths=[[1]]\nmicroseconds=[]',
            "1 widths, 0 times",
        ),
        ('name = "x"\nbackend = "y"\nformat = 2', "format 2"),
        ("name = ", "not TOML"),
    ],
)
def test_what_is_no_target_is_refused_with_the_place_and_the_reason(
    text: str, why: str, tmp_path: Path
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(pp.UsageError, match=why) as error:
        target_of(file)
    assert str(file) in str(error.value)


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(pp.UsageError, match="there is no target 'abacus'") as error:
        target_of("abacus")
    assert "onnxruntime-x86" in str(error.value) and "calibrate" in str(error.value)
    with pytest.raises(pp.UsageError, match="cannot read the target"):
        target_of("missing.toml")


def test_the_grain_of_a_target_is_the_default_and_what_is_said_by_work() -> None:
    assert WHOLE.align == 8
    assert WHOLE.by_work == {"window/int8": 32}
    assert target_of("tensorrt-int8").align == 32
    rows = (GrainRow(preferred=4), GrainRow(dtype="int8", preferred=16))
    assert Target(name="a", backend="b", grain=rows).by_work["dense/int8"] == 16


def test_a_backend_without_a_named_target_has_the_first_that_is_built_in() -> None:
    assert target_for("onnxruntime") == target_of("onnxruntime-x86")
    assert target_for("abacus") is None


def test_what_is_narrower_than_a_target_s_multiple_is_cut_in_its_minimum_and_passes_the_gate(
    tmp_path: Path,
) -> None:
    target = Target(name="mine", backend="onnxruntime", grain=(GrainRow(preferred=64, minimum=4),))
    result = pp.prune(nets.classifier(), budget="macs=0.6", score="l2", target=target)
    assert result.plan.options["minimum"] == 4
    assert all(row.kept % 4 == 0 for row in result.report.groups if row.kept < row.size)
    (finding,) = _grain(pp.capture(nets.classifier()), result.plan, promised(result.plan).widths())
    assert finding.holds and finding.rule == "grain"
    with pytest.raises(pp.BudgetError, match="least width"):
        pp.prune(nets.classifier(), budget="macs=0.6", score="l2", align=64)


def test_a_plan_remembers_target_and_grain(tmp_path: Path) -> None:
    rows = (GrainRow(preferred=4), GrainRow(kind="window", preferred=8))
    file = written(tmp_path, to_toml(Target(name="mine", backend="onnxruntime", grain=rows)))
    result = pp.prune(nets.classifier(), budget="macs=0.6", score="l2", target=file)
    assert result.plan.options["target"] == "mine"
    assert result.plan.options["align"] == 4
    assert result.plan.options["grain"] == {"window": 8}
    assert {row.kept for row in result.report.groups} <= {8, 16, 5}
