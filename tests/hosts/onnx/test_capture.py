"""ONNX models read into the neutral graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import capture, feeds, load
from prunepass.ir import ModelError, UnsupportedError, UsageError, to_text, verify_graph
from tests.hosts.onnx.models import agrees, build, opened, weights

CONV = "(float[N,3,8,8] x) => (float[N,4,8,8] y) { y = Conv(x, w) }"
CONV_WEIGHTS = {"w": weights(4, 3, 1, 1)}


def test_names_types_and_origins_are_the_models_own() -> None:
    proto = build("(float[2,3,8,8] x) => (float[2,4,8,8] y) { a = Conv(x, w, b)\n y = Relu(a) }")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(4, 3, 1, 1), "w"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(4), "b"))
    proto.graph.node[0].name = "first"
    graph = capture(load(proto))
    assert graph.host == "onnx" and graph.inputs == ("x",) and graph.outputs == ("y",)
    assert [(node.name, node.op, node.inputs, node.outputs) for node in graph.nodes] == [
        ("first", "conv", ("x", "w", "b"), ("a",)),
        ("y", "relu", ("a",), ("y",)),
    ]
    assert [str(node.origin) for node in graph.nodes] == ["first", "y"]
    assert graph.values["a"].shape == (2, 4, 8, 8) and graph.values["a"].dtype == "float32"
    assert graph.params["w"].trained and graph.params["w"].shape == (4, 3, 1, 1)
    agrees(load(proto), graph)


def test_nodes_of_one_name_are_told_apart() -> None:
    proto = build("(float[N] x) => (float[N] y) { a = Relu(x)\n y = Relu(a) }")
    for node in proto.graph.node:
        node.name = "same"
    assert [node.name for node in capture(load(proto)).nodes] == ["same", "same@2"]


def test_capturing_twice_gives_the_same_text() -> None:
    model = opened(CONV, CONV_WEIGHTS)
    assert to_text(capture(model)) == to_text(capture(model))


# Sizes.


def test_symbolic_dims_take_the_sizes_of_the_examples() -> None:
    model = opened(CONV, CONV_WEIGHTS)
    for given in (
        {"x": (5, 3, 8, 8)},
        [(5, 3, 8, 8)],
        (5, 3, 8, 8),
        np.zeros((5, 3, 8, 8)),
        {"x": np.zeros((5, 3, 8, 8))},
    ):
        graph = capture(model, given)
        assert graph.values["x"].shape == (5, 3, 8, 8)
        assert graph.values["y"].shape == (5, 4, 8, 8)
        assert graph.pins == ()


def test_sizes_that_are_assumed_are_noted() -> None:
    graph = capture(opened("(float[N,3,height,W] x) => (float[N,4,P,Q] y) { y = Conv(x, w) }", CONV_WEIGHTS))
    assert graph.values["x"].shape == (1, 3, 224, 224)
    assert [pin[:2] for pin in graph.pins] == [("x", 0), ("x", 2), ("x", 3)]
    assert "'height'" in graph.pins[1][2] and "224" in graph.pins[1][2]


def test_one_symbol_is_one_size_everywhere() -> None:
    text = "(float[N,S] x, float[N,S] m) => (float[N,S] y) { y = Mul(x, m) }"
    graph = capture(opened(text))
    assert graph.values["x"].shape == graph.values["m"].shape == (1, 32)
    with pytest.raises(UsageError, match="'S' is 4"):
        capture(opened(text), [(1, 4), (1, 5)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([(2, 3, 8, 9)], "has shape"),
        ([(2, 3, 8)], "has shape"),
        ({"z": (2, 3, 8, 8)}, "no input is called z"),
        ([(2, 3, 8, 8), (2, 3)], "2 example inputs"),
        ({"x": "what"}, "is a str"),
    ],
)
def test_examples_that_do_not_fit_are_refused(given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        capture(opened(CONV, CONV_WEIGHTS), given)


def test_an_input_without_a_shape_needs_an_example() -> None:
    model = opened(CONV, CONV_WEIGHTS)
    model.graph.inputs[0].shape = None
    with pytest.raises(ModelError, match="'x' has no shape"):
        capture(model)
    assert capture(model, [(1, 3, 8, 8)]).values["y"].shape == (1, 4, 8, 8)


def test_sizes_that_the_model_cannot_take_name_the_node() -> None:
    text = "(float[N,3,H,W] x) => (float[N,5] y) { f = Flatten(x)\n y = Gemm(f, w) }"
    with pytest.raises(UnsupportedError) as caught:
        capture(opened(text, {"w": weights(27, 5)}))
    assert "y" in str(caught.value.where)
    assert capture(opened(text, {"w": weights(27, 5)}), [(1, 3, 3, 3)]).values["y"].shape == (1, 5)


# Operator sets.


def test_an_operator_set_that_is_too_old_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="older than 7"):
        capture(opened(CONV, CONV_WEIGHTS, opset=6))


@pytest.mark.parametrize("opset", [7, 11, 15, 19, 22, 25])
def test_operator_sets_from_7_to_25_are_read(opset: int) -> None:
    model = opened(CONV, CONV_WEIGHTS, opset=opset)
    graph = capture(model)
    assert [node.op for node in graph.nodes] == ["conv"]
    verify_graph(graph)


def test_a_domain_that_is_imported_and_not_used_does_not_matter() -> None:
    model = opened(CONV, CONV_WEIGHTS, more=', "my.own" : 3, "com.microsoft" : 1')
    agrees(model, capture(model))


def test_the_default_domain_may_be_written_out() -> None:
    proto = build(CONV, CONV_WEIGHTS)
    proto.graph.node[0].domain = "ai.onnx"
    assert [node.op for node in capture(load(proto)).nodes] == ["conv"]
    proto.opset_import[0].domain = "ai.onnx"
    assert [node.op for node in capture(load(proto)).nodes] == ["conv"]
    proto.opset_import[0].version = 6
    with pytest.raises(UnsupportedError, match="older than 7"):
        capture(load(proto))


# Constants.


def test_every_form_of_a_constant_is_a_param() -> None:
    text = """(float[2] x) => (float[2] y, int64[2] z) {
        a = Constant<value = float[2] {1.0, 2.0}>()
        b = Constant<value_float = 3.0>()
        c = Constant<value_floats = [4.0, 5.0]>()
        p = Add(x, a)
        q = Add(p, b)
        y = Add(q, c)
        i = Cast<to=7>(x)
        d = Constant<value_int = 3>()
        e = Constant<value_ints = [4, 5]>()
        j = Add(i, d)
        z = Add(j, e)
    }"""
    model = opened(text)
    graph = capture(model)
    assert {name: (param.shape, param.dtype) for name, param in graph.params.items()} == {
        "a": ((2,), "float32"),
        "b": ((), "float32"),
        "c": ((2,), "float32"),
        "d": ((), "int64"),
        "e": ((2,), "int64"),
    }
    assert [name for name, param in graph.params.items() if param.trained] == ["a", "c"]
    agrees(model, graph)


def test_only_params_that_are_read_are_kept() -> None:
    graph = capture(opened(CONV, {**CONV_WEIGHTS, "unused": weights(7)}))
    assert set(graph.params) == {"w"}


def test_a_result_that_is_a_constant_is_a_param() -> None:
    model = opened("(float[2] x) => (float[2] y, float[3] w) { y = Relu(x) }", {"w": weights(3)})
    graph = capture(model)
    assert graph.outputs == ("y", "w") and "w" in graph.params
    agrees(model, graph)


# Folding.


def test_shape_arithmetic_is_folded() -> None:
    text = """(float[N,6,8] x) => (float[N,48] y) {
        s = Shape(x)
        n = Gather(s, zero)
        one = Unsqueeze(n, axes)
        a = Gather(s, rest)
        p = ReduceProd<keepdims=1>(a)
        t = Concat<axis=0>(one, p)
        y = Reshape(x, t)
    }"""
    arrays = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([1, 2])}
    graph = capture(opened(text, arrays), [(3, 6, 8)])
    assert [node.op for node in graph.nodes] == ["reshape"]
    assert graph.nodes[0].attrs["shape"] == (3, 48)
    agrees(opened(text, arrays), graph)


def test_computed_weights_stay_nodes() -> None:
    text = """(float[N,3] x) => (float[N,5] y) {
        t = Transpose<perm=[1,0]>(w)
        s = Mul(t, half)
        y = MatMul(x, s)
    }"""
    graph = capture(opened(text, {"w": weights(5, 3), "half": np.array(0.5, np.float32)}))
    assert [node.outputs[0] for node in graph.nodes] == ["t", "s", "y"]
    assert "w" in graph.params


def test_a_single_number_that_is_computed_from_weights_stays_a_node() -> None:
    text = """(float[N,3] x) => (float[N,5] y) {
        n = ReduceMax<keepdims=0>(w)
        s = Div(w, n)
        y = MatMul(x, s)
    }"""
    graph = capture(opened(text, {"w": weights(3, 5)}))
    assert [node.outputs[0] for node in graph.nodes] == ["n", "s", "y"]


def test_a_single_number_that_is_computed_is_folded() -> None:
    text = """(float[N,16] x) => (float[N,16] y) {
        s = Shape(x)
        d = Gather(s, one)
        f = Cast<to=1>(d)
        r = Sqrt(f)
        y = Div(x, r)
    }"""
    graph = capture(opened(text, {"one": np.array(1)}))
    assert [node.op for node in graph.nodes] == ["divide"]
    assert graph.params["r"].read() == 4.0 and not graph.params["r"].trained


def test_a_shape_that_is_a_result_stays_a_node() -> None:
    model = opened("(float[N,6] x) => (int64[2] y, float[N,6] z) { y = Shape(x)\n z = Relu(x) }")
    graph = capture(model)
    assert "y" in graph.values
    agrees(model, graph)


def test_a_vector_that_an_attribute_is_read_from_is_evaluated() -> None:
    text = """(float[N,4] x) => (float[N,8] y) {
        c = Identity(copies)
        d = Identity(c)
        y = Tile(x, d)
    }"""
    model = opened(text, {"copies": np.array([1, 2])})
    graph = capture(model)
    assert [node.op for node in graph.nodes] == ["tile"]
    agrees(model, graph)


def test_floats_that_an_attribute_is_read_from_are_evaluated_and_stay_nodes() -> None:
    text = """(float[N,2,3,3] x) => (float[N,2,6,6] y) {
        half = Identity(table)
        c = Add(half, half)
        y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric">(x, , c)
    }"""
    model = opened(text, {"table": np.array([0.5, 0.5, 1, 1], np.float32)})
    graph = capture(model)
    assert [node.outputs[0] for node in graph.nodes] == ["half", "c", "y"]
    assert graph.nodes[-1].op != "foreign" and graph.values["y"].shape == (1, 2, 6, 6)
    agrees(model, graph)


# What several nodes read.


def test_a_uniform_vector_is_a_param_for_each_reader() -> None:
    text = """(float[N,4] x) => (float[N,4] y) {
        a = Add(x, zero)
        b = Mul(a, table)
        c = Mul(b, table)
        y = Add(c, zero)
    }"""
    graph = capture(opened(text, {"zero": np.zeros(4, np.float32), "table": weights(4)}))
    assert [node.inputs[1] for node in graph.nodes] == ["zero", "table", "table", "zero@2"]


def test_names_for_further_readers_do_not_clash() -> None:
    text = "(float[N,4] x) => (float[N,4] y) { zero_2 = Add(x, zero)\n y = Add(zero_2, zero) }"
    proto = build(text, {"zero": np.zeros(4, np.float32)})
    proto.graph.node[0].output[0] = proto.graph.node[1].input[0] = "zero@2"
    graph = capture(load(proto))
    assert graph.nodes[1].inputs == ("zero@2", "zero@3")
    verify_graph(graph)


# Random data.


def test_feeds_fit_every_input_and_repeat() -> None:
    text = "(float[N,4] x, int64[N,4] i, bool[N] b, float16[2] h) => (float[N,4] y) { y = Relu(x) }"
    graph = capture(opened(text))
    first, second, other = feeds(graph), feeds(graph), feeds(graph, 1)
    for name in graph.inputs:
        assert first[name].shape == graph.values[name].shape
        assert first[name].dtype.name == graph.values[name].dtype
        np.testing.assert_array_equal(first[name], second[name])
    assert not np.array_equal(first["x"], other["x"])


def test_a_text_input_is_refused() -> None:
    model = opened("(string[N] s, float[N] x) => (float[N] y) { y = Relu(x) }")
    with pytest.raises(UnsupportedError, match="'s' is not a tensor of numbers"):
        capture(model)


def test_functions_of_the_model_are_inlined() -> None:
    text = """
    <ir_version: 10, opset_import: ["" : 17, "my.own" : 1]>
    g (float[N,3,4,4] x) => (float[N,5,4,4] y) { a = my.own.Twice(x)\n y = Conv(a, w) }
    <domain: "my.own", opset_import: ["" : 17]>
    Twice (x) => (y) { two = Constant<value = float {2.0}>()\n y = Mul(x, two) }
    """
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(5, 3, 1, 1), "w"))
    model = load(proto)
    graph = capture(model)
    assert [node.op for node in graph.nodes] == ["multiply", "conv"]
    agrees(model, graph)
    assert isinstance(model, ir.Model) and not model.functions
