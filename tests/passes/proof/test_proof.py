"""The proof finds what is wrong, says where, and is not fooled by zeros, NaN or rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, ModelError, VerificationError
from prunepass.passes import (
    Cut,
    Plan,
    couple,
    cut,
    fingerprint,
    masked_values,
    plan_for,
    prove,
    random_inputs,
    relative_error,
)
from tests.graphs import Builder, chain, residual


def with_data(graph: Graph, name: str, data: Array) -> Graph:
    """``graph`` with other data for one param."""
    array = np.asarray(data, dtype=np.float32)
    param = replace(graph.params[name], shape=array.shape, source=lambda: array)
    return replace(graph, params={**graph.params, name: param})


def pruned(graph: Graph) -> tuple[Graph, Plan]:
    coupling = couple(graph)
    plan = plan_for(coupling, {group.name: np.array([0, 2]) for group in coupling.prunable})
    return cut(graph, plan), plan


def test_a_right_cut_is_proven_at_every_value() -> None:
    graph = residual()
    small, plan = pruned(graph)
    proof = prove(graph, small, plan)
    assert proof.values == len(graph.values)
    assert proof.worst < 1e-13
    assert str(proof).startswith(f"{proof.values} values equal, worst relative error ")
    assert f"'{proof.where}'" in str(proof)


def test_the_first_value_that_differs_is_named_with_its_place() -> None:
    graph = residual()
    small, plan = pruned(graph)
    weight = small.params["one.b.weight"].read().copy()
    weight[1, 3, 0, 0] += 0.5
    with pytest.raises(
        VerificationError, match=r"^one\.b: value 'one\.b' differs at \[\d, 1, \d, \d\]: pruned"
    ):
        prove(graph, with_data(small, "one.b.weight", weight), plan)


def test_kept_channels_in_another_order_are_found() -> None:
    graph = chain(8)
    small, plan = pruned(graph)
    weight = small.params["b.weight"].read()
    with pytest.raises(VerificationError, match="value 'b' differs"):
        prove(graph, with_data(small, "b.weight", weight[:, ::-1]), plan)


def test_another_cut_than_the_plans_is_found() -> None:
    graph = chain(8)
    small, _ = pruned(graph)
    other = plan_for(couple(graph), {"a": np.array([1, 2])})
    with pytest.raises(VerificationError, match="value 'a' differs"):
        prove(graph, small, other)
    larger = plan_for(couple(graph), {"a": np.array([0])})
    with pytest.raises(VerificationError, match=r"shape \(2, 6, 4, 4\) after the cut, masked it has \(2, 7,"):
        prove(graph, small, larger)


def test_params_that_are_all_zero_hide_nothing() -> None:
    graph = with_data(chain(8), "bn.weight", np.zeros(8))
    graph = with_data(graph, "bn.bias", np.zeros(8))
    small, plan = pruned(graph)
    wrong = with_data(small, "b.weight", small.params["b.weight"].read()[:, ::-1])
    assert prove(graph, small, plan).worst < 1e-13
    prove(graph, wrong, plan, perturb=False)
    with pytest.raises(VerificationError):
        prove(graph, wrong, plan)


def test_given_inputs_are_used() -> None:
    graph = chain(8)
    small, plan = pruned(graph)
    wrong = with_data(small, "a.weight", small.params["a.weight"].read() * 2)
    nothing = {"x0": np.zeros((2, 3, 4, 4))}
    prove(graph, wrong, plan, nothing)
    with pytest.raises(VerificationError):
        prove(graph, wrong, plan, {"x0": np.ones((2, 3, 4, 4))})


def test_random_inputs_fit_shapes_and_types_and_repeat() -> None:
    net = Builder()
    x = net.add("embedding", net.weight(2, 4), net.input(3, 5, dtype="int64"))
    graph = net.graph(net.add("multiply", x, net.input(3, 5, 4)))
    one, other = random_inputs(graph), random_inputs(graph)
    assert {name: (array.shape, array.dtype.kind) for name, array in one.items()} == {
        "x0": ((3, 5), "i"), "x1": ((3, 5, 4), "f"),
    }  # fmt: skip
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert set(np.unique(one["x0"])) == {0, 1}


def test_nothing_is_proven_by_nan() -> None:
    graph = with_data(chain(8), "bn.running_var", np.full(8, -1.0))
    small, plan = pruned(graph)
    with pytest.raises(ModelError, match="value 'bn' is NaN throughout, so nothing can be proven"):
        prove(graph, small, plan)


def test_nothing_is_proven_where_nothing_goes_in() -> None:
    graph = chain(8)
    empty = {name: replace(value, shape=(0, *value.shape[1:])) for name, value in graph.values.items()}
    graph = replace(graph, values=empty)
    small, plan = pruned(graph)
    with pytest.raises(ModelError, match="every input is empty, so nothing can be proven"):
        prove(graph, small, plan)


def test_shifted_params_are_shifted_on_both_sides() -> None:
    graph = chain(8)
    shifts = {"b.bias": (0.5, -0.5)}
    plan = Plan(fingerprint=fingerprint(graph), cuts={"a": Cut(8, (0, 2))}, shifts=shifts)
    small = cut(graph, plan)
    prove(graph, small, plan)
    unshifted = replace(small, params={**small.params, "b.bias": graph.params["b.bias"]})
    wrong = with_data(unshifted, "b.weight", unshifted.params["b.weight"].read() * 1.01)
    with pytest.raises(VerificationError):
        prove(graph, wrong, plan)


def test_masked_values_have_the_uncut_shapes_and_read_no_cut_channel() -> None:
    graph = chain(8)
    plan = plan_for(couple(graph), {"a": np.arange(1, 8)})
    values = dict(masked_values(graph, plan, random_inputs(graph)))
    assert values["relu"].shape == (2, 8, 4, 4)
    first = graph.params["b.weight"].read()[:, 0, 0, 0].reshape(1, 2, 1, 1)
    want = values["relu"][:, :1] * first + graph.params["b.bias"].read().reshape(1, 2, 1, 1)
    np.testing.assert_allclose(values["b"], want)


def test_what_is_normalised_over_cut_channels_is_normalised_over_the_kept_ones() -> None:
    net = Builder()
    x = net.linear(net.input(2, 3), 6, path="a")
    x = net.add("layer_norm", x, None, None, axis=1, eps=0.0, node="norm")
    graph = net.graph(net.linear(x, 2, path="b"))
    assert couple(graph).group("a").inexact == ("statistics are taken over these channels [norm]",)
    small, plan = pruned(graph)
    prove(graph, small, plan)
    values = dict(masked_values(graph, plan, random_inputs(graph)))
    kept = values["a"][:, [1, 3, 4, 5]]
    want = (kept - kept.mean(axis=1, keepdims=True)) / kept.std(axis=1, keepdims=True)
    np.testing.assert_allclose(values["norm"][:, [1, 3, 4, 5]], want)


def centred() -> Graph:
    """The mean of what has been centred: nothing but rounding, and a layer that reads it."""
    net = Builder()
    x = net.conv(net.input(2, 3, 7, 7), 12, 3, path="a")
    x = net.conv(x, 12, path="b")
    x = net.add("subtract", x, net.add("mean", x, axes=(2, 3), keepdims=True))
    x = net.add("tanh", net.add("mean", x, axes=(2, 3), keepdims=False, node="nothing"))
    return net.graph(net.linear(x, 4, path="head", bias=False))


def test_rounding_is_no_fault_where_it_is_all_there_is() -> None:
    graph = centred()
    small, plan = pruned(graph)
    proof = prove(graph, small, plan)
    assert proof.worst < 1e-12
    nothing = dict(masked_values(graph, plan, random_inputs(graph)))["nothing"]
    assert 0 < np.abs(nothing).max() < 1e-13, "or the network shows nothing"


def test_a_fault_is_none_the_less_found_there() -> None:
    net = Builder()
    x = net.conv(net.input(2, 3, 7, 7), 12, path="a")
    x = net.add("multiply", x, net.given(1e-13))
    graph = net.graph(net.conv(x, 4, path="b", bias=False))
    small, plan = pruned(graph)
    prove(graph, small, plan)
    wrong = with_data(small, "b.weight", small.params["b.weight"].read()[:, ::-1])
    with pytest.raises(VerificationError, match="value 'b' differs"):
        prove(graph, wrong, plan)


INFINITE = np.array([1.0, np.inf, np.nan, -np.inf])


@pytest.mark.parametrize(
    ("got", "error"),
    [
        (np.array([1.0, np.inf, np.nan, -np.inf]), 0.0),
        (np.array([1.5, np.inf, np.nan, -np.inf]), 0.5),
        (np.array([1.0, -np.inf, np.nan, -np.inf]), np.inf),
        (np.array([1.0, np.inf, np.inf, -np.inf]), np.inf),
        (np.array([1.0, 9e9, np.nan, -np.inf]), np.inf),
        (np.array([np.nan, np.inf, np.nan, -np.inf]), np.inf),
    ],
)
def test_infinities_and_nan_agree_with_themselves_alone(got: Array, error: float) -> None:
    assert relative_error(got, INFINITE) == error


def test_differences_are_relative_to_the_largest_entry() -> None:
    assert relative_error(np.array([1000.0, 1.0]), np.array([1000.0, 0.0])) == 1e-3
    assert relative_error(np.zeros(3), np.zeros(3)) == 0.0
    assert relative_error(np.array([]), np.array([])) == 0.0
    assert relative_error(np.array([1, 2]), np.array([1, 3])) == 1.0
    assert relative_error(np.array([True]), np.array([True])) == 0.0
