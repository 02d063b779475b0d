"""Single nodes through the format's own tools: result types, and evaluation of what is not declared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from ...ir import Array, UnsupportedError
from ...ir._graph import Shape
from ._spell import schema
from ._types import OPAQUE, dtype_of, numpy_dtype, static_shape, type_proto

_ORT_IR_VERSION = 10
_LONGEST = 160

Attempt = Callable[[Mapping[str, Any], list[str]], list[Any]]


@dataclass(frozen=True, slots=True)
class Typed:
    """One tensor that a node reads or makes; ``shape`` is None where it is open."""

    name: str
    shape: Shape | None
    dtype: str


def captured(node: ir.Node) -> list[ir.Value]:
    """Values of the outer scope that subgraphs of ``node`` read, in a fixed order."""
    found: dict[ir.Value, None] = {}
    for graph in _subgraphs(node):
        inside = {*graph.inputs, *graph.initializers.values(), *(out for n in graph for out in n.outputs)}
        for inner in graph:
            for value in (*(v for v in inner.inputs if v is not None), *captured(inner)):
                if value not in inside:
                    found.setdefault(value)
        for value in graph.outputs:
            if value not in inside:
                found.setdefault(value)
    return list(found)


def _subgraphs(node: ir.Node) -> list[ir.Graph]:
    graphs: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            graphs.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            graphs.extend(attribute.as_graphs())
    return graphs


def infer(
    node: ir.Node, opsets: Mapping[str, int], operands: Sequence[Typed], known: Mapping[str, Array]
) -> tuple[list[Typed] | None, str]:
    """Result types as the operator's schema infers them, or None and the reason where the schema refuses."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    kind = schema(node.op_type, opsets.get(domain, 1), domain)
    if kind is None or any(typed.dtype == OPAQUE for typed in operands):
        return None, ""
    types = {typed.name: type_proto(typed.dtype, typed.shape) for typed in operands}
    imports = [onnx.helper.make_opsetid(name, version) for name, version in opsets.items()]
    try:
        data = {name: onnx.numpy_helper.from_array(array, name) for name, array in known.items()}
        made = onnx.shape_inference.infer_node_outputs(
            kind, ir.to_proto(node), types, data, opset_imports=imports
        )
    except Exception as error:  # the C++ side raises several unrelated types
        return None, _plain(str(error))
    if any(out.name and out.name not in made for out in node.outputs):
        return None, ""
    return [
        Typed(out.name, static_shape(made[out.name]), dtype_of(made[out.name]))
        if out.name
        else Typed("", None, OPAQUE)
        for out in node.outputs
    ], ""


def _plain(message: str) -> str:
    """The sentence of an inference error without its tags."""
    return _first_line(message).replace("[ShapeInferenceError]", "").strip() or "refused"


@dataclass(frozen=True)
class Runner:
    """Evaluates one node by the format's reference implementation or by ONNX Runtime.

    The reference computes in whatever precision it is fed, but knows some operators in their newest version
    only: a node of an older version asks ONNX Runtime first.

    Attributes:
        names: operand names by position, None where absent.
        dtypes: their types in the model.
    """

    node: onnx.NodeProto
    opsets: Mapping[str, int]
    names: tuple[str | None, ...]
    dtypes: Mapping[str, str]
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, *arrays: Array | None) -> tuple[Array, ...]:
        """The node's results; sequences travel as one object in an array of shape ``()``.

        Raises:
            UnsupportedError: neither engine runs the node.
        """
        feeds = {
            name: array[()] if array.dtype == object and array.ndim == 0 else array
            for name, array in zip(self.names, arrays, strict=True)
            if name is not None and array is not None
        }
        wanted = [name for name in self.node.output if name]
        errors = []
        for attempt in self._attempts():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    made = dict(zip(wanted, attempt(feeds, wanted), strict=True))
                return tuple(_array(made[name]) if name else np.zeros(()) for name in self.node.output)
            except Exception as error:  # both engines raise whatever they like
                errors.append(f"{type(error).__name__}: {_first_line(str(error))}")
        raise UnsupportedError(
            f"'{self.node.op_type}' could not be run by itself ({'; '.join(errors)})", where=self.node.name
        )

    def _attempts(self) -> tuple[Attempt, ...]:
        domain = "" if self.node.domain == "ai.onnx" else self.node.domain
        ours = schema(self.node.op_type, self.opsets.get(domain, 1), domain)
        newest = schema(self.node.op_type, onnx.defs.onnx_opset_version(), domain)
        current = ours is None or newest is None or ours.since_version == newest.since_version
        runtime = (self._in_given_types, self._in_own_types)
        return (self._by_reference, *runtime) if current else (*runtime, self._by_reference)

    def _by_reference(self, feeds: Mapping[str, Any], wanted: list[str]) -> list[Any]:
        from onnx.reference import ReferenceEvaluator

        if "reference" not in self._made:
            self._made["reference"] = ReferenceEvaluator(self._model(self.dtypes))
        result = list(self._made["reference"].run(wanted, dict(feeds)))
        if any(made is None for made in result):
            raise UnsupportedError("no result")
        return result

    def _in_given_types(self, feeds: Mapping[str, Any], wanted: list[str]) -> list[Any]:
        dtypes = {name: array.dtype.name for name, array in feeds.items() if isinstance(array, np.ndarray)}
        return self._by_runtime({**self.dtypes, **dtypes}, feeds, wanted)

    def _in_own_types(self, feeds: Mapping[str, Any], wanted: list[str]) -> list[Any]:
        return self._by_runtime(self.dtypes, feeds, wanted)

    def _by_runtime(
        self, dtypes: Mapping[str, str], feeds: Mapping[str, Any], wanted: list[str]
    ) -> list[Any]:
        import onnxruntime

        key = f"runtime {sorted(dtypes.items())}"
        if key not in self._made:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self._made[key] = onnxruntime.InferenceSession(
                self._model(dtypes).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        typed = {
            name: array.astype(numpy_dtype(dtypes[name])) if isinstance(array, np.ndarray) else array
            for name, array in feeds.items()
        }
        return list(self._made[key].run(wanted, typed))

    def _model(self, dtypes: Mapping[str, str]) -> onnx.ModelProto:
        """A model of this one node; whatever it reads is a graph input of open shape."""
        reads = dict.fromkeys(name for name in self.names if name is not None)
        inputs = [onnx.helper.make_value_info(name, type_proto(dtypes[name], None)) for name in reads]
        outputs = [onnx.ValueInfoProto(name=name) for name in self.node.output if name]
        graph = onnx.helper.make_graph([self.node], "node", inputs, outputs)
        imports = [onnx.helper.make_opsetid(name, version) for name, version in self.opsets.items()]
        return onnx.helper.make_model(graph, opset_imports=imports, ir_version=_ORT_IR_VERSION)


def _first_line(message: str) -> str:
    line = message.splitlines()[0] if message else ""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} .."


def _array(made: Any) -> Array:
    if isinstance(made, np.ndarray) or np.isscalar(made):
        return np.asarray(made)
    box = np.empty((), dtype=object)
    box[()] = made
    return box
