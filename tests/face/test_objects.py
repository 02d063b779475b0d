"""Objects as well as names: what is asked for either way is the same prune."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import prunepass as pp
from prunepass._options import Options
from prunepass._prune import default_pipeline
from prunepass.drivers import drivers
from prunepass.ir import Array
from prunepass.passes import Coupling, Select, policies, scores, standard
from tests.cli import nets
from tests.plugins import Installer


@pytest.fixture
def net(tmp_path: Path) -> str:
    return nets.save(tmp_path / "net.onnx")


@dataclass(frozen=True)
class Last:
    """A score that is in no table: the last channels stay."""

    name: ClassVar[str] = "last"
    power: float = 1.0

    def __call__(self, coupling: Coupling) -> dict[str, Array]:
        return {group.name: np.arange(group.size) ** self.power for group in coupling.prunable}


def test_a_score_is_an_object_or_its_text(net: str) -> None:
    plan = pp.prune(net, score=scores.L2(normalize="mean")).plan
    assert plan == pp.prune(net, score="l2{normalize=mean}").plan
    assert plan.options["score"] == "l2"


def test_a_score_of_ones_own_needs_no_table(net: str) -> None:
    result = pp.prune(net, score=Last(), budget="channels=0.5")
    assert result.report.score == "last" and result.plan.options["score"] == "last"
    assert all(cut.remove == tuple(range(len(cut.remove))) for cut in result.plan.cuts.values())


def test_passes_stand_in_a_list(net: str) -> None:
    steps = [
        standard.Couple(), standard.Score(Last()), Select(budget="channels=0.5"), standard.Cut(),
        standard.Verify(),
    ]  # fmt: skip
    assert (
        pp.prune(net, pipeline=steps).plan.cuts
        == pp.prune(net, score=Last(), budget="channels=0.5").plan.cuts
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"budget": "macs=0.5, params=0.7", "align": 4},
        {"budget": "dead"},
        {"score": "dfpc{normalize=mean, include-shift=yes}", "compensate": False, "floor": 0.25},
        {"score": scores.L1(reads=True), "repair": "none", "mode": "uniform"},
        {"ratios": {"a.*:0": 0.5, "b": 0.25}, "repair": standard.Compensate()},
        {"align": pp.passes.Grain(8, {"dense": 16}, 2)},
    ],
)
def test_the_default_pipeline_is_its_text(options: dict[str, Any]) -> None:
    pipeline = default_pipeline(Options(**options))
    assert str(pp.Pipeline.parse(str(pipeline))) == str(pipeline)


@pytest.mark.parametrize("options", [{"repair": "none"}, {"compensate": False}])
def test_no_repair_has_two_names(options: dict[str, Any]) -> None:
    assert "compensate" not in str(default_pipeline(Options(**options)))


@pytest.mark.parametrize("repair", ["auto", "compensate", standard.Compensate()])
def test_repair_has_as_many(repair: Any) -> None:
    asked = [Options(repair=repair), Options(compensate=True), Options()]
    assert len({str(default_pipeline(one)) for one in asked}) == 1


def test_ratios_hold_whatever_the_budget(net: str) -> None:
    plan = pp.prune(net, score="l2", budget="macs=0.9", ratios={"conv0": 0.25}).plan
    assert len(plan.cuts["conv0"].remove) == 12
    assert plan.options["ratios"] == {"conv0": 0.25}


@pytest.mark.parametrize(("ratios", "what"), [({"none": 0.5}, "'none'"), ({"conv0": 1.5}, "in \\(0, 1\\]")])
def test_ratios_that_say_nothing_are_refused(net: str, ratios: dict[str, float], what: str) -> None:
    with pytest.raises(pp.UsageError, match=what):
        pp.prune(net, score="l2", ratios=ratios)


def test_a_budget_that_ratios_stand_in_the_way_of_names_them(net: str) -> None:
    with pytest.raises(pp.BudgetError, match=r"1 of them held by the ratios conv0=1\b"):
        pp.prune(net, score="l2", budget="macs=0.01", ratios={"conv0": 1})
    with pytest.raises(pp.BudgetError) as error:
        pp.prune(net, score="l2", budget="macs=0.01", align=1024)
    assert "ratios" not in str(error.value)


def test_options_of_no_score_are_refused_when_the_pass_is_made() -> None:
    for text in ("score{normalize=mean}", "score{metric=l2, colour=red}", "score{metric=magic}"):
        with pytest.raises(pp.UsageError):
            pp.Pipeline.parse(text)
    with pytest.raises(pp.UsageError, match="belong to no score"):
        standard.Score(scores.L2(), {"normalize": "mean"})


CODE = """
from dataclasses import dataclass, fields
from typing import ClassVar

@dataclass(frozen=True)
class Mine:
    name: ClassVar[str] = "mine"
    step: float = 0.5

    def __call__(self, given):
        return given
"""


@pytest.mark.parametrize("kind", ["policy", "driver"])
def test_what_is_named_is_looked_up_before_any_work(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = {"policy": "prunepass.policies", "driver": "prunepass.drivers"}[kind]
    Installer(tmp_path, monkeypatch)(group, {"mine": "theirs_code:Mine"}, CODE)
    for text, what in {
        "yours": f"no {kind} 'yours'",
        "mine{stp=1}": "'mine' has no option stp",
        "mine | mine": f"is no {kind}",
    }.items():
        with pytest.raises(pp.UsageError, match=what):
            pp.prune("nowhere.onnx", **{kind: text})  # type: ignore[arg-type]


def with_options() -> list[Any]:
    """Every built-in driver, policy and score with each of its plain options."""
    tables = (drivers(), policies.policies(), scores.scores())
    return [
        pytest.param(kind, one.name, id=f"{kind.name}-{one.name}")
        for kind in (table[name] for table in tables for name in table.builtin)
        for one in fields(kind)
        if isinstance(one.default, (bool, int, float, str))
    ]


@pytest.mark.parametrize(("kind", "option"), with_options())
def test_an_option_of_another_type_is_one_error(kind: Any, option: str) -> None:
    for wrong in (None, [1], {}, object()):
        with pytest.raises(pp.UsageError, match=f"option {option} of '{kind.name}' is"):
            kind(**{option: wrong})
