"""The forms in which a user may hand over an ONNX model, brought to the two that engines read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..ir import ModelError, UsageError

# Protocol buffers end at 2 GiB; larger models keep their weights in a second file.
_LIMIT = 2**31 - 1
_BY_PATH = "save it with its weights as external data and pass the path"


def onnx_source(model: object) -> Path | bytes:
    """A path or the serialised bytes of ``model``.

    Args:
        model: path, bytes, ``onnx.ModelProto`` or ``onnx_ir.Model``; none of them is changed.

    Raises:
        UsageError: the file does not exist, or the object is none of these.
        ModelError: it is empty, or too large to hand over in memory.
    """
    if isinstance(model, (str, os.PathLike)):
        return _file(Path(model))
    if isinstance(model, bytes):
        if not model:
            raise ModelError("the model is empty", where="bytes")
        return model
    if type(model).__module__.split(".")[0] == "onnx_ir":
        return _proto_bytes(_from_ir(model))
    if hasattr(model, "SerializeToString"):
        return _proto_bytes(model)
    raise UsageError(
        f"cannot read an ONNX model from a {type(model).__name__}",
        advice="pass a path, bytes, an onnx.ModelProto or an onnx_ir.Model; torch.onnx.export writes modules",
    )


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path))
    if path.stat().st_size == 0:
        raise ModelError("the file is empty", where=str(path), advice="write the model again")
    return path


def _from_ir(model: Any) -> Any:
    import onnx_ir

    if not isinstance(model, onnx_ir.Model):
        what = f"cannot read a model from an onnx_ir.{type(model).__name__}"
        raise UsageError(what, advice="pass the whole Model")
    values = [value for graph in model.graphs() for value in graph.initializers.values()]
    if not any(isinstance(value.const_value, onnx_ir.ExternalTensor) for value in values):
        return onnx_ir.to_proto(model)
    # A serialised model would name the second file relative to a folder that an engine does not know.
    held = model.clone()
    return onnx_ir.to_proto(onnx_ir.external_data.load_to_model(held))


def _proto_bytes(proto: Any) -> bytes:
    size = proto.ByteSize()
    if size == 0:
        raise ModelError("the model is empty", where="ModelProto")
    if size > _LIMIT:
        raise ModelError(f"the model has {size / 2**30:.1f} GiB, more than 2", advice=_BY_PATH)
    return bytes(proto.SerializeToString())
