"""The lock of torch's capture: its tracers, flags and patches belong to the process, not to a thread."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TextIO, TypeVar

_CAPTURE = threading.RLock()

Call = TypeVar("Call", bound=Callable[..., Any])


def locked(call: Call) -> Call:
    """Run ``call`` in one thread at a time, together with everything else that is locked."""

    @wraps(call)
    def alone(*args: Any, **kwargs: Any) -> Any:
        with _CAPTURE:
            return call(*args, **kwargs)

    return alone  # type: ignore[return-value]


class _OwnThreadMuted(io.TextIOBase):
    """Drops what this thread writes and passes on what others write: streams belong to the process too."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str, /) -> int:
        if self._stream is None or threading.get_ident() == self._thread:
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        if self._stream is not None and threading.get_ident() != self._thread:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def muted() -> Iterator[None]:
    """Let nothing that this thread prints appear; to be used under the lock."""
    out, error = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _OwnThreadMuted(out), _OwnThreadMuted(error)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, error
