"""Outputs that may be cut: those of a backbone, read by others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, UsageError
from prunepass.passes import Plan, couple, cut, free_outputs, plan_for, prove, scores
from prunepass.passes.rewrites import dead_first, dead_plan
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import random_networks


def pyramid() -> Builder:
    """Two levels, the first of which the second reads."""
    net = Builder("pyramid")
    one = net.add("relu", net.conv(net.input(2, 3, 4, 4), 8, path="one"), node="first")
    net.conv(one, 6, path="two")
    return net


def with_weight(graph: Graph, name: str, data: Array) -> Graph:
    param = replace(graph.params[name], source=lambda: data.astype(np.float32))
    return replace(graph, params={**graph.params, name: param})


def test_every_output_is_pinned_until_it_is_freed_and_then_only_channels_are_free() -> None:
    graph = pyramid().graph("first", "two")
    assert not couple(graph).prunable
    freed = couple(free_outputs(graph, ["output"]))
    assert [(group.name, group.size) for group in freed.prunable] == [("one", 8), ("two", 6)]
    one = couple(free_outputs(graph, ["two"]))
    assert [group.name for group in one.prunable] == ["two"]
    assert free_outputs(graph, []) is graph


def test_an_output_that_is_called_output_is_meant_by_its_name() -> None:
    net = pyramid()
    net.add("relu", "two", node="output")
    graph = free_outputs(net.graph("first", "output"), ["output"])
    assert graph.free == ("output",)


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no output 'x0'"):
        free_outputs(chain(), ["x0"])


def test_samples_and_positions_of_a_freed_output_stay_with_the_reason() -> None:
    """A table of positions is added to what comes out: no weight makes positions as a sum of data."""
    net = Builder("tokens")
    x = net.add("add", net.linear(net.input(3, 5, 4), 6, path="in"), net.weight(5, 6, name="table"))
    coupling = couple(free_outputs(net.graph(x), ["output"]))
    assert [(group.name, group.size) for group in coupling.prunable] == [("in", 6)]


def test_a_plan_carries_what_it_frees() -> None:
    graph = free_outputs(residual(), ["output"])
    plan = plan_for(couple(graph), {"head": np.array([1, 4])})
    assert plan.free == graph.outputs and plan.format == 2
    fresh = residual()
    small = cut(plan.constrain(fresh), plan)
    assert small.values[small.outputs[0]].shape == (2, 3)
    with pytest.raises(UsageError, match="is pinned"):
        plan.kept(couple(fresh))
    with pytest.raises(UsageError, match="no output 'head'"):
        Plan(fingerprint="", cuts={}, free=("head",)).constrain(chain())


def test_the_theorem_holds_where_outputs_are_freed() -> None:
    freed = 0
    for seed, network in enumerate(random_networks(0, 120)):
        graph = free_outputs(network.graph, ["output"])
        coupling = couple(graph)
        freed += len(coupling.prunable) > len(couple(network.graph).prunable)
        plan = random_cut(coupling, seed)
        prove(graph, cut(graph, plan), plan, inputs_for(graph, seed), tolerance=1e-11)
        again = plan.constrain(network.graph)
        assert cut(again, plan).values == cut(graph, plan).values
    assert freed > 30


def test_rounds_with_freed_outputs_are_one_plan() -> None:
    graph = pyramid().graph("first", "two")
    first = plan_for(couple(free_outputs(graph, ["two"])), {"two": np.array([0])})
    small = cut(first.constrain(graph), first)
    later = plan_for(couple(free_outputs(small, ["first"])), {"one": np.array([2]), "two": np.array([0])})
    whole = first.then(later, graph)
    assert whole.free == ("two", "first")
    assert {name: one.remove for name, one in whole.cuts.items()} == {"one": (2,), "two": (0, 1)}


def test_a_channel_that_only_the_user_reads_is_not_dead() -> None:
    weight = np.ones((6, 8, 1, 1))
    weight[:, 3] = 0
    both = free_outputs(with_weight(pyramid().graph("first", "two"), "two.weight", weight), ["output"])
    assert not dead_plan(couple(both), lambda _, dead: dead).plan.cuts
    only = with_weight(pyramid().graph("two"), "two.weight", weight)
    assert dead_plan(couple(only), lambda _, dead: dead).plan.cuts["one"].remove == (3,)


@pytest.mark.parametrize("name", ["variance", "dfpc", "l2"])
def test_scores_count_what_the_user_reads(name: str) -> None:
    net = Builder("outputs")
    made = net.conv(net.input(2, 3, 4, 4), 4, path="one", bias=False)
    scale = np.array([4.0, 1.0, 2.0, 3.0]).reshape(4, 1, 1, 1)
    graph = with_weight(net.graph(made), "one.weight", np.ones((4, 3, 1, 1)) * scale)
    coupling = couple(free_outputs(graph, ["output"]))
    found = dead_first(coupling, scores.get(name)()(coupling))["one"]
    np.testing.assert_array_equal(np.argsort(found), [1, 2, 3, 0])
