"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..ir import UsageError


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".prunepass-") as folder:
            part = Path(folder) / path.name
            part.write_bytes(content)
            part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write the {what}: {error.strerror}", where=str(path)) from error
