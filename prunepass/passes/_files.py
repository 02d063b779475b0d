"""Files that appear whole or not at all."""

from __future__ import annotations

import os

from ..ir import UsageError, path_of


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write to a temporary file and rename, so that an interruption leaves the old file.

    Raises:
        UsageError: the folder cannot be written, or ``path`` is no path.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """The same for bytes; raises as :func:`write_text`."""
    target = path_of(path, "give the name of a file")
    # A name of its own in the same folder; opened anew it gets the permissions of any file.
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            with beside.open("xb") as file:
                file.write(data)
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(path)) from error
