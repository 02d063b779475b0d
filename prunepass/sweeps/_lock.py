"""One sweep at a time in a folder: two would remove each other's unfinished candidates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..ir import UsageError

NAME = ".lock"
"""Stays in the folder, empty; what locks is the hold of a process on it, which ends with the process."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make ``folder`` where it is missing, and work in it alone. One that was made for nothing goes again.

    Raises:
        UsageError: another sweep works there, or the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    if folder.exists() and not folder.is_dir():
        raise UsageError(
            "it is a file, no folder", where=str(folder), advice="name a folder for the candidates"
        )
    made = not folder.exists()
    lock = FileLock(folder / NAME, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        advice = "wait until it is done, or name another folder"
        raise UsageError("another sweep works in this folder", where=str(folder), advice=advice) from error
    except OSError as error:
        raise UsageError(f"cannot use the folder: {error.strerror}", where=str(folder)) from error
    try:
        yield
    finally:
        lock.release()
        if made:
            _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    if {each.name for each in folder.iterdir()} <= {NAME}:
        with suppress(OSError):  # another sweep has come meanwhile: the folder is its own now
            (folder / NAME).unlink(missing_ok=True)
            folder.rmdir()
