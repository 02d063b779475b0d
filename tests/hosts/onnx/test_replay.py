"""Cut graphs written back into ONNX models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from prunepass.hosts.onnx import capture, replay, run
from prunepass.hosts.onnx._compare import check_same
from prunepass.ir import Array, Graph, UnsupportedError, UsageError
from prunepass.passes import couple
from tests.hosts.onnx.models import (
    build,
    close,
    initializer,
    kinds,
    node_of,
    opened,
    removal,
    round_trip,
    shrunk,
    weights,
)

CHAIN = """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    y = Conv(r, w2)
}"""
CHAIN_WEIGHTS = {"w1": weights(12, 3, 3, 3), "b1": weights(12), "w2": weights(4, 12, 1, 1)}


def test_initializers_are_cut_and_everything_else_stays() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    _, small, pruned = round_trip(model)
    left = small.params["w1"].shape[0]
    assert left < 12
    assert initializer(pruned, "w1").shape == (left, 3, 3, 3)
    assert initializer(pruned, "w2").shape == (4, left, 1, 1)
    assert [node.name for node in pruned.graph] == [node.name for node in model.graph]
    assert list(pruned.graph.initializers) == list(model.graph.initializers)
    assert pruned.ir_version == model.ir_version


def test_the_model_given_stays_as_it_was_unless_told_otherwise() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph = capture(model)
    pruned = replay(model, graph, shrunk(graph))
    assert pruned is not model
    assert initializer(model, "w1").shape == (12, 3, 3, 3)
    assert replay(model, graph, shrunk(graph), inplace=True) is model
    assert initializer(model, "w1").shape == initializer(pruned, "w1").shape != (12, 3, 3, 3)


def test_weights_that_no_cut_touches_are_shared_with_the_original() -> None:
    text = """(float[N,3,8,8] x) => (float[N,3,8,8] y, float[N,5,8,8] z) {
        a = Conv(x, w1)
        y = Conv(a, w2)
        z = Conv(x, w3)
    }"""
    model = opened(text, {"w1": weights(9, 3, 1, 1), "w2": weights(3, 9, 1, 1), "w3": weights(5, 3, 1, 1)})
    _, _, pruned = round_trip(model)
    assert pruned.graph.initializers["w3"].const_value is model.graph.initializers["w3"].const_value


def test_a_uniform_bias_that_two_layers_share_is_split_where_only_one_is_cut() -> None:
    text = """(float[N,3,8,8] x) => (float[N,8,8,8] y) {
        a = Conv(x, w1, zero)
        r = Relu(a)
        y = Conv(r, w2, zero)
    }"""
    model = opened(
        text, {"w1": weights(8, 3, 1, 1), "w2": weights(8, 8, 1, 1), "zero": np.zeros(8, np.float32)}
    )
    graph, _, pruned = round_trip(model)
    assert {"zero", "zero@2"} <= set(graph.params)
    first, second = (node.inputs[2] for node in pruned.graph if node.op_type == "Conv")
    assert first is not second
    assert second is not None and second.name == "zero" and initializer(pruned, "zero").shape == (8,)


def test_a_uniform_bias_that_all_its_readers_cut_alike_stays_one() -> None:
    text = """(float[N,3,8,8] x) => (float[N,2,8,8] y) {
        a = Conv(x, w1, zero)
        b = Conv(x, w2, zero)
        s = Add(a, b)
        y = Conv(s, w3)
    }"""
    arrays = {"w1": weights(8, 3, 1, 1), "w2": weights(8, 3, 1, 1, seed=1), "w3": weights(2, 8, 1, 1)}
    _, _, pruned = round_trip(opened(text, {**arrays, "zero": np.zeros(8, np.float32)}))
    assert list(pruned.graph.initializers) == ["w1", "w2", "w3", "zero"]
    assert initializer(pruned, "zero").shape[0] < 8


def test_a_weight_that_two_layers_share_on_purpose_stays_one() -> None:
    text = """(float[N,8,8,8] x) => (float[N,8,8,8] y) {
        a = Conv(x, w, b)
        y = Conv(a, w, b)
    }"""
    graph = capture(opened(text, {"w": weights(8, 8, 1, 1), "b": weights(8)}))
    assert set(graph.params) == {"w", "b"}
    assert not removal(graph)


@pytest.mark.parametrize("form", ["value", "value_floats"])
def test_weights_in_constants_are_cut_where_they_are(form: str) -> None:
    model = opened(
        CHAIN, {name: data for name, data in CHAIN_WEIGHTS.items() if name != "b1"} | {"b1": weights(12)}
    )
    bias = model.graph.initializers.pop("b1")
    tensor = ir.tensor(weights(12))
    attribute = (
        ir.AttrTensor("value", tensor) if form == "value" else ir.AttrFloat32s(form, tensor.numpy().tolist())
    )
    made = ir.Node("", "Constant", [], [attribute], num_outputs=1, name="bias")
    made.outputs[0].name = "b1"
    bias.replace_all_uses_with(made.outputs[0])
    model.graph.insert_before(model.graph[0], made)
    _, small, pruned = round_trip(model)
    held = node_of(pruned, "Constant").attributes
    assert list(held) == ["value"]
    assert held["value"].as_tensor().numpy().shape == small.params["b1"].shape != (12,)


def test_initializers_that_are_graph_inputs_too_are_weights_and_keep_their_form() -> None:
    text = CHAIN.replace("x) =>", "x, float[12,3,3,3] w1, float[12] b1, float[4,12,1,1] w2) =>", 1)
    model = opened(text, CHAIN_WEIGHTS, ir_version=3)
    graph, small, pruned = round_trip(model)
    assert graph.inputs == ("x",)
    listed = {str(value.name): value.shape for value in pruned.graph.inputs}
    assert tuple(listed["w1"] or ()) == small.params["w1"].shape


def test_a_private_copy_in_an_old_model_is_listed_among_its_inputs() -> None:
    text = """(float[N,3,8,8] x, float[8,3,1,1] w1, float[8,8,1,1] w2, float[8] zero) => (float[N,8,8,8] y) {
        a = Conv(x, w1, zero)
        y = Conv(a, w2, zero)
    }"""
    arrays = {"w1": weights(8, 3, 1, 1), "w2": weights(8, 8, 1, 1), "zero": np.zeros(8, np.float32)}
    _, _, pruned = round_trip(opened(text, arrays, ir_version=3))
    assert set(pruned.graph.initializers) <= {str(value.name) for value in pruned.graph.inputs}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_keep_their_type(dtype: type) -> None:
    name = {np.float16: "float16", np.float64: "double"}[dtype]
    text = CHAIN.replace("float[", f"{name}[")
    model = opened(text, {key: data.astype(dtype) for key, data in CHAIN_WEIGHTS.items()})
    graph = capture(model)
    pruned = replay(model, graph, shrunk(graph))
    assert initializer(pruned, "w1").dtype == dtype


def test_bfloat16_weights_keep_their_type() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    for value in (*model.graph.initializers.values(), *model.graph.inputs, *model.graph.outputs):
        value.dtype = ir.DataType.BFLOAT16
        if value.const_value is not None:
            bits = (value.const_value.numpy().view(np.uint32) >> 16).astype(np.uint16)
            value.const_value = ir.Tensor(bits.view(ir.DataType.BFLOAT16.numpy()), dtype=ir.DataType.BFLOAT16)
    graph = capture(model)
    assert graph.params["w1"].dtype == "bfloat16"
    pruned = replay(model, graph, shrunk(graph))
    assert pruned.graph.initializers["w1"].dtype == ir.DataType.BFLOAT16


def test_the_number_of_groups_follows() -> None:
    text = """(float[N,3,8,8] x) => (float[N,4,8,8] y) {
        a = Conv(x, w1)
        d = Conv<group=12, pads=[1,1,1,1]>(a, w2)
        y = Conv(d, w3)
    }"""
    arrays = {"w1": weights(12, 3, 1, 1), "w2": weights(12, 1, 3, 3), "w3": weights(4, 12, 1, 1)}
    _, small, pruned = round_trip(opened(text, arrays))
    left = small.params["w1"].shape[0]
    assert node_of(pruned, "Conv", 1).attributes["group"].as_int() == left < 12


def test_stated_shapes_follow_and_symbolic_dims_stay() -> None:
    text = CHAIN.replace("{\n", "<float[N,12,8,8] a, float[N,12,P,8] r> {\n", 1)
    _, small, pruned = round_trip(opened(text, CHAIN_WEIGHTS))
    left = small.params["w1"].shape[0]
    assert [str(dim) for dim in node_of(pruned, "Conv").outputs[0].shape or ()] == ["N", str(left), "8", "8"]
    assert [str(dim) for dim in node_of(pruned, "Relu").outputs[0].shape or ()] == ["N", str(left), "P", "8"]


def test_folders_go_out_of_metadata_and_the_rest_stays() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    node = node_of(model, "Conv")
    node.metadata_props["pkg.torch.onnx.stack_trace"] = (
        'File "/home/me/my nets/net.py", line 3, in forward\n  x'
    )
    node.metadata_props["scopes"] = "/layer1/conv"
    node.doc_string = "made in /tmp/build/net.py"
    _, _, pruned = round_trip(model)
    held = node_of(pruned, "Conv")
    assert held.metadata_props["pkg.torch.onnx.stack_trace"] == 'File "net.py", line 3, in forward\n  x'
    assert held.metadata_props["scopes"] == "/layer1/conv"
    assert held.doc_string == "made in net.py"


def test_a_graph_of_another_model_is_refused() -> None:
    graph = capture(opened(CHAIN, CHAIN_WEIGHTS))
    other = opened(CHAIN, {**CHAIN_WEIGHTS, "w1": weights(12, 3, 1, 1)})
    with pytest.raises(UsageError, match="another model"):
        replay(other, graph, shrunk(graph))


def test_what_cannot_be_written_names_the_node_and_leaves_the_model_alone() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph = capture(model)
    small = shrunk(graph)
    odd = tuple(
        replace(node, attrs={**node.attrs, "nonsense": 3}) if node.name == "y" else node
        for node in small.nodes
    )
    with pytest.raises(UnsupportedError, match="nonsense") as caught:
        replay(model, graph, replace(small, nodes=odd), inplace=True)
    assert str(caught.value.where) == "y"
    assert initializer(model, "w1").shape == (12, 3, 3, 3)


def test_a_model_that_reads_back_otherwise_is_refused() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph = capture(model)
    small = shrunk(graph)
    odd = tuple(replace(node, op="abs") if node.name == "r" else node for node in small.nodes)
    with pytest.raises(UnsupportedError, match="read as 'relu' instead of 'abs'"):
        replay(model, graph, replace(small, nodes=odd))
    values = {**small.values, "a": replace(small.values["a"], shape=(1, 2, 8, 8))}
    with pytest.raises(UnsupportedError, match="instead of"):
        replay(model, graph, replace(small, values=values))


def test_reading_back_compares_operands_and_computed_constants() -> None:
    graph = capture(opened(CHAIN, CHAIN_WEIGHTS))
    check_same(graph, graph, computed={"w1"})
    other = replace(graph.params["w1"], source=lambda: CHAIN_WEIGHTS["w1"] + 1)
    wanted = replace(graph, params={**graph.params, "w1": other})
    check_same(graph, wanted)
    with pytest.raises(UnsupportedError, match="'w1' is computed to something else"):
        check_same(graph, wanted, computed={"w1"})
    smaller = replace(graph, params={**graph.params, "w1": replace(other, shape=(1, 3, 3, 3))})
    with pytest.raises(UnsupportedError, match=r"'w1' is \[12, 3, 3, 3\] instead of"):
        check_same(graph, smaller)


def test_a_param_changed_without_a_cut_is_written() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph = capture(model)
    shifted = replace(graph.params["b1"], source=lambda: CHAIN_WEIGHTS["b1"] + 1)
    pruned = replay(model, graph, replace(graph, params={**graph.params, "b1": shifted}))
    close(initializer(pruned, "b1"), CHAIN_WEIGHTS["b1"] + 1)


def test_large_weights_are_read_only_when_they_are_wanted() -> None:
    arrays = {"w1": weights(1024, 600, 1, 1), "w2": weights(4, 1024, 1, 1)}
    model = opened("(float[1,600,2,2] x) => (float[1,4,2,2] y) { a = Conv(x, w1)\n y = Conv(a, w2) }", arrays)
    graph = capture(model)
    pruned = replay(model, graph, shrunk(graph))
    assert isinstance(pruned.graph.initializers["w1"].const_value, ir.LazyTensor)
    given = {"x": weights(1, 600, 2, 2)}
    assert run(pruned, given)["y"].shape == (1, 4, 2, 2)


_VIEWED = """(float[1,3,4,4] x) => (float[1,2] y) {
    c = Conv(x, w)
    m = ReduceMean <axes = [2, 3], keepdims = 0> (c)
    flat = Reshape(m, whole)
    g = Gather <axis = 0> (flat, order)
    y = MatMul(g, v)
}"""


def _viewed(more: str = "", **others: Array) -> ir.Model:
    """What an exporter makes of a view by strides: all entries in order by their numbers."""
    arrays = {
        "w": weights(8, 3, 1, 1),
        "whole": np.array([-1]),
        "order": np.arange(8).reshape(1, 8),
        "v": weights(8, 2),
        **others,
    }
    return opened(_VIEWED.replace("}", f"{more}}}"), arrays)


def test_numbers_of_entries_are_counted_anew() -> None:
    _, small, pruned = round_trip(_viewed())
    left = small.params["w"].shape[0]
    assert left < 8
    assert np.array_equal(initializer(pruned, "order"), np.arange(left).reshape(1, left))


def test_numbers_that_mean_something_else_too_hold_their_entries() -> None:
    more = "t = Gather <axis = 0> (table, order)\n s = ReduceMax <axes = [1], keepdims = 0> (t)\n"
    model = _viewed(more + "z = Mul(y, s)\n", table=weights(9, 2))
    group = next(g for g in couple(capture(model)).groups if "w" in {m.tensor for m in g.members})
    assert any("other readers" in str(pin) for pin in group.pins)


def test_replaying_twice_gives_the_same_model() -> None:
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph = capture(model)
    first, second = (ir.to_proto(replay(model, graph, shrunk(graph))).SerializeToString() for _ in range(2))
    assert first == second


def test_no_cut_changes_nothing() -> None:
    proto = build(CHAIN, CHAIN_WEIGHTS)
    model = opened(CHAIN, CHAIN_WEIGHTS)
    graph: Graph = capture(model)
    assert kinds(replay(model, graph, graph)) == [node.op_type for node in proto.graph.node]
