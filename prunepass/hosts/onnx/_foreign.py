"""Single nodes through the format's own eyes: what they read of outer scopes, and result types by schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from ...ir import Array, Shape
from ._spell import schema
from ._types import OPAQUE, dtype_of, first_line, static_shape, type_proto


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


def dtypes_by_schema(
    node: ir.Node, opsets: Mapping[str, int], dtypes: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Result dtypes where the schema names for each an input of the same type or one type; else None."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    kind = schema(node.op_type, opsets.get(domain, 1), domain)
    if kind is None:
        return None
    seen: dict[str, str] = {}
    for formal, value in zip(kind.inputs, node.inputs, strict=False):
        name = "" if value is None else str(value.name)
        if name in dtypes:
            seen.setdefault(formal.type_str, dtypes[name])
    made = [
        seen.get(formal.type_str) or _PLAIN.get(formal.type_str)
        for formal in _formals(kind, len(node.outputs))
    ]
    return None if any(dtype is None for dtype in made) else tuple(dtype for dtype in made if dtype)


_PLAIN = {"tensor(int64)": "int64", "tensor(bool)": "bool", "tensor(float)": "float32"}


def _formals(kind: onnx.defs.OpSchema, count: int) -> list[onnx.defs.OpSchema.FormalParameter]:
    """The formal result of each actual one: a variadic last one stands for all that follow."""
    formals = list(kind.outputs)
    return [formals[min(i, len(formals) - 1)] for i in range(count)]


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
            kind, ir.serde.serialize_node(node), types, data, opset_imports=imports
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
    return first_line(message).replace("[ShapeInferenceError]", "").strip() or "refused"
