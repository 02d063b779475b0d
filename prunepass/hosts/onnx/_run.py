"""Running a model as it is: by ONNX Runtime where there is one, else by the reference implementation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from ...ir import Array, BackendError, VerificationError
from ._inputs import model_inputs
from ._save import keeps_external, save
from ._types import dtype_name, first_line, numpy_dtype

_IR_VERSION = 10
"""Newer versions change nothing for a finished graph, and runtimes refuse what they do not know."""


def run(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by name for inputs by name, in the model's own precision, on one thread.

    Raises:
        BackendError: neither engine can run the model. VerificationError: it has inputs that ``feeds`` lacks.
    """
    unknown = [value.name for value in model_inputs(model) if value.name not in feeds]
    if unknown:
        raise VerificationError(f"the model has inputs of its own: {unknown}", where=model.graph.name)
    typed = {
        str(value.name): np.asarray(feeds[str(value.name)]).astype(
            numpy_dtype(dtype_name(value.dtype)), copy=False
        )
        for value in model_inputs(model)
    }
    names = [str(value.name) for value in model.graph.outputs]
    errors = []
    for engine in (_by_runtime, _by_reference):
        try:
            with np.errstate(all="ignore"):
                return dict(zip(names, engine(model, typed, names), strict=True))
        except ImportError:
            continue
        except Exception as error:  # both engines raise whatever they like
            errors.append(f"{type(error).__name__}: {first_line(str(error))}")
    raise BackendError(f"the model does not run: {'; '.join(errors)}", where=model.graph.name or "model")


def _by_runtime(model: ir.Model, feeds: Mapping[str, Array], names: list[str]) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with Portable(model) as handle:
        session = onnxruntime.InferenceSession(handle, options, providers=["CPUExecutionProvider"])
        return list(session.run(names, dict(feeds)))


def _by_reference(model: ir.Model, feeds: Mapping[str, Array], names: list[str]) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    with Portable(model) as handle:
        return list(ReferenceEvaluator(handle).run(names, dict(feeds)))


class Portable:
    """The model in a form that engines open: bytes, or a file where its weights lie outside."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Any:
        version, self._model.ir_version = self._model.ir_version, min(self._model.ir_version, _IR_VERSION)
        try:
            if not keeps_external(self._model):
                return ir.to_proto(self._model).SerializeToString()
            self._folder = tempfile.TemporaryDirectory()
            path = Path(self._folder.name) / "model.onnx"
            save(self._model, path)
            return str(path)
        finally:
            self._model.ir_version = version

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
