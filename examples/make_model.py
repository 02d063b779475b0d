"""Write a small ONNX classifier with random weights, the same one every time: ``make_model.py OUT.onnx``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 32


def classifier() -> onnx.ModelProto:
    """conv, relu, conv, relu, mean over 3 x 16 x 16 pixels, and a head: two groups of 32 can be cut."""
    rng = np.random.default_rng(0)
    weights = {
        "conv1.weight": rng.standard_normal((CHANNELS, 3, 3, 3)),
        "conv1.bias": rng.standard_normal(CHANNELS),
        "conv2.weight": rng.standard_normal((CHANNELS, CHANNELS, 3, 3)),
        "conv2.bias": rng.standard_normal(CHANNELS),
        "head.weight": rng.standard_normal((CHANNELS, 10)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", pads=[1] * 4),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["mean"], "mean"),
        helper.make_node("Flatten", ["mean"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "head.weight"], ["scores"], "head"),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ("batch", 3, 16, 16))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ("batch", 10))],
        [numpy_helper.from_array(data.astype(np.float32), name) for name, data in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


if __name__ == "__main__":
    onnx.save(classifier(), Path(sys.argv[1]))
