"""Data files beside a model: which of them are its own, through the links of caches and sandboxes.

Caches of models keep every file once, by its hash, and show links to them; sandboxes of builds link every
input by itself. So links are followed as long as they stay where the model itself is at home: in its folder,
in the folder that its own name is a link into, or in the store of the cache that the folder belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import onnx_ir as ir

from ...ir import ModelError
from ._check_data import external_tensors

_ADVICE = "copy the data beside the model"


def settle(model: ir.Model, path: Path) -> None:
    """Let external data of the model that was read from ``path`` come from the very files that links lead to.

    Raises:
        ModelError: a file is missing, is no file, or lies elsewhere.
    """
    homes, found = list(_homes(path)), dict[str, Path]()
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if not isinstance(tensor, ir.ExternalTensor):
                continue
            location = os.fspath(tensor.location)
            if location not in found:
                found[location] = _real(path.parent, location, homes, _held(str(value.name), tensor))
            if _linked(path.parent / location, found[location]):
                value.const_value = _moved(tensor, found[location])


def check_external(model: ir.Model) -> None:
    """Check that external data is there, as long as its tensors say, and inside the model's folder.

    Raises:
        ModelError: naming the initializer and the data file.
    """
    opened: set[str] = set()
    for name, tensor in external_tensors(model):
        held = _held(name, tensor)
        try:
            size = Path(tensor.path).stat().st_size
        except (OSError, ValueError) as error:
            raise ModelError(f"{held} is missing", advice="put the data file beside the model") from error
        if (tensor.offset or 0) + tensor.nbytes > size:
            raise ModelError(f"{held} is too short", advice="copy the data file again, as a whole")
        if tensor.length is not None and tensor.length != tensor.nbytes:
            said = f"its length is said to be {tensor.length}, its shape needs {tensor.nbytes} bytes"
            raise ModelError(f"{held}: {said}", advice="export the model again")
        if tensor.path not in opened:
            opened.add(tensor.path)
            _open_once(tensor, held)


def _held(name: str, tensor: ir.ExternalTensor) -> str:
    return f"data of initializer '{name}' in '{PurePath(tensor.location).name}'"


def _open_once(tensor: ir.ExternalTensor, held: str) -> None:
    """onnx_ir refuses files outside the model's folder when it first opens one."""
    try:
        tensor.numpy()
        tensor.release()
    except (ValueError, OSError) as error:
        raise ModelError(f"{held} lies outside the model's folder or is a link", advice=_ADVICE) from error


def _homes(path: Path) -> Iterator[Path]:
    """Folders that data of the model at ``path`` may lie in."""
    yield path.parent.resolve()
    if path.is_symlink():
        yield path.resolve().parent
    for folder in (path.parent.absolute(), path.parent.resolve()):
        # A cache of the Hugging Face hub: NAME/snapshots/REVISION/.. links into NAME/blobs.
        for up in (folder, *folder.parents):
            if up.parent.name == "snapshots":
                yield (up.parent.parent / "blobs").resolve()


def _real(folder: Path, location: str, homes: list[Path], held: str) -> Path:
    """The file behind ``location``."""
    if PurePath(location).is_absolute() or ".." in PurePath(os.path.normpath(location)).parts:
        raise ModelError(f"{held} lies outside the model's folder", advice=_ADVICE)
    real = (folder / location).resolve()
    if not real.exists():
        raise ModelError(f"{held} is missing", advice="put the data file beside the model")
    if not real.is_file():
        raise ModelError(f"{held}: this is not a file", advice=_ADVICE)
    if not any(real.is_relative_to(home) for home in homes):
        raise ModelError(f"{held} is a link out of the model's folder, to '{real}'", advice=_ADVICE)
    return real


def _linked(named: Path, real: Path) -> bool:
    return real != named.absolute() or real.stat().st_nlink > 1


def _moved(tensor: ir.ExternalTensor, real: Path) -> ir.ExternalTensor:
    """The same tensor from the file itself; its folder is named with it, or hard links would be refused."""
    return ir.ExternalTensor(
        str(real),
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=str(tensor.name),
        doc_string=tensor.doc_string,
        metadata_props=dict(tensor.metadata_props),
    )
