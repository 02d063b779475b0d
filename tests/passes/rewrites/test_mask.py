"""Zeros in weights do what a cut does, where weights read what goes."""

from __future__ import annotations

import numpy as np
import pytest

from prunepass.ir import Array, Graph, UnsupportedError, evaluate, gather
from prunepass.passes import Plan, check_masked, couple, cut, masked_by_weights, plan_for, relative_error
from prunepass.passes.coupling import kept_axes
from prunepass.passes.rewrites import compensate
from tests.graphs import Builder, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import random_networks


def refusal(graph: Graph, plan: Plan, whole: Graph, feeds: dict[str, Array]) -> UnsupportedError | None:
    try:
        check_masked(graph, plan, whole, feeds)
    except UnsupportedError as error:
        return error
    return None


def test_a_masked_network_gives_what_the_cut_one_gives_or_is_refused() -> None:
    masked = refused = 0
    for seed, network in enumerate(random_networks(0, 120)):
        graph, coupling = network.graph, couple(network.graph)
        if not coupling.prunable:
            continue
        plan = random_cut(coupling, seed)
        plan = compensate(coupling, plan).plan if seed % 2 else plan
        whole, feeds = masked_by_weights(graph, plan), inputs_for(graph, seed)
        assert {name: p.shape for name, p in whole.params.items()} == {
            name: p.shape for name, p in graph.params.items()
        }
        why = refusal(graph, plan, whole, feeds)
        if why is not None:
            refused += 1
            assert "weights alone cannot mask" in why.what and why.advice
            continue
        masked += 1
        got, want = evaluate(whole, feeds), evaluate(cut(graph, plan), feeds)
        for name in graph.outputs:
            left = kept_axes(coupling, plan.kept(coupling), name)
            assert relative_error(gather(got[name], left), want[name]) < 1e-9, network.recipe
    assert masked > 60 and refused < masked / 2


def test_zeros_stand_in_what_reads_and_nowhere_else() -> None:
    graph = residual()
    plan = plan_for(couple(graph), {"one.a": np.array([2, 5])})
    whole = masked_by_weights(graph, plan)
    changed = {name for name, param in whole.params.items() if param is not graph.params[name]}
    assert changed == {"one.b.weight"}
    data = whole.params["one.b.weight"].read()
    assert not data[:, [2, 5]].any()
    rest = np.delete(np.arange(16), [2, 5])
    np.testing.assert_array_equal(data[:, rest], graph.params["one.b.weight"].read()[:, rest])


def test_a_plan_that_cuts_nothing_masks_nothing() -> None:
    graph = residual()
    assert masked_by_weights(graph, plan_for(couple(graph), {})) is graph


def test_statistics_over_what_goes_are_refused_with_the_reason() -> None:
    net = Builder("normed")
    x = net.linear(net.input(2, 5, 4), 8, path="in")
    x = net.add("layer_norm", x, net.weight(8), net.weight(8), axis=2, eps=1e-5)
    graph = net.graph(net.linear(x, 3, path="out"))
    plan = plan_for(couple(graph), {"in": np.array([0])})
    with pytest.raises(UnsupportedError, match="group 'in': statistics are taken"):
        check_masked(graph, plan, masked_by_weights(graph, plan))
