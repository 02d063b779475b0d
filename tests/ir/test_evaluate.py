"""The reference interpreter: every value of a graph, one declared evaluation after the other."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import (
    Array,
    Graph,
    Node,
    Op,
    UnsupportedError,
    UsageError,
    cast,
    evaluate,
    plain_step,
    walk,
)
from tests.graphs import Builder, chain, residual


def feeds(graph: Graph, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(graph.values[name].shape) for name in graph.inputs}


def test_values_are_what_numpy_computes() -> None:
    graph = chain(4)
    values = evaluate(graph, feeds(graph))
    data = {name: param.read().astype(np.float64) for name, param in graph.params.items()}
    column = (1, 4, 1, 1)
    slope = data["bn.weight"] / np.sqrt(data["bn.running_var"] + 1e-5)
    norm = (values["a"] - data["bn.running_mean"].reshape(column)) * slope.reshape(column)
    norm = norm + data["bn.bias"].reshape(column)
    np.testing.assert_allclose(values["bn"], norm)
    np.testing.assert_array_equal(values["relu"], np.maximum(values["bn"], 0))
    out = np.einsum("bchw,oc->bohw", values["relu"], data["b.weight"][:, :, 0, 0])
    np.testing.assert_allclose(values["b"], out + data["b.bias"].reshape(1, 2, 1, 1))


def test_every_value_comes_in_the_order_of_the_nodes() -> None:
    graph = residual()
    assert list(evaluate(graph, feeds(graph))) == list(graph.values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_computed_in_the_dtype_asked_for_and_integers_stay(dtype: str) -> None:
    net = Builder()
    words = net.input(2, dtype="int64")
    x = net.add("embedding", net.weight(3, 4), words)
    graph = net.graph(net.add("relu", x))
    values = evaluate(graph, {words: np.array([0, 2])}, dtype=dtype)
    assert values[words].dtype == np.int64
    assert {array.dtype.name for name, array in values.items() if name != words} == {dtype}


def test_a_missing_input_is_named_with_all_that_there_are() -> None:
    net = Builder()
    graph = net.graph(net.add("add", net.input(2, 3), net.input(2, 3)))
    with pytest.raises(UsageError, match=r"input 'x1' is missing \(the model reads x0, x1\)"):
        evaluate(graph, {"x0": np.zeros((2, 3))})


def test_an_input_of_another_shape_is_refused() -> None:
    graph = chain()
    with pytest.raises(
        UsageError, match=r"input 'x0' has shape \(1, 3, 4, 4\), the model reads \(2, 3, 4, 4\)"
    ):
        evaluate(graph, {"x0": np.zeros((1, 3, 4, 4))})


def test_params_can_be_replaced() -> None:
    graph = chain()
    zero = {"b.weight": np.zeros((2, 8, 1, 1)), "b.bias": np.full(2, 3.0)}
    values = dict(walk(graph, feeds(graph), params=zero))
    np.testing.assert_array_equal(values["b"], np.full((2, 2, 4, 4), 3.0))


def test_a_step_takes_the_place_of_the_plain_evaluation() -> None:
    seen = []

    def step(graph: Graph, node: Node, op: Op, operands: tuple[Array | None, ...]) -> tuple[Array, ...]:
        seen.append((node.name, op.name, len(operands)))
        return tuple(0 * array for array in plain_step(graph, node, op, operands))

    graph = chain()
    values = dict(walk(graph, feeds(graph), step=step))
    assert seen == [("a", "conv", 3), ("bn", "batch_norm", 5), ("relu", "relu", 1), ("b", "conv", 3)]
    assert not any(np.any(values[name]) for name in ("a", "bn", "relu", "b"))


def test_arrays_that_are_dropped_after_their_last_reader_change_nothing() -> None:
    graph = residual()
    kept = dict(walk(graph, feeds(graph)))
    for name, array in walk(graph, feeds(graph), keep_all=False):
        np.testing.assert_array_equal(array, kept[name])


def test_values_that_nobody_reads_are_dropped_too() -> None:
    net = Builder()
    x = net.input(2, 3)
    for _ in range(5):
        net.add("relu", x)
    graph = net.graph(net.add("neg", x))
    seen, alive = [], []
    for _, array in walk(graph, {x: np.ones((2, 3))}, keep_all=False):
        seen.append(weakref.ref(array))
        alive.append(sum(one() is not None for one in seen))
    assert max(alive) <= 3  # the input, what is made, and what the loop still holds


def test_a_foreign_node_is_computed_by_its_host() -> None:
    net = Builder()
    x = net.input(2, 3)
    y = net.add_foreign("custom::double", x, result=(2, 3), evaluate=lambda array: (2 * np.asarray(array),))
    graph = net.graph(y)
    np.testing.assert_array_equal(evaluate(graph, {x: np.ones((2, 3))})[y], np.full((2, 3), 2.0))


def test_a_foreign_node_without_a_host_is_refused() -> None:
    net = Builder()
    y = net.add_foreign("custom::double", net.input(2, 3), result=(2, 3), evaluate=lambda *_: ())
    nodes = tuple(replace(node, foreign=None) for node in net.nodes)
    with pytest.raises(UnsupportedError, match="operator 'custom::double' cannot be evaluated"):
        evaluate(replace(net.graph(y), nodes=nodes), {"x0": np.ones((2, 3))})


def test_a_failure_inside_an_operator_names_the_node() -> None:
    def fail(*_: Array | None) -> tuple[Array, ...]:
        raise ZeroDivisionError("by nothing")

    net = Builder()
    graph = net.graph(net.add_foreign("custom::fail", net.input(2), result=(2,), evaluate=fail))
    with pytest.raises(
        UnsupportedError, match="'foreign' could not be evaluated: ZeroDivisionError: by"
    ) as error:
        evaluate(graph, {"x0": np.ones(2)})
    assert "foreign_0" in str(error.value)


def test_casting_touches_floats_alone() -> None:
    assert cast(np.ones(2, np.float16), "float64").dtype == np.float64
    assert cast(np.ones(2, np.int8), "float64").dtype == np.int8
    assert cast(np.ones(2, bool), "float32").dtype == np.bool_
