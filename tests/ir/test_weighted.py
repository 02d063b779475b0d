"""The law of declared weighted sums: terms times the weight as a matrix is what the operator makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from prunepass.ir import Array, Graph, call_of, registry, weighted_sum
from tests.graphs import Builder

Make = Callable[[Builder], str]


def arrays_of(graph: Graph, seed: int = 0) -> list[Array | None]:
    rng, node = np.random.default_rng(seed), graph.nodes[0]
    return [
        None
        if name is None
        else graph.params[name].read().astype(np.float64)
        if name in graph.params
        else rng.standard_normal(graph.values[name].shape)
        for name in node.inputs
    ]


def holds(graph: Graph) -> bool:
    """Check the law at every position; False where the node says that it is none."""
    node = graph.nodes[0]
    found = weighted_sum(graph, node)
    if found is None:
        return False
    given = arrays_of(graph)
    data, weight = given[found.data], given[found.weight]
    assert data is not None
    assert weight is not None
    if found.bias is not None:
        given[found.bias] = np.zeros(graph.params[str(node.inputs[found.bias])].shape)
    (made,) = registry()[node.op].run(call_of(graph, node), tuple(given))
    rows, matrix = np.arange(found.positions), found.matrix(weight)
    np.testing.assert_array_equal(found.weight_of(matrix), weight)
    sums = np.einsum("rgk,gok->rgo", found.terms(data, rows), matrix)
    np.testing.assert_allclose(sums, found.made_at(made, rows), rtol=1e-9, atol=1e-12)
    return True


def graph_of(make: Make) -> Graph:
    net = Builder(seed=1)
    return net.graph(make(net))


@st.composite
def convolutions(draw: st.DrawFn) -> Graph:
    rank, groups = draw(st.integers(1, 3)), draw(st.sampled_from((1, 2, 4)))
    transposed, batch = draw(st.booleans()), draw(st.sampled_from(((), (1,), (2,))))
    inside, made = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    attrs: dict[str, Any] = {
        "groups": groups,
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(rank)),
        "dilation": tuple(draw(st.integers(1, 2)) for _ in range(rank)),
        "padding": tuple(draw(st.integers(0, size - 1)) for size in kernel),
    }
    space = tuple(draw(st.integers(5, 7)) for _ in range(rank))
    shape = (groups * inside, made, *kernel) if transposed else (groups * made, inside, *kernel)
    if transposed:
        attrs |= {"transposed": True, "output_padding": tuple(step - 1 for step in attrs["stride"])}
    net = Builder(seed=draw(st.integers(0, 3)))
    data = net.input(*batch, groups * inside, *space)
    name = "conv_transpose" if transposed and draw(st.booleans()) else "conv"
    bias = net.weight(groups * made) if draw(st.booleans()) else None
    return net.graph(net.add(name, data, net.weight(*shape), bias, **attrs))


@settings(max_examples=150)
@given(convolutions())
def test_convolutions_of_both_directions_are_their_terms_times_the_weight(graph: Graph) -> None:
    assert holds(graph)


SUMS: dict[str, Make] = {
    "linear": lambda n: n.add("linear", n.input(2, 3, 4), n.weight(5, 4), n.weight(5)),
    "matmul": lambda n: n.add("matmul", n.input(2, 3, 4), n.weight(4, 5)),
    "matmul of batches": lambda n: n.add("matmul", n.input(2, 3, 4), n.weight(2, 4, 5)),
    "matmul with a vector": lambda n: n.add("matmul", n.input(2, 3, 4), n.weight(4)),
    "scaled matmul": lambda n: n.add("matmul", n.input(3, 4), n.weight(4, 5), alpha=0.5),
    "gemm": lambda n: n.add(
        "gemm", n.input(3, 4), n.weight(5, 4), n.weight(5), trans_b=1, alpha=0.5, beta=2.0
    ),
    "gemm of transposed data": lambda n: n.add("gemm", n.input(4, 3), n.weight(4, 5), n.weight(5), trans_a=1),
}
OTHERS: dict[str, Make] = {
    "a square weight on the left": lambda n: n.add("matmul", n.weight(4, 4), n.input(4, 4)),
    "a weight on the left": lambda n: n.add("matmul", n.weight(5, 4), n.input(2, 4, 3)),
    "gemm with the weight on the left": lambda n: n.add("gemm", n.weight(4, 4), n.input(4, 4), None),
    "one weight for all of a batch": lambda n: n.add("matmul", n.input(2, 3, 4), n.weight(1, 4, 5)),
}


@pytest.mark.parametrize("name", SUMS)
def test_products_with_a_weight_are_their_terms_times_it(name: str) -> None:
    assert holds(graph_of(SUMS[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_a_form_that_no_terms_are_declared_for_is_none_rather_than_wrong(name: str) -> None:
    graph = graph_of(OTHERS[name])
    assert weighted_sum(graph, graph.nodes[0]) is None or holds(graph)
