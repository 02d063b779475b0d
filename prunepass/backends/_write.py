"""Engines' files: written beside their place and renamed, so that an interrupted call leaves the old ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..ir import UsageError


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends without an error.

    What the block writes beside it (weights in a file of their own) is moved along, first.

    Raises:
        UsageError: the folder is missing or not writable.
    """
    target = Path(path)
    try:
        with TemporaryDirectory(dir=target.parent, prefix=".prunepass-") as folder:
            part = Path(folder) / target.name
            yield part
            for each in sorted(part.parent.iterdir(), key=lambda each: each == part):
                each.replace(target.parent / each.name)
    except OSError as error:
        raise UsageError(f"cannot write the engine: {error.strerror}", where=str(target)) from error
