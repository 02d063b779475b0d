"""The table of backends: built-in ones and those that other distributions add.

A distribution adds a backend through the entry point group ``prunepass.backends``: the entry's name is that
of the backend, its object the :class:`Backend`. A built-in one is a file with an object ``backend`` and a row
here.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from ..ir import BackendError, UsageError
from ._preset import Preset, spelled
from ._protocol import Backend

_BUILT_IN = {
    "onnxruntime": "._onnxruntime",
    "openvino": "._openvino",
    "tensorrt": "._tensorrt",
    "tensorrt-rtx": "._tensorrt_rtx",
    "torch": "._torch",
}
_GROUP = "prunepass.backends"


def names() -> tuple[str, ...]:
    """Names of all known backends, whether they can build here or not."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=_GROUP))}))


def get(name: str) -> Backend:
    """The backend called ``name``, with options where it is spelled ``name{option=value, ...}``.

    It may still be unavailable here.

    Raises:
        UsageError: no backend has that name, or it has no such options.
        BackendError: the distribution that adds it is broken.
    """
    plain, options = spelled(name)
    found = _named(plain)
    if not options:
        return found
    made = Preset(found, options)
    made.clock()  # reads the options: one that is wrong shall be told now, not after the work
    return made


def _named(name: str) -> Backend:
    module = _BUILT_IN.get(name)
    found: object = import_module(module, __package__).backend if module else _added(name)
    if not isinstance(found, Backend):
        what = f"entry point '{name}' of {_GROUP} is no backend"
        raise BackendError(what, advice="it lacks a part of prunepass.backends.Backend")
    return found


def _added(name: str) -> object:
    for entry in entry_points(group=_GROUP, name=name):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            what = f"backend '{name}' does not load: {error}"
            raise BackendError(what, advice="install its distribution again") from error
    raise UsageError(f"there is no backend '{name}'", advice="backends: " + ", ".join(names()))


def ready(name: str) -> Backend:
    """The backend called ``name``, able to build here.

    Raises:
        UsageError: there is none of that name.
        BackendError: it is not available.
    """
    return checked(get(name))


def checked(backend: Backend) -> Backend:
    """``backend``, able to build here.

    Raises:
        BackendError: it is not.
    """
    reason = backend.unavailable()
    if reason is not None:
        raise BackendError(f"backend '{backend.name}' is not available: {reason}")
    return backend


def available() -> tuple[str, ...]:
    """Names of the backends that can build here."""
    return tuple(name for name in names() if get(name).unavailable() is None)
