from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Graph, NumpyExecutor, UsageError, gather
from prunepass.passes import (
    Calibration,
    Pipeline,
    Plan,
    Task,
    _repairs,
    couple,
    cut,
    fingerprint,
    plan_for,
    prove,
)
from prunepass.passes.coupling import kept_axes
from prunepass.passes.rewrites import FitOptions, Reconstruction, reconstruct
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import Network, random_graphs
from tests.passes.scores.test_dfpc_laws import read

REMOVE = np.array([0, 3, 4])
Feeds = list[Mapping[str, Array]]


def feeds(graph: Graph, count: int = 24) -> Feeds:
    return [inputs_for(graph, seed) for seed in range(count)]


def fitted(graph: Graph, plan: Plan | None = None, count: int = 24, **how: object) -> Reconstruction:
    """Every group cut by the same channels, in float64, and fitted."""
    coupling = couple(graph)
    plan = plan or plan_for(coupling, {group.name: REMOVE for group in coupling.prunable})
    options = FitOptions(**how)  # type: ignore[arg-type]
    return reconstruct(
        coupling, plan, feeds(graph, count), lambda one: NumpyExecutor(one, "float64"), options
    )


def values(graph: Graph, given: Mapping[str, Array], *names: str) -> dict[str, Array]:
    return dict(NumpyExecutor(graph, "float64").walk(given, wanted=names))


def error(graph: Graph, plan: Plan) -> float:
    """Of the outputs on inputs that no fit has seen, as a share of their variance."""
    lost = whole = 0.0
    for seed in range(100, 108):
        given = inputs_for(graph, seed)
        for name in graph.outputs:
            want = values(graph, given, name)[name]
            lost += float(np.sum((values(cut(graph, plan), given, name)[name] - want) ** 2))
            whole += float(np.sum((want - want.mean()) ** 2))
    return lost / whole


def test_outputs_come_nearer_to_the_original_on_inputs_outside_the_fit() -> None:
    for graph in (chain(), residual()):
        result = fitted(graph)
        bare = plan_for(
            couple(graph), {name: np.asarray(one.remove) for name, one in result.plan.cuts.items()}
        )
        assert error(graph, result.plan) < 0.6 * error(graph, bare)


def test_a_fit_is_where_no_other_weights_are_nearer() -> None:
    """The gradient of the squared error and the pull is zero, computed here from whole activations."""
    net = Builder(seed=3)
    x = net.add("relu", net.linear(net.input(4, 6), 9, path="a"))
    graph = net.graph(net.linear(x, 5, path="b"))
    result = fitted(graph, count=64, ridges=(0.03,))
    small = cut(graph, result.plan)
    relu = graph.nodes[1].outputs[0]
    both = [(values(graph, one, "b")["b"], values(small, one, relu)[relu]) for one in feeds(graph, 64)]
    target, data = (np.concatenate(part).astype(float) for part in zip(*both, strict=True))
    weight, bias = (small.params[f"b.{name}"].read().astype(float) for name in ("weight", "bias"))
    old = np.delete(read(graph, "b.weight"), REMOVE, axis=1).astype(float)
    centred = data - data.mean(axis=0)
    pull = 0.03 * np.trace(centred.T @ centred) / data.shape[1]
    slope = centred.T @ (centred @ weight.T - (target - target.mean(axis=0))) + pull * (weight - old).T
    assert result.ridges["b"] == 0.03
    assert np.max(np.abs(slope)) < 1e-4 * np.max(np.abs(centred.T @ target))
    np.testing.assert_allclose(bias, target.mean(axis=0) - weight @ data.mean(axis=0), rtol=1e-4, atol=1e-6)


def test_what_nothing_was_cut_in_front_of_stays_as_it_is() -> None:
    graph = residual()
    result = fitted(graph, plan_for(couple(graph), {"two.a": REMOVE}))
    assert {"two.b.weight", "two.b.bias"} <= set(result.plan.tensors)
    assert {name.rpartition(".")[0] for name in result.plan.tensors} <= {"two.b", "head"}


def test_a_plan_that_cuts_nothing_is_given_back() -> None:
    graph = chain()
    plan = plan_for(couple(graph), {})
    assert fitted(graph, plan).plan is plan


def test_what_is_cut_of_a_fitted_weight_is_what_it_was() -> None:
    """New entries stand where they are kept; the rest is nobody's to change."""
    graph = residual()
    coupling = couple(graph)
    plan = fitted(graph).plan
    for name, tensor in plan.tensors.items():
        index = kept_axes(coupling, plan.kept(coupling), name)
        mark = np.zeros(tensor.shape, bool)
        mark[
            np.ix_(
                *(np.arange(n) if keep is None else keep for n, keep in zip(tensor.shape, index, strict=True))
            )
        ] = 1
        np.testing.assert_array_equal(tensor[~mark], read(graph, name)[~mark])
        assert np.array_equal(gather(tensor, index), cut(graph, plan).params[name].read())


def test_the_same_bytes_every_time_and_from_a_file(tmp_path: Path) -> None:
    graph = residual()
    one, two = fitted(graph).plan, fitted(graph).plan
    assert one.tensors == two.tensors
    one.save(tmp_path / "plan.json")
    again = Plan.load(tmp_path / "plan.json")
    assert again == one
    given = inputs_for(graph)
    name = graph.outputs[0]
    assert np.array_equal(
        values(cut(graph, again), given, name)[name], values(cut(graph, one), given, name)[name]
    )


def test_the_last_branch_repairs_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the narrow branch has lost the wide one knows, and gives through a normalisation and a move."""
    net = Builder(seed=1)
    x = net.input(8, 6, 1, 1)
    hidden = net.add("relu", net.conv(x, 12, path="narrow"))
    narrow = net.add("flatten", net.conv(hidden, 4, path="narrow.out"), start=1, end=3)
    hidden = net.add("relu", net.conv(x, 48, path="wide"))
    wide = net.batch_norm(net.conv(hidden, 4, path="wide.out"), path="bn")
    graph = net.graph(net.add("add", net.add("flatten", wide, start=1, end=3), narrow))
    plan = plan_for(couple(graph), {"narrow": np.arange(11), "wide": np.array([5])})
    with_sum = error(graph, fitted(graph, plan, count=48).plan)
    monkeypatch.setattr("prunepass.passes.rewrites._reconstruct.sum_of", lambda *_: None)
    assert with_sum < 0.5 * error(graph, fitted(graph, plan, count=48).plan)


def test_the_intercept_goes_to_a_running_mean_where_there_is_no_bias() -> None:
    net = Builder(seed=2)
    x = net.add("relu", net.conv(net.input(2, 3, 6, 6), 8, path="a"))
    x = net.batch_norm(net.conv(x, 4, 3, path="b", bias=False), path="bn")
    graph = net.graph(net.add("relu", x))
    plan = fitted(graph).plan
    assert set(plan.tensors) == {"b.weight", "bn.running_mean"}
    means = [
        np.mean([values(one, given, "b", "bn")["bn"].mean(axis=(0, 2, 3)) for given in feeds(graph)], axis=0)
        for one in (graph, cut(graph, plan))
    ]
    np.testing.assert_allclose(*means, atol=1e-6)


def test_filters_of_one_channel_get_one_gain_each() -> None:
    net = Builder(seed=2)
    x = net.add("relu", net.conv(net.add("relu", net.conv(net.input(2, 3, 6, 6), 8, path="a")), 9, path="b"))
    x = net.conv(x, 9, 3, path="each", groups=9)
    graph = net.graph(net.conv(x, 2, path="c"))
    plan = fitted(graph, plan_for(couple(graph), {"a": REMOVE})).plan
    if "each.weight" in plan.tensors:
        ratio = plan.tensors["each.weight"] / read(graph, "each.weight")
        np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :, :1, :1], ratio.shape), rtol=1e-5)
    assert "each.bias" in plan.tensors


def test_weights_that_several_nodes_read_are_said_not_to_be_repaired() -> None:
    net = Builder(seed=1)
    x = net.add("relu", net.linear(net.input(4, 6), 8, path="a"))
    weight = net.weight(8, 8, name="shared.weight")
    y = net.add(
        "linear", net.add("linear", x, weight, node="one", path="one"), weight, node="two", path="two"
    )
    graph = net.graph(net.linear(y, 2, path="end"))
    result = fitted(graph)
    assert "several" in result.unrepaired["one"]
    assert "shared.weight" not in result.plan.tensors


def test_inputs_that_do_not_fit_are_refused() -> None:
    graph = chain()
    coupling = couple(graph)
    plan = plan_for(coupling, {"a": REMOVE})
    good = inputs_for(graph)["x0"]
    for bad, says in ((np.full_like(good, np.nan), "NaN"), (good[:, :2], "shape")):
        with pytest.raises(UsageError, match=says):
            reconstruct(coupling, plan, [{"x0": bad}], NumpyExecutor)
    with pytest.raises(UsageError, match="no inputs"):
        reconstruct(coupling, plan, [], NumpyExecutor)


@pytest.mark.parametrize("option", ["count=0", "rows=0", "ridge=-1", "ridge=much", "rare=2"])
def test_options_that_make_no_sense_are_refused(option: str) -> None:
    with pytest.raises(UsageError):
        Pipeline.parse(f"reconstruct{{{option}}}")


def test_the_pass_stands_between_choice_and_cut_and_leaves_its_facts() -> None:
    text = "couple | score{metric=l2} | select{budget=channels:0.5} | reconstruct{count=8, ridge=0.3} | cut | verify"
    pipeline = Pipeline.parse(text)
    assert str(Pipeline.parse(str(pipeline))) == str(pipeline)
    graph, told = chain(), list[float]()
    state = pipeline(graph, task=Task([inputs_for(graph, seed) for seed in range(9)]), progress=told.append)
    assert state.reconstruction is not None
    assert state.reconstruction.samples == 8
    assert state.plan is not None
    assert state.plan.tensors
    assert told == sorted(told)
    assert told[-1] == 1


def test_where_no_inputs_can_be_made_known_means_move_into_biases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_repairs, "calibration_of", lambda state, count: Calibration())
    net = Builder(seed=1)
    words = net.add("embedding", net.weight(5, 8), net.input(2, 4, dtype="int64"))
    x = net.add("permute", net.linear(words, 8, path="a"), order=(0, 2, 1))
    graph = net.graph(net.conv(net.batch_norm(x, path="bn"), 3, path="b"))
    state = Pipeline.parse(
        "couple | score{metric=l2} | select{budget=channels:0.5} | reconstruct | cut | verify"
    )(graph)
    assert state.plan is not None
    assert "b.bias" in state.plan.shifts
    assert not state.plan.tensors


def test_a_later_plan_goes_on_from_fitted_weights() -> None:
    graph = residual()
    first = fitted(graph, plan_for(couple(graph), {"one.a": REMOVE})).plan
    middle = cut(graph, first)
    later = plan_for(couple(middle), {"two.a": np.array([1, 2])})
    assert later.fingerprint == fingerprint(middle)
    both = first.then(later, graph)
    given, name = inputs_for(graph), graph.outputs[0]
    np.testing.assert_array_equal(
        values(cut(graph, both), given, name)[name], values(cut(middle, later), given, name)[name]
    )


@given(random_graphs())
@settings(max_examples=60, deadline=None)
def test_any_network_can_be_fitted_and_the_law_holds(network: Network) -> None:
    graph = network.graph
    coupling = couple(graph)
    plan = random_cut(coupling, 0)
    result = reconstruct(coupling, plan, feeds(graph, 4), lambda one: NumpyExecutor(one, "float64"))
    assert set(result.plan.tensors) <= set(graph.params)
    assert result.plan.cuts == plan.cuts
    prove(graph, cut(graph, result.plan), result.plan, inputs_for(graph), tolerance=1e-9)
