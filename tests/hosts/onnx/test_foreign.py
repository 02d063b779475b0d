"""What no declaration covers: captured as it is, pinned, and evaluated by its own host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from prunepass.hosts.onnx import capture, replay
from prunepass.hosts.onnx._runner import Runner
from prunepass.ir import Graph, Node, Onnx, Op, evaluate, registry, to_text, verify_graph
from prunepass.passes import couple
from tests.hosts.onnx.models import agrees, build, opened, round_trip, shrunk, weights


def foreign(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "foreign"]


BRANCH = """(float[N,3,4,4] x, bool c) => (float[N,2,4,4] y) {
    a = Conv(x, w1)
    b = Conv(a, w2)
    r = If (c) <
        then_branch = t () => (float[N,6,4,4] p) { p = Mul(b, slope) },
        else_branch = e () => (float[N,6,4,4] q) { q = Neg(b) }
    >
    y = Conv(r, w3)
}"""
BRANCH_WEIGHTS = {
    "w1": weights(9, 3, 1, 1),
    "w2": weights(6, 9, 1, 1),
    "w3": weights(2, 6, 1, 1),
    "slope": weights(6, 1, 1),
}


def test_a_branch_reads_the_outer_scope_and_pins_it() -> None:
    model = opened(BRANCH, BRANCH_WEIGHTS)
    graph = capture(model)
    (node,) = foreign(graph)
    assert node.attrs["kind"] == "If"
    assert node.inputs == ("c", "b", "slope")
    agrees(model, graph)
    cuttable = {member.tensor for group in couple(graph).groups if group.prunable for member in group.members}
    assert "w1" in cuttable and "slope" not in cuttable and "w3" not in cuttable


def test_a_cut_around_a_branch_is_written() -> None:
    _, small, pruned = round_trip(opened(BRANCH, BRANCH_WEIGHTS))
    assert small.params["w1"].shape[0] < 9
    assert small.params["slope"].shape == (6, 1, 1)
    assert pruned.graph.initializers["slope"].uses()


def test_a_loop_is_run_by_its_host() -> None:
    text = """(float[2,3] x) => (float[2,3] y) {
        n = Constant<value = int64 {3}>()
        t = Constant<value = bool {1}>()
        y = Loop (n, t, x) <
            body = b (int64 i, bool c, float[2,3] v) => (bool d, float[2,3] w) {
                d = Identity(c)
                w = Add(v, x)
            }
        >
    }"""
    model = opened(text)
    graph = capture(model)
    assert [node.attrs["kind"] for node in foreign(graph)] == ["Loop"]
    agrees(model, graph)


def test_an_operator_of_another_domain_is_run_by_the_runtime() -> None:
    text = "(float[N,8] x) => (float[N,8] y) { y = com.microsoft.QuickGelu<alpha=1.702>(x) }"
    model = opened(text, more=', "com.microsoft" : 1')
    graph = capture(model)
    if foreign(graph):
        assert foreign(graph)[0].attrs["kind"] == "com.microsoft::QuickGelu"
    agrees(model, graph)


def test_an_attribute_that_the_declaration_does_not_know_makes_a_node_foreign(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = opened(
        "(float[N,3,4,4] x) => (float[N,2,4,4] y) { y = Conv<pads=[1,1,1,1]>(x, w) }",
        {"w": weights(2, 3, 3, 3)},
    )
    known = registry()["conv"]

    class Deaf:
        ops = registry().ops

        def onnx(self, kind: str, opset: int) -> tuple[Op, Onnx]:
            return known, Onnx(("Conv",), (0, 1, 2))

    monkeypatch.setattr("prunepass.hosts.onnx._spell.registry", Deaf)
    graph = capture(model)
    assert "attribute 'pads' is not understood" in foreign(graph)[0].attrs["reason"]
    assert graph.values["y"].shape == (1, 2, 4, 4)


def test_an_attribute_that_is_computed_while_the_model_runs_makes_a_node_foreign() -> None:
    model = opened("(float[1,4] x, int64[2] t) => (float[A,B] y) { y = Expand(x, t) }")
    (node,) = foreign(capture(model))
    assert "'t' is computed" in node.attrs["reason"]


def test_what_follows_a_shape_that_depends_on_data_is_foreign_and_still_runs() -> None:
    text = """(float[N,3,4,4] x) => (int64[M,4] i, float[M,5] y) {
        a = Conv(x, w1)
        b = Conv(a, w2)
        z = NonZero(b)
        i = Transpose<perm=[1,0]>(z)
        f = Cast<to=1>(i)
        y = MatMul(f, w3)
    }"""
    arrays = {"w1": weights(7, 3, 1, 1), "w2": weights(2, 7, 1, 1), "w3": weights(4, 5)}
    model = opened(text, arrays)
    graph = capture(model)
    verify_graph(graph)
    assert [node.op for node in graph.nodes[:2]] == ["conv", "conv"]
    assert all(node.op == "foreign" for node in graph.nodes[2:])
    found = evaluate(graph, {"x": weights(1, 3, 4, 4)}, dtype="float32")
    assert found["y"].shape == (32, 5)
    pruned = replay(model, graph, shrunk(graph))
    assert capture(pruned).params["w1"].shape[0] < 7


def test_sequences_pass_between_foreign_nodes() -> None:
    text = """(float[N,3,4,4] x) => (float[N,2,4,4] y) {
        a = Conv(x, w1)
        s = SplitToSequence<axis=1>(a, parts)
        u = SequenceAt(s, zero)
        v = SequenceAt(s, one)
        t = Add(u, v)
        y = Conv(t, w2)
    }"""
    arrays = {
        "w1": weights(8, 3, 1, 1),
        "w2": weights(2, 4, 1, 1),
        "parts": np.array(4),
        "zero": np.array(0),
        "one": np.array(1),
    }
    proto = build(text, arrays)
    model = opened(text, arrays)
    inferred = onnx.shape_inference.infer_shapes(proto)
    assert inferred.graph.value_info
    graph = capture(model)
    assert {node.attrs["kind"] for node in foreign(graph)} >= {"SplitToSequence", "SequenceAt"}
    agrees(model, graph)


def test_old_versions_are_evaluated_with_their_old_meaning() -> None:
    node = onnx.helper.make_node("Softmax", ["x"], ["y"])
    data = np.random.default_rng(0).standard_normal((2, 3, 4))
    for opset, axes in ((11, (1, 2)), (13, (2,))):
        (made,) = Runner(node, {"": opset}, ("x",), {"x": "float32"})(data)
        np.testing.assert_allclose(made.sum(axis=axes), 1)
        assert made.dtype == np.float64


def test_the_text_of_a_foreign_node_says_why() -> None:
    assert "kind='If', reason='no declaration'" in to_text(capture(opened(BRANCH, BRANCH_WEIGHTS)))


def test_a_foreign_node_computes_in_the_precision_it_is_given() -> None:
    graph = capture(opened(BRANCH, BRANCH_WEIGHTS))
    given = {"x": weights(1, 3, 4, 4).astype(np.float64), "c": np.array(True)}
    assert evaluate(graph, given)["r"].dtype == np.float64
    (node,) = foreign(graph)
    assert node.foreign is not None
    (made,) = node.foreign(
        np.array(True), np.full((1, 6, 4, 4), 1 / 3), BRANCH_WEIGHTS["slope"].astype(np.float64)
    )
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, np.broadcast_to(BRANCH_WEIGHTS["slope"], made.shape) / 3, rtol=1e-7)


def test_graphs_with_foreign_nodes_can_be_cut_elsewhere() -> None:
    graph = capture(opened(BRANCH, BRANCH_WEIGHTS))
    verify_graph(shrunk(graph))


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="this onnx does not know operator set 28")
def test_operators_that_changed_after_what_declarations_were_written_for_are_foreign() -> None:
    text = "(float[N,4] x) => (int64[N,4] y) { a = Relu(x)\n y = Cast<to=7>(a) }"
    graph = capture(opened(text, opset=28, ir_version=13))
    assert [node.op for node in graph.nodes] == ["relu", "foreign"]
    assert "opset 28" in graph.nodes[1].attrs["reason"]
    assert graph.values["y"] == replace(graph.values["a"], name="y", dtype="int64")
