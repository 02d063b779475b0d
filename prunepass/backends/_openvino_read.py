"""Reading what OpenVINO says: its errors, ports, runtime graphs and profiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..ir import ModelError, UnsupportedError
from ._protocol import Layer, TensorSpec

# Where in OpenVINO's own sources an error was raised: one line each, before what it is about.
_TRACE = re.compile(r"^(Exception from |Check '.*' failed at |FrontEnd API failed with )")
_NO_MODEL = ("can't be parsed", "Error during import of ONNX model", "Unable to read the model")
_NO_RULE = re.compile(r"No conversion rule found for operations: ([^\n]+)")
_DTYPES = {
    "boolean": "bool",
    "string": "str",
    "bf16": "bfloat16",
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}
# What a runtime graph lists beside the steps: its ends and its weights.
_DATA = frozenset({"Input", "Output", "Const"})
_MOVE = "Reorder"
_PORT = "/sink_port_"


def model_error(error: Exception, source: Path | bytes) -> ModelError:
    """An error of OpenVINO as one that says what to do."""
    where = source.name if isinstance(source, Path) else "model"
    text = str(error)
    if any(mark in text for mark in _NO_MODEL):
        return no_model(where)
    if found := _NO_RULE.search(text):
        return UnsupportedError(f"OpenVINO knows no operator {found[1].strip()}", where=where)
    said = " ".join(line for line in text.splitlines() if line.strip() and not _TRACE.match(line))
    blob = isinstance(source, Path) and source.suffix == ".blob"
    advice = "build it again: a blob fits one version and one kind of processor" if blob else ""
    return ModelError(f"OpenVINO refuses it: {said or type(error).__name__}", where=where, advice=advice)


def no_model(where: str) -> ModelError:
    """The error for bytes that are no model."""
    return ModelError("this is no ONNX model", where=where, advice="export it again")


def tensor_spec(port: Any) -> TensorSpec:
    """The spec of an input or output; the sizes of free dims have no names here."""
    sizes = (size.get_length() if size.is_static else "?" for size in port.get_partial_shape())
    kind = str(port.get_element_type().get_type_name())
    return TensorSpec(_name(port), tuple(sizes), _DTYPES.get(kind, kind))


def _name(port: Any) -> str:
    """The model's own name of a port: a tensor may have several, of which its node's name tells the right one."""
    own = str(port.get_node().get_friendly_name()).split(_PORT)[0]
    names = port.get_names()
    return own if own in names or not names else str(port.get_any_name())


def layers_of(graph: Any) -> tuple[Layer, ...]:
    """The steps of a runtime graph, in order of execution."""
    told = [(node.get_friendly_name(), _info(node)) for node in graph.get_ordered_ops()]
    steps = [(name, info) for name, info in told if info["layerType"] not in _DATA]
    steps.sort(key=lambda step: int(step[1]["execOrder"]))
    return tuple(_layer(name, info) for name, info in steps)


def _info(node: Any) -> dict[str, str]:
    values = {key: getattr(value, "value", value) for key, value in node.get_rt_info().items()}
    return {"execOrder": "0", "layerType": "", **{key: str(value) for key, value in values.items()}}


def _layer(name: str, info: dict[str, str]) -> Layer:
    kind = " ".join(filter(None, (info["layerType"], info.get("primitiveType", ""))))
    nodes = tuple(filter(None, info.get("originalLayersNames", "").split(",")))
    return Layer(name, kind, _layout(info), nodes)


def _layout(info: dict[str, str]) -> str:
    """oneDNN writes the axis that it blocks in capitals: ``aBcd16b``."""
    if info["layerType"] == _MOVE:
        return "reorder"
    return "blocked" if any(letter.isupper() for letter in info.get("outputLayouts", "")) else ""


def times_of(steps: Iterable[Any]) -> Counter[tuple[str, str]]:
    """Microseconds by name and kind of the executed steps of one inference."""
    times: Counter[tuple[str, str]] = Counter()
    for step in steps:
        if step.status.name == "EXECUTED":
            kind = f"{step.node_type} {step.exec_type}".strip()
            times[step.node_name, kind] += round(step.real_time.total_seconds() * 1e6)
    return times
