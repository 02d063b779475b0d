"""The table of backends: built-in ones and those that other distributions add.

A distribution adds a backend through the entry point group ``prunepass.backends``: the entry's name is the
backend's, its object the :class:`Backend`. A built-in one is a file with an object ``backend`` and a row here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from ..ir import BackendError, UsageError
from ._protocol import Backend

_BUILT_IN = {"onnxruntime": "._onnxruntime"}
_GROUP = "prunepass.backends"


def names() -> tuple[str, ...]:
    """Names of all known backends, whether they can build here or not."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=_GROUP))}))


def get(name: str) -> Backend:
    """The backend called ``name``; it may still be unavailable here.

    Raises:
        UsageError: no backend has that name.
        BackendError: the distribution that adds it is broken.
    """
    found: object
    if name in _BUILT_IN:
        found = import_module(_BUILT_IN[name], __package__).backend
    else:
        found = _added(name)
    if not isinstance(found, Backend):
        raise BackendError(f"entry point '{name}' of {_GROUP} is no backend", advice="it lacks a method of Backend")
    return found


def _added(name: str) -> object:
    for entry in entry_points(group=_GROUP, name=name):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            raise BackendError(f"backend '{name}' does not load: {error}", advice="mend its distribution") from error
    raise UsageError(f"there is no backend '{name}'", advice="backends: " + ", ".join(names()))


def available() -> tuple[str, ...]:
    """Names of the backends that can build here."""
    return tuple(name for name in names() if get(name).unavailable() is None)
