"""The table of backends: built-in ones and those that other distributions add.

A distribution adds a backend through the entry point group ``prunepass.backends``: the entry's name is that
of the backend, its object the :class:`Backend`. A built-in one is a file with an object ``backend`` and a row
here.
"""

from __future__ import annotations

from ..ir import BackendError, Table
from ._preset import Preset, spelled
from ._protocol import Backend

_BUILT_IN = {
    "onnxruntime": "._onnxruntime:backend",
    "openvino": "._openvino:backend",
    "tensorrt": "._tensorrt:backend",
    "tensorrt-rtx": "._tensorrt_rtx:backend",
    "torch": "._torch:backend",
}


def _flaw(found: object) -> str:
    return "" if isinstance(found, Backend) else "it lacks a part of prunepass.backends.Backend"


_BACKENDS = Table("backend", "prunepass.backends", _BUILT_IN, __package__, _flaw, BackendError)


def names() -> tuple[str, ...]:
    """Names of all known backends, whether they can build here or not."""
    return tuple(_BACKENDS)


def get(name: str) -> Backend:
    """The backend called ``name``, with options where it is spelled ``name{option=value, ...}``.

    It may still be unavailable here.

    Raises:
        UsageError: no backend has that name, or it has no such options.
        BackendError: the distribution that adds it is broken.
    """
    plain, options = spelled(name)
    found: Backend = _BACKENDS[plain]
    if not options:
        return found
    made = Preset(found, options)
    made.clock()  # reads the options: one that is wrong shall be told now, not after the work
    return made


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
    return tuple(name for name in names() if _builds(name))


def _builds(name: str) -> bool:
    try:
        return get(name).unavailable() is None
    except BackendError:  # its distribution is broken, which ``get`` tells
        return False
