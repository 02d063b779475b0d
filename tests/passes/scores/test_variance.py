from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, UsageError, evaluate
from prunepass.passes import couple, cut, plan_for, scores
from prunepass.passes.rewrites._compensate import compensate
from tests.graphs import Builder, chain, residual
from tests.passes.scores.test_dfpc_laws import changed, read


def linear_readers(size: int = 4) -> Graph:
    """A normalisation straight under two layers that read it: variances are exactly those of its scales."""
    net = Builder(seed=2)
    x = net.batch_norm(net.conv(net.input(1, 3, size, size), 5, path="a"), path="bn")
    return net.graph(net.conv(x, 2, path="b"), net.conv(x, 3, path="c"))


def test_it_is_the_share_of_each_consumers_variance_summed_over_consumers() -> None:
    graph = linear_readers()
    var = read(graph, "bn.weight").astype(float) ** 2
    want = np.zeros(5)
    for name in "bc":
        written = var * (read(graph, f"{name}.weight").astype(float) ** 2).sum(axis=(0, 2, 3))
        want += written / written.sum()
    np.testing.assert_allclose(scores.Variance(per="none")(couple(graph))["a"], want)


def test_per_macs_divides_by_what_a_channel_costs() -> None:
    coupling = couple(linear_readers())
    plain, per = (scores.Variance(per=kind)(coupling)["a"] for kind in ("none", "macs"))
    # A channel costs its rows of a and its columns of b and c: 3 + 2 + 3 of 5 * 8 multiplications an output.
    np.testing.assert_allclose(per, plain * 5)


def test_a_normalisation_behind_a_consumer_weighs_its_outputs() -> None:
    """What is large before it counts as it is after it: relative to the variance it states."""
    net = Builder(seed=4)
    x = net.batch_norm(net.conv(net.input(1, 3, 4, 4), 5, path="a"), path="bn")
    y = net.batch_norm(net.conv(x, 4, path="b", bias=False), path="bn_b")
    graph = net.graph(net.conv(y, 2, path="c"))
    var = read(graph, "bn.weight").astype(float) ** 2
    slope = read(graph, "bn_b.weight").astype(float) ** 2 / (
        read(graph, "bn_b.running_var").astype(float) + 1e-5
    )
    weight = read(graph, "b.weight").astype(float)[:, :, 0, 0] ** 2
    want = var * (slope[:, None] * weight).sum(axis=0) / (read(graph, "bn_b.weight").astype(float) ** 2).sum()
    np.testing.assert_allclose(scores.Variance(per="none")(couple(graph))["a"], want)


def test_a_branch_counts_as_much_as_it_brings_into_the_sum() -> None:
    def inner(scale: float) -> Array:
        net = Builder(seed=5)
        x = net.batch_norm(net.conv(net.input(1, 3, 4, 4), 6, path="a"), path="bn_a")
        y = net.batch_norm(net.conv(x, 4, path="b"), path="bn_b")
        y = net.batch_norm(net.conv(y, 6, path="c"), path="bn_c")
        graph = net.graph(net.conv(net.add("add", x, y), 2, path="d"))
        graph = changed(graph, {"bn_a.weight": np.full(6, 1.0), "bn_c.weight": np.full(6, scale)})
        return scores.Variance(per="none")(couple(graph))["b"]

    # The branch brings 1 / 2 of the sum's variance, or 1 / 101.
    np.testing.assert_allclose(inner(1.0) * 2, inner(0.1) * 101, rtol=1e-9)


def test_where_nothing_says_how_data_varies_that_is_told_and_magnitudes_stand_in() -> None:
    coupling = couple(residual())
    found = scores.explain(scores.Variance(), coupling)
    assert set(found) == {group.name for group in coupling.prunable}
    assert "one.b" in found["one.a"]
    assert scores.explain(scores.Variance(), couple(chain())) == {}
    small = scores.Variance(per="none")(coupling)["one.a"]
    data = {"one.a.weight": read(coupling.graph, "one.a.weight")}
    data["one.a.weight"][3] *= 10
    large = scores.Variance(per="none")(couple(changed(coupling.graph, data)))["one.a"]
    assert large[3] > 2 * small[3]


def test_the_order_is_that_of_what_stays_wrong_after_repair() -> None:
    """Cut one channel at a time, repair, and measure on data that is as the normalisation says."""
    graph = linear_readers(size=64)
    coupling, rng = couple(graph), np.random.default_rng(0)
    graph = changed(graph, {"bn.running_mean": np.zeros(5), "bn.running_var": np.ones(5)})
    errors = np.zeros(5)
    start = replace(graph, inputs=("a",), nodes=graph.nodes[1:])
    feeds = {"a": rng.standard_normal((1, 5, 64, 64))}
    whole = evaluate(start, feeds)
    spread = {name: whole[name].var(axis=(0, 2, 3)).sum() for name in graph.outputs}
    for i in range(5):
        plan = compensate(coupling, plan_for(coupling, {"a": np.array([i])})).plan
        small = cut(graph, plan)
        small = replace(small, inputs=("a",), nodes=small.nodes[1:])
        got = evaluate(small, {"a": np.delete(feeds["a"], i, axis=1)})
        errors[i] = sum(
            np.sum((whole[name] - got[name]) ** 2) / 64**2 / spread[name] for name in graph.outputs
        )
    found = scores.Variance(per="none")(coupling)["a"]
    np.testing.assert_allclose(found, errors, rtol=0.1)


def test_an_unknown_cost_is_refused() -> None:
    with pytest.raises(UsageError, match="per=seconds"):
        scores.Variance(per="seconds")
