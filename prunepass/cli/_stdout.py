"""Results on stdout: whole, or with an error; whatever its encoding cannot write is escaped."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def written() -> Iterator[None]:
    """Escape what cannot be encoded, and see to it that all has been written before the command ends.

    Raises:
        OSError: the device is full; what is left over is dropped, so that nobody tries again at exit.
    """
    stream = sys.stdout
    text = stream if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict" else None
    if text is not None:
        text.reconfigure(errors="backslashreplace")
    try:
        yield
        stream.flush()
    except OSError:
        _drop()
        raise
    finally:
        if text is not None:
            text.reconfigure(errors="strict")


def _drop() -> None:
    """Send what is waiting to nowhere; only where stdout is the process's own."""
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stdout__.fileno())
        os.close(nowhere)
