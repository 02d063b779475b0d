"""The comparison of engines that TensorRT-RTX builds ahead of time, on a small model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.compare._half import half
from bench.compare.tensorrt_layers import built
from tests.cli.nets import classifier


def test_a_model_in_half_precision_has_no_single_precision_left_and_keeps_its_integers() -> None:
    net = classifier()
    held = numpy_helper.from_array(np.ones(5, np.float32), "ones")
    net.graph.node.append(helper.make_node("Constant", [], ["ones"], "ones", value=held))
    net.graph.node.append(helper.make_node("Cast", ["y"], ["z"], "cast", to=TensorProto.FLOAT))
    net.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.int64), "count"))
    before = net.SerializeToString()
    made = half(net)
    assert net.SerializeToString() == before
    assert {tensor.data_type for tensor in made.graph.initializer} == {TensorProto.FLOAT16, TensorProto.INT64}
    assert {value.type.tensor_type.elem_type for value in made.graph.input} == {TensorProto.FLOAT16}
    constant, cast = made.graph.node[-2:]
    assert constant.attribute[0].t.data_type == TensorProto.FLOAT16
    assert cast.attribute[0].i == TensorProto.FLOAT16
    onnx.checker.check_model(half(classifier()))


def test_a_row_tells_what_the_engine_is_made_of() -> None:
    pytest.importorskip("tensorrt_rtx")
    row = built(classifier())
    assert 0 < row["moves"] < row["layers"]
    assert row["weights (MiB)"] is not None and row["activations (MiB)"] > 0
