from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prunepass.backends import Layer
from prunepass.backends._openvino_read import layers_of, model_error, tensor_spec, times_of
from prunepass.ir import ModelError, UnsupportedError


def node(name: str, order: int, kind: str, layouts: str = "abcd", covers: str = "") -> Any:
    info = {
        "execOrder": str(order),
        "layerType": kind,
        "primitiveType": "jit_f32",
        "outputLayouts": layouts,
        "originalLayersNames": covers,
    }
    return SimpleNamespace(get_friendly_name=lambda: name, get_rt_info=lambda: info)


def graph(*nodes: Any) -> Any:
    return SimpleNamespace(get_ordered_ops=lambda: list(nodes))


def test_layers_come_in_the_order_of_execution_without_ends_and_weights() -> None:
    told = layers_of(
        graph(
            node("late", 10, "Convolution", covers="conv,relu"),
            node("w", 1, "Const"),
            node("early", 9, "MatMul"),
            node("x", 0, "Input"),
            node("y", 11, "Output"),
        )
    )
    assert told == (
        Layer("early", "MatMul jit_f32"),
        Layer("late", "Convolution jit_f32", nodes=("conv", "relu")),
    )


def test_a_capital_axis_is_a_blocked_layout_and_a_reorder_only_moves() -> None:
    told = layers_of(graph(node("a", 0, "Convolution", "aBcd16b"), node("b", 1, "Reorder", "aBcd16b")))
    assert [layer.layout for layer in told] == ["blocked", "reorder"]


def test_times_are_those_of_executed_steps_and_add_up() -> None:
    def step(name: str, micro: int, status: str = "EXECUTED") -> Any:
        spent = timedelta(microseconds=micro)
        return SimpleNamespace(
            node_name=name,
            node_type="Add",
            exec_type="jit",
            real_time=spent,
            status=SimpleNamespace(name=status),
        )

    told = times_of([step("a", 5), step("x", 0, "NOT_RUN"), step("a", 7), step("b", 1)])
    assert told == {("a", "Add jit"): 12, ("b", "Add jit"): 1}


def test_a_port_has_the_models_name_whatever_else_its_tensor_is_called() -> None:
    size = SimpleNamespace(is_static=False)
    port = SimpleNamespace(
        get_node=lambda: SimpleNamespace(get_friendly_name=lambda: "y/sink_port_0"),
        get_names=lambda: {"a", "y"},
        get_any_name=lambda: "a",
        get_partial_shape=lambda: [size],
        get_element_type=lambda: SimpleNamespace(get_type_name=lambda: "f8e4m3"),
    )
    spec = tensor_spec(port)
    assert (spec.name, spec.shape, spec.dtype) == ("y", ("?",), "f8e4m3")


def test_an_error_says_what_not_where_in_the_engine() -> None:
    said = "Exception from src/core.cpp:117:\nCheck 'x' failed at src/a.cpp:3:\nthe shapes differ\n\n"
    found = model_error(RuntimeError(said), Path("/somewhere/net.onnx"))
    assert str(found) == "net.onnx: OpenVINO refuses it: the shapes differ"
    assert "build it again" in str(model_error(RuntimeError(said), Path("net.blob")))
    assert "RuntimeError" in str(model_error(RuntimeError(""), b""))


def test_a_missing_rule_is_a_lack_of_support() -> None:
    found = model_error(RuntimeError("-- No conversion rule found for operations: X-17\nmore"), b"")
    assert isinstance(found, UnsupportedError)
    assert str(found) == "model: OpenVINO knows no operator X-17"
    assert type(model_error(RuntimeError("Model can't be parsed"), b"")) is ModelError
