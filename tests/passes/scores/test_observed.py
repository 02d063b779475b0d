"""Scores that look at activations: what a layer's outputs lose, against brute force and invariances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Graph, ModelError, NumpyExecutor, UsageError, evaluate
from prunepass.passes import Pipeline, Plan, couple, masked_values, plan_for, task_of
from prunepass.passes import scores as table
from prunepass.passes.analyses import Batches
from prunepass.passes.scores import Stade, Wanda
from tests.graphs import Builder, chain
from tests.passes.legal import inputs_for
from tests.passes.networks import Network, random_graphs
from tests.passes.scores.test_dfpc_laws import changed, read

SAMPLES = 200


def judged(graph: Graph, score: Any, data: Array) -> dict[str, Array]:
    executor = NumpyExecutor(graph, "float64")
    task = task_of([data[:70], data[70:]])
    seen = Batches(executor, lambda: task.feeds(graph))(couple(graph), score.needs)
    return dict(score(couple(graph), seen))


def two_layers() -> Graph:
    net = Builder(seed=1)
    x = net.add("relu", net.linear(net.input(SAMPLES, 6), 8, path="a"))
    return net.graph(net.linear(x, 4, path="b"))


def data_for(graph: Graph) -> Array:
    return np.random.default_rng(0).standard_normal((SAMPLES, *graph.values["x0"].shape[1:]))


def losses(graph: Graph, data: Array, lost: Callable[[Array], float]) -> Array:
    """What ``lost`` makes of the change of the outputs with each channel of ``a`` removed."""
    coupling = couple(graph)
    size = coupling.group("a").size
    whole = evaluate(graph, {"x0": data})[graph.outputs[0]]
    plans = [plan_for(coupling, {"a": np.array([i])}) for i in range(size)]
    return np.array(
        [lost(whole - dict(masked_values(graph, p, {"x0": data}))[graph.outputs[0]]) for p in plans]
    )


def test_wanda_is_the_mean_square_that_the_outputs_lose() -> None:
    graph = two_layers()
    data = data_for(graph)
    want = losses(graph, data, lambda change: float((change**2).mean(axis=0).sum()))
    np.testing.assert_allclose(judged(graph, Wanda(), data)["a"], want, rtol=1e-9)


def test_stade_is_what_is_left_of_it_with_the_best_bias() -> None:
    graph = two_layers()
    data = data_for(graph)
    want = losses(graph, data, lambda change: float(change.var(axis=0).sum()))
    np.testing.assert_allclose(judged(graph, Stade(), data)["a"], want, rtol=1e-9)


def test_both_agree_where_activations_are_centred() -> None:
    net = Builder(seed=1)
    x = net.linear(net.input(SAMPLES, 6), 8, path="a")
    graph = net.graph(net.linear(x, 4, path="b"))
    data = data_for(graph)
    made = evaluate(graph, {"x0": data})["a"]
    graph = changed(graph, {"a.bias": read(graph, "a.bias") - made.mean(axis=0)})
    wanda, stade = (judged(graph, score, data)["a"] for score in (Wanda(), Stade()))
    np.testing.assert_allclose(wanda, stade, rtol=1e-6)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_weighs_the_channel_by_its_whole_kernel(kernel: int) -> None:
    net = Builder(seed=1)
    x = net.add("relu", net.conv(net.input(4, 3, 6, 6), 8, path="a"))
    graph = net.graph(net.conv(x, 5, kernel, path="b", padding=kernel // 2))
    data = np.random.default_rng(0).standard_normal((100, 3, 6, 6))
    square = (evaluate_many(graph, data)[x] ** 2).mean(axis=(0, 2, 3))
    want = square * (read(graph, "b.weight").astype(float) ** 2).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(judged(graph, Wanda(), data)["a"], want, rtol=1e-9)


def evaluate_many(graph: Graph, data: Array) -> dict[str, Array]:
    executor = NumpyExecutor(graph, "float64")
    return dict(executor.walk({"x0": data}, wanted=tuple(graph.values)))


def test_a_grouped_convolution_reads_a_channel_with_the_weights_of_its_own_group() -> None:
    net = Builder(seed=1)
    x = net.add("relu", net.conv(net.input(2, 3, 4, 4), 8, path="a"))
    graph = net.graph(net.conv(x, 6, path="b", groups=2))
    data = np.random.default_rng(0).standard_normal((100, 3, 4, 4))
    square = (evaluate_many(graph, data)[x] ** 2).mean(axis=(0, 2, 3))
    weight = (
        (read(graph, "b.weight").astype(float) ** 2).sum(axis=(2, 3)).reshape(2, 3, 4).sum(axis=1).ravel()
    )
    found = judged(graph, Wanda(), data)
    # Channels of both groups go together: each counts at both of its places.
    whole = (square * weight).reshape(2, 4).sum(axis=0)
    assert {tuple(np.round(v, 9)) for v in found.values()} & {
        tuple(np.round(whole, 9)),
        tuple(np.round(square * weight, 9)),
    }


def test_a_product_of_two_values_weighs_one_by_the_mean_square_of_the_other() -> None:
    net = Builder(seed=1)
    left = net.linear(net.input(3, 5), 8, path="left")
    right = net.linear(net.input(3, 5), 8, path="right")
    graph = net.graph(net.add("matmul", left, net.add("permute", right, order=(1, 0)), path="product"))
    rng = np.random.default_rng(0)
    feeds = {"x0": rng.standard_normal((3, 5)), "x1": rng.standard_normal((3, 5))}
    executor = NumpyExecutor(graph, "float64")
    seen = Batches(executor, lambda: task_of([feeds]).feeds(graph))(couple(graph), Wanda().needs)
    values = evaluate(graph, feeds)
    want = (values["left"] ** 2).mean(axis=0) * (values["right"] ** 2).sum(axis=0)
    np.testing.assert_allclose(Wanda()(couple(graph), seen)["left"], want)


@pytest.mark.parametrize("score", [Wanda(), Stade()], ids=["wanda", "stade"])
def test_scaling_a_channel_up_and_its_readers_down_changes_nothing(score: Any) -> None:
    graph = two_layers()
    factor = np.linspace(0.5, 2, 8)
    scaled = changed(
        graph,
        {
            "a.weight": read(graph, "a.weight") * factor[:, None],
            "a.bias": read(graph, "a.bias") * factor,
            "b.weight": read(graph, "b.weight") / factor,
        },
    )
    data = data_for(graph)
    one, other = (judged(g, score, data)["a"] for g in (graph, scaled))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("score", [Wanda(), Stade()], ids=["wanda", "stade"])
@given(random_graphs())
@settings(max_examples=25)
def test_scores_are_numbers_from_zero_on_whatever_the_network(score: Any, network: Network) -> None:
    graph = network.graph
    feeds = inputs_for(graph)
    seen = Batches(NumpyExecutor(graph, "float64"), lambda: task_of([feeds]).feeds(graph))
    coupling = couple(graph)
    found = score(coupling, seen(coupling, score.needs))
    assert {name: values.shape for name, values in found.items()} == {
        group.name: (group.size,) for group in coupling.prunable
    }
    for values in found.values():
        assert np.all(values[np.isfinite(values)] >= 0)
        assert not np.any(np.isnan(values))


def test_a_channel_that_nobody_reads_comes_first() -> None:
    graph = chain()
    weight = read(graph, "b.weight").copy()
    weight[:, 2] = 0
    data = np.random.default_rng(0).standard_normal((80, *graph.values["x0"].shape[1:]))
    found = judged(changed(graph, {"b.weight": weight}), Wanda(), data)["a"]
    assert found[2] == 0 < np.sort(found)[1]


def test_numbers_that_overflow_are_an_error_of_the_model() -> None:
    graph = chain()
    data = np.full((2, *graph.values["x0"].shape[1:]), 1e30)
    with pytest.raises(ModelError, match="not finite"):
        pruned(graph, "score{metric=wanda} | select", task=task_of([data]))


def pruned(graph: Graph, text: str, **facts: Any) -> Plan:
    state = Pipeline.parse(text)(graph, **facts)
    plan: Plan = state.need("plan", "test")
    return plan


@pytest.mark.parametrize("metric", ["wanda", "stade", "variance{source=data}", "variance{source=synthetic}"])
def test_a_pipeline_scores_cuts_and_proves_with_data(metric: str) -> None:
    graph = chain()
    data = np.random.default_rng(0).standard_normal((6, *graph.values["x0"].shape[1:]))
    name, _, rest = metric.partition("{")
    options = f", {rest[:-1]}" if rest else ""
    text = f"couple | score{{metric={name}{options}}} | select{{budget=macs=0.6}} | compensate | cut | verify"
    plan = pruned(graph, text, task=task_of([data]))
    assert plan.cuts


@pytest.mark.parametrize("metric", ["wanda", "stade", "taylor"])
def test_without_data_the_message_says_how_to_give_some(metric: str) -> None:
    with pytest.raises(UsageError, match=f"score '{metric}' needs data") as error:
        pruned(chain(), f"score{{metric={metric}}} | select")
    assert "task=" in error.value.advice


def test_a_model_that_states_its_moments_needs_no_data_for_wanda() -> None:
    assert pruned(chain(), "score{metric=wanda, source=model} | select{budget=macs=0.6}").cuts


def test_taylor_needs_a_host_with_gradients() -> None:
    graph = chain()
    data = np.ones((2, *graph.values["x0"].shape[1:]))
    task = task_of([data], loss=lambda outputs, batch: outputs.sum())
    with pytest.raises(Exception, match="gradients are computed by torch alone"):
        pruned(graph, "score{metric=taylor} | select", task=task)


def test_all_scores_of_activations_are_in_the_table() -> None:
    assert {"wanda", "stade", "taylor"} <= set(table.names())


def test_each_batch_is_read_once_for_all_passes() -> None:
    graph, read_batches = chain(), []

    def data() -> Any:
        read_batches.append(1)
        return [np.ones((2, *graph.values["x0"].shape[1:]))]

    pruned(
        graph, "score{metric=wanda} | select{budget=macs=0.6} | compensate | cut | verify", task=task_of(data)
    )
    assert len(read_batches) == 1


def test_a_plan_that_is_made_again_reads_no_data_and_other_weights_are_observed_anew() -> None:
    graph, read_batches = chain(), []

    def data() -> Any:
        read_batches.append(1)
        return [np.ones((2, *graph.values["x0"].shape[1:]))]

    task, steps = task_of(data), Pipeline.parse("score{metric=wanda}")
    for again in (graph, replace(graph, pins=(("a.weight", 0, "pinned"),))):
        steps(again, task=task)
    assert len(read_batches) == 1
    steps(changed(graph, {"a.weight": read(graph, "a.weight") * 2}), task=task)
    assert len(read_batches) == 2


def test_means_of_data_repair_what_the_model_does_not_know() -> None:
    net = Builder(seed=1)
    x = net.add("relu", net.linear(net.input(SAMPLES, 6), 8, path="a"))
    graph = net.graph(net.linear(x, 4, path="b"))
    data = data_for(graph) + 1
    text = "score{metric=l2} | select{budget=macs=0.5} | compensate"
    bare, plan = pruned(graph, text), pruned(graph, text, task=task_of([data[:90], data[90:]]))
    assert not bare.shifts
    assert plan.cuts == bare.cuts
    whole = evaluate(graph, {"x0": data})[graph.outputs[0]].mean(axis=0)
    mended, lost = (
        dict(masked_values(graph, p, {"x0": data}))[graph.outputs[0]].mean(axis=0) for p in (plan, bare)
    )
    assert np.max(np.abs(lost - whole)) > 0.01
    np.testing.assert_allclose(mended, whole, rtol=1e-4, atol=1e-5)
