"""Policies: the budget is met and no more is taken than it needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from prunepass.ir import Array, Atom, BudgetError, UsageError
from prunepass.passes import (
    Budget,
    CostModel,
    Coupling,
    Plan,
    Select,
    couple,
    cut,
    graph_cost,
    least_widths,
)
from prunepass.passes.policies._widths import allowed_widths, multiples
from tests.graphs import Builder, chain, residual
from tests.passes.networks import Network, random_networks

BUDGETS = ("macs=0.5", "params=0.6", "macs=0.8,params=0.7", "size=0.5", "channels=0.75")


def random_scores(coupling: Coupling, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(group.size) for group in coupling.prunable}


def widths(coupling: Coupling, plan: Plan) -> dict[str, int]:
    """What every prunable group keeps."""
    return {
        group.name: group.size - (len(plan.cuts[group.name].remove) if group.name in plan.cuts else 0)
        for group in coupling.prunable
    }


def planned(policy_of: dict[str, object] | None = None) -> Iterator[tuple[Network, Coupling, Select, Plan]]:
    """Plans for random networks, wherever the budget can be met."""
    met = 0
    for seed, network in enumerate(random_networks(30_000, 150)):
        coupling = couple(network.graph)
        options = {"budget": BUDGETS[seed % len(BUDGETS)], **(policy_of or {})}
        policy = Select(**options)  # type: ignore[arg-type]
        try:
            plan = policy.plan(coupling, random_scores(coupling, seed))
        except BudgetError:
            continue
        met += 1
        yield network, coupling, policy, plan
    assert met > 40


@pytest.mark.parametrize("mode", ["global", "uniform"])
def test_the_budget_is_met_by_the_graph_that_comes_out(mode: str) -> None:
    for network, _, policy, plan in planned({"mode": mode}):
        before, after = graph_cost(network.graph), graph_cost(cut(network.graph, plan))
        for kind, fraction in Budget.parse(policy.budget).limits.items():
            if kind == "channels":
                removed = sum(len(cut.remove) for cut in plan.cuts.values())
                assert before.channels - removed <= fraction * before.channels
            else:
                assert after[kind] <= fraction * before[kind], network.recipe


@pytest.mark.parametrize("align", [1, 4])
def test_no_block_that_was_taken_could_be_given_back(align: int) -> None:
    for network, coupling, policy, plan in planned({"align": align}):
        model = CostModel(coupling)
        original, budget = model.cost(), Budget.parse(policy.budget)
        chosen, grain = widths(coupling, plan), multiples(coupling, align)
        for group in coupling.prunable:
            assert group.atom is not None
            model.set_width(group.atom, chosen[group.name])
        assert budget.met(model.totals, original)
        for group in coupling.prunable:
            assert group.atom is not None
            allowed = allowed_widths(group.size, grain[group.atom], 0.0)
            at = allowed.index(chosen[group.name])
            if at:
                model.set_width(group.atom, allowed[at - 1])
                assert not budget.met(model.totals, original), f"{network.recipe}: {group.name}"
                model.set_width(group.atom, allowed[at])


@pytest.mark.parametrize("align", [1, 4])
def test_uniformly_groups_alike_keep_the_same_and_no_step_of_all_of_them_could_be_given_back(
    align: int,
) -> None:
    together = 0
    for network, coupling, policy, plan in planned({"mode": "uniform", "align": align}):
        model = CostModel(coupling)
        original, budget = model.cost(), Budget.parse(policy.budget)
        chosen, grain, least = widths(coupling, plan), multiples(coupling, align), least_widths(coupling)
        alike: dict[tuple[int, int], list[tuple[Atom, list[int], int]]] = {}
        for group in coupling.prunable:
            assert group.atom is not None
            allowed = allowed_widths(group.size, grain[group.atom], 0.0, least[group.atom])
            at = allowed.index(chosen[group.name])
            model.set_width(group.atom, allowed[at])
            if len(allowed) > 1:
                alike.setdefault((group.size, allowed[1]), []).append((group.atom, allowed, at))
        for rows in alike.values():
            lowest = max(at for _, _, at in rows)
            assert all(at == min(lowest, len(allowed) - 1) for _, allowed, at in rows), network.recipe
            together += len(rows) > 1
            if lowest:
                back = {atom: allowed[min(lowest - 1, len(allowed) - 1)] for atom, allowed, _ in rows}
                model.set_widths(back)
                assert not budget.met(model.totals, original), network.recipe
                model.set_widths({atom: allowed[at] for atom, allowed, at in rows})
    assert together > 10


def test_the_lowest_scores_go() -> None:
    coupling = couple(chain(8))
    scores = {"a": np.array([5.0, 1.0, 7.0, 2.0, 8.0, 3.0, 6.0, 4.0])}
    plan = Select(budget="channels=0.5").plan(coupling, scores)
    assert plan.cuts["a"].remove == (1, 3, 5, 7)


def test_globally_the_group_with_the_lowest_scores_goes_first() -> None:
    coupling = couple(residual(8))
    scores = {group.name: np.full(group.size, 1.0) for group in coupling.prunable}
    scores["two.a"] = np.full(16, 0.1)
    assert set(Select(budget="macs=0.9").plan(coupling, scores).cuts) == {"two.a"}


def test_uniformly_every_group_keeps_the_same_fraction() -> None:
    coupling = couple(residual(8))
    plan = Select(budget="channels=0.5", mode="uniform").plan(coupling, random_scores(coupling))
    assert widths(coupling, plan) == {"stem": 4, "one.a": 8, "two.a": 8}


def test_a_budget_of_everything_takes_nothing() -> None:
    coupling = couple(chain())
    assert not Select(budget="macs=1").plan(coupling, random_scores(coupling)).cuts


def test_a_budget_that_cannot_be_met_says_how_near_it_can_get_and_why() -> None:
    coupling = couple(chain(8))
    with pytest.raises(
        BudgetError, match=r"macs=0\.01.*least width and 1 are pinned: .* \(1\); the nearest is macs=0\.125"
    ) as error:
        Select(budget="macs=0.01").plan(coupling, random_scores(coupling))
    assert error.value.exit_code == 1
    assert "analyze" in error.value.advice


def test_a_network_of_which_nothing_can_be_pruned_says_so() -> None:
    net = Builder()
    coupling = couple(net.graph(net.conv(net.input(1, 3, 4, 4), 5)))
    with pytest.raises(BudgetError, match=r"nothing can be pruned \(1 groups are pinned: .* \(1\)\)"):
        Select(budget="macs=0.5").plan(coupling, {})


def test_widths_are_multiples_of_align() -> None:
    for _, coupling, _, plan in planned({"align": 4, "budget": "channels=0.9"}):
        for group in coupling.prunable:
            assert group.atom is not None
            chosen = widths(coupling, plan)[group.name]
            assert chosen == group.size or chosen % multiples(coupling, 4)[group.atom] == 0


def test_no_group_goes_below_the_floor() -> None:
    for _, coupling, _, plan in planned({"floor": 0.5, "budget": "channels=0.8"}):
        for group in coupling.prunable:
            assert widths(coupling, plan)[group.name] >= 0.5 * group.size


def test_ratios_are_held_and_the_rest_meets_the_budget() -> None:
    coupling = couple(residual(8))
    policy = Select(budget="macs=0.5", ratios={"*.a": 0.75})
    chosen = widths(coupling, policy.plan(coupling, random_scores(coupling)))
    assert chosen["one.a"] == chosen["two.a"] == 12
    assert chosen["stem"] < 8


def test_the_first_pattern_that_fits_a_group_holds() -> None:
    coupling = couple(residual(8))
    policy = Select(budget="macs=1", ratios={"one.*": 0.5, "*": 0.25})
    assert widths(coupling, policy.plan(coupling, random_scores(coupling))) == {
        "stem": 2,
        "one.a": 8,
        "two.a": 4,
    }


def test_a_ratio_between_two_allowed_widths_takes_the_lower_one() -> None:
    coupling = couple(chain(16))
    policy = Select(budget="macs=1", align=4, ratios={"a": 0.7})
    assert widths(coupling, policy.plan(coupling, random_scores(coupling))) == {"a": 8}


def test_a_ratio_for_a_group_that_is_not_there_is_refused() -> None:
    coupling = couple(chain())
    with pytest.raises(UsageError, match=r"no prunable group 'layer9\.\*'"):
        Select(ratios={"layer9.*": 0.5}).plan(coupling, random_scores(coupling))


def test_the_same_scores_give_the_same_plan_and_ties_go_by_place() -> None:
    coupling = couple(chain(8))
    flat = {"a": np.ones(8)}
    plans = [Select(budget="channels=0.5").plan(coupling, flat) for _ in range(2)]
    assert plans[0] == plans[1]
    assert plans[0].cuts["a"].remove == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "values", [np.ones(7), np.array([1.0] * 7 + [np.nan]), np.array([1.0] * 7 + [np.inf])]
)
def test_scores_must_be_one_finite_number_for_each_channel(values: Array) -> None:
    with pytest.raises(UsageError, match="group 'a'"):
        Select().plan(couple(chain(8)), {"a": values})


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "best"},
        {"align": 0},
        {"floor": 1.5},
        {"budget": "macs=2"},
        {"budget": "time=1"},
        {"ratios": {"a": 0.0}},
    ],
)
def test_wrong_options_are_refused_when_the_policy_is_made(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Select(**options)  # type: ignore[arg-type]


def test_the_plan_says_how_it_was_made() -> None:
    coupling = couple(chain())
    plan = Select(budget="macs=0.5", align=2, floor=0.25, ratios={"a": 0.5}).plan(
        coupling, random_scores(coupling)
    )
    assert plan.options == {
        "budget": "macs=0.5", "align": 2, "mode": "global", "floor": 0.25, "ratios": {"a": 0.5},
    }  # fmt: skip


def test_a_latency_budget_without_a_model_of_an_engine_is_refused() -> None:
    coupling = couple(residual())
    with pytest.raises(UsageError, match="needs an engine"):
        Select("latency=0.5").plan(coupling, random_scores(coupling))
