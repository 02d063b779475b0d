"""From whatever a user calls an ONNX model to an ``onnx_ir.Model``, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from ...ir import ModelError, PrunepassError, UsageError
from ._beside import check_external, settle
from ._check import check_names, check_nodes, scope_of
from ._check_data import check_inputs, check_tensors, external_tensors
from ._sound import check_types
from ._types import first_line, opsets_of

EXTERNAL = "prunepass.external"
"""Key in ``graph.meta``: the model came with external data and is to be saved so."""

_NEWEST = 2**31
_ADVICE = "check that the file was copied as a whole and is an ONNX model"


def load(source: Any) -> ir.Model:
    """Open and check a model; weights stay where they are until they are read.

    Local functions are inlined and nodes put in order where they are not, in a copy. A sound
    ``onnx_ir.Model`` is returned as it is.

    Args:
        source: path, ``onnx.ModelProto``, ``onnx_ir.Model`` or ``onnx_graphsurgeon.Graph``. Models beyond
            2 GB are opened by path.

    Raises:
        UsageError: ``source`` is none of these.
        ModelError: the model is missing, damaged or contradicts itself; the message names the file.
    """
    if isinstance(source, (str, os.PathLike)):
        return _located(str(source), lambda: _from_file(Path(source)))
    if isinstance(source, onnx.ModelProto):
        return _located(source.graph.name or "model", lambda: _from_proto(source))
    if is_graphsurgeon(source):
        return _located(source.name or "model", lambda: _from_proto(_exported(source)))
    if isinstance(source, ir.Model):
        return _located(source.graph.name or "model", lambda: _sound(source))
    raise UsageError(
        f"a {type(source).__name__} is no ONNX model",
        advice="give a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph",
    )


def as_given(source: Any, model: ir.Model) -> Any:
    """``model`` in the form that ``source`` has; a path gives an ``onnx_ir.Model``."""
    if isinstance(source, onnx.ModelProto):
        return ir.to_proto(model)
    if is_graphsurgeon(source):
        import onnx_graphsurgeon

        return onnx_graphsurgeon.import_onnx(ir.to_proto(model))
    return model


def is_graphsurgeon(source: Any) -> bool:
    """Return whether this is a graphsurgeon Graph, without importing that package."""
    return any(base.__module__.partition(".")[0] == "onnx_graphsurgeon" for base in type(source).__mro__)


def _located(name: str, make: Callable[[], ir.Model]) -> ir.Model:
    """Errors name the model in front and the node behind it."""
    try:
        return make()
    except ModelError as error:
        where = f"{name}: {error.where}" if error.where else name
        raise type(error)(error.what, where=where, advice=error.advice) from error
    except PrunepassError:
        raise
    except Exception as error:  # parsers and deserialisers raise whatever they like on damaged data
        cause: BaseException = error
        while cause.__cause__ is not None:  # deserialisers wrap what is wrong once for each level
            cause = cause.__cause__
        said = f"{type(cause).__name__}: {first_line(str(cause))}"
        raise ModelError(f"the model cannot be read: {said}", where=name) from error


def _from_file(path: Path) -> ir.Model:
    if not path.is_file():
        raise ModelError("there is no such file" if not path.exists() else "this is not a file")
    if path.stat().st_size == 0:
        raise ModelError("the file is empty", advice=_ADVICE)
    try:
        proto = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf, text and JSON parsers each raise their own
        raise ModelError(f"the file is no ONNX model: {type(error).__name__}", advice=_ADVICE) from error
    return _from_proto(proto, path)


def _exported(graph: Any) -> onnx.ModelProto:
    import onnx_graphsurgeon

    proto: onnx.ModelProto = onnx_graphsurgeon.export_onnx(graph)
    return proto


def _from_proto(proto: onnx.ModelProto, path: Path | None = None) -> ir.Model:
    if not proto.HasField("graph") or not proto.graph.node:
        raise ModelError("the model holds no graph", advice=_ADVICE)
    if not proto.opset_import:
        raise ModelError("the model does not say which operator set it is written in", advice=_ADVICE)
    for opset in proto.opset_import:
        if not 1 <= opset.version < _NEWEST:
            raise ModelError(f"there is no operator set {opset.version} of '{opset.domain}'", advice=_ADVICE)
    check_names(scope_of(proto.graph))
    check_inputs(proto.graph)
    check_tensors(proto.graph)
    model = ir.from_proto(proto)
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.type is None:
            value.shape = None  # sizes of nothing in particular
    ir.external_data.set_base_dir(model.graph, "." if path is None else path.parent)
    if path is not None:
        settle(model, path)
    return _sound(model, own=True)


def _sound(model: ir.Model, *, own: bool = False) -> ir.Model:
    """Check ``model``, and put right what can be: in place where it is our ``own``."""
    if not len(model.graph):
        raise ModelError("the model holds no graph")
    if not model.graph.outputs:
        raise ModelError("the model has no outputs", advice="name what it shall give")
    ordered = check_names(scope_of(model.graph))
    opsets = opsets_of(model)
    missing = sorted(
        {"" if node.domain == "ai.onnx" else node.domain for node in model.graph} - opsets.keys()
    )
    if missing:
        raise ModelError(f"no operator set is imported for the domain '{missing[0]}'")
    check_nodes(model.graph, opsets)
    check_external(model)
    if model.functions or not ordered:
        model = model if own else _copied(model)
        if model.functions:
            InlinePass()(model)
        model.graph.sort()
    check_types(model)
    if next(external_tensors(model), None) is not None:
        model.graph.meta[EXTERNAL] = True
    return model


def _copied(model: ir.Model) -> ir.Model:
    """A copy that shares its weights; ``Model.clone`` needs nodes in order, this does not."""
    copy = ir.from_proto(ir.to_proto(model))
    for mine, theirs in zip(model.graphs(), copy.graphs(), strict=True):
        for name, value in mine.initializers.items():
            theirs.initializers[name].const_value = value.const_value
    return copy
