"""Small ONNX models for the tests of engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int | str, ...]


def model(
    nodes: list[Any], inputs: dict[str, Shape], outputs: dict[str, Shape], **weights: Any
) -> onnx.ModelProto:
    """A float model of opset 17."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(data, np.float32), name) for name, data in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def conv_net(channels: int = 16) -> onnx.ModelProto:
    """Three convolutions with as many channels each, over 8 x 8 pixels; a free batch."""
    rng = np.random.default_rng(0)
    nodes = []
    weights = {}
    for place, (source, target, given) in enumerate(
        (("x", "a", 3), ("a", "b", channels), ("b", "y", channels))
    ):
        nodes.append(helper.make_node("Conv", [source, f"w{place}"], [target], f"conv{place}", pads=[1] * 4))
        weights[f"w{place}"] = rng.standard_normal((channels, given, 3, 3))
    return model(nodes, {"x": ("batch", 3, 8, 8)}, {"y": ("batch", channels, 8, 8)}, **weights)


def linear_net(weight: Any) -> onnx.ModelProto:
    """``y = x @ weight`` with a free batch."""
    rows, columns = np.shape(weight)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "linear")]
    return model(nodes, {"x": ("batch", rows)}, {"y": ("batch", columns)}, w=weight)


def loop_net(turns: int) -> onnx.ModelProto:
    """``x`` doubled ``turns`` times by the one node in the body of a loop."""
    number, state = TensorProto.INT64, TensorProto.FLOAT
    body = helper.make_graph(
        [
            helper.make_node("Add", ["carried", "carried"], ["doubled"], "double"),
            helper.make_node("Identity", ["go"], ["go_on"], "again"),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", number, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("carried", state, (4,)),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("doubled", state, (4,)),
        ],
    )
    net = model(
        [helper.make_node("Loop", ["turns", "", "x"], ["y"], "loop", body=body)], {"x": (4,)}, {"y": (4,)}
    )
    net.graph.initializer.append(numpy_helper.from_array(np.asarray(turns, np.int64), "turns"))
    return net


def doubling_net(dtype: str) -> onnx.ModelProto:
    """``y = x + x``, or ``x or x``, in any type; a free batch."""
    words = {"float32": "FLOAT", "float64": "DOUBLE"}
    kind = getattr(TensorProto, words.get(dtype, dtype.upper()))
    twice = helper.make_node("Or" if dtype == "bool" else "Add", ["x", "x"], ["y"], "twice")
    ends = [helper.make_tensor_value_info(name, kind, ("batch", 2)) for name in ("x", "y")]
    graph = helper.make_graph([twice], "net", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
