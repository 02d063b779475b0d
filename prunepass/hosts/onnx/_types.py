"""Between ONNX's own types and plain ones: dtype names, attribute values, constant tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from ...ir import Array, ModelError, Shape, is_float

OPAQUE = "object"
"""dtype of what is not a tensor (sequences, optionals): one Python object in an array of shape ``()``."""

_LONGEST = 160
_WIDE = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.bool_))


def dtype_name(dtype: ir.DataType | None) -> str:
    """numpy's name of an ONNX element type (``bfloat16`` and narrower ones included)."""
    if dtype is None or dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING):
        return OPAQUE
    return str(dtype.numpy().name)


def dtype_seen(array: Array) -> str:
    """dtype name of data that a node made; text and objects are opaque."""
    return str(array.dtype.name) if array.dtype.kind in "biuf" or is_float(array.dtype.name) else OPAQUE


def dtype_of(proto: onnx.TypeProto) -> str:
    """The same from a type proto; what is not a dense tensor is opaque."""
    if proto.WhichOneof("value") != "tensor_type":
        return OPAQUE
    return dtype_name(ir.DataType(proto.tensor_type.elem_type))


def type_proto(dtype: str, shape: Shape | None) -> onnx.TypeProto:
    """A tensor type; without a shape its rank is open."""
    kind = ir.DataType.STRING if dtype == OPAQUE else ir.DataType.from_numpy(np.dtype(numpy_dtype(dtype)))
    return onnx.helper.make_tensor_type_proto(int(kind), shape)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype called ``name``, those of ml_dtypes included."""
    if name == OPAQUE:
        return np.dtype(object)
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))  # type: ignore[no-any-return]


def static_shape(proto: onnx.TypeProto) -> Shape | None:
    """The shape where all of it is known."""
    if proto.WhichOneof("value") != "tensor_type" or not proto.tensor_type.HasField("shape"):
        return None
    dims = proto.tensor_type.shape.dim
    known = all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims)
    return tuple(dim.dim_value for dim in dims) if known else None


def const_tensor(value: ir.Value) -> ir.TensorProtocol | None:
    """The tensor behind an initializer or a Constant node's output, None for anything computed."""
    node = value.producer()
    if node is None and not value.is_initializer():
        return None
    if node is not None and not is_constant(node):
        return None
    try:
        return ir.convenience.get_const_tensor(value)
    except (ValueError, TypeError) as error:
        raise ModelError(f"the constant cannot be read: {error}", where=value.name or "") from error


def is_constant(node: ir.Node) -> bool:
    """Return whether ``node`` is the format's way to write a tensor down inside the graph."""
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx")


def tensor_shape(tensor: ir.TensorProtocol) -> Shape:
    return tuple(int(size) for size in tensor.shape.numpy())


def holds_sizes(dtype: np.dtype[Any]) -> bool:
    """Return whether shapes, indices and conditions are written in this type; weights are not."""
    return dtype in _WIDE


def plain_attribute(attribute: ir.Attr) -> Any:
    """An attribute as int, float, str, tuple of these, or array."""
    if attribute.type == ir.AttributeType.TENSOR:
        return attribute.value.numpy()
    if attribute.type == ir.AttributeType.STRINGS:
        return tuple(attribute.value)
    value = attribute.value
    return tuple(value) if isinstance(value, (list, tuple)) else value


def plain_array(array: Array) -> Any:
    """A constant operand that stands for an attribute: numbers and 1-D arrays of them become plain."""
    return array.item() if array.ndim == 0 else tuple(array.tolist()) if array.ndim == 1 else array


def named(values: Iterable[ir.Value | None]) -> tuple[str | None, ...]:
    """Names of values, None where an optional one is left out; trailing ones are dropped."""
    names = [value.name if value is not None and value.name else None for value in values]
    while names and names[-1] is None:
        names.pop()
    return tuple(names)


def kind_of(node: ir.Node) -> str:
    """``Type``, or ``domain::Type`` outside the default domain."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def opsets_of(model: ir.Model) -> dict[str, int]:
    """Versions of the operator sets by domain; the default one is called ``""`` however it is written."""
    return {"" if domain == "ai.onnx" else domain: version for domain, version in model.opset_imports.items()}


def node_names(graph: ir.Graph) -> dict[ir.Node, str]:
    """A unique name for every node, its own where it has one, else that of its first output."""
    names: dict[ir.Node, str] = {}
    taken: set[str] = set()
    for node in graph:
        base = node.name or next((out.name for out in node.outputs if out.name), None) or node.op_type
        names[node] = unique(base, taken)
    return names


def first_line(message: str) -> str:
    """The first line of a foreign error, to be quoted."""
    line = message.strip().splitlines()[0] if message.strip() else ""
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} .."


def unique(base: str, taken: set[str]) -> str:
    """``base``, or ``base@2``, ``base@3``, ... whichever is free; marks it as taken."""
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}@{count}"
    taken.add(name)
    return name
