"""``auto`` keeps the plan whose network changes least, measured on inputs that no data set was needed for."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Array, BudgetError, Graph
from prunepass.passes import Pipeline, Select, couple
from prunepass.passes._auto import CANDIDATES, choose
from prunepass.passes.analyses import dead_leaves, synthetic_inputs
from tests.graphs import Builder, residual


def half_dead() -> Graph:
    """Every second channel of the first layer is read with next to no weight; with none it would go anyway."""
    net = Builder()
    x = net.conv(net.input(2, 3, 8, 8), 8, 3, path="a", padding=1)
    weight = np.random.default_rng(0).uniform(0.5, 1, (4, 8, 1, 1))
    weight[:, ::2] = 1e-9
    return net.graph(net.add("conv", net.add("relu", x), net.given(weight, name="b.weight"), node="b"))


def test_the_score_that_finds_the_silent_channels_wins() -> None:
    coupling = couple(half_dead())
    live = np.tile([0.0, 1.0], 4)
    policy = Select(budget="channels=0.5").plan
    for found in (
        {"wrong": {"a": -live}, "right": {"a": live}},
        {"right": {"a": live}, "wrong": {"a": -live}},
    ):
        choice = choose(coupling, policy, found)
        assert choice.metric == "right"
        assert choice.plan.cuts["a"].remove == (0, 2, 4, 6)
        assert choice.changes["right"] < 1e-9 < choice.changes["wrong"]


def test_the_pipeline_says_which_score_was_chosen() -> None:
    state = Pipeline.parse("score | select{budget=macs=0.7}")(residual(8))
    choice = state.choice
    assert choice is not None
    assert state.candidates is not None
    assert set(choice.changes) == set(CANDIDATES)
    assert state.plan is not None
    assert state.plan.options["score"] == choice.metric
    assert state.scores is state.candidates[choice.metric]


def test_a_budget_that_no_score_can_meet_is_refused() -> None:
    coupling = couple(residual(8))
    found: dict[str, dict[str, Array]] = {
        name: {g.name: np.ones(g.size) for g in coupling.prunable} for name in ("one", "other")
    }
    with pytest.raises(BudgetError, match="cannot be met"):
        choose(coupling, Select(budget="macs=0.001").plan, found)


def test_synthetic_inputs_fit_the_graph_and_repeat() -> None:
    net = Builder()
    net.input(2, 3, 9, 7)
    net.input(2, 9, 7, 3)
    net.input(2, 5, dtype="int64")
    net.input(2, 5)
    graph = net.graph()
    one, other = synthetic_inputs(graph), synthetic_inputs(graph)
    for name in graph.inputs:
        assert one[name].shape == graph.values[name].shape
        np.testing.assert_array_equal(one[name], other[name])
    assert not np.array_equal(one["x0"], synthetic_inputs(graph, 1)["x0"])
    assert one["x2"].dtype == np.int64


def test_images_are_piecewise_constant_with_edges() -> None:
    """Neighbours are mostly equal, as in pictures and unlike in noise."""
    image = dead_leaves(np.random.default_rng(0), 3, (32, 32))
    assert image.shape == (3, 32, 32)
    equal = np.mean(image[:, :, 1:] == image[:, :, :-1])
    assert 0.5 < equal < 1
    assert len(np.unique(image[0])) > 5
