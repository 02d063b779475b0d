"""A part of an ONNX model as a model of its own."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from ...ir import UnsupportedError, Value


class Extractor:
    """Takes parts out of one model, given by the values where they begin and end.

    The weights are shared as long as nothing is serialised; a part holds only those that it reads.
    """

    def __init__(self, model: ir.Model) -> None:
        self._proto: onnx.ModelProto = ir.to_proto(model)
        graph = self._proto.graph
        self._makers = {name: node for node in graph.node for name in node.output if name}
        self._order = {id(node): place for place, node in enumerate(graph.node)}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}

    def part(self, inputs: Mapping[str, Value], output: Value) -> onnx.ModelProto:
        """The model from ``inputs`` to ``output``, all shapes fixed.

        Raises:
            UnsupportedError: a value is not one of the file, or more is read than ``inputs``.
        """
        nodes: dict[int, onnx.NodeProto] = {}
        weights: dict[str, onnx.TensorProto] = {}
        waiting = [output.name]
        while waiting:
            name = waiting.pop()
            if not name or name in inputs or name in weights:
                continue
            if name in self._weights:
                weights[name] = self._weights[name]
                continue
            node = self._makers.get(name)
            if node is None:
                raise UnsupportedError(f"the model has no value '{name}' that a part can begin with")
            if nodes.setdefault(self._order[id(node)], node) is node:
                waiting.extend(node.input)
        return self._assembled([nodes[at] for at in sorted(nodes)], weights, inputs, output)

    def _assembled(
        self,
        nodes: list[onnx.NodeProto],
        weights: Mapping[str, onnx.TensorProto],
        inputs: Mapping[str, Value],
        output: Value,
    ) -> onnx.ModelProto:
        graph = onnx.helper.make_graph(
            nodes,
            "part",
            [_info(value) for value in inputs.values()],
            [_info(output)],
            list(weights.values()),
        )
        return onnx.helper.make_model(
            graph,
            opset_imports=list(self._proto.opset_import),
            ir_version=self._proto.ir_version,
            functions=list(self._proto.functions),
        )


def _info(value: Value) -> onnx.ValueInfoProto:
    kind = ir.DataType[value.dtype.upper().replace("FLOAT32", "FLOAT").replace("FLOAT64", "DOUBLE")]
    return onnx.helper.make_tensor_value_info(value.name, int(kind), value.shape)
