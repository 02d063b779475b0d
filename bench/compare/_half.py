"""A float32 ONNX model in float16, as engines with strong types want it: the model says the precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def half(proto: Any) -> Any:
    """A copy of an ``onnx.ModelProto`` whose tensors, inputs, outputs and casts are float16 instead of float32."""
    import onnx
    from onnx import TensorProto

    made = onnx.ModelProto()
    made.CopyFrom(proto)
    for tensor in _tensors(made.graph):
        if tensor.data_type == TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*made.graph.input, *made.graph.output, *made.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for node in made.graph.node:
        for attribute in node.attribute:
            if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                attribute.i = TensorProto.FLOAT16
    return made


def _tensors(graph: Any) -> Iterator[Any]:
    """Initializers, and what constant nodes hold."""
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))
