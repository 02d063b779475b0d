"""The first step of the command, light enough that a signal hardly ever comes before it is listened to."""

from __future__ import annotations

from collections.abc import Sequence

from ._stop import stoppable


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``args`` are those of the process unless given."""
    with stoppable() as stop:
        try:
            from ._main import run

            return run(args, stop)
        except BaseException:
            if not stop.number:
                raise
        # Before there was anything that could say so.
        return stop.code
