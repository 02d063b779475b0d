"""A small ONNX classifier for the tests of the command line, and ways to damage it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.backends.nets import model

CHANNELS = 16


def classifier() -> onnx.ModelProto:
    """conv, relu, conv, relu, mean, matmul over 3 x 8 x 8 pixels: two groups of 16 can be cut."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], "conv0", pads=[1] * 4),
        helper.make_node("Relu", ["c0"], ["r0"], "relu0"),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("GlobalAveragePool", ["r1"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("MatMul", ["f", "w2"], ["y"], "head"),
    ]
    weights = {
        "w0": rng.standard_normal((CHANNELS, 3, 3, 3)),
        "b0": rng.standard_normal(CHANNELS),
        "w1": rng.standard_normal((CHANNELS, CHANNELS, 3, 3)),
        "b1": rng.standard_normal(CHANNELS),
        "w2": rng.standard_normal((CHANNELS, 5)),
    }
    return model(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 5)}, **weights)


def resizable() -> onnx.ModelProto:
    """The same with any batch, height and width."""
    proto = classifier()
    (given,), (made,) = proto.graph.input, proto.graph.output
    for axis, name in {0: "batch", 2: "height", 3: "width"}.items():
        given.type.tensor_type.shape.dim[axis].dim_param = name
    made.type.tensor_type.shape.dim[0].dim_param = "batch"
    return proto


def save(path: Path, proto: onnx.ModelProto | None = None) -> str:
    onnx.save(proto or classifier(), path)
    return str(path)


def _cyclic() -> onnx.ModelProto:
    proto = classifier()
    proto.graph.node[0].input[0] = "r1"
    return proto


def _dangling() -> onnx.ModelProto:
    proto = classifier()
    proto.graph.node[2].input[0] = "nowhere"
    return proto


def _not_finite() -> onnx.ModelProto:
    proto = classifier()
    values = onnx.numpy_helper.to_array(proto.graph.initializer[2]).copy()
    values[3] = np.nan
    proto.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    return proto


def nothing_in_it() -> onnx.ModelProto:
    """A convolution without output channels."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    return model(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 0, 8, 8)}, w=np.zeros((0, 3, 1, 1)))


def nothing_to_prune() -> onnx.ModelProto:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    return model(nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 16, 8, 8)}, w=np.ones((16, 3, 1, 1)))


def _bytes(make: Callable[[], onnx.ModelProto]) -> Callable[[], bytes]:
    return lambda: make().SerializeToString()


DAMAGED: dict[str, Callable[[], bytes]] = {
    "empty file": lambda: b"",
    "random bytes": lambda: np.random.default_rng(0).bytes(4096),
    "truncated": lambda: classifier().SerializeToString()[:-1500],
    "cyclic": _bytes(_cyclic),
    "dangling input": _bytes(_dangling),
    "weights that are not finite": _bytes(_not_finite),
}
"""Files that are no sound model, by what is wrong with them."""
