"""Signals that stop a command: Ctrl-C, a build tool, a terminal that is gone. They unwind the stack, once.

An error that a signal turns into on its way up (an extension that was just being imported calls itself broken)
says nothing of the signal, so what came is remembered here and decides the exit code.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from ..signals import handled

# A terminal signals a whole group of processes, and a build tool then passes it on to each of them: what comes
# again so soon is the same wish, and must not interrupt the removal of temporary files.
_SAME = 1.0
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal is gone"}


class Stop:
    """The signal that has told the command to stop; ``number`` is 0 where none has."""

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
    with handled(stop):
        yield stop
