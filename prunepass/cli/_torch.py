"""The only part of the command line that knows torch: reading factories and programs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..ir import ModelError, UsageError
from ..measure import require_torch
from ._imported import imported, own_files, raised

_ADVICE = "a factory takes no arguments and returns a module, or (module, example_inputs)"

Sizes = Sequence[tuple[str, tuple[int, ...]]]


def from_factory(name: str, sizes: Sizes) -> tuple[Any, Any, tuple[Path, ...]]:
    """The module, its example inputs and the source files that the factory brought in.

    Args:
        name: ``package.module:factory`` or ``path/to/file.py:factory``; a module itself is taken as it is.

    Raises:
        UsageError: it cannot be found, is not callable, takes arguments, or returns no module.
        ModelError: it raises.
    """
    torch = require_torch()
    before = set(sys.modules)
    module, found = imported(name, _ADVICE)
    made: Any = found if isinstance(found, torch.nn.Module) else _call(found, name)
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
    return model.eval(), inputs, own_files(module, before)


def _call(factory: Callable[[], Any], name: str) -> Any:
    needed = _needed(factory)
    if needed:
        raise UsageError(f"it takes arguments: {', '.join(needed)}", where=name, advice=_ADVICE)
    try:
        return factory()
    except (Exception, SystemExit) as error:  # it is the user's own code
        raise ModelError(raised("the factory failed", error), where=name) from error


def _needed(factory: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in free]


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
