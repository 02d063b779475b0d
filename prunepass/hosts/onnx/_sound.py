"""Check of the nodes' operands by the format's own type and shape inference, over all of a model at once.

Weights take no part but for their types, so that this costs next to nothing however large the model is.
Where the format's inference refuses what ONNX Runtime accepts, ONNX Runtime is right.
"""

from __future__ import annotations

import re
from math import prod

import onnx
import onnx_ir as ir

from ...ir import ModelError
from ._inputs import symbol
from ._types import const_tensor, first_line, is_constant, node_names, opsets_of, tensor_shape

_FEW = 64
_IR_VERSION = 10
_NODE = re.compile(r"node name: (?P<name>.*?)\): (?P<said>.*)", re.DOTALL)
_TAG = re.compile(r"\[\w+Error\] ?")


def check_types(model: ir.Model) -> None:
    """Refuse nodes whose operands do not fit together, in type or in shape.

    Raises:
        ModelError: naming the node and what does not fit.
    """
    proto = outline(model)
    try:
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    except Exception as error:  # the C++ side raises several unrelated types
        if _runtime_accepts(proto):
            return
        where, said = _plain(str(error))
        raise ModelError(
            f"its operands do not fit: {said}" if where else said,
            where=where,
            advice="onnx.checker.check_model(path, full_check=True) says the same; export the model again",
        ) from error


def outline(model: ir.Model) -> onnx.ModelProto:
    """The model without the data of its weights, and without what it says of shapes between its nodes.

    Statements about shapes may be out of date; engines warn of that and go on.
    """
    graph = onnx.GraphProto(name=model.graph.name or "g")
    for value in model.graph.inputs:
        if not value.is_initializer():
            graph.input.append(_typed(value, shape=True))
    for value in model.graph.initializers.values():
        _hold(graph, value)
    for node, name in node_names(model.graph).items():
        if is_constant(node) and (tensor := const_tensor(node.outputs[0])) is not None and tensor.size > _FEW:
            _hold(graph, node.outputs[0])
            continue
        proto = ir.serde.serialize_node(node)
        proto.name = name
        graph.node.append(proto)
        graph.value_info.extend(_typed(out) for out in node.outputs if out.name and out.dtype)
    graph.output.extend(_typed(value) for value in model.graph.outputs)
    imports = [onnx.helper.make_opsetid(name, version) for name, version in opsets_of(model).items()]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)


def _typed(value: ir.Value, *, shape: bool = False) -> onnx.ValueInfoProto:
    proto = ir.serde.serialize_value(value)
    if proto.type.WhichOneof("value") != "tensor_type":
        return proto
    if not shape:
        proto.type.tensor_type.ClearField("shape")
    for axis, dim in enumerate(proto.type.tensor_type.shape.dim):
        if (label := symbol(value, axis)) is not None:
            dim.dim_param = label
    return proto


def _hold(graph: onnx.GraphProto, value: ir.Value) -> None:
    """A constant: as it is where it is small enough to say something about shapes, else its type."""
    tensor = const_tensor(value)
    if tensor is None:
        return
    shape = tensor_shape(tensor)
    if prod(shape) <= _FEW and not isinstance(tensor, ir.ExternalTensor):
        held = ir.serde.serialize_tensor(tensor)
        held.name = str(value.name)
        graph.initializer.append(held)
        return
    kind = onnx.helper.make_tensor_type_proto(int(tensor.dtype), shape)
    graph.input.append(onnx.helper.make_value_info(str(value.name), kind))


def _runtime_accepts(proto: onnx.ModelProto) -> bool:
    try:
        import onnxruntime
    except ImportError:
        return False
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime raises whatever it likes
        return False
    return True


def _plain(message: str) -> tuple[str, str]:
    """The node and the sentence of an inference error without its tags."""
    found = _NODE.search(message)
    name, said = (found["name"], found["said"]) if found else ("", message)
    return name, first_line(_TAG.sub("", said)) or "refused"
