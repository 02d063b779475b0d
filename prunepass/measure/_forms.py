"""The form of a model that an engine takes: files that torch models are written to, and who reads what."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ..backends import Backend
from ..ir import BackendError, UsageError

# Source paths of this machine, and addresses of graphs in memory, which differ from run to run.
_PRIVATE = ("stack_trace", "from_node")


def engine_form(model: Any, inputs: Any, backend: Backend, path: Path) -> Any:
    """The form that ``backend`` builds from: ``model`` itself, or the file ``path`` (its suffix is chosen here).

    Args:
        model: of any host that :func:`prunepass.prune` takes, before or after.
        inputs: example inputs of a torch model.
        path: where to write a torch model, without suffix.

    Raises:
        UsageError: the backend does not read models of this host.
    """
    reads = getattr(backend, "reads", ("onnx",))
    torch_model = is_torch(model)
    suffix = next((form for form in reads if form == "onnx" or torch_model), None)
    if suffix is None:
        raise UsageError(
            f"backend '{backend.name}' does not read ONNX",
            advice="choose another backend, or give the module",
        )
    if torch_model:
        written = path.with_suffix(f".{suffix}")
        to_file(model, inputs, written)
        return written
    return model if _builds_as_it_is(model) else _loaded(model)


def is_torch(model: Any) -> bool:
    """Return whether ``model`` is one of torch's."""
    roots = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    return "torch" in roots and not isinstance(model, (str, os.PathLike))


def _builds_as_it_is(model: Any) -> bool:
    own = type(model).__module__.partition(".")[0]
    return isinstance(model, (str, bytes, os.PathLike)) or own in ("onnx", "onnx_ir")


def _loaded(model: Any) -> Any:
    from ..hosts.onnx import load

    return load(model)


def require_torch() -> Any:
    try:
        import torch
    except (ImportError, OSError) as error:
        what = f"torch cannot be imported: {error}"
        raise BackendError(what, advice="install it with: pip install 'prunepass[torch]'") from error
    return torch


def to_file(model: Any, inputs: Any, path: Path) -> None:
    """Write a torch model as an exported program or as ONNX, without the paths of this machine's sources."""
    torch = require_torch()
    with warnings.catch_warnings():
        # torch's exporters warn of their own parts, which a user can do nothing about.
        warnings.simplefilter("ignore")
        _write(torch, model, inputs, path)


def _write(torch: Any, model: Any, inputs: Any, path: Path) -> None:
    program = model if isinstance(model, torch.export.ExportedProgram) else _exported(model, inputs)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in _PRIVATE:
                node.meta.pop(key, None)
    if path.suffix == ".onnx":
        _to_onnx(torch, program, path)
    else:
        _to_archive(torch, program, path)


def _to_archive(torch: Any, program: Any, path: Path) -> None:
    """Under one name first: torch writes the file's own name into every entry of the archive."""
    with tempfile.TemporaryDirectory(prefix=".prunepass-", dir=path.parent) as folder:
        same = Path(folder) / "model.pt2"
        torch.export.save(program, same)
        same.replace(path)


def _exported(model: Any, inputs: Any) -> Any:
    from ..hosts.torch import program_of

    return program_of(model, inputs)


def _to_onnx(torch: Any, program: Any, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401 (what torch.onnx needs)
    except ImportError as error:
        what = f"writing ONNX from torch needs onnxscript: {error}"
        raise BackendError(what, advice="pip install onnxscript, or name the output .pt2") from error
    exported = torch.onnx.export(program, dynamo=True, verbose=False)
    for node in exported.model.graph.all_nodes():
        node.metadata_props.clear()
    exported.save(path)
