"""The only part of the command line that knows torch: reading factories and programs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ..ir import ModelError, UsageError
from ..measure import require_torch
from ._models import search_here

_ADVICE = "a factory takes no arguments and returns a module, or (module, example_inputs)"
# Names in an error.
_NAMED = 8

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
    search_here()
    before = set(sys.modules)
    source, _, attributes = name.rpartition(":")
    module = _script(Path(source), name) if source.endswith(".py") else _package(source, name)
    found = _attribute(module, attributes, name)
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
    return model.eval(), inputs, _own_files(module, before)


def _package(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"cannot be imported: {error}", where=name) from error
    except (Exception, SystemExit) as error:  # it is the user's own code
        raise ModelError(_raised("importing it failed", error), where=name) from error


def _script(path: Path, name: str) -> ModuleType:
    """A file as a module of its own, its folder searched first, as when Python runs it."""
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else f"there is no file '{path}'"
        raise UsageError(what, where=name)
    path = path.resolve()
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    title = path.stem if known is None else f"prunepass_file_{path.stem}"
    spec = spec_from_file_location(title, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[title] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's own code
        del sys.modules[title]
        raise ModelError(_raised("importing it failed", error), where=name) from error
    return module


def _attribute(module: ModuleType, attributes: str, name: str) -> Any:
    found: Any = module
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise UsageError(
                f"there is no '{attribute}' in it", where=name, advice=f"it has {_callables(module)}"
            )
        found = getattr(found, attribute)
    if not callable(found):
        raise UsageError(f"it is a {type(found).__name__} and not callable", where=name, advice=_ADVICE)
    return found


def _callables(module: ModuleType) -> str:
    """What of its own a module offers, for an error."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    return ", ".join(own[:_NAMED]) or "nothing callable of its own"


def _call(factory: Callable[[], Any], name: str) -> Any:
    needed = _needed(factory)
    if needed:
        raise UsageError(f"it takes arguments: {', '.join(needed)}", where=name, advice=_ADVICE)
    try:
        return factory()
    except (Exception, SystemExit) as error:  # it is the user's own code
        raise ModelError(_raised("the factory failed", error), where=name) from error


def _needed(factory: Callable[..., Any]) -> list[str]:
    """Parameters without a default."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in free]


def _raised(what: str, error: BaseException) -> str:
    return f"{what}: {type(error).__name__}: {error}"


def _own_files(module: ModuleType, before: set[str]) -> tuple[Path, ...]:
    """Files of the factory's module and of the modules beside it or under the working folder that it imported."""
    first = getattr(module, "__file__", None)
    here = {Path.cwd(), *([Path(first).parent] if first else [])}
    names = sorted(set(sys.modules) - before)
    files = [Path(file) for each in names if (file := getattr(sys.modules.get(each), "__file__", None))]
    own = [
        file
        for file in files
        if "site-packages" not in file.parts and any(file.is_relative_to(folder) for folder in here)
    ]
    return tuple(dict.fromkeys((*([Path(first)] if first else []), *own)))


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
