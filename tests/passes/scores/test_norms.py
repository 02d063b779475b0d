from __future__ import annotations

import numpy as np

from prunepass.passes import couple, scores
from tests.graphs import Builder, chain


def test_l1_is_the_sum_of_absolute_entries_of_the_rows_that_make_a_channel() -> None:
    graph = chain()
    weight = graph.params["a.weight"].read().astype(float)
    found = scores.L1()(couple(graph))["a"]
    np.testing.assert_allclose(found, np.abs(weight).sum(axis=(1, 2, 3)))


def test_l2_adds_the_norms_of_several_producers_each_counted_once() -> None:
    net = Builder()
    x = net.input(2, 4)
    shared = net.weight(5, 4, name="shared")
    both = net.add(
        "add", net.add("linear", x, shared, None), net.add("linear", net.add("relu", x), shared, None)
    )
    graph = net.graph(net.linear(net.add("add", both, net.linear(x, 5, path="other")), 3))
    weights = [graph.params[name].read().astype(float) for name in ("shared", "other.weight")]
    (found,) = scores.L2()(couple(graph)).values()
    np.testing.assert_allclose(found, sum(np.linalg.norm(weight, axis=1) for weight in weights))


def test_reads_adds_the_norms_of_the_columns_that_read() -> None:
    graph = chain()
    made, read = (graph.params[f"{name}.weight"].read().astype(float) for name in "ab")
    found = scores.L2(reads=True)(couple(graph))["a"]
    want = np.linalg.norm(made.reshape(8, -1), axis=1) + np.linalg.norm(read.reshape(2, 8), axis=0)
    np.testing.assert_allclose(found, want)


def test_normalised_scores_have_mean_one() -> None:
    assert np.isclose(scores.L1(normalize="mean")(couple(chain()))["a"].mean(), 1)


def test_a_channel_that_flattening_spreads_owns_a_block_of_columns() -> None:
    net = Builder()
    x = net.conv(net.input(1, 2, 3, 3), 4, path="a")
    graph = net.graph(net.linear(net.add("reshape", x, shape=(1, 36)), 5, path="b"))
    read = graph.params["b.weight"].read().astype(float)
    made = graph.params["a.weight"].read().astype(float)
    found = scores.L1(reads=True)(couple(graph))["a"]
    np.testing.assert_allclose(
        found, np.abs(made).sum(axis=(1, 2, 3)) + np.abs(read).reshape(5, 4, 9).sum(axis=(0, 2))
    )


def test_a_weight_that_is_computed_from_params_counts_as_it_is_used() -> None:
    net = Builder()
    weight = net.add("multiply", net.weight(4, 3, name="direction"), net.weight(4, 1, name="length"))
    made = net.add("linear", net.input(2, 3), weight, None)
    graph = net.graph(net.linear(net.add("relu", made), 2))
    used = graph.params["direction"].read().astype(float) * graph.params["length"].read()
    (found,) = scores.L1()(couple(graph)).values()
    np.testing.assert_allclose(found, np.abs(used).sum(axis=1))


def test_a_table_that_is_looked_up_is_scored_by_what_it_holds() -> None:
    net = Builder()
    x = net.add("embedding", net.weight(7, 4, name="table"), net.input(2, 3, dtype="int64"))
    graph = net.graph(net.linear(x, 2))
    table = graph.params["table"].read().astype(float)
    (found,) = scores.L2()(couple(graph)).values()
    np.testing.assert_allclose(found, np.linalg.norm(table, axis=0))
