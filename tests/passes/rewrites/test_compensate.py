from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Graph
from prunepass.passes import Plan, couple, cut, masked_values, plan_for, prove
from prunepass.passes.rewrites._compensate import Compensation, compensate
from tests.graphs import Builder, chain, residual
from tests.passes.legal import inputs_for, random_cut
from tests.passes.networks import Network, random_graphs
from tests.passes.scores.test_dfpc_laws import changed, read

REMOVE = np.array([0, 3, 4])


def repaired(graph: Graph, remove: Array = REMOVE) -> Compensation:
    """All prunable groups cut by the same channels, and repaired."""
    coupling = couple(graph)
    return compensate(coupling, plan_for(coupling, {g.name: remove for g in coupling.prunable}))


def mean_of_cut(graph: Graph, bn: str = "bn") -> Array:
    """What the normalisation says of the channels that go, 0 for the others."""
    found = np.zeros(graph.params[f"{bn}.bias"].shape)
    found[REMOVE] = read(graph, f"{bn}.bias")[REMOVE]
    return found


def one_reader() -> tuple[Builder, str]:
    """A normalisation straight under what reads it."""
    net = Builder(seed=1)
    return net, net.batch_norm(net.conv(net.input(2, 3, 6, 6), 8, path="a"), path="bn")


def test_the_mean_of_what_goes_moves_into_the_bias_of_what_read_it() -> None:
    net, x = one_reader()
    graph = net.graph(net.conv(x, 2, path="b"))
    result = repaired(graph)
    want = read(graph, "b.weight")[:, :, 0, 0].astype(float) @ mean_of_cut(graph)
    np.testing.assert_allclose(result.plan.shifts["b.bias"], want, rtol=1e-6)
    assert result.repaired == ("b.bias",)
    assert not result.unrepaired
    assert result.unknown == ()


def test_on_data_with_the_stated_means_the_mean_of_the_output_stays() -> None:
    net = Builder(seed=1)
    x = net.batch_norm(net.linear(net.input(500, 3), 8, path="a"), path="bn")
    graph = net.graph(net.linear(x, 4, path="b"))
    data = np.random.default_rng(0).standard_normal((500, 3))
    made = data @ read(graph, "a.weight").T + read(graph, "a.bias")
    graph = changed(graph, {"bn.running_mean": made.mean(axis=0), "bn.running_var": made.var(axis=0)})
    result = repaired(graph)
    whole, bare, mended = (
        dict(masked_values(graph, plan, {"x0": data}))["b"].mean(axis=0)
        for plan in (plan_for(couple(graph), {}), plan_for(couple(graph), {"a": REMOVE}), result.plan)
    )
    assert np.max(np.abs(bare - whole)) > 0.1
    np.testing.assert_allclose(mended, whole, atol=1e-12)


def test_padding_is_averaged_over_positions_the_least_squares_choice() -> None:
    net, x = one_reader()
    graph = net.graph(net.conv(x, 2, 3, path="b", padding=1))
    weight = read(graph, "b.weight").astype(float)
    shift = np.array(repaired(graph).plan.shifts["b.bias"])
    padded = np.zeros((8, 8, 8))
    padded[:, 1:7, 1:7] = mean_of_cut(graph)[:, None, None]
    lost = np.array(
        [[(weight * padded[:, i : i + 3, j : j + 3]).sum(axis=(1, 2, 3)) for j in range(6)] for i in range(6)]
    )
    np.testing.assert_allclose(shift, lost.mean(axis=(0, 1)), rtol=1e-6)
    for other in (shift * 0.99, shift * 1.01):
        assert np.sum((lost - shift) ** 2) < np.sum((lost - other) ** 2)


def test_without_a_bias_the_running_mean_behind_gives_way() -> None:
    net, x = one_reader()
    graph = net.graph(net.batch_norm(net.conv(x, 2, path="b", bias=False), path="bn_b"))
    want = read(graph, "b.weight")[:, :, 0, 0].astype(float) @ mean_of_cut(graph)
    shifts = repaired(graph).plan.shifts
    assert set(shifts) == {"bn_b.running_mean"}
    np.testing.assert_allclose(shifts["bn_b.running_mean"], -want, rtol=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("op", "attrs", "factor"),
    [
        ("add", {}, 1.0),
        ("add", {"alpha": 4.0}, 4.0),
        ("subtract", {}, -1.0),
        ("subtract", {"alpha": 4.0}, -4.0),
    ],
)
def test_a_bias_that_is_added_later_takes_it(
    op: str, attrs: dict[str, float], factor: float, swapped: bool
) -> None:
    """Whichever side it stands on and whatever factor is on it: the operator itself says what one unit is worth."""
    net = Builder(seed=1)
    x = net.batch_norm(net.conv(net.input(2, 3, 1, 1), 8, path="a"), path="bn")
    y = net.add("matmul", net.add("reshape", x, shape=(2, 8)), net.weight(8, 4, name="w"))
    bias = net.weight(4, name="later")
    graph = net.graph(net.add(op, *((bias, y) if swapped else (y, bias)), **attrs))
    want = mean_of_cut(graph) @ read(graph, "w").astype(float)
    # p + f * (y + d) = (p + f * d) + f * y, and (y + d) + f * p = y + f * (p + d / f).
    want = want * factor if swapped else want / factor
    np.testing.assert_allclose(repaired(graph).plan.shifts["later"], want, rtol=1e-6)


def test_a_factor_on_the_bias_is_divided_out() -> None:
    net = Builder(seed=1)
    x = net.batch_norm(net.conv(net.input(2, 3, 1, 1), 8, path="a"), path="bn")
    flat = net.add("reshape", x, shape=(2, 8))
    graph = net.graph(
        net.add("gemm", flat, net.weight(8, 4, name="w"), net.weight(4, name="c"), beta=0.5, alpha=3.0)
    )
    want = 3.0 * (mean_of_cut(graph) @ read(graph, "w").astype(float)) / 0.5
    np.testing.assert_allclose(repaired(graph).plan.shifts["c"], want, rtol=1e-6)


def test_through_sums_and_joins_every_reader_behind_takes_it() -> None:
    """As in pre-activated and densely joined networks: no layer has a bias, all normalisations behind differ."""
    net, x = one_reader()
    y = net.conv(x, 4, path="b", bias=False)
    joined = net.add("concat", y, net.conv("x0", 4, path="other", bias=False), axis=1)
    summed = net.add("add", joined, net.conv("x0", 8, path="third", bias=False))
    ends = [
        net.conv(net.add("relu", net.batch_norm(summed, path=f"bn_{i}")), 2, path=f"end{i}") for i in range(2)
    ]
    graph = net.graph(*ends)
    coupling = couple(graph)
    result = compensate(coupling, plan_for(coupling, {"a": REMOVE}))
    want = np.append(read(graph, "b.weight")[:, :, 0, 0].astype(float) @ mean_of_cut(graph), np.zeros(4))
    for i in range(2):
        np.testing.assert_allclose(result.plan.shifts[f"bn_{i}.running_mean"], -want, rtol=1e-6)
    assert not result.unrepaired


def test_through_an_average_it_goes_on() -> None:
    net, x = one_reader()
    y = net.add(
        "avg_pool", net.conv(x, 4, path="b", bias=False), kernel=(2, 2), stride=(2, 2), count_pads=True
    )
    graph = net.graph(net.batch_norm(y, path="bn_b"))
    assert set(repaired(graph).plan.shifts) == {"bn_b.running_mean"}


def test_through_another_layer_it_goes_on_as_what_that_makes_of_it() -> None:
    net, x = one_reader()
    graph = net.graph(net.conv(net.conv(x, 4, path="b", bias=False), 2, path="c"))
    lost = read(graph, "b.weight")[:, :, 0, 0].astype(float) @ mean_of_cut(graph)
    coupling = couple(graph)
    shifts = compensate(coupling, plan_for(coupling, {"a": REMOVE})).plan.shifts
    np.testing.assert_allclose(
        shifts["c.bias"], read(graph, "c.weight")[:, :, 0, 0].astype(float) @ lost, rtol=1e-6
    )


@pytest.mark.parametrize("op", ["relu", "clip", "max_pool", "hypot"])
def test_what_is_not_linear_stands_in_the_way_and_is_named(op: str) -> None:
    net, x = one_reader()
    y = net.conv(x, 4, path="b", bias=False)
    others = {"clip": (net.constant(-9.0), net.constant(9.0)), "hypot": (y,)}.get(op, ())
    attrs = {"kernel": (2, 2), "stride": (2, 2)} if op == "max_pool" else {}
    z = net.add(op, y, *others, path="gate", **attrs)
    coupling = couple(net.graph(net.conv(z, 2, path="c")))
    result = compensate(coupling, plan_for(coupling, {"a": REMOVE}))
    assert "b" in result.unrepaired
    assert "gate" in result.unrepaired["b"]
    assert not result.plan.shifts


def test_an_output_that_is_short_is_named() -> None:
    net, x = one_reader()
    result = repaired(net.graph(net.conv(x, 4, path="b", bias=False)))
    assert "output" in result.unrepaired["b"]


def test_where_no_normalisation_says_the_mean_the_groups_are_named() -> None:
    result = repaired(residual(16))
    assert set(result.unknown) == {"stem", "one.a", "two.a"}
    assert "one.a" in result.unrepaired["one.b"]
    assert not result.plan.shifts


def shared_bias(second: bool) -> Graph:
    net, x = one_reader()
    bias = net.weight(2, name="shared")
    weights = [net.weight(2, 8, 1, 1, name=f"w{i}") for i in range(2)]
    makers = [net.add("conv", x, weights[i if second else 0], bias, node=f"b{i}") for i in range(2)]
    return net.graph(*makers)


def test_a_param_that_two_layers_share_changes_only_where_both_need_the_same() -> None:
    assert set(repaired(shared_bias(second=False)).plan.shifts) == {"shared"}
    result = repaired(shared_bias(second=True))
    assert not result.plan.shifts
    assert "shared" in result.unrepaired["b0"]


def test_a_param_that_a_layer_shares_with_one_that_lost_nothing_stays() -> None:
    net, x = one_reader()
    bias = net.weight(2, name="shared")
    lost = net.add("conv", x, net.weight(2, 8, 1, 1), bias, node="b")
    graph = net.graph(lost, net.add("conv", "x0", net.weight(2, 3, 1, 1), bias, node="c"))
    result = repaired(graph)
    assert not result.plan.shifts
    assert "shared" in result.unrepaired["b"]


def test_a_constant_that_the_capture_made_up_is_left_alone() -> None:
    net, x = one_reader()
    graph = net.graph(
        net.add("conv", x, net.weight(2, 8, 1, 1), net.constant(np.zeros(2, np.float32)), node="b")
    )
    result = repaired(graph)
    assert not result.plan.shifts
    assert "b" in result.unrepaired


def test_the_batch_does_not_count() -> None:
    small, large = (repaired(chain(batch=batch)).plan.shifts for batch in (1, 5))
    assert small == large


def test_the_law_holds_with_shifts() -> None:
    graph = chain()
    plan = repaired(graph).plan
    assert plan.shifts
    assert prove(graph, cut(graph, plan), plan).worst < 1e-12


def test_the_plan_in_json_holds_what_the_params_can() -> None:
    plan = repaired(chain()).plan
    again = msgspec.json.decode(plan.to_json(), type=Plan)
    assert again.shifts == plan.shifts
    numbers = json.loads(plan.to_json())["shifts"]["b.bias"]
    assert all(float(np.float32(number)) == number for number in numbers)


def test_repairing_twice_is_repairing_once() -> None:
    coupling = couple(chain())
    once = compensate(coupling, plan_for(coupling, {"a": REMOVE}))
    assert compensate(coupling, once.plan).plan == once.plan


def test_a_wide_param_keeps_its_digits() -> None:
    graph = chain()
    wide = {
        name: replace(param, dtype="float64", source=lambda p=param: p.read().astype(float))
        for name, param in graph.params.items()
    }  # type: ignore[misc]
    amounts = repaired(replace(graph, params=wide)).plan.shifts["b.bias"]
    assert any(float(np.float32(number)) != number for number in amounts)


@given(random_graphs())
@settings(max_examples=60)
def test_any_network_can_be_repaired_as_far_as_it_says_and_the_law_holds(network: Network) -> None:
    graph = network.graph
    coupling = couple(graph)
    result = compensate(coupling, random_cut(coupling, 0))
    assert set(result.unknown) <= {group.name for group in coupling.prunable}
    assert set(result.repaired) == set(result.plan.shifts) <= set(graph.params)
    prove(graph, cut(graph, result.plan), result.plan, inputs_for(graph), tolerance=1e-9)


def test_a_product_of_two_values_has_no_fixed_weights() -> None:
    net = Builder(seed=1)
    x = net.add(
        "reshape", net.batch_norm(net.conv(net.input(2, 3, 1, 1), 8, path="a"), path="bn"), shape=(2, 8)
    )
    other = net.linear(net.input(2, 5), 8, path="other")
    graph = net.graph(net.add("matmul", x, net.add("permute", other, order=(1, 0)), path="product"))
    result = repaired(graph)
    assert "fixed weights" in result.unrepaired["product"]
    assert not result.plan.shifts
