"""Laws of every policy: what it promises, and what it never does, on random networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from prunepass.ir import Array, BudgetError
from prunepass.passes import (
    Budget,
    CostModel,
    Coupling,
    Grain,
    Plan,
    Select,
    allowed_widths,
    couple,
    least_widths,
    multiples,
)
from tests.passes.networks import random_networks

BUDGETS = ("macs=0.5", "params=0.6", "macs=0.8,params=0.7", "size=0.5", "channels=0.75", "macs=0.05")
MEETING = ("lowest", "uniform", "uniform{by=class}", "knapsack", "sensitivity")
EVERY = (*MEETING, "threshold{at=0.5}")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"align": 4, "minimum": 2},
    {"align": 4, "floor": 0.4},
    {"grain": {"dense": 2.0, "window": 4.0}},
)
# Curves say nothing below this.
MEASURED = 0.2
Scores = dict[str, Array]


@cache
def couplings() -> tuple[Coupling, ...]:
    found = (couple(network.graph) for network in random_networks(31_000, 24))
    return tuple(coupling for coupling in found if coupling.prunable)


def scores_of(coupling: Coupling, seed: int = 0) -> Scores:
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(group.size) for group in coupling.prunable}


def curves_of(coupling: Coupling) -> dict[str, dict[float, float]]:
    rng = np.random.default_rng(7)
    return {g.name: {MEASURED: float(rng.random()), 0.6: 0.1 * rng.random()} for g in coupling.prunable}


def plan_of(select: Select, coupling: Coupling, scores: Scores) -> Plan:
    return select.plan(coupling, scores, sensitivity=curves_of(coupling))


def kept(coupling: Coupling, plan: Plan) -> dict[str, int]:
    gone = {name: len(cut.remove) for name, cut in plan.cuts.items()}
    return {group.name: group.size - gone.get(group.name, 0) for group in coupling.prunable}


def allowed(coupling: Coupling, select: Select) -> dict[str, list[int]]:
    step, least = multiples(coupling, select.widths), least_widths(coupling)
    return {
        g.name: allowed_widths(g.size, step[g.atom], select.floor, least[g.atom])
        for g in coupling.prunable
        if g.atom is not None
    }


def planned(policy: str, **more: Any) -> Iterator[tuple[Coupling, Select, Scores, Plan]]:
    """Plans for random networks, wherever the budget can be met."""
    met = 0
    for seed, coupling in enumerate(couplings()):
        options = {**OPTIONS[seed % len(OPTIONS)], "budget": BUDGETS[seed % len(BUDGETS)], **more}
        select, scores = Select(policy=policy, **options), scores_of(coupling, seed)
        try:
            plan = plan_of(select, coupling, scores)
        except BudgetError:
            continue
        met += 1
        yield coupling, select, scores, plan
    assert met > 5


def cost_at(coupling: Coupling, widths: dict[str, int]) -> dict[str, float]:
    """Fractions that are left, by kind."""
    model = CostModel(coupling)
    whole = dict(model.totals)
    model.set_widths({g.atom: widths[g.name] for g in coupling.prunable if g.atom is not None})
    return {kind: total / whole[kind] if whole[kind] else 1.0 for kind, total in model.totals.items()}


@pytest.mark.parametrize("policy", MEETING)
def test_the_budget_is_met_or_the_least_that_can_be_reached_is_told(policy: str) -> None:
    outcomes = set[bool]()
    for seed, coupling in enumerate(couplings()):
        select = Select(BUDGETS[seed % len(BUDGETS)], policy=policy, **OPTIONS[seed % len(OPTIONS)])
        limits, permitted = Budget.parse(select.budget).limits, allowed(coupling, select)
        if policy == "sensitivity":
            sizes = {group.name: group.size for group in coupling.prunable}
            permitted = {
                name: [w for w in widths if w >= MEASURED * sizes[name]] for name, widths in permitted.items()
            }
        nearest = cost_at(coupling, {name: min(widths) for name, widths in permitted.items()})
        refused = ""
        try:
            plan = plan_of(select, coupling, scores_of(coupling, seed))
        except BudgetError as error:
            refused = str(error)
        else:
            left = cost_at(coupling, kept(coupling, plan))
            assert all(left[kind] <= fraction for kind, fraction in limits.items())
        if refused:
            told = ", ".join(f"{kind}={nearest[kind]:.3f}" for kind in limits)
            assert refused.startswith(f"the budget {select.budget} cannot be met")
            assert f"the nearest is {told}" in refused
            assert any(nearest[kind] > fraction for kind, fraction in limits.items())
        outcomes.add(not refused)
    assert outcomes == {True, False}


@pytest.mark.parametrize("policy", EVERY)
def test_grain_floor_and_minimum_are_kept(policy: str) -> None:
    for coupling, select, _, plan in planned(policy):
        permitted = allowed(coupling, select)
        assert all(width in permitted[name] for name, width in kept(coupling, plan).items())


@pytest.mark.parametrize("policy", EVERY)
def test_the_same_problem_has_the_same_plan(policy: str) -> None:
    for coupling, select, scores, plan in planned(policy):
        assert plan_of(select, coupling, scores) == plan


@pytest.mark.parametrize("policy", EVERY)
def test_scores_permuted_within_groups_permute_the_cut(policy: str) -> None:
    cut = 0
    for coupling, select, scores, plan in planned(policy):
        rng = np.random.default_rng(3)
        order = {name: rng.permutation(len(values)) for name, values in scores.items()}
        other = plan_of(select, coupling, {name: values[order[name]] for name, values in scores.items()})
        assert other.cuts.keys() == plan.cuts.keys()
        for name, one in other.cuts.items():
            assert sorted(order[name][list(one.remove)]) == list(plan.cuts[name].remove)
            cut += 1
    assert cut > 10


@pytest.mark.parametrize("policy", EVERY)
def test_no_channel_goes_before_one_of_its_group_with_a_lower_score(policy: str) -> None:
    for coupling, _, scores, plan in planned(policy):
        for name, one in plan.cuts.items():
            gone = np.isin(np.arange(coupling.group(name).size), one.remove)
            assert np.max(scores[name][gone]) <= np.min(scores[name][~gone])


@pytest.mark.parametrize("policy", EVERY)
def test_ratios_are_kept_exactly(policy: str) -> None:
    for coupling in couplings()[:12]:
        group = coupling.prunable[-1]
        select = Select("macs=1", align=2, policy=policy, ratios={group.name: 0.6})
        widths = allowed(coupling, select)[group.name]
        want = max((width for width in widths if width <= 0.6 * group.size), default=min(widths))
        found = kept(coupling, plan_of(select, coupling, scores_of(coupling)))
        assert found[group.name] == want


def test_under_a_threshold_everything_goes_that_grain_and_floor_let_go_and_nothing_else() -> None:
    for coupling, select, scores, plan in planned("threshold{at=0.4}", budget="macs=1e-9", ratios={}):
        permitted = allowed(coupling, select)
        for name, width in kept(coupling, plan).items():
            above = int(np.sum(scores[name] >= 0.4))
            assert width == min(w for w in permitted[name] if w >= above)


def test_a_threshold_stops_before_less_than_the_budget_is_left() -> None:
    for coupling, select, _, plan in planned("threshold{at=0.9}"):
        limits = Budget.parse(select.budget).limits
        left = cost_at(coupling, kept(coupling, plan))
        assert all(left[kind] >= fraction for kind, fraction in limits.items())
        assert plan.options["least"] == select.budget
        assert Budget.parse(plan.options["budget"]).limits == dict.fromkeys(limits, 1.0)


def test_the_grain_of_a_policy_is_that_of_the_pass() -> None:
    assert Select(align=4, grain={"dense": 8.0}, minimum=2).widths == Grain(4, {"dense": 8.0}, 2)
