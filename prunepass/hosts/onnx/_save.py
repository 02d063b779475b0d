"""Writing a model: all or nothing, the same bytes every time."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import onnx
import onnx_ir as ir

from ...ir import UnsupportedError, UsageError
from ._check_data import external_tensors
from ._external import mapped
from ._load import EXTERNAL

_PROTOBUF_LIMIT = 2**31 - 2**24
_SMALLEST_EXTERNAL = 1024


def save(model: ir.Model, path: str | os.PathLike[str]) -> None:
    """Write ``model``; weights go into ``<path>.data`` where the source had them outside or beyond 2 GB.

    Everything is written beside the target first and then renamed, so that an interrupted call leaves the
    old files. The model object stays as it is and usable, even when it overwrites its own source.

    Raises:
        UsageError: the place cannot be written.
    """
    target = Path(path)
    data = f"{target.name}.data" if keeps_external(model) else None
    staged = None
    try:
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        ir.save(model, staged / target.name, external_data=data, size_threshold_bytes=_SMALLEST_EXTERNAL)
        _hold(model, target.parent / f"{target.name}.data")
        # Data first: a model that refers to newer data fails its length check, the reverse might not.
        for part in sorted(staged.iterdir(), key=lambda part: part.name == target.name):
            part.replace(target.parent / part.name)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from error
    finally:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """The model as one protobuf message, external data included.

    Raises:
        UnsupportedError: it is larger than protobuf allows.
    """
    if weight_bytes(model) > _PROTOBUF_LIMIT:
        raise UnsupportedError("the model is larger than 2 GB", advice="save it to a path instead")
    proto = ir.to_proto(model)
    tensors = dict(external_tensors(model))
    for initializer in proto.graph.initializer:
        if initializer.name in tensors:
            tensor = tensors[initializer.name]
            held = ir.Tensor(
                mapped(tensor), dtype=tensor.dtype, name=tensor.name, doc_string=tensor.doc_string
            )
            initializer.CopyFrom(ir.to_proto(held))
    return proto


def weight_bytes(model: ir.Model) -> int:
    """Size of all initializers."""
    values = (value for graph in model.graphs() for value in graph.initializers.values())
    return sum(value.const_value.nbytes for value in values if value.const_value is not None)


def keeps_external(model: ir.Model) -> bool:
    """Return whether weights belong into a file of their own."""
    has_files = next(external_tensors(model), None) is not None
    return has_files or bool(model.graph.meta.get(EXTERNAL)) or weight_bytes(model) > _PROTOBUF_LIMIT


def _hold(model: ir.Model, data: Path) -> None:
    """Map tensors whose file is about to be replaced: the mapping outlives the name."""
    if not data.exists():
        return
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor) and Path(tensor.path).samefile(data):
                value.const_value = ir.Tensor(mapped(tensor), dtype=tensor.dtype, name=tensor.name)
