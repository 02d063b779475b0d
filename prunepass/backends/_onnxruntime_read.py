"""Reading what ONNX Runtime says: its errors, tensor types, optimised graphs and profiles."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from ..ir import BackendError, ModelError, UnsupportedError
from ._protocol import Layer, LayerTime, TensorSpec
from ._times import layer_times

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_IR_VERSION = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NO_MODEL = ("INVALID_PROTOBUF", "No graph was found")
_TENSOR = re.compile(r"tensor\((\w+)\)")
_DTYPES = {"float": "float32", "double": "float64", "string": "str"}
_BLOCKED = "com.microsoft.nchwc"
_TIMED = "_kernel_time"
_END = "model_run"


def model_error(error: Exception, source: Path | bytes) -> ModelError:
    """An error of ONNX Runtime as one that says what to do."""
    where = source.name if isinstance(source, Path) else "model"
    text = str(error)
    if found := _IR_VERSION.search(text):
        return ModelError(
            f"IR version {found[1]} is newer than this ONNX Runtime takes ({found[2]})",
            where=where,
            advice="write the model with ir_version=10, or install a newer onnxruntime",
        )
    if any(mark in text for mark in _NO_MODEL):
        return ModelError("this is no ONNX model", where=where, advice="export it again")
    said = " ".join(_PREFIX.sub("", text).split())
    if "NOT_IMPLEMENTED" in text:
        return UnsupportedError(f"ONNX Runtime has no kernel: {said}", where=where)
    return ModelError(f"ONNX Runtime refuses it: {said}", where=where)


def tensor_spec(given: Any) -> TensorSpec:
    """The spec of one of a session's inputs or outputs."""
    found = _TENSOR.fullmatch(given.type)
    dtype = _DTYPES.get(found[1], found[1]) if found else str(given.type)
    shape = tuple(size if isinstance(size, int) else str(size or "?") for size in given.shape)
    return TensorSpec(given.name, shape, dtype)


def layers_of(path: Path) -> tuple[Layer, ...]:
    """The nodes of an optimised model that ONNX Runtime wrote.

    Raises:
        BackendError: the package ``onnx`` is missing.
    """
    try:
        import onnx
    except ImportError as error:
        advice = "install it with: pip install 'prunepass[onnxruntime]'"
        raise BackendError(f"onnx cannot be imported: {error}", advice=advice) from error
    nodes = onnx.load(path, load_external_data=False).graph.node
    return tuple(Layer(node.name, _kind(node), _layout(node)) for node in nodes)


def _kind(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type)


def _layout(node: Any) -> str:
    if node.domain != _BLOCKED:
        return ""
    return "reorder" if node.op_type.startswith("Reorder") else "blocked"


class _Event(msgspec.Struct):
    cat: str = ""
    name: str = ""
    dur: int = 0
    args: dict[str, Any] = msgspec.field(default_factory=dict)


def times_of(profile: bytes, *, skip: int = 0) -> tuple[LayerTime, ...]:
    """Median time of each node over the inferences of a profile, without the first ``skip`` of them.

    A node that runs several times in one inference (the body of a loop) counts with their sum.

    Raises:
        BackendError: it is no profile (a list of events in Chrome's trace format).
    """
    try:
        events = msgspec.json.decode(profile, type=list[_Event])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackendError(f"the profile cannot be read: {error}") from error
    inferences: list[Counter[tuple[str, str]]] = [Counter()]
    for event in events:
        if event.cat == "Node" and event.name.endswith(_TIMED):
            key = (event.name[: -len(_TIMED)], str(event.args.get("op_name", "")))
            inferences[-1][key] += event.dur
        elif event.name == _END:
            inferences.append(Counter())
    kept = [times for times in inferences if times][skip:]
    return layer_times(kept)
