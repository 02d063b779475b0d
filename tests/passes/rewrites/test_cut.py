"""The rewrite: same names, smaller shapes, data untouched until it is wanted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from prunepass.ir import Array, Graph, Param, UsageError, to_text, verify_graph
from prunepass.passes import Cut, Plan, couple, cut, fingerprint, plan_for, prove
from tests.graphs import Builder, chain

BEFORE = """\
graph attention(%x0: f32[2,3,4]) {
  param qkv.weight: f32[12,4]
  param qkv.bias: f32[12]
  param out.weight: f32[2,4]
  param out.bias: f32[2]
  %qkv: f32[2,3,12] = linear(%x0, qkv.weight, qkv.bias)
  %split_1: f32[2,3,4], %split_1.1: f32[2,3,4], %split_1.2: f32[2,3,4] = split(%qkv) {axis=2, sizes=[4, 4, 4]}
  %reshape_2: f32[2,3,2,2] = reshape(%split_1) {shape=[2, 3, 2, 2]}
  %permute_3: f32[2,2,3,2] = permute(%reshape_2) {order=[0, 2, 1, 3]}
  %reshape_4: f32[2,3,2,2] = reshape(%split_1.1) {shape=[2, 3, 2, 2]}
  %permute_5: f32[2,2,3,2] = permute(%reshape_4) {order=[0, 2, 1, 3]}
  %reshape_6: f32[2,3,2,2] = reshape(%split_1.2) {shape=[2, 3, 2, 2]}
  %permute_7: f32[2,2,3,2] = permute(%reshape_6) {order=[0, 2, 1, 3]}
  %permute_8: f32[2,2,2,3] = permute(%permute_5) {order=[0, 1, 3, 2]}
  %matmul_9: f32[2,2,3,3] = matmul(%permute_3, %permute_8)
  %softmax_10: f32[2,2,3,3] = softmax(%matmul_9) {axes=[3]}
  %matmul_11: f32[2,2,3,2] = matmul(%softmax_10, %permute_7)
  %permute_12: f32[2,3,2,2] = permute(%matmul_11) {order=[0, 2, 1, 3]}
  %reshape_13: f32[2,3,4] = reshape(%permute_12) {shape=[2, 3, 4]}
  %out: f32[2,3,2] = linear(%reshape_13, out.weight, out.bias)
  return %out
}
"""
# One of two heads, and one of the two entries that queries and keys share: values keep theirs.
AFTER = """\
graph attention(%x0: f32[2,3,4]) {
  param qkv.weight: f32[4,4]
  param qkv.bias: f32[4]
  param out.weight: f32[2,2]
  param out.bias: f32[2]
  %qkv: f32[2,3,4] = linear(%x0, qkv.weight, qkv.bias)
  %split_1: f32[2,3,1], %split_1.1: f32[2,3,1], %split_1.2: f32[2,3,2] = split(%qkv) {axis=2, sizes=[1, 1, 2]}
  %reshape_2: f32[2,3,1,1] = reshape(%split_1) {shape=[2, 3, 1, 1]}
  %permute_3: f32[2,1,3,1] = permute(%reshape_2) {order=[0, 2, 1, 3]}
  %reshape_4: f32[2,3,1,1] = reshape(%split_1.1) {shape=[2, 3, 1, 1]}
  %permute_5: f32[2,1,3,1] = permute(%reshape_4) {order=[0, 2, 1, 3]}
  %reshape_6: f32[2,3,1,2] = reshape(%split_1.2) {shape=[2, 3, 1, 2]}
  %permute_7: f32[2,1,3,2] = permute(%reshape_6) {order=[0, 2, 1, 3]}
  %permute_8: f32[2,1,1,3] = permute(%permute_5) {order=[0, 1, 3, 2]}
  %matmul_9: f32[2,1,3,3] = matmul(%permute_3, %permute_8)
  %softmax_10: f32[2,1,3,3] = softmax(%matmul_9) {axes=[3]}
  %matmul_11: f32[2,1,3,2] = matmul(%softmax_10, %permute_7)
  %permute_12: f32[2,3,1,2] = permute(%matmul_11) {order=[0, 2, 1, 3]}
  %reshape_13: f32[2,3,2] = reshape(%permute_12) {shape=[2, 3, 2]}
  %out: f32[2,3,2] = linear(%reshape_13, out.weight, out.bias)
  return %out
}
"""


def attention() -> Graph:
    """Two heads of two channels, queries, keys and values from one layer."""
    net = Builder("attention")
    parts = net.add_all("split", net.linear(net.input(2, 3, 4), 12, path="qkv"), sizes=(4, 4, 4), axis=2)
    heads = []
    for part in parts:
        made = net.add("reshape", part, shape=(2, 3, 2, 2))
        heads.append(net.add("permute", made, order=(0, 2, 1, 3)))
    scores = net.add("matmul", heads[0], net.add("permute", heads[1], order=(0, 1, 3, 2)))
    x = net.add("matmul", net.add("softmax", scores, axes=(3,)), heads[2])
    x = net.add("reshape", net.add("permute", x, order=(0, 2, 1, 3)), shape=(2, 3, 4))
    return net.graph(net.linear(x, 2, path="out"))


def counting(graph: Graph) -> tuple[Graph, Counter[str]]:
    """``graph`` and how often each of its params has been read."""
    reads: Counter[str] = Counter()

    def counted(param: Param) -> Param:
        def read() -> Array:
            reads[param.name] += 1
            return param.read()

        return replace(param, source=read)

    params = {name: counted(param) for name, param in graph.params.items()}
    return replace(graph, params=params), reads


def test_shapes_and_attributes_follow_the_cut() -> None:
    graph = attention()
    assert to_text(graph) == BEFORE
    assert [group.size for group in couple(graph).prunable] == [2, 2, 2]
    heads, shared, _ = couple(graph).prunable
    small = cut(graph, plan_for(couple(graph), {heads.name: np.array([1]), shared.name: np.array([0])}))
    verify_graph(small)
    assert to_text(small) == AFTER


def test_the_data_of_a_cut_param_are_the_kept_entries() -> None:
    graph = chain(8)
    small = cut(graph, plan_for(couple(graph), {"a": np.array([0, 3])}))
    keep = [1, 2, 4, 5, 6, 7]
    np.testing.assert_array_equal(small.params["a.weight"].read(), graph.params["a.weight"].read()[keep])
    np.testing.assert_array_equal(small.params["bn.bias"].read(), graph.params["bn.bias"].read()[keep])
    np.testing.assert_array_equal(small.params["b.weight"].read(), graph.params["b.weight"].read()[:, keep])


def test_no_data_is_read_before_it_is_wanted() -> None:
    graph, reads = counting(chain(8))
    plan = plan_for(couple(graph), {"a": np.array([0, 3])})
    small = cut(graph, plan)
    verify_graph(small)
    to_text(small)
    assert not reads
    small.params["a.weight"].read()
    assert reads == {"a.weight": 1}


def test_what_is_not_cut_is_the_same_object() -> None:
    graph = chain(8)
    small = cut(graph, plan_for(couple(graph), {"a": np.array([0])}))
    assert small.params["b.bias"] is graph.params["b.bias"]
    assert small.values["b"] is graph.values["b"]
    assert small.nodes == graph.nodes
    assert small.params["a.weight"].shape == (7, 3, 3, 3)
    assert graph.params["a.weight"].shape == (8, 3, 3, 3)


def test_an_empty_plan_returns_the_graph_itself() -> None:
    graph = chain()
    assert cut(graph, plan_for(couple(graph), {})) is graph
    assert cut(graph, plan_for(couple(graph), {"a": np.array([], dtype=np.int64)})) is graph


def test_shifts_are_added_before_the_cut() -> None:
    graph = chain(4)
    shifts = {"a.bias": (1.0, 2.0, 3.0, 4.0)}
    plan = Plan(fingerprint=fingerprint(graph), cuts={"a": Cut(4, (1,))}, shifts=shifts)
    want = graph.params["a.bias"].read() + np.array([1, 2, 3, 4], np.float32)
    got = cut(graph, plan).params["a.bias"].read()
    np.testing.assert_array_equal(got, want[[0, 2, 3]])
    assert got.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "size", "why"),
    [("nothing", 8, "does not exist"), ("a", 9, "does not exist"), ("b", 2, "is pinned")],
)
def test_a_plan_for_other_groups_is_refused(name: str, size: int, why: str) -> None:
    graph = chain(8)
    plan = Plan(fingerprint=fingerprint(graph), cuts={name: Cut(size, (0,))})
    with pytest.raises(UsageError, match=why):
        cut(graph, plan)


def test_an_order_is_counted_anew_where_only_other_channels_go() -> None:
    """Its own entries all stay, but what they name moves up."""
    net = Builder()
    x = net.linear(net.input(2, 3), 8, path="a")
    order = net.constant(np.array([4, 5, 6, 7]))
    taken = net.add("gather", x, order, axis=1)
    first = net.add("slice", x, axis=1, start=0, stop=4, step=1)
    graph = net.graph(net.linear(taken, 2, path="b"), net.linear(first, 2, path="c"))
    coupling = couple(graph)
    name = next(group.name for group in coupling.prunable if any(m.node == "c" for m in group.members))
    plan = plan_for(coupling, {name: np.array([1, 2])})
    small = cut(graph, plan)
    assert small.params[order].read().tolist() == [2, 3, 4, 5]
    prove(graph, small, plan)


def test_an_order_for_two_axes_of_other_lengths_holds_both() -> None:
    net = Builder()
    x = net.linear(net.input(2, 3), 8, path="a")
    order = net.constant(np.arange(4))
    taken = net.add("gather", x, order, axis=1)
    scale = net.add("gather", net.weight(6), order, axis=0)
    graph = net.graph(net.linear(net.add("multiply", taken, scale), 2, path="b"))
    assert not couple(graph).prunable
