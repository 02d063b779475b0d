"""The only part of the command line that knows torch: reading factories and programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .._forms import require_torch
from ..ir import ModelError, UsageError
from ._models import search_here

_ADVICE = "a factory takes no arguments and returns a module, or (module, example_inputs)"

Sizes = Sequence[tuple[str, tuple[int, ...]]]


def from_factory(name: str, sizes: Sizes) -> tuple[Any, Any, tuple[Path, ...]]:
    """The module, its example inputs and the source files that the factory brought in.

    Raises:
        UsageError: it cannot be imported, is not callable, or returns no module.
        ModelError: it raises.
    """
    torch = require_torch()
    search_here()
    before = set(sys.modules)
    made = _call(_import(name), name)
    model: Any = made[0] if isinstance(made, tuple) and len(made) == 2 else made
    inputs: Any = None if model is made else made[1]
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"it returned a {type(model).__name__}, no module", where=name, advice=_ADVICE)
    if sizes:
        inputs = _random(torch, sizes)
    if inputs is None:
        raise UsageError(
            "there are no example inputs", where=name, advice=f"{_ADVICE}; or give --shape 1,3,224,224"
        )
    return model.eval(), inputs, _own_files(name, before)


def _import(name: str) -> Callable[[], Any]:
    module, _, attributes = name.partition(":")
    try:
        found: Any = import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot be imported: {error}", where=name) from error
    if not callable(found):
        raise UsageError("it is not callable", where=name, advice=_ADVICE)
    made: Callable[[], Any] = found
    return made


def _call(factory: Callable[[], Any], name: str) -> Any:
    try:
        return factory()
    except Exception as error:  # it is the user's own code
        raise ModelError(f"the factory failed: {type(error).__name__}: {error}", where=name) from error


def _own_files(name: str, before: set[str]) -> tuple[Path, ...]:
    """Files of the factory's module and of the modules under the working folder that it imported."""
    here = Path.cwd()
    named = [name.partition(":")[0], *sorted(set(sys.modules) - before)]
    files = [Path(file) for each in named if (file := getattr(sys.modules.get(each), "__file__", None))]
    own = [file for file in files[1:] if file.is_relative_to(here) and "site-packages" not in file.parts]
    return tuple(dict.fromkeys((*files[:1], *own)))


def from_file(path: Path, sizes: Sizes) -> tuple[Any, Any]:
    """An exported program and its example inputs.

    Raises:
        ModelError: torch cannot read it.
    """
    torch = require_torch()
    if path.stat().st_size == 0:
        raise ModelError("the file is empty", where=str(path), advice="export it again")
    try:
        program = torch.export.load(path)
    except Exception as error:  # torch raises whatever its parts raise
        what = f"torch cannot read it: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        raise ModelError(what, where=str(path), advice="write it with torch.export.save") from error
    return program, _random(torch, sizes) if sizes else program.example_inputs


def _random(torch: Any, sizes: Sizes) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator) for _, shape in sizes)
