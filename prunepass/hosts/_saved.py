"""Refusal of what is no model: weights alone, files and bytes of torch, a class; each with what to give instead."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ir import UsageError

_BUILD = "build the module, load its weights with load_state_dict, and give the module"
_MODELS = (
    "give an nn.Module, ExportedProgram, GraphModule, ONNX path, ModelProto, onnx_ir.Model or "
    "onnx_graphsurgeon.Graph"
)
_HEAD = 2


def no_model(given: Any) -> UsageError:
    """The error for an object that is no model: what it is, and what to give instead."""
    if isinstance(given, type):
        return UsageError(
            f"the class {given.__name__} is no model", advice=f"give an instance, {given.__name__}(...)"
        )
    if isinstance(given, (bytes, bytearray)):
        what, advice = _of_torch(io.BytesIO(given)) or ("bytes are no model", _MODELS)
        return UsageError(what, advice=advice)
    if isinstance(given, Mapping):
        return _of_mapping(given)
    return UsageError(f"{_named(given)} is no model", advice=_MODELS)


def refuse_saved(path: str | os.PathLike[str]) -> None:
    """Refuse a file that torch has written, told by its content.

    Raises:
        UsageError: what it holds, and what to give instead.
    """
    if not Path(path).is_file():
        return
    with Path(path).open("rb") as file:
        found = _of_torch(file)
    if found is not None or Path(path).suffix == ".safetensors":
        what, advice = found or ("weights are no model", _BUILD)
        raise UsageError(what, where=str(path), advice=advice)


def _of_torch(file: Any) -> tuple[str, str] | None:
    """The kind of a file of torch's, and advice on it; None for other files."""
    head = file.read(_HEAD)
    if head[:1] == b"\x80":
        return (
            "a pickle is no model",
            f"if it holds weights, {_BUILD}; if a module, torch.load it and give that",
        )
    if head != b"PK" or not zipfile.is_zipfile(file):
        return None
    names = [name.partition("/")[2] for name in zipfile.ZipFile(file).namelist()]
    if any(name.startswith("code/") for name in names):
        return (
            "TorchScript is a program that nothing can be cut from",
            "give the nn.Module that was scripted or traced; or write it with torch.onnx.export",
        )
    if "data.pkl" in names:
        return (
            "a file of torch.save is no model",
            f"if it holds weights, {_BUILD}; if a module, torch.load it",
        )
    if any(name.startswith(("models/", "archive_format")) for name in names):
        return "a file of torch.export is no model yet", "read it with torch.export.load and give the program"
    return None


def _of_mapping(given: Mapping[Any, Any]) -> UsageError:
    kind = _named(given)
    for key, value in given.items():
        if _has_base(value, "Module"):
            return UsageError(
                f"{kind} with a module at {key!r} is no model", advice=f"give what stands at {key!r}"
            )
    if any(_has_base(value, "Tensor") for value in _values(given)):
        return UsageError(f"{kind} of weights (a state_dict) is no model", advice=_BUILD)
    return UsageError(f"{kind} is no model", advice=_MODELS)


def _values(given: Mapping[Any, Any]) -> list[Any]:
    """Values, and those of the mappings among them: checkpoints hold the weights beside the state of a training."""
    inner = [value for each in given.values() if isinstance(each, Mapping) for value in each.values()]
    return [*given.values(), *inner]


def _has_base(value: Any, name: str) -> bool:
    """Return whether a class of torch's of that name is among the bases, told without torch."""
    bases = type(value).__mro__
    return any(base.__name__ == name and base.__module__.partition(".")[0] == "torch" for base in bases)


def _named(model: Any) -> str:
    kind = type(model)
    if model is None:
        return "None"
    return (
        f"a {kind.__qualname__}"
        if kind.__module__ == "builtins"
        else f"a {kind.__module__}.{kind.__qualname__}"
    )
