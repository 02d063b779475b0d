"""Check of a model's data against its declared types and sizes, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil, prod

import onnx
import onnx_ir as ir

from ...ir import ModelError
from ._check import EXPORT
from ._types import first_line

MOST_DIMS = 32
"""numpy's limit in any version."""

_LARGEST = 2**31
_MOST_EMPTY = 2**24
_ENTRIES = ("location", "offset", "length", "checksum", "basepath")


def check_tensors(graph: onnx.GraphProto) -> None:
    """Check that every tensor has a name, a type and sizes, and inside the file the bytes that these need.

    Raises:
        ModelError: naming the tensor.
    """
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ModelError(f"initializer '{name}' is sparse", advice="store it as a dense tensor")
    for tensor in graph.initializer:
        if not tensor.name:
            raise ModelError("an initializer has no name", advice=EXPORT)
        _check_tensor(tensor, f"initializer '{tensor.name}'")
    for node in graph.node:
        name = node.name or (node.output[0] if node.output else node.op_type)
        for attribute in node.attribute:
            for tensor in (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors):
                _check_tensor(tensor, f"attribute '{attribute.name}' of node '{name}'")
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                check_tensors(inner)


def check_inputs(graph: onnx.GraphProto) -> None:
    """Check the sizes of inputs and outputs; -1 says that one is free.

    Raises:
        ModelError: naming the value.
    """
    for value in (*graph.input, *graph.output):
        if value.type.WhichOneof("value") == "tensor_type":
            dims = value.type.tensor_type.shape.dim
            sizes = [dim.dim_value for dim in dims if dim.HasField("dim_value") and dim.dim_value != -1]
            _check_sizes(sizes, len(dims), f"'{value.name}'")


def _check_tensor(tensor: onnx.TensorProto, what: str) -> None:
    try:
        bits = ir.DataType(tensor.data_type).bitwidth if tensor.data_type != onnx.TensorProto.STRING else None
    except (ValueError, TypeError):
        raise ModelError(f"{what} has the unknown type {tensor.data_type}", advice=EXPORT) from None
    _check_sizes(tensor.dims, len(tensor.dims), what)
    if 0 in tensor.dims and prod(size or 1 for size in tensor.dims) > _MOST_EMPTY:
        raise ModelError(f"{what} is empty and has sizes of {tuple(tensor.dims)}", advice=EXPORT)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_entries(tensor, what)
    elif bits is not None and tensor.HasField("raw_data"):
        have, need = len(tensor.raw_data), ceil(prod(tensor.dims) * bits / 8)
        if have != need:
            raise ModelError(f"{what} holds {have} bytes, its shape needs {need}", advice=EXPORT)
    else:
        try:
            onnx.checker.check_tensor(tensor)
            if bits is not None:
                _check_count(tensor, bits, what)
        except onnx.checker.ValidationError as error:
            raise ModelError(f"{what}: {first_line(str(error))}", advice=EXPORT) from error


def _check_count(tensor: onnx.TensorProto, bits: int, what: str) -> None:
    """Numbers that are written one by one, in whichever field; narrow ones share one."""
    fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    have, need = sum(map(len, fields)), prod(tensor.dims)
    if tensor.data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        need *= 2
    if bits < 8 and have == ceil(need * bits / 8):
        return
    if have != need:
        raise ModelError(f"{what} holds {have} numbers, its shape needs {need}", advice=EXPORT)


def _check_sizes(sizes: Iterable[int], rank: int, what: str) -> None:
    if rank > MOST_DIMS:
        raise ModelError(f"{what} has {rank} dims, more than {MOST_DIMS}", advice=EXPORT)
    for size in sizes:
        if size < 0:
            raise ModelError(f"{what} has a negative size, {size}", advice=EXPORT)
        if size >= _LARGEST:
            raise ModelError(f"{what} has a size of {size}, which no tensor has", advice=EXPORT)


def _check_entries(tensor: onnx.TensorProto, what: str) -> None:
    """Check of the place of external data: a misspelt offset would be taken for none."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    unknown = [key for key in entries if key not in _ENTRIES]
    if unknown:
        raise ModelError(
            f"{what}: its external data has an entry '{unknown[0]}', which nobody knows",
            advice=f"there are {', '.join(_ENTRIES)}",
        )
    if not entries.get("location"):
        raise ModelError(f"{what}: its external data lies in no file", advice=EXPORT)
    if "\0" in entries["location"]:
        raise ModelError(f"{what}: its external data lies in a file without a proper name", advice=EXPORT)
    for key in ("offset", "length"):
        if not entries.get(key, "0").isdecimal():
            raise ModelError(f"{what}: the {key} of its external data is '{entries[key]}'", advice=EXPORT)


def external_tensors(model: ir.Model) -> Iterator[tuple[str, ir.ExternalTensor]]:
    """Initializers whose data lies in files beside the model."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield str(value.name), value.const_value
