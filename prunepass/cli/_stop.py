"""What tells a command to stop: Ctrl-C, a build tool, a terminal that is gone. It unwinds the stack, once.

An error that a signal turns into on its way up (an extension that was just being imported calls itself broken)
says nothing of the signal, so what came is remembered here and decides the exit code.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

# A terminal signals a whole group of processes, and a build tool then passes it on to each of them: what comes
# again so soon is the same wish, and must not interrupt the removal of temporary files.
_SAME = 1.0
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal is gone"}

Handler = Callable[[int, Any], object]


class Stop:
    """Whether a signal has told the command to stop; ``number`` is 0 where none has."""

    def __init__(self) -> None:
        self.number, self._at = 0, 0.0

    def __call__(self, number: int, frame: object) -> None:
        """The handler of a signal."""
        if self.number and monotonic() - self._at < _SAME:
            return
        self.number, self._at = number, monotonic()
        # No KeyboardInterrupt, even of Ctrl-C: where one met code that is made from text (a dataclass), Python
        # ends with the signal itself, whatever exit code it is given.
        raise SystemExit(self.code)

    @property
    def code(self) -> int:
        """The exit code of a process that a signal ended, as shells tell it; Ctrl-C where there was none."""
        return 128 + (self.number or int(signal.SIGINT))

    @property
    def word(self) -> str:
        return _WORDS[signal.Signals(self.number or signal.SIGINT).name]


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Let signals unwind the stack, so that temporary files go."""
    stop = Stop()
    with _handled(stop):
        yield stop


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals wait until the block ends."""
    waiting: list[int] = []
    with _handled(lambda number, frame: waiting.append(number)):
        yield
    for number in waiting[:1]:
        signal.raise_signal(number)


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """Only the main thread may set handlers, and what is ignored (``nohup``, ``&`` in a script) stays so."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in _WORDS if hasattr(signal, name)]
        heard = [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
