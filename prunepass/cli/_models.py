"""Models as a command line names them: an ONNX file, an exported program, or what makes a module."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..hosts import refuse_saved
from ..ir import UsageError
from ._files import check_outputs
from ._imported import is_code

_SUFFIXES = {"torch": (".pt2", ".onnx"), "onnx": (".onnx",)}
_KINDS = (
    "a model is an ONNX file, a .pt2 file of torch.export, or what makes a module: package.module:factory or "
    "path/to/file.py:factory"
)


@dataclass(frozen=True)
class Loaded:
    """A model and what is needed to capture it.

    Attributes:
        name: as the user wrote it.
        model: a path (ONNX), or what torch gave.
        inputs: example inputs or their shapes; None where the model knows them.
        files: what it was read from, for dependency files.
    """

    name: str
    host: str
    model: Any = field(repr=False)
    inputs: Any = field(default=None, repr=False)
    files: tuple[Path, ...] = ()

    def check_target(self, out: str | None) -> None:
        """Refuse a file type that this model cannot be written as, before any work."""
        allowed = _SUFFIXES[self.host]
        if out is not None and Path(out).suffix.lower() not in allowed:
            raise UsageError(f"the output ends in none of {', '.join(allowed)}", where=out)


def load(name: str, shapes: Sequence[str] = ()) -> Loaded:
    """Find the model called ``name``.

    Args:
        shapes: of example inputs, ``name=1,3,224,224``; without a name in order.

    Raises:
        UsageError: there is no such file or callable, or a shape is malformed.
        ModelError: torch cannot read it.
    """
    path = Path(name)
    sizes = _shapes(shapes)
    if is_code(name):
        from ._torch import from_factory

        model, inputs, files = from_factory(name, sizes)
        return Loaded(name, "torch", model, inputs, files)
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(what, where=name, advice=_KINDS)
    if path.suffix == ".pt2":
        from ._torch import from_file

        model, inputs = from_file(path, sizes)
        return Loaded(name, "torch", model, inputs, (path,))
    if path.suffix == ".py":
        raise UsageError(
            "which of its functions makes the model?", where=name, advice=f"name it: {name}:factory"
        )
    refuse_saved(path)
    if path.suffix in (".pt", ".pth"):
        raise UsageError("it is no model that can be captured", where=name, advice=_KINDS)
    return Loaded(name, "onnx", path, _onnx_inputs(sizes), (path,))


def opened(loaded: Loaded) -> Any:
    """The model itself where ``loaded`` holds its path."""
    if loaded.host != "onnx":
        return loaded.model
    from ..hosts.onnx import load as load_onnx

    return load_onnx(loaded.model)


def sources(loaded: Loaded) -> tuple[Path, ...]:
    """Every file the model is read from, weights in files of their own included."""
    if loaded.host != "onnx":
        return loaded.files
    initializers = opened(loaded).graph.initializers.values()
    places = (getattr(value.const_value, "path", None) for value in initializers)
    return (*loaded.files, *dict.fromkeys(Path(place) for place in places if place is not None))


def check_apart(loaded: Loaded, *outputs: str | None) -> None:
    """Refuse to write over a file that the model's weights or its code are in, or over those of another output.

    Raises:
        UsageError: naming the file. ModelError: the model is invalid.
    """
    named = [name for name in outputs if name is not None]
    beside = [f"{name}.data" for name in named if Path(name).suffix.lower() == ".onnx"]
    if named:
        check_outputs((*named, *beside), sources(loaded))


def save(loaded: Loaded, model: Any, path: Path) -> None:
    """Write a model of the same host to ``path``; the suffix says in which form."""
    if loaded.host == "onnx":
        from ..hosts.onnx import save as save_onnx

        save_onnx(model, path)
        return
    from ..measure import to_file

    to_file(model, loaded.inputs, path)


def _shapes(texts: Sequence[str]) -> list[tuple[str, tuple[int, ...]]]:
    found = []
    for text in texts:
        name, _, sizes = text.rpartition("=")
        try:
            found.append((name, tuple(int(size) for size in re.split(r"[x,]", sizes) if size)))
        except ValueError:
            raise UsageError(f"'{text}' is no shape", advice="write --shape x=1,3,224,224") from None
    if len({bool(name) for name, _ in found}) > 1:
        raise UsageError("either all shapes have a name or none")
    return found


def named_shapes(texts: Sequence[str]) -> Mapping[str, tuple[int, ...]] | None:
    """Shapes by input name, None where there are none.

    Raises:
        UsageError: one is malformed or has no name.
    """
    found = _shapes(texts)
    if found and not found[0][0]:
        raise UsageError(f"the shape '{texts[0]}' has no name", advice="write --shape x=1,3,224,224")
    return dict(found) or None


def _onnx_inputs(sizes: Sequence[tuple[str, tuple[int, ...]]]) -> Mapping[str, Any] | Sequence[Any] | None:
    if not sizes:
        return None
    return dict(sizes) if sizes[0][0] else [shape for _, shape in sizes]
