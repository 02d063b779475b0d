"""Code of the user's that a command line names: ``package.module:name`` or ``path/to/file.py:name``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ..ir import ModelError, PrunepassError, UsageError

# Names in an error.
_NAMED = 8
_CODE = re.compile(r"([^\W\d][\w.]*|.+\.py):[^\W\d][\w.]*")


def is_code(name: str) -> bool:
    """Return whether ``name`` is that of code and of no file."""
    return _CODE.fullmatch(name) is not None and not Path(name).exists()


def imported(name: str, advice: str) -> tuple[ModuleType, Any]:
    """The module and what it calls by that name, which can be called.

    Args:
        advice: what it should be, for errors.

    Raises:
        UsageError: it cannot be found or is not callable.
        ModelError: the module raises.
    """
    search_here()
    source, _, attributes = name.rpartition(":")
    module = _script(Path(source), name) if source.endswith(".py") else _package(source, name)
    return module, _attribute(module, attributes, name, advice)


@dataclass(frozen=True)
class Code:
    """A function of the user's by its name, so that other processes find it too.

    Attributes:
        name: as the user wrote it.
        files: the source files that it brought in.
    """

    name: str
    files: tuple[Path, ...] = field(default=(), compare=False)

    @staticmethod
    def of(name: str, advice: str) -> Code:
        """The function called ``name``; raises as :func:`imported`."""
        before = set(sys.modules)
        module, _ = imported(name, advice)
        return Code(name, own_files(module, before))

    @property
    def __wrapped__(self) -> Any:
        return imported(self.name, "")[1]

    def __call__(self, *given: Any) -> Any:
        """Call the function.

        Raises:
            UsageError: it raises.
        """
        made = self._guarded(lambda: self.__wrapped__(*given))
        return self._items(made) if isinstance(made, Iterator) else made

    def _items(self, made: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self._guarded(lambda: next(made, end))) is not end:
            yield item

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except PrunepassError:
            raise
        except (Exception, SystemExit) as error:  # it is the user's own code
            raise UsageError(raised("it failed", error), where=self.name) from error


def _package(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"cannot be imported: {error}", where=name) from error
    except (Exception, SystemExit) as error:  # it is the user's own code
        raise ModelError(raised("importing it failed", error), where=name) from error


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
        raise ModelError(raised("importing it failed", error), where=name) from error
    return module


def _attribute(module: ModuleType, attributes: str, name: str, advice: str) -> Any:
    found: Any = module
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise UsageError(
                f"there is no '{attribute}' in it", where=name, advice=f"it has {_callables(module)}"
            )
        found = getattr(found, attribute)
    if not callable(found):
        raise UsageError(f"it is a {type(found).__name__} and not callable", where=name, advice=advice)
    return found


def _callables(module: ModuleType) -> str:
    """Names of a module's own callables, for an error."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    ]
    return ", ".join(own[:_NAMED]) or "nothing callable of its own"


def raised(what: str, error: BaseException) -> str:
    """An error of the user's own code in a sentence."""
    return f"{what}: {type(error).__name__}: {error}"


def own_files(module: ModuleType, before: set[str]) -> tuple[Path, ...]:
    """Files of a module and of the modules beside it or under the working folder that it imported."""
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


def search_here() -> None:
    """Let modules in the working folder be found, as ``python -m`` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")
