"""Signals that ask a process to stop: who hears them, and work that they must not cut in half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Handler = Callable[[int, Any], object]


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Let ``handler`` hear ``STOPS``.

    Only the main thread may set handlers, and what is ignored (``nohup``, ``&`` in a script) stays so.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals wait until the block ends."""
    waiting: list[int] = []
    with handled(lambda number, frame: waiting.append(number)):
        yield
    for number in waiting[:1]:
        signal.raise_signal(number)
