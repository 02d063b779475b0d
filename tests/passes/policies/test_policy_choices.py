"""Each policy by itself: what sets it apart, how it is named, and what is said of one that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import prunepass as pp
from prunepass.ir import Array, BudgetError, Graph, UsageError
from prunepass.passes import (
    Budget,
    Coupling,
    LatencyLimit,
    LatencyModel,
    Pipeline,
    Plan,
    Problem,
    Select,
    State,
    couple,
    policy_of,
)
from prunepass.passes.policies import Knapsack, Lowest, Sensitivity, Threshold, Uniform
from tests.graphs import Builder, residual
from tests.plugins import Installer

THEIRS = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Keep:
    name: ClassVar[str] = "keep"
    count: int = 1

    def __call__(self, problem):
        return problem.plan({group.name: self.count for group in problem.groups})
"""


def scores_of(coupling: Coupling, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(group.size) for group in coupling.prunable}


def widths(coupling: Coupling, plan: Plan) -> dict[str, int]:
    gone = {name: len(cut.remove) for name, cut in plan.cuts.items()}
    return {group.name: group.size - gone.get(group.name, 0) for group in coupling.prunable}


def blocks() -> Graph:
    """Three blocks with a narrow and a wide layer each; the first reads another width than the others."""
    net = Builder("blocks")
    x = net.input(1, 3, 8, 8)
    for block in range(3):
        y = net.add("relu", net.conv(x, 16, 3, path=f"{block}.a", padding=1))
        z = net.add("relu", net.conv(y, 16, 1, path=f"{block}.b"))
        x = net.conv(z, 8 + 2 * block, path=f"{block}.c")
    return net.graph(x)


@pytest.mark.parametrize("latency", [False, True])
def test_groups_in_the_same_place_of_repeated_blocks_keep_one_number(latency: bool) -> None:
    coupling = couple(blocks())
    scores = scores_of(coupling)
    scores["0.a"] += 1.0  # by itself it would stay
    budget = "latency=0.6" if latency else "macs=0.5"
    limit = LatencyLimit(LatencyModel.unfitted(coupling, 1), 0.6) if latency else None
    found = widths(coupling, Select(budget, policy="uniform{by=class}").plan(coupling, scores, limit=limit))
    assert len({found[f"{block}.a"] for block in range(3)}) == 1
    assert len({found[f"{block}.b"] for block in range(3)}) == 1
    if not latency:  # 3x3 then 1x1 is another class than 1x1 then 1x1, and it scores higher
        assert found["0.a"] > found["0.b"]
    lowest = widths(coupling, Select(budget).plan(coupling, scores, limit=limit))
    assert len({lowest[f"{block}.a"] for block in range(3)}) > 1


def test_modes_are_other_names_of_policies() -> None:
    coupling = couple(residual(16))
    scores = scores_of(coupling)
    for mode, policy in (("global", Lowest()), ("uniform", Uniform())):
        old = Select("macs=0.5", mode=mode).plan(coupling, scores)
        new = Select("macs=0.5", policy=policy).plan(coupling, scores)
        assert old.cuts == new.cuts
        assert (old.options["mode"], new.options["policy"]) == (mode, policy.name)


def test_the_knapsack_spares_what_costs_little() -> None:
    coupling = couple(residual(16))
    scores = {group.name: np.ones(group.size) for group in coupling.prunable}
    problem = Problem(coupling, scores, Budget.parse("macs=0.6"))
    found = widths(coupling, Knapsack()(problem))
    share = {name: width / coupling.group(name).size for name, width in found.items()}
    dear = max(share, key=lambda name: per_channel(problem, name))
    assert share[dear] == min(share.values()) < max(share.values())


def per_channel(problem: Problem, name: str) -> float:
    group = next(group for group in problem.groups if group.name == name)
    return float(problem.cost["macs"]({}) - problem.cost["macs"]({group.atom: group.size - 1}))


def test_what_does_no_damage_goes_first() -> None:
    coupling = couple(residual(16))
    curves = {"stem": {0.2: 0.5}, "one.a": {0.25: 0.0}, "two.a": {0.25: 0.4, 0.5: 0.05}}
    select = Select("macs=0.7", policy=Sensitivity())
    found = widths(coupling, select.plan(coupling, scores_of(coupling), sensitivity=curves))
    assert found == {"stem": 16, "one.a": found["one.a"], "two.a": 32} and found["one.a"] < 16
    # Nothing is known below a quarter.
    with pytest.raises(BudgetError):
        Select("macs=0.05", policy="sensitivity").plan(coupling, scores_of(coupling), sensitivity=curves)


def test_a_group_without_a_curve_stays_whole_and_without_any_there_is_no_choice() -> None:
    coupling = couple(residual(16))
    curves = {"one.a": {0.1: 0.3}}
    plan = Select("macs=0.8", policy="sensitivity").plan(coupling, scores_of(coupling), sensitivity=curves)
    assert set(plan.cuts) == {"one.a"}
    with pytest.raises(UsageError, match="damage curves"):
        Select("macs=0.8", policy="sensitivity").plan(coupling, scores_of(coupling))


def test_damage_curves_are_a_fact_of_the_pipeline() -> None:
    graph = residual(16)
    state = Pipeline.parse("couple | score{metric=l1}")(graph).having(sensitivity={"two.a": {0.1: 0.0}})
    done = Pipeline.parse("select{budget=macs:0.8, policy=sensitivity}").resume(state)
    assert set(done.need("plan", "test").cuts) == {"two.a"}


def test_a_damage_that_falls_as_more_goes_is_noise() -> None:
    coupling = couple(residual(16))
    noisy = {name: {0.25: 0.1, 0.5: 0.3, 0.75: 0.2} for name in ("one.a", "two.a")}
    plain = {name: {0.25: 0.3, 0.5: 0.3, 0.75: 0.2} for name in ("one.a", "two.a")}
    plans = [
        Select("macs=0.7", policy="sensitivity").plan(coupling, scores_of(coupling), sensitivity=curves)
        for curves in (noisy, plain)
    ]
    assert plans[0] == plans[1]


def test_a_threshold_is_of_the_score_with_its_normalisation() -> None:
    coupling = couple(residual(16))
    mean = Pipeline.parse("score{metric=l2, normalize=mean}")(coupling.graph).candidates
    assert mean is not None
    values = mean["l2"]
    plan = Select("macs=0.01", policy=Threshold(0.9)).plan(coupling, values)
    for name, one in plan.cuts.items():
        assert list(one.remove) == list(np.flatnonzero(values[name] < 0.9))
    with pytest.raises(UsageError, match="no latency budget"):
        Select("latency=0.5", policy="threshold{at=1}").plan(coupling, values)
    with pytest.raises(UsageError, match="needs a number"):
        Select(policy="threshold")


def test_a_policy_is_chosen_by_object_by_name_and_by_function() -> None:
    def half(problem: Problem) -> Plan:
        return problem.plan({group.name: group.size // 2 for group in problem.groups})

    coupling = couple(residual(16))
    assert policy_of("uniform{by=class}") == Uniform(by="class")
    plan = Select("channels=0.5", policy=half).plan(coupling, scores_of(coupling))
    assert widths(coupling, plan) == {"stem": 8, "one.a": 16, "two.a": 16}
    assert "half" in str(plan.options["policy"])
    for policy in ("uniform{by=class}", Uniform(by="class")):
        pipeline = Pipeline((Select("macs=0.5", policy=policy),))
        assert str(pipeline) == 'select{policy="uniform{by=class}"}'
        assert str(Pipeline.parse(str(pipeline))) == str(pipeline)


def test_a_policy_of_another_distribution_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Installer(tmp_path, monkeypatch)("prunepass.policies", {"keep": "theirs_code:Keep"}, THEIRS)
    state = Pipeline.parse('score{metric=l1} | select{budget=macs:0.5, policy="keep{count=3}"}')(residual(8))
    plan = state.need("plan", "test")
    assert set(widths(couple(residual(8)), plan).values()) == {3}
    assert plan.options["policy"] == "keep{count=3}"


def outright(problem: Problem) -> Plan:
    return problem.plan({})


def off_grain(problem: Problem) -> Plan:
    return problem.plan({group.name: group.size - 1 for group in problem.groups})


def unknown(problem: Problem) -> Plan:
    return problem.plan({"nobody": 3})


def foreign(problem: Problem) -> Plan:
    return msgspec.structs.replace(
        problem.plan({g.name: g.widths[-1] for g in problem.groups}), fingerprint="0"
    )


def nothing(problem: Problem) -> Any:
    return {group.name: 1 for group in problem.groups}


@pytest.mark.parametrize(
    ("policy", "error", "text"),
    [
        (outright, BudgetError, "the policy's plan keeps macs=1.000"),
        (off_grain, UsageError, "may not keep 15 of 16 channels"),
        (unknown, UsageError, "no prunable group 'nobody'"),
        (foreign, UsageError, "made for another model"),
        (nothing, UsageError, "nothing gave a dict, not a plan"),
    ],
)
def test_what_a_policy_chooses_wrongly_is_refused(
    policy: Callable[[Problem], Plan], error: type[Exception], text: str
) -> None:
    coupling = couple(residual(16))
    with pytest.raises(error, match=text):
        Select("macs=0.5", align=8, policy=policy).plan(coupling, scores_of(coupling))


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "best"},
        {"policy": "uniform{by=colour}"},
        {"policy": "lowest | uniform"},
        {"policy": "knapsack{size=3}"},
        {"policy": Uniform},
        {"policy": 3},
        {"policy": "lowest", "mode": "uniform"},
        {"policy": "lowest", "budget": "dead"},
    ],
)
def test_a_policy_that_is_none_is_refused_when_the_pass_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Select(**options)


@pytest.mark.parametrize(
    ("ratios", "want"),
    [
        ({"one.b": 0.5}, {"stem": 8}),  # the stem's channels are what both blocks add to
        ({"one.b.weight": 0.5}, {"stem": 8}),
        ({"two": 0.25, "one.a": 0.5}, {"stem": 4, "two.a": 8, "one.a": 16}),
        ({"one.*": 0.5, "*.a": 0.25}, {"one.a": 16, "stem": 8, "two.a": 8}),
        ({"stem": 0.75, "*": 0.5}, {"stem": 12, "one.a": 16, "two.a": 16}),
        (
            {"*": 0.5, "one.a": 0.25},
            {"stem": 8, "one.a": 8, "two.a": 16},
        ),  # a name before a pattern, in any order
        ({"one.b": 0.25, "*": 0.5}, {"stem": 4, "one.a": 16, "two.a": 16}),
    ],
)
def test_a_ratio_finds_a_group_by_any_layer_that_makes_its_channels(
    ratios: dict[str, float], want: dict[str, int]
) -> None:
    coupling = couple(residual(16))
    found = widths(coupling, Select("macs=1", ratios=ratios).plan(coupling, scores_of(coupling)))
    whole = {group.name: group.size for group in coupling.prunable}
    assert found == {**whole, **want}


def test_a_layer_that_only_reads_channels_does_not_name_them() -> None:
    coupling = couple(residual(16))
    with pytest.raises(UsageError, match="no prunable group 'head'"):
        Select(ratios={"head": 0.5}).plan(coupling, scores_of(coupling))


def test_least_and_most_are_what_can_be_reached() -> None:
    coupling = couple(residual(16))
    problem = Problem(
        coupling, scores_of(coupling), Budget.parse("macs=0.5"), floor=0.5, ratios={"one.a": 0.75}
    )
    least, most = problem.least(), problem.most()
    assert least == problem.totals({"stem": 8, "one.a": 24, "two.a": 16})
    assert most == problem.totals({"stem": 16, "one.a": 24, "two.a": 32})
    assert least.macs < most.macs < problem.original.macs
    assert problem.met({"stem": 8, "two.a": 16}) and not problem.met({})


def test_prune_takes_a_policy_and_ratios() -> None:
    torch = pytest.importorskip("torch")
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers, torch.nn.Conv2d(8, 4, 1)).eval()
    inputs = torch.randn(1, 3, 8, 8)
    options: dict[str, Any] = {"score": "l1", "compensate": False}
    result = pp.prune(
        model, inputs, budget="macs=0.6", policy=Uniform(by="class"), ratios={"2": 0.5}, **options
    )
    assert result.model[2].out_channels == 4
    assert result.plan.options["ratios"] == {"2": 0.5}
    assert result.plan.options["policy"] == "uniform{by=class}"
    with pytest.raises(UsageError, match="policy is"):
        pp.prune(model, inputs, policy=3, **options)
    with pytest.raises(UsageError, match="ratios is"):
        pp.prune(model, inputs, ratios=["2"], **options)
    assert State.start(residual()).sensitivity is None
